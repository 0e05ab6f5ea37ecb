"""Pictures of a MuJoCo model without a display, fast on a processor.

MuJoCo's own defaults smooth edges with four samples a pixel and draw shadows and mirrors; a software renderer
pays for each. `Renderer` leaves all three out unless asked.
"""

from __future__ import annotations

import atexit
import ctypes.util
import importlib
import os
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_skills.errors import require, unknown
from robot_skills.robot import Image

CameraSizes = Mapping[str, tuple[int, int]]


def load_mujoco(extra: str) -> Any:
    """Import MuJoCo, to draw off screen: with EGL, else OSMesa, unless MUJOCO_GL says otherwise.

    Args:
        extra: the extra of this project that brings MuJoCo, for the error.

    Raises:
        InputError: MuJoCo is not installed.
    """
    if "MUJOCO_GL" not in os.environ:
        for library, name in (("EGL", "egl"), ("OSMesa", "osmesa")):
            if ctypes.util.find_library(library):
                os.environ["MUJOCO_GL"] = name
                break
    return require("mujoco", extra)


#: Renderers that have not been freed.
_OPEN: weakref.WeakSet[Renderer] = weakref.WeakSet()


class Renderer:
    """Draws the cameras of one MuJoCo model.

    Args:
        model: `mujoco.MjModel`.
        largest: (height, width) of the largest picture that will be asked for.
        groups: geometry groups that are shown; by MuJoCo's custom 0 holds collision shapes and 1 visuals.
        sites: whether sites, which mark places, are shown.
        full: as MuJoCo draws by default: four samples a pixel, shadows, reflections.
    """

    def __init__(
        self,
        model: Any,
        largest: tuple[int, int],
        groups: tuple[int, ...] = (1,),
        sites: bool = False,
        full: bool = False,
    ) -> None:
        mujoco = self._mujoco = require("mujoco", "robosuite")
        self._model, self._full = model, full
        height, width = largest
        quality, target = model.vis.quality, model.vis.global_
        before = quality.offsamples, target.offheight, target.offwidth
        quality.offsamples = 4 if full else 0
        target.offheight, target.offwidth = height, width
        self._context = _context_class(mujoco)(width, height)
        self._context.make_current()
        self._buffers = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._buffers)
        quality.offsamples, target.offheight, target.offwidth = before
        self._scene = mujoco.MjvScene(model, 2000)
        self._option = mujoco.MjvOption()
        for group in range(len(self._option.geomgroup)):
            self._option.geomgroup[group] = int(group in groups)
        if not sites:
            self._option.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._open = True
        if not _OPEN:
            # Registered after MuJoCo's own exit handler, and so run before it: it takes the display away,
            # and contexts that are freed later complain.
            atexit.register(_close_all)
        _OPEN.add(self)

    def render(self, data: Any, camera: str, height: int, width: int) -> Image:
        """Draw a camera, (height, width, 3) uint8, upright.

        Args:
            data: `mujoco.MjData` of the model, its positions computed.
            camera: name of a camera of the model.
            height: in pixels.
            width: in pixels.

        Raises:
            InputError: the model has no such camera.
        """
        mujoco, scene = self._mujoco, self._scene
        self._camera.fixedcamid = self._camera_id(camera)
        self._context.make_current()
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL, scene
        )
        scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self._full
        scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = self._full
        frame, picture = mujoco.MjrRect(0, 0, width, height), np.empty((height, width, 3), np.uint8)
        mujoco.mjr_render(frame, scene, self._buffers)
        mujoco.mjr_readPixels(picture, None, frame, self._buffers)
        return np.ascontiguousarray(picture[::-1])  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Free the buffers."""
        if self._open:
            self._open = False
            self._context.make_current()
            self._buffers.free()
            self._context.free()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()

    def _camera_id(self, name: str) -> int:
        kind = self._mujoco.mjtObj.mjOBJ_CAMERA
        found: int = self._mujoco.mj_name2id(self._model, kind, name)
        if found < 0:
            raise unknown("camera", name, (self._model.camera(i).name for i in range(self._model.ncam)))
        return found


def _context_class(mujoco: Any) -> Any:
    # MuJoCo settles on one when it is first imported, which others may have done before MUJOCO_GL was set.
    backend = os.environ.get("MUJOCO_GL", "").lower()
    if backend in ("egl", "osmesa"):
        return importlib.import_module(f"mujoco.{backend}").GLContext
    return mujoco.GLContext


def _close_all() -> None:
    for renderer in list(_OPEN):
        renderer.close()
