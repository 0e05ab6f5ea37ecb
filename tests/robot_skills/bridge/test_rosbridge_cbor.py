"""Pictures through rosbridge as CBOR, and CBOR that is damaged or means harm."""

from __future__ import annotations

import json
import logging
import math
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_skills.bridge.json_codec import from_json
from robot_skills.bridge.messages import CompressedImage, Header, Image, JointState, Time
from robot_skills.bridge.schema import MessageError
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import SENSORS, STREAM
from robot_skills.bridge.transports.cbor import read_cbor
from robot_skills.bridge.transports.rosbridge import RosbridgeTransport
from tests.robot_skills.bridge.rehearsal import wait_for
from tests.robot_skills.bridge.rosbridge_server import Server, logged

cbor2 = pytest.importorskip("cbor2")
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
PICTURE = Image(Header(Time(3, 4), "front"), 2, 3, "rgb8", 0, 9, bytes(range(18)))
#: As rosbridge_suite and rosbridge-server-rs write it.
SAID = {
    "op": "publish",
    "topic": "/front",
    "msg": {
        "header": {"stamp": {"sec": 3, "nanosec": 4}, "frame_id": "front"},
        **{"height": 2, "width": 3, "encoding": "rgb8", "is_bigendian": 0, "step": 9},
        "data": bytes(range(18)),
    },
}


def head(kind: int, length: int) -> bytes:
    """The beginning of what claims to be so long: 2 bytes, 3 text, 4 a list, 5 a map, 6 a tag."""
    return bytes([kind << 5 | 27]) + struct.pack(">Q", length)


HARM = {
    **{f"{claim} of kind {kind}": head(kind, claim) + b"\x01" * 9
       for kind in (2, 3, 4, 5, 6) for claim in (2**31, 2**40, 2**63, 2**64 - 1)},
    "a long picture": cbor2.dumps(SAID).replace(b"\x52" + bytes(range(18)), head(2, 2**40) + bytes(18)),
    "deep lists": b"\x81" * 10**6,
    "deep maps": b"\xa1\x61a" * 10**6,
    "deep tags": b"\xd8\x56" * 10**6,
    "deep texts": b"\x7f" * 10**6,
    "a list of itself": b"\xd8\x1c\x81\xd8\x1d\x00",
    "shared lists": b"\xd9\x01\x00\x82\x61a\xd8\x19\x00",
    "a slow expression": cbor2.dumps(cbor2.CBORTag(35, "(a+)+$")),
    "a large power": b"\xc5\x82" + head(0, 2**40) + b"\x01",
    "a large number": cbor2.dumps(2**9999),
    "half a number": b"\xd8\x56\x41a",
    "numbers of a text": b"\xd8\x56\x61a",
    "numbers of a number": b"\xd8\x56\x01",
    "a list as a key": b"\xa1\x81\x01\x02",
    "half a character": b"\x63\xed\xa0\x80",
    "no end": b"\x9f\x01",
    "only an end": b"\xff",
    "nothing": b"",
    "JSON": b'{"op": "status"}',
}  # fmt: skip


@pytest.fixture(scope="module")
def peer() -> Iterator[tuple[Server, RosbridgeTransport, list[Image]]]:
    """A server, a transport that is connected to it, and the pictures that have come."""
    made = Server()
    transport = RosbridgeTransport(TransportSettings(url=made.url))
    got: list[Image] = []
    transport.subscribe("/front", Image, got.append, STREAM)
    yield made, transport, got
    transport.close()
    made.close()


def asked(server: Server, topic: str) -> dict[str, Any]:
    """How a topic was subscribed to."""
    while True:
        said = server.heard.get(timeout=10.0)
        if said["op"] == "subscribe" and said["topic"] == topic:
            return said


def test_pictures_come_as_cbor_and_all_else_does_not(
    peer: tuple[Server, RosbridgeTransport, list[Image]],
) -> None:
    server, transport, got = peer
    assert asked(server, "/front")["compression"] == "cbor"
    transport.subscribe("/state", JointState, lambda message: None, STREAM)
    assert asked(server, "/state")["compression"] == "none"
    got.clear()
    server.say(cbor2.dumps(SAID), {**SAID, "msg": {**SAID["msg"], "data": "AAECAwQFBgcICQoLDA0ODxAR"}})
    assert wait_for(lambda: len(got) == 2)
    assert got == [PICTURE, PICTURE]


def test_a_server_that_refuses_cbor_is_asked_again_without() -> None:
    server = Server()

    def refuse(said: dict[str, Any]) -> list[Any]:
        text = f"unsupported compression {said.get('compression')}"
        return [{"op": "status", "level": "error", "msg": text, "id": said["id"]}]

    server.answer = lambda said: refuse(said) if said.get("compression") == "cbor" else []
    transport = RosbridgeTransport(TransportSettings(url=server.url))
    with logged() as records:
        transport.subscribe("/front", CompressedImage, lambda message: None, SENSORS)
        assert asked(server, "/front")["compression"] == "cbor"
        again = asked(server, "/front")
    assert (again["compression"], again["type"], again["queue_length"]) == (
        "none", "sensor_msgs/msg/CompressedImage", 5,
    )  # fmt: skip
    (line,) = [record.getMessage() for record in records]
    assert "unsupported compression cbor" in line
    assert "/front" in line
    transport.close()
    server.close()


def test_cbor_can_be_done_without() -> None:
    server = Server()
    transport = RosbridgeTransport(TransportSettings(url=server.url, cbor=False))
    transport.subscribe("/front", Image, lambda message: None, SENSORS)
    assert asked(server, "/front")["compression"] == "none"
    transport.close()
    server.close()


def test_typed_arrays_are_lists_of_numbers() -> None:
    numbers = [1.5, -2.0, math.nan]
    packed = cbor2.CBORTag(86, struct.pack("<3d", *numbers))
    said = {"name": ["a", "b", "c"], "position": packed, "effort": cbor2.CBORTag(85, b"")}
    message = from_json(JointState, read_cbor(cbor2.dumps(said)))
    assert message.name == ("a", "b", "c")
    assert message.position[:2] == (1.5, -2.0)
    assert math.isnan(message.position[2])
    assert message.effort == ()


@pytest.mark.parametrize("harm", HARM)
def test_harm_is_one_line(peer: tuple[Server, RosbridgeTransport, list[Image]], harm: str) -> None:
    said = HARM[harm]
    with logged() as records:
        peer[0].say(said)
        still_comes(peer)
    assert [record.levelno for record in records] == [logging.WARNING]


def still_comes(peer: tuple[Server, RosbridgeTransport, list[Image]]) -> None:
    """The next picture comes."""
    server, _, got = peer
    got.clear()
    server.say(cbor2.dumps({**SAID, "msg": {**SAID["msg"], "step": 77}}))
    assert wait_for(lambda: any(picture.step == 77 for picture in got)), "no picture comes any more"


def test_harm_takes_no_memory() -> None:
    """In a process that may take 256 MB more than it has."""
    code = """
import json, resource, sys
from robot_skills.bridge.schema import MessageError
from robot_skills.bridge.transports.cbor import read_cbor
read_cbor(b"\\x01")
frames = [bytes.fromhex(line) for line in sys.stdin]
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 2**28
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for frame in frames:
    try:
        read_cbor(frame)
    except MessageError:
        continue
    sys.exit(f"{frame[:20]!r} was read")
"""
    frames = "\n".join(frame.hex() for frame in HARM.values())
    done = subprocess.run(
        [sys.executable, "-c", code], input=frames, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A picture's frame with bits flipped, cut off, or with bytes put in."""
    data = bytearray(cbor2.dumps(SAID))
    for damage in draw(st.lists(st.sampled_from(["flip", "cut", "more"]), min_size=1, max_size=3)):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        if damage == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif damage == "cut":
            del data[at:]
        else:
            data[at:at] = draw(st.binary(max_size=9))
    return bytes(data)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(frames=st.lists(st.one_of(spoilt(), st.binary(max_size=30)), min_size=1, max_size=4))
def test_a_spoilt_frame_is_a_line_in_the_log_at_most(
    peer: tuple[Server, RosbridgeTransport, list[Image]], frames: list[bytes]
) -> None:
    with logged() as records:
        peer[0].say(*frames)
        still_comes(peer)
    assert not [record for record in records if record.exc_info or record.levelno > logging.WARNING]
    assert len(records) <= len(frames)


@settings(max_examples=300, deadline=None)
@given(st.one_of(spoilt(), st.binary(max_size=60)))
def test_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = read_cbor(data)
    except MessageError:
        return
    json.dumps(
        found, default=lambda value: value.hex() if isinstance(value, bytes) else str(value), skipkeys=True
    )
