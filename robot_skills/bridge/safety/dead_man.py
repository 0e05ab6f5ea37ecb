"""Somebody must be holding the switch, where there is one."""

from __future__ import annotations

from robot_skills.bridge.safety.rule import Moment, Objection


class DeadMan:
    """Stops the arm when the switch is let go, or not heard of. Holding it again does not resume."""

    name = "dead man's switch"

    def __init__(self, topic: str, age: float) -> None:
        self._topic, self._age = topic, age

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        if not self._topic or moment.now - moment.inputs.dead_man <= self._age:
            return None
        return Objection(self.name, f"nobody holds {self._topic}.", stop=True)
