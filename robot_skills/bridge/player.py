"""From joint targets, one a control step, to a smooth motion at the controller's rate.

The target of a control step is to be reached when the step is over. The way there is planned once, by
`motion.Planner`, from wherever the arm is and however it moves: no faster than it must be, and with every
limit kept. It passes the target at a velocity only where the next target is known by then, and otherwise
stops there: silence means stop. A chunk that comes late, jumps, or never comes changes where the way leads,
and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_skills.bridge.motion import Array, JointMotion, Planner, Profile, Smooth

#: A motion so far from the planned way is another one, and a new way is planned: rad, rad/s, tenfold rad/s2.
SAME = 1e-6


@dataclass(frozen=True)
class Target:
    """Where to be, and when.

    Attributes:
        when: seconds, the caller's clock.
        step: seconds between this target and the one that follows.
        position: (J,) rad.
        following: the position after that, (J,) rad, where it is known.
    """

    when: float
    step: float
    position: Array
    following: Array | None = None

    def passed(self, motion: JointMotion, now: float) -> Array:
        """At which velocity (J,) it is passed.

        The harmonic mean of the slopes to it and from it (Fritsch and Butland 1984, for curves that do not
        overshoot), 0 where the motion turns.
        """
        if self.following is None:
            return np.zeros_like(self.position)
        left = max(self.when - now, 0.2 * self.step)  # late, it is not made up for in no time
        return harmonic(
            (self.position - motion.position) / left, (self.following - self.position) / self.step
        )


class Way:
    """A profile, and from its end the way to rest; read from an offset on, s."""

    def __init__(self, profile: Profile | Smooth, rest: Profile, offset: float = 0.0) -> None:
        self._profile, self._rest, self._offset = profile, rest, offset

    def at(self, seconds: float) -> JointMotion:
        """The motion at a time after the offset."""
        seconds += self._offset
        if seconds <= self._profile.duration:
            return self._profile.at(seconds)
        seconds -= self._profile.duration
        if seconds < self._rest.duration:
            return self._rest.at(seconds)
        return JointMotion.rest(self._rest.at(self._rest.duration).position)

    def later(self, offset: float) -> Way:
        """The same way, read from a later time on."""
        return Way(self._profile, self._rest, self._offset + offset)


class Player:
    """The target, and the way to it.

    Args:
        planner: for the arm's joints.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._target: Target | None = None
        self._way: Way | None = None
        self._began, self._speed = 0.0, 1.0

    def hold(self, position: Array) -> None:
        """Forget every target; stay at, or go back to, a position (J,)."""
        self._target, self._way = Target(0.0, 1.0, position), None

    def aim(self, target: Target) -> None:
        """Go to a target from the next tick on; the one before is forgotten."""
        self._target, self._way = target, None

    def follow(self, motion: JointMotion, now: float, speed: float = 1.0) -> Way:
        """The way from a motion to the target, and to rest.

        Args:
            motion: of the arm, now.
            now: seconds, the targets' clock.
            speed: share of the velocity limits that may be used.

        Raises:
            PlanningError: none was found.
            ValueError: nothing is held yet.
        """
        if self._target is None:
            raise ValueError("The player holds no position yet.")
        if self._way is not None and speed == self._speed:
            way = self._way.later(now - self._began)
            if _same(way.at(0.0), motion):
                return way
        self._way = self._plan(self._target, motion, now, speed)
        self._began, self._speed = now, speed
        return self._way

    def to_rest(self, motion: JointMotion) -> Profile:
        """The fastest way to rest."""
        return self._planner.to_rest(motion)

    def _plan(self, target: Target, motion: JointMotion, now: float, speed: float) -> Way:
        left = max(target.when - now, 0.5 * target.step if target.following is not None else 0.0)
        velocity = target.passed(motion, now)
        profile = self._planner.towards(motion, target.position, velocity, speed, left)
        return Way(profile, self._planner.to_rest(profile.at(profile.duration)))


def harmonic(one: Array, other: Array) -> Array:
    """The harmonic mean of two slopes (J,) where they have one sign, 0 where they have not."""
    gentle, steep = np.where(np.abs(one) < np.abs(other), (one, other), (other, one))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = gentle * (2 * steep / (one + other))  # a product of both could underflow
    return np.where(np.sign(one) * np.sign(other) > 0, mean, 0.0)


def _same(one: JointMotion, other: JointMotion) -> bool:
    return bool(
        (np.abs(one.position - other.position) < SAME).all()
        and (np.abs(one.velocity - other.velocity) < SAME).all()
        and (np.abs(one.acceleration - other.acceleration) < 10 * SAME).all()
    )
