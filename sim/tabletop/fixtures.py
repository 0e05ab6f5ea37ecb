"""The fixed furniture: table, cabinet with a drawer, door on a rail, button with a lamp.

Drawer and door have a handle with a gap that the closed gripper fits into from above: whatever moves it
one way moves it the other way too, without a grasp. Handles stay below 5.5 cm, so that the hand passes
over them when it works on the table beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.tabletop.scene import DOOR_TRAVEL, DRAWER_TRAVEL, Scene, Vector

Array = NDArray[np.float64]
#: (half extents, centre, colour)
Part: TypeAlias = tuple[Vector, Vector, Vector]

WOOD, LIGHT, DARK, STEEL = (0.45, 0.33, 0.24), (0.72, 0.58, 0.42), (0.16, 0.16, 0.18), (0.50, 0.52, 0.56)
TABLE = (0.66, 0.64, 0.60)
CAP = (0.93, 0.35, 0.55)
LAMP_OFF, LAMP_ON = (0.22, 0.20, 0.16), (1.0, 0.95, 0.25)

#: Front face of the cabinet, y; half its width, x; its height.
FACE, HALF_WIDTH, HEIGHT = 0.34, 0.120, 0.078
#: Half the width and the length of the space in the drawer, and the height of its walls.
TRAY_HALF, TRAY_LENGTH, TRAY_WALL = 0.100, 0.150, 0.045
#: From the drawer's front to the middle of the gap behind its fin, and the same for the door's panel.
DRAWER_GAP, DOOR_GAP, HALF_GAP = 0.028, 0.036, 0.028
GRIP_HEIGHT = 0.042
RAIL_Y = -0.37
CAP_OFFSET, LAMP_OFFSET, CAP_TOP, CAP_TRAVEL = -0.024, 0.028, 0.030, 0.008
#: Joint force that stands for friction, N; spring force under the cap, N.
FRICTION, SPRING = 3.0, 4.0


@dataclass(frozen=True)
class Furniture:
    """Body identifiers of what was built; None for what the scene is without."""

    table: int
    cabinet: int | None
    drawer: int | None
    door: int | None
    button: int | None


def build(client: Any, scene: Scene) -> Furniture:
    """Build the furniture of a scene in a PyBullet client."""
    table = boxes(client, [((0.40, 0.60, 0.02), (0.50, 0.0, -0.02), TABLE)])
    friction = scene.variation.friction if scene.variation else 1.0
    client.changeDynamics(table, -1, lateralFriction=friction)
    drawer, door, lamp = (name not in scene.without for name in ("drawer", "door", "button"))
    furniture = Furniture(
        table,
        _cabinet(client, scene.cabinet) if drawer else None,
        _drawer(client, scene) if drawer else None,
        _door(client, scene) if door else None,
        button(client, *scene.button, CAP) if lamp else None,
    )
    light(client, furniture, scene.pressed)
    return furniture


def handles(scene: Scene, drawer: float, door: float) -> dict[str, Array]:
    """Where the gripper acts on drawer, door and button, (3,) m, of those that are there.

    Args:
        scene: where they stand.
        drawer: how far the drawer is out, m.
        door: how far the door is slid, m.
    """
    x, y = scene.button
    points = {
        "drawer": np.array([scene.cabinet, FACE - drawer - DRAWER_GAP, GRIP_HEIGHT]),
        "door": np.array([scene.rail - door, RAIL_Y + DOOR_GAP, GRIP_HEIGHT]),
        "button": np.array([x, y + CAP_OFFSET, CAP_TOP]),
    }
    return {name: point for name, point in points.items() if name not in scene.without}


def tray(scene: Scene, drawer: float) -> Array:
    """Middle of the part of the drawer that is out, (3,) m; with the drawer shut, of all of it."""
    out = max(drawer, 0.25 * DRAWER_TRAVEL)
    return np.array([scene.cabinet, FACE - drawer + 0.5 * out + 0.008, 0.03])


def light(client: Any, furniture: Furniture, on: bool) -> None:
    """Switch the lamp, where there is one."""
    if furniture.button is not None:
        light_button(client, furniture.button, on)


def light_button(client: Any, body: int, on: bool) -> None:
    """Switch the lamp of one button."""
    client.changeVisualShape(body, 1, rgbaColor=[*(LAMP_ON if on else LAMP_OFF), 1])


def _cabinet(client: Any, x: float) -> int:
    depth, wall = 0.19, 0.008
    middle = FACE + depth / 2
    parts: list[Part] = [
        ((HALF_WIDTH, depth / 2, wall / 2), (x, middle, HEIGHT - wall / 2), WOOD),
        ((HALF_WIDTH, wall / 2, HEIGHT / 2), (x, FACE + depth, HEIGHT / 2), WOOD),
    ]
    halves = (wall / 2, depth / 2, HEIGHT / 2)
    parts.extend((halves, (x + side * HALF_WIDTH, middle, HEIGHT / 2), WOOD) for side in (-1, 1))
    return boxes(client, parts)


def _drawer(client: Any, scene: Scene) -> int:
    """The drawer's frame has its origin on the outer side of the front panel, at table height."""
    parts = drawer_parts(TRAY_HALF, 0.012, LIGHT)
    return slider(client, parts, (scene.cabinet, FACE, 0.002), (0, -1, 0), DRAWER_TRAVEL, scene.drawer)


def drawer_parts(half: float, overlap: float, front: Vector) -> list[Part]:
    """A front panel, a tray and a handle.

    Args:
        half: half the width of the tray, m.
        overlap: how much further the front panel reaches to either side, m.
        front: the panel's colour.
    """
    wall, panel = 0.006, 0.010
    length, top = TRAY_LENGTH, TRAY_WALL
    back = panel + length
    parts: list[Part] = [
        ((half + overlap, panel / 2, 0.028), (0, panel / 2, 0.030), front),
        ((half, length / 2, 0.003), (0, panel + length / 2, 0.006), LIGHT),
        ((half, wall / 2, top / 2), (0, back, top / 2 + 0.003), LIGHT),
        ((0.035, 0.005, 0.019), (0, -2 * DRAWER_GAP - 0.005, 0.035), STEEL),
    ]
    for side in (-1, 1):
        parts.append(
            ((wall / 2, length / 2, top / 2), (side * half, panel + length / 2, top / 2 + 0.003), LIGHT)
        )
        parts.append(((0.004, DRAWER_GAP, 0.006), (side * 0.039, -DRAWER_GAP, 0.03), STEEL))
    return parts


def _door(client: Any, scene: Scene) -> int:
    """A panel before a dark niche; it opens towards the robot. Origin: middle of the panel, table height."""
    x = scene.rail
    niche: list[Part] = [
        ((0.07, 0.004, 0.036), (x, RAIL_Y - 0.10, 0.036), DARK),
        ((0.07, 0.05, 0.002), (x, RAIL_Y - 0.055, 0.002), DARK),
        ((0.07, 0.05, 0.004), (x, RAIL_Y - 0.055, 0.072), WOOD),
        ((0.003, 0.05, 0.036), (x - 0.07, RAIL_Y - 0.055, 0.036), WOOD),
        ((0.003, 0.05, 0.036), (x + 0.07, RAIL_Y - 0.055, 0.036), WOOD),
    ]
    boxes(client, niche)
    parts: list[Part] = [((0.072, 0.004, 0.034), (0, 0.004, 0.037), LIGHT)]
    fin = (0.005, 0.028, 0.019)
    parts.extend((fin, (side * (HALF_GAP + 0.005), 0.036, 0.035), STEEL) for side in (-1, 1))
    return slider(client, parts, (x, RAIL_Y, 0.002), (-1, 0, 0), DOOR_TRAVEL, scene.door)


def button(client: Any, x: float, y: float, colour: Vector) -> int:
    """A plate with a sprung cap and a lamp; link 0 is the cap, of this colour, link 1 the lamp."""
    plate = _shape(client, [((0.030, 0.050, 0.007), (0, 0, 0), DARK)])
    cap = _shape(client, [((0.017, 0.017, 0.008), (0, 0, 0), colour)])
    lamp = _shape(client, [((0.014, 0.014, 0.008), (0, 0, 0), LAMP_OFF)])
    body: int = client.createMultiBody(
        0, plate[0], plate[1], [x, y, 0.007], [0, 0, 0, 1],
        linkMasses=[0.05, 0.0],
        linkCollisionShapeIndices=[cap[0], lamp[0]],
        linkVisualShapeIndices=[cap[1], lamp[1]],
        linkPositions=[[0, CAP_OFFSET, 0.015], [0, LAMP_OFFSET, 0.015]],
        linkOrientations=[[0, 0, 0, 1]] * 2,
        linkInertialFramePositions=[[0, 0, 0]] * 2,
        linkInertialFrameOrientations=[[0, 0, 0, 1]] * 2,
        linkParentIndices=[0, 0],
        linkJointTypes=[client.JOINT_PRISMATIC, client.JOINT_FIXED],
        linkJointAxis=[[0, 0, -1], [0, 0, 1]],
    )  # fmt: skip
    client.changeDynamics(body, 0, jointLowerLimit=0.0, jointUpperLimit=CAP_TRAVEL)
    client.setJointMotorControl2(body, 0, client.POSITION_CONTROL, targetPosition=0.0, force=SPRING)
    return body


def _shape(client: Any, parts: list[Part]) -> tuple[int, int]:
    halves, centres, colours = (list(column) for column in zip(*parts, strict=True))
    collision = client.createCollisionShapeArray(
        shapeTypes=[client.GEOM_BOX] * len(parts), halfExtents=halves, collisionFramePositions=centres
    )
    visual = client.createVisualShapeArray(
        shapeTypes=[client.GEOM_BOX] * len(parts),
        halfExtents=halves,
        visualFramePositions=centres,
        rgbaColors=[[*colour, 1] for colour in colours],
    )
    return int(collision), int(visual)


def boxes(client: Any, parts: list[Part]) -> int:
    """A fixed body of boxes."""
    collision, visual = _shape(client, parts)
    return int(client.createMultiBody(0, collision, visual))


def slider(
    client: Any,
    parts: list[Part],
    at: Vector,
    axis: Vector,
    travel: float,
    share: float,
    hinge: bool = False,
) -> int:
    """A body of boxes that slides along an axis between 0 and `travel`, or turns about it, with friction."""
    collision, visual = _shape(client, parts)
    body: int = client.createMultiBody(
        0, -1, -1, at, [0, 0, 0, 1],
        linkMasses=[0.4],
        linkCollisionShapeIndices=[collision],
        linkVisualShapeIndices=[visual],
        linkPositions=[[0, 0, 0]],
        linkOrientations=[[0, 0, 0, 1]],
        linkInertialFramePositions=[[0, 0.05, 0.03]],
        linkInertialFrameOrientations=[[0, 0, 0, 1]],
        linkParentIndices=[0],
        linkJointTypes=[client.JOINT_REVOLUTE if hinge else client.JOINT_PRISMATIC],
        linkJointAxis=[axis],
    )  # fmt: skip
    client.changeDynamics(body, 0, jointLowerLimit=0.0, jointUpperLimit=travel, lateralFriction=0.8)
    client.resetJointState(body, 0, share * travel)
    client.setJointMotorControl2(body, 0, client.VELOCITY_CONTROL, targetVelocity=0, force=FRICTION)
    return body
