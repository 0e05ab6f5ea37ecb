"""Both wire formats: there and back, against others' decoders, and against bytes that are no message."""

from __future__ import annotations

import base64
import json
import math
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from robot_skills.bridge import messages
from robot_skills.bridge.cdr import LITTLE, decode, encode
from robot_skills.bridge.json_codec import from_json, to_json
from robot_skills.bridge.schema import MessageError, definition, fields_of, message_class, ros_name
from robot_skills.errors import InputError
from tests.robot_skills.bridge.generated import (
    CLASSES,
    MESSAGES,
    PAYLOADS,
    instances,
    mcap_ros2_decoder,
    rosbags_store,
    same,
)

many = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
#: What a length or a count on the wire may claim.
CLAIMS = st.one_of(st.sampled_from([0, 1, 2, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1]), st.integers(0, 300))


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[type, bytes]:
    """A message's bytes with bits flipped, a length replaced, an end cut off or bytes put in."""
    message = draw(PAYLOADS)
    data = bytearray(encode(message))
    for damage in draw(st.lists(st.sampled_from(["flip", "claim", "cut", "more"]), min_size=1, max_size=3)):
        if damage == "flip" and data:
            data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
        elif damage == "claim" and len(data) >= 8:
            at = 4 * draw(st.integers(1, len(data) // 4 - 1))
            data[at : at + 4] = struct.pack("<I", draw(CLAIMS))
        elif damage == "cut":
            del data[draw(st.integers(0, len(data))) :]
        elif damage == "more":
            at = draw(st.integers(0, len(data)))
            data[at:at] = draw(st.binary(max_size=9))
    return type(message), bytes(data)


@given(PAYLOADS)
def test_cdr_there_and_back(message: Any) -> None:
    data = encode(message)
    assert same(message, decode(type(message), data))
    assert same(message, decode(type(message), data + b"\0" * 7))  # rclpy's serialiser appends bytes


@many
@given(PAYLOADS)
def test_two_other_decoders_read_what_we_write_and_we_read_what_they_write(message: Any) -> None:
    """Of every type, with NaN and infinities; rosbags writes both byte orders."""
    store, names = rosbags_store()
    kind = type(message)
    theirs = store.deserialize_cdr(encode(message), names[kind])
    assert same(message, theirs)
    for little in (True, False):
        written = bytes(store.serialize_cdr(theirs, names[kind], little_endian=little))
        assert same(message, decode(kind, written))
    if fields_of(kind):
        assert same(message, mcap_ros2_decoder(kind)(encode(message)))


@settings(many, max_examples=500)
@given(spoilt())
def test_spoilt_bytes_are_refused_or_read_as_others_read_them(given: tuple[type, bytes]) -> None:
    """No error but ours; whoever reads the same bytes reads the same values.

    rosbags refuses trailing bytes and texts of no length, which we pass over; mcap-ros2 passes over what is
    cut short and headers of other kinds, which we refuse.
    """
    kind, data = given
    store, names = rosbags_store()
    ours = _tried(lambda: decode(kind, data), MessageError)
    theirs = _tried(lambda: store.deserialize_cdr(data, names[kind]), Exception)
    assert theirs is None or (ours is not None and same(ours, theirs))
    if fields_of(kind) and ours is not None:
        other = _tried(lambda: mcap_ros2_decoder(kind)(data), Exception)
        assert other is not None
        assert same(ours, other)


def _tried(work: Any, error: type[Exception]) -> Any:
    """What comes of it; None for an error of this kind."""
    try:
        return work()
    except error:
        return None


#: ROS's hash (REP 2016) of what control_msgs 5 defines, from its own definitions. It holds names, order and
#: types of the fields, and those of nested messages.
CONTROL_MSGS = {
    "JointJog": "ba249455a20f70168a1acb7bf43b776b72ff1f7eb5fc4cfea443f749e963c6e7",
    "FollowJointTrajectory_Goal": "8a9060704b269608f5a340934cc26e66869dd14bdac29e2e7fd9ec8b9882d205",
    "FollowJointTrajectory_Result": "8002e99ed2c14c6faa522f2a93c26d744c5982f254f9e98ff9c6f19789bdb220",
    "FollowJointTrajectory_Feedback": "3fd0aaecf71725121ae1ff7f01098a5e0da581e672be18a6b2c286cb43d96b49",
    "GripperCommand_Goal": "607d9f41eb241e1922e90f02125e87ae6bfb78f7f64a71dc92630263d01f8b6d",
    "GripperCommand_Result": "bf512d5aa6a0e4fe4d8be22b2ec4a1973c3d250fa1f65e47450322c25c45c0a0",
    "GripperCommand_Feedback": "8f7c520077bab528bb9161ee3b83c81eee1f8aecadb8922ce82c79d667a819c4",
    "ParallelGripperCommand_Goal": "412807b6b6acf2bf406fb0cf3b5c8f84286cd4e4d425734155aa1ff41caa0063",
    "ParallelGripperCommand_Result": "51acbcd62aa44097d3877c506eab1146856fa8768628ffbe102c1699152d2afa",
    "ParallelGripperCommand_Feedback": "ed6f7c4e5aea7f960432663c0e762e001a0a1f5cc0130d126e60041412d0543c",
}


def test_our_definitions_are_those_of_ros() -> None:
    """By the hash of each type: of those that rosbags has, and of control_msgs, which it has not."""
    typesys = pytest.importorskip("rosbags.typesys")
    theirs = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    wanted = {
        f"control_msgs/{'action' if '_' in name else 'msg'}/{name}": f"RIHS01_{digest}"
        for name, digest in CONTROL_MSGS.items()
    }
    names = {ros_name(kind) for kind in CLASSES}
    wanted |= {name: theirs.hash_rihs01(name) for name in names & set(theirs.types)}
    assert len(wanted) > 30
    ours = typesys.get_typestore(typesys.Stores.EMPTY)
    for name in wanted:
        ours.register(typesys.get_types_from_msg(definition(message_class(name)), name))
    assert {name: ours.hash_rihs01(name) for name in wanted} == wanted


@given(MESSAGES, st.data())
def test_bytes_cut_short_are_no_message(message: Any, data: st.DataObject) -> None:
    whole = encode(message)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(MessageError):
        decode(type(message), cut)


@pytest.mark.parametrize("claim", [2**31 - 1, 2**32 - 1, 2**20])
@pytest.mark.parametrize("size", [64, 2**20])
def test_a_claimed_length_allocates_no_more_than_the_bytes_allow(size: int, claim: int) -> None:
    """Wherever it stands, and however many bytes follow that could be a part of it."""
    word = struct.pack("<I", claim)
    fronts = range(0, 64, 4) if size == 64 else (0, 12)
    for kind in CLASSES if size == 64 else (messages.JointState, messages.JointTrajectory, messages.Image):
        for front in fronts:
            body = bytes(front) + word + bytes(size - front - 4)
            tracemalloc.start()
            _tried(lambda kind=kind, body=body: decode(kind, LITTLE + body), MessageError)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 40 * size + 50_000, (kind, front, peak)


@pytest.mark.parametrize(
    "message",
    [
        messages.String("\ud800"),
        messages.String(3),
        messages.Image(data=(300, 1)),
        messages.Image(height=-1),
        messages.Image(height=2**32),
        messages.JointState(position=("a",)),
        messages.JointState(position=1.0),
        messages.JointState(header=None),
        messages.UUID(bytes(15)),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_not_encoded(message: Any) -> None:
    with pytest.raises(MessageError):
        encode(message)


@given(MESSAGES)
def test_json_there_and_back(message: Any) -> None:
    data = json.loads(json.dumps(to_json(message), allow_nan=False))
    read = from_json(type(message), data)
    assert same(read, from_json(type(message), to_json(read)))
    assume("null" not in json.dumps(data))  # infinities are not JSON
    assert read == message


#: Anything that JSON can say, and what Python's reader takes for JSON.
ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.sampled_from([10**12, 10**400, -1]),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=8).map(lambda data: base64.b64encode(data).decode()),
        st.just("\ud800"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["header", "stamp", "sec", "name", "data", "x", "a"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


@st.composite
def spoilt_json(draw: st.DrawFn) -> tuple[type, Any]:
    """A message in JSON, with one of its values replaced by anything."""
    message = draw(MESSAGES)
    root: dict[Any, Any] = {"": to_json(message)}
    place: Any = root
    key: Any = ""
    while draw(st.integers(0, 3)) and isinstance(place[key], (dict, list)) and place[key]:
        place = place[key]
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = draw(ANYTHING)
    return type(message), root[""]


@settings(many, max_examples=500)
@given(spoilt_json())
def test_spoilt_json_is_refused_or_is_a_message(given: tuple[type, Any]) -> None:
    """What is read has values of its fields' types: the other codec takes it, and gives it back."""
    kind, data = given
    read = _tried(lambda: from_json(kind, data), MessageError)
    if read is not None:
        assert same(read, decode(kind, encode(read)))


@pytest.mark.parametrize("claim", [10**10, 10**18, True, {}, "é", "a", [256], [-1], [1.5], ["a"]])
def test_bytes_in_json_are_base64_or_a_list(claim: Any) -> None:
    """A number is not taken for so many bytes."""
    with pytest.raises(MessageError, match="data"):
        from_json(messages.Image, {"data": claim})
    assert from_json(messages.Image, {"data": [1, 255]}).data == b"\x01\xff"


def test_a_null_is_no_number() -> None:
    read = from_json(messages.JointState, {"name": ["a"], "position": [None]})
    assert math.isnan(read.position[0])


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"position": 1.0},
        {"position": ["1"]},
        {"name": [1]},
        {"name": ["\ud800"]},
        {"header": {"stamp": {"sec": 2**40}}},
        {"header": 3},
    ],
)
def test_json_of_the_wrong_type_is_refused(data: Any) -> None:
    with pytest.raises(MessageError):
        from_json(messages.JointState, data)


@given(instances(messages.JointState))
def test_a_field_that_is_missing_keeps_its_default(message: messages.JointState) -> None:
    data = to_json(message)
    del data["effort"]
    assert from_json(messages.JointState, {**data, "unknown": 1}).effort == ()


def test_names_of_types() -> None:
    assert message_class("sensor_msgs/JointState") is messages.JointState
    with pytest.raises(InputError, match="Did you mean 'sensor_msgs/msg/JointState'"):
        message_class("sensor_msgs/msg/JointStates")
