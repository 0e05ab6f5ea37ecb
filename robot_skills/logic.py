"""Ground formulas over what is true in a scene: atoms, negation, conjunction, disjunction.

The text form is what cards, scenes, grammars and reports use: `in(red block, drawer)`,
`not open(drawer)`, `on(red block, table) and pressed(button)`, parentheses, `or`. Names of things may
hold spaces; they may not hold parentheses or commas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from robot_skills.errors import InputError


@dataclass(frozen=True, order=True)
class Atom:
    """A predicate applied to names of things: `on(red block, table)`."""

    predicate: str
    args: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.predicate}({', '.join(self.args)})" if self.args else self.predicate

    def bind(self, names: Mapping[str, str]) -> Atom:
        """Replace parameters by names, in the arguments and in a `{parameter}` predicate."""
        braced = self.predicate.startswith("{")
        predicate = names.get(self.predicate.strip("{}"), self.predicate) if braced else self.predicate
        return Atom(predicate, tuple(names.get(arg, arg) for arg in self.args))


@dataclass(frozen=True)
class Not:
    """Negation."""

    part: Formula

    def __str__(self) -> str:
        return f"not {self.part}" if isinstance(self.part, Atom) else f"not ({self.part})"


@dataclass(frozen=True)
class And:
    """Conjunction; of nothing, it is true."""

    parts: tuple[Formula, ...]

    def __str__(self) -> str:
        return " and ".join(_inner(part) for part in self.parts) or "true"


@dataclass(frozen=True)
class Or:
    """Disjunction; of nothing, it is false."""

    parts: tuple[Formula, ...]

    def __str__(self) -> str:
        return " or ".join(_inner(part) for part in self.parts) or "false"


Formula: TypeAlias = "Atom | Not | And | Or"


def _inner(part: Formula) -> str:
    return f"({part})" if isinstance(part, And | Or) else str(part)


def holds(formula: Formula, true: Callable[[Atom], bool]) -> bool:
    """Whether the formula is true, given which atoms are."""
    match formula:
        case Atom():
            return true(formula)
        case Not(part):
            return not holds(part, true)
        case And(parts):
            return all(holds(part, true) for part in parts)
        case Or(parts):
            return any(holds(part, true) for part in parts)


def atoms(formula: Formula) -> Iterator[Atom]:
    """Every atom in the formula, left to right."""
    match formula:
        case Atom():
            yield formula
        case Not(part):
            yield from atoms(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from atoms(part)


def bind(formula: Formula, names: Mapping[str, str]) -> Formula:
    """Replace parameters by names throughout."""
    match formula:
        case Atom():
            return formula.bind(names)
        case Not(part):
            return Not(bind(part, names))
        case And(parts):
            return And(tuple(bind(part, names) for part in parts))
        case Or(parts):
            return Or(tuple(bind(part, names) for part in parts))


_TOKEN = re.compile(r"\s*(\band\b|\bor\b|\bnot\b|[()]|(?:\{\w+\}|\w+)\s*\([^()]*\)|\w+)")


def parse(text: str) -> Formula:
    """Read a formula from its text form.

    Raises:
        InputError: the text is not a formula; the message shows where it stops being one.
    """
    tokens: list[str] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise InputError(f"Not a formula at {text[position:].strip()!r} in {text!r}.")
        tokens.append(match.group(1))
        position = match.end()
    formula, rest = _disjunction(tokens, text)
    if rest:
        raise InputError(f"Not a formula at {' '.join(rest)!r} in {text!r}.")
    return formula


def parse_atom(text: str) -> Atom:
    """Read one atom, as `on(red block, table)` or `hand_empty`."""
    formula = parse(text)
    if not isinstance(formula, Atom):
        raise InputError(f"Expected one atom such as 'holding(red block)', not {text!r}.")
    return formula


def _disjunction(tokens: list[str], text: str) -> tuple[Formula, list[str]]:
    part, tokens = _conjunction(tokens, text)
    parts = [part]
    while tokens and tokens[0] == "or":
        part, tokens = _conjunction(tokens[1:], text)
        parts.append(part)
    return (parts[0] if len(parts) == 1 else Or(tuple(parts))), tokens


def _conjunction(tokens: list[str], text: str) -> tuple[Formula, list[str]]:
    part, tokens = _term(tokens, text)
    parts = [part]
    while tokens and tokens[0] == "and":
        part, tokens = _term(tokens[1:], text)
        parts.append(part)
    return (parts[0] if len(parts) == 1 else And(tuple(parts))), tokens


def _term(tokens: list[str], text: str) -> tuple[Formula, list[str]]:
    if not tokens or tokens[0] in {"and", "or", ")"}:
        raise InputError(f"The formula {text!r} ends or breaks where an atom should stand.")
    head, rest = tokens[0], tokens[1:]
    if head == "not":
        part, rest = _term(rest, text)
        return Not(part), rest
    if head == "(":
        part, rest = _disjunction(rest, text)
        if not rest or rest[0] != ")":
            raise InputError(f"A parenthesis is not closed in {text!r}.")
        return part, rest[1:]
    if head in {"true", "false"}:
        return (And(()) if head == "true" else Or(())), rest
    name, _, inside = head.partition("(")
    args = tuple(arg.strip() for arg in inside.rstrip(") ").split(",")) if inside else ()
    if inside and not all(args):
        raise InputError(f"An argument is empty in {head!r}.")
    return Atom(name.strip(), args), rest
