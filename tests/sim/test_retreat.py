from __future__ import annotations

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.withdrawal import Posture, withdraw
from sim.tabletop import predicates
from sim.tabletop.arm import DOWN
from sim.tabletop.retreat import POSTURE, retreat
from sim.tabletop.scene import Scene
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld


def turned(world: TabletopWorld) -> float:
    """How far the hand is turned from straight down, rad."""
    return float(np.arccos(np.clip((np.trace(world.state().rotation @ DOWN.T) - 1) / 2, -1, 1)))


@pytest.mark.parametrize("seed", range(4))
def test_the_arm_comes_back_from_where_a_failure_left_it(world: TabletopWorld, seed: int) -> None:
    rng = np.random.default_rng(seed)
    world.reset(Scene.sample(seed))
    for _ in range(15):  # down and aside, turned a little, the fingers shut
        world.act(np.array([*rng.uniform(-0.4, 0.4, 2), -0.3, *rng.uniform(-0.1, 0.1, 3), 1.0], np.float32))
    retreat(world, holding=False)
    assert np.linalg.norm(world.state().tool - POSTURE.position) < 2 * POSTURE.near
    assert turned(world) < 3 * POSTURE.near
    assert world.state().opening > 0.07


def test_what_is_held_stays_held(world: TabletopWorld) -> None:
    task = sample_task("place", 0)
    task.start(world)
    assert task.held is not None
    retreat(world, holding=True)
    assert predicates.holding(world.state(), task.held)


def test_the_hand_goes_up_before_it_goes_aside(world: TabletopWorld) -> None:
    world.reset(Scene.sample(0))
    low = Posture(np.array([0.60, -0.20, 0.12]), DOWN)
    withdraw(world, low, holding=False)
    start, path = world.state().tool, []
    for _ in range(3):
        withdraw(world, Posture(np.array([0.40, 0.05, 0.30]), DOWN, steps=1), holding=False)
        path.append(world.state().tool)
    assert path[-1][2] > start[2] + 0.04
    assert np.linalg.norm((path[1] - start)[:2]) < 0.02


def test_a_stop_is_obeyed_at_once(world: TabletopWorld) -> None:
    world.reset(Scene.sample(0))
    steps = world.save()
    assert withdraw(world, POSTURE, holding=False, stopped=lambda: True) == 0
    retreat(world, holding=False, stopped=lambda: True)
    assert world.save().steps == steps.steps


def test_a_posture_has_three_numbers_and_a_rotation() -> None:
    with pytest.raises(InputError, match="position"):
        Posture(np.zeros(2), DOWN)
