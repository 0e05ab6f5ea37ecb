"""Both wire formats: there and back, against others' decoders, and against bytes that are no message."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_skills.bridge import messages
from robot_skills.bridge.cdr import decode, encode
from robot_skills.bridge.json_codec import from_json, to_json
from robot_skills.bridge.schema import (
    RANGES,
    Field,
    MessageError,
    definition,
    fields_of,
    message_class,
    ros_name,
)
from robot_skills.errors import InputError

CLASSES = [
    kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == messages.__name__
]
#: What rosbags' own type store has.
KNOWN = [kind for kind in CLASSES if ros_name(kind).split("/")[0] in
         ("std_msgs", "sensor_msgs", "geometry_msgs", "trajectory_msgs", "builtin_interfaces")]  # fmt: skip


def values(field: Field) -> st.SearchStrategy[Any]:
    if field.is_bytes:
        size = field.count or 0
        return st.binary(min_size=size, max_size=size or 20)
    kind = field.kind
    if not isinstance(kind, str):
        one: st.SearchStrategy[Any] = instances(kind)
    elif kind in RANGES:
        one = st.integers(*RANGES[kind])
    else:
        text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
        numbers = {"float64": st.floats(allow_nan=False), "float32": st.floats(width=32, allow_nan=False)}
        one = {"bool": st.booleans(), "string": text, **numbers}[kind]
    if field.count is None:
        return one
    return st.lists(one, min_size=field.count, max_size=field.count or 4).map(tuple)


def instances(kind: type) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{field.name: values(field) for field in fields_of(kind)})


any_message = st.sampled_from(CLASSES).flatmap(instances)


@given(any_message)
def test_cdr_there_and_back(message: Any) -> None:
    data = encode(message)
    assert decode(type(message), data) == message
    assert decode(type(message), data + b"\0" * 7) == message  # rclpy's serialiser appends bytes


@given(any_message)
def test_json_there_and_back(message: Any) -> None:
    text = json.dumps(to_json(message), allow_nan=False)
    finite = "null" not in text  # infinities are not JSON
    assert not finite or from_json(type(message), json.loads(text)) == message


@given(any_message, st.data())
def test_bytes_cut_short_are_no_message(message: Any, data: st.DataObject) -> None:
    whole = encode(message)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(MessageError):
        decode(type(message), cut)


@given(st.sampled_from(CLASSES), st.binary(max_size=200))
def test_noise_is_refused_or_read_and_never_worse(kind: type, noise: bytes) -> None:
    with contextlib.suppress(MessageError):
        decode(kind, b"\x00\x01\x00\x00" + noise)


def test_a_length_beyond_the_bytes_allocates_nothing() -> None:
    huge = b"\x00\x01\x00\x00" + bytes(12) + b"\xff\xff\xff\x7f" * 8
    for kind in (messages.JointState, messages.Image, messages.JointTrajectory):
        with pytest.raises(MessageError):
            decode(kind, huge)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KNOWN).flatmap(instances))
def test_rosbags_reads_what_we_write_and_writes_what_we_read(message: Any) -> None:
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    name = ros_name(type(message))
    theirs = store.deserialize_cdr(encode(message), name)
    assert same(message, theirs)
    assert decode(type(message), bytes(store.serialize_cdr(theirs, name))) == message


@settings(max_examples=60, deadline=None)
@given(any_message)
def test_mcap_ros2_reads_what_we_write_by_our_definitions(message: Any) -> None:
    dynamic = pytest.importorskip("mcap_ros2._dynamic")
    name = ros_name(type(message)).replace("/msg/", "/").replace("/action/", "/").replace("/srv/", "/")
    if not fields_of(type(message)):
        return
    decoders = dynamic.generate_dynamic(name, definition(type(message)))
    assert same(message, decoders[name](encode(message)))


def same(ours: Any, theirs: Any) -> bool:
    for field in fields_of(type(ours)):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        if not isinstance(field.kind, str):
            pairs = [(one, other)] if field.count is None else list(zip(one, other, strict=True))
            if not all(same(a, b) for a, b in pairs):
                return False
        elif field.is_bytes:
            if bytes(other) != one:
                return False
        elif field.count is not None and field.kind != "string":
            if not np.array_equal(np.asarray(other), np.asarray(one, np.asarray(other).dtype)):
                return False
        elif field.count is not None:
            if list(other) != list(one):
                return False
        elif one != other:
            return False
    return True


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
        {"header": {"stamp": {"sec": 2**40}}},
        {"header": 3},
    ],
)
def test_json_of_the_wrong_type_is_refused(data: Any) -> None:
    with pytest.raises(MessageError):
        from_json(messages.JointState, data)


def test_names_of_types() -> None:
    assert message_class("sensor_msgs/JointState") is messages.JointState
    with pytest.raises(InputError, match="Did you mean 'sensor_msgs/msg/JointState'"):
        message_class("sensor_msgs/msg/JointStates")
