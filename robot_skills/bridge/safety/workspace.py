"""The tool stays in its box, all the way to rest."""

from __future__ import annotations

import numpy as np

from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.motion import Array
from robot_skills.bridge.safety.rule import Moment, Objection

#: Where on the way to rest is looked, as shares of its duration.
LOOKS = (0.5, 1.0)


class Workspace:
    """Holds the arm where the tool would leave its box; a tool that is outside may come nearer to it."""

    name = "workspace"

    def __init__(
        self, low: tuple[float, float, float], high: tuple[float, float, float], kinematics: Kinematics
    ) -> None:
        self._low, self._high, self._kinematics = np.array(low), np.array(high), kinematics

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        ways = [moment.tail.at(look * moment.tail.duration).position for look in LOOKS]
        places = [
            self._kinematics.tool(joints)[0]
            for joints in (*(motion.position for motion in moment.path), *ways)
        ]
        worst = max(places, key=self._outside)
        outside = self._outside(worst)
        if outside <= 1e-6:
            return None
        if outside < self._outside(self._kinematics.tool(moment.current.position)[0]) - 1e-9:
            return None
        x, y, z = worst
        return Objection(
            self.name, f"the tool would be at {x:.3f} {y:.3f} {z:.3f}, outside its box.", stop=False
        )

    def _outside(self, place: Array) -> float:
        """How far a place is outside the box, m."""
        return float(np.maximum(np.maximum(self._low - place, place - self._high), 0).max())
