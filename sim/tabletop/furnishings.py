"""Furniture that generated scenes hold besides the drawer, the door and the button.

Whatever opens has a handle with a gap that the closed gripper fits into from above, as the drawer and the
door have, so that one motion law works all of it. A furnishing's own frame is that of the base, moved to its
position at table height.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.tabletop import fixtures
from sim.tabletop.fixtures import CAP_TRAVEL, FACE, FRICTION, HALF_GAP, LIGHT, STEEL, Part
from sim.tabletop.scene import COLOURS, DRAWER_TRAVEL, FurnishingSpec, Vector
from sim.tabletop.state import Furnished

Array = NDArray[np.float64]
#: x low, x high, y low, y high, m.
Area = tuple[float, float, float, float]

WALL = 0.006
#: Half the width of a narrow drawer's tray, m: a thing to grasp and the closing fingers find room.
NARROW = 0.046
LID, GATE, LEVER = 0.115, 1.2, 0.080
GATE_REACH = 0.075


@dataclass(frozen=True)
class Form:
    """What there is to know of a kind, in its own frame.

    Attributes:
        area: what it covers of the table with everything it can do, as seen from its position.
        half: half the extents of the surface that things lie on, m; 0 where there is none.
        floor: height of that surface, m.
        rim: height above it below which a thing's centre is inside, m.
        handle: where the gripper acts on it when it is shut; None where it does not.
        travel: of the handle, m.
    """

    area: Area
    half: tuple[float, float] = (0.0, 0.0)
    floor: float = 0.0
    rim: float = 0.0
    handle: Vector | None = None
    travel: float = 0.0


def _square(half: float, more: float = 0.0) -> Area:
    return (-half - more, half + more, -half - more, half + more)


FORMS: Mapping[str, Form] = {
    "tray": Form(_square(0.075), (0.066, 0.066), 0.004, 0.05),
    "crate": Form(_square(0.064), (0.056, 0.056), 0.004, 0.06),
    "shelf": Form(_square(0.055), (0.055, 0.055), 0.050),
    "plate": Form(_square(0.050), (0.050, 0.050), 0.016),
    "pedestal": Form(_square(0.034), (0.034, 0.034), 0.070),
    "box": Form((-0.065, 0.180, -0.065, 0.065), (0.055, 0.055), 0.004, 0.06, (0.0, 0.0, 0.068), LID),
    "drawer": Form(
        (-0.056, 0.056, -DRAWER_TRAVEL - 0.07, 0.19), (NARROW, 0.076), 0.009, 0.06,
        (0.0, -fixtures.DRAWER_GAP, fixtures.GRIP_HEIGHT), DRAWER_TRAVEL,
    ),
    "lever": Form((-0.034, 0.034, -0.125, 0.045), handle=(0.0, 0.0, fixtures.GRIP_HEIGHT), travel=LEVER),
    "gate": Form(
        (-0.02, 0.125, -0.125, 0.055), handle=(GATE_REACH, 0.0, fixtures.GRIP_HEIGHT),
        travel=GATE * GATE_REACH,
    ),
    "button": Form((-0.032, 0.032, -0.052, 0.052), handle=(0.0, fixtures.CAP_OFFSET, fixtures.CAP_TOP)),
}  # fmt: skip


def area(spec: FurnishingSpec) -> Area:
    """What a furnishing covers of the table with everything it can do."""
    x, y = spec.position
    x_low, x_high, y_low, y_high = FORMS[spec.kind].area
    return (x + x_low, x + x_high, y + y_low, y + y_high)


class Furnishing:
    """A furnishing in a PyBullet client."""

    def __init__(self, client: Any, spec: FurnishingSpec) -> None:
        self._client, self.spec = client, spec
        self.lit = spec.kind == "button" and spec.share > 0.5
        self._moving: int | None = None
        self.bodies = self._build()
        if spec.kind == "button":
            fixtures.light_button(client, self.bodies[0], self.lit)

    def press(self) -> bool:
        """Light the lamp if the cap is down; whether anything changed."""
        if self.spec.kind != "button" or self.lit:
            return False
        if self._client.getJointState(self.bodies[0], 0)[0] <= 0.5 * CAP_TRAVEL:
            return False
        self.light(True)
        return True

    def light(self, on: bool) -> None:
        """Switch a button's lamp."""
        if self.spec.kind == "button":
            self.lit = on
            fixtures.light_button(self._client, self.bodies[0], on)

    def slide(self, share: float) -> None:
        """Open it so far, 0 to 1, without moving through space."""
        if self._moving is not None:
            self._client.resetJointState(self._moving, 0, share * self._range)

    def state(self) -> Furnished:
        """Where it is and how it stands."""
        spec, form = self.spec, FORMS[self.spec.kind]
        base = np.array([*spec.position, 0.0])
        joint = 0.0 if self._moving is None else float(self._client.getJointState(self._moving, 0)[0])
        slid = joint * (GATE_REACH if spec.kind == "gate" else 1.0)
        place = base + np.array([0.0, 0.0, form.floor])
        aim = place
        if spec.kind == "drawer":  # its floor moves, and only what is out of the cabinet can be reached
            out = max(joint, 0.25 * DRAWER_TRAVEL)
            place = place + np.array([0.0, 0.085 - joint, 0.0])
            aim = np.array([base[0], base[1] - joint + 0.5 * out + 0.008, 0.025])
        return Furnished(
            spec.name, spec.kind, spec.colour, place, np.array(form.half), form.rim, aim, slid, form.travel,
            self._axis(joint), self.lit, area(spec),
        )  # fmt: skip

    def handle(self) -> Array | None:
        """Where the gripper acts on it, (3,) m; None where it does not."""
        form = FORMS[self.spec.kind]
        if form.handle is None:
            return None
        point = np.array([*self.spec.position, 0.0]) + np.array(form.handle)
        joint = 0.0 if self._moving is None else float(self._client.getJointState(self._moving, 0)[0])
        if self.spec.kind == "gate":
            x, y, z = form.handle
            turned = [x * math.cos(joint) + y * math.sin(joint), y * math.cos(joint) - x * math.sin(joint)]
            point = np.array([self.spec.position[0] + turned[0], self.spec.position[1] + turned[1], z])
        elif joint:
            point = point + joint * self._axis(joint)
        found: Array = point
        return found

    @property
    def _range(self) -> float:
        return GATE if self.spec.kind == "gate" else FORMS[self.spec.kind].travel

    def _axis(self, joint: float) -> Array:
        """The direction in which the handle moves when it opens."""
        if self.spec.kind == "gate":  # a tangent to its arc, which begins towards the right
            return np.array([-math.sin(joint), -math.cos(joint), 0.0])
        return np.array([1.0, 0.0, 0.0] if self.spec.kind == "box" else [0.0, -1.0, 0.0])

    def _build(self) -> tuple[int, ...]:
        match self.spec.kind:
            case "box":
                return self._box()
            case "drawer":
                return self._drawer()
            case "lever":
                return self._lever()
            case "gate":
                return self._gate()
            case "button":
                x, y = self.spec.position
                return (fixtures.button(self._client, x, y, COLOURS[self.spec.colour]),)
            case _:
                return self._still()

    def _still(self) -> tuple[int, ...]:
        """A container or a support: a floor or a block, and walls where things are to stay inside."""
        form, colour = FORMS[self.spec.kind], COLOURS[self.spec.colour]
        x, y = self.spec.position
        half_x, half_y = form.half
        if form.rim == 0.0:
            parts: list[Part] = [((half_x, half_y, form.floor / 2), (x, y, form.floor / 2), colour)]
        else:
            parts = self._walled(0.045 if self.spec.kind == "crate" else 0.018)
        body = fixtures.boxes(self._client, parts)
        self._client.changeDynamics(body, -1, lateralFriction=1.0)
        return (body,)

    def _walled(self, height: float) -> list[Part]:
        form, colour = FORMS[self.spec.kind], COLOURS[self.spec.colour]
        x, y = self.spec.position
        half_x, half_y = form.half
        parts: list[Part] = [((half_x, half_y, form.floor / 2), (x, y, form.floor / 2), colour)]
        for side in (-1, 1):
            along = ((WALL / 2, half_y + WALL, height / 2), (x + side * (half_x + WALL / 2), y, height / 2))
            across = ((half_x, WALL / 2, height / 2), (x, y + side * (half_y + WALL / 2), height / 2))
            parts += [(*along, colour), (*across, colour)]
        return parts

    def _box(self) -> tuple[int, ...]:
        """Walls and a lid that slides away from the robot."""
        walls = fixtures.boxes(self._client, self._walled(0.048))
        lid: list[Part] = [((0.062, 0.062, 0.002), (0, 0, 0.052), LIGHT)]
        fin = (0.005, 0.028, 0.014)
        lid.extend((fin, (side * (HALF_GAP + 0.005), 0, 0.068), STEEL) for side in (-1, 1))
        return (walls, self._moves(lid, (1, 0, 0), LID))

    def _drawer(self) -> tuple[int, ...]:
        """A narrow drawer in a shell of its own."""
        x, y = self.spec.position
        depth, wall, height = 0.19, 0.004, fixtures.HEIGHT
        colour = COLOURS[self.spec.colour]
        outer = NARROW + 0.008
        shell: list[Part] = [
            ((outer, depth / 2, wall / 2), (x, y + depth / 2, height - wall / 2), colour),
            ((outer, wall / 2, height / 2), (x, y + depth, height / 2), colour),
        ]
        sides = (wall / 2, depth / 2, height / 2)
        shell += [(sides, (x + side * outer, y + depth / 2, height / 2), colour) for side in (-1, 1)]
        parts = fixtures.drawer_parts(NARROW, 0.006, colour)
        return (fixtures.boxes(self._client, shell), self._moves(parts, (0, -1, 0), DRAWER_TRAVEL))

    def _lever(self) -> tuple[int, ...]:
        """Two fins on a plate with a slot; it opens to the right."""
        x, y = self.spec.position
        plate: Part = ((0.032, 0.078, 0.006), (x, y - LEVER / 2, 0.006), COLOURS[self.spec.colour])
        fin = (0.028, 0.005, 0.019)
        fins: list[Part] = [(fin, (0, side * (HALF_GAP + 0.005), 0.035), STEEL) for side in (-1, 1)]
        return (fixtures.boxes(self._client, [plate]), self._moves(fins, (0, -1, 0), LEVER))

    def _gate(self) -> tuple[int, ...]:
        """A panel on a hinge at its position, with fins at its free end; it turns towards the right."""
        x, y = self.spec.position
        post: Part = ((0.008, 0.008, 0.030), (x - 0.010, y, 0.030), COLOURS[self.spec.colour])
        parts: list[Part] = [((0.020, 0.004, 0.025), (0.022, 0, 0.029), LIGHT)]
        fin = (0.030, 0.005, 0.019)
        parts.extend((fin, (GATE_REACH, side * (HALF_GAP + 0.005), 0.035), STEEL) for side in (-1, 1))
        parts.append(((0.005, HALF_GAP, 0.019), (0.043, 0, 0.035), STEEL))
        body = self._moves(parts, (0, 0, -1), GATE, hinge=True)
        return (fixtures.boxes(self._client, [post]), body)

    def _moves(self, parts: list[Part], axis: Vector, travel: float, hinge: bool = False) -> int:
        x, y = self.spec.position
        body = fixtures.slider(self._client, parts, (x, y, 0.002), axis, travel, self.spec.share, hinge)
        if hinge:  # a torque, N m, that feels at the handle as the sliders' friction does
            self._client.setJointMotorControl2(
                body, 0, self._client.VELOCITY_CONTROL, targetVelocity=0, force=FRICTION * GATE_REACH
            )
        self._moving = body
        return body


#: y at which narrow drawers stand in a row, and the least distance of their middles, m.
ROW, PITCH = FACE, 0.115
