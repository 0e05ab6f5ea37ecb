"""Sizes compared: the bigger one, the biggest of each kind, the middle one, towers by size; unknown sizes."""

from __future__ import annotations

import itertools

from planners.compact import Answer, Ask, Goal, Group, Literal, literal
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.nouns import standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

_ORDER = {"small": 0, "medium": 1, "large": 2}


def _by_size(author: Author, kind: str, colour: str | None = None) -> list[str] | None:
    """All of a kind from the smallest to the biggest; None where two are alike or one's size is not known."""
    names = author.speaker.fitting(kind, colour)
    sizes = [author.scene.entity(name).attributes.get("size") for name in names]
    if len(names) < 2 or not all(size in _ORDER for size in sizes) or len({*sizes}) < len(sizes):
        return None
    return sorted(names, key=lambda name: _ORDER[str(author.scene.entity(name).attributes["size"])])


def which_is(author: Author) -> tuple[str, Answer] | None:
    """Which of them is bigger? That one."""
    kind = author.rng.choice(LOOSE[:3])
    ordered = _by_size(author, kind)
    if ordered is None:
        return None
    large = author.rng.random() < 0.5
    author.speaker.mean(ordered[-1 if large else 0], f"{'largest' if large else 'smallest'} {kind}")
    step = step_about(author.rng, author.scene, ordered[-1 if large else 0])
    said = (
        author.say(step, shown={"X": author.rng.choice(("that one", "that one", "it", "that"))})
        if step
        else None
    )
    if step is None or said is None:
        return None
    words = {"K": author.speaker.word(f"{kind}s"), "S": author.speaker.word(kind), "A": said}
    return fill(author.phrase("comparisons", "which_large" if large else "which_small"), words), Goal((step,))


def each_extreme(author: Author) -> tuple[str, Answer] | None:
    """The biggest, or the smallest, of each kind."""
    kinds = sorted({each.kind for each in author.scene.tagged("graspable")}, key=LOOSE.index)
    ordered = [_by_size(author, kind) for kind in kinds]
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
    if len(kinds) < 2 or step is None:
        return None
    large = author.rng.random() < 0.5
    chosen = {names[-1 if large else 0] for names in ordered if names}
    names = tuple(each.name for each in author.scene.entities if each.name in chosen)
    item = Literal(step.predicate, (Group(names), *step.groups[1:]))
    if len(names) < len(kinds) or not feasible((item,), author.scene):
        return None
    place = where(author, step)
    listed = ", ".join(map(author.speaker.word, kinds[:-1])) + f" and {author.speaker.word(kinds[-1])}"
    words = {"P": place or "", "M": listed}
    author.mean(item.groups[0], " & ".join(f"{'largest' if large else 'smallest'} {kind}" for kind in kinds))
    return fill(author.phrase("comparisons", "each_large" if large else "each_small"), words), Goal((item,))


def of_three(author: Author) -> tuple[str, Answer] | None:
    """Of three sizes the middle one, or the two smaller, or the two bigger ones."""
    kind = author.rng.choice(LOOSE[:3])
    ordered = _by_size(author, kind)
    if ordered is None or len(ordered) < 3:
        return None
    section, meant, text = author.rng.choice(
        (
            ("middle", [1], f"middle {kind}"),
            ("two_small", [0, 1], f"all {kind} but largest {kind}"),
            ("two_large", [1, 2], f"all {kind} but smallest {kind}"),
        )
    )
    names = tuple(name for name in author.speaker.fitting(kind) if name in {ordered[at] for at in meant})
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "table", "moved", "in")))
    if step is None:
        return None
    item = Literal(step.predicate, (Group(names), *step.groups[1:]))
    words = {"K": author.speaker.word(f"{kind}s"), "S": author.speaker.word(kind)}
    author.mean(item.groups[0], text)
    said = author.say(item, shown={"X": fill(author.phrase("comparisons", section), words)})
    return (author.wrapped(said), Goal((item,))) if said and feasible((item,), author.scene) else None


def tower_by_size(author: Author) -> tuple[str, Answer] | None:
    """A tower of all of a kind, the smallest on top, or the biggest."""
    kind = author.rng.choice(("block", "cylinder"))
    colour = author.rng.choice((None, str(author.rng.choice(author.scene.entities).attributes.get("colour"))))
    ordered = _by_size(author, kind, colour)
    if ordered is None:
        return None
    small_up = author.rng.random() < 0.7
    up = ordered[::-1] if small_up else ordered
    goal = tuple(literal("on", above, below) for below, above in itertools.pairwise(up))
    if not feasible(goal, author.scene):
        return None
    words = {"K": author.speaker.described(kind, colour, None, several=True)}
    for extreme, name in zip(
        ("smallest", "middle", "largest"), (ordered[0], ordered[1], ordered[-1]), strict=True
    ):
        author.speaker.mean(name, f"{extreme} {standard(kind, colour)}")
    section = "tower_small" if small_up else "tower_large"
    if len(ordered) == 3 and colour is None and author.rng.random() < 0.5:
        section, words["S"] = f"{section}_three", author.speaker.word(kind)
    else:
        author.form = f"{'pyramid' if small_up else 'upturned'}(all {standard(kind, colour)})"
    return fill(author.phrase("comparisons", section), words), Goal(goal)


def apart(author: Author) -> tuple[str, Answer] | None:
    """The bigger here, the smaller there."""
    kind = author.rng.choice(LOOSE[:3])
    ordered = _by_size(author, kind)
    if ordered is None or len(ordered) != 2:
        return None
    first = step_about(author.rng, author.scene, ordered[1], ("in", "on", "moved"))
    second = step_about(author.rng, author.scene, ordered[0], ("in", "on", "moved"))
    if first is None or second is None or first.groups[1].names == second.groups[1].names:
        return None
    goal = composed((first, second))
    used = {first.groups[1].names[0], second.groups[1].names[0]}
    if goal is None or len(goal) < 2 or not feasible(goal, author.scene) or used & {*ordered}:
        return None
    places = [_going(author, first), _going(author, second)]
    if not all(places) or any(speaks_back(place) for place in places):
        return None
    words = {
        "S": author.speaker.word(kind),
        "K": author.speaker.word(f"{kind}s"),
        "P": places[0],
        "P2": places[1],
    }
    author.speaker.mean(ordered[0], f"smallest {kind}")
    author.speaker.mean(ordered[1], f"largest {kind}")
    return fill(author.phrase("comparisons", "apart"), words), Goal(goal)


def _going(author: Author, step: Literal) -> str:
    """Where a thing goes: a place, or a direction."""
    if step.predicate == "moved":
        return author.speaker.word(step.groups[1].names[0])
    return where(author, step) or ""


def sized(author: Author) -> tuple[str, Answer] | None:
    """All the small things, and nothing large; where every size is known."""
    movable = list(author.scene.tagged("graspable"))
    size = author.rng.choice(("small", "large"))
    names = tuple(each.name for each in movable if each.attributes.get("size") == size)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
    known = all(each.attributes.get("size") in ("small", "large") for each in movable)
    if step is None or not known or not 1 < len(names) < len(movable):
        return None
    item = Literal(step.predicate, (Group(names), *step.groups[1:]))
    if not feasible((item,), author.scene):
        return None
    words = {"C": author.speaker.word(size), "P": where(author, step) or ""}
    author.mean(item.groups[0], f"all {standard(None, None, size)}")
    words["C2"] = author.speaker.word("large" if size == "small" else "small")
    return fill(author.phrase("comparisons", "sized"), words), Goal((item,))


def unknown_size(author: Author) -> tuple[str, Answer] | None:
    """The biggest, where nothing tells which that is: asked."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    sizes = [author.scene.entity(name).attributes.get("size") for name in names]
    large = author.rng.random() < 0.5
    if len(names) < 2 or (any(sizes) and (None in sizes or len({*sizes}) > 1)):
        return None
    step = sample_literal(
        author.rng, author.scene, author.rng.choice(("in", "in", "table", "holding", "moved"))
    )
    if step is None or any(group.pick for group in step.groups[1:]):
        return None
    section = ("comparative" if len(names) == 2 else "superlative") + ("_large" if large else "")
    words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    item = Literal(step.predicate, (Group((names[0],)), *step.groups[1:]))
    author.speaker.mean(names[0], f"{'largest' if large else 'smallest'} {kind}")
    said = author.say(item, shown={"X": fill(author.phrase("nouns", section), words)})
    if said is None:
        return None
    author.form = author.mirror.unlooked(item)
    return author.wrapped(said), Ask(names)
