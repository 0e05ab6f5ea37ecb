"""What a task asks for: a small typed language of clauses, each with the formula that it means.

A goal is data. Its formula, its words (`phrases`) and the scene that it needs (`grammar`) all follow from it,
so that none can say something else than the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from robot_skills.errors import InputError, unknown
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms, parse_atom
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

FAMILIES = (
    "single", "chained", "all_of", "sorting", "counting", "lidded", "stacking", "articulated", "either",
    "conditional",
)  # fmt: skip
#: More choices than this in one clause would make a formula that nobody can read.
MOST_THINGS = 5


@dataclass(frozen=True)
class Clause:
    """One thing that is asked for.

    Attributes:
        kind: one of `MEANINGS`.
        things: names: what is put, pushed or held; of a tower, from the top down; what is opened or pressed.
        places: names of where things go, several only for "either"; the direction of a push; under a tower.
        relation: "in" or "on", where there is a place.
        number: how many, of "at_least" and "exactly".
        group: what the things have in common when they are all there are of it: a kind ("block") or a
            colour ("red").
    """

    kind: str
    things: tuple[str, ...]
    places: tuple[str, ...] = ()
    relation: str = ""
    number: int = 0
    group: str = ""

    def __post_init__(self) -> None:
        """Check what a clause can be by itself, without a scene.

        Raises:
            InputError: it is not a clause of this language.
        """
        if self.kind not in MEANINGS:
            raise unknown("kind of clause", self.kind, MEANINGS)
        if not 1 <= len(self.things) <= MOST_THINGS or len(set(self.things)) != len(self.things):
            raise InputError(f"A clause is about 1 to {MOST_THINGS} different things, not {self.things}.")
        if set(self.things) & set(self.places):
            raise InputError(f"Nothing is put into or onto itself: {self.things} {self.places}.")
        if self.kind in _PLACING and (self.relation not in ("in", "on") or not self.places):
            raise InputError(f"{self.kind} needs a place and a relation, in or on.")
        if self.kind in ("at_least", "exactly") and not 1 <= self.number < len(self.things):
            raise InputError(f"{self.kind} counts from 1 to one less than there are things.")
        if self.kind == "push" and (len(self.things) != 1 or self.places not in _WAYS):
            raise InputError(f"A push moves one thing {', '.join(DIRECTIONS)}, not {self.places}.")
        if self.kind == "tower" and len(self.things) < 2:
            raise InputError("A tower has two things or more.")

    @property
    def formula(self) -> Formula:
        """What is true once it is done."""
        return MEANINGS[self.kind](self)


def _each(predicate: str) -> Callable[[Clause], Formula]:
    return lambda clause: conjunction([Atom(predicate, (thing,)) for thing in clause.things])


def _put(clause: Clause) -> Formula:
    return conjunction([Atom(clause.relation, (thing, clause.places[0])) for thing in clause.things])


def _push(clause: Clause) -> Formula:
    return Atom("moved", (clause.things[0], clause.places[0]))


def _tower(clause: Clause) -> Formula:
    layers = [*clause.things, *clause.places]
    return conjunction([Atom("on", pair) for pair in itertools.pairwise(layers)])


def _at_least(clause: Clause) -> Formula:
    return Or(
        tuple(_these(clause, chosen) for chosen in itertools.combinations(clause.things, clause.number))
    )


def _exactly(clause: Clause) -> Formula:
    ways: list[Formula] = []
    for chosen in itertools.combinations(clause.things, clause.number):
        rest = [thing for thing in clause.things if thing not in chosen]
        outside = [Not(Atom(clause.relation, (thing, clause.places[0]))) for thing in rest]
        ways.append(conjunction([*_parts(_these(clause, chosen)), *outside]))
    return Or(tuple(ways))


def _either(clause: Clause) -> Formula:
    return Or(tuple(Atom(clause.relation, (clause.things[0], place)) for place in clause.places))


def _these(clause: Clause, things: Sequence[str]) -> Formula:
    return conjunction([Atom(clause.relation, (thing, clause.places[0])) for thing in things])


MEANINGS: Mapping[str, Callable[[Clause], Formula]] = {
    "hold": _each("holding"),
    "put": _put,
    "push": _push,
    "open": _each("open"),
    "close": _each("closed"),
    "press": _each("pressed"),
    "tower": _tower,
    "at_least": _at_least,
    "exactly": _exactly,
    "either": _either,
}
_PLACING = ("put", "at_least", "exactly", "either")
_WAYS = tuple((direction,) for direction in DIRECTIONS)


@dataclass(frozen=True)
class Goal:
    """What a task asks for.

    Attributes:
        family: one of `FAMILIES`.
        clauses: all of them are to hold at the end, in the order in which they are said.
        condition: an atom; when it does not hold at the beginning, `otherwise` is asked for instead.
        otherwise: clauses; empty without a condition.
    """

    family: str
    clauses: tuple[Clause, ...]
    condition: str = ""
    otherwise: tuple[Clause, ...] = ()

    def __post_init__(self) -> None:
        """Check that it is a goal.

        Raises:
            InputError: it is not one of this language.
        """
        if self.family not in FAMILIES:
            raise unknown("family of goals", self.family, FAMILIES)
        if not self.clauses or bool(self.condition) != bool(self.otherwise):
            raise InputError("A goal has clauses, and a condition together with what holds otherwise.")
        if self.condition:
            parse_atom(self.condition)

    @property
    def formula(self) -> Formula:
        """What is to hold at the end (where there is a condition, if it held at the beginning)."""
        return conjunction([part for clause in self.clauses for part in _parts(clause.formula)])

    @property
    def alternative(self) -> Formula | None:
        """What is to hold at the end if the condition did not hold at the beginning."""
        if not self.condition:
            return None
        return conjunction([part for clause in self.otherwise for part in _parts(clause.formula)])

    def given(self, scene: SceneGraph) -> Formula:
        """What is to hold at the end, given the scene at the beginning."""
        alternative = self.alternative
        if alternative is None or scene.holds(parse_atom(self.condition)):
            return self.formula
        return alternative

    def branches(self) -> tuple[Formula, ...]:
        """Every formula that it may come to."""
        alternative = self.alternative
        return (self.formula,) if alternative is None else (self.formula, alternative)

    def all_clauses(self) -> tuple[Clause, ...]:
        """Those of both branches."""
        return (*self.clauses, *self.otherwise)

    def names(self) -> tuple[str, ...]:
        """Everything that it names, in order, directions and the table left out."""
        found = dict.fromkeys(self._mentioned())
        return tuple(name for name in found if name != "table" and name not in DIRECTIONS)

    def _mentioned(self) -> Iterator[str]:
        for clause in self.all_clauses():
            yield from (*clause.things, *clause.places)
        if self.condition:
            yield from parse_atom(self.condition).args


def conjunction(parts: Sequence[Formula]) -> Formula:
    """All of these, in the simplest form."""
    unique = tuple(dict.fromkeys(parts))
    return unique[0] if len(unique) == 1 else And(unique)


def literals(formula: Formula) -> tuple[Atom, ...]:
    """Its atoms, each once, in order."""
    return tuple(dict.fromkeys(atoms(formula)))


def _parts(formula: Formula) -> tuple[Formula, ...]:
    return formula.parts if isinstance(formula, And) else (formula,)
