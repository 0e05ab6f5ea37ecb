"""A scene's beginning as a state, worked out from the scene alone: no physics, a hundred times as fast."""

from __future__ import annotations

import numpy as np

from sim.tabletop import fixtures
from sim.tabletop.furnishings import FORMS, LIGHTS, furnished_state, handle_of
from sim.tabletop.scene import DOOR_TRAVEL, DRAWER_TRAVEL, Scene
from sim.tabletop.state import Body, State


def static_state(scene: Scene) -> State:
    """Everything where the scene says, before it settles; the hand is empty."""
    drawer, door = scene.drawer * DRAWER_TRAVEL, scene.door * DOOR_TRAVEL
    bodies = {}
    for name, spec in zip(scene.names(), scene.objects, strict=True):
        position = np.array(spec.position)
        bodies[name] = Body(
            name, spec.kind, spec.colour, spec.size, position, np.array([0.0, 0.0, 1.0]), position,
            spec.width, spec.height,
        )  # fmt: skip
    joints = {item.name: item.share * FORMS[item.kind].joint for item in scene.furnishings}
    handles = fixtures.handles(scene, drawer, door)
    for item in scene.furnishings:
        handle = handle_of(item, joints[item.name])
        if handle is not None:
            handles[item.name] = handle
    return State(
        bodies=bodies,
        tool=np.array(scene.gripper),
        rotation=np.diag([1.0, -1.0, -1.0]),
        opening=0.0 if scene.closed else 0.08,
        gripped=frozenset(),
        drawer=drawer,
        door=door,
        pressed=scene.pressed and "button" not in scene.without,
        handles=handles,
        tray=fixtures.tray(scene, drawer),
        furnishings={
            item.name: furnished_state(item, joints[item.name], item.kind in LIGHTS and item.share > 0.5)
            for item in scene.furnishings
        },
    )
