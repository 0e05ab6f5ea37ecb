"""The data contract between a robot and whatever drives it, drawn once.

Units and frames: metres, radians, seconds; positions and rotations in the frame of the robot's base
(x forward, y left, z up).

    Observation   images: {camera: (H, W, 3) uint8}   state: (10,) float32   time: seconds
    action        (7,) float32 in [-1, 1]: dx dy dz, drx dry drz (base frame), gripper
                  1.0 = 0.05 m and 0.5 rad a control step; gripper -1 open, +1 closed
    chunk         (T, 7): what a policy returns, one action a control step

The action convention is robosuite's OSC_POSE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Float: TypeAlias = NDArray[np.float32]
Image: TypeAlias = NDArray[np.uint8]

ACTION_SIZE = 7
#: Metres of translation and radians of rotation that an action of 1.0 commands in a control step.
TRANSLATION_SCALE, ROTATION_SCALE = 0.05, 0.5

#: Features of `Observation.state`: end-effector position (m), the first two columns of its rotation
#: matrix (Zhou et al. 2019, a continuous representation), and the gripper's opening (m).
STATE_NAMES = (
    *("ee.x", "ee.y", "ee.z"),
    *("ee.r11", "ee.r21", "ee.r31", "ee.r12", "ee.r22", "ee.r32"),
    "gripper.opening",
)


@dataclass(frozen=True)
class Observation:
    """What the robot senses at one moment.

    Attributes:
        images: camera name -> (H, W, 3) uint8, RGB; only the cameras that were asked for.
        state: (10,) float32, the features of `STATE_NAMES`.
        time: seconds since the robot was started or the episode was reset.
    """

    images: Mapping[str, Image]
    state: Float
    time: float


@dataclass(frozen=True)
class RobotSpec:
    """What a robot offers, known before it is observed.

    Attributes:
        cameras: camera name -> (height, width) in pixels.
        control_rate: control steps a second, Hz.
    """

    name: str
    cameras: Mapping[str, tuple[int, int]]
    control_rate: float
    state_names: tuple[str, ...] = STATE_NAMES


@runtime_checkable
class Robot(Protocol):
    """A simulator or a real arm."""

    @property
    def spec(self) -> RobotSpec:
        """Cameras, features and control rate."""

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """Read the sensors; `cameras` names the images wanted: None all of them, () none."""

    def act(self, action: Float) -> None:
        """Carry out one action, (7,) in [-1, 1], and return when its control step is over."""

    def stop(self) -> None:
        """Stop moving and hold the pose."""


def check_action(action: Float) -> Float:
    """Return the action as float32 clipped to [-1, 1].

    Raises:
        ValueError: the shape is not (7,), or a value is not finite.
    """
    action = np.asarray(action, np.float32)
    if action.shape != (ACTION_SIZE,):
        raise ValueError(f"An action has shape ({ACTION_SIZE},), not {action.shape}.")
    if not np.isfinite(action).all():
        raise ValueError(f"An action holds finite numbers, not {action.tolist()}.")
    return np.clip(action, -1.0, 1.0)
