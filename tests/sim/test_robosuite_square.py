import numpy as np
import pytest

pytest.importorskip("robosuite")
pytest.importorskip("fast_simplification")
from sim.robosuite_square import SquareExpert
from sim.robosuite_world import RobosuiteWorld


def test_the_expert_puts_the_nut_on_the_peg() -> None:
    world = RobosuiteWorld("NutAssemblySquare", {})
    try:
        # Handles that point to the left, to the right and towards the base.
        for seed in (0, 3, 4):
            world.reset(seed)
            expert = SquareExpert(world)
            for _ in range(250):
                action = expert.action()
                assert action.shape == (7,)
                assert np.abs(action).max() <= 1
                world.act(action)
                if world.success():
                    break
            assert world.success(), seed
    finally:
        world.close()
