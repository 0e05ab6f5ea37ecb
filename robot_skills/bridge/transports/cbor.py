"""CBOR (RFC 8949) as rosbridge servers write it: an operation is a map, a picture's data a byte string.

Numbers in a row are typed arrays (RFC 8746), little-endian. No other tag is read: those of shared values,
regular expressions, dates and powers have no place in a message, and turn a few bytes into much work.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from robot_skills.bridge.schema import MessageError
from robot_skills.errors import require

#: Tag -> code of `struct`, as in rosbridge_suite's cbor_conversion.py.
TYPED = {69: "H", 70: "I", 71: "Q", 72: "b", 77: "h", 78: "i", 79: "q", 85: "f", 86: "d"}
#: An operation, a message, and what that nests. JSON's own limit is Python's.
DEPTH = 32


def read_cbor(data: bytes) -> Any:
    """The plain values of a frame.

    Raises:
        MessageError: it is damaged, nests too deeply, or holds what no message does.
    """
    cbor = require("cbor2", "bridge")
    try:
        return cbor.loads(data, semantic_decoders=_TAGS, max_depth=DEPTH, strict_hashable_types=True)
    except cbor.CBORError as error:
        raise MessageError(f"{error}.") from error


class _Tags(dict[int, Callable[[Any, bool], Any]]):
    def __missing__(self, tag: int) -> Any:
        """Of a tag that is not among them: without it, the library has its own ideas."""
        raise MessageError(f"The tag {tag} has no place in a message.")


def _typed(code: str) -> Callable[[Any, bool], Any]:
    def read(packed: Any, immutable: bool) -> list[Any]:
        size = struct.calcsize(f"<{code}")
        return list(struct.unpack(f"<{len(packed) // size}{code}", packed))

    return read


_TAGS = _Tags({tag: _typed(code) for tag, code in TYPED.items()})
