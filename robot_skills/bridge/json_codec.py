"""Messages as rosbridge writes them: JSON objects, uint8 arrays in base64, null for a number that is none.

Read are also the values that come of CBOR, where uint8 arrays are bytes.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from robot_skills.bridge.schema import RANGES, Field, MessageError, fields_of

M = TypeVar("M")

FLOATS = ("float32", "float64")


#: Names of fields on the wire where they differ; "" for one that is left out.
Names = Mapping[str, str]


def to_json(message: Any, names: Names = MappingProxyType({})) -> dict[str, Any]:
    """The plain values of a message."""
    return {
        name: _plain(field, getattr(message, field.name), names)
        for field in fields_of(type(message))
        if (name := names.get(field.name, field.name))
    }


def from_json(cls: type[M], data: Any, where: str = "", names: Names = MappingProxyType({})) -> M:
    """Read plain values; a field that is missing keeps its default, one that is unknown is passed over.

    A null where a float belongs is read as NaN: whoever uses the message has to look.

    Raises:
        MessageError: naming the field whose value is not of its type.
    """
    if not isinstance(data, Mapping):
        raise MessageError(f"{where or cls.__name__} is not an object.")
    values = {
        field.name: _read(field, data[name], f"{where}.{name}" if where else name, names)
        for field in fields_of(cls)
        if (name := names.get(field.name, field.name)) in data
    }
    return cls(**values)


def _plain(field: Field, value: Any, names: Names) -> Any:
    if field.is_bytes:
        return base64.b64encode(value).decode()
    if field.count is None:
        return _plain_one(field, value, names)
    if field.kind in FLOATS:  # most of what is said, by far
        return [float(item) if math.isfinite(item) else None for item in value]
    return [_plain_one(field, item, names) for item in value]


def _plain_one(field: Field, value: Any, names: Names) -> Any:
    if not isinstance(field.kind, str):
        return to_json(value, names)
    if field.kind in FLOATS:
        return float(value) if math.isfinite(value) else None
    return value


def _read(field: Field, value: Any, where: str, names: Names) -> Any:
    if field.is_bytes:
        return _sized(field, _bytes(value, where), where)
    if field.count is None:
        return _read_one(field, value, where, names)
    if not isinstance(value, (list, tuple)):
        raise MessageError(f"{where} is not a list.")
    if field.kind in FLOATS and all(type(item) is float for item in value):
        return _sized(field, tuple(value), where)
    return _sized(field, tuple(_read_one(field, item, where, names) for item in value), where)


def _sized(field: Field, value: Any, where: str) -> Any:
    if field.count and len(value) != field.count:
        raise MessageError(f"{where} has {len(value)} values, not {field.count}.")
    return value


def _bytes(value: Any, where: str) -> bytes:
    try:
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
        if isinstance(value, (list, tuple)):  # of a number, `bytes` would make so many zeros
            return bytes(value)
    except (binascii.Error, TypeError, ValueError) as error:
        raise MessageError(f"{where} is neither base64 nor a list of bytes.") from error
    raise MessageError(f"{where} is neither base64 nor a list of bytes.")


def _read_one(field: Field, value: Any, where: str, names: Names) -> Any:
    kind = field.kind
    if not isinstance(kind, str):
        return from_json(kind, value, where, names)
    if kind == "string":
        if isinstance(value, str) and _is_utf8(value):
            return value
    elif kind == "bool":
        if isinstance(value, bool):
            return value
    elif kind in RANGES:
        low, high = RANGES[kind]
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
    elif value is None:
        return math.nan
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    raise MessageError(f"{where} is not of the type {kind}.")


def _is_utf8(text: str) -> bool:
    """Whether a text is one: JSON can name half a character, which no other format can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
