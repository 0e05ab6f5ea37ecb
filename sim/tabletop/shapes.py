"""Low-poly meshes of the loose objects: TinyRenderer's time goes with the number of vertices."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.tabletop.scene import COLOURS, ObjectSpec

#: kg a cubic metre for blocks, cylinders and balls: a 4.5 cm block weighs 80 g.
DENSITY = 880.0
BOWL_MASS, BOWL_SIDES, BOWL_WALL = 0.35, 10, 0.006
SIDES = 12
Array = NDArray[np.float64]


def build_object(client: Any, spec: ObjectSpec) -> int:
    """Build a loose object in a PyBullet client and return its body identifier."""
    width, height = spec.width, spec.height
    turn = [0.0, 0.0, math.sin(spec.yaw / 2), math.cos(spec.yaw / 2)]
    mass = DENSITY * width * width * height
    match spec.kind:
        case "block":
            half = [width / 2, width / 2, height / 2]
            collision = client.createCollisionShape(client.GEOM_BOX, halfExtents=half)
            visual = client.createVisualShape(client.GEOM_BOX, halfExtents=half, rgbaColor=_rgba(spec))
        case "cylinder":
            collision = client.createCollisionShape(client.GEOM_CYLINDER, radius=width / 2, height=height)
            rings = [(0.0, -height / 2), (width / 2, -height / 2), (width / 2, height / 2), (0.0, height / 2)]
            visual = _revolved(client, rings, spec)
        case "ball":
            collision = client.createCollisionShape(client.GEOM_SPHERE, radius=width / 2)
            turns = np.linspace(-math.pi / 2, math.pi / 2, 7)
            visual = _revolved(
                client, [(width / 2 * math.cos(t), width / 2 * math.sin(t)) for t in turns], spec
            )
            mass *= 0.52
        case _:
            collision, visual = _bowl_collision(client, spec), _bowl_visual(client, spec)
            mass = BOWL_MASS
    body: int = client.createMultiBody(mass, collision, visual, spec.position, turn)
    # A real ball on cloth: it rolls when pushed and comes to rest.
    rolling = 0.006 if spec.kind == "ball" else 0.001
    client.changeDynamics(
        body, -1, lateralFriction=1.0, spinningFriction=0.003, rollingFriction=rolling, restitution=0.0
    )
    return body


def _rgba(spec: ObjectSpec) -> list[float]:
    return [*COLOURS[spec.colour], 1.0]


def _revolved(client: Any, rings: list[tuple[float, float]], spec: ObjectSpec) -> int:
    """A visual shape from a profile of (radius, height) turned about z, flat-shaded."""
    angles = np.arange(SIDES) * 2 * math.pi / SIDES
    rows = [np.stack([r * np.cos(angles), r * np.sin(angles), np.full(SIDES, z)], 1) for r, z in rings]
    triangles = []
    for low, high in itertools.pairwise(rows):
        for i in range(SIDES):
            j = (i + 1) % SIDES
            triangles += [(low[i], low[j], high[j]), (low[i], high[j], high[i])]
    return _mesh(client, triangles, spec)


def _bowl_visual(client: Any, spec: ObjectSpec) -> int:
    """A cone-shaped wall with an inner side, and a floor."""
    rim, foot, half = spec.width / 2, spec.width * 0.36, spec.height / 2
    profile = [(0.0, -half), (foot, -half), (rim, half), (rim - BOWL_WALL, half)]
    profile += [(foot - BOWL_WALL, -half + 2 * BOWL_WALL), (0.0, -half + 2 * BOWL_WALL)]
    return _revolved(client, profile, spec)


def _bowl_collision(client: Any, spec: ObjectSpec) -> int:
    """Walls of slanted boards around a floor."""
    rim, foot, half = spec.width / 2, spec.width * 0.36, spec.height / 2
    slant = math.atan2(rim - foot, spec.height)
    board = [math.pi * rim / BOWL_SIDES, BOWL_WALL / 2, half / math.cos(slant)]
    halves: list[list[float]] = [[foot * 0.9, foot * 0.9, BOWL_WALL]]
    centres: list[list[float]] = [[0.0, 0.0, -half + BOWL_WALL]]
    turns: list[list[float]] = [[0.0, 0.0, 0.0, 1.0]]
    for side in range(BOWL_SIDES):
        angle = side * 2 * math.pi / BOWL_SIDES
        middle = (rim + foot) / 2 - BOWL_WALL / 2
        halves.append(board)
        centres.append([middle * math.sin(angle), -middle * math.cos(angle), 0.0])
        # Tilt the board outwards about x, then turn it into place about z.
        lean = client.getQuaternionFromEuler([slant, 0.0, angle])
        turns.append(list(lean))
    return int(
        client.createCollisionShapeArray(
            shapeTypes=[client.GEOM_BOX] * len(halves),
            halfExtents=halves,
            collisionFramePositions=centres,
            collisionFrameOrientations=turns,
        )
    )


def _mesh(client: Any, triangles: list[tuple[Array, Array, Array]], spec: ObjectSpec) -> int:
    """A flat-shaded visual shape; triangles without area are left out."""
    vertices: list[list[float]] = []
    normals: list[list[float]] = []
    for a, b, c in triangles:
        normal = np.cross(b - a, c - a)
        length = float(np.linalg.norm(normal))
        if length > 1e-12:
            vertices += [a.tolist(), b.tolist(), c.tolist()]
            normals += [(normal / length).tolist()] * 3
    return int(
        client.createVisualShape(
            client.GEOM_MESH,
            vertices=vertices,
            indices=list(range(len(vertices))),
            normals=normals,
            rgbaColor=_rgba(spec),
        )
    )
