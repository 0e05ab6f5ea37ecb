"""The ROS messages, services and actions that the bridge speaks.

Fields, their order and their types are those of ROS 2 Jazzy (common_interfaces 5.3, control_msgs 5).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_skills.bridge.schema import (
    F64,
    I8,
    I32,
    U8,
    U16,
    U32,
    ActionType,
    Bool,
    Bytes,
    F64s,
    F64x9,
    F64x12,
    I32s,
    ServiceType,
    Text,
    Texts,
    Uuid,
    message,
)


@message("builtin_interfaces/msg/Time")
@dataclass(frozen=True)
class Time:
    """Seconds since the epoch, in two parts."""

    sec: I32 = 0
    nanosec: U32 = 0

    @classmethod
    def from_seconds(cls, seconds: float) -> Time:
        """Split seconds; rounded to a nanosecond."""
        total = round(seconds * 1e9)
        return cls(total // 1_000_000_000, total % 1_000_000_000)

    @property
    def seconds(self) -> float:
        """Put together again."""
        return self.sec + 1e-9 * self.nanosec


@message("builtin_interfaces/msg/Duration")
@dataclass(frozen=True)
class Duration:
    """A span of time, in two parts."""

    sec: I32 = 0
    nanosec: U32 = 0

    @classmethod
    def from_seconds(cls, seconds: float) -> Duration:
        """Split seconds; rounded to a nanosecond."""
        total = round(seconds * 1e9)
        return cls(total // 1_000_000_000, total % 1_000_000_000)

    @property
    def seconds(self) -> float:
        """Put together again."""
        return self.sec + 1e-9 * self.nanosec


@message("std_msgs/msg/Header")
@dataclass(frozen=True)
class Header:
    """When, and in which frame."""

    stamp: Time = field(default_factory=Time)
    frame_id: Text = ""


@message("std_msgs/msg/Bool")
@dataclass(frozen=True)
class BoolMessage:
    """A truth value: e-stop, dead man's switch."""

    data: Bool = False


@message("std_msgs/msg/String")
@dataclass(frozen=True)
class String:
    """A text."""

    data: Text = ""


@message("std_msgs/msg/MultiArrayDimension")
@dataclass(frozen=True)
class MultiArrayDimension:
    """A dimension of an array."""

    label: Text = ""
    size: U32 = 0
    stride: U32 = 0


@message("std_msgs/msg/MultiArrayLayout")
@dataclass(frozen=True)
class MultiArrayLayout:
    """How an array is laid out."""

    dim: tuple[MultiArrayDimension, ...] = ()
    data_offset: U32 = 0


@message("std_msgs/msg/Float64MultiArray")
@dataclass(frozen=True)
class Float64MultiArray:
    """What position controllers take: a number a joint, in the order of their configuration."""

    layout: MultiArrayLayout = field(default_factory=MultiArrayLayout)
    data: F64s = ()


@message("geometry_msgs/msg/Vector3")
@dataclass(frozen=True)
class Vector3:
    """Three numbers."""

    x: F64 = 0.0
    y: F64 = 0.0
    z: F64 = 0.0


@message("geometry_msgs/msg/Twist")
@dataclass(frozen=True)
class Twist:
    """Linear (m/s) and angular (rad/s) velocity."""

    linear: Vector3 = field(default_factory=Vector3)
    angular: Vector3 = field(default_factory=Vector3)


@message("geometry_msgs/msg/TwistStamped")
@dataclass(frozen=True)
class TwistStamped:
    """A twist with its moment and frame, as MoveIt Servo takes it."""

    header: Header = field(default_factory=Header)
    twist: Twist = field(default_factory=Twist)


@message("sensor_msgs/msg/JointState")
@dataclass(frozen=True)
class JointState:
    """Joints by name; velocity and effort may be empty."""

    header: Header = field(default_factory=Header)
    name: Texts = ()
    position: F64s = ()
    velocity: F64s = ()
    effort: F64s = ()


@message("sensor_msgs/msg/Image")
@dataclass(frozen=True)
class Image:
    """An uncompressed picture."""

    header: Header = field(default_factory=Header)
    height: U32 = 0
    width: U32 = 0
    encoding: Text = ""
    is_bigendian: U8 = 0
    step: U32 = 0
    data: Bytes = b""


@message("sensor_msgs/msg/CompressedImage")
@dataclass(frozen=True)
class CompressedImage:
    """A picture as a JPEG or PNG file."""

    header: Header = field(default_factory=Header)
    format: Text = ""
    data: Bytes = b""


@message("sensor_msgs/msg/RegionOfInterest")
@dataclass(frozen=True)
class RegionOfInterest:
    """A part of a picture."""

    x_offset: U32 = 0
    y_offset: U32 = 0
    height: U32 = 0
    width: U32 = 0
    do_rectify: Bool = False


@message("sensor_msgs/msg/CameraInfo")
@dataclass(frozen=True)
class CameraInfo:
    """A camera's calibration."""

    header: Header = field(default_factory=Header)
    height: U32 = 0
    width: U32 = 0
    distortion_model: Text = ""
    d: F64s = ()
    k: F64x9 = (0.0,) * 9
    r: F64x9 = (0.0,) * 9
    p: F64x12 = (0.0,) * 12
    binning_x: U32 = 0
    binning_y: U32 = 0
    roi: RegionOfInterest = field(default_factory=RegionOfInterest)


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


@message("geometry_msgs/msg/Quaternion")
@dataclass(frozen=True)
class Quaternion:
    """A rotation."""

    x: F64 = 0.0
    y: F64 = 0.0
    z: F64 = 0.0
    w: F64 = 1.0


@message("geometry_msgs/msg/Transform")
@dataclass(frozen=True)
class Transform:
    """A pose of one frame in another."""

    translation: Vector3 = field(default_factory=Vector3)
    rotation: Quaternion = field(default_factory=Quaternion)


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


@message("std_srvs/srv/Trigger_Request")
@dataclass(frozen=True)
class TriggerRequest:
    """Nothing to say."""


@message("std_srvs/srv/Trigger_Response")
@dataclass(frozen=True)
class TriggerResponse:
    """Whether it was done."""

    success: Bool = False
    message: Text = ""


@message("std_srvs/srv/SetBool_Request")
@dataclass(frozen=True)
class SetBoolRequest:
    """On or off."""

    data: Bool = False


@message("std_srvs/srv/SetBool_Response")
@dataclass(frozen=True)
class SetBoolResponse:
    """Whether it was done."""

    success: Bool = False
    message: Text = ""


@message("test_msgs/action/Fibonacci_Goal")
@dataclass(frozen=True)
class FibonacciGoal:
    """ROS's own example of an action; transports are tested with it."""

    order: I32 = 0


@message("test_msgs/action/Fibonacci_Result")
@dataclass(frozen=True)
class FibonacciResult:
    """The numbers."""

    sequence: I32s = ()


@message("test_msgs/action/Fibonacci_Feedback")
@dataclass(frozen=True)
class FibonacciFeedback:
    """The numbers up to now."""

    sequence: I32s = ()


@message("robot_skills_interfaces/action/RunSkill_Goal")
@dataclass(frozen=True)
class RunSkillGoal:
    """A skill call, as in pick(object="red block"), and the word that lets its sender in."""

    call: Text = ""
    token: Text = ""


@message("robot_skills_interfaces/action/RunSkill_Result")
@dataclass(frozen=True)
class RunSkillResult:
    """How it ended: a `Status`, and why."""

    status: Text = ""
    reason: Text = ""
    steps: I32 = 0


@message("robot_skills_interfaces/action/RunSkill_Feedback")
@dataclass(frozen=True)
class RunSkillFeedback:
    """A control step that was played."""

    step: I32 = 0
    seconds: F64 = 0.0


@message("unique_identifier_msgs/msg/UUID")
@dataclass(frozen=True)
class UUID:
    """Names a goal."""

    uuid: Uuid = bytes(16)


@message("action_msgs/msg/GoalInfo")
@dataclass(frozen=True)
class GoalInfo:
    """Which goal, and when it was accepted."""

    goal_id: UUID = field(default_factory=UUID)
    stamp: Time = field(default_factory=Time)


@message("action_msgs/msg/GoalStatus")
@dataclass(frozen=True)
class GoalStatus:
    """How a goal stands: 1 accepted, 2 executing, 3 canceling, 4 succeeded, 5 canceled, 6 aborted."""

    goal_info: GoalInfo = field(default_factory=GoalInfo)
    status: I8 = 0


@message("action_msgs/msg/GoalStatusArray")
@dataclass(frozen=True)
class GoalStatusArray:
    """How all goals stand."""

    status_list: tuple[GoalStatus, ...] = ()


@message("action_msgs/srv/CancelGoal_Request")
@dataclass(frozen=True)
class CancelGoalRequest:
    """Which goals to cancel."""

    goal_info: GoalInfo = field(default_factory=GoalInfo)


@message("action_msgs/srv/CancelGoal_Response")
@dataclass(frozen=True)
class CancelGoalResponse:
    """0 means accepted."""

    return_code: I8 = 0
    goals_canceling: tuple[GoalInfo, ...] = ()


Trigger = ServiceType("std_srvs/srv/Trigger", TriggerRequest, TriggerResponse)
SetBool = ServiceType("std_srvs/srv/SetBool", SetBoolRequest, SetBoolResponse)
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
RunSkill = ActionType(
    "robot_skills_interfaces/action/RunSkill", RunSkillGoal, RunSkillResult, RunSkillFeedback
)
Fibonacci = ActionType("test_msgs/action/Fibonacci", FibonacciGoal, FibonacciResult, FibonacciFeedback)
