"""Starts ROS 2 processes from what `ros_environment.sh` makes: on the loopback interface only."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Python of the environment with the nodes, and of the one with the rosbridge server.
PYTHON = os.environ.get("ROS_PYTHON", "")
ROSBRIDGE_PYTHON = os.environ.get("ROSBRIDGE_PYTHON", PYTHON)
#: Cyclone DDS and Fast DDS find each other on 127.0.0.1 without multicast.
CYCLONEDDS = (
    '<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name="lo" multicast="false"/>'
    "</Interfaces><AllowMulticast>false</AllowMulticast></General></Domain></CycloneDDS>"
)


def distribution(python: str = PYTHON) -> str:
    """The distribution of ROS 2 in an environment: jazzy, kilted."""
    (found,) = packages(python).glob("ros_*_rclpy-*.dist-info")
    return found.name.split("_")[1]


def has_control_msgs() -> bool:
    """Whether `ros_interfaces.py` has built it, which takes a C++ compiler."""
    return bool(list(packages(PYTHON).glob("control_msgs/action/_follow_joint_trajectory.py")))


def variables(domain: int, python: str = PYTHON) -> dict[str, str]:
    """An environment's variables for a process that speaks to this machine only."""
    place = Path(python).absolute().parents[1]
    libraries = [str(place / "lib"), *sorted(glob.glob(str(packages(python) / "ros_*.libs")))]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
        "AMENT_PREFIX_PATH": str(place),
        "ROS_DISTRO": distribution(python),
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": str(ROOT),
    }


def packages(python: str) -> Path:
    """Where the packages of an environment lie."""
    (found,) = Path(python).absolute().parents[1].glob("lib/python3*/site-packages")
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listens(port: int, seconds: float = 30.0) -> None:
    """Wait until somebody listens on a port of 127.0.0.1."""
    until = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < until, f"nobody listens on {port}"
        time.sleep(0.05)


@contextlib.contextmanager
def running(
    command: list[str], environment: dict[str, str], ready: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """A process, until the end of the block; with `ready`, from when it has printed that."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        if ready:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert ready in line, f"{command} said {line!r}"
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def node(domain: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`ros_node.py`."""
    command = [PYTHON, str(HERE / "ros_node.py"), *arguments]
    with running(command, variables(domain), "ready") as process:
        yield process


@contextlib.contextmanager
def rosbridge(domain: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """rosbridge-server-rs, its address and its process."""
    server = packages(ROSBRIDGE_PYTHON) / "rosbridge_server_rs" / "rosbridge_server_rs_jazzy"
    server.chmod(0o755)  # the wheel leaves it without
    port = free_port()
    library = Path(sysconfig.get_config_var("LIBDIR")) / "libpython3.11.so.1.0"
    environment = {**variables(domain, ROSBRIDGE_PYTHON), "LD_PRELOAD": str(library)}
    command = [str(server), "--no-rosapi", "--bind", f"127.0.0.1:{port}"]
    with running(command, environment) as process:
        listens(port)
        yield f"ws://127.0.0.1:{port}", process


def conformance(
    suite: str, python: str, environment: dict[str, str], settings: dict[str, object]
) -> dict[str, str | None]:
    """Run a suite of checks of a transport with a Python that has it: check -> None, or what went wrong."""
    command = [python, str(HERE / suite), json.dumps(settings)]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found
