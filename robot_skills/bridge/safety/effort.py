"""Joints that press too hard stop the arm, where the arm reports efforts."""

from __future__ import annotations

import numpy as np

from robot_skills.bridge.safety.rule import Moment, Objection
from robot_skills.bridge.settings import JointSettings


class Effort:
    """Stops the arm when a reported effort is beyond its limit."""

    name = "effort"

    def __init__(self, joints: tuple[JointSettings, ...]) -> None:
        self._names = [joint.name for joint in joints]
        self._limit = np.array([joint.effort or np.inf for joint in joints])

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        state = moment.inputs.state
        if state is None:
            return None
        over = np.nan_to_num(np.abs(state.effort)) > self._limit
        if not over.any():
            return None
        joint = int(over.argmax())
        return Objection(self.name, f"{self._names[joint]} reports {state.effort[joint]:.1f} N m.", stop=True)
