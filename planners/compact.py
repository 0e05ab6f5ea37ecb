"""What passes between the planner and its fine-tuned model: a scene and a command in lines, an answer.

The model reads `describe(scene)` and `prompt(command)` and writes a line in the language of `planners.forms`,
which is resolved in the scene to one of

    in(red block & blue block, drawer) and closed(drawer)      a goal; "&" is each of them
    in(any 2 of red ball | blue ball | white ball, bowl)        a choice: any two will do
    nothing                                                     all that was asked for holds, or need not
    refuse: missing purple cube                                 a reason, with the words it is about
    ask: red block | blue block                                 what could be meant

A choice is written short and expands to the `or` of its possibilities.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Not, Or
from robot_skills.scene_graph import Entity, SceneGraph

#: Why a command is refused. Those of `WORDED` name the words of the command that are to blame.
WORDED = ("missing", "place", "skill")
PLAIN = ("chat", "forbidden", "hazard", "injection")
CANNOT = "cannot"
_PLACES = ("in", "on", "holding")
#: Pairs of choices that are looked through for those that take nothing from each other.
_MOST_PAIRS = 20_000

MOST_WORDS = 4
_LONGEST_READ = 80


@dataclass(frozen=True)
class Group:
    """Some things of a scene: all of them, or any `pick` of them, or one of some `sets`, which are `how`."""

    names: tuple[str, ...]
    pick: int = 0
    sets: tuple[tuple[str, ...], ...] = ()
    how: str = ""

    def __str__(self) -> str:
        if not self.pick:
            return " & ".join(self.names)
        how = f"{self.how} " if self.how else ""
        return f"any {'' if self.pick == 1 else f'{self.pick} '}{how}of {' | '.join(self.names)}"

    def choices(self) -> Iterator[tuple[str, ...]]:
        """The sets of things that would do."""
        every = itertools.combinations(self.names, self.pick) if self.pick else (self.names,)
        yield from self.sets or every


@dataclass(frozen=True)
class Literal:
    """A predicate over groups: `in(red block & blue block, drawer)`, `not pressed(button)`.

    Attributes:
        predicate: of the scene's facts; or `stacked`, a tower in any order; or `elsewhere`, not there.
        groups: what it is about.
        positive: whether it is to hold.
        spelt: the atoms of each way to bring it about, where that takes more than the groups.
    """

    predicate: str
    groups: tuple[Group, ...]
    positive: bool = True
    spelt: tuple[tuple[Atom, ...], ...] = ()

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.groups))
        return f"{'' if self.positive else 'not '}{self.predicate}({inside})"

    def formula(self) -> Formula:
        """What it says of single things."""
        return _either(list(map(_and, self.signed())))

    def signed(self) -> list[tuple[Formula, ...]]:
        """The atoms of each way, or that they do not hold."""
        return [tuple(atom if self.positive else Not(atom) for atom in way) for way in self.ways()]

    def ways(self) -> list[tuple[Atom, ...]]:
        """The atoms of each way to choose; of "one block on another" those with two blocks."""
        if self.spelt:
            return list(self.spelt)
        if self.predicate == "stacked":
            chosen = self.groups[0].choices()
            orders = (order for names in chosen for order in itertools.permutations(names))
            return [tuple(Atom("on", pair) for pair in itertools.pairwise(order)) for order in orders]
        ways = [
            tuple(Atom(self.predicate, each) for each in itertools.product(*names))
            for names in itertools.product(*(group.choices() for group in self.groups))
        ]
        apart = [way for way in ways if all(len({*atom.args}) == len(atom.args) for atom in way)]
        return apart or ways


def literal(predicate: str, *names: str) -> Literal:
    """A literal over single things."""
    return Literal(predicate, tuple(Group((name,)) for name in names))


@dataclass(frozen=True)
class Goal:
    """What is to hold at the end: all of the literals; of none, nothing is to be done."""

    literals: tuple[Literal, ...]

    def __str__(self) -> str:
        return " and ".join(map(str, self.literals)) or "nothing"

    def formula(self) -> Formula:
        """The goal over single things, flat; what is chosen for one place is not for another as well."""
        parts: list[Formula] = []
        for ways in self._apart():
            part = _either(list(map(_and, ways)))
            parts += part.parts if isinstance(part, And) else (part,)
        return _and(list(dict.fromkeys(parts)))

    def _apart(self) -> list[list[tuple[Formula, ...]]]:
        """The ways of each literal; of choices that take from each other, those in which they do not."""
        kept: list[list[tuple[Formula, ...]]] = []
        for item in self.literals:
            mine = item.signed()
            for number, theirs in enumerate(kept):
                if len(mine) * len(theirs) > _MOST_PAIRS:
                    continue
                both = [one + two for one in theirs for two in mine if not _clash(one, two)]
                if not 0 < len(both) < len(mine) * len(theirs):
                    continue
                if len(theirs) == 1:
                    mine = [two for two in mine if not _clash(theirs[0], two)]
                elif len(mine) == 1:
                    kept[number] = [one for one in theirs if not _clash(one, mine[0])]
                else:
                    kept[number], mine = [()], both
            kept.append(mine)
        return [ways for ways in kept if ways != [()]]


def _clash(one: Iterable[Formula], two: Iterable[Formula]) -> bool:
    """Whether a thing is in two places."""
    placed = (
        [each for each in way if isinstance(each, Atom) and each.predicate in _PLACES] for way in (one, two)
    )
    first, second = ({atom.args[0]: atom for atom in each} for each in placed)
    return any(second.get(name, atom) != atom for name, atom in first.items())


@dataclass(frozen=True)
class Refuse:
    """Why not: a reason, and what it is about: words of the command, or the literal that cannot be."""

    reason: str
    about: str = ""

    def __str__(self) -> str:
        return f"refuse: {self.reason} {self.about}".rstrip()


@dataclass(frozen=True)
class Ask:
    """A question: the things, places or directions that could be meant."""

    options: tuple[str, ...]

    def __str__(self) -> str:
        return f"ask: {' | '.join(self.options)}"


Answer: TypeAlias = Goal | Refuse | Ask


def parse_reply(text: str) -> Ask | Refuse:
    """Read a question or a refusal.

    Raises:
        InputError: it is none.
    """
    if text.startswith("ask: "):
        return Ask(tuple(text.removeprefix("ask: ").split(" | ")))
    reason, _, about = text.removeprefix("refuse: ").partition(" ")
    if reason in (*PLAIN, *WORDED, CANNOT) and bool(about) == (reason not in PLAIN):
        return Refuse(reason, about)
    raise InputError(f"{text!r} is no refusal that the planner knows.")


def parse_literal(text: str) -> Literal:
    """Read one literal over single things.

    Raises:
        InputError: it is none.
    """
    match = re.fullmatch(r"(not )?(\w+)\((.+)\)", text)
    if match is None:
        raise InputError(f"{text!r} is no literal such as 'in(red block, drawer)'.")
    groups = tuple(Group((name,)) for name in match[3].split(", "))
    return Literal(match[2], groups, match[1] is None)


def _and(parts: Sequence[Formula]) -> Formula:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _either(parts: Sequence[Formula]) -> Formula:
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def describe(scene: SceneGraph) -> str:
    """The scene in one line: each thing with its size, where the name leaves it out, and its state."""
    shown = []
    for entity in scene.entities:
        if entity.kind != "table":
            state = ", ".join(_state(entity, scene))
            shown.append(f"{entity.name} ({state})" if state else entity.name)
    return f"things: {'; '.join(shown)}\n"


def _state(entity: Entity, scene: SceneGraph) -> Iterator[str]:
    size = entity.attributes.get("size")
    if size and size not in entity.name.split():
        yield size
    if Atom("holding", (entity.name,)) in scene.facts:
        yield "held"
    for fact in sorted(scene.facts):
        if fact.predicate in ("in", "on") and fact.args[0] == entity.name and fact.args[1] != "table":
            yield f"{fact.predicate} {fact.args[1]}"
    if "openable" in entity.tags:
        ajar = Atom("ajar", (entity.name,)) in scene.facts
        yield "ajar" if ajar else "open" if Atom("open", (entity.name,)) in scene.facts else "closed"
    if "pressable" in entity.tags:
        yield "on" if Atom("pressed", (entity.name,)) in scene.facts else "off"


def normalised(command: str) -> str:
    """A command as the model reads it: lower case, single spaces, straight quotes."""
    straight = command.translate(str.maketrans("‘’“”–—", "''\"\"--"))
    return " ".join(straight.lower().split())


def prompt(command: str) -> str:
    """What follows the scene's line, up to where the model's answer begins."""
    return f"say: {normalised(command)}\ndo:"


def words_of(command: str) -> list[str]:
    """The words that a refusal may be about, without the marks around them."""
    bare = (word.strip('.,;:!?"()[]*') for word in normalised(command).split()[:_LONGEST_READ])
    return [word for word in bare if word and word.isprintable()]


def spans(command: str) -> list[str]:
    """Every run of up to four words of a command."""
    words = words_of(command)
    found = (
        " ".join(words[start : start + length])
        for start in range(len(words))
        for length in range(1, MOST_WORDS + 1)
        if start + length <= len(words)
    )
    return list(dict.fromkeys(found))
