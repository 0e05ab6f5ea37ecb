"""The first motion after every start is slow."""

from __future__ import annotations

import numpy as np

from robot_skills.bridge.safety.rule import Moment, Objection
from robot_skills.bridge.settings import JointSettings


class FirstMotion:
    """Holds the arm where it would be fast too early. The player is given the same share, and keeps it.

    Args:
        share: of the velocity limits.
        seconds: how long.
    """

    name = "first motion"

    def __init__(self, joints: tuple[JointSettings, ...], share: float, seconds: float) -> None:
        self._names = [joint.name for joint in joints]
        self._limit = share * np.array([joint.velocity for joint in joints]) * (1 + 1e-6)
        self._share, self._seconds = share, seconds

    def speed(self, since_start: float) -> float:
        """The share of the velocity limits that may be used so long after a start."""
        return self._share if since_start < self._seconds else 1.0

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        if moment.since_start >= self._seconds:
            return None
        over = np.max([np.abs(motion.velocity) for motion in moment.path], axis=0) > self._limit
        if not over.any():
            return None
        reason = f"{self._names[int(over.argmax())]} would be fast in the first {self._seconds:g} s."
        return Objection(self.name, reason, stop=False)
