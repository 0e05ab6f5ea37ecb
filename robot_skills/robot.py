"""The data contract between a robot and whatever drives it, drawn once.

Units and frames: metres, radians, seconds; positions and rotations in the frame of the robot's base
(x forward, y left, z up).

    Observation   images: {camera: (H, W, 3) uint8}   state: (10,) float32   time: seconds
    action        (7,) float32 in [-1, 1]: dx dy dz, drx dry drz (base frame), gripper
                  1.0 = 0.05 m and 0.5 rad a control step; gripper -1 open, +1 closed
    chunk         (T, 7): what a policy returns, one action a control step

The action convention is robosuite's OSC_POSE. Data sets, robots and policies with other actions, (A,) in
units of their own, carry an `ActionSpace` that says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError

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
class ActionSpace:
    """What the numbers of an action mean.

    Attributes:
        names: one for each of the A numbers.
        relative: whether the number is a displacement, 0 being no motion; if not, it is a set-point, and
            repeating it holds still.
        low, high: limits; infinite where none is known.
    """

    names: tuple[str, ...]
    relative: tuple[bool, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.names), len(self.relative), len(self.low), len(self.high)}
        if len(sizes) != 1 or not self.names:
            raise InputError(
                "An action space has as many names, relative flags, low and high limits, at least one; not "
                f"{len(self.names)}, {len(self.relative)}, {len(self.low)} and {len(self.high)}."
            )
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            if not low < high:
                raise InputError(
                    f"The action {name!r} has the limits {low:g} to {high:g}; low is below high."
                )

    @property
    def size(self) -> int:
        """A."""
        return len(self.names)

    @classmethod
    def unlimited(cls, names: Sequence[str], relative: bool) -> ActionSpace:
        """A space whose limits are not known, all of it relative or all of it set-points."""
        size = len(names)
        return cls(tuple(names), (relative,) * size, (-math.inf,) * size, (math.inf,) * size)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; an infinite limit is null."""
        return {
            "names": list(self.names),
            "relative": list(self.relative),
            "low": [value if math.isfinite(value) else None for value in self.low],
            "high": [value if math.isfinite(value) else None for value in self.high],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ActionSpace:
        """The inverse of `to_json`."""
        return cls(
            names=tuple(str(name) for name in data["names"]),
            relative=tuple(bool(value) for value in data["relative"]),
            low=tuple(-math.inf if value is None else float(value) for value in data["low"]),
            high=tuple(math.inf if value is None else float(value) for value in data["high"]),
        )


#: The action of the contract above.
OSC_POSE = ActionSpace(
    names=("dx", "dy", "dz", "drx", "dry", "drz", "gripper"),
    relative=(True,) * 6 + (False,),
    low=(-1.0,) * ACTION_SIZE,
    high=(1.0,) * ACTION_SIZE,
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
    action: ActionSpace = OSC_POSE


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


def check_action(action: Float, space: ActionSpace = OSC_POSE) -> Float:
    """Return the action as float32, clipped to the limits of its space.

    Raises:
        ValueError: the shape is not (A,), or a value is not finite.
    """
    action = np.asarray(action, np.float32)
    if action.shape != (space.size,):
        raise ValueError(f"An action has shape ({space.size},), not {action.shape}.")
    if not np.isfinite(action).all():
        raise ValueError(f"An action holds finite numbers, not {action.tolist()}.")
    return np.clip(action, np.array(space.low, np.float32), np.array(space.high, np.float32))


def rotation_from_vector(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation matrix, (3, 3), of a rotation vector (3,) rad (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return turn
