"""What the bridge offers, used by roslibpy through a rosbridge server: run by `roslibpy.sh`."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from robot_skills.bridge.messages import (
    BoolMessage,
    Fibonacci,
    FibonacciFeedback,
    FibonacciGoal,
    FibonacciResult,
    Float64MultiArray,
    JointState,
    SetBool,
    SetBoolResponse,
    String,
    Trigger,
    TriggerRequest,
    TriggerResponse,
)
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import CANCELED, STREAM, SUCCEEDED, ServedGoal, Transport, open_transport
from robot_skills.errors import JobError
from tests.peers import ros_processes as ros

#: The environment's Python.
ROSLIBPY = os.environ.get("ROSLIBPY_PYTHON", "")
pytestmark = pytest.mark.skipif(
    not (ros.PYTHON and ROSLIBPY), reason="run tests/peers/roslibpy.sh, which makes the environments"
)
_domains = itertools.count(130 + os.getpid() % 20)
ECHOED: dict[str, type] = {"state": JointState, "text": String, "array": Float64MultiArray}


def echo(transport: Transport) -> None:
    """Send back on /echoed/NAME what comes on /echo/NAME."""
    for name, kind in ECHOED.items():
        publish: Callable[[Any], None] = transport.publisher(f"/echoed/{name}", kind, STREAM)
        transport.subscribe(f"/echo/{name}", kind, publish, STREAM)


def ask_back(transport: Transport) -> None:
    """Call the service /theirs of whoever says so on /ask_back, and say what came of it."""
    answers = transport.publisher("/answers", String, STREAM)

    def ask() -> None:
        with contextlib.suppress(JobError):  # of one that is asked when the test is over
            answers(String(transport.call("/theirs", Trigger, TriggerRequest(), 5.0).message))

    def asked(message: BoolMessage) -> None:
        threading.Thread(target=ask, daemon=True).start()

    transport.subscribe("/ask_back", BoolMessage, asked, STREAM)


def count(goal: ServedGoal) -> tuple[int, FibonacciResult]:
    """ROS's example of an action."""
    numbers = [0, 1]
    for _ in range(1, goal.request.order):
        if goal.canceled:
            return CANCELED, FibonacciResult(tuple(numbers))
        numbers.append(numbers[-1] + numbers[-2] if len(numbers) < 40 else 0)
        goal.feedback(FibonacciFeedback(tuple(numbers)))
        time.sleep(0.05)
    return SUCCEEDED, FibonacciResult(tuple(numbers))


def offer(transport: Transport) -> None:
    """Services and an action."""
    calls = itertools.count(1)
    transport.serve("/trigger", Trigger, lambda request: TriggerResponse(True, f"call {next(calls)}"))
    transport.serve("/switch", SetBool, lambda request: SetBoolResponse(request.data, ""))
    acceptable: Callable[[FibonacciGoal], bool] = lambda goal: goal.order >= 0  # noqa: E731
    transport.serve_action("/count", Fibonacci, count, acceptable)


def checked(url: str, *checks: str) -> dict[str, str | None]:
    """Check -> None, or what went wrong."""
    command = [ROSLIBPY, str(ros.HERE / "roslibpy_client.py"), url.rpartition(":")[2], *checks]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.stdout, done.stderr[-3000:]
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_roslibpy_uses_what_the_bridge_offers_through_rosbridge() -> None:
    with ros.rosbridge(next(_domains)) as (url, _):
        transport = open_transport(TransportSettings("rosbridge", url=url))
        echo(transport)
        ask_back(transport)
        offer(transport)
        checks = ("topics", "order", "services", "offered", "actions")
        found = checked(url, *checks)
        transport.close()
    assert found == dict.fromkeys(checks)


def test_roslibpy_hears_the_bridge_on_dds() -> None:
    """Services and actions cannot be offered there; topics, and calls of others' services, can."""
    domain = next(_domains)
    with ros.rosbridge(domain) as (url, _):
        transport = open_transport(TransportSettings("dds", domain=domain))
        echo(transport)
        ask_back(transport)
        checks = ("topics", "order", "offered")
        found = checked(url, *checks)
        transport.close()
    assert found == dict.fromkeys(checks)
