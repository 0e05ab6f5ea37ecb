"""Joints over time: trajectory_msgs."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_skills.bridge.messages.standard import Duration, Header, Transform, Twist
from robot_skills.bridge.schema import F64s, Texts, message


@message("trajectory_msgs/msg/JointTrajectoryPoint")
@dataclass(frozen=True)
class JointTrajectoryPoint:
    """Joints at a time after the trajectory's start."""

    positions: F64s = ()
    velocities: F64s = ()
    accelerations: F64s = ()
    effort: F64s = ()
    time_from_start: Duration = field(default_factory=Duration)


@message("trajectory_msgs/msg/JointTrajectory")
@dataclass(frozen=True)
class JointTrajectory:
    """Joints over time; a stamp of zero means now."""

    header: Header = field(default_factory=Header)
    joint_names: Texts = ()
    points: tuple[JointTrajectoryPoint, ...] = ()


@message("trajectory_msgs/msg/MultiDOFJointTrajectoryPoint")
@dataclass(frozen=True)
class MultiDOFJointTrajectoryPoint:
    """Joints with several axes at a time; no arm here has one."""

    transforms: tuple[Transform, ...] = ()
    velocities: tuple[Twist, ...] = ()
    accelerations: tuple[Twist, ...] = ()
    time_from_start: Duration = field(default_factory=Duration)


@message("trajectory_msgs/msg/MultiDOFJointTrajectory")
@dataclass(frozen=True)
class MultiDOFJointTrajectory:
    """Joints with several axes over time; no arm here has one."""

    header: Header = field(default_factory=Header)
    joint_names: Texts = ()
    points: tuple[MultiDOFJointTrajectoryPoint, ...] = ()
