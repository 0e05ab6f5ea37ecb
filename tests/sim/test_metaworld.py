from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest

import sim  # noqa: F401 - registers the environment
from robot_skills.errors import InputError
from robot_skills.robot import Robot

pytest.importorskip("metaworld")
from sim.metaworld import MetaWorld, tasks


@pytest.fixture(scope="module")
def world() -> Iterator[MetaWorld]:
    world = MetaWorld("drawer-open-v3")
    yield world
    world.close()


def test_the_world_is_a_robot(world: MetaWorld) -> None:
    assert isinstance(world, Robot)
    world.reset(0)
    seen = world.observe()
    assert {name: image.shape for name, image in seen.images.items()} == {
        "corner2": (84, 84, 3),
        "gripperPOV": (84, 84, 3),
    }
    assert all(image.std() > 10 for image in seen.images.values())
    assert seen.state.shape == (len(world.spec.state_names),)
    assert 0.0 < seen.state[-1] < 0.101
    assert world.observe(()).images == {}
    with pytest.raises(ValueError, match="shape"):
        world.act(np.zeros(7, np.float32))
    with pytest.raises(ValueError, match="finite"):
        world.act(np.full(4, np.nan, np.float32))
    with pytest.raises(InputError, match="drawer-open-v3"):
        MetaWorld("drawer-opened-v3")


def test_its_own_observation_may_be_the_state() -> None:
    world = MetaWorld("reach-v3", {}, "oracle")
    try:
        world.reset(4)
        seen = world.observe()
        assert seen.images == {}
        assert seen.state.shape == (39,) == (len(world.spec.state_names),)
        np.testing.assert_array_equal(seen.state, world.oracle())
        # The goal, its last three numbers, is told.
        assert seen.state[-3:].any()
        with pytest.raises(InputError, match="oracle"):
            MetaWorld("reach-v3", {}, "orcale")
    finally:
        world.close()


def test_a_seed_fixes_the_scene_whatever_came_before(world: MetaWorld) -> None:
    def episode(seed: int) -> np.ndarray:
        world.reset(seed)
        rows = [world.oracle()]
        for _ in range(10):
            world.act(world.expert())
            rows.append(world.oracle())
        return np.array(rows)

    first = episode(3)
    assert not np.array_equal(first, episode(4))
    np.testing.assert_array_equal(first, episode(3))


def test_the_expert_opens_the_drawer(world: MetaWorld) -> None:
    world.reset(1)
    assert not world.success()
    for _ in range(200):
        world.act(world.expert())
        if world.success():
            break
    assert world.success()
    assert 0.0 < world.reward() <= 1.0


def test_stop_holds_the_hand(world: MetaWorld) -> None:
    world.reset(1)
    for _ in range(5):
        world.act(np.array([1, 0, 0, -1], np.float32))
    world.stop()
    place = world.observe(()).state[:3]
    for _ in range(5):
        world.act(np.array([0, 0, 0, -1], np.float32))
    assert np.abs(world.observe(()).state[:3] - place).max() < 0.02


def test_every_task_has_an_expert() -> None:
    from metaworld import policies

    from sim.metaworld import expert_name

    assert len(tasks()) == 50
    assert [task for task in tasks() if not hasattr(policies, expert_name(task))] == []


def test_the_gymnasium_environment() -> None:
    env = gymnasium.make("robot_skills/MetaWorld-v0", task="reach-v3", cameras={"topview": (64, 64)})
    seen, info = env.reset(seed=2)
    assert env.observation_space.contains(seen)
    assert env.action_space.shape == (4,)
    assert info == {"is_success": False}
    _, reward, terminated, truncated, _ = env.step(np.zeros(4, np.float32))
    assert 0.0 <= reward <= 1.0
    assert not terminated
    assert not truncated
    env.close()
