"""A plan as the messages of each kind of controller."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

import numpy as np

from robot_skills.bridge.controller import Command
from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.messages import (
    Duration,
    Float64MultiArray,
    FollowJointTrajectory,
    FollowJointTrajectoryGoal,
    GripperCommand,
    GripperCommandAction,
    GripperCommandGoal,
    Header,
    JointJog,
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    ParallelGripperCommand,
    ParallelGripperCommandGoal,
    Time,
    Twist,
    TwistStamped,
    Vector3,
)
from robot_skills.bridge.motion import JointMotion
from robot_skills.bridge.settings import ArmSettings, GripperSettings
from robot_skills.bridge.transport import COMMANDS, Goal, Transport, TransportError

#: Kind of controller -> what its topic takes; the one that is missing is an action.
MESSAGES: dict[str, type] = {
    "joint_trajectory": JointTrajectory,
    "position": Float64MultiArray,
    "servo_jog": JointJog,
    "servo_twist": TwistStamped,
}
#: Where on the way to rest there is a point of the trajectory, as shares of its duration.
TAIL = (0.25, 0.5, 0.75, 1.0)
#: A way to rest shorter than this is no way, s.
SHORT = 1e-4


class Output(Protocol):
    """What sends commands to the arm's controller."""

    def send(self, command: Command, stamp: float) -> None:
        """Send what the arm is to do from now on; `stamp` is now on the clock of messages, s."""


def trajectory(names: tuple[str, ...], command: Command, period: float) -> JointTrajectory:
    """The next set-points, and from there the way to rest: whoever hears no more than this stops.

    The stamp is zero, "from now on": clocks need not agree.
    """
    count = max(1, round(command.plan.period / period))
    times = [command.now + period * (tick + 1) for tick in range(count)]
    times = times[:1] + [when for when in times[1:] if when < command.plan.ends]
    left = command.plan.ends - times[-1]
    if left > SHORT:
        times += [times[-1] + share * left for share in TAIL]
    points = [_point(command.plan.at(when), when - command.now) for when in times]
    last = _point(JointMotion.rest(np.array(points[-1].positions)), times[-1] - command.now)
    return JointTrajectory(Header(), names, (*points[:-1], last))


class TrajectoryOutput:
    """JointTrajectory messages, for ros2_control's joint_trajectory_controller."""

    def __init__(self, settings: ArmSettings, transport: Transport) -> None:
        self._names = tuple(joint.name for joint in settings.joints)
        self._period = 1.0 / settings.controller.rate
        self._publish = transport.publisher(settings.controller.name, JointTrajectory, COMMANDS)

    def send(self, command: Command, stamp: float) -> None:
        """See `Output`."""
        self._publish(trajectory(self._names, command, self._period))


class TrajectoryActionOutput:
    """The same as goals of FollowJointTrajectory; each replaces the one before.

    Goals are dearer than messages: one is sent every other tick.
    """

    def __init__(self, settings: ArmSettings, transport: Transport) -> None:
        self._names = tuple(joint.name for joint in settings.joints)
        self._settings, self._transport = settings, transport
        self._period = 2.0 / settings.controller.rate
        self._sent = -np.inf
        self._goal: Goal | None = None

    def send(self, command: Command, stamp: float) -> None:
        """See `Output`."""
        if command.now - self._sent < self._period:
            return
        self._sent = command.now
        goal = FollowJointTrajectoryGoal(trajectory(self._names, command, self._period))
        self._goal = self._transport.send_goal(self._settings.controller.name, FollowJointTrajectory, goal)


class PositionOutput:
    """Positions alone, for a forward_command_controller. No stop is in it but the arm's own time-out."""

    def __init__(self, settings: ArmSettings, transport: Transport) -> None:
        self._period = 1.0 / settings.controller.rate
        self._publish = transport.publisher(settings.controller.name, Float64MultiArray, COMMANDS)

    def send(self, command: Command, stamp: float) -> None:
        """See `Output`."""
        motion = command.plan.at(command.now + self._period)
        self._publish(Float64MultiArray(data=tuple(motion.position.tolist())))


class JogOutput:
    """Joint velocities, for MoveIt Servo, which stops when it hears nothing for 0.1 s."""

    def __init__(self, settings: ArmSettings, transport: Transport) -> None:
        self._names = tuple(joint.name for joint in settings.joints)
        self._period = 1.0 / settings.controller.rate
        self._publish = transport.publisher(settings.controller.name, JointJog, COMMANDS)

    def send(self, command: Command, stamp: float) -> None:
        """See `Output`."""
        velocity = command.plan.at(command.now + self._period).velocity
        header = Header(Time.from_seconds(stamp))
        self._publish(JointJog(header, self._names, (), tuple(velocity.tolist()), self._period))


class TwistOutput:
    """The tool's velocity, for MoveIt Servo."""

    def __init__(self, settings: ArmSettings, transport: Transport, kinematics: Kinematics) -> None:
        self._period, self._frame = 1.0 / settings.controller.rate, settings.controller.frame
        self._kinematics = kinematics
        self._publish = transport.publisher(settings.controller.name, TwistStamped, COMMANDS)

    def send(self, command: Command, stamp: float) -> None:
        """See `Output`."""
        motion = command.plan.at(command.now + self._period)
        linear, angular = self._kinematics.twist(motion.position, motion.velocity)
        twist = Twist(Vector3(*linear.tolist()), Vector3(*angular.tolist()))
        self._publish(TwistStamped(Header(Time.from_seconds(stamp), self._frame), twist))


class SilentOutput:
    """Sends nothing: a dry run."""

    def send(self, command: Command, stamp: float) -> None:
        """See `Output`."""


def make_output(settings: ArmSettings, transport: Transport, kinematics: Kinematics) -> Output:
    """The output for the controller that the settings name."""
    if settings.controller.kind == "servo_twist":
        return TwistOutput(settings, transport, kinematics)
    kinds: dict[str, Callable[[ArmSettings, Transport], Output]] = {
        "joint_trajectory": TrajectoryOutput,
        "follow_joint_trajectory": TrajectoryActionOutput,
        "position": PositionOutput,
        "servo_jog": JogOutput,
    }
    return kinds[settings.controller.kind](settings, transport)


def make_gripper(settings: GripperSettings, transport: Transport) -> Callable[[bool], None]:
    """What closes (True) and opens (False) a gripper; it does not wait until that is done."""
    if settings.kind == "position":
        publish = transport.publisher(settings.name, Float64MultiArray, COMMANDS)
        return lambda closed: publish(Float64MultiArray(data=(_width(settings, closed),)))

    def send(closed: bool) -> None:
        width = _width(settings, closed)
        with contextlib.suppress(TransportError):  # the grip shows in the opening that is reported
            if settings.kind == "gripper_command":
                command = GripperCommandGoal(GripperCommand(width, settings.effort))
                transport.send_goal(settings.name, GripperCommandAction, command)
            else:
                wanted = JointState(name=settings.joints[:1], position=(width,), effort=(settings.effort,))
                goal = ParallelGripperCommandGoal(wanted)
                transport.send_goal(settings.name, ParallelGripperCommand, goal)

    return send


def _width(settings: GripperSettings, closed: bool) -> float:
    return settings.closed if closed else settings.open


def _point(motion: JointMotion, seconds: float) -> JointTrajectoryPoint:
    return JointTrajectoryPoint(
        tuple(motion.position.tolist()),
        tuple(motion.velocity.tolist()),
        tuple(motion.acceleration.tolist()),
        (),
        Duration.from_seconds(seconds),
    )
