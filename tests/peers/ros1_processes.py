"""Starts ROS 1 processes from what `ros1.sh` makes: on the loopback interface only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.peers.ros_processes import free_port, listens, running

HERE = Path(__file__).parent
#: Python of the environment.
PYTHON = os.environ.get("ROS1_PYTHON", "")


@contextlib.contextmanager
def peer() -> Iterator[str]:
    """A master, `ros1_node.py`, the rosbridge server and its rosapi; the server's address."""
    place = Path(PYTHON).absolute().parents[1]
    suite, debian = place / "rosbridge_suite", place / "debian/usr"
    packages = (
        place / "generated",
        *(suite / f"{name}/src" for name in ("rosbridge_library", "rosbridge_server")),
        debian / "lib/python3/dist-packages",
    )
    master, port = free_port(), free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, packages)),
        "ROS_PACKAGE_PATH": str(place / "share"),
        "ROS_MASTER_URI": f"http://127.0.0.1:{master}",
        "ROS_IP": "127.0.0.1",
        "ROS_HOME": str(place / "home"),
        "PYTHONWARNINGS": "ignore",
    }
    server = str(suite / "rosbridge_server/scripts/rosbridge_websocket.py")
    address = ["--address", "127.0.0.1", "--port", str(port)]
    with contextlib.ExitStack() as stack:
        roscore = [PYTHON, str(debian / "bin/rosmaster"), "--core", "-p", str(master)]
        stack.enter_context(running(roscore, environment))
        listens(master)
        stack.enter_context(running([PYTHON, str(HERE / "ros1_node.py")], environment, "ready"))
        stack.enter_context(running([PYTHON, server, *address], environment))
        stack.enter_context(running([PYTHON, str(suite / "rosapi/scripts/rosapi_node")], environment))
        listens(port)
        yield f"ws://127.0.0.1:{port}"
