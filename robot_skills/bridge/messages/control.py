"""What controllers, grippers and MoveIt Servo take: control_msgs."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_skills.bridge.messages.sensors import JointState
from robot_skills.bridge.messages.standard import Duration, Header
from robot_skills.bridge.messages.trajectories import (
    JointTrajectory,
    JointTrajectoryPoint,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
)
from robot_skills.bridge.schema import F64, I32, U16, ActionType, Bool, F64s, Text, Texts, message


@message("control_msgs/msg/JointJog")
@dataclass(frozen=True)
class JointJog:
    """Joint velocities, as MoveIt Servo takes them."""

    header: Header = field(default_factory=Header)
    joint_names: Texts = ()
    displacements: F64s = ()
    velocities: F64s = ()
    duration: F64 = 0.0


@message("control_msgs/msg/JointTolerance")
@dataclass(frozen=True)
class JointTolerance:
    """How far a joint may be off; 0 is the controller's default, -1 no limit."""

    name: Text = ""
    position: F64 = 0.0
    velocity: F64 = 0.0
    acceleration: F64 = 0.0


@message("control_msgs/msg/JointComponentTolerance")
@dataclass(frozen=True)
class JointComponentTolerance:
    """The same for an axis of a joint with several."""

    joint_name: Text = ""
    component: U16 = 0
    position: F64 = 0.0
    velocity: F64 = 0.0
    acceleration: F64 = 0.0


@message("control_msgs/action/FollowJointTrajectory_Goal")
@dataclass(frozen=True)
class FollowJointTrajectoryGoal:
    """A trajectory to follow."""

    trajectory: JointTrajectory = field(default_factory=JointTrajectory)
    multi_dof_trajectory: MultiDOFJointTrajectory = field(default_factory=MultiDOFJointTrajectory)
    path_tolerance: tuple[JointTolerance, ...] = ()
    component_path_tolerance: tuple[JointComponentTolerance, ...] = ()
    goal_tolerance: tuple[JointTolerance, ...] = ()
    component_goal_tolerance: tuple[JointComponentTolerance, ...] = ()
    goal_time_tolerance: Duration = field(default_factory=Duration)


@message("control_msgs/action/FollowJointTrajectory_Result")
@dataclass(frozen=True)
class FollowJointTrajectoryResult:
    """0 means followed; below 0 are errors."""

    error_code: I32 = 0
    error_string: Text = ""


@message("control_msgs/action/FollowJointTrajectory_Feedback")
@dataclass(frozen=True)
class FollowJointTrajectoryFeedback:
    """Where the joints should be, are, and the difference."""

    header: Header = field(default_factory=Header)
    joint_names: Texts = ()
    desired: JointTrajectoryPoint = field(default_factory=JointTrajectoryPoint)
    actual: JointTrajectoryPoint = field(default_factory=JointTrajectoryPoint)
    error: JointTrajectoryPoint = field(default_factory=JointTrajectoryPoint)
    multi_dof_joint_names: Texts = ()
    multi_dof_desired: MultiDOFJointTrajectoryPoint = field(default_factory=MultiDOFJointTrajectoryPoint)
    multi_dof_actual: MultiDOFJointTrajectoryPoint = field(default_factory=MultiDOFJointTrajectoryPoint)
    multi_dof_error: MultiDOFJointTrajectoryPoint = field(default_factory=MultiDOFJointTrajectoryPoint)


@message("control_msgs/msg/GripperCommand")
@dataclass(frozen=True)
class GripperCommand:
    """Opening (m) and the largest force (N)."""

    position: F64 = 0.0
    max_effort: F64 = 0.0


@message("control_msgs/action/GripperCommand_Goal")
@dataclass(frozen=True)
class GripperCommandGoal:
    """What to do."""

    command: GripperCommand = field(default_factory=GripperCommand)


@message("control_msgs/action/GripperCommand_Result")
@dataclass(frozen=True)
class GripperCommandResult:
    """Where it ended, and why."""

    position: F64 = 0.0
    effort: F64 = 0.0
    stalled: Bool = False
    reached_goal: Bool = False


@message("control_msgs/action/GripperCommand_Feedback")
@dataclass(frozen=True)
class GripperCommandFeedback:
    """Where it is."""

    position: F64 = 0.0
    effort: F64 = 0.0
    stalled: Bool = False
    reached_goal: Bool = False


@message("control_msgs/action/ParallelGripperCommand_Goal")
@dataclass(frozen=True)
class ParallelGripperCommandGoal:
    """What to do, as a joint state: position, largest velocity, largest effort."""

    command: JointState = field(default_factory=JointState)


@message("control_msgs/action/ParallelGripperCommand_Result")
@dataclass(frozen=True)
class ParallelGripperCommandResult:
    """Where it ended, and why."""

    state: JointState = field(default_factory=JointState)
    stalled: Bool = False
    reached_goal: Bool = False


@message("control_msgs/action/ParallelGripperCommand_Feedback")
@dataclass(frozen=True)
class ParallelGripperCommandFeedback:
    """Where it is."""

    state: JointState = field(default_factory=JointState)


FollowJointTrajectory = ActionType(
    "control_msgs/action/FollowJointTrajectory",
    FollowJointTrajectoryGoal,
    FollowJointTrajectoryResult,
    FollowJointTrajectoryFeedback,
)
GripperCommandAction = ActionType(
    "control_msgs/action/GripperCommand", GripperCommandGoal, GripperCommandResult, GripperCommandFeedback
)
ParallelGripperCommand = ActionType(
    "control_msgs/action/ParallelGripperCommand",
    ParallelGripperCommandGoal,
    ParallelGripperCommandResult,
    ParallelGripperCommandFeedback,
)
