"""Joint motion with bounded velocity, acceleration and jerk: one step towards a target, and the way to rest.

The way to rest, and to a target in a hurry, are ruckig's time-optimal profiles (Berscheid and Kröger,
"Jerk-limited real-time trajectory generation with arbitrary target states", RSS 2021); to a target with time
enough it is a quintic that keeps the joints in step. Each begins with the motion as it is: whatever the
target does, positions, velocities and accelerations are continuous and the limits hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.bridge.settings import JointSettings
from robot_skills.errors import require

Array = NDArray[np.float64]

#: A target's velocity is kept this far inside the limit, as ruckig asks for.
INSIDE = 0.98
#: Times the wished duration that a smooth way may take.
LONGER = (1.0, 1.2, 1.5, 2.0, 3.0)
#: Parts into which a profile is cut to find its extremes.
LOOKS = 8


@dataclass(frozen=True)
class JointMotion:
    """Where J joints are and how they move: (J,) rad, rad/s, rad/s²."""

    position: Array
    velocity: Array
    acceleration: Array

    @classmethod
    def rest(cls, position: Array) -> JointMotion:
        """Standing still."""
        position = np.array(position, float)
        return cls(position, np.zeros_like(position), np.zeros_like(position))


@dataclass(frozen=True)
class Limits:
    """Of J joints, each (J,): rad/s, rad/s², rad/s³."""

    velocity: Array
    acceleration: Array
    jerk: Array

    @classmethod
    def of(cls, joints: tuple[JointSettings, ...]) -> Limits:
        """Those of an arm."""
        return cls(
            np.array([joint.velocity for joint in joints]),
            np.array([joint.acceleration for joint in joints]),
            np.array([joint.jerk for joint in joints]),
        )


class Profile:
    """A motion over time that ends at rest, or at its target."""

    def __init__(self, trajectory: Any) -> None:
        self._trajectory = trajectory
        self.duration: float = trajectory.duration

    @property
    def extremes(self) -> tuple[Array, Array]:
        """The lowest and highest position of each joint on the way, (J,) each."""
        # ruckig's own position_extrema takes 0 in for profiles that end in a velocity. Between looks a joint
        # strays by a d² / (8 LOOKS²) at most: 1 mrad for 0.2 s at 10 rad/s².
        times = np.linspace(0.0, self.duration, LOOKS + 1)
        way = np.array([self._trajectory.at_time(time)[0] for time in times])
        return way.min(0), way.max(0)

    def at(self, seconds: float) -> JointMotion:
        """The motion at a time after its start; past the end it goes on at the end's velocity."""
        position, velocity, acceleration = self._trajectory.at_time(seconds)
        return JointMotion(np.array(position), np.array(velocity), np.array(acceleration))


class Smooth:
    """A quintic from a motion to another that ends with no acceleration: the same shape for every joint.

    So the joints keep in step, and the tool near its straight line (Flash and Hogan 1985: from rest to rest
    this is the motion with the least jerk).
    """

    def __init__(self, start: JointMotion, position: Array, velocity: Array, duration: float) -> None:
        self.duration = duration
        p, v, a = start.position, start.velocity * duration, start.acceleration * duration**2
        w, change = velocity * duration, position - start.position
        self._terms = np.array([
            p, v, a / 2,
            10 * change - 6 * v - 4 * w - 1.5 * a,
            -15 * change + 8 * v + 7 * w + 1.5 * a,
            6 * change - 3 * v - 3 * w - 0.5 * a,
        ])  # fmt: skip

    def at(self, seconds: float) -> JointMotion:
        """The motion at a time after its start, within its duration."""
        s, span = min(max(seconds / self.duration, 0.0), 1.0), self.duration
        powers = np.array([1, s, s**2, s**3, s**4, s**5])
        first = np.array([0, 1, 2 * s, 3 * s**2, 4 * s**3, 5 * s**4]) / span
        second = np.array([0, 0, 2, 6 * s, 12 * s**2, 20 * s**3]) / span**2
        return JointMotion(powers @ self._terms, first @ self._terms, second @ self._terms)

    def keeps(self, limits: Limits, velocity: Array) -> bool:
        """Whether it stays within the limits, with a velocity limit (J,) of its own."""
        s = np.linspace(0.0, 1.0, 21)[:, None]
        one, zero, span = np.ones_like(s), np.zeros_like(s), self.duration
        first = np.hstack([zero, one, 2 * s, 3 * s**2, 4 * s**3, 5 * s**4]) @ self._terms / span
        second = np.hstack([zero, zero, 2 * one, 6 * s, 12 * s**2, 20 * s**3]) @ self._terms / span**2
        third = np.hstack([zero, zero, zero, 6 * one, 24 * s, 60 * s**2]) @ self._terms / span**3
        return bool(
            (np.abs(first) <= INSIDE * velocity).all()
            and (np.abs(second) <= INSIDE * limits.acceleration).all()
            and (np.abs(third) <= INSIDE * limits.jerk).all()
        )


class Planner:
    """Plans profiles for an arm's joints.

    Raises:
        InputError: ruckig is not installed.
    """

    def __init__(self, limits: Limits) -> None:
        self._ruckig = require("ruckig", "bridge")
        self._limits = limits
        self._size = len(limits.velocity)
        self._generator = self._ruckig.Ruckig(self._size)

    def towards(
        self,
        start: JointMotion,
        position: Array,
        velocity: Array,
        speed: float = 1.0,
        duration: float = 0.0,
    ) -> Profile | Smooth:
        """The way to a position (J,) that is passed at a velocity (J,), or as near to it as can be had.

        A smooth one where there is time for it, at most `LONGER` times the duration; else the fastest.

        Args:
            start: where the motion is now.
            position: of the target, (J,).
            velocity: at the target, (J,).
            speed: share of the velocity limits that may be used.
            duration: the way takes this long, s, or as long as it must.
        """
        limit = speed * self._limits.velocity
        for longer in LONGER if duration > 0 else ():
            smooth = Smooth(start, position, velocity / longer, longer * duration)
            if smooth.keeps(self._limits, limit):
                return smooth
        given = self._input(start, limit)
        given.target_position = position.tolist()
        given.minimum_duration = duration
        given.target_velocity = self._without_run_up(start, position, velocity, limit).tolist()
        return self._plan(given)

    def to_rest(self, start: JointMotion) -> Profile:
        """The fastest way to stand still, wherever that is."""
        given = self._input(start, self._limits.velocity)
        given.control_interface = self._ruckig.ControlInterface.Velocity
        # On a straight line where they can: if one joint stopped first that the others made up for, the tool
        # would speed up.
        given.synchronization = self._ruckig.Synchronization.Phase
        given.target_velocity = [0.0] * self._size
        return self._plan(given)

    def _without_run_up(self, start: JointMotion, position: Array, velocity: Array, limit: Array) -> Array:
        """The part of a target's velocity that can be had on the way there.

        For more, the fastest way would first go back for a run-up. Speeding up over a distance d gives
        sqrt(v² + 2 a d); a half of it is taken, for the jerk.
        """
        ahead = np.sign(velocity) * (position - start.position)
        along = np.maximum(np.sign(velocity) * start.velocity, 0.0)
        had = np.sqrt(along**2 + self._limits.acceleration * np.maximum(ahead, 0.0))
        kept: Array = np.sign(velocity) * np.minimum(np.abs(velocity), np.minimum(had, INSIDE * limit))
        return kept

    def _input(self, start: JointMotion, velocity: Array) -> Any:
        given = self._ruckig.InputParameter(self._size)
        given.current_position = start.position.tolist()
        given.current_velocity = start.velocity.tolist()
        given.current_acceleration = start.acceleration.tolist()
        given.max_velocity = velocity.tolist()
        given.max_acceleration = self._limits.acceleration.tolist()
        given.max_jerk = self._limits.jerk.tolist()
        return given

    def _plan(self, given: Any) -> Profile:
        trajectory = self._ruckig.Trajectory(self._size)
        try:
            self._generator.calculate(given, trajectory)
        except self._ruckig.RuckigError as error:
            raise PlanningError(f"No motion found. {str(error).strip().partition(chr(10))[0]}") from error
        return Profile(trajectory)


class PlanningError(RuntimeError):
    """No motion was found; whoever asked goes on along the way to rest that it has."""
