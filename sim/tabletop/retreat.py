"""Drawing the arm of the tabletop back after a failure, to the middle of where episodes begin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_skills.withdrawal import Posture, withdraw
from sim.tabletop.arm import DOWN
from sim.tabletop.scene import START
from sim.tabletop.world import TabletopWorld

POSTURE = Posture(np.mean(START, axis=0), DOWN)
#: Control steps in which what falls or rolls comes to rest: 0.5 s.
SETTLE = 5


def retreat(
    world: TabletopWorld, holding: bool, stopped: Callable[[], bool] = lambda: False, settle: int = SETTLE
) -> None:
    """Bring the arm to `POSTURE` and let things come to rest.

    Args:
        world: whose arm it is.
        holding: whether something is in the hand that is to stay there.
        stopped: whether somebody has asked for a stop.
        settle: control steps of standing still afterwards.
    """
    withdraw(world, POSTURE, holding, stopped)
    for _ in range(settle):
        if not stopped():
            world.act(world.arm.still())
