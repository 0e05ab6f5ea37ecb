"""Labels of training pictures for perception: what is where in a picture, from the simulator's state.

A label says what a detector should find at a pixel; it is never an input.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot_skills.perception.catalogue import PLACES
from robot_skills.perception.pinhole import View
from sim.tabletop import predicates
from sim.tabletop.catalogue import TABLETOP
from sim.tabletop.oracle import scene_graph
from sim.tabletop.state import State
from sim.tabletop.views import FRAMING, pinhole, view
from sim.tabletop.world import TabletopWorld

KINDS, HUES, SIZES = TABLETOP.kinds, TABLETOP.colours, TABLETOP.size_names
#: A thing that shows this many pixels must be found; one that shows fewer than the other number must not.
#: What lies between is left open.
SHOWN, HIDDEN = 14, 4
#: Half the side of the window around a handle in which its fixture must be seen, px; or the hand is so far
#: from it, m, that it hides nothing of it.
AROUND, AWAY = 3, 0.2
MOST = 10


class Labelled(NamedTuple):
    """A picture and what is in it.

    Attributes:
        view: the picture, and its camera.
        things: (MOST, 12) float32, a row each: kind, colour, size and place as positions in `KINDS`, `HUES`,
            `SIZES` and `PLACES` (-1: it has none, or it is not known), pixel u and v, position x, y and z in
            m, share open (-1: it does not open), lamp lit (-1: it has none), and whether it is seen (1), not
            surely (0), or not at all (-1).
    """

    view: View
    things: NDArray[np.float32]


def labelled(world: TabletopWorld, camera: str) -> Labelled:
    """Look through a camera of a world."""
    shown, state = view(world, camera), world.state()
    side, top, bottom = FRAMING[camera]
    hand = pinhole(world, "wrist", side).eye
    names, seen = world.visible(camera, side, side)
    seen = seen[top:bottom]
    rows = np.full((MOST, 12), -1.0, np.float32)
    graph = scene_graph(state)
    places = {fact.args[0]: fact for fact in graph.facts if fact.predicate in ("in", "on", "holding")}
    found = []
    for name, body in state.bodies.items():
        fact = places.get(name)
        place = -1 if fact is None else PLACES.index(_where(fact.predicate, fact.args, state))
        row = [KINDS.index(body.kind), HUES.index(body.colour), SIZES.index(body.size), place]
        found.append((name, row, body.position, -1.0, -1.0))
    for name, point in state.handles.items():
        share = predicates.share_open(state, name) if name != "button" else -1.0
        lit = float(state.pressed) if name == "button" else -1.0
        found.append((name, [KINDS.index(name), -1, -1, -1], point, share, lit))
    for row_out, (name, row, point, share, lit) in zip(rows, found, strict=False):
        u, v, _ = shown.camera.project(point[None])[0]
        sure = _seen(seen == names.index(name), (u, v), name in state.bodies) if name in names else -1.0
        if sure == 0 and name in state.handles and np.linalg.norm((hand - point)[:2]) > AWAY:
            sure = 1.0
        row_out[:] = [*row, u, v, *point, share, lit, sure]
    return Labelled(shown, rows)


def _where(predicate: str, args: tuple[str, ...], state: State) -> str:
    if predicate == "holding":
        return "hand"
    target = args[1]
    if target in ("table", "drawer"):
        return target
    return "bowl" if state.bodies[target].kind == "bowl" else "thing"


def _seen(mask: NDArray[np.bool_], pixel: tuple[float, float], loose: bool) -> float:
    """Whether a thing is seen: a loose one by how much of it shows, furniture by its handle."""
    height, width = mask.shape
    u, v = pixel
    if not (0 <= u < width and 0 <= v < height):
        return -1.0
    if not loose:
        row, column = int(v), int(u)
        window = mask[max(row - AROUND, 0) : row + AROUND + 1, max(column - AROUND, 0) : column + AROUND + 1]
        return 1.0 if window.sum() >= 2 * AROUND else 0.0
    count = int(mask.sum())
    return 1.0 if count >= SHOWN else (0.0 if count >= HIDDEN else -1.0)
