"""Segments of demonstrations moved to new scenes."""

from __future__ import annotations

import numpy as np
import pytest

from robot_skills.library import SkillLibrary
from robot_skills.skill import SkillCall
from sim.generative.goal import Clause, Goal
from sim.generative.grammar import Proposal
from sim.generative.multiplication import NEAR, OVER, Retarget, Segment, segments_of
from sim.generative.recipe import Furniture, SceneRecipe, Thing
from sim.generative.solvers import UnableError
from sim.generative.task import Provenance, Task, make_task
from sim.generative.trial import attempt
from sim.tabletop.world import TabletopWorld

SKILLS = SkillLibrary.open().skills


@pytest.fixture(scope="module")
def task() -> Task:
    recipe = SceneRecipe(
        (Thing("block", "red"),), (Furniture("tray", "white"),), ("drawer", "door", "button")
    )
    goal = Goal("single", (Clause("put", ("red block",), ("white tray",), "in"),))
    return make_task(Proposal(goal, recipe), 3, Provenance("test", 0, 0))


@pytest.fixture(scope="module")
def bank(task: Task) -> list[Segment]:
    world = TabletopWorld({})
    found = [segment for episode in range(2) for segment in segments_of(world, task, episode, SKILLS)]
    world.close()
    return found


def test_segments_are_what_the_hand_did_near_each_thing(bank: list[Segment]) -> None:
    assert [segment.call.skill for segment in bank] == ["pick", "place"] * 2
    for segment in bank:
        assert len(segment.tool) == len(segment.grip) > 3
        assert np.hypot(*segment.tool[0, :2]) < NEAR
    pick, place = bank[:2]
    assert pick.grip[-1] > 0 > place.grip[-1]
    assert np.linalg.norm(pick.tool[:, :2], axis=1).min() < 0.012


@pytest.mark.parametrize("planned", [True, False])
def test_two_demonstrations_become_many(
    world: TabletopWorld, task: Task, bank: list[Segment], planned: bool
) -> None:
    solver = Retarget(bank, planned, noise=0.1)
    trials = [attempt(world, task, 5_000 + episode, SKILLS, solver) for episode in range(4)]
    done = [trial for trial in trials if trial.success and trial.held]
    assert len(done) >= 3
    assert set(done[0].solved_by) == {solver.name}
    assert len({trial.digest for trial in trials}) == 4
    assert all(np.abs(trial.actions).max() <= 1.0 for trial in trials)


def test_planned_ways_go_over_everything(world: TabletopWorld, task: Task, bank: list[Segment]) -> None:
    tops: list[float] = []
    attempt(
        world, task, 6_000, SKILLS, Retarget(bank), lambda action: tops.append(float(world.state().tool[2]))
    )
    assert max(tops) > OVER - 0.03


def test_what_nobody_showed_cannot_be_played(world: TabletopWorld, task: Task, bank: list[Segment]) -> None:
    with pytest.raises(UnableError, match="No demonstration shows press"):
        Retarget(bank).controller(SkillCall("press", {"target": "button"}))
    picks = [segment for segment in bank if segment.call.skill == "pick"]
    trial = attempt(world, task, 5_000, SKILLS, Retarget(picks))
    assert not trial.success
    assert "aborted: No demonstration shows place" in trial.reason
