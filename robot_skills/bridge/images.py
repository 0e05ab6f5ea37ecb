"""Camera messages as the pictures that a policy sees."""

from __future__ import annotations

import io

import numpy as np

from robot_skills.bridge.messages import CompressedImage
from robot_skills.bridge.messages import Image as ImageMessage
from robot_skills.bridge.schema import MessageError
from robot_skills.errors import require
from robot_skills.robot import Image

#: Encoding -> its channels, in the order of red, green and blue.
ENCODINGS = {
    "rgb8": (3, (0, 1, 2)), "bgr8": (3, (2, 1, 0)), "rgba8": (4, (0, 1, 2)), "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
}  # fmt: skip
#: A picture beyond this is a mistake or an attack, pixels.
LARGEST = 50_000_000


def picture(message: ImageMessage | CompressedImage) -> Image:
    """The (H, W, 3) uint8 RGB picture of a message.

    Raises:
        MessageError: the encoding is unknown, or the bytes are not as many as it takes.
    """
    return _raw(message) if isinstance(message, ImageMessage) else _compressed(message)


def fit(image: Image, size: tuple[int, int]) -> Image:
    """Cut a picture to the shape of a size, (height, width), around its middle, and scale it.

    Pixels are averaged where the scale is a whole number; else Pillow's box filter does it.
    """
    height, width = size
    tall, wide = image.shape[:2]
    if (tall, wide) == size:
        return image
    scale = min(tall / height, wide / width)
    cut = (min(tall, round(scale * height)), min(wide, round(scale * width)))
    top, left = (tall - cut[0]) // 2, (wide - cut[1]) // 2
    image = image[top : top + cut[0], left : left + cut[1]]
    factor = cut[0] // height
    if cut == (factor * height, factor * width) and factor > 0:
        blocks = image.reshape(height, factor, width, factor, 3).astype(np.uint32)
        area = factor * factor
        mean: Image = ((blocks.sum((1, 3)) + area // 2) // area).astype(np.uint8)
        return mean
    pillow = require("PIL.Image", "video")
    resized = pillow.fromarray(image).resize((width, height), pillow.Resampling.BOX)
    return np.asarray(resized, np.uint8)


def _raw(message: ImageMessage) -> Image:
    if message.encoding not in ENCODINGS:
        raise MessageError(f"The encoding {message.encoding!r} is not one of {', '.join(ENCODINGS)}.")
    channels, order = ENCODINGS[message.encoding]
    row = message.width * channels
    if not 0 < message.height * message.width <= LARGEST:
        raise MessageError(f"A picture of {message.height} x {message.width} pixels.")
    if message.step < row or len(message.data) != message.step * message.height:
        raise MessageError(
            f"{len(message.data)} bytes are not {message.height} rows of {message.step}, {row} at least."
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :row]
    return np.ascontiguousarray(rows.reshape(message.height, message.width, channels)[..., list(order)])


def _compressed(message: CompressedImage) -> Image:
    pillow = require("PIL.Image", "video")
    try:
        with pillow.open(io.BytesIO(message.data), formats=("JPEG", "PNG")) as opened:
            if not 0 < opened.width * opened.height <= LARGEST:
                raise MessageError(f"A picture of {opened.height} x {opened.width} pixels.")
            return np.asarray(opened.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise MessageError(f"The bytes are no JPEG or PNG picture: {error}.") from error
