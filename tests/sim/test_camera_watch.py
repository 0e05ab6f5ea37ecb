"""The watch with the cameras' scene graph: it sees a thing slip, and leaves skills alone that go well."""

from __future__ import annotations

import numpy as np
import pytest

from robot_skills.cli.tabletop import sight
from robot_skills.execution import Step
from robot_skills.library import SkillLibrary
from robot_skills.perception.perceiver import Perceiver
from robot_skills.symbolic.diagnosis import Failure
from robot_skills.symbolic.watch import Watch
from sim.experts.expert import expert_for
from sim.tabletop.faults import FaultyTabletop, Mishap
from sim.tabletop.tasks import Task, sample_task
from sim.tabletop.world import TabletopWorld

SKILLS = SkillLibrary.open().skills


def watched(
    world: TabletopWorld, task: Task, rate: float, seed: int, steps: int
) -> tuple[Watch, FaultyTabletop, Perceiver]:
    """Let the expert carry a task out under a watch, which ends it."""
    eyes = sight(world, "camera")
    assert isinstance(eyes, Perceiver)
    faulty = FaultyTabletop(world, rate, seed)
    eyes.look()
    eyes.begin_command()
    eyes.look()
    faulty.begin(task.call)
    watch = Watch(SKILLS, eyes.glance, eyes.glances)
    guard, expert = watch.guard(task.call), expert_for(task.call)
    for number in range(steps):
        action, over = expert.act(world.state())
        faulty.act(action)
        ended = guard(Step(number, 0.1 * number, world.observe(()), action, float(over)))
        if ended or (over and not rate):
            break
    return watch, faulty, eyes


def test_what_slips_out_of_the_hand_ends_the_skill(world: TabletopWorld) -> None:
    """Seed 905301: the grip fails while a thing is carried."""
    seed = 905301
    task = sample_task("place", seed)
    task.start(world)
    watch, faulty, _ = watched(world, task, 1.0, seed, 30)
    assert faulty.injected[0].mishap is Mishap.DROP
    assert watch.broken is not None
    assert watch.broken.failure is Failure.SLIPPED
    assert task.call.args["object"] in watch.broken.text


@pytest.mark.parametrize("skill", sorted(SKILLS))
def test_a_skill_that_goes_well_is_left_alone(world: TabletopWorld, skill: str) -> None:
    task = sample_task(skill, 905202)
    task.start(world)
    watch, _, eyes = watched(world, task, 0.0, 0, 60)
    assert watch.broken is None
    assert eyes.look().holds(SKILLS[skill].goal(task.call))


def test_a_glance_keeps_nothing(world: TabletopWorld) -> None:
    task = sample_task("place", 905202)
    task.start(world)
    eyes = sight(world, "camera")
    assert isinstance(eyes, Perceiver)
    before, memory = eyes.look(), eyes.memory.copy()
    expert = expert_for(task.call)
    for _ in range(40):
        action, over = expert.act(world.state())
        world.act(action)
        if over:
            break
    glimpsed = eyes.glance()
    assert glimpsed.facts != before.facts, "the thing has left the hand"
    assert [thing.name for thing in eyes.memory.things] == [thing.name for thing in memory.things]
    for now, then in zip(eyes.memory.things, memory.things, strict=True):
        assert (now.place, now.target, now.trust) == (then.place, then.target, then.trust)
        np.testing.assert_array_equal(now.position, then.position)
    assert eyes.look().facts == glimpsed.facts
