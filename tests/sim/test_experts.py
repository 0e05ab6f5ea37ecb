from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.execution import LocalChunks, Step, execute
from robot_skills.library import SkillLibrary
from robot_skills.policies.policy import Chunk, Policy, PolicyInput
from robot_skills.skill import SkillCall
from sim.experts import demonstrate, expert_for
from sim.experts.demonstration import HOLD
from sim.experts.expert import LAWS
from sim.tabletop.oracle import scene_graph
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld


@pytest.mark.parametrize("skill", sorted(LAWS))
def test_experts_reach_their_goal_and_label_cleanly(skill: str, world: TabletopWorld) -> None:
    demonstrations = [demonstrate(world, skill, 600_000 + seed, noise=0.25) for seed in range(6)]
    assert sum(demo.success for demo in demonstrations) >= 5
    for demo in demonstrations:
        steps = len(demo.state)
        assert demo.images["front"].shape == (steps, 64, 64, 3)
        assert demo.action.shape == (steps, 7)
        assert np.abs(demo.action).max() <= 1
        assert demo.target.shape == (steps, 3)
        assert np.isfinite(demo.target).all()
        if demo.success:
            assert demo.end.sum() == HOLD
            assert demo.end[-HOLD:].all()
            assert np.abs(demo.action[-1, :3]).max() < 0.5  # it comes to rest


def test_a_demonstration_is_fixed_by_its_seed(world: TabletopWorld) -> None:
    first, again = (demonstrate(world, "pick", 600_001, 0.25) for _ in range(2))
    np.testing.assert_array_equal(first.images["wrist"], again.images["wrist"])
    np.testing.assert_array_equal(first.action, again.action)


def test_a_learner_acts_as_in_its_evaluation_until_the_expert_ends_the_episode(world: TabletopWorld) -> None:
    library = SkillLibrary.open()
    skill, learner = library.skill("place"), library.policy("place")
    shown = [demonstrate(world, "place", 600_010 + i, 0.0, learner=learner) for i in range(4)]
    assert sum(demo.success for demo in shown) >= 3
    together = []
    for demo in shown:
        task = sample_task("place", demo.seed)
        task.start(world)
        alone: list[Step] = []
        execute(world, skill, task.call, LocalChunks(learner), on_step=alone.append)
        states = np.stack([step.observation.state for step in alone])
        rows = min(len(states), len(demo.state))
        together.append(int((states[:rows] == demo.state[:rows]).all(1).argmin()) or rows)
        done = np.stack([step.action for step in alone])[: together[-1]]
        # What was done is the learner's, what it should have done the expert's.
        assert np.abs(done - demo.action[: together[-1]]).max() > 0.01
        assert not demo.success or demo.end.sum() == HOLD
    assert min(together) >= 3
    assert max(together) >= 8


def test_the_expert_takes_over_from_a_learner_that_would_let_go(world: TabletopWorld) -> None:
    class Opens:
        """Opens the gripper at once, wherever it is."""

        cameras, history, chunk, execute = (), 1, 1, 1

        def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
            action = np.array([[0, 0, 0, 0, 0, 0, -1]], np.float32)
            return [Chunk(action, np.zeros(1, np.float32)) for _ in inputs]

    shown = [demonstrate(world, "place", 600_020 + i, 0.0, learner=cast("Policy", Opens())) for i in range(3)]
    assert all(demo.success for demo in shown)


def test_the_pick_expert_recovers_from_a_slip(world: TabletopWorld) -> None:
    task = sample_task("pick", 600_002)
    task.start(world)
    expert, dropped, over = expert_for(task.call), False, False
    for _ in range(80):
        state = world.state()
        action, over = expert.act(state)
        if over and dropped:
            break
        if not dropped and state.tool[2] > 0.12 and state.gripped:
            dropped = True
            for _ in range(4):  # somebody opens the fingers
                world.act(np.array([0, 0, 0, 0, 0, 0, -1], np.float32))
            assert not scene_graph(world.state()).holds(SkillLibrary.open().skill("pick").goal(task.call))
            continue
        world.act(action)
    assert dropped
    assert over
    assert scene_graph(world.state()).holds(SkillLibrary.open().skill("pick").goal(task.call))


def test_there_is_no_expert_for_an_unknown_skill() -> None:
    with pytest.raises(InputError, match=r"Unknown skill with an expert 'pikc'.*Did you mean 'pick'"):
        expert_for(SkillCall("pikc"))
