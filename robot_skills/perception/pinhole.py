"""A calibrated camera: from points in the base frame to pixels, and back along rays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_skills.errors import InputError
from robot_skills.robot import Image

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pinhole:
    """Where a camera is, where it looks, and how large its picture is.

    Pixels are counted from the picture's upper left corner, u to the right and v down; the middle of the
    first pixel is (0.5, 0.5).

    Attributes:
        eye: position in the base frame, (3,) m.
        rotation: camera to base, (3, 3); its columns point right, up and out of the back of the camera.
        focal: focal length, px.
        centre: the pixel (u, v) that the camera looks at.
        size: (height, width) of the picture, px.
    """

    eye: Array
    rotation: Array
    focal: float
    centre: tuple[float, float]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.eye.shape != (3,) or self.rotation.shape != (3, 3):
            raise InputError(
                f"A camera has an eye (3,) and a rotation (3, 3), not {self.eye.shape} and "
                f"{self.rotation.shape}."
            )
        if not self.focal > 0:
            raise InputError(f"A focal length is above 0 px, not {self.focal}.")

    @classmethod
    def looking(
        cls, eye: ArrayLike, target: ArrayLike, up: ArrayLike, fov: float, size: tuple[int, int]
    ) -> Pinhole:
        """A camera at a point that looks at another.

        Args:
            eye: (3,) m.
            target: (3,) m.
            up: roughly where the top of the picture points, (3,).
            fov: vertical field of view, degrees.
            size: (height, width) of the picture, px.
        """
        eye = np.asarray(eye, float)
        back = eye - np.asarray(target, float)
        back /= np.linalg.norm(back)
        right = np.cross(np.asarray(up, float), back)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(back, right), back], 1)
        height, width = size
        focal = height / 2 / math.tan(math.radians(fov) / 2)
        return cls(eye, rotation, focal, (width / 2, height / 2), size)

    def cropped(self, top: int, bottom: int) -> Pinhole:
        """The same camera with only some rows of its picture, `top` to `bottom` - 1."""
        u, v = self.centre
        return Pinhole(self.eye, self.rotation, self.focal, (u, v - top), (bottom - top, self.size[1]))

    def project(self, points: ArrayLike) -> Array:
        """Points (N, 3) in the base frame as (N, 3): u, v in px, and the depth in m, negative behind it."""
        seen = (np.asarray(points, float) - self.eye) @ self.rotation
        depth = -seen[:, 2]
        scale = self.focal / np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        return np.stack([self.centre[0] + scale * seen[:, 0], self.centre[1] - scale * seen[:, 1], depth], 1)

    def rays(self, pixels: ArrayLike) -> Array:
        """Unit directions in the base frame, (..., 3), of pixels (..., 2)."""
        pixels = np.asarray(pixels, float)
        right = (pixels[..., 0] - self.centre[0]) / self.focal
        up = (self.centre[1] - pixels[..., 1]) / self.focal
        rays = np.stack([right, up, np.full_like(right, -1.0)], -1) @ self.rotation.T
        directions: Array = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        return directions


@dataclass(frozen=True)
class View:
    """A picture and the camera that took it.

    Attributes:
        image: (H, W, 3) uint8, RGB, of the camera's size.
    """

    image: Image
    camera: Pinhole

    def __post_init__(self) -> None:
        if self.image.shape != (*self.camera.size, 3):
            raise InputError(f"The picture is {self.image.shape}, the camera's {(*self.camera.size, 3)}.")


#: Height, width and the rows that are looked at, of each camera's picture.
Framing = tuple[int, int, int, int]


def framed(image: Image, camera: Pinhole, rows: Sequence[int]) -> View:
    """Some rows of a picture, first and last + 1, with the camera that would take just these."""
    top, bottom = rows
    return View(image[top:bottom], camera.cropped(top, bottom))
