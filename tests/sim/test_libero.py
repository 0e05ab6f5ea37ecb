from collections.abc import Iterator

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.robot import Robot

pytest.importorskip("robosuite")
pytest.importorskip("libero")
from sim.libero import SUITES, LiberoWorld, tasks


@pytest.fixture(scope="module")
def world() -> Iterator[LiberoWorld]:
    world = LiberoWorld("libero_spatial", 0)
    yield world
    world.close()


def test_there_are_130_tasks() -> None:
    assert [len(tasks(suite)) for suite in SUITES] == [10, 10, 10, 90, 10]
    with pytest.raises(InputError, match="libero_spatial"):
        tasks("libero_spacial")
    with pytest.raises(InputError, match="0 to 9"):
        LiberoWorld("libero_goal", 10)


def test_the_world_is_a_robot(world: LiberoWorld) -> None:
    assert isinstance(world, Robot)
    world.reset(0)
    seen = world.observe()
    assert {image.shape for image in seen.images.values()} == {(128, 128, 3)}
    assert all(image.std() > 10 for image in seen.images.values())
    assert seen.state.shape == (10,)
    assert world.language.startswith("pick up the black bowl")
    assert not world.success()


def test_a_seed_fixes_the_scene_whatever_came_before(world: LiberoWorld) -> None:
    world.reset(1)
    first = world.state()
    world.reset(2)
    assert not np.array_equal(world.state(), first)
    world.reset(1)
    np.testing.assert_array_equal(world.state(), first)


def test_recorded_starts_are_the_ones_of_the_evaluation(world: LiberoWorld) -> None:
    world.reset(0)
    starts = world.starts()
    assert len(starts) == 50
    world.reset_to(starts[7])
    np.testing.assert_allclose(world.state(), starts[7])
    for _ in range(3):
        world.act(np.zeros(7, np.float32))
    assert np.isfinite(world.state()).all()


def test_a_task_on_the_floor_can_be_made() -> None:
    world = LiberoWorld("libero_object", 0)
    world.reset(0)
    assert world.observe(("agentview",)).images["agentview"].std() > 10
    world.close()
