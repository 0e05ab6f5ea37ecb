"""The table as policies see it: a colour, or a pattern that stays put on it when the camera moves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.tabletop.scene import Variation

#: Size of a check or a stripe, m, and how much darker every other one is.
PATTERN, SHADE = 0.06, 0.82


def paint(
    variation: Variation,
    plain: NDArray[np.uint8],
    view_matrix: Sequence[float],
    fov: float,
    size: tuple[int, int],
) -> NDArray[np.uint8]:
    """The table's colour in every pixel, (H, W, 3) uint8.

    Args:
        variation: the table's colour and texture, and the light.
        plain: the colour of the plain table, (3,).
        view_matrix: OpenGL's, 16 numbers column by column.
        fov: vertical, degrees.
        size: (H, W).
    """
    colour = plain.astype(float) if variation.table is None else 255 * np.array(variation.table)
    x, y = _on_the_table(view_matrix, fov, size)
    across = np.floor(x / PATTERN).astype(int)
    along = np.floor(y / PATTERN).astype(int)
    dark = {"plain": np.zeros_like(across), "stripes": along, "checks": across + along}[variation.texture]
    shade = np.where(dark % 2 == 1, SHADE, 1.0) * variation.brightness
    painted: NDArray[np.uint8] = np.clip(shade[..., None] * colour, 0, 255).astype(np.uint8)
    return painted


def _on_the_table(
    view_matrix: Sequence[float], fov: float, size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x, y where each pixel's ray meets z = 0, m, (H, W) each; rays that rise meet it nowhere and give 0."""
    height, width = size
    rotation_and_shift = np.array(view_matrix).reshape(4, 4).T
    rotation = rotation_and_shift[:3, :3].T  # camera to base
    eye = -rotation @ rotation_and_shift[:3, 3]
    tall = math.tan(math.radians(fov) / 2)
    rows = tall * (1 - 2 * (np.arange(height) + 0.5) / height)
    columns = tall * width / height * (2 * (np.arange(width) + 0.5) / width - 1)
    rays = np.stack([*np.meshgrid(columns, rows), np.full((height, width), -1.0)], -1) @ rotation.T
    falls = rays[..., 2] < -1e-6
    reach = np.where(falls, -eye[2] / np.where(falls, rays[..., 2], 1.0), 0.0)
    points = eye + reach[..., None] * rays
    return np.where(falls, points[..., 0], 0.0), np.where(falls, points[..., 1], 0.0)
