"""Somebody pressed the button."""

from __future__ import annotations

from robot_skills.bridge.safety.rule import Moment, Objection


class EmergencyStop:
    """Stops the arm while the topic says so. That it says so no longer does not resume."""

    name = "emergency stop"

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        if not moment.inputs.emergency_stop:
            return None
        return Objection(self.name, f"{self._topic} says stop.", stop=True)
