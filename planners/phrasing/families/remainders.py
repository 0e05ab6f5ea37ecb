"""More of what lies there already, and what is left: another of them, the others, those on the table."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.placing import where
from planners.phrasing.groups import any_of
from planners.phrasing.meaning import feasible, sample_literal
from planners.phrasing.nouns import NUMBERS, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.logic import Atom
from robot_skills.scene_graph import Entity

_COLOURED = 0.12


def _number(author: Author, number: int) -> str:
    return NUMBERS[number] if author.rng.random() < 0.85 else str(number)


def _kind_and_place(author: Author) -> tuple[str, Entity] | None:
    """A kind and a container; more often than not one that holds some of the kind."""
    kinds = sorted({each.kind for each in author.scene.tagged("graspable")}, key=LOOSE.index)
    places = list(author.scene.tagged("container"))
    pairs = [(kind, place) for kind in kinds for place in places if len(author.speaker.fitting(kind)) > 1]
    begun = [(kind, place) for kind, place in pairs if _inside(author, kind, place.name)]
    chosen = begun if begun and author.rng.random() < 0.75 else pairs
    return author.rng.choice(chosen) if chosen else None


def _inside(author: Author, kind: str, place: str) -> list[str]:
    return [name for name in author.speaker.fitting(kind) if Atom("in", (name, place)) in author.scene.facts]


def _counted(author: Author, kind: str, count: int) -> str:
    """What is there, as it is counted: "a ball", "just the one", "two of them"."""
    if count == 1:
        noun = author.speaker.word(kind)
        return author.rng.choice(
            (f"one {noun}", f"one {noun}", f"a {noun}", f"a single {noun}", "one", "the one")
        )
    number, noun = _number(author, count), author.speaker.word(f"{kind}s")
    return author.rng.choice((f"{number} {noun}", f"{number} {noun}", f"{number} of the {noun}", number))


def more_there(author: Author) -> tuple[str, Answer] | None:
    """So many more of a kind besides those that are in already: "another ball in the bowl"."""
    drawn = _kind_and_place(author)
    if drawn is None:
        return None
    kind, place = drawn
    inside = _inside(author, kind, place.name)
    outside = tuple(name for name in author.speaker.fitting(kind) if name not in inside)
    if not outside:
        return None
    pick = author.rng.choice((1, 1, *range(1, len(outside) + 1)))
    group = Group(outside, pick if pick < len(outside) else 0)
    item = Literal("in", (group, Group((place.name,))))
    if not feasible((item,), author.scene):
        return None
    words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s"), "N": _number(author, pick)}
    words |= {"Y": author.plainly(place.name), "M": NUMBERS[len(inside) + pick]}
    section = "another" if pick == 1 else "more"
    if inside and author.rng.random() < 0.55:
        section, words["C"] = f"{section}_counted", _counted(author, kind, len(inside))
    author.mean(group, f"{any_of(pick)} {kind} but {kind} in {author.speaker.text(place.name)}")
    return fill(author.phrase("remainders", section), words), Goal((item,))


def the_others_too(author: Author) -> tuple[str, Answer] | None:
    """The rest of a kind, to where the first of them lies."""
    drawn = _kind_and_place(author)
    inside = _inside(author, drawn[0], drawn[1].name) if drawn else []
    if drawn is None or not inside:
        return None
    kind, place = drawn
    outside = tuple(name for name in author.speaker.fitting(kind) if name not in inside)
    item = Literal("in", (Group(outside), Group((place.name,))))
    if len(outside) < 2 or not feasible((item,), author.scene):
        return None
    words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    words |= {"Y": author.plainly(place.name), "N": _number(author, len(outside))}
    words["C"] = (
        _counted(author, kind, len(inside)) if len(inside) > 1 else f"the {author.speaker.word(kind)}"
    )
    author.mean(item.groups[0], f"all {kind} but {kind} in {author.speaker.text(place.name)}")
    return fill(author.phrase("remainders", "rest_in"), words), Goal((item,))


def no_more_there(author: Author) -> tuple[str, Answer] | None:
    """No more of a kind there; the others, or so many of them, go elsewhere."""
    drawn = _kind_and_place(author)
    if drawn is None:
        return None
    kind, there = drawn
    inside = _inside(author, kind, there.name)
    outside = tuple(name for name in author.speaker.fitting(kind) if name not in inside)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
    if not inside or step is None or step.groups[1].pick or step.groups[1].names == (there.name,):
        return None
    if len(outside) < 2:
        return None
    pick = author.rng.choice((0, 0, 0, 1, author.rng.randint(1, len(outside) - 1)))
    item = Literal(step.predicate, (Group(outside, pick), step.groups[1]))
    if not feasible((item,), author.scene):
        return None
    words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    words |= {"Y": author.plainly(there.name), "P": where(author, item) or ""}
    words["N"] = _number(author, pick or len(outside))
    every = any_of(pick) if pick else "all"
    author.mean(item.groups[0], f"{every} {kind} but {kind} in {author.speaker.text(there.name)}")
    if not words["P"] or speaks_back(words["P"]):
        return None
    section = ("outside_one" if pick == 1 else "outside_more") if pick else "no_more"
    return fill(author.phrase("remainders", section), words), Goal((item,))


def off_the_table(author: Author) -> tuple[str, Answer] | None:
    """All, or so many, of a kind that stand on the table."""
    kind = author.rng.choice(LOOSE[:3])
    every = author.speaker.fitting(kind)
    colour = None
    if every and author.rng.random() < _COLOURED:
        colour = str(author.scene.entity(author.rng.choice(every)).attributes["colour"])
        every = author.speaker.fitting(kind, colour)
    names = tuple(name for name in every if Atom("on", (name, "table")) in author.scene.facts)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "on", "on")))
    if len(names) < 2 or step is None or any(group.pick for group in step.groups[1:]):
        return None
    if len(names) == len(every) and author.rng.random() < 0.5:
        return None
    pick = author.rng.choice((0, 1, 1, author.rng.randint(1, len(names) - 1)))
    if step.predicate == "on" and (pick != 1 or {*step.groups[1].names} & {*names}):
        return None
    item = Literal(step.predicate, (Group(names, pick), step.groups[1]))
    if not feasible((item,), author.scene):
        return None
    words = {
        "S": author.speaker.described(kind, colour, None),
        "N": _number(author, pick),
        "T": author.speaker.word("table"),
    }
    words |= {
        "K": author.speaker.described(kind, colour, None, several=True),
        "M": _number(author, len(names)),
    }
    words["P"] = where(author, item) or ""
    author.mean(item.groups[0], f"{any_of(pick) if pick else 'all'} {standard(kind, colour)} on table")
    section = "table_all" if not pick else "table_one" if pick == 1 else "table_more"
    return (fill(author.phrase("remainders", section), words), Goal((item,))) if words["P"] else None


def table_but(author: Author) -> tuple[str, Answer] | None:
    """All that stands on the table, except for something."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    names = [name for name in movable if Atom("on", (name, "table")) in author.scene.facts]
    step = sample_literal(author.rng, author.scene, "in")
    if len(names) < 2 or len(names) == len(movable) or step is None or step.groups[1].pick:
        return None
    out = author.rng.choice(names)
    item = Literal("in", (Group(tuple(name for name in names if name != out)), step.groups[1]))
    if not feasible((item,), author.scene):
        return None
    words = {"X": author.plainly(out), "T": author.speaker.word("table"), "P": where(author, item) or ""}
    author.mean(item.groups[0], f"all thing on table but {author.speaker.text(out)}")
    return (fill(author.phrase("remainders", "table_but"), words), Goal((item,))) if words["P"] else None
