"""Towers: the one below the top one, the middle one with what it carries, one in another's place."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.descriptions import tier
from planners.forms import PLACE_OF
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.described import means, put, told
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.templates import fill
from robot_skills.logic import Atom

_IT = ("it", "it", "it", "that", "that one")


def one_below(author: Author) -> tuple[str, Answer] | None:
    """The one on top here, the one below it there."""
    tops = [each.name for each in author.scene.entities if tier(each.name, author.scene) == "top"]
    if len(tops) != 1:
        return None
    (above,) = tops
    below = author.base_of(above)
    if below is None:
        return None
    ways = ("in", "in", "holding", "on", "moved")
    steps = [step_about(author.rng, author.scene, name, ways) for name in (above, below)]
    goal = composed(step for step in steps if step)
    if goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    if {above, below} & {name for item in goal for group in item.groups[1:] for name in group.names}:
        return None
    kind = author.scene.entity(above).kind
    said = [author.say(item, shown={"X": author.rng.choice(_IT)}) for item in goal]
    if not all(said):
        return None
    author.speaker.mean(above, f"top {author.rng.choice((kind, kind, 'thing'))}")
    author.speaker.mean(below, f"thing under {author.speaker.text(above)}")
    for item in goal:
        author.mirror.note(item)
    words = {"S": author.speaker.word(kind), "A": said[0] or "", "B": said[1] or ""}
    return fill(author.phrase("towers", "one_below"), words), Goal(goal)


def upper_two(author: Author) -> tuple[str, Answer] | None:
    """The one in the middle with whatever is on it; all of a tower."""
    tiers = {each.name: tier(each.name, author.scene) for each in author.scene.entities}
    names = tuple(name for name, where_ in tiers.items() if where_)
    if not names or sum(where_ == "top" for where_ in tiers.values()) > 1:
        return None
    text, section = "all thing in tower", "whole_tower"
    if "between" in tiers.values() and author.rng.random() < 0.6:
        if sum(where_ == "between" for where_ in tiers.values()) > 1:
            return None
        names = tuple(name for name in names if tiers[name] != "bottom")
        text, section = "all thing in tower but bottom thing", "upper_two"
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table")))
    if step is None or any(group.pick for group in step.groups[1:]):
        return None
    item = Literal(step.predicate, (Group(names), *step.groups[1:]))
    if not feasible((item,), author.scene):
        return None
    kinds = {author.scene.entity(name).kind for name in names}
    kind = kinds.pop() if len(kinds) == 1 else "thing"
    words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    shown = fill(author.phrase("towers", section), words)
    if section == "upper_two" and ("middle" in shown or "halfway" in shown):
        text = f"between {kind} & thing on between {kind}"
    author.mean(item.groups[0], text)
    if author.rng.random() < 0.35:
        verb = author.say(item, shown={"X": author.rng.choice(("it", "them"))})
        return (f"{shown.rstrip(',')}: {verb}", Goal((item,))) if verb else None
    said = author.say(item, author.rng.choice(("imp", "imp", "told")), shown={"X": shown})
    return (author.wrapped(said), Goal((item,))) if said else None


def rebuilt(author: Author) -> tuple[str, Answer] | None:
    """Three things in a stated order, the lowest on the table; a tower is taken down for it."""
    solid = [each.name for each in author.scene.tagged("graspable") if "support" in each.tags]
    stacked = [name for name in solid if tier(name, author.scene)]
    pool = stacked if len(stacked) > 2 else solid
    if len(pool) < 3:
        return None
    low, middle, high = author.rng.sample(pool, 3)
    goal = (literal("on", low, "table"), literal("on", middle, low), literal("on", high, middle))
    if not feasible(goal, author.scene):
        return None
    template = author.phrase("towers", "rebuilt")
    if len(stacked) < 3 and any(word in template for word in ("tower", "stack", "order", "rebuil", "anew")):
        return None
    words = {}
    bare = author.rng.random() < 0.4
    for slot, name in zip("XYZ", (low, middle, high), strict=True):
        entity = author.scene.entity(name)
        if bare and author.speaker.fitting(None, colour_of(entity)) == (name,):
            words[slot] = author.speaker.word(colour_of(entity))
            author.speaker.mean(name, standard(None, colour_of(entity)))
        else:
            words[slot] = author.plainly(name)
    return fill(template, words), Goal(goal)


def in_its_place(author: Author) -> tuple[str, Answer] | None:
    """One thing goes away, and another where it was."""
    gone, new = (each.name for each in author.rng.sample([*author.scene.tagged("graspable")], 2))
    base = author.base_of(gone)
    if base is None:
        return None
    away = step_about(author.rng, author.scene, gone, ("in", "in", "on"))
    if author.rng.random() < 0.3:
        away = literal("on", gone, "table")
    there = literal("on", new, base)
    if away is None or {gone, new, base} & {*away.groups[1].names} or author.scene.holds(there.formula()):
        return None
    fits = Atom("fits", (new, "on", base)) in author.scene.facts
    if not fits or not feasible((away, there), author.scene):
        return None
    words = {"X": told(author, gone), "P": put(author, away) or "", "Y": told(author, new)}
    text = f"{PLACE_OF}{author.speaker.text(gone)}"
    if speaks_back(words["P"]) or not means(author, text, base):
        return None
    author.mirror.note(away)
    author.speaker.mean(base, text)
    author.mirror.note(there)
    return fill(author.phrase("towers", "in_its_place"), words), Goal((away, there))


def rider(author: Author) -> tuple[str, Answer] | None:
    """What stands on a thing goes somewhere, and the thing itself is pushed or put elsewhere."""
    stands = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    if not stands:
        return None
    above, below = author.rng.choice(stands)
    first = step_about(author.rng, author.scene, above, ("in", "in", "on"))
    second = step_about(author.rng, author.scene, below, ("moved", "in"))
    goal = composed(step for step in (first, second) if step)
    if first is None or second is None or goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    if {above, below} & {*first.groups[1].names, *second.groups[1].names}:
        return None
    words = {"Y": told(author, below)}
    if " on " in author.speaker.text(below) or " under " in author.speaker.text(below):
        author.speaker.mean(below, below)
    author.speaker.mean(above, f"thing on {author.speaker.text(below)}")
    words["P"] = where(author, first) or ""
    moved = second.predicate == "moved"
    words["D" if moved else "P2"] = (
        author.speaker.word(second.groups[1].names[0]) if moved else where(author, second) or ""
    )
    if not all(words.values()) or speaks_back(words["P"]) or author.speaker.text(above).count(" than "):
        return None
    for item in goal:
        author.mirror.note(item)
    return fill(author.phrase("towers", "rider" if moved else "rider_put"), words), Goal(goal)


def one_on_other(author: Author) -> tuple[str, Answer] | None:
    """Of the only two of a kind one goes on the other, and which is below is said."""
    kind = author.rng.choice(("block", "block", "cylinder"))
    names = author.speaker.fitting(kind)
    colours = {colour_of(author.scene.entity(name)) for name in names}
    if len(names) != 2 or len(colours) < 2:
        return None
    below, above = author.rng.sample(names, 2)
    goal = literal("on", above, below)
    if not feasible((goal,), author.scene) or author.scene.holds(goal.formula()):
        return None
    under = author.rng.random() < 0.5
    named = below if under else above
    colour = colour_of(author.scene.entity(named))
    author.speaker.mean(named, standard(kind, colour))
    other = f"all {kind} but {standard(kind, colour)}" if under else f"other {kind}"
    author.speaker.mean(above if under else below, other)
    author.mirror.note(goal)
    words = {"K": author.speaker.word(f"{kind}s"), "S": author.speaker.word(kind)}
    words["C"] = author.speaker.word(colour)
    return fill(author.phrase("towers", "one_under" if under else "one_over"), words), Goal((goal,))


def with_load(author: Author) -> tuple[str, Answer] | None:
    """A thing and whatever is on it, both to one place."""
    stands = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table")))
    if not stands or step is None or any(group.pick for group in step.groups[1:]):
        return None
    above, below = author.rng.choice(stands)
    item = Literal(step.predicate, (Group((below, above)), *step.groups[1:]))
    if not feasible((item,), author.scene):
        return None
    shown = told(author, below)
    text = author.speaker.text(below)
    if not means(author, f"thing on {text}", above) or " than " in text or " on " in text:
        return None
    author.mean(item.groups[0], f"{text} & thing on {text}")
    words = fill(author.phrase("towers", "with_load"), {"X": shown})
    said = author.say(item, author.rng.choice(("imp", "imp", "told")), shown={"X": words})
    return (author.wrapped(said), Goal((item,))) if said else None
