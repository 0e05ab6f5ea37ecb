"""The actions of control_msgs and the inputs of MoveIt Servo against a real ROS 2 node; see `ros.sh`."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.messages import String
from robot_skills.bridge.settings import ArmSettings, ControllerSettings, GripperSettings, TransportSettings
from robot_skills.bridge.transport import STREAM, open_transport
from tests.peers import ros_processes as ros
from tests.robot_skills.bridge.rehearsal import panda

pytestmark = pytest.mark.skipif(
    not (ros.PYTHON and ros.has_control_msgs()),
    reason="run tests/peers/ros.sh, which makes ROS's environment",
)
_domains = itertools.count(90 + os.getpid() % 20)
CHECKS = ("follow", "cancel", "reject", "fails", "grippers", "servo")


@contextlib.contextmanager
def controllers() -> Iterator[int]:
    """`ros_controllers.py`, on a domain of its own."""
    domain = next(_domains)
    command = [ros.PYTHON, str(ros.HERE / "ros_controllers.py")]
    with ros.running(command, ros.variables(domain), "ready"):
        yield domain


@pytest.mark.parametrize("kind", ["rosbridge", "dds", "rclpy"])
def test_actions_and_inputs_over_every_transport(kind: str) -> None:
    """Feedback, results, cancelling, rejection, failure, over each transport."""
    with controllers() as domain, contextlib.ExitStack() as stack:
        settings: dict[str, object] = {"kind": kind, "domain": domain}
        python, environment = sys.executable, {**os.environ, "PYTHONPATH": str(ros.ROOT)}
        if kind == "rosbridge":
            settings["url"] = stack.enter_context(ros.rosbridge(domain))[0]
        if kind == "rclpy":
            python, environment = ros.PYTHON, ros.variables(domain)
        found = ros.conformance("control_conformance.py", python, environment, settings)
    assert found == dict.fromkeys(CHECKS)


def arm_settings(controller: ControllerSettings, gripper: str, domain: int) -> ArmSettings:
    """The Panda with a real one's limits, on DDS, behind these controllers; no cameras."""
    names = {"gripper_command": "/gripper/command", "parallel_gripper_command": "/gripper/parallel"}
    base = panda(first_seconds=0.0, state_age=0.5)
    assert base.gripper is not None
    return dataclasses.replace(
        base,
        transport=TransportSettings("dds", domain=domain),
        controller=controller,
        gripper=GripperSettings(gripper, names[gripper], base.gripper.joints, 0.04, 0.01),  # type: ignore[arg-type]
        cameras={},
    )


FOLLOW = ControllerSettings("follow_joint_trajectory", "/arm/follow_joint_trajectory", rate=50.0, horizon=4)
JOG = ControllerSettings("servo_jog", "/servo/jog", rate=50.0, horizon=4)


@pytest.mark.parametrize(
    ("controller", "gripper"), [(FOLLOW, "gripper_command"), (JOG, "parallel_gripper_command")]
)
def test_the_arm_goes_where_it_is_told_behind_such_controllers(
    controller: ControllerSettings, gripper: str
) -> None:
    with controllers() as domain:
        settings = arm_settings(controller, gripper, domain)
        heard: list[dict[str, Any]] = []
        ear = open_transport(settings.transport)
        ear.subscribe("/heard", String, lambda said: heard.append(json.loads(said.data)), STREAM)
        with RosArm(settings, open_transport(settings.transport), live=True, patience=10.0) as arm:
            arm.resume()
            before = arm.observe(()).state
            move = np.array([0.4, -0.4, 0, 0, 0, 0, 1], np.float32)
            arm.foresee(np.stack([move] * 6))
            for _ in range(6):
                arm.act(move)
            time.sleep(1.0)
            after = arm.observe(()).state
        time.sleep(1.0)
        ear.close()
    np.testing.assert_allclose(after[:3] - before[:3], [0.12, -0.12, 0.0], atol=0.02)
    assert after[9] == pytest.approx(0.02, abs=1e-6)
    grips = [said for said in heard if "grip" in said or "parallel" in said]
    assert len(grips) == 1, grips
    if controller is FOLLOW:
        # Each goal replaces the one before; the last is followed to its end, where the arm stands still.
        ended = [said["follow"] for said in heard if "follow" in said]
        assert set(ended) == {"replaced", "followed"}, set(ended)
        assert ended[-1] == "followed"
