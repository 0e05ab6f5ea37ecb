"""The rules in their order, the latch, and the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.safety.acceleration import Acceleration
from robot_skills.bridge.safety.dead_man import DeadMan
from robot_skills.bridge.safety.effort import Effort
from robot_skills.bridge.safety.emergency_stop import EmergencyStop
from robot_skills.bridge.safety.first_motion import FirstMotion
from robot_skills.bridge.safety.following import Following
from robot_skills.bridge.safety.joint_limits import JointLimits
from robot_skills.bridge.safety.rule import Moment, Objection, Rule
from robot_skills.bridge.safety.self_collision import SelfCollision
from robot_skills.bridge.safety.velocity import Velocity
from robot_skills.bridge.safety.watchdog import Watchdog
from robot_skills.bridge.safety.workspace import Workspace
from robot_skills.bridge.settings import ArmSettings

log = logging.getLogger(__name__)

#: The order in which rules are asked; the first that stops is the reason of the stop.
ORDER = (
    *("joint", "velocity", "acceleration", "workspace", "self-collision", "effort", "following"),
    *("watchdog", "dead man's switch", "emergency stop", "first motion"),
)

NOT_STARTED = "It was not told to start yet."


def rules(settings: ArmSettings, kinematics: Kinematics) -> tuple[Rule, ...]:
    """The rules of an arm, in their order."""
    joints, safety = settings.joints, settings.safety
    return (
        JointLimits(joints, safety.joint_margin),
        Velocity(joints, kinematics, safety.tool_speed),
        Acceleration(joints),
        Workspace(safety.workspace_low, safety.workspace_high, kinematics),
        SelfCollision(safety.clearance, kinematics),
        Effort(joints),
        Following(joints, safety.following),
        Watchdog(safety.state_age, safety.camera_age),
        DeadMan(safety.dead_man, safety.dead_man_age),
        EmergencyStop(safety.emergency_stop),
        FirstMotion(joints, safety.first_speed, safety.first_seconds),
    )


class SafetyChain:
    """Asks every rule, and remembers that it stopped.

    Args:
        rules: in their order.
        on_event: told of each rule that begins to act, and of each stop and resume.
    """

    def __init__(
        self, rules: Sequence[Rule], on_event: Callable[[str, str], None] = lambda kind, text: None
    ) -> None:
        self.rules = tuple(rules)
        self._on_event = on_event
        self._acting: frozenset[str] = frozenset()
        self.stopped: str | None = NOT_STARTED

    def judge(self, moment: Moment) -> tuple[Objection, ...]:
        """Every objection to a motion, in the order of the rules; one that stops latches."""
        found = (rule.check(moment) for rule in self.rules)
        objections = tuple(objection for objection in found if objection is not None)
        self._log(objections)
        for objection in objections:
            if objection.stop:
                self.stop(f"{objection.rule}: {objection.reason}")
        return objections

    def stop(self, reason: str) -> None:
        """Stop until resumed; the first reason stays."""
        if self.stopped is None:
            self.stopped = reason
            log.warning("The arm stops. %s", reason)
            self._on_event("stop", reason)

    def resume(self, moment: Moment) -> Objection | None:
        """Move again, unless a rule that stops objects to standing still; returns that objection."""
        for rule in self.rules:
            objection = rule.check(moment)
            if objection is not None and objection.stop:
                return objection
        self.stopped, self._acting = None, frozenset()
        log.warning("The arm may move.")
        self._on_event("resume", "")
        return None

    def _log(self, objections: tuple[Objection, ...]) -> None:
        """A line for each rule that begins to act."""
        for objection in objections:
            if objection.rule not in self._acting:
                log.warning("Safety, %s: %s", objection.rule, objection.reason)
                self._on_event(objection.rule, objection.reason)
        self._acting = frozenset(objection.rule for objection in objections)
