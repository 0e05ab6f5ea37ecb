"""What comes in from ROS, checked before anything is made of it.

A message that is not what it should be (a number that is none, a joint missing or named twice, one from the
past or out of order) changes nothing: what was known before grows old, and the watchdog sees to the rest.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from robot_skills.bridge.messages import JointState
from robot_skills.bridge.motion import Array
from robot_skills.bridge.settings import ArmSettings

log = logging.getLogger(__name__)

#: A message stamped this far from our clock comes from a machine whose clock is wrong, or from long ago, s.
CLOCK = 1.0
#: A reported position this far outside a joint's limits is no position, rad.
BEYOND = 0.5


@dataclass(frozen=True)
class ArmState:
    """What the arm reports.

    Attributes:
        position: (J,) rad, in the order of the configuration.
        effort: (J,) N m, NaN where none is reported.
        opening: of the gripper, m.
        stamp: seconds, the sender's clock.
        received: seconds, our monotonic clock.
    """

    position: Array
    effort: Array
    opening: float
    stamp: float
    received: float


@dataclass(frozen=True)
class Inputs:
    """Everything that has come in, at one moment; times on our monotonic clock, s.

    Attributes:
        state: None until the first that is right.
        emergency_stop: whether the topic says stop.
        dead_man: when the switch last said that it is held; -inf before, and as soon as it is let go.
        cameras: camera -> when its last image came.
    """

    state: ArmState | None = None
    emergency_stop: bool = False
    dead_man: float = -math.inf
    cameras: Mapping[str, float] = field(default_factory=dict)


#: Of what is refused, the first is logged, and few of those after it: a flood fills no log.
LOGGED = tuple(100**power for power in range(8))


class Refusals:
    """Counts what was refused, and logs the first of each kind, the hundredth, the ten thousandth ..."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, kind: str, reason: str) -> None:
        """Refuse a message of a kind."""
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        if count in LOGGED:
            log.warning("Refused a message (%s, number %d): %s", kind, count, reason)


class StateReader:
    """Turns joint states into the arm's state.

    Args:
        settings: name the joints.
        refusals: where those that are wrong are counted.
    """

    def __init__(self, settings: ArmSettings, refusals: Refusals) -> None:
        self._settings, self._refusals = settings, refusals
        self._names = [joint.name for joint in settings.joints]
        self._lower = np.array([joint.lower for joint in settings.joints]) - BEYOND
        self._upper = np.array([joint.upper for joint in settings.joints]) + BEYOND
        gripper = settings.gripper
        self._fingers = gripper.joints if gripper else ()
        self._scale = gripper.scale if gripper else 1.0
        self._last: ArmState | None = None

    def read(self, message: JointState, received: float, clock: float) -> ArmState | None:
        """The state, or None for a message that is refused.

        A message of other joints (a gripper's own broadcaster) is passed over; one with some of the arm's
        joints and not all of them is wrong.

        Args:
            message: as it came.
            received: when it came, our monotonic clock, s.
            clock: the same moment on the clock of stamps, s.
        """
        if not set(self._names) & set(message.name):
            return None
        reason = self._wrong(message, clock)
        if reason:
            self._refusals.add("joint state", reason)
            return None
        rows = {name: row for row, name in enumerate(message.name)}
        position = np.array([message.position[rows[name]] for name in self._names])
        effort = np.full(len(self._names), np.nan)
        if message.effort:
            effort = np.array([message.effort[rows[name]] for name in self._names])
        known = [message.position[rows[name]] for name in self._fingers if name in rows]
        before = self._last.opening if self._last is not None else 0.0
        opening = self._scale * sum(known) if len(known) == len(self._fingers) else before
        stamp = message.header.stamp.seconds
        self._last = ArmState(position, effort, opening, stamp, received)
        return self._last

    def opening(self, message: JointState, state: ArmState | None) -> ArmState | None:
        """The state with the opening of a message that is the gripper's alone, where it is one."""
        rows = {name: row for row, name in enumerate(message.name)}
        if state is None or not self._fingers or not set(self._fingers) <= set(rows):
            return state
        known = [message.position[rows[name]] for name in self._fingers if rows[name] < len(message.position)]
        if len(known) < len(self._fingers) or not all(map(math.isfinite, known)):
            self._refusals.add("gripper state", "an opening that is no number.")
            return state
        self._last = replace(state, opening=self._scale * sum(known))
        return self._last

    def _wrong(self, message: JointState, clock: float) -> str:
        """Why a message is refused; "" where it is right."""
        names = message.name
        if len(set(names)) != len(names):
            return "a joint is named twice."
        if missing := [name for name in self._names if name not in names]:
            return f"joints are missing: {', '.join(missing)}."
        if len(message.position) != len(names):
            return f"{len(names)} names and {len(message.position)} positions."
        if message.effort and len(message.effort) != len(names):
            return f"{len(names)} names and {len(message.effort)} efforts."
        if not all(map(math.isfinite, message.position)):
            return "a position is not a finite number."
        stamp = message.header.stamp.seconds
        if stamp and abs(stamp - clock) > CLOCK:
            return f"its stamp is {clock - stamp:.1f} s from this machine's clock."
        if stamp and self._last is not None and stamp < self._last.stamp:
            return "it is older than the one before."
        values = np.array([message.position[names.index(name)] for name in self._names])
        if (values < self._lower).any() or (values > self._upper).any():
            return "a position lies far outside the joint's limits."
        return ""
