"""The transports against a node of a real ROS 2, Jazzy or Kilted; `ros.sh` makes its environment."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from robot_skills.bridge.messages import JointState, String
from robot_skills.bridge.settings import ArmSettings, TransportSettings
from robot_skills.bridge.transport import STREAM, open_transport
from tests.peers import ros_processes as ros

pytestmark = pytest.mark.skipif(
    not ros.PYTHON, reason="run tests/peers/ros.sh, which makes ROS's environment"
)
_domains = itertools.count(60 + os.getpid() % 20)
#: The longest that a command goes on after it was sent, s: a tick and its horizon, the way to rest from full
#: speed, and three times the lag of the simulated servos.
TIME_OUT = 0.10 + 0.06 + 0.17
SUITE = "ros_conformance.py"
CHECKS = ("topics", "latched", "order", "services", "actions", "offered", "flood")


@pytest.fixture
def domain() -> int:
    return next(_domains)


def test_rosbridge(domain: int) -> None:
    with ros.node(domain), ros.rosbridge(domain) as (url, _):
        environment = {**os.environ, "PYTHONPATH": str(ros.ROOT)}
        found = ros.conformance(SUITE, sys.executable, environment, {"kind": "rosbridge", "url": url})
    assert found == dict.fromkeys(CHECKS)


def test_dds(domain: int) -> None:
    with ros.node(domain):
        environment = {**os.environ, "PYTHONPATH": str(ros.ROOT)}
        found = ros.conformance(SUITE, sys.executable, environment, {"kind": "dds", "domain": domain})
    # rmw_fastrtps correlates replies by what the package cannot set: its peers hear no service here.
    assert found.pop("offered") is not None
    assert found == dict.fromkeys(check for check in CHECKS if check != "offered")


def test_rclpy(domain: int) -> None:
    """The native node, run by ROS's own Python: it needs no more of this project than its source."""
    with ros.node(domain):
        found = ros.conformance(SUITE, ros.PYTHON, ros.variables(domain), {"kind": "rclpy", "domain": domain})
    assert found == dict.fromkeys(CHECKS)


class Watched:
    """The simulated arm in a process, and its speed."""

    def __init__(self, settings: TransportSettings) -> None:
        self.transport = open_transport(settings)
        self.states: list[tuple[float, np.ndarray]] = []
        self.transport.subscribe("/joint_states", JointState, self._keep, STREAM)

    def _keep(self, message: JointState) -> None:
        if len(message.name) == 9:  # its own: with two fingers
            self.states.append((message.header.stamp.seconds, np.array(message.position[:7])))

    def since(self, when: float, until: float = np.inf) -> np.ndarray:
        """Where the joints were, (N, 7) rad."""
        return np.array([joints for stamp, joints in list(self.states) if when < stamp < until])

    def moves_within(self, seconds: float) -> bool:
        """Whether it moves, now or soon: at the ends of its way it turns round."""
        until = time.time() + seconds
        while np.ptp(self.since(time.time() - 0.2), axis=0).max(initial=0.0) < 5e-3:
            if time.time() > until:
                return False
            time.sleep(0.02)
        return True

    def rest_after(self, when: float) -> float:
        """How long after a time the arm goes on moving, s: until it stays within a milliradian."""
        time.sleep(1.5)
        last = self.states[-1][1]
        moving = [stamp for stamp, joints in list(self.states) if np.abs(joints - last).max() > 1e-3]
        return max(moving) - when


@contextlib.contextmanager
def swinging(domain: int) -> Iterator[tuple[Watched, dict[str, subprocess.Popen[str]]]]:
    """A simulated arm on DDS that another process drives through rosbridge: three processes to kill."""
    with ros.rosbridge(domain) as (url, server):
        environment = {**os.environ, "PYTHONPATH": str(ros.ROOT)}
        where = ["--transport", "dds", "--domain", str(domain)]
        arm = [sys.executable, "-m", "robot_skills.cli.main", "bridge", "sim-arm", *where]
        driver = [
            sys.executable,
            str(ros.HERE / "ros_driver.py"),
            json.dumps({"kind": "rosbridge", "url": url}),
        ]
        with ros.running(arm, environment, "is up"):
            watched = Watched(TransportSettings("dds", domain=domain))
            with ros.running(driver, environment, "moving") as bridge:
                yield watched, {"bridge": bridge, "transport": server}
            watched.transport.close()


@pytest.mark.parametrize("victim", ["bridge", "transport"])
def test_the_arm_stands_still_after_a_kill_in_mid_motion(
    domain: int, victim: str, record_property: Callable[[str, object], None]
) -> None:
    """Its last command ends in a stop: a tick, the way to rest, and the servos' own lag after that."""
    with swinging(domain) as (watched, processes):
        time.sleep(0.35)
        processes[victim].send_signal(signal.SIGKILL)
        killed = time.time()
        took = watched.rest_after(killed)
        before = watched.since(killed - 0.2, killed)
        assert np.ptp(before, axis=0).max() > 5e-3, "it did not move when it was killed"
        record_property("milliseconds to rest", round(took * 1e3))
        assert took < TIME_OUT + 0.1


@contextlib.contextmanager
def published(domain: int, what: str) -> Iterator[subprocess.Popen[str]]:
    """A node of rclpy's that publishes: a camera, hostile."""
    command = [ros.PYTHON, str(ros.HERE / "ros_publisher.py"), what]
    with ros.running(command, ros.variables(domain), "ready") as process:
        yield process


def test_the_arm_stands_still_after_its_camera_is_killed(
    domain: int, record_property: Callable[[str, object], None]
) -> None:
    """The camera is a node of its own, and the simulated arm's is dead."""
    with swinging(domain) as (watched, processes), published(domain, "camera") as camera:
        say = watched.transport.publisher("/sim_arm/fault", String, STREAM)
        time.sleep(3.0)  # they find each other
        say(String('{"kind": "dead_camera", "camera": "front"}'))
        time.sleep(1.0)
        assert watched.moves_within(4.0), "it does not look at the camera"
        died = time.time()
        camera.send_signal(signal.SIGKILL)
        took = watched.rest_after(died)
        record_property("milliseconds to rest", round(took * 1e3))
        age = ArmSettings.read("tabletop").cameras["front"].max_age
        assert took < max(age, ArmSettings.read("tabletop").safety.camera_age) + TIME_OUT + 0.1
        assert processes["bridge"].stdout is not None
        assert "front" in processes["bridge"].stdout.readline()


def test_hostile_joint_states_of_a_real_node_move_nothing(domain: int) -> None:
    """A thousand a second beside the right ones: the arm goes on within its limits, or stands still."""
    limits = np.array([joint.velocity for joint in ArmSettings.read("tabletop").joints])
    with swinging(domain) as (watched, _):
        time.sleep(0.5)
        before = watched.since(0.0)
        began = time.time()
        with published(domain, "hostile"):
            time.sleep(2.0)
        during = watched.since(began)
        assert len(during) > 50
        assert (np.abs(np.diff(during, axis=0)) < limits / 60 * 3).all()  # states come at 60 Hz, some late
        assert np.abs(during - before[-1]).max() < 1.0
