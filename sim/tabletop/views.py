"""What perception looks at: pictures of the two cameras, with where each stood.

Nothing here is simulator state: pictures are rendered, a fixed camera's place is its calibration, and the
hand's is the arm's own measure of its joints.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_skills.perception.perceiver import Sensed
from robot_skills.perception.pinhole import Pinhole, View, framed
from sim.tabletop.world import TabletopWorld

#: Camera -> side of its square picture in px, and the rows that are looked at: those of the front camera
#: above and below show nothing but the arm's upper half and bare table.
FRAMING: Mapping[str, tuple[int, int, int]] = {"front": (192, 32, 144), "wrist": (96, 0, 96)}


def pinhole(world: TabletopWorld, name: str, side: int) -> Pinhole:
    """A camera of the scene with a square picture of this side, px."""
    assert world.scene is not None, "reset() the world before looking at it"
    camera, size = world.scene.cameras[name], (side, side)
    if camera.mount == "base":
        return Pinhole.looking(camera.eye, camera.target, (0.0, 0.0, 1.0), camera.fov, size)
    position, rotation = world.arm.hand()
    eye, target = (position + rotation @ np.array(point) for point in (camera.eye, camera.target))
    return Pinhole.looking(eye, target, rotation[:, 0], camera.fov, size)


def view(world: TabletopWorld, name: str) -> View:
    """What a camera shows now."""
    side, top, bottom = FRAMING[name]
    return framed(world.render(name, side, side), pinhole(world, name, side), (top, bottom))


def views(world: TabletopWorld) -> dict[str, View]:
    """What all cameras show now."""
    return {name: view(world, name) for name in FRAMING}


def sensed(world: TabletopWorld) -> Sensed:
    """What the robot senses now: pictures and proprioception."""
    return Sensed(views(world), world.observe(()).state)
