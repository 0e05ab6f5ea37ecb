"""The language between the planner and its fine-tuned model: a scene in one line, an answer in one line.

The model reads `describe(scene)` and the command, and writes one of

    in(red block & blue block, drawer) and closed(drawer)      a goal; "&" is each of them
    in(any 2 of red ball | blue ball | white ball, bowl)        a choice: any two will do
    nothing                                                     all that was asked for holds, or need not
    refuse: missing purple cube                                 a reason, with the words it is about
    ask: red block | blue block                                 what could be meant

A choice is written short and expands to the `or` of its possibilities. `grammar` admits only literals that
are well typed in the scene, and only words of the command as what a refusal is about.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Not, Or
from robot_skills.scene_graph import DIRECTIONS, Entity, SceneGraph

#: Why a command is refused. Those of `WORDED` name the words of the command that are to blame.
WORDED = ("missing", "place", "skill")
PLAIN = ("chat", "forbidden", "hazard", "injection")
CANNOT = "cannot"

MOST_WORDS = 4
_LONGEST_READ = 80
_MOST_LITERALS = 12
_MOST_STACKED = 4


@dataclass(frozen=True)
class Group:
    """Some things of a scene: all of them, or any `pick` of them."""

    names: tuple[str, ...]
    pick: int = 0

    def __str__(self) -> str:
        if not self.pick:
            return " & ".join(self.names)
        return f"any {'' if self.pick == 1 else f'{self.pick} '}of {' | '.join(self.names)}"

    def choices(self) -> Iterator[tuple[str, ...]]:
        """The sets of things that would do."""
        yield from itertools.combinations(self.names, self.pick) if self.pick else (self.names,)


@dataclass(frozen=True)
class Literal:
    """A predicate over groups: `in(red block & blue block, drawer)`, `not pressed(button)`."""

    predicate: str
    groups: tuple[Group, ...]
    positive: bool = True

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.groups))
        return f"{'' if self.positive else 'not '}{self.predicate}({inside})"

    def formula(self) -> Formula:
        """What it says of single things."""
        if self.predicate == "stacked":
            return _towers(self.groups[0].names)
        ways = []
        for chosen in itertools.product(*(group.choices() for group in self.groups)):
            ground = [Atom(self.predicate, names) for names in itertools.product(*chosen)]
            ways.append(_and([atom if self.positive else Not(atom) for atom in ground]))
        return ways[0] if len(ways) == 1 else Or(tuple(ways))


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
        """The goal over single things, flat."""
        parts: list[Formula] = []
        for each in self.literals:
            part = each.formula()
            parts += part.parts if isinstance(part, And) else (part,)
        return _and(list(dict.fromkeys(parts)))


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


def parse_answer(text: str) -> Answer:
    """Read an answer.

    Raises:
        InputError: it is none.
    """
    text = text.strip()
    if text == "nothing":
        return Goal(())
    if text.startswith("ask: "):
        return Ask(tuple(text.removeprefix("ask: ").split(" | ")))
    if text.startswith("refuse: "):
        reason, _, about = text.removeprefix("refuse: ").partition(" ")
        if reason in (*PLAIN, *WORDED, CANNOT) and bool(about) == (reason not in PLAIN):
            return Refuse(reason, about)
        raise InputError(f"{text!r} is no refusal that the planner knows.")
    parts = re.split(r"(?<=\)) and ", text)
    return Goal(tuple(map(parse_literal, parts)))


_LITERAL = re.compile(r"(not )?(\w+)\((.+)\)")
_CHOICE = re.compile(r"any (?:(\d) )?of (.+)")


def parse_literal(text: str) -> Literal:
    """Read one literal.

    Raises:
        InputError: it is none.
    """
    match = _LITERAL.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is no literal such as 'in(red block & blue block, drawer)'.")
    return Literal(match[2], tuple(map(_group, match[3].split(", "))), match[1] is None)


def _group(text: str) -> Group:
    match = _CHOICE.fullmatch(text)
    if match is None:
        return Group(tuple(text.split(" & ")))
    return Group(tuple(match[2].split(" | ")), int(match[1] or 1))


def _and(parts: Sequence[Formula]) -> Formula:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _towers(names: Sequence[str]) -> Formula:
    orders = itertools.permutations(names)
    towers = tuple(_and([Atom("on", pair) for pair in itertools.pairwise(order)]) for order in orders)
    return towers[0] if len(towers) == 1 else Or(towers)


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


def grammar(scene: SceneGraph, command: str) -> str:
    """A GBNF grammar of the answers there can be to a command in a scene."""
    names = [entity.name for entity in scene.entities]
    rules = dict(_literal_rules(scene))
    lines = [
        f'root ::= " " (goal | "nothing" | "ask: " asked | "refuse: " why) {_quoted(chr(10))}',
        f'goal ::= literal (" and " literal){{0,{_MOST_LITERALS - 1}}}',
        f"literal ::= {' | '.join(f'({rule})' for rule in rules.values())}",
        'asked ::= name (" | " name){0,15} | direction (" | " direction){1,3}',
        f"name ::= {_either(names)}",
        f"direction ::= {_either(DIRECTIONS)}",
        f'why ::= {_either(PLAIN)} | ({_either(WORDED)}) " " words | {_quoted(CANNOT + " ")} wrong',
        f"words ::= {_either(spans(command) or ['that'])}",
        'wrong ::= ("in(" | "on(") name ", " name ")" | '
        '("holding(" | "open(" | "closed(" | "pressed(" | "moved(") name ")"',
    ]
    return "\n".join([*lines, *_group_rules(scene)]) + "\n"


def _fitting(scene: SceneGraph, relation: str) -> dict[tuple[str, ...], list[str]]:
    """Things that may be put somewhere -> where all of them may be put."""
    found: dict[tuple[str, ...], list[str]] = {}
    for place in scene.entities:
        fitting = tuple(
            e.name for e in scene.entities if Atom("fits", (e.name, relation, place.name)) in scene.facts
        )
        if fitting:
            found.setdefault(fitting, []).append(place.name)
    return found


_UNARY = {
    "holding": "graspable", "open": "openable", "closed": "openable", "pressed": "pressable",
    "not pressed": "pressable",
}  # fmt: skip


def _literal_rules(scene: SceneGraph) -> Iterator[tuple[str, str]]:
    for relation in ("in", "on"):
        for number, places in enumerate(_fitting(scene, relation).values()):
            where = _either(places)
            several = f' | "any of " ({where}) (" | " ({where})){{1,9}}' if len(places) > 1 else ""
            name = f"{relation}{number}"
            yield name, f'"{relation}(" {name}s ", " ({where}{several}) ")"'
    for predicate, tag in _UNARY.items():
        if any(scene.tagged(tag)):
            yield predicate, f'"{predicate}(" {tag}s ")"'
    if any(scene.tagged("pushable")):
        yield "moved", '"moved(" pushables ", " direction ")"'
    stackable = [place for places in _fitting(scene, "on") for place in places]
    if len(stackable) > 1:
        one = _either(dict.fromkeys(stackable))
        yield "stacked", f'"stacked(" ({one}) (" & " ({one})){{1,{_MOST_STACKED - 1}}} ")"'


def _group_rules(scene: SceneGraph) -> Iterator[str]:
    """Groups of things that fit somewhere, and groups of things with a tag."""
    groups = [
        (f"{relation}{number}s", names)
        for relation in ("in", "on")
        for number, names in enumerate(_fitting(scene, relation))
    ]
    groups += [
        (f"{tag}s", tuple(entity.name for entity in scene.tagged(tag)))
        for tag in ("graspable", "openable", "pressable", "pushable")
    ]
    for name, members in groups:
        if members:
            one = name[:-1] + "x"
            yield f"{one} ::= {_either(members)}"
            rest = f' (" & " {one}){{0,15}}'
            choice = f' | "any " ([2-9] " ")? "of " {one} (" | " {one}){{1,15}}' if len(members) > 1 else ""
            yield f"{name} ::= {one}{rest}{choice}"


def _either(texts: Iterable[str]) -> str:
    return " | ".join(_quoted(text) for text in texts)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
