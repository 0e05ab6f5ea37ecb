"""The conformance suite of transports: run with the Python that has the transport, beside `ros_node.py`.

    python tests/peers/ros_conformance.py '{"kind": "rosbridge", "url": "ws://127.0.0.1:9090"}'

Writes one JSON line: check -> null, or what went wrong.
"""

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from robot_skills.bridge.messages import (
    BoolMessage,
    Duration,
    Fibonacci,
    FibonacciGoal,
    Float64MultiArray,
    Header,
    Image,
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    SetBool,
    SetBoolRequest,
    String,
    Time,
    Trigger,
    TriggerRequest,
    TriggerResponse,
    Twist,
    TwistStamped,
    Vector3,
)
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import (
    CANCELED,
    LATCHED,
    SENSORS,
    STREAM,
    SUCCEEDED,
    Transport,
    TransportError,
    open_transport,
)
from robot_skills.training.configuration import from_mapping

SAMPLES = {
    "joint_state": JointState(Header(Time(3, 4), "base"), ("a", "b"), (1.5, -2.0), (), (0.25, 0.5)),
    "trajectory": JointTrajectory(
        Header(Time(1, 0), ""), ("a",), (JointTrajectoryPoint((1.0,), (0.0,), (), (), Duration(0, 10)),)
    ),
    "twist": TwistStamped(
        Header(Time(1, 2), "tool"), Twist(Vector3(0.25, 0.0, -1.0), Vector3(0.0, 0.5, 0.0))
    ),
    "array": Float64MultiArray(data=(1.0, 2.5)),
    "flag": BoolMessage(True),
    "text": String('grüße "ROS"\n'),
    "image": Image(Header(), 2, 3, "rgb8", 0, 9, bytes(range(18))),
}


#: Messages under way at a time: fewer than the ten that queues in between keep, where nobody asks for more.
UNDER_WAY = 8


def wait(condition: Callable[[], Any], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


def failure(work: Callable[[], Any]) -> str:
    """What a transport says that fails, as it must."""
    try:
        found = work()
    except TransportError as error:
        return str(error)
    raise AssertionError(f"it did not fail: {found}")


def topics(transport: Transport) -> None:
    """Every kind of message comes back equal by value."""
    for name, sample in SAMPLES.items():
        quality = SENSORS if name == "image" else STREAM
        got: list[Any] = []
        transport.subscribe(f"/echoed/{name}", type(sample), got.append, quality)
        publish = transport.publisher(f"/echo/{name}", type(sample), quality)
        until = time.monotonic() + 8.0
        while not got and time.monotonic() < until:  # until both ends have found each other
            publish(sample)
            time.sleep(0.05)
        assert got, f"nothing came back of {name}"
        assert got[0] == sample, f"{name} came back as {got[0]}"


def latched(transport: Transport) -> None:
    """What was said before is heard by those that come later."""
    got: list[String] = []
    transport.subscribe("/described", String, got.append, LATCHED)
    assert wait(lambda: got), "the latched message did not come"
    assert got[0].data == "<robot/>"


def order(transport: Transport) -> None:
    """Five hundred messages come back, each once and in their order; few are under way at a time."""
    got: list[float] = []
    transport.subscribe("/echoed/array", Float64MultiArray, lambda m: got.append(m.data[0]), STREAM)
    publish = transport.publisher("/echo/array", Float64MultiArray, STREAM)
    time.sleep(0.5)
    got.clear()
    for number in range(500):
        assert wait(lambda number=number: number - len(got) < UNDER_WAY), f"{len(got)} of {number} came back"
        publish(Float64MultiArray(data=(float(number),)))
        time.sleep(0.002)
    wait(lambda: len(got) >= 500)
    assert got == [float(number) for number in range(500)], f"{len(got)} of 500 came back"


def services(transport: Transport) -> None:
    """A service answers, again and again; one that nobody offers, and one that is slow, are errors."""
    for _ in range(3):
        answer = transport.call("/trigger", Trigger, TriggerRequest(), 5.0)
        assert answer.success, answer
        assert answer.message.startswith("call ")
    for value in (True, False):
        answer = transport.call("/switch", SetBool, SetBoolRequest(value), 5.0)
        assert (answer.success, answer.message) == (value, "on" if value else "off")
    for service in ("/nobody", "/slow"):
        began = time.monotonic()
        failure(lambda service=service: transport.call(service, Trigger, TriggerRequest(), 1.0))
        assert time.monotonic() - began < 2.5


def offered(transport: Transport) -> None:
    """The peer calls a service of ours."""
    got: list[str] = []
    transport.serve("/ours", Trigger, lambda request: TriggerResponse(True, "from us"))
    transport.subscribe("/answers", String, lambda m: got.append(m.data), STREAM)
    ask = transport.publisher("/ask_back", BoolMessage, STREAM)
    until = time.monotonic() + 10.0
    while not got and time.monotonic() < until:
        ask(BoolMessage(True))
        time.sleep(0.5)
    assert got, "the peer got no answer"
    assert got[0] == "from us"


def actions(transport: Transport) -> None:
    """A goal gives feedback and a result; one is canceled, one is rejected."""
    feedback: list[tuple[int, ...]] = []
    goal = transport.send_goal("/count", Fibonacci, FibonacciGoal(8), lambda m: feedback.append(m.sequence))
    status, result = goal.result(10.0)
    assert status == SUCCEEDED, status
    assert result.sequence == (0, 1, 1, 2, 3, 5, 8, 13, 21)
    assert len(feedback) >= 5, f"{len(feedback)} of 7 feedbacks"
    assert feedback[-1] == result.sequence[: len(feedback[-1])]
    began = time.monotonic()
    goal = transport.send_goal("/count", Fibonacci, FibonacciGoal(400))
    time.sleep(0.5)
    goal.cancel()
    status, result = goal.result(10.0)
    assert status == CANCELED, status
    assert time.monotonic() - began < 5.0
    goal = transport.send_goal("/count", Fibonacci, FibonacciGoal(400))
    goal.cancel()  # before anybody can have taken it on
    status, result = goal.result(10.0)
    assert status == CANCELED, status
    goal = transport.send_goal("/count", Fibonacci, FibonacciGoal(-1))
    said = failure(lambda: goal.result(5.0))
    assert "reject" in said, said


def flood(transport: Transport) -> None:
    """A slow reader gets the latest, and what it cannot read is dropped."""
    got: list[float] = []
    over = threading.Event()

    def slowly(message: Float64MultiArray) -> None:
        got.append(message.data[0])
        over.wait(0.05)

    transport.subscribe("/echoed/array", Float64MultiArray, slowly, SENSORS)
    publish = transport.publisher("/echo/array", Float64MultiArray, STREAM)
    time.sleep(0.5)
    for number in range(2000):
        publish(Float64MultiArray(data=(float(number),)))
        time.sleep(0.0005)
    assert wait(lambda: got and got[-1] == 1999.0, 10.0), f"the last was {got[-1:]}"
    over.set()
    assert len(got) < 1000


#: `flood` leaves a slow reader behind, so it comes last.
CHECKS = (topics, latched, order, services, actions, offered, flood)


def run(checks: tuple[Callable[[Transport], None], ...]) -> None:
    """Run checks on one connection, and write what came of them."""
    settings = from_mapping(TransportSettings, json.loads(sys.argv[1]), "transport")
    transport = open_transport(settings)
    found: dict[str, str | None] = {}
    for check in checks:
        try:
            check(transport)
            found[check.__name__] = None
        except Exception as error:  # noqa: PERF203 - every check has its turn
            where = traceback.extract_tb(error.__traceback__)[-1]
            found[check.__name__] = f"{type(error).__name__}: {error} (line {where.lineno})"
    transport.close()
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    run(CHECKS)
