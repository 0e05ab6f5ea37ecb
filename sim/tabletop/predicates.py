"""Success predicates: pure functions of the state. Each has tests of what is only nearly true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_skills.errors import InputError
from sim.tabletop.scene import DOOR_TRAVEL, DRAWER_TRAVEL, GRASPABLE
from sim.tabletop.state import Body, State


@dataclass(frozen=True)
class Tolerances:
    """The predicates' parameters.

    Attributes:
        contact: an object rests when its bottom is within this of what it stands on, m.
        lift: held means that both fingers touch it and it hangs at least this far above the table, m.
        open: open from this share of the travel on.
        closed: closed below this share.
        pushed: moved means this far along the direction, m ...
        aside: ... and no further aside than this share of it.
    """

    contact: float = 0.012
    lift: float = 0.025
    open: float = 0.75
    closed: float = 0.12
    pushed: float = 0.05
    aside: float = 0.6

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not all(value > 0 for value in vars(self).values()) or not self.closed < self.open < 1:
            raise InputError(f"Tolerances are above 0, and closed < open < 1; not {self}.")


STANDARD = Tolerances()
#: What things may be put into and stood upon, by kind.
CONTAINERS = frozenset({"drawer", "bowl", "basket", "bin", "box", "chest", "crate", "rack", "tray"})
SUPPORTS = frozenset({"block", "cylinder", "bench", "coaster", "mat", "pedestal", "plate", "shelf", "stool"})
TRAVEL = {"drawer": DRAWER_TRAVEL, "door": DOOR_TRAVEL}
#: As seen by the person at the robot's side: x forward, y left.
HEADINGS = {
    "left": np.array([0.0, 1.0]),
    "right": np.array([0.0, -1.0]),
    "forward": np.array([1.0, 0.0]),
    "back": np.array([-1.0, 0.0]),
}


def holding(state: State, name: str, limits: Tolerances = STANDARD) -> bool:
    """The object is between both fingers and off the table."""
    return name in state.gripped and state.bodies[name].bottom > limits.lift


def on(state: State, name: str, support: str, limits: Tolerances = STANDARD) -> bool:
    """The object rests on the table or on another object, and is not held."""
    body = state.bodies[name]
    if name in state.gripped and body.bottom > limits.lift:
        return False
    if support == "table":
        around = [item.name for item in state.furnishings.values() if item.rim > 0]
        resting = abs(_standing_bottom(body)) < limits.contact
        return resting and not any(inside(state, name, container) for container in ("drawer", *around))
    if support in state.furnishings:
        under = state.furnishings[support]
        within = np.all(np.abs(body.position[:2] - under.place[:2]) < under.half)
        return bool(within and abs(_standing_bottom(body) - under.place[2]) < limits.contact)
    base = state.bodies[support]
    if base.kind == "bowl" or name == support:
        return False
    aside = np.linalg.norm(body.position[:2] - base.position[:2])
    gap = _standing_bottom(body) - (base.position[2] + base.height / 2)
    return bool(aside < base.width / 2 and abs(gap) < limits.contact and _level(base))


def inside(state: State, name: str, container: str) -> bool:
    """The object's centre is within the bowl's rim or the drawer's walls, low enough, and not held."""
    body = state.bodies[name]
    if name in state.gripped:
        return False
    x, y, z = body.position
    if container in state.furnishings:
        around = state.furnishings[container]
        within = np.all(np.abs(body.position[:2] - around.place[:2]) < around.half)
        return bool(within and z < around.place[2] + around.rim)
    if container == "drawer":
        if "drawer" not in state.handles:
            return False
        front = state.handles["drawer"][1] + 0.028 + 0.010
        across = abs(x - state.tray[0]) < 0.100
        return bool(across and front - 0.002 < y < front + 0.152 and z < 0.075)
    bowl = state.bodies[container]
    aside = np.hypot(x - bowl.position[0], y - bowl.position[1])
    return bool(aside < 0.42 * bowl.width and z < bowl.position[2] + 0.035 and bowl.up[2] > 0.9)


def is_open(state: State, fixture: str, limits: Tolerances = STANDARD) -> bool:
    """Drawer, door or what else opens is open by three quarters of its travel."""
    return share_open(state, fixture) > limits.open


def is_closed(state: State, fixture: str, limits: Tolerances = STANDARD) -> bool:
    """Drawer, door or what else opens is shut but for an eighth of its travel."""
    return share_open(state, fixture) < limits.closed


def pressed(state: State, button: str) -> bool:
    """The button's lamp is lit."""
    if button in state.furnishings:
        return state.furnishings[button].lit
    return button == "button" and state.pressed


def moved(state: State, name: str, direction: str, limits: Tolerances = STANDARD) -> bool:
    """The object was pushed: at least 5 cm along the direction, mostly that way, and still on the table."""
    body = state.bodies[name]
    shift = (body.position - body.origin)[:2]
    along = float(shift @ HEADINGS[direction])
    aside = float(np.linalg.norm(shift - along * HEADINGS[direction]))
    return along > limits.pushed and aside < limits.aside * along and on(state, name, "table", limits)


def fits(item: str, relation: str, target: str) -> bool:
    """Whether such a thing may be put there: on a ball nothing stands, a ball only on the table."""
    if item not in GRASPABLE:
        return False
    if relation == "in":
        return target in CONTAINERS
    return target == "table" or (target in SUPPORTS and item != "ball")


def share_open(state: State, fixture: str) -> float:
    """How far it is open, as a share of its travel."""
    if fixture in state.furnishings:
        furnished = state.furnishings[fixture]
        return furnished.slid / furnished.travel
    return {"drawer": state.drawer, "door": state.door}[fixture] / TRAVEL[fixture]


def _level(body: Body) -> bool:
    """Whether its top is one to put something on: a block may lie on any of its six faces."""
    steep = abs(float(body.up[2]))
    return steep > 0.9 or (body.kind == "block" and steep < 0.1)


def _standing_bottom(body: Body) -> float:
    """Height of the lowest point; of a cylinder on its side, half its width below the centre."""
    lying = body.kind == "cylinder" and abs(body.up[2]) < 0.5
    return float(body.position[2]) - (body.width if lying else body.height) / 2
