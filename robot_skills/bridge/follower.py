"""The arm's side of a trajectory: what ros2_control's joint_trajectory_controller does with a message.

For the simulated arm and for tests. A new trajectory takes over from where the old one is, with its velocity;
between points it goes by cubics; past the last one it holds. So an arm that hears nothing more stops there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_skills.bridge.messages import JointTrajectory
from robot_skills.bridge.motion import Array


class Follower:
    """Follows trajectories of J joints.

    Args:
        names: of the joints, in the order of every array here.
        position: where they are, (J,) rad.
    """

    def __init__(self, names: Sequence[str], position: Array) -> None:
        self._names = tuple(names)
        self.hold(position)

    def hold(self, position: Array) -> None:
        """Forget the trajectory and stay at a position."""
        rest = np.zeros(len(self._names))
        self._points = [(0.0, np.array(position, float), rest)]

    def take(self, message: JointTrajectory, now: float) -> str:
        """Follow a trajectory from now on; returns why it is refused, "" if it is not."""
        if set(message.joint_names) != set(self._names):
            return f"it is for the joints {', '.join(message.joint_names)}."
        order = [message.joint_names.index(name) for name in self._names]
        points, last = [(now, *self.at(now))], 0.0
        for point in message.points:
            seconds = point.time_from_start.seconds
            velocities = point.velocities or (0.0,) * len(order)
            if len(point.positions) != len(order) or len(velocities) != len(order):
                return "a point has not as many numbers as there are joints."
            values = np.array([point.positions, velocities])[:, order]
            if not np.isfinite(values).all() or seconds < last or (seconds == last and last > 0):
                return "a number is not finite, or times do not go up."
            last = seconds
            points.append((now + max(seconds, 1e-4), values[0], values[1]))
        if message.points and points[-1][2].any():
            return "its last point does not stand still."
        self._points = points
        return ""

    def at(self, now: float) -> tuple[Array, Array]:
        """Position (J,) and velocity (J,) at a time."""
        points = self._points
        while len(points) > 1 and now >= points[1][0]:
            points.pop(0)
        begin, start, velocity = points[0]
        if len(points) == 1:
            return start, np.zeros_like(start)
        end, target, wanted = points[1]
        span = end - begin
        x, change, left, right = (now - begin) / span, target - start, velocity * span, wanted * span
        square, cube = 3 * change - 2 * left - right, left + right - 2 * change
        position = start + x * (left + x * (square + x * cube))
        return position, (left + x * (2 * square + 3 * x * cube)) / span
