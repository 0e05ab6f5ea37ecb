"""What is said to a rosbridge server of ROS 1, and its actions, which are topics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_skills.bridge.messages import (
    Duration,
    Fibonacci,
    FibonacciGoal,
    FollowJointTrajectory,
    FollowJointTrajectoryGoal,
    Header,
    Image,
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    SetBool,
    SetBoolRequest,
    Time,
)
from robot_skills.bridge.schema import ros_name
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import ABORTED, CANCELED, SENSORS, STREAM, SUCCEEDED, TransportError
from robot_skills.bridge.transports.dialect import Dialect
from robot_skills.bridge.transports.rosbridge import RosbridgeTransport
from robot_skills.errors import InputError
from tests.robot_skills.bridge.generated import CLASSES, PAYLOADS
from tests.robot_skills.bridge.rehearsal import wait_for
from tests.robot_skills.bridge.rosbridge_server import Server, logged

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")


@pytest.fixture
def peer() -> Iterator[tuple[Server, RosbridgeTransport]]:
    """A server, and a transport that takes it for one of ROS 1."""
    made = Server()
    transport = RosbridgeTransport(TransportSettings(url=made.url, ros=1))
    yield made, transport
    transport.close()
    made.close()


def heard(server: Server, **keys: Any) -> dict[str, Any]:
    """The next operation with these values."""
    while True:
        said = server.heard.get(timeout=10.0)
        if keys.items() <= said.items():
            return said


def test_types_times_and_durations_are_those_of_ros_1(peer: tuple[Server, RosbridgeTransport]) -> None:
    server, transport = peer
    point = JointTrajectoryPoint((1.0,), time_from_start=Duration(0, 10))
    publish = transport.publisher("/command", JointTrajectory, STREAM)
    publish(JointTrajectory(Header(Time(3, 4), "base"), ("a",), (point,)))
    assert heard(server, op="advertise")["type"] == "trajectory_msgs/JointTrajectory"
    said = heard(server, op="publish", topic="/command")["msg"]
    assert said["header"] == {"stamp": {"secs": 3, "nsecs": 4}, "frame_id": "base"}
    assert said["points"][0]["time_from_start"] == {"secs": 0, "nsecs": 10}

    got: list[Any] = []
    transport.subscribe("/joint_states", JointState, got.append, STREAM)
    assert heard(server, op="subscribe")["type"] == "sensor_msgs/JointState"
    header = {"seq": 7, "stamp": {"secs": 3, "nsecs": 4}, "frame_id": "base"}
    server.say({"op": "publish", "topic": "/joint_states", "msg": {"header": header, "name": ["a"]}})
    assert wait_for(lambda: got)
    assert got == [JointState(Header(Time(3, 4), "base"), ("a",))]
    transport.subscribe("/front", Image, got.append, SENSORS)
    assert heard(server, op="subscribe")["compression"] == "cbor"


def test_services_are_called_by_their_names_in_ros_1(peer: tuple[Server, RosbridgeTransport]) -> None:
    server, transport = peer
    values = {"success": True, "message": "on"}
    server.answer = lambda said: [{"op": "service_response", "id": said["id"], "values": values}]
    assert transport.call("/switch", SetBool, SetBoolRequest(True), 5.0).message == "on"
    assert heard(server, op="call_service")["type"] == "std_srvs/SetBool"


@given(PAYLOADS)
def test_what_is_written_is_read(message: Any) -> None:
    """But for what ROS 1 has no field for, and numbers that are none."""
    written = Dialect(1).write(message)
    assert Dialect(1).write(Dialect(1).read(type(message), written)) == written


def test_names_of_types_there_and_back() -> None:
    for name in (ros_name(kind) for kind in CLASSES if "/msg/" in ros_name(kind)):
        assert Dialect(1).message_name(Dialect(1).name(name)) == name
        assert Dialect(2).name(name) == name == Dialect(2).message_name(name)


def result(goal: dict[str, Any], status: int, **values: Any) -> dict[str, Any]:
    """What an action says at the end of a goal."""
    whole = {"goal_id": goal["goal_id"], "status": status, "text": "not today"}
    return {"op": "publish", "topic": "/act/result", "msg": {"status": whole, "result": values}}


def sent(server: Server) -> dict[str, Any]:
    """The goal that was sent."""
    goal: dict[str, Any] = heard(server, op="publish", topic="/act/goal")["msg"]
    return goal


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(3, SUCCEEDED), (2, CANCELED), (8, CANCELED), (4, ABORTED), (9, ABORTED), (77, ABORTED)],
)
def test_a_goal_ends_as_actionlib_says(
    peer: tuple[Server, RosbridgeTransport], theirs: int, ours: int
) -> None:
    server, transport = peer
    feedback: list[Any] = []
    goal = transport.send_goal(
        "/act", Fibonacci, FibonacciGoal(3), lambda said: feedback.append(said.sequence)
    )
    said = sent(server)
    assert said["goal"] == {"order": 3}
    status = {"goal_id": said["goal_id"], "status": 1}
    server.say(
        {"op": "publish", "topic": "/act/feedback", "msg": {"status": status, "feedback": {"sequence": [1]}}},
        result({"goal_id": {"id": "somebody else's"}}, 3, sequence=[9]),
        result(said, theirs, sequence=[0, 1]),
    )
    assert goal.result(5.0) == (ours, Fibonacci.result((0, 1)))
    assert feedback == [(1,)]


def test_a_goal_is_canceled_by_its_name_and_may_be_rejected(peer: tuple[Server, RosbridgeTransport]) -> None:
    server, transport = peer
    goal = transport.send_goal("/act", Fibonacci, FibonacciGoal(3))
    said = sent(server)
    goal.cancel()
    canceled = heard(server, op="publish", topic="/act/cancel")["msg"]
    assert canceled == {"stamp": {"secs": 0, "nsecs": 0}, "id": said["goal_id"]["id"]}
    server.say(result(said, 5))
    with pytest.raises(TransportError, match="/act rejected the goal: not today"):
        goal.result(5.0)


def test_a_trajectory_has_the_fields_that_ros_1_knows(peer: tuple[Server, RosbridgeTransport]) -> None:
    server, transport = peer
    transport.send_goal("/act", FollowJointTrajectory, FollowJointTrajectoryGoal())
    assert set(sent(server)["goal"]) == {
        "trajectory",
        "path_tolerance",
        "goal_tolerance",
        "goal_time_tolerance",
    }


ANYTHING = st.recursive(
    st.one_of(st.none(), st.integers(-(2**70), 2**70), st.text(max_size=4), st.booleans()),
    lambda inner: st.dictionaries(st.sampled_from(["goal_id", "id", "status", "text", "sequence"]), inner),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    messages=st.lists(
        st.fixed_dictionaries({}, optional={"status": ANYTHING, "result": ANYTHING, "feedback": ANYTHING}),
        max_size=4,
    )
)
def test_an_action_that_says_nonsense_is_a_line_in_the_log(
    peer: tuple[Server, RosbridgeTransport], messages: list[Any]
) -> None:
    server, transport = peer
    goal = transport.send_goal("/act", Fibonacci, FibonacciGoal(3), lambda said: None)
    said = sent(server)
    with logged() as records:
        for message in messages:
            for topic in ("/act/feedback", "/act/result"):
                server.say({"op": "publish", "topic": topic, "msg": message})
        server.say(result(said, 3, sequence=[1]))
        assert goal.result(5.0)[0] == SUCCEEDED
    assert not [record for record in records if record.exc_info]
    assert len(records) <= 2 * len(messages)


def test_whoever_waits_for_a_goal_hears_that_the_connection_is_lost(
    peer: tuple[Server, RosbridgeTransport],
) -> None:
    server, transport = peer
    goal = transport.send_goal("/act", Fibonacci, FibonacciGoal(3))
    sent(server)
    server.connections[0].close()
    with pytest.raises(TransportError, match="lost"):
        goal.result(10.0)


def test_ros_1_is_behind_rosbridge_only() -> None:
    with pytest.raises(InputError, match="ROS 1 is reached through rosbridge, not dds"):
        TransportSettings("dds", ros=1)
