"""What the derived predicates of scene graphs are in terms of the others, as PDDL expressions.

The same definitions as in `robot_skills.scene_graph`, with quantifiers: they hold in any scene.
"""

from __future__ import annotations

from robot_skills.logic import Atom
from robot_skills.symbolic.pddl.expressions import Expression

DERIVED = ("hand_empty", "clear", "contained", "accessible", "free", "closed", "different")
#: Static predicates that the definitions need: what can be shut, and where any number of things stand.
OPENABLE, WIDE = "openable", "wide"
_ANY = "?any"


def defined(predicate: str, args: tuple[str, ...]) -> Expression | None:
    """A derived predicate of some terms; None where the predicate is no derived one."""
    match predicate, args:
        case "hand_empty", ():
            return _none(("holding", _ANY))
        case "clear", (thing,):
            return _none(("on", _ANY, thing))
        case "contained", (thing,):
            return ("exists", (_ANY,), ("in", thing, _ANY))
        case "accessible", (thing,):
            reached = ("forall", (_ANY,), ("or", ("not", ("in", thing, _ANY)), _not_shut(_ANY)))
            return ("and", _none(("on", _ANY, thing)), reached)
        case "free", (thing,):
            return ("and", _not_shut(thing), ("or", (WIDE, thing), _none(("on", _ANY, thing))))
        case "closed", (thing,):
            return ("and", (OPENABLE, thing), ("not", ("open", thing)), ("not", ("ajar", thing)))
        case "different", names:
            pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
            return ("and", *(("not", ("=", one, other)) for one, other in pairs))
    return None


def known(terms: tuple[str, ...]) -> dict[Expression, Atom]:
    """Every definition over some terms, for telling in a formula what it defines."""
    found: dict[Expression, Atom] = {}
    for predicate in DERIVED:
        if predicate == "hand_empty":
            groups: list[tuple[str, ...]] = [()]
        elif predicate == "different":
            continue  # pairs that differ are read as they are written
        else:
            groups = [(term,) for term in terms]
        for args in groups:
            expression = defined(predicate, args)
            assert expression is not None
            found[expression] = Atom(predicate, args)
    return found


def _none(expression: Expression) -> Expression:
    return ("forall", (_ANY,), ("not", expression))


def _not_shut(thing: str) -> Expression:
    return ("or", ("not", (OPENABLE, thing)), ("open", thing))
