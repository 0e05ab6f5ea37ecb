"""Joints stay within their limits, all the way to rest."""

from __future__ import annotations

import numpy as np

from robot_skills.bridge.safety.rule import Moment, Objection
from robot_skills.bridge.settings import JointSettings

#: Rounding of ruckig's, rad.
TOLERANCE = 1e-6


class JointLimits:
    """Holds the arm where the way to rest would leave a joint's range (the margin is inside it already).

    An arm that stands outside may move back in.
    """

    name = "joint"

    def __init__(self, joints: tuple[JointSettings, ...], margin: float) -> None:
        self._names = [joint.name for joint in joints]
        self._lower = np.array([joint.lower for joint in joints]) + margin - TOLERANCE
        self._upper = np.array([joint.upper for joint in joints]) - margin + TOLERANCE

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        low, high = moment.tail.extremes
        way = np.array([motion.position for motion in moment.path])
        low, high = np.minimum(low, way.min(0)), np.maximum(high, way.max(0))
        at = moment.current.position
        wrong = (low < np.minimum(self._lower, at)) | (high > np.maximum(self._upper, at))
        if not wrong.any():
            return None
        joint = int(wrong.argmax())
        return Objection(
            self.name,
            f"{self._names[joint]} would go to {low[joint]:.3f} .. {high[joint]:.3f} rad; its range is "
            f"{self._lower[joint]:.3f} .. {self._upper[joint]:.3f}.",
            stop=False,
        )
