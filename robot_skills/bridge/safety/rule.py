"""What a rule is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from robot_skills.bridge.inputs import Inputs
from robot_skills.bridge.motion import JointMotion, Profile


@dataclass(frozen=True)
class Moment:
    """A motion that is about to be sent.

    Attributes:
        now: our monotonic clock, s.
        period: from `current` to the first of `path`, and between two of them, s.
        current: where the arm is by what was sent before.
        path: where it is to be after each period.
        tail: the way to rest from the last of them.
        inputs: what has come in.
        needed: cameras that somebody looks at now.
        since_start: seconds since motion was last resumed.
        dry: nothing is sent, so the arm does not follow.
    """

    now: float
    period: float
    current: JointMotion
    path: tuple[JointMotion, ...]
    tail: Profile
    inputs: Inputs
    needed: frozenset[str] = frozenset()
    since_start: float = 0.0
    dry: bool = False


@dataclass(frozen=True)
class Objection:
    """Why a motion is not sent.

    Attributes:
        stop: the arm stops until somebody resumes; if not, it waits at rest for a motion without objection.
    """

    rule: str
    reason: str
    stop: bool


class Rule(Protocol):
    """One thing that must not happen."""

    @property
    def name(self) -> str:
        """As in `chain.ORDER`."""

    def check(self, moment: Moment) -> Objection | None:
        """The objection to a motion, or None."""
