"""Which skill makes way for which: an edge where one's effects supply what another needs.

As in Plan4MC (Yuan et al., "Skill reinforcement learning and planning for open-world long-horizon tasks",
2023), with the edges read off the cards instead of told by a language model. Predicates are compared, not
things: an edge says that the one can help the other somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from robot_skills.logic import And, Atom, Formula, Not, Or, bind
from robot_skills.skill import Skill

#: A predicate, and whether it is to be true.
Literal = tuple[str, bool]
#: What makes a derived predicate true; what makes it false is the opposite of each.
_MADE_OF: Mapping[str, tuple[Literal, ...]] = {
    "hand_empty": (("holding", False),),
    "clear": (("on", False),),
    "contained": (("in", True),),
    "accessible": (("on", False), ("in", False), ("open", True)),
    "free": (("open", True), ("on", False)),
    "closed": (("open", False), ("ajar", False)),
}


@dataclass(frozen=True)
class Edge:
    """One skill supplies another.

    Attributes:
        giver, taker: names of skills.
        supplies: what the taker needs, as its card says it.
    """

    giver: str
    taker: str
    supplies: tuple[str, ...]


def edges(skills: Mapping[str, Skill]) -> tuple[Edge, ...]:
    """Every edge between two different skills."""
    gives = {name: frozenset(_given(skill)) for name, skill in skills.items()}
    found = []
    for taker, skill in skills.items():
        for giver in skills:
            supplies = [
                _said(part)
                for needed in skill.preconditions
                for part in _parts(needed)
                if giver != taker and gives[giver] & set(_wanted(part))
            ]
            if supplies:
                found.append(Edge(giver, taker, tuple(dict.fromkeys(supplies))))
    return tuple(found)


def _given(skill: Skill) -> Iterator[Literal]:
    """What a skill can bring about."""
    for effect in (*skill.effects, *(effect for each in skill.when for effect in each.effects)):
        for words in _words(skill):
            match bind(effect, words):
                case Atom(predicate):
                    yield predicate, True
                case Not(Atom(predicate)):
                    yield predicate, False


def _words(skill: Skill) -> list[dict[str, str]]:
    """Each choice of each word that a skill takes, one at a time: predicates may be named by one."""
    chosen = [
        {name: value} for name, kind in skill.parameters.items() if isinstance(kind, tuple) for value in kind
    ]
    return chosen or [{}]


def _wanted(formula: Formula, sign: bool = True) -> Iterator[Literal]:
    match formula:
        case Atom(predicate):
            for name, value in _MADE_OF.get(predicate, ((predicate, True),)):
                yield name, value == sign
        case Not(part):
            yield from _wanted(part, not sign)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _wanted(part, sign)


def _parts(formula: Formula) -> tuple[Formula, ...]:
    return formula.parts if isinstance(formula, And) else (formula,)


def _said(formula: Formula) -> str:
    """A condition without its arguments, for a label: "hand empty", "not open"."""
    match formula:
        case Atom(predicate):
            return predicate.replace("_", " ")
        case Not(part):
            return f"not {_said(part)}"
        case And(parts) | Or(parts):
            joint = " and " if isinstance(formula, And) else " or "
            return joint.join(map(_said, parts))
