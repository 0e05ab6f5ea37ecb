"""Things counted as they are spoken of: all so many of them, one more of those, these two things."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal
from planners.phrasing.author import Author
from planners.phrasing.families.placing import where
from planners.phrasing.groups import any_of
from planners.phrasing.meaning import feasible, sample_literal
from planners.phrasing.nouns import NUMBERS, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill


def all_counted(author: Author) -> tuple[str, Answer] | None:
    """All of a kind, or of a kind and colour, with their number: "three balls, one bowl: in with them"."""
    kind = author.rng.choice((*LOOSE[:3], *LOOSE[:3], None))
    movable = [each for each in author.scene.tagged("graspable") if kind in (None, each.kind)]
    colour = None
    if movable and (kind is None or author.rng.random() < 0.3):
        colour = str(author.rng.choice(movable).attributes["colour"])
    names = tuple(e.name for e in movable if colour in (None, e.attributes["colour"]))
    step = sample_literal(author.rng, author.scene, "in")
    if len(names) < 2 or step is None or step.groups[1].pick:
        return None
    item = Literal("in", (Group(names), step.groups[1]))
    place = author.speaker.group(step.groups[1])
    if place is None or not feasible((item,), author.scene):
        return None
    author.mean(item.groups[0], f"all {standard(kind, colour)}")
    words = {"Y": place, "N": _number(author, len(names))}
    words["K"] = author.speaker.described(kind, colour, None, several=True)
    section = "all_two" if len(names) == 2 and author.rng.random() < 0.5 else "all_counted"
    return fill(author.phrase("counts", section), words), Goal((item,))


def _number(author: Author, number: int) -> str:
    return NUMBERS[number] if author.rng.random() < 0.85 else str(number)


def one_more(author: Author) -> tuple[str, Answer] | None:
    """Something is in there already, and so many of a kind are to join it."""
    inside = sorted(f.args for f in author.scene.facts if f.predicate == "in")
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    if not inside or len(names) < 2:
        return None
    there, place = author.rng.choice(inside)
    pick = 1 if len(names) == 2 or author.rng.random() < 0.7 else 2
    item = Literal("in", (Group(names, pick), Group((place,))))
    if {name for name, _ in inside} & {*names} or not feasible((item,), author.scene):
        return None
    author.mean(item.groups[0], f"{any_of(pick)} {kind}")
    words = {"X": author.plainly(there), "Y": author.plainly(place), "S": author.speaker.word(kind)}
    words |= {"K": author.speaker.word(f"{kind}s"), "N": NUMBERS[pick]}
    words["Z"] = author.speaker.described(author.scene.entity(there).kind, None, None)
    return fill(author.phrase("counts", "one_more"), words), Goal((item,))


def listed_count(author: Author) -> tuple[str, Answer] | None:
    """So many things for one place, and then which: "two things go in the bowl: the ball and the peg"."""
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
    movable = [each.name for each in author.scene.tagged("graspable")]
    count = author.rng.choice((2, 2, 3))
    if step is None or step.groups[1].pick or len(movable) < count:
        return None
    item = Literal(step.predicate, (Group(tuple(author.rng.sample(movable, count))), step.groups[1]))
    if not feasible((item,), author.scene):
        return None
    place = where(author, item)
    shown = [author.speaker.one(name) for name in item.groups[0].names]
    author.mean(item.groups[0], " & ".join(map(author.speaker.text, item.groups[0].names)))
    listed = f"{', '.join(shown[:-1])} and {shown[-1]}"
    words = {"N": _number(author, count), "P": place or "", "X": listed}
    return (fill(author.phrase("counts", "listed_count"), words), Goal((item,))) if place else None
