"""What is not heard of any more is not trusted any more."""

from __future__ import annotations

import math
from collections.abc import Mapping

from robot_skills.bridge.safety.rule import Moment, Objection


class Watchdog:
    """Stops the arm when joint states, or images that somebody looks at, are too old."""

    name = "watchdog"

    def __init__(self, state_age: float, camera_age: float) -> None:
        self._state_age, self._camera_age = state_age, camera_age

    def check(self, moment: Moment) -> Objection | None:
        """See the class."""
        state = moment.inputs.state
        heard: Mapping[str, float] = moment.inputs.cameras
        ages = [("joint states", state.received if state else -math.inf, self._state_age)]
        for camera in sorted(moment.needed):
            ages += [(f"images of {camera}", heard.get(camera, -math.inf), self._camera_age)]
        for name, last, limit in ages:
            if moment.now - last > limit:
                since = f"for {moment.now - last:.2f} s" if math.isfinite(last) else "ever"
                return Objection(self.name, f"no {name} {since}.", stop=True)
        return None
