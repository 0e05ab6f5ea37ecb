"""The gates let sound tasks through and stop broken ones, at the gate that was made for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from robot_skills.library import SkillLibrary
from robot_skills.skill import Skill
from sim.generative.faults import FAULTS
from sim.generative.gates import GATES, QUESTIONS, Strictness, examine
from sim.generative.goal import Clause, Goal
from sim.generative.grammar import Proposal, propose
from sim.generative.placement import PlacementError
from sim.generative.recipe import Furniture, Relation, SceneRecipe, Thing
from sim.generative.task import Provenance, Task, make_task
from sim.generative.trial import attempt, replay
from sim.tabletop.world import TabletopWorld

LIGHT = Strictness(scenes=2, initial=60, random=1, trials=6, solved=0.3, replays=1)
HERE = Provenance("test", 0, 0)
#: Where each fault shows at the latest.
STOPPED_AT = {
    "opposite predicate": {"schema"},
    "other object": {"schema"},
    "other words": {"schema"},
    "one left out": {"schema"},
    "solved already": {"unsolved", "settles"},
    "solved at times": {"unsolved"},
    "out of reach": {"reachable", "settles", "satisfiable"},
    "in each other": {"settles"},
    "toppling": {"schema", "settles"},
    "contradiction": {"satisfiable"},
    "two places": {"satisfiable"},
    "locked in": {"satisfiable", "settles"},
    "too lenient": {"near_misses", "unsolved", "settles"},
    "no room": {"settles"},
}


@pytest.fixture(scope="module")
def skills() -> Mapping[str, Skill]:
    return SkillLibrary.open().skills


def task(goal: Goal, recipe: SceneRecipe, seed: int = 11) -> Task:
    return make_task(Proposal(goal, recipe), seed, HERE)


def tidy() -> Task:
    clauses = (Clause("put", ("red block",), ("blue box",), "in"), Clause("close", ("blue box",)))
    things = (Thing("block", "red"), Thing("ball", "green"))
    recipe = SceneRecipe(things, (Furniture("box", "blue"),), ("drawer", "button"), {"blue box": "closed"})
    return task(Goal("lidded", clauses), recipe)


def has_room(proposed: Task) -> bool:
    try:
        for episode in range(LIGHT.initial):
            proposed.scene(episode)
    except PlacementError:
        return False
    return True


def test_every_gate_has_its_question_and_novelty_is_asked_elsewhere() -> None:
    assert [gate for gate in GATES if gate != "novelty"] == list(QUESTIONS)


def test_a_sound_task_passes_with_its_steps_and_its_rate(
    world: TabletopWorld, skills: Mapping[str, Skill]
) -> None:
    verdict = examine(world, tidy(), skills, LIGHT)
    assert verdict.accepted, verdict.reason
    assert [step.call.split("(")[0] for step in verdict.steps] == ["open", "pick", "place", "close"]
    assert verdict.steps[2].needs[1] == "fits(red block, in, blue box)"
    assert verdict.steps[2].until == "in(red block, blue box) and not holding(red block)"
    assert verdict.successes >= 4
    assert set(verdict.seconds) == set(QUESTIONS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_task_is_stopped_where_its_fault_shows(
    world: TabletopWorld, skills: Mapping[str, Skill], name: str
) -> None:
    rng = np.random.default_rng(4)
    proposals = (make_task(propose(8, number), number, HERE) for number in range(300))
    sound = (each for each in proposals if has_room(each))
    broken = next(found for each in sound if (found := FAULTS[name](each, rng)) is not None)
    verdict = examine(world, broken, skills, LIGHT)
    assert verdict.gate in STOPPED_AT[name], verdict.reason


def test_a_thing_under_the_lids_way_makes_a_task_that_cannot_be_solved(
    world: TabletopWorld, skills: Mapping[str, Skill]
) -> None:
    """Well-typed, standing still, satisfiable by hand; only doing it shows that the block is in the way."""
    recipe = SceneRecipe(
        (Thing("block", "red"), Thing("cylinder", "green")),
        (Furniture("lever", "blue"),),
        ("drawer", "button"),
        pins={"blue lever": (0.5, 0.0), "green cylinder": (0.5, -0.075), "red block": (0.5, -0.125)},
    )
    goal = Goal("single", (Clause("open", ("blue lever",)),))
    verdict = examine(world, task(goal, recipe), skills, LIGHT)
    assert verdict.gate in ("settles", "reachable", "solvable"), verdict


def test_both_branches_of_a_condition_are_looked_at(
    world: TabletopWorld, skills: Mapping[str, Skill]
) -> None:
    goal = Goal(
        "conditional", (Clause("open", ("door",)),), "pressed(button)", (Clause("close", ("blue gate",)),)
    )
    things, gate = (Thing("block", "red"),), (Furniture("gate", "blue"),)
    standings = {"button": "any", "blue gate": "open", "door": "closed"}
    one_way = {**standings, "button": "lit"}
    verdict = examine(world, task(goal, SceneRecipe(things, gate, standings=one_way)), skills, LIGHT)
    assert verdict.gate == "satisfiable"
    assert "never comes out so that closed(blue gate) is asked for" in verdict.reason
    sound = task(goal, SceneRecipe(things, gate, standings=standings))
    assert examine(world, sound, skills, LIGHT).accepted
    lenient = replace(sound, tolerances=replace(sound.tolerances, closed=0.55))  # of one branch only
    assert examine(world, lenient, skills, LIGHT).gate == "near_misses"


def test_a_goal_that_half_of_the_scenes_fulfil_is_told_by_the_number(
    world: TabletopWorld, skills: Mapping[str, Skill]
) -> None:
    recipe = SceneRecipe((Thing("block", "red"),), standings={"door": "any"})
    verdict = examine(world, task(Goal("single", (Clause("open", ("door",)),)), recipe), skills, LIGHT)
    assert verdict.gate == "unsolved"
    count = int(verdict.reason.split()[0])
    assert 20 <= count <= 40


def test_a_stack_of_balls_is_stopped_before_any_physics(
    world: TabletopWorld, skills: Mapping[str, Skill]
) -> None:
    recipe = SceneRecipe(
        (Thing("ball", "red"), Thing("block", "blue")),
        relations=(Relation("on", ("blue block", "red ball")),),
    )
    verdict = examine(world, task(Goal("single", (Clause("press", ("button",)),)), recipe), skills, LIGHT)
    assert verdict.gate == "schema"
    assert verdict.reason == "A block cannot be on a ball, as the recipe has it."


def test_trials_replay_to_the_bit_and_do_not_in_another_scene(
    world: TabletopWorld, skills: Mapping[str, Skill]
) -> None:
    sound = tidy()
    trial = attempt(world, sound, 1_000, skills)
    assert trial.success
    assert trial.held
    assert replay(world, sound, trial) == (True, True)
    other = attempt(world, sound, 1_001, skills)
    mixed = type(trial)(**{**vars(trial), "scene": other.scene})
    assert replay(world, sound, mixed) == (False, False)
