"""Our PDDL is what other people's tools take it for: unified-planning reads it, validates our plans and finds
its own; and what is read from PDDL means what it meant.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import And, Formula, parse
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.pddl import expressions
from robot_skills.symbolic.pddl.fast_downward import OPTIMAL, fast_downward, solve
from robot_skills.symbolic.pddl.reader import read_domain, read_goal, read_problem
from robot_skills.symbolic.pddl.writer import Task, write_task
from robot_skills.symbolic.search import Verdict, search
from robot_skills.symbolic.verification import verify
from tests.planners.conftest import make_scene
from tests.robot_skills.symbolic.test_costs_and_conditions import WASHING, kitchen

THINGS = ("red block", "green block", "blue cylinder", "yellow ball")
FEW = ("drawer", "button", "table")


@pytest.fixture(scope="module")
def skills() -> Mapping[str, Skill]:
    return SkillLibrary.open().skills


class Others:
    """A task as unified-planning reads it, and its judgement of plans; reading takes a second."""

    def __init__(self, task: Task) -> None:
        self._up = pytest.importorskip("unified_planning.shortcuts")
        self._up.get_environment().credits_stream = None
        self._task, self._reader = task, pytest.importorskip("unified_planning.io").PDDLReader()
        self._problem = self._reader.parse_problem_string(task.domain, task.problem)

    def accept(self, plan: Sequence[SkillCall]) -> bool:
        with self._up.PlanValidator(name="sequential_plan_validator") as validator:
            validator.skip_checks = True  # it doubts that it knows static costs, which it does
            theirs = self._reader.parse_plan_string(self._problem, self._task.plan(plan))
            return bool(validator.validate(self._problem, theirs))


def by_place(call: SkillCall) -> float:
    return 2.5 if call.args.get("target") == "table" else 1.0


CASES = [
    ("in(red block, drawer) and closed(drawer)", [], None),
    ("on(red block, green block) and on(green block, blue cylinder)", ["on(blue cylinder, red block)"], None),
    ("moved(green block, left) and pressed(button)", ["on(red block, green block)"], by_place),
    (
        "(in(yellow ball, drawer) or holding(yellow ball)) and open(drawer)",
        ["holding(red block)"],
        by_place,
    ),
    (
        "hand_empty and not on(red block, table) and accessible(green block)",
        ["on(red block, green block)"],
        None,
    ),
]


@pytest.mark.parametrize(("goal", "facts", "cost"), CASES)
def test_each_accepts_the_plans_of_the_other(
    skills: Mapping[str, Skill], goal: str, facts: list[str], cost: Any
) -> None:
    scene, wanted = make_scene(THINGS, facts, FEW), parse(goal)
    task = write_task(skills, scene, wanted, cost)
    ours = search(ground(skills, scene, cost or (lambda call: 1.0)), wanted)
    others = Others(task)
    assert others.accept(ours.plan)
    assert not others.accept(ours.plan[:-1])
    theirs = fast_downward(wanted, scene, skills, cost)
    assert theirs.verdict is Verdict.FOUND
    assert verify(theirs.plan, wanted, scene, skills).ok
    assert ours.cost <= theirs.cost + 1e-9


def test_conditional_effects_mean_the_same_to_others() -> None:
    scene, wanted = kitchen(frozenset()), parse("clean(cup) and not wet(cup) and wrapped(cup)")
    task = write_task(WASHING, scene, wanted)
    plans = {
        order: tuple(SkillCall(name, {"object": "cup"}) for name in order)
        for order in (("wrap", "rinse"), ("rinse", "wrap"))
    }
    others = Others(task)
    for plan in plans.values():
        assert others.accept(plan) == verify(plan, wanted, scene, WASHING).ok
    assert fast_downward(wanted, scene, WASHING).plan == plans["wrap", "rinse"]


@pytest.mark.parametrize("seed", range(2))
def test_random_walks_are_plans_to_others_as_to_us(seed: int, skills: Mapping[str, Skill]) -> None:
    """A walk leads to a state; a step of it left out mostly does not, and both replays say which."""
    rng = random.Random(seed)
    scene = graph = make_scene(THINGS[:3], ["on(red block, green block)", "ajar(drawer)"], FEW)
    walk: list[SkillCall] = []
    for _ in range(6):
        calls = [
            call
            for skill in skills.values()
            for call in skill.groundings(graph)
            if not skill.unmet(call, graph)
        ]
        walk.append(rng.choice(sorted(calls, key=str)))
        graph = skills[walk[-1].skill].after(walk[-1], graph)
    goal = And(tuple(sorted(fact for fact in graph.facts if fact.predicate != "fits")))
    others = Others(write_task(skills, scene, goal))
    for left_out in (None, *range(3)):
        plan = tuple(call for place, call in enumerate(walk) if place != left_out)
        assert others.accept(plan) == verify(plan, goal, scene, skills).ok


@pytest.mark.parametrize(("goal", "facts", "cost"), CASES)
def test_what_we_write_we_read(skills: Mapping[str, Skill], goal: str, facts: list[str], cost: Any) -> None:
    scene, wanted = make_scene(THINGS, facts, FEW), parse(goal)
    task = write_task(skills, scene, wanted)
    domain = read_domain(task.domain)
    again, goal_again = read_problem(task.problem, domain)
    ours, theirs = search(ground(skills, scene), wanted), search(ground(domain.skills, again), goal_again)
    assert verify(theirs.plan, goal_again, again, domain.skills).ok
    assert len(ours.plan) == len(theirs.plan)
    lines = "\n".join(f"({call.skill} {' '.join(call.args.values())})" for call in theirs.plan)
    assert verify(task.calls(lines), wanted, scene, skills).ok
    assert _same(read_goal(task.problem, scene), wanted, scene, skills)


def _same(one: Formula, other: Formula, scene: SceneGraph, skills: Mapping[str, Skill]) -> bool:
    """Whether two goals are the same over the fluents of a scene."""
    model = ground(skills, scene)
    return set(map(str, _parts(model.reduce(one)))) == set(map(str, _parts(model.reduce(other))))


def _parts(formula: Formula) -> tuple[Formula, ...]:
    return formula.parts if isinstance(formula, And) else (formula,)


def test_an_impossible_goal_is_impossible_to_others(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(("red block", "yellow ball"), ["pressed(button)"])
    assert fast_downward(parse("not pressed(button)"), scene, skills).verdict is Verdict.IMPOSSIBLE


def test_optimal_plans_cost_no_more_than_ours(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(("red block", "green block", "yellow ball"), fixtures=FEW)
    goal = parse("on(red block, green block) and in(yellow ball, drawer)")
    least = solve(write_task(skills, scene, goal, by_place, quantifiers=False), OPTIMAL)
    assert isinstance(least, tuple)
    assert verify(least, goal, scene, skills).ok
    assert sum(map(by_place, least)) <= search(ground(skills, scene, by_place), goal).cost


GRIPPER = """
(define (domain gripper-strips)  ; the first International Planning Competition's
  (:predicates (room ?r) (ball ?b) (gripper ?g) (at-robby ?r) (at ?b ?r) (free ?g) (carry ?o ?g))
  (:action move :parameters (?from ?to) :precondition (and (room ?from) (room ?to) (at-robby ?from))
    :effect (and (at-robby ?to) (not (at-robby ?from))))
  (:action pick :parameters (?obj ?room ?gripper)
    :precondition (and (ball ?obj) (room ?room) (gripper ?gripper)
      (at ?obj ?room) (at-robby ?room) (free ?gripper))
    :effect (and (carry ?obj ?gripper) (not (at ?obj ?room)) (not (free ?gripper))))
  (:action drop :parameters (?obj ?room ?gripper)
    :precondition (and (ball ?obj) (room ?room) (gripper ?gripper) (carry ?obj ?gripper) (at-robby ?room))
    :effect (and (at ?obj ?room) (free ?gripper) (not (carry ?obj ?gripper)))))
"""
TWO_ROOMS = """
(define (problem two-rooms) (:domain gripper-strips)
  (:objects rooma roomb ball1 ball2 ball3 left right)
  (:init (room rooma) (room roomb) (ball ball1) (ball ball2) (ball ball3) (gripper left) (gripper right)
    (at-robby rooma) (free left) (free right) (at ball1 rooma) (at ball2 rooma) (at ball3 rooma))
  (:goal (forall (?b) (imply (ball ?b) (at ?b roomb)))))
"""


def test_a_foreign_domain_becomes_cards_and_its_problem_is_solved() -> None:
    domain = read_domain(GRIPPER)
    scene, goal = read_problem(TWO_ROOMS, domain)
    assert domain.skills["pick"].parameters == {"obj": "ball", "room": "room", "gripper": "gripper"}
    assert Skill.from_json(domain.skills["drop"].to_json()) == domain.skills["drop"]
    result = search(ground(domain.skills, scene), goal)
    assert len(result.plan) == 9  # two balls over, back, one ball over: by hand
    assert verify(result.plan, goal, scene, domain.skills).ok


def test_types_become_tags_with_those_above_them() -> None:
    domain = read_domain(
        "(define (domain d) (:types cup - vessel vessel box - object) (:predicates (full ?v - vessel))"
        "(:action fill :parameters (?v - vessel) :precondition (not (full ?v)) :effect (full ?v)))"
    )
    scene, goal = read_problem(
        "(define (problem p) (:domain d) (:objects c - cup b - box) (:init) (:goal (and (full c))))", domain
    )
    assert domain.skills["fill"].choices("v", scene) == ("c",)
    assert len(search(ground(domain.skills, scene), goal).plan) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(define (domain d)", "not closed"),
        ("(define (problem p))", "Not a PDDL domain"),
        ("(define (domain d)) )", "not opened"),
        (
            "(define (domain d)"
            "(:action a :parameters (?x) :precondition (forall (?y) (p ?x ?y)) :effect (q ?x)))",
            "no words for (forall",
        ),
        (
            "(define (domain d) (:action a :parameters (?x) :precondition (p ?z) :effect (q ?x)))",
            "Unknown name in PDDL '?z'",
        ),
    ],
)
def test_what_cannot_be_read_is_said(text: str, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        read_domain(text)


def test_plans_of_others_are_checked_word_by_word(skills: Mapping[str, Skill]) -> None:
    task = write_task(skills, make_scene(THINGS), parse("open(door)"))
    with pytest.raises(InputError, match="Unknown PDDL action 'pik'"):
        task.calls("(pik red_block)")
    with pytest.raises(InputError, match="Unknown PDDL object 'red_blok'"):
        task.calls("(pick red_blok)")
    assert task.calls("; found\n(pick red_block)\n") == (SkillCall("pick", {"object": "red block"}),)


def test_expressions_are_shown_as_they_were_read() -> None:
    text = "(define (domain d) (:predicates (p ?x - (either a b))))"
    assert expressions.show(expressions.read(text.upper())) == text
