"""What every action is made of (action_msgs), ROS's example of one (test_msgs), and ours."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_skills.bridge.messages.standard import Time
from robot_skills.bridge.schema import F64, I8, I32, ActionType, I32s, Text, Uuid, message


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


Fibonacci = ActionType("test_msgs/action/Fibonacci", FibonacciGoal, FibonacciResult, FibonacciFeedback)
RunSkill = ActionType(
    "robot_skills_interfaces/action/RunSkill", RunSkillGoal, RunSkillResult, RunSkillFeedback
)
