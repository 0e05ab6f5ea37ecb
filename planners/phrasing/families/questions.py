"""Commands that leave something open, and are answered with a question."""

from __future__ import annotations

from planners.compact import Answer, Ask
from planners.phrasing.author import FILES, Author
from planners.phrasing.meaning import sample_literal, step_kind
from planners.phrasing.nouns import standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.scene_graph import DIRECTIONS


def ambiguous(author: Author) -> tuple[str, Answer] | None:
    """A description that fits several: which one?"""
    asked = author.rng.choice(("in", "in", "on", "holding", "moved", "table"))
    item = sample_literal(author.rng, author.scene, asked)
    if item is None or any(group.pick or len(group.names) > 1 for group in item.groups):
        return None
    kind = step_kind(item, author.scene)
    slot = "Y" if kind in ("in", "on") and author.rng.random() < 0.35 else "X"
    meant = author.scene.entity(item.groups[slot == "Y"].names[0])
    if meant.kind not in LOOSE:
        return None
    other = item.groups[slot != "Y"].names[0] if len(item.groups) > 1 else ""
    colour = str(meant.attributes["colour"])
    options: list[tuple[str | None, str | None, str | None]]
    options = [(None, colour, None), (meant.kind, None, None), (meant.kind, colour, None)]
    if size := meant.attributes.get("size"):
        options += [(meant.kind, None, size), (None, None, size)]
    fitting = [(how, _could(author, how, slot, other)) for how in options if any(how)]
    fitting = [(how, names) for how, names in fitting if len(names) > 1]
    if not fitting:
        return None
    how, names = author.rng.choice(fitting)
    if len(names) != len([n for n in author.speaker.fitting(*how)]):
        return None
    shown = f"{author.rng.choice(('the', 'the', 'the', 'the', 'that', 'my', 'this'))} " + (
        author.speaker.described(*how)
    )
    author.mean(item.groups[slot == "Y"], standard(*how))
    words = author.words_for(item, kind, {slot: shown})
    if words is None:
        return None
    author.form = author.mirror.unlooked(item)
    section = author.rng.choice(("imp", "imp", "imp", "told", "hint"))
    if kind == "table":
        section = "imp"
    text = fill(author.phrase(FILES[kind], section), words)
    return (author.framed(text) if section == "imp" else text), Ask(tuple(names))


def _could(
    author: Author, how: tuple[str | None, str | None, str | None], slot: str, other: str
) -> list[str]:
    return [name for name in author.speaker.fitting(*how) if name != other]


def which_way(author: Author) -> tuple[str, Answer] | None:
    """A push without a direction, a thing to be put nobody says where."""
    movable = [e.name for e in author.scene.tagged("graspable")]
    thing = author.speaker.one(author.rng.choice(movable))
    if author.rng.random() < 0.5:
        return author.framed(fill(author.phrase("moved", "undirected"), {"X": thing})), Ask(DIRECTIONS)
    places = tuple(e.name for e in author.scene.entities if {"container"} & e.tags or e.kind == "table")
    return author.framed(fill(author.phrase("moved", "unplaced"), {"X": thing})), Ask(places)


def what(author: Author) -> tuple[str, Answer] | None:
    """A pronoun that stands for nothing."""
    held = any(fact.predicate == "holding" for fact in author.scene.facts)
    openable = tuple(e.name for e in author.scene.tagged("openable"))
    kind = author.rng.choice(("closed", "open", "in", "holding", "moved", "on"))
    if kind in ("closed", "open"):
        words = {"F": author.rng.choice(("it", "it", "that", "this", "that thing"))}
        text = fill(author.phrase(kind, "imp"), words)
        return (author.framed(text), Ask(openable)) if len(openable) > 1 else None
    item = sample_literal(author.rng, author.scene, kind)
    if held or item is None or any(group.pick for group in item.groups):
        return None
    words2 = author.words_for(item, kind)
    if words2 is None:
        return None
    words2["X"] = author.rng.choice(("it", "it", "it", "that", "this", "that one", "one of them", "them"))
    if words2["X"] in ("one of them", "them"):
        words2["X"] = "it"
    names = tuple(e.name for e in author.scene.tagged("graspable"))
    place = item.groups[1].names[0] if kind == "on" else ""
    names = tuple(name for name in names if name != place)
    text = fill(author.phrase(FILES[kind], "imp"), words2)
    return (author.framed(text), Ask(names)) if len(names) > 1 else None
