"""The camera's formulas: against PyBullet's matrices, and against each other."""

from __future__ import annotations

import numpy as np
import pybullet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_skills.errors import InputError
from robot_skills.perception.pinhole import Pinhole, View

CAMERA = Pinhole.looking((1.04, -0.01, 0.98), (0.475, -0.01, 0.0), (0, 0, 1), 42.0, (192, 192))
POINT = st.tuples(st.floats(0.2, 0.8), st.floats(-0.4, 0.4), st.floats(0.0, 0.3))


@given(point=POINT)
def test_pixels_are_pybullets(point: tuple[float, float, float]) -> None:
    view = np.array(pybullet.computeViewMatrix((1.04, -0.01, 0.98), (0.475, -0.01, 0.0), (0, 0, 1)))
    projection = np.array(pybullet.computeProjectionMatrixFOV(42.0, 1.0, 0.02, 3.0))
    clip = projection.reshape(4, 4).T @ view.reshape(4, 4).T @ np.array([*point, 1.0])
    u, v = 96 * (1 + clip[0] / clip[3]), 96 * (1 - clip[1] / clip[3])
    assert CAMERA.project([point])[0] == pytest.approx((u, v, clip[3]), abs=1e-3)


@given(point=POINT, top=st.integers(0, 100))
def test_a_ray_leads_back_to_its_point(point: tuple[float, float, float], top: int) -> None:
    camera = CAMERA.cropped(top, 192)
    u, v, _ = camera.project([point])[0]
    way = np.array(point) - camera.eye
    assert camera.rays((u, v)) * np.linalg.norm(way) == pytest.approx(way, abs=1e-9)


def test_a_picture_has_the_size_of_its_camera() -> None:
    with pytest.raises(InputError, match="picture"):
        View(np.zeros((10, 192, 3), np.uint8), CAMERA)
    with pytest.raises(InputError, match="focal"):
        Pinhole(np.zeros(3), np.eye(3), 0.0, (1.0, 1.0), (2, 2))
