"""The arm does not touch itself, all the way to rest."""

from __future__ import annotations

from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.safety.rule import Moment, Objection


class SelfCollision:
    """Holds the arm where two parts of it would come too near; parts that are too near may part."""

    name = "self-collision"

    def __init__(self, clearance: float, kinematics: Kinematics) -> None:
        self._clearance, self._kinematics = clearance, kinematics

    def check(self, moment: Moment) -> Objection | None:
        """See the class: the end of the way to rest, since the way there is short beside the clearance."""
        distance = self._kinematics.clearance(moment.tail.at(moment.tail.duration).position)
        if distance >= self._clearance:
            return None
        if distance > self._kinematics.clearance(moment.current.position):
            return None
        return Objection(self.name, f"two parts of the arm would be {distance:.3f} m apart.", stop=False)
