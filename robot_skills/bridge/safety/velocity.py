"""Joints and the tool stay below their speeds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.safety.rule import Moment, Objection
from robot_skills.bridge.settings import JointSettings

#: Rounding, as a share of a limit.
ROUNDING = 1e-6
#: Where on the way to rest the tool's speed is looked at: shares of the time until no joint speeds up.
LOOKS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Velocity:
    """Holds the arm where a joint or the tool would be too fast."""

    name = "velocity"

    def __init__(self, joints: tuple[JointSettings, ...], kinematics: Kinematics, tool_speed: float) -> None:
        self._names = [joint.name for joint in joints]
        self._limit = np.array([joint.velocity for joint in joints]) * (1 + ROUNDING)
        self._jerk = np.array([joint.jerk for joint in joints])
        self._kinematics, self._tool_speed = kinematics, tool_speed

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        motions = (moment.current, *moment.path)
        steps = [np.abs(b.position - a.position) / moment.period for a, b in pairwise(motions)]
        speed = np.max([*steps, *(np.abs(motion.velocity) for motion in moment.path)], axis=0)
        if (over := speed > self._limit).any():
            joint = int(over.argmax())
            return Objection(
                self.name, f"{self._names[joint]} would move at {speed[joint]:.2f} rad/s.", stop=False
            )
        return self._check_tool(moment)

    def _check_tool(self, moment: Moment) -> Objection | None:
        """The speed is highest where the acceleration has come to nothing, on the way to rest."""
        settled = float((np.abs(moment.path[-1].acceleration) / self._jerk).max())
        times = (*(share * settled for share in LOOKS), 0.5 * moment.tail.duration)
        motions = [*moment.path, *(moment.tail.at(min(time, moment.tail.duration)) for time in times)]
        speed = max(self._kinematics.tool_speed(m.position, m.velocity) for m in motions)
        if speed <= self._tool_speed:
            return None
        return Objection(self.name, f"the tool would move at {speed:.2f} m/s.", stop=False)
