"""Messages of every type that the bridge speaks, made by hypothesis, and two decoders that others wrote."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from robot_skills.bridge import messages
from robot_skills.bridge.schema import (
    RANGES,
    ActionType,
    Field,
    ServiceType,
    action_parts,
    definition,
    fields_of,
    ros_name,
)

#: Messages by their names.
CLASSES = [
    kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind not in (ServiceType, ActionType)
]
_ACTIONS = [action_parts(value) for value in vars(messages).values() if isinstance(value, ActionType)]
#: What actions are made of on DDS.
PARTS = [
    kind
    for parts in _ACTIONS
    for kind in (
        parts.feedback,
        *(parts.send_goal.request, parts.send_goal.response),
        *(parts.get_result.request, parts.get_result.response),
    )
]
#: Every text that UTF-8 can hold and ROS can carry.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


def _values(field: Field) -> st.SearchStrategy[Any]:
    if field.is_bytes:
        size = field.count or 0
        return st.binary(min_size=size, max_size=size or 20)
    kind = field.kind
    if not isinstance(kind, str):
        one: st.SearchStrategy[Any] = instances(kind)
    elif kind in RANGES:
        one = st.integers(*RANGES[kind])
    else:
        numbers = {"float64": st.floats(), "float32": st.floats(width=32)}
        one = {"bool": st.booleans(), "string": TEXTS, **numbers}[kind]
    if field.count is None:
        return one
    return st.lists(one, min_size=field.count, max_size=field.count or 4).map(tuple)


@functools.cache
def instances(kind: type) -> st.SearchStrategy[Any]:
    """Messages of a type, with every value that its fields can hold: NaN and infinities too."""
    return st.builds(kind, **{field.name: _values(field) for field in fields_of(kind)})


#: A message of any type, and with what actions are made of.
MESSAGES = st.sampled_from(CLASSES).flatmap(instances)
PAYLOADS = st.sampled_from(CLASSES + PARTS).flatmap(instances)


def same(ours: Any, theirs: Any) -> bool:
    """Whether two messages are equal by value; of `theirs` no more is asked than the names of the fields.

    NaN is equal to NaN.
    """
    return all(
        _same_values(field, getattr(ours, field.name), getattr(theirs, field.name))
        for field in fields_of(type(ours))
    )


def _same_values(field: Field, one: Any, other: Any) -> bool:
    if field.is_bytes:
        return bytes(other) == bytes(one)
    pairs = [(one, other)] if field.count is None else None
    if not isinstance(field.kind, str):
        pairs = pairs or list(zip(one, other, strict=True))
        return all(same(a, b) for a, b in pairs)
    if field.kind == "string":
        return bool(one == other) if field.count is None else list(one) == list(other)
    return np.array_equal(np.asarray(one, float), np.asarray(other, float), equal_nan=True)


@functools.cache
def rosbags_store() -> tuple[Any, dict[type, str]]:
    """rosbags' type store of Jazzy with our definitions in it, and its name of each type."""
    typesys = pytest.importorskip("rosbags.typesys")
    store, names = typesys.get_typestore(typesys.Stores.ROS2_JAZZY), {}
    for kind in CLASSES + PARTS:
        found = typesys.get_types_from_msg(definition(kind), ros_name(kind))
        names[kind] = next(iter(found))
        store.register({name: fields for name, fields in found.items() if name not in store.types})
    return store, names


@functools.cache
def mcap_ros2_decoder(kind: type) -> Any:
    """mcap-ros2-support's decoder, made from our definition; of an empty message there is none."""
    dynamic = pytest.importorskip("mcap_ros2._dynamic")
    # It knows no types of actions but in its own words.
    text = re.sub(r"/action/(\w+)", lambda found: "/" + found[1].replace("_", ""), definition(kind))
    package, _, rest = ros_name(kind).split("/")
    name = f"{package}/{rest.replace('_', '')}"
    return dynamic.generate_dynamic(name, text)[name]
