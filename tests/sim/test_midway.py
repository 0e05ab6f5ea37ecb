"""Episodes in the middle of long commands."""

import numpy as np
import pytest

from robot_skills.library import SkillLibrary
from sim.experts import expert_for
from sim.experts.demonstration import demonstrate_task
from sim.experts.expert import BESIDE
from sim.experts.midway import Midway, sample_midway
from sim.tabletop.arm import DOWN
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld


def found(skill: str, world: TabletopWorld, count: int, policies: SkillLibrary | None = None) -> list[Midway]:
    tasks = (sample_midway(skill, seed, world, policies) for seed in range(600_000, 600_040))
    return [task for task in tasks if task is not None][:count]


@pytest.mark.parametrize("skill", ["pick", "place", "close"])
def test_an_episode_begins_where_the_steps_before_have_led(skill: str, world: TabletopWorld) -> None:
    skills = SkillLibrary.open().skills
    for task in found(skill, world, 3):
        task.start(world)
        graph = scene_graph(world.state())
        assert task.call.skill == skill
        assert skills[skill].unmet(task.call, graph) == ()
        shown = demonstrate_task(world, task, noise=0.25)
        assert shown.success, shown.reason


def test_it_is_fixed_by_its_seed_and_a_policy_may_do_the_step_before(world: TabletopWorld) -> None:
    library = SkillLibrary.open()
    led, plain = found("place", world, 6, library), found("place", world, 6)
    starts = []
    for tasks in (led, led, plain):
        for task in tasks:
            task.start(world)
            starts.append(world.observe(()).state)
    first, again, experts = np.split(np.stack(starts), 3)
    np.testing.assert_array_equal(first, again)
    assert (first != experts).any(1).sum() in range(1, 6)  # some of the steps before were a policy's


def test_a_turned_hand_is_brought_upright(world: TabletopWorld) -> None:
    (task,) = found("place", world, 1)
    task.start(world)
    action = world.arm.still()
    action[3:6] = [0.1, -0.1, 0.1]
    world.act(action)
    off = [np.abs(world.state().rotation - DOWN).max()]
    for _ in range(5):
        world.act(expert_for(task.call).act(world.state())[0])
        off.append(np.abs(world.state().rotation - DOWN).max())
    assert off[0] > 0.04
    assert off[-1] < 0.01


def test_the_second_thing_in_the_drawer_goes_beside_the_first(world: TabletopWorld) -> None:
    seen = 0
    for task in found("place", world, 20):
        if task.call.args["target"] != "drawer" or not any(
            call.args.get("target") == "drawer" and call.skill == "place" for call in task.before
        ):
            continue
        seen += 1
        assert demonstrate_task(world, task, noise=0.0).success
        state = world.state()
        inside = [body.position for body in state.bodies.values() if body.position[1] > 0.2]
        assert len(inside) >= 2
        assert abs(inside[0][0] - inside[1][0]) > 0.6 * BESIDE
        assert max(position[2] for position in inside) < 0.05
    assert seen > 0
