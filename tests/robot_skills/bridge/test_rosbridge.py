"""The rosbridge transport against a server that says whatever it likes, over a websocket on 127.0.0.1."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import random
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_skills.bridge.messages import (
    BoolMessage,
    Fibonacci,
    FibonacciGoal,
    FibonacciResult,
    Float64MultiArray,
    JointState,
    String,
    Trigger,
    TriggerRequest,
    TriggerResponse,
)
from robot_skills.bridge.schema import MessageError
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import STREAM, SUCCEEDED, TransportError
from robot_skills.bridge.transports import websocket
from robot_skills.bridge.transports.rosbridge import RosbridgeTransport
from tests.robot_skills.bridge.rehearsal import wait_for
from tests.robot_skills.bridge.rosbridge_server import Server, logged

# The threads of the websocket draw random numbers while hypothesis makes examples.
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")


@pytest.fixture(scope="module")
def peer() -> Iterator[tuple[Server, RosbridgeTransport]]:
    """A server, and a transport that is connected to it."""
    made = Server()
    transport = RosbridgeTransport(TransportSettings(url=made.url))
    yield made, transport
    transport.close()
    made.close()


few = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)
NAMES = st.sampled_from(["/flag", "/state", "/array", "/ours", "/count", "/nobody"])
ANYTHING = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.floats(), st.text(max_size=6), NAMES),
        st.integers(-(2**70), 2**70),
        st.sampled_from([10**12, -1, 0, 1, 2]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["data", "order", "name", "position", "header"]), inner, max_size=3),
    ),
    max_leaves=5,
)
OPERATIONS = st.sampled_from(
    ["publish", "service_response", "action_result", "action_feedback", "call_service", "send_action_goal",
     "cancel_action_goal", "status", "fragment", "png", "set_level", "?"]
)  # fmt: skip
OPERATION = st.fixed_dictionaries(
    {"op": st.one_of(OPERATIONS, OPERATIONS, ANYTHING)},
    optional={
        **{key: st.one_of(NAMES, ANYTHING) for key in ("topic", "service", "action")},
        **{
            key: ANYTHING
            for key in ("id", "msg", "args", "values", "result", "status", "num", "total", "data")
        },
    },
)
FRAMES = st.lists(
    st.one_of(st.text(max_size=30), st.binary(max_size=30), ANYTHING, OPERATION, OPERATION, OPERATION),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def arrivals(peer: tuple[Server, RosbridgeTransport]) -> list[float]:
    """Numbers that came on /array; the transport listens to, and offers, more than that."""
    _, transport = peer
    got: list[float] = []
    transport.subscribe("/array", Float64MultiArray, lambda message: got.extend(message.data), STREAM)
    transport.subscribe("/flag", BoolMessage, lambda message: None, STREAM)
    transport.subscribe("/state", JointState, lambda message: None, STREAM)
    transport.serve("/ours", Trigger, lambda request: TriggerResponse(True, "ours"))
    transport.serve_action(
        "/count", Fibonacci, lambda goal: (SUCCEEDED, FibonacciResult((goal.request.order,)))
    )
    return got


numbers = itertools.count(10**6)


def still_listens(peer: Server, arrivals: list[float]) -> None:
    """What is said next is heard."""
    number = float(next(numbers))
    peer.say({"op": "publish", "topic": "/array", "msg": {"data": [number]}})
    assert wait_for(lambda: number in arrivals), "the transport hears nothing any more"


@settings(few, max_examples=250)
@given(frames=FRAMES)
def test_whatever_a_server_says_is_a_line_in_the_log_at_most(
    peer: tuple[Server, RosbridgeTransport], arrivals: list[float], frames: list[Any]
) -> None:
    with logged() as records:
        peer[0].say(*frames)
        still_listens(peer[0], arrivals)
    assert not [record for record in records if record.exc_info or record.levelno > logging.WARNING]
    assert len(records) <= len(frames)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"op":' * 50_000, "1" * 100_000, b"\xff\xfe{}"])
def test_deep_and_long_nonsense_is_no_operation(
    peer: tuple[Server, RosbridgeTransport], arrivals: list[float], text: Any
) -> None:
    with logged() as records:
        peer[0].say(text)
        still_listens(peer[0], arrivals)
    assert len(records) == 1


@few
@given(
    values=st.one_of(
        ANYTHING,
        st.fixed_dictionaries({"topics": ANYTHING, "types": ANYTHING}),
        st.fixed_dictionaries({"success": ANYTHING, "message": ANYTHING}),
    ),
    result=ANYTHING,
)
def test_an_answer_of_the_wrong_type_is_an_error_of_the_transport(
    peer: tuple[Server, RosbridgeTransport], arrivals: list[float], values: Any, result: Any
) -> None:
    made, transport = peer

    def answer(said: dict[str, Any]) -> list[Any]:
        answered = {"op": "service_response", "id": said["id"], "values": values, "result": result}
        return [answered] if said["op"] == "call_service" else []

    made.answer = answer
    with contextlib.suppress(TransportError):
        found = transport.call("/theirs", Trigger, TriggerRequest(), 5.0)
        assert isinstance(found, TriggerResponse)
    with contextlib.suppress(TransportError):
        assert all(isinstance(name, str) for pair in transport.topics(5.0).items() for name in pair)
    still_listens(made, arrivals)


@few
@given(values=st.one_of(ANYTHING, st.just({"sequence": [1]})), status=ANYTHING, feedback=ANYTHING)
def test_a_result_of_the_wrong_type_is_an_error_of_the_transport(
    peer: tuple[Server, RosbridgeTransport], arrivals: list[float], values: Any, status: Any, feedback: Any
) -> None:
    made, transport = peer
    heard: list[Any] = []

    def answer(said: dict[str, Any]) -> list[Any]:
        if said["op"] != "send_action_goal":
            return []
        key = {"id": said["id"], "action": said["action"]}
        return [
            {"op": "action_feedback", **key, "values": feedback},
            {"op": "action_result", **key, "values": values, "status": status, "result": True},
        ]

    made.answer = answer
    goal = transport.send_goal("/theirs", Fibonacci, FibonacciGoal(3), heard.append)
    with contextlib.suppress(TransportError):
        code, result = goal.result(5.0)
        assert isinstance(code, int)
        assert isinstance(result, FibonacciResult)
    still_listens(made, arrivals)


def fragments(key: str, text: str, cuts: list[int]) -> list[dict[str, Any]]:
    """A text in parts, as rosbridge sends them."""
    bounds = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    parts = [text[begin:end] for begin, end in itertools.pairwise(bounds)]
    return [
        {"op": "fragment", "id": key, "num": num, "total": len(parts), "data": part}
        for num, part in enumerate(parts)
    ]


@few
@given(
    cuts=st.lists(st.lists(st.integers(0, 200), max_size=6), min_size=1, max_size=4),
    repeated=st.booleans(),
    order=st.randoms(),
)
def test_fragments_are_put_together_in_any_order(
    peer: tuple[Server, RosbridgeTransport],
    arrivals: list[float],
    cuts: list[list[int]],
    repeated: bool,
    order: random.Random,
) -> None:
    """Of several messages at a time, each once."""
    sent = [float(next(numbers)) for _ in cuts]
    parts = []
    for number, places in zip(sent, cuts, strict=True):
        text = json.dumps({"op": "publish", "topic": "/array", "msg": {"data": [number]}})
        parts += fragments(f"message {number}", text, places)
    if repeated and parts[0]["total"] > 1:
        parts.append(parts[0])
    order.shuffle(parts)
    peer[0].say(*parts)
    assert wait_for(lambda: set(sent) <= set(arrivals))
    assert [arrivals.count(number) for number in sent] == [1] * len(sent)


@pytest.mark.parametrize("claim", [10**9, 2])
def test_fragments_without_end_do_not_fill_the_memory(
    peer: tuple[Server, RosbridgeTransport],
    arrivals: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    claim: int,
) -> None:
    monkeypatch.setattr(websocket, "LARGEST", 2**20)
    # pytest keeps records, which hold errors, whose tracebacks hold fragments.
    caplog.set_level(logging.CRITICAL, "robot_skills.bridge")
    tracemalloc.start()
    for number in range(60):
        key = "one" if claim > 2 else f"many {number}"
        data = "x" * 2**18
        peer[0].say({"op": "fragment", "id": key, "num": number, "total": claim, "data": data})
    still_listens(peer[0], arrivals)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 4 * 2**20


def test_fragments_of_nothing_are_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "LARGEST", 2**10)
    waiting = websocket.Fragments()
    empty = ({"id": "one", "num": number, "total": 10**9, "data": ""} for number in range(100))
    with pytest.raises(MessageError, match="'one' is given up"):
        list(map(waiting.add, empty))
    # Nothing of it counts any more, and a part that is sent again counts once.
    for _ in range(100):
        assert waiting.add({"id": "two", "num": 0, "total": 2, "data": "a"}) is None
    assert waiting.add({"id": "two", "num": 1, "total": 2, "data": "b"}) == "ab"


def test_a_connection_that_breaks_within_a_message_is_said_to_whoever_waits() -> None:
    made = Server()
    transport = RosbridgeTransport(TransportSettings(url=made.url))

    def break_off(said: dict[str, Any]) -> list[Any]:
        wire = made.connections[0].socket
        wire.sendall(b"\x81\x7e\x10")  # the beginning of a text frame
        wire.shutdown(2)
        return []

    made.answer = break_off
    began = time.monotonic()
    with pytest.raises(TransportError, match="lost"):
        transport.call("/theirs", Trigger, TriggerRequest(), 30.0)
    assert time.monotonic() - began < 10.0
    with pytest.raises(TransportError, match="lost"):
        transport.publisher("/said", String, STREAM)(String("?"))
    transport.close()
    made.close()
