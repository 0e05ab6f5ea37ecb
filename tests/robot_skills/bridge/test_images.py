"""Pictures out of camera messages, right and wrong ones."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_skills.bridge.images import LARGEST, picture
from robot_skills.bridge.messages import CompressedImage, Header, Image
from robot_skills.bridge.schema import MessageError
from tests.robot_skills.bridge.generated import instances

pillow = pytest.importorskip("PIL.Image")
RAMP = (np.arange(16 * 24 * 3) % 251).astype(np.uint8).reshape(16, 24, 3)
many = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def packed(kind: str) -> bytes:
    """The ramp as a file."""
    out = io.BytesIO()
    pillow.fromarray(RAMP).save(out, kind)
    return out.getvalue()


def test_a_picture_is_the_same_in_every_lossless_form() -> None:
    forms = {"rgb8": RAMP, "bgr8": RAMP[..., ::-1], "rgba8": np.dstack([RAMP, RAMP[..., 0]])}
    for encoding, pixels in forms.items():
        padded = np.pad(pixels.reshape(16, -1), ((0, 0), (0, 5)))
        message = Image(Header(), 16, 24, encoding, 0, padded.shape[1], padded.tobytes())
        np.testing.assert_array_equal(picture(message), RAMP)
    np.testing.assert_array_equal(picture(CompressedImage(format="png", data=packed("PNG"))), RAMP)


@many
@given(instances(Image), st.sampled_from(["rgb8", "mono8", "16UC1"]))
def test_any_message_is_a_picture_or_refused(message: Image, encoding: str) -> None:
    _seen(Image(message.header, message.height, message.width, encoding, 0, message.step, message.data))


@many
@given(
    kind=st.sampled_from(["PNG", "JPEG"]),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    kept=st.one_of(st.none(), st.integers(0, 900)),
)
def test_a_spoilt_file_is_a_picture_or_refused(kind: str, flips: Any, kept: int | None) -> None:
    data = bytearray(packed(kind)[:kept])
    for at, bits in flips:
        if data:
            data[at % len(data)] ^= bits
    _seen(CompressedImage(format=kind.lower(), data=bytes(data)))


@pytest.mark.parametrize("side", [7_500, 30_000, 65_500])
def test_a_file_that_claims_to_be_huge_is_refused(side: int) -> None:
    """By its header, before a pixel is made."""
    data = bytearray(packed("JPEG"))
    frame = data.index(b"\xff\xc0") + 5
    data[frame : frame + 4] = side.to_bytes(2, "big") * 2
    assert side * side > LARGEST
    with pytest.raises(MessageError):
        picture(CompressedImage(format="jpeg", data=bytes(data)))


def _seen(message: Image | CompressedImage) -> None:
    try:
        seen = picture(message)
    except MessageError:
        return
    assert seen.dtype == np.uint8
    assert seen.ndim == 3
    assert seen.shape[2] == 3
