"""The rosbridge transport against rosbridge_suite 2.1.0 on ROS 2 Jazzy: run by `rosbridge_suite.sh`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_skills.bridge.messages import Float64MultiArray, Image
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import SENSORS, STREAM, open_transport
from tests.peers import ros_processes as ros

#: Where its sources are.
SUITE = os.environ.get("ROSBRIDGE_SUITE_PLACE", "")
pytestmark = pytest.mark.skipif(
    not (ros.PYTHON and SUITE), reason="run tests/peers/rosbridge_suite.sh, which makes the environments"
)
#: Until the server has found the node: it decides how it listens to a topic when it is first asked.
FOUND = 5.0


@contextlib.contextmanager
def server(domain: int) -> Iterator[str]:
    """A node and the server, with goals and calls that do not hold up what comes after them."""
    place, port = Path(SUITE).absolute(), ros.free_port()
    sources = [str(place / f"{name}/src") for name in ("rosbridge_library", "rosbridge_server")]
    environment = ros.variables(domain)
    environment["PYTHONPATH"] = os.pathsep.join([*sources, str(place / "packages")])
    script = str(place / "rosbridge_server/scripts/rosbridge_websocket.py")
    threads = [f"{what}_in_new_thread:=true" for what in ("send_action_goals", "call_services")]
    command = [
        *(ros.PYTHON, str(ros.HERE / "rosbridge_suite_server.py"), script),
        *("--address", "127.0.0.1", "--port", str(port)),
        *("--ros-args", "-p", threads[0], "-p", threads[1]),
    ]
    with ros.node(domain), ros.running(command, environment):
        ros.listens(port)
        time.sleep(FOUND)
        yield f"ws://127.0.0.1:{port}"


def test_the_suite_of_all_transports() -> None:
    with server(80 + os.getpid() % 10) as url:
        environment = {**os.environ, "PYTHONPATH": str(ros.ROOT)}
        settings: dict[str, object] = {"kind": "rosbridge", "url": url}
        found = ros.conformance("ros_conformance.py", sys.executable, environment, settings)
    # 2.1.0 never answers a goal that was rejected; all else of an action comes before that.
    assert "no result" in str(found.pop("actions"))
    assert found == dict.fromkeys(("topics", "latched", "order", "services", "offered", "flood"))


def test_a_raw_picture_comes_as_cbor_and_as_base64() -> None:
    with server(90 + os.getpid() % 10) as url:
        for cbor in (True, False):
            transport = open_transport(TransportSettings(url=url, cbor=cbor))
            got: list[Image] = []
            transport.subscribe("/echoed/shown", Image, got.append, SENSORS)
            ask = transport.publisher("/show", Float64MultiArray, STREAM)
            until = time.monotonic() + 15.0
            while not got and time.monotonic() < until:
                ask(Float64MultiArray(data=(7.0,)))
                time.sleep(0.2)
            assert got[0].header.stamp.sec == 7
            assert (got[0].height, got[0].width, len(got[0].data)) == (480, 640, 480 * 640 * 3)
            transport.close()
