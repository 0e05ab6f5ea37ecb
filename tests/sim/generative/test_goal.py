"""Goals, their formulas, and their words."""

from __future__ import annotations

from collections import Counter

import pytest

from robot_skills.errors import InputError
from robot_skills.logic import parse, parse_atom
from robot_skills.scene_graph import SceneGraph
from sim.generative.goal import FAMILIES, Clause, Goal
from sim.generative.grammar import propose
from sim.generative.phrases import instructions
from sim.generative.schema import check_schema
from sim.generative.task import Provenance, make_task


@pytest.mark.parametrize(
    ("clause", "formula"),
    [
        (Clause("hold", ("red block",)), "holding(red block)"),
        (Clause("put", ("a ball", "b ball"), ("c bowl",), "in"), "in(a ball, c bowl) and in(b ball, c bowl)"),
        (Clause("push", ("red ball",), ("left",)), "moved(red ball, left)"),
        (Clause("close", ("door", "red box")), "closed(door) and closed(red box)"),
        (Clause("tower", ("a", "b", "c"), ("d",)), "on(a, b) and on(b, c) and on(c, d)"),
        (Clause("either", ("a",), ("b", "c"), "in"), "in(a, b) or in(a, c)"),
        (Clause("at_least", ("a", "b", "c"), ("d",), "in", 2),
         "(in(a, d) and in(b, d)) or (in(a, d) and in(c, d)) or (in(b, d) and in(c, d))"),
        (Clause("exactly", ("a", "b"), ("d",), "in", 1),
         "(in(a, d) and not in(b, d)) or (in(b, d) and not in(a, d))"),
    ],
)  # fmt: skip
def test_a_clause_means_its_formula(clause: Clause, formula: str) -> None:
    assert str(clause.formula) == formula
    assert parse(formula) == clause.formula


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "fly", "things": ("a",)}, "Unknown kind of clause 'fly'; valid: at_least"),
        ({"kind": "open", "things": ()}, "1 to 5 different things"),
        ({"kind": "put", "things": ("a",), "places": ("a",), "relation": "in"}, "into or onto itself"),
        ({"kind": "put", "things": ("a",), "places": ("b",)}, "a relation, in or on"),
        (
            {"kind": "exactly", "things": ("a", "b"), "places": ("c",), "relation": "in", "number": 2},
            "counts",
        ),
        ({"kind": "push", "things": ("a",), "places": ("up",)}, "left, right, forward, back"),
        ({"kind": "tower", "things": ("a",)}, "two things or more"),
    ],
)
def test_what_is_no_clause_is_refused_with_what_would_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Clause(**fields)  # type: ignore[arg-type]


def test_a_condition_decides_at_the_beginning_what_is_asked_for() -> None:
    goal = Goal(
        "conditional", (Clause("open", ("door",)),), "pressed(button)", (Clause("close", ("drawer",)),)
    )
    lit = SceneGraph((), frozenset({parse_atom("pressed(button)")}))
    assert goal.given(lit) == parse("open(door)")
    assert goal.given(SceneGraph((), frozenset())) == parse("closed(drawer)")
    assert set(goal.names()) == {"door", "button", "drawer"}
    with pytest.raises(InputError, match="together with what holds otherwise"):
        Goal("single", goal.clauses, "pressed(button)")


def test_proposals_are_well_typed_of_every_family_and_fixed_by_their_number() -> None:
    families: Counter[str] = Counter()
    for number in range(150):
        proposal = propose(3, number)
        check_schema(make_task(proposal, number, Provenance("grammar", 3, number)))
        families[proposal.goal.family] += 1
    assert set(families) == set(FAMILIES)
    assert propose(3, 7) == propose(3, 7) != propose(4, 7)
    only = {family: float(family == "stacking") for family in FAMILIES}
    assert {propose(3, number, only).goal.family for number in range(20)} == {"stacking"}


def test_every_phrasing_names_everything_that_the_goal_names() -> None:
    for number in range(150):
        goal = propose(5, number).goal
        said = instructions(goal, number)
        assert len(set(said)) == len(said) >= 2, goal
        grouped = {thing for clause in goal.all_clauses() if clause.group for thing in clause.things}
        for text in said:
            assert text[0].isupper()
            assert text.endswith(".")
            assert "{" not in text
            for name in set(goal.names()) - grouped:
                assert name.split()[0] in text.lower(), (name, text)
        plain = said[-1].lower()
        for name in set(goal.names()) - grouped:
            assert name in plain, (name, plain)
