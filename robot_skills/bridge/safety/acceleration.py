"""Joints stay below their accelerations and jerks: nothing jumps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from robot_skills.bridge.motion import JointMotion
from robot_skills.bridge.safety.rule import Moment, Objection
from robot_skills.bridge.settings import JointSettings

#: Rounding, as a share of a limit.
ROUNDING = 1e-6


class Acceleration:
    """Holds the arm where a motion would change faster than the joints may."""

    name = "acceleration"

    def __init__(self, joints: tuple[JointSettings, ...]) -> None:
        self._names = [joint.name for joint in joints]
        self._acceleration = np.array([joint.acceleration for joint in joints]) * (1 + ROUNDING)
        self._jerk = np.array([joint.jerk for joint in joints]) * (1 + ROUNDING)

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        for before, after in pairwise((moment.current, *moment.path)):
            objection = self._check_step(before, after, moment.period)
            if objection is not None:
                return objection
        return None

    def _check_step(self, current: JointMotion, proposal: JointMotion, period: float) -> Objection | None:
        change = np.abs(proposal.velocity - current.velocity) / period
        acceleration = np.maximum(np.abs(proposal.acceleration), change)
        jerk = np.abs(proposal.acceleration - current.acceleration) / period
        for values, limits, unit in (
            (acceleration, self._acceleration, "rad/s²"),
            (jerk, self._jerk, "rad/s³"),
        ):
            if (over := values > limits).any():
                joint = int(over.argmax())
                reason = f"{self._names[joint]} would change by {values[joint]:.1f} {unit}."
                return Objection(self.name, reason, stop=False)
        return None
