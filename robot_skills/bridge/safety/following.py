"""An arm that does not go where it is sent is stuck, held, or not ours."""

from __future__ import annotations

import numpy as np

from robot_skills.bridge.safety.rule import Moment, Objection
from robot_skills.bridge.settings import JointSettings


class Following:
    """Stops the arm when a joint is far from where it was sent; in a dry run nothing is sent."""

    name = "following"

    def __init__(self, joints: tuple[JointSettings, ...], tolerance: float) -> None:
        self._names, self._tolerance = [joint.name for joint in joints], tolerance

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        state = moment.inputs.state
        if state is None or moment.dry:
            return None
        off = np.abs(state.position - moment.current.position)
        if off.max() <= self._tolerance:
            return None
        joint = int(off.argmax())
        return Objection(
            self.name, f"{self._names[joint]} is {off[joint]:.2f} rad from where it was sent.", stop=True
        )
