"""The rosbridge transport against ROS 1 Noetic and the rosbridge server of its time: run by `ros1.sh`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

from robot_skills.bridge.messages import (
    Duration,
    FollowJointTrajectory,
    FollowJointTrajectoryGoal,
    Header,
    JointTrajectory,
    JointTrajectoryPoint,
)
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import SUCCEEDED, Transport, TransportError, open_transport
from tests.peers import ros1_processes as ros1
from tests.peers.ros_processes import ROOT, conformance

pytestmark = pytest.mark.skipif(
    not ros1.PYTHON, reason="run tests/peers/ros1.sh, which makes ROS 1's environment"
)
CHECKS = ("topics", "latched", "order", "services", "actions", "offered", "flood")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ros1.peer() as address:
        yield address


@pytest.fixture
def transport(url: str) -> Iterator[Transport]:
    made = open_transport(TransportSettings(url=url, ros=1))
    yield made
    made.close()


def test_what_ros_2_does_ros_1_does_too(url: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    settings: dict[str, object] = {"kind": "rosbridge", "url": url, "ros": 1}
    found = conformance("ros_conformance.py", sys.executable, environment, settings)
    assert found == dict.fromkeys(CHECKS)


def test_a_trajectory_is_a_goal_of_a_controller(transport: Transport) -> None:
    points = tuple(
        JointTrajectoryPoint((0.1,), (0.0,), (), (), Duration(step, 5 * 10**8)) for step in range(3)
    )
    goal = FollowJointTrajectoryGoal(JointTrajectory(Header(), ("joint1",), points))
    status, result = transport.send_goal("/follow", FollowJointTrajectory, goal).result(10.0)
    assert status == SUCCEEDED
    assert (result.error_code, result.error_string) == (0, "3 points, 2.5 s")


def test_the_topics_and_their_types(transport: Transport) -> None:
    until = time.monotonic() + 10.0
    while True:  # until rosapi is there
        try:
            found = transport.topics(2.0)
            break
        except TransportError:
            assert time.monotonic() < until
            time.sleep(0.1)
    assert found["/echo/twist"] == "geometry_msgs/msg/TwistStamped"


def test_actions_of_ours_are_not_offered(transport: Transport) -> None:
    with pytest.raises(TransportError, match="/ours cannot be offered to ROS 1"):
        transport.serve_action("/ours", FollowJointTrajectory, lambda goal: (SUCCEEDED, None))
