"""The heuristic in use today: cut where the gripper opens or closes, and where the hand stands still.

As in the keyframes of C2FARM and PerAct (James et al. 2022; Shridhar et al. 2022) and most hand-made
pipelines. It needs no learning, and knows nothing of skills that close the gripper in their middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.segmentation.segments import merge_short
from robot_skills.data.segmentation.traces import Trace
from robot_skills.policies.settings import check_range


@dataclass(frozen=True)
class GripperConfig:
    """When a recording is cut.

    Attributes:
        slow: a step is one of rest below this share of the recording's 90 % fastest speed; the slowest step
            of each rest is a boundary.
        shortest: two boundaries are at least so far apart, s.
        gripper: whether a change of the gripper's command is a boundary.
    """

    slow: float = 0.3
    shortest: float = 0.3
    gripper: bool = True

    def __post_init__(self) -> None:
        check_range("gripper.slow", self.slow, 0, 1)
        check_range("gripper.shortest", self.shortest, 0)


def cut(trace: Trace, config: GripperConfig) -> list[int]:
    """The rows before which a recording is cut."""
    cuts = slow_steps(trace, config.slow)
    if config.gripper:
        cuts += gripper_changes(trace)
    return merge_short(cuts, trace, config.shortest)


def gripper_changes(trace: Trace) -> list[int]:
    """Rows at which the gripper's command crosses the middle of its range."""
    if trace.gripper is None:
        return []
    command = trace.action[:, trace.gripper]
    closed = command > (command.min() + command.max()) / 2
    return [int(row) + 1 for row in np.flatnonzero(closed[1:] != closed[:-1])]


def slow_steps(trace: Trace, share: float) -> list[int]:
    """The slowest row of each stretch that is slower than a share of the recording's top speed."""
    speed = speeds(trace)
    slow = speed < share * float(np.quantile(speed, 0.9))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], slow, [False]]).astype(np.int8)))
    return [int(a + np.argmin(speed[a:b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def speeds(trace: Trace) -> NDArray[np.float64]:
    """Speed of the hand at each step, smoothed over three of them, (N,) state units a step."""
    place = trace.state[:, list(trace.position)].astype(np.float64)
    steps = np.linalg.norm(np.diff(place, axis=0, append=place[-1:]), axis=1)
    steps[-1] = steps[-2] if len(steps) > 1 else 0.0
    padded = np.pad(steps, 1, mode="edge")
    smooth: NDArray[np.float64] = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth
