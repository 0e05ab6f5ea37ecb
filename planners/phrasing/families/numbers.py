"""Counts over kinds and over all there is: three of these four things, half of them, one each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from planners.compact import Answer, Goal, Group, Literal
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.asides import places_of
from planners.phrasing.groups import any_of
from planners.phrasing.meaning import feasible, sample_literal, step_about
from planners.phrasing.nouns import NUMBERS, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.logic import Atom

_Written = tuple[str, Answer] | None
_ALL_KINDS, _DIGITS = 0.45, 0.15


def _number(author: Author, number: int) -> str:
    return str(number) if author.rng.random() < _DIGITS else NUMBERS[number]


def _place(author: Author) -> Literal | None:
    """A step whose place alone counts."""
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table")))
    return None if step is None or step.groups[1].pick else step


def _sort(author: Author, least: int) -> tuple[str | None, tuple[str, ...]]:
    """A kind of which there are so many, or all that can be moved; few things where there are none."""
    kinds = [kind for kind in LOOSE[:3] if len(author.speaker.fitting(kind)) >= least]
    if not kinds or author.rng.random() < _ALL_KINDS:
        return None, tuple(each.name for each in author.scene.tagged("graspable"))
    kind = author.rng.choice(kinds)
    return kind, author.speaker.fitting(kind)


def _nouns(author: Author, kind: str | None) -> dict[str, str]:
    noun = kind or "thing"
    return {"K": author.speaker.word(f"{noun}s"), "S": author.speaker.word(noun)}


def _written(
    author: Author, section: str, words: dict[str, str], goal: Sequence[tuple[Literal, str]]
) -> _Written:
    """A command of literals, whose first groups are meant by texts."""
    items = tuple(item for item, _ in goal)
    if not feasible(items, author.scene):
        return None
    for item, text in goal:
        author.mean(item.groups[0], text)
        author.mirror.note(item)
    return fill(author.phrase("numbers", section), words), Goal(items)


def _to(step: Literal, names: Sequence[str], pick: int = 0) -> Literal:
    """So many of some things to the place of a step."""
    group = Group(tuple(names), pick if pick < len(names) else 0)
    return Literal(step.predicate, (group, step.groups[1]))


def some_of(author: Author) -> _Written:
    """So many of all that there is, or of a kind, however mixed they are."""
    kind, names = _sort(author, 3)
    step = _place(author)
    words = places_of(author, [step]) if step else None
    if step is None or words is None or not 2 < len(names) < len(NUMBERS):
        return None
    pick = author.rng.choice((len(names) - 1, *range(2, len(names))))
    words |= _nouns(author, kind) | {"N": _number(author, pick), "M": _number(author, len(names))}
    words["N2"] = _number(author, len(names) - pick)
    section, text = "some_of", f"{any_of(pick)} {standard(kind)}"
    if pick == len(names) - 1 and author.rng.random() < 0.4:
        section = "all_but_one_of"
        text = f"all but 1 {standard(kind)}"
    return _written(author, section, words, [(_to(step, names, pick), text)])


def half_of(author: Author) -> _Written:
    """Half of an even number of things."""
    kinds = [kind for kind in LOOSE[:3] if len(author.speaker.fitting(kind)) in (2, 4, 6)]
    four = [kind for kind in kinds if len(author.speaker.fitting(kind)) > 2]
    movable = tuple(each.name for each in author.scene.tagged("graspable"))
    kind = author.rng.choice(four or kinds) if kinds and author.rng.random() < 0.7 else None
    names = author.speaker.fitting(kind) if kind else movable
    step = _place(author)
    words = places_of(author, [step]) if step else None
    if step is None or words is None or len(names) % 2 or not 1 < len(names) < len(NUMBERS):
        return None
    pick = len(names) // 2
    words |= _nouns(author, kind) | {"M": _number(author, len(names))}
    return _written(author, "half_of", words, [(_to(step, names, pick), f"{any_of(pick)} {standard(kind)}")])


def both_plus(author: Author) -> _Written:
    """All of one kind, and any one of another that stands on the table."""
    kinds = [kind for kind in LOOSE[:3] if len(author.speaker.fitting(kind)) > 1]
    step = _place(author)
    words = places_of(author, [step]) if step else None
    if len(kinds) < 2 or step is None or words is None or step.predicate == "on":
        return None
    first, second = author.rng.sample(kinds, 2)
    every = author.speaker.fitting(second)
    loose = [name for name in every if Atom("on", (name, "table")) in author.scene.facts]
    if not loose or (len(loose) == len(every) and author.rng.random() < 0.6):
        return None
    names = author.speaker.fitting(first)
    words |= _nouns(author, first) | {"T": author.speaker.word("table").removeprefix("the ")}
    words |= {f"{letter}2": word for letter, word in _nouns(author, second).items()}
    goal = [(_to(step, names), f"all {first}"), (_to(step, loose, 1), f"any of {second} on table")]
    return _written(author, "both_plus" if len(names) == 2 else "all_plus", words, goal)


def all_things(author: Author) -> _Written:
    """All that can be moved, by their number alone: "all five"."""
    names = tuple(each.name for each in author.scene.tagged("graspable"))
    bowls = len(author.speaker.fitting("bowl"))
    step = _place(author)
    words = places_of(author, [step]) if step else None
    if step is None or words is None or step.predicate == "on" or not 2 < len(names) < len(NUMBERS):
        return None
    words["N"] = _number(author, len(names))
    section = "all_but_bowl" if bowls == 1 and author.rng.random() < 0.35 else "all_things"
    return _written(author, section, words, [(_to(step, names), "all thing")])


def one_stays(author: Author) -> _Written:
    """One or some of a kind go somewhere, the others stay; or one will do, whichever."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    step = _place(author)
    words = places_of(author, [step]) if step else None
    if step is None or words is None or len(names) < 2:
        return None
    if any(Atom(step.predicate, (name, step.groups[1].names[0])) in author.scene.facts for name in names):
        return None
    pick, two = 1, len(names) == 2
    section = "one_stays" if two else "ones_stay"
    if author.rng.random() < 0.5:
        section = "either_single" if two else "any_single"
    elif not two:
        pick = author.rng.randint(2, len(names) - 1)
    words |= _nouns(author, kind) | {"N": _number(author, pick), "M": _number(author, len(names))}
    return _written(author, section, words, [(_to(step, names, pick), f"{any_of(pick)} {kind}")])


def one_each(author: Author) -> _Written:
    """One of a kind to each of two places, whichever."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    containers = [each.name for each in author.scene.tagged("container")]
    if len(names) < 2 or len(containers) < 2:
        return None
    steps = [Literal("in", (Group(names), Group((each,)))) for each in author.rng.sample(containers, 2)]
    words = _nouns(author, kind)
    words |= {"Y": author.plainly(steps[0].groups[1].names[0])}
    words |= {"Y2": author.plainly(steps[1].groups[1].names[0])}
    return _written(author, "one_each", words, [(_to(step, names, 1), f"any of {kind}") for step in steps])


def corrected_count(author: Author) -> _Written:
    """So many; no, so many."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    step = _place(author)
    words = places_of(author, [step]) if step else None
    if step is None or words is None or len(names) < 2:
        return None
    pick = author.rng.randint(1, len(names))
    wrong = [number for number in range(2, len(names) + 1) if number != pick]
    if not wrong:
        return None
    words |= _nouns(author, kind) | {
        "N": _number(author, pick),
        "N2": _number(author, author.rng.choice(wrong)),
    }
    return _written(author, "corrected_count", words, [(_to(step, names, pick), f"{any_of(pick)} {kind}")])


def odd_one(author: Author) -> _Written:
    """The only one of its kind among several of another."""
    kinds = Counter(each.kind for each in author.scene.tagged("graspable"))
    alone = [kind for kind, number in kinds.items() if number == 1]
    if len(kinds) != 2 or len(alone) != 1 or max(kinds.values()) < 2:
        return None
    (name,) = author.speaker.fitting(alone[0])
    step = step_about(author.rng, author.scene, name, ("in", "in", "on"))
    words = places_of(author, [step]) if step else None
    if step is None or words is None:
        return None
    (other,) = {*kinds} - {*alone}
    words |= {f"{letter}2": word for letter, word in _nouns(author, other).items()}
    return _written(author, "odd_one", words, [(step, alone[0])])


def lone(author: Author) -> _Written:
    """The one and only of its kind."""
    kinds = [kind for kind in LOOSE[:3] if len(author.speaker.fitting(kind)) == 1]
    if not kinds:
        return None
    kind = author.rng.choice(kinds)
    (name,) = author.speaker.fitting(kind)
    step = step_about(author.rng, author.scene, name)
    if step is None:
        return None
    shown = fill(author.phrase("numbers", "lone"), _nouns(author, kind))
    author.speaker.mean(name, kind)
    said = author.say(step, author.rng.choice(("imp", "imp", "told")), shown={"X": shown})
    return None if said is None or speaks_back(said) else (author.wrapped(said), Goal((step,)))
