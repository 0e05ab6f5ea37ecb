"""Backward chaining finds what the forward search finds, and every plan stands up to its replay."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from robot_skills.library import SkillLibrary
from robot_skills.logic import parse
from robot_skills.skill import Skill
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.regression import chain_back, chain_in_order
from robot_skills.symbolic.search import Verdict, search
from robot_skills.symbolic.verification import verify
from tests.planners.conftest import make_scene

THINGS = ("red block", "green block", "blue cylinder", "yellow ball", "white bowl")


@pytest.fixture(scope="module")
def skills() -> Mapping[str, Skill]:
    return SkillLibrary.open().skills


@pytest.mark.parametrize(
    ("goal", "steps"),
    [
        ("pressed(button)", 1),
        ("in(red block, drawer)", 3),
        ("in(red block, drawer) and closed(drawer)", 4),
        ("on(red block, green block) and on(green block, blue cylinder)", 4),
        ("in(yellow ball, drawer) or in(yellow ball, white bowl)", 2),
        ("in(red block, white bowl) and not in(yellow ball, white bowl) and open(door)", 3),
        ("holding(red block) and open(drawer)", 2),
        ("open(drawer) and moved(yellow ball, left) and pressed(button)", 3),
    ],
)
def test_plans_are_as_short_as_those_of_the_forward_search_and_hold(
    skills: Mapping[str, Skill], goal: str, steps: int
) -> None:
    scene, formula = make_scene(THINGS), parse(goal)
    model = ground(skills, scene)
    plan = chain_back(model, formula)
    assert plan is not None
    assert verify(plan, formula, scene, skills).ok
    assert len(plan) == steps == len(search(model, formula).plan)


def test_parts_are_reached_in_the_order_they_are_written_where_that_costs_no_step(
    skills: Mapping[str, Skill],
) -> None:
    model = ground(skills, make_scene(THINGS))
    parts = ("pressed(button)", "open(door)", "moved(yellow ball, left)")
    for order in itertools.permutations(parts):
        plan = chain_in_order(model, parse(" and ".join(order)))
        assert plan is not None
        reached = [str(skills[call.skill].goal(call)) for call in plan]
        assert reached == list(order)
    plan = chain_in_order(model, parse("closed(drawer) and in(red block, drawer)"))
    assert plan is not None
    assert [call.skill for call in plan] == ["open", "pick", "place", "close"]


def test_what_lies_on_a_thing_is_taken_away_first(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(THINGS, ["on(green block, red block)"])
    plan = chain_back(ground(skills, scene), parse("in(red block, white bowl)"))
    assert plan is not None
    assert [str(call) for call in plan[:1]] == ['pick(object="green block")']
    assert len(plan) == 4


@pytest.mark.parametrize(
    "goal",
    [
        "open(drawer) and closed(drawer)",
        "holding(red block) and holding(green block)",
        "on(red block, yellow ball)",
    ],
)
def test_what_cannot_be_is_not_planned_for(skills: Mapping[str, Skill], goal: str) -> None:
    model = ground(skills, make_scene(THINGS))
    assert search(model, parse(goal)).verdict is Verdict.IMPOSSIBLE
    assert chain_back(model, parse(goal), budget=500) is None


def test_a_goal_that_holds_needs_no_step(skills: Mapping[str, Skill]) -> None:
    assert chain_back(ground(skills, make_scene(THINGS)), parse("closed(drawer)")) == ()
