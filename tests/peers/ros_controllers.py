"""An arm's controllers as a real ROS 2 node: the actions of control_msgs, and what MoveIt Servo takes.

The joints of `joint_states` go where they are told: by FollowJointTrajectory goals (a newer one replaces the
older, as in ros2_control; wrong joints are rejected), or by JointJog for 0.1 s each, as in MoveIt Servo. The
grippers take 0.2 s. What was done is said on /heard as JSON.
"""

import array
import json
import threading
import time

import numpy as np
import rclpy
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from control_msgs.msg import JointJog
from geometry_msgs.msg import TwistStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from robot_skills.bridge.follower import Follower
from robot_skills.bridge.messages import JointTrajectory
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transports.rclpy_node import from_ros
from tests.peers.ros_node import spin

SETTINGS = ArmSettings.read("tabletop")
JOINTS = tuple(joint.name for joint in SETTINGS.joints)
#: A jog lasts so long, s.
JOG = 0.1
INVALID_GOAL = -1


class Controllers:
    """See the module."""

    def __init__(self, node) -> None:
        self._node, self._lock = node, threading.Lock()
        self._follower = Follower(JOINTS, np.array(SETTINGS.kinematics.posture))
        self._newest = None
        self._jog, self._jogged, self._ticked = np.zeros(len(JOINTS)), -np.inf, time.monotonic()
        self._opening = 0.04
        self._heard = node.create_publisher(String, "/heard", 1000)
        self._states = node.create_publisher(JointState, "/joint_states", 10)
        group = ReentrantCallbackGroup()
        node.create_timer(0.01, self._tick, callback_group=group)
        node.create_subscription(JointJog, "/servo/jog", self._on_jog, 10, callback_group=group)
        node.create_subscription(TwistStamped, "/servo/twist", self._on_twist, 10, callback_group=group)
        for kind, name, execute, judge in (
            (FollowJointTrajectory, "/arm/follow_joint_trajectory", self._follow, self._judge_trajectory),
            (GripperCommand, "/gripper/command", self._grip, self._judge_grip),
            (ParallelGripperCommand, "/gripper/parallel", self._grip_parallel, self._judge_parallel),
        ):
            ActionServer(
                node, kind, name, execute, goal_callback=judge,
                cancel_callback=lambda goal: CancelResponse.ACCEPT, callback_group=group,
            )  # fmt: skip

    def _say(self, **what: object) -> None:
        self._heard.publish(String(data=json.dumps(what)))

    def _where(self) -> np.ndarray:
        with self._lock:
            return self._follower.at(time.monotonic())[0]

    def _tick(self) -> None:
        now = time.monotonic()
        with self._lock:
            span = min(now, self._jogged + JOG) - self._ticked
            if span > 0:
                self._follower.hold(self._follower.at(now)[0] + span * self._jog)
            self._ticked = now
        message = JointState(name=[*JOINTS, "panda_finger_joint1", "panda_finger_joint2"])
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.position = array.array("d", [*self._where(), self._opening / 2, self._opening / 2])
        self._states.publish(message)

    def _on_jog(self, message: JointJog) -> None:
        with self._lock:
            self._jog, self._jogged = np.array(message.velocities), time.monotonic()
        self._say(jog=list(message.joint_names), velocities=list(message.velocities))

    def _on_twist(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        numbers = [linear.x, linear.y, linear.z, angular.x, angular.y, angular.z]
        self._say(twist=numbers, frame=message.header.frame_id)

    def _judge_trajectory(self, goal) -> GoalResponse:
        right = list(goal.trajectory.joint_names) == list(JOINTS) and bool(goal.trajectory.points)
        return GoalResponse.ACCEPT if right else GoalResponse.REJECT

    def _judge_grip(self, goal) -> GoalResponse:
        return GoalResponse.ACCEPT if goal.command.max_effort >= 0 else GoalResponse.REJECT

    def _judge_parallel(self, goal) -> GoalResponse:
        return GoalResponse.ACCEPT if len(goal.command.position) == 1 else GoalResponse.REJECT

    def _follow(self, goal):
        """Follow a trajectory to its end, or until it is canceled or replaced."""
        given = goal.request.trajectory
        result = FollowJointTrajectory.Result()
        with self._lock:
            self._newest = goal
            refused = self._follower.take(from_ros(JointTrajectory, given), time.monotonic())
        last = given.points[-1].time_from_start
        ends = time.monotonic() + last.sec + 1e-9 * last.nanosec
        feedback = FollowJointTrajectory.Feedback(joint_names=JOINTS)
        while not refused and time.monotonic() < ends:
            if goal.is_cancel_requested:
                with self._lock:
                    self._follower.hold(self._follower.at(time.monotonic())[0])
                goal.canceled()
                return result
            if self._newest is not goal:
                break
            feedback.actual.positions = array.array("d", self._where())
            goal.publish_feedback(feedback)
            time.sleep(0.02)
        replaced = self._newest is not goal
        if refused or replaced:
            goal.abort()
            result.error_code = INVALID_GOAL
            result.error_string = refused or "replaced by a newer goal"
        else:
            goal.succeed()
        self._say(follow="replaced" if replaced else refused or "followed", position=list(self._where()))
        return result

    def _close(self, opening: float) -> None:
        time.sleep(0.2)
        self._opening = 2 * opening

    def _grip(self, goal):
        command = goal.request.command
        goal.publish_feedback(GripperCommand.Feedback(position=self._opening / 2))
        self._close(command.position)
        goal.succeed()
        self._say(grip=command.position, effort=command.max_effort)
        return GripperCommand.Result(
            position=command.position, effort=command.max_effort, stalled=False, reached_goal=True
        )

    def _grip_parallel(self, goal):
        command = goal.request.command
        goal.publish_feedback(ParallelGripperCommand.Feedback())
        self._close(command.position[0])
        goal.succeed()
        self._say(parallel=list(command.name), position=list(command.position), effort=list(command.effort))
        result = ParallelGripperCommand.Result(stalled=True, reached_goal=True)
        result.state.name, result.state.position = command.name, command.position
        return result


def main() -> None:
    """Run until the process is ended."""
    rclpy.init()
    node = rclpy.create_node("controllers")
    controllers = Controllers(node)
    spin(node, 8)
    del controllers


if __name__ == "__main__":
    main()
