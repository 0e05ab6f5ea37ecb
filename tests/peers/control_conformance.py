"""Actions of control_msgs and inputs of MoveIt Servo over a transport, beside `ros_controllers.py`.

    python tests/peers/control_conformance.py '{"kind": "rosbridge", "url": "ws://127.0.0.1:9090"}'

Writes one JSON line: check -> null, or what went wrong.
"""

import json
import time
from typing import Any

import numpy as np

from robot_skills.bridge.messages import (
    Duration,
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
    String,
    Time,
    Twist,
    TwistStamped,
    Vector3,
)
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transport import ABORTED, CANCELED, STREAM, SUCCEEDED, Goal, Transport
from tests.peers.ros_conformance import failure, run, wait

SETTINGS = ArmSettings.read("tabletop")
JOINTS = tuple(joint.name for joint in SETTINGS.joints)
POSTURE = np.array(SETTINGS.kinematics.posture)
FOLLOW, GRIP, PARALLEL = "/arm/follow_joint_trajectory", "/gripper/command", "/gripper/parallel"


def trajectory(
    position: np.ndarray, seconds: float, names: tuple[str, ...] = JOINTS
) -> FollowJointTrajectoryGoal:
    """A goal that goes to a position and stands still there."""
    rest = (0.0,) * len(position)
    point = JointTrajectoryPoint(tuple(position.tolist()), rest, (), (), Duration.from_seconds(seconds))
    return FollowJointTrajectoryGoal(JointTrajectory(Header(), names, (point,)))


def position(transport: Transport) -> Any:
    """What gives the joints' latest positions."""
    states: list[JointState] = []
    transport.subscribe(SETTINGS.joint_states, JointState, states.append, STREAM)
    assert wait(lambda: states), "no joint states come"
    return lambda: np.array(states[-1].position[: len(JOINTS)])


def follow(transport: Transport) -> None:
    """A trajectory is followed, with feedback of where the joints are; the result says that it was."""
    where = position(transport)
    feedback: list[Any] = []
    goal = transport.send_goal(FOLLOW, FollowJointTrajectory, trajectory(POSTURE + 0.1, 0.6), feedback.append)
    status, result = goal.result(10.0)
    assert (status, result.error_code, result.error_string) == (SUCCEEDED, 0, ""), (status, result)
    assert len(feedback) >= 5, f"{len(feedback)} feedbacks"
    way = [message.actual.positions[0] for message in feedback]
    assert way == sorted(way), "the first joint did not go one way"
    assert feedback[-1].joint_names == JOINTS
    assert wait(lambda: np.allclose(where(), POSTURE + 0.1, atol=1e-9)), where()


def cancel(transport: Transport) -> None:
    """A goal that is canceled ends at once, and the arm holds where it is."""
    where = position(transport)
    goal = transport.send_goal(FOLLOW, FollowJointTrajectory, trajectory(POSTURE - 1.0, 8.0))
    time.sleep(1.0)
    goal.cancel()
    status, _ = goal.result(5.0)  # it would take 8 s
    assert status == CANCELED, status
    time.sleep(0.3)
    held = where()
    time.sleep(0.3)
    np.testing.assert_allclose(where(), held, atol=1e-9)
    assert np.abs(held - POSTURE + 1.0).max() > 0.1


def rejected(goal: Goal) -> None:
    said = failure(lambda: goal.result(15.0))
    assert "reject" in said, said


def reject(transport: Transport) -> None:
    """Wrong joints, no opening, a negative effort: rejected, and said so."""
    wrong = trajectory(POSTURE[:2], 1.0, ("elbow", "wrist"))
    goal = transport.send_goal(FOLLOW, FollowJointTrajectory, wrong)
    rejected(goal)
    goal = transport.send_goal(GRIP, GripperCommandAction, GripperCommandGoal(GripperCommand(0.02, -1.0)))
    rejected(goal)
    goal = transport.send_goal(PARALLEL, ParallelGripperCommand, ParallelGripperCommandGoal())
    rejected(goal)


def fails(transport: Transport) -> None:
    """A trajectory that does not end at rest is aborted, with the reason."""
    moving = JointTrajectoryPoint((0.0,) * 7, (1.0,) * 7, (), (), Duration.from_seconds(1.0))
    goal = FollowJointTrajectoryGoal(JointTrajectory(Header(), JOINTS, (moving,)))
    status, result = transport.send_goal(FOLLOW, FollowJointTrajectory, goal).result(10.0)
    assert (status, result.error_code) == (ABORTED, -1), (status, result)
    assert "stand still" in result.error_string


def grippers(transport: Transport) -> None:
    """Both kinds close, and say where they ended and why."""
    feedback: list[Any] = []
    command = GripperCommandGoal(GripperCommand(0.015, 12.5))
    goal = transport.send_goal(GRIP, GripperCommandAction, command, feedback.append)
    status, result = goal.result(10.0)
    assert status == SUCCEEDED, status
    assert (result.position, result.effort, result.stalled, result.reached_goal) == (0.015, 12.5, False, True)
    assert wait(lambda: feedback), "no feedback"
    wanted = JointState(name=("finger",), position=(0.01,), effort=(7.0,))
    goal = transport.send_goal(PARALLEL, ParallelGripperCommand, ParallelGripperCommandGoal(wanted))
    status, result = goal.result(10.0)
    assert status == SUCCEEDED, status
    assert (result.state.name, result.state.position) == (("finger",), (0.01,)), result
    assert (result.stalled, result.reached_goal) == (True, True)


def servo(transport: Transport) -> None:
    """Velocities of joints and of the tool arrive as they were sent."""
    heard: list[Any] = []
    transport.subscribe("/heard", String, lambda said: heard.append(json.loads(said.data)), STREAM)
    jog = transport.publisher("/servo/jog", JointJog, STREAM)
    twist = transport.publisher("/servo/twist", TwistStamped, STREAM)
    velocities = (0.0, 0.25, 0.0, -0.5, 0.0, 0.0, 0.125)
    tool = Twist(Vector3(0.1, -0.2, 0.3), Vector3(-0.4, 0.5, -0.6))
    until = time.monotonic() + 8.0
    while len({key for said in heard for key in said} & {"jog", "twist"}) < 2 and time.monotonic() < until:
        jog(JointJog(Header(Time.from_seconds(time.time())), JOINTS, (), velocities, 0.01))
        twist(TwistStamped(Header(Time.from_seconds(time.time()), "panda_link0"), tool))
        time.sleep(0.05)
    jogs = [said for said in heard if "jog" in said]
    twists = [said for said in heard if "twist" in said]
    assert jogs[0] == {"jog": list(JOINTS), "velocities": list(velocities)}, jogs
    assert twists[0] == {"twist": [0.1, -0.2, 0.3, -0.4, 0.5, -0.6], "frame": "panda_link0"}, twists


CHECKS = (follow, cancel, reject, fails, grippers, servo)

if __name__ == "__main__":
    run(CHECKS)
