"""Formulas: text and back, truth, binding."""

from __future__ import annotations

import random

import pytest

from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms, bind, holds, parse, parse_atom

A, B, C = Atom("hand_empty"), Atom("on", ("red block", "table")), Atom("open", ("drawer",))


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("hand_empty", A),
        ("on(red block, table)", B),
        (" on( red block ,table ) ", B),
        ("not open(drawer)", Not(C)),
        ("not not open(drawer)", Not(Not(C))),
        ("hand_empty and not open(drawer)", And((A, Not(C)))),
        ("hand_empty and on(red block, table) or open(drawer)", Or((And((A, B)), C))),
        ("hand_empty and (on(red block, table) or open(drawer))", And((A, Or((B, C))))),
        ("not (hand_empty or open(drawer))", Not(Or((A, C)))),
        ("true", And(())),
        ("false", Or(())),
        ("{relation}(object, target)", Atom("{relation}", ("object", "target"))),
        ("nothing(left)", Atom("nothing", ("left",))),
        ("order(x) and android(y)", And((Atom("order", ("x",)), Atom("android", ("y",))))),
    ],
)
def test_text_means_what_it_reads(text: str, formula: Formula) -> None:
    assert parse(text) == formula


def draw(rng: random.Random, depth: int) -> Formula:
    """A formula as the parser nests them: neither conjunctions in conjunctions nor of one part."""
    kind = rng.choice(["atom", "not", "and", "or"]) if depth else "atom"
    if kind == "atom":
        return rng.choice([A, B, C, Atom("{relation}", ("object", "big green target"))])
    if kind == "not":
        return Not(draw(rng, depth - 1))
    joined = And if kind == "and" else Or
    parts: list[Formula] = []
    while len(parts) < rng.choice([2, 3]):
        part = draw(rng, depth - 1)
        if not isinstance(part, joined):
            parts.append(part)
    return joined(tuple(parts))


def test_text_and_back_is_the_same_formula() -> None:
    rng = random.Random(0)
    for _ in range(500):
        formula = draw(rng, 3)
        assert parse(str(formula)) == formula, str(formula)
    for empty in (And(()), Or(())):
        assert parse(str(empty)) == empty


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "and", "not", "hand_empty and", "hand_empty or or open(drawer)"),
        *("(hand_empty", "hand_empty)", "on(red block, )", "on(a, b", "on(a, (b))"),
        *("a b", "hand-empty", "$"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert repr(text) in str(caught.value)


def test_one_atom_is_asked_for() -> None:
    assert parse_atom("on(red block, table)") == B
    with pytest.raises(InputError, match="one atom"):
        parse_atom("not hand_empty")


def test_truth_tables() -> None:
    for a in (False, True):
        for c in (False, True):
            true = {A: a, C: c}.__getitem__
            assert holds(parse("hand_empty and open(drawer)"), true) == (a and c)
            assert holds(parse("hand_empty or open(drawer)"), true) == (a or c)
            assert holds(parse("not (hand_empty and open(drawer))"), true) == (not (a and c))
            assert holds(parse("true"), true)
            assert not holds(parse("false"), true)


def test_binding_replaces_parameters_and_braced_predicates_only() -> None:
    names = {"object": "red block", "target": "drawer", "relation": "in", "on": "nonsense"}
    text = "{relation}(object, target) and not on(object, target) or held(objects)"
    bound = bind(parse(text), names)
    assert str(bound) == "(in(red block, drawer) and not on(red block, drawer)) or held(objects)"
    assert bind(parse("{verb}(object)"), names) == Atom("{verb}", ("red block",))


def test_atoms_come_left_to_right() -> None:
    assert list(atoms(parse("hand_empty and (not open(drawer) or on(red block, table))"))) == [A, C, B]
