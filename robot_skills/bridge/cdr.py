"""Messages as DDS and rosbag2 write them: XCDR1, plain CDR with a header of four bytes.

Read are both byte orders; trailing bytes are passed over (rclpy's serialiser appends some). Every length is
checked against what is left before anything is allocated. A text ends with a NUL; some write an empty one
without it. An empty message holds one byte, as ROS 2 has it.
"""

from __future__ import annotations

import struct
from typing import Any, TypeVar

from robot_skills.bridge.schema import PRIMITIVES, STRING, Field, MessageError, fields_of

M = TypeVar("M")

LITTLE = b"\x00\x01\x00\x00"
HEADER = 4


def encode(message: Any) -> bytes:
    """The bytes of a message, little-endian, with their header.

    Raises:
        MessageError: a value does not fit the type of its field.
    """
    out = bytearray(LITTLE)
    try:
        _write(out, message)
    except (struct.error, TypeError, AttributeError, OverflowError, ValueError) as error:
        raise MessageError(f"{type(message).__name__} cannot be encoded: {error}.") from error
    return bytes(out)


def decode(cls: type[M], data: bytes | bytearray | memoryview) -> M:
    """Read a message.

    Raises:
        MessageError: the bytes are cut short, or no message of this type.
    """
    if len(data) < HEADER or data[0] != 0 or data[1] not in (0, 1):
        raise MessageError(f"{cls.__name__}: the bytes do not begin with a header of plain CDR.")
    reader = _Reader(memoryview(data), "<" if data[1] else ">")
    try:
        value = reader.message(cls)
    except (struct.error, UnicodeDecodeError) as error:
        raise MessageError(f"{cls.__name__} cannot be decoded: {error}.") from error
    return value


def _write(out: bytearray, message: Any) -> None:
    fields = fields_of(type(message))
    if not fields:
        out.append(0)
    for field in fields:
        value = getattr(message, field.name)
        if field.count is None:
            _write_values(out, field, (value,))
            continue
        if field.count == 0:
            _pad(out, 4)
            out += struct.pack("<I", len(value))
        elif len(value) != field.count:
            raise MessageError(f"{field.name} has {len(value)} values, not {field.count}.")
        if field.is_bytes:
            out += value
        else:
            _write_values(out, field, value)


def _write_values(out: bytearray, field: Field, values: Any) -> None:
    kind = field.kind
    if not isinstance(kind, str):
        for value in values:
            _write(out, value)
    elif kind == STRING:
        for value in values:
            text = value.encode()
            _pad(out, 4)
            out += struct.pack("<I", len(text) + 1) + text + b"\0"
    elif values:
        code, size = PRIMITIVES[kind]
        _pad(out, size)
        out += struct.pack(f"<{len(values)}{code}", *values)


def _pad(out: bytearray, size: int) -> None:
    """Alignment counts from the end of the header."""
    out += bytes(-(len(out) - HEADER) % size)


class _Reader:
    """Bytes and a place in them."""

    def __init__(self, data: memoryview, order: str) -> None:
        self._data, self._order, self._at = data, order, HEADER

    def message(self, cls: type[M]) -> M:
        fields = fields_of(cls)
        if not fields:
            self._take(1)
            return cls()
        return cls(*(self._field(field) for field in fields))

    def _field(self, field: Field) -> Any:
        if field.count is None:
            return self._values(field, 1)[0]
        count = field.count or self._length()
        if field.is_bytes:
            return bytes(self._take(count))
        return self._values(field, count)

    def _values(self, field: Field, count: int) -> tuple[Any, ...]:
        kind = field.kind
        if not isinstance(kind, str):
            self._check(count)  # a message takes a byte at least
            return tuple(self.message(kind) for _ in range(count))
        if kind == STRING:
            self._check(4 * count)
            return tuple(self._string() for _ in range(count))
        if count == 0:
            return ()
        code, size = PRIMITIVES[kind]
        self._align(size)
        return struct.unpack(f"{self._order}{count}{code}", self._take(count * size))

    def _string(self) -> str:
        taken = bytes(self._take(self._length()))
        if taken and taken[-1]:
            raise MessageError(f"A text that ends at {self._at} has no end.")
        return taken[:-1].decode()

    def _length(self) -> int:
        self._align(4)
        (length,) = struct.unpack(f"{self._order}I", self._take(4))
        return int(length)

    def _align(self, size: int) -> None:
        self._at += -(self._at - HEADER) % size

    def _take(self, count: int) -> memoryview:
        self._check(count)
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def _check(self, count: int) -> None:
        if self._at + count > len(self._data):
            raise MessageError(f"The bytes are cut short: {count} wanted at {self._at} of {len(self._data)}.")
