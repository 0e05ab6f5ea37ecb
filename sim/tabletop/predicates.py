"""Success predicates: pure functions of the state. Each has tests of what is only nearly true."""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.tabletop.scene import DOOR_TRAVEL, DRAWER_TRAVEL, GRASPABLE
from sim.tabletop.state import Body, State

#: An object rests when its bottom is within this of what it stands on, m.
CONTACT: Final = 0.012
#: Held means both fingers touch it and it hangs at least this far above the table, m.
LIFT: Final = 0.025
#: Open from this share of the travel on; closed below the other.
OPEN, CLOSED = 0.75, 0.12
#: Pushed means this far along the direction, m, and no further aside than the share of it.
PUSHED, ASIDE = 0.05, 0.6
TRAVEL = {"drawer": DRAWER_TRAVEL, "door": DOOR_TRAVEL}
#: As seen by the person at the robot's side: x forward, y left.
HEADINGS = {
    "left": np.array([0.0, 1.0]),
    "right": np.array([0.0, -1.0]),
    "forward": np.array([1.0, 0.0]),
    "back": np.array([-1.0, 0.0]),
}


def holding(state: State, name: str) -> bool:
    """The object is between both fingers and off the table."""
    return name in state.gripped and state.bodies[name].bottom > LIFT


def on(state: State, name: str, support: str) -> bool:
    """The object rests on the table or on another object, and is not held."""
    body = state.bodies[name]
    if name in state.gripped and body.bottom > LIFT:
        return False
    if support == "table":
        return abs(_standing_bottom(body)) < CONTACT and not inside(state, name, "drawer")
    base = state.bodies[support]
    if base.kind == "bowl" or name == support:
        return False
    aside = np.linalg.norm(body.position[:2] - base.position[:2])
    gap = _standing_bottom(body) - (base.position[2] + base.height / 2)
    return bool(aside < base.width / 2 and abs(gap) < CONTACT and base.up[2] > 0.9)


def inside(state: State, name: str, container: str) -> bool:
    """The object's centre is within the bowl's rim or the drawer's walls, low enough, and not held."""
    body = state.bodies[name]
    if name in state.gripped:
        return False
    x, y, z = body.position
    if container == "drawer":
        front = state.handles["drawer"][1] + 0.028 + 0.010
        across = abs(x - state.tray[0]) < 0.100
        return bool(across and front - 0.002 < y < front + 0.152 and z < 0.075)
    bowl = state.bodies[container]
    aside = np.hypot(x - bowl.position[0], y - bowl.position[1])
    return bool(aside < 0.42 * bowl.width and z < bowl.position[2] + 0.035 and bowl.up[2] > 0.9)


def is_open(state: State, fixture: str) -> bool:
    """Drawer or door is open by three quarters of its travel."""
    return _slid(state, fixture) > OPEN


def is_closed(state: State, fixture: str) -> bool:
    """Drawer or door is shut but for an eighth of its travel."""
    return _slid(state, fixture) < CLOSED


def pressed(state: State, button: str) -> bool:
    """The button's lamp is lit."""
    return button == "button" and state.pressed


def moved(state: State, name: str, direction: str) -> bool:
    """The object was pushed: at least 5 cm along the direction, mostly that way, and still on the table."""
    body = state.bodies[name]
    shift = (body.position - body.origin)[:2]
    along = float(shift @ HEADINGS[direction])
    aside = float(np.linalg.norm(shift - along * HEADINGS[direction]))
    return along > PUSHED and aside < ASIDE * along and on(state, name, "table")


def fits(item: str, relation: str, target: str) -> bool:
    """Whether such a thing may be put there: on a ball nothing stands, a ball only on the table."""
    if item not in GRASPABLE:
        return False
    if relation == "in":
        return target in ("drawer", "bowl")
    return target == "table" or (target in ("block", "cylinder") and item != "ball")


def _slid(state: State, fixture: str) -> float:
    return {"drawer": state.drawer, "door": state.door}[fixture] / TRAVEL[fixture]


def _standing_bottom(body: Body) -> float:
    """Height of the lowest point; of a cylinder on its side, half its width below the centre."""
    lying = body.kind == "cylinder" and abs(body.up[2]) < 0.5
    return float(body.position[2]) - (body.width if lying else body.height) / 2
