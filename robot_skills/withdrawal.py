"""Drawing the arm back after a failure, to where skills are used to begin, by proprioception alone.

A skill that failed leaves the hand anywhere: low, beside or against what it was about, turned by what many
steps of a policy added up to. Policies have seldom seen such a beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError
from robot_skills.robot import ROTATION_SCALE, TRANSLATION_SCALE, Observation, Robot

#: Share of the way to the goal that one action asks for; above, an arm that lags a step behind swings.
GAIN = 0.6
#: The hand goes straight up to this far below its goal before it goes to the side, m.
BELOW = 0.03


@dataclass(frozen=True)
class Posture:
    """Where skills begin.

    Attributes:
        position: of the tool in the base frame, (3,) m.
        rotation: of the tool, (3, 3).
        near: how close is there, m; twice as many radians.
        steps: control steps after which it is left as it is.
    """

    position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    near: float = 0.02
    steps: int = 40

    def __post_init__(self) -> None:
        if np.shape(self.position) != (3,) or np.shape(self.rotation) != (3, 3):
            raise InputError("A posture has a position (3,) and a rotation (3, 3).")


def withdraw(
    robot: Robot, posture: Posture, holding: bool, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Bring the tool to a posture: straight up first, then to the side; how many control steps it took.

    Args:
        robot: whose actions are those of the contract (`robot_skills.robot.OSC_POSE`).
        posture: where to.
        holding: keep the fingers closed; else they open.
        stopped: whether somebody has asked for a stop: asked before each control step.
    """
    for step in range(posture.steps):
        if stopped():
            robot.stop()
            return step
        observation = robot.observe(())
        position = observation.state[:3].astype(np.float64)
        off = posture.position - position
        turn = turn_between(_rotation(observation), posture.rotation)
        if np.linalg.norm(off) < posture.near and np.linalg.norm(turn) < 2 * posture.near:
            return step
        if off[2] > BELOW:
            off[:2] = 0.0
        action = np.empty(7, np.float32)
        action[:3] = np.clip(GAIN * off / TRANSLATION_SCALE, -1, 1)
        action[3:6] = np.clip(GAIN * turn / ROTATION_SCALE, -1, 1)
        action[6] = 1.0 if holding else -1.0
        robot.act(action)
    return posture.steps


def _rotation(observation: Observation) -> NDArray[np.float64]:
    """The rotation (3, 3) whose first two columns the state holds."""
    first, second = observation.state[3:6].astype(np.float64), observation.state[6:9].astype(np.float64)
    return np.stack([first, second, np.cross(first, second)], axis=1)


def turn_between(now: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation vector (3,) rad from one rotation to another; to first order, right in its direction."""
    vector: NDArray[np.float64] = 0.5 * np.cross(now, wanted, axis=0).sum(axis=1)
    return vector
