"""Some of these and some of those, any of these on any of those, and two that match."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from planners.compact import Answer, Goal, Group, Literal
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.placing import where
from planners.phrasing.groups import any_of
from planners.phrasing.meaning import feasible, sample_literal
from planners.phrasing.nouns import NUMBERS, colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

_DIGITS, _ALL_OF_THEM = 0.12, 0.35


@dataclass(frozen=True)
class _Some:
    """So many things of a sort.

    Attributes:
        group: which.
        words: how they are called.
        text: the same in the reader's language.
    """

    group: Group
    words: str
    text: str


def _number(author: Author, number: int) -> str:
    return str(number) if author.rng.random() < _DIGITS else NUMBERS[number]


def _sorts(author: Author) -> list[tuple[str | None, str | None, str | None]]:
    """Kinds, colours and sizes by which things of the scene can be called."""
    movable = list(author.scene.tagged("graspable"))
    found: set[tuple[str | None, str | None, str | None]]
    side = author.rng.choice(("kind", "kind", "kind", "colour", "size", "both"))
    if side == "size":
        found = {(e.kind, None, str(e.attributes["size"])) for e in movable if "size" in e.attributes}
    elif side == "colour":
        found = {(None, colour_of(e), None) for e in movable}
    elif side == "both":
        found = {(e.kind, colour_of(e), None) for e in movable} | {(e.kind, None, None) for e in movable}
    else:
        found = {(e.kind, None, None) for e in movable}
    return sorted(found, key=str)


def _some(author: Author, sort: tuple[str | None, str | None, str | None], every: bool) -> _Some:
    """All, or so many, of a sort, as it is said of a scene that has so many of it."""
    names = tuple(name for name in author.speaker.fitting(*sort) if name in author.speaker.movable)
    one, many = (author.speaker.described(*sort, several=several) for several in (False, True))
    if every:
        number = _number(author, len(names))
        said = author.rng.choice(
            (f"the {number} {many}", f"all {number} {many}", f"all the {many}", f"the {many}")
        )
        if len(names) == 1:
            return _Some(Group(names), f"the {one}", standard(*sort))
        if len(names) == 2:
            said = author.rng.choice((f"both {many}", f"the two {many}", f"both the {many}", said))
        return _Some(Group(names), said, f"all {standard(*sort)}")
    pick = 1 if author.rng.random() < 0.6 else author.rng.randint(1, len(names))
    group = Group(names, pick if pick < len(names) else 0)
    text = f"{any_of(pick)} {standard(*sort)}"
    if pick == 1:
        an = "an" if one[0] in "aeiou" else "a"
        ways = [f"{said} {one}" for said in (an, an, "one", "one", "any", "any one", "a single")]
        ways += [f"one of the {many}", f"just one {one}"] if len(names) > 1 else []
        return _Some(group, author.rng.choice(ways), text)
    number = _number(author, pick)
    ways = [f"{number} {many}", f"{number} {many}", f"any {number} {many}", f"just {number} {many}"]
    ways += [f"{number} of the {many}"] if pick < len(names) else []
    ways += [f"a couple of {many}", f"a pair of {many}"] if pick == 2 and len(names) > 2 else []
    return _Some(group, author.rng.choice(ways), text)


def _several(author: Author, most: int = 3) -> list[_Some] | None:
    """Two or three sorts of which no thing is of two, some or all of each."""
    sorts = _sorts(author)
    count = author.rng.choice((2, 2, 3)[:most])
    if len(sorts) < count:
        return None
    chosen = author.rng.sample(sorts, count)
    every = author.rng.randrange(count) if author.rng.random() < _ALL_OF_THEM else -1
    said = [_some(author, sort, number == every) for number, sort in enumerate(chosen)]
    names = [name for each in said for name in each.group.names]
    if len({*names}) < len(names) or not any(each.group.pick for each in said):
        return None
    return said


def _listed(author: Author, parts: Sequence[str]) -> str:
    joint = author.rng.choice((" and ", " and ", " and ", ", ", " plus ", " & ", ", and ", " and also "))
    return ", ".join(parts[:-1]) + joint + parts[-1]


def _goal(author: Author, said: Sequence[_Some], steps: Sequence[Literal]) -> tuple[Literal, ...] | None:
    """Each of some to the place of its step; None where that cannot be."""
    goal = []
    for each, step in zip(said, steps, strict=True):
        author.mean(each.group, each.text)
        goal.append(Literal(step.predicate, (each.group, step.groups[1])))
        author.mirror.note(goal[-1])
    return tuple(goal) if feasible(goal, author.scene) else None


def all_together(author: Author) -> tuple[str, Answer] | None:
    """So many of one sort and so many of another to one place: "one red thing and the two blue ones"."""
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table")))
    said = _several(author)
    if step is None or said is None or step.groups[1].pick:
        return None
    place = where(author, step)
    goal = _goal(author, said, [step] * len(said))
    if goal is None or not place or speaks_back(place):
        return None
    count = sum(each.group.pick or len(each.group.names) for each in said)
    again = (
        ("them", "these", "them all", "all of them", f"the {NUMBERS[count]} of them")
        if count < len(NUMBERS)
        else ("them",)
    )
    words = {"L": _listed(author, [each.words for each in said]), "P": place, "T": author.rng.choice(again)}
    words["N"] = NUMBERS[count] if count < len(NUMBERS) else str(count)
    template = author.phrase("mixtures", "all_together")
    if count != 2:
        template = template.replace("both", "all")
    return fill(template, words), Goal(goal)


def each_apart(author: Author) -> tuple[str, Answer] | None:
    """So many of one sort here, so many of another there."""
    steps = [sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table"))) for _ in "ab"]
    said = _several(author, most=2)
    drawn = [step for step in steps if step and not step.groups[1].pick]
    if len(drawn) < 2 or said is None or drawn[0].groups[1] == drawn[1].groups[1]:
        return None
    places = [where(author, step) or "" for step in drawn]
    goal = _goal(author, said, drawn)
    if goal is None or not all(places) or any(map(speaks_back, places)):
        return None
    words = {"X": said[0].words, "X2": said[1].words, "P": places[0], "P2": places[1]}
    return fill(author.phrase("mixtures", "each_apart"), words), Goal(goal)


_EACH = {"kind": ("kind", "kind", "sort", "type", "shape"), "colour": ("colour", "colour", "color")}


def of_each(author: Author) -> tuple[str, Answer] | None:
    """One of each kind or colour, which are listed: "one of each: a ball, a block and a cylinder"."""
    side = author.rng.choice(sorted(_EACH))
    movable = list(author.scene.tagged("graspable"))
    sorts = dict.fromkeys((e.kind, None) if side == "kind" else (None, colour_of(e)) for e in movable)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table")))
    if step is None or step.groups[1].pick or not 1 < len(sorts) < min(len(movable), 5):
        return None
    said = []
    article = author.rng.choice(("a", "a", "one", "one", "any", ""))
    for kind, colour in author.rng.sample(list(sorts), len(sorts)):
        names = tuple(n for n in author.speaker.fitting(kind, colour) if n in author.speaker.movable)
        noun = author.speaker.word(colour or kind or "")
        if colour and author.rng.random() < 0.4:
            noun += author.rng.choice((" one", " thing"))
        shown = "an" if article == "a" and noun[0] in "aeiou" else article
        group = Group(names, 1 if len(names) > 1 else 0)
        said.append(_Some(group, f"{shown} {noun}".strip(), f"any of {standard(kind, colour)}"))
    place, goal = where(author, step), _goal(author, said, [step] * len(said))
    if goal is None or not place or speaks_back(place):
        return None
    words = {
        "K": author.rng.choice(_EACH[side]),
        "L": _listed(author, [each.words for each in said]),
        "P": place,
    }
    return fill(author.phrase("mixtures", "of_each"), words), Goal(goal)


def of_these(author: Author) -> tuple[str, Answer] | None:
    """So many of some things that are listed: "of block, ball and cylinder, two go in the bowl"."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
    if len(movable) < 3 or step is None or step.groups[1].pick:
        return None
    chosen = author.rng.sample(movable, 3 if len(movable) == 3 or author.rng.random() < 0.75 else 4)
    pick = author.rng.randint(1, len(chosen) - 1)
    item = Literal(step.predicate, (Group(tuple(chosen), pick), step.groups[1]))
    place = where(author, item)
    shown = [author.plainly(name) for name in chosen]
    author.mean(item.groups[0], f"{any_of(pick)} {' | '.join(map(author.speaker.text, chosen))}")
    if author.rng.random() < 0.4:
        shown = [words.removeprefix("the ") for words in shown]
    if not place or not feasible((item,), author.scene):
        return None
    template = author.phrase("mixtures", "of_these")
    if len(chosen) != 3:
        template = template.replace("the three", "these")
    words = {"L": _listed(author, shown), "N": _number(author, pick), "P": place}
    return fill(template, words), Goal((item,))


def on_another(author: Author) -> tuple[str, Answer] | None:
    """Any of a kind on any other of it, or on any of another kind."""
    kinds = [kind for kind in ("block", "cylinder") if author.speaker.fitting(kind)]
    if not kinds:
        return None
    kind, under = author.rng.choice(kinds), author.rng.choice(kinds)
    names, bases = author.speaker.fitting(kind), author.speaker.fitting(under)
    words = {"K": author.speaker.word(f"{kind}s"), "S": author.speaker.word(kind)}
    words |= {"K2": author.speaker.word(f"{under}s"), "S2": author.speaker.word(under)}
    if len(names) < 2 or len(bases) < 2:
        return None
    pair = kind == under and len(names) == 2 and author.rng.random() < 0.6
    section = "on_the_other" if pair else "on_another" if kind == under else "on_any"
    item = Literal("on", (Group(names, 1), Group(bases, 1)))
    author.form = f"on(any of {kind}, {f'other {kind}' if kind == under else f'any of {under}'})"
    if not feasible((item,), author.scene):
        return None
    return fill(author.phrase("mixtures", section), words), Goal((item,))


def _of_one_colour(author: Author, names: Sequence[str]) -> bool:
    return len({colour_of(author.scene.entity(name)) for name in names}) == 1


def matching(author: Author) -> tuple[str, Answer] | None:
    """Two of a kind of one colour, or of two."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table")))
    alike = author.rng.random() < 0.75
    sets = tuple(pair for pair in itertools.combinations(names, 2) if _of_one_colour(author, pair) == alike)
    if step is None or step.groups[1].pick or not sets or len(names) < 3:
        return None
    kept = tuple(name for name in names if any(name in pair for pair in sets))
    how = "alike" if alike else "unlike"
    group = Group(kept, 2, sets, how) if len(sets) > 1 else Group(sets[0])
    item = Literal(step.predicate, (group, step.groups[1]))
    author.mean(group, f"any 2 {how} of {kind}")
    place = where(author, item)
    if not place or not feasible((item,), author.scene):
        return None
    author.mirror.note(item)
    words = {"K": author.speaker.word(f"{kind}s"), "P": place}
    return fill(author.phrase("mixtures", how), words), Goal((item,))


def either(author: Author) -> tuple[str, Answer] | None:
    """One or the other of two, not both; or any of a kind but for one."""
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "on", "table")))
    if step is None or step.groups[1].pick:
        return None
    used = {*step.groups[1].names}
    movable = [e.name for e in author.scene.tagged("graspable") if e.name not in used]
    place = where(author, step)
    if len(movable) < 3 or not place or speaks_back(place):
        return None
    first, second = author.rng.sample(movable, 2)
    words = {"X": author.plainly(first), "X2": author.plainly(second), "P": place}
    words["Y"] = author.plainly(step.groups[1].names[0])
    group, section = Group((first, second), 1), "either"
    text = f"any of {author.speaker.text(first)} | {author.speaker.text(second)}"
    if author.rng.random() < 0.5:
        kind = author.scene.entity(first).kind
        kept = tuple(name for name in author.speaker.fitting(kind) if name != first)
        group, section = Group(kept, 1), "one_but"
        text = f"any of {kind} but {author.speaker.text(first)}"
        words |= {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
        if len(kept) < 2 or used & {*kept}:
            return None
    item = Literal(step.predicate, (group, step.groups[1]))
    if not feasible((item,), author.scene):
        return None
    author.mean(group, text)
    author.mirror.note(item)
    return fill(author.phrase("mixtures", section), words), Goal((item,))
