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
LID, TURN, LEVER = 0.115, 1.2, 0.080
#: Top of a lid, m: a large cylinder stands under it.
LID_TOP = 0.066
#: From hinge to handle, m.
GATE_REACH, KNOB_REACH = 0.075, 0.050


@dataclass(frozen=True)
class Form:
    """What there is to know of a kind, in its own frame.

    Attributes:
        area: what it covers of the table with everything it can do, as seen from its position.
        half: half the extents of the surface that things lie on, m; 0 where there is none.
        floor: height of that surface, m.
        rim: height above it below which a thing's centre is inside, m.
        handle: where the gripper acts on it when it is shut; None where it does not.
        travel: of the handle, m; along its arc, where it turns.
        lever: from the hinge to the handle, m; 0 where it slides.
        axis: in which the handle moves as it begins to open.
        walls: how high they are, m; 0 where things lie on top.
        tall: what of the area it covers higher than the fingers are long, so that the hand must keep away.
    """

    area: Area
    half: tuple[float, float] = (0.0, 0.0)
    floor: float = 0.0
    rim: float = 0.0
    handle: Vector | None = None
    travel: float = 0.0
    lever: float = 0.0
    axis: Vector = (0.0, -1.0, 0.0)
    walls: float = 0.0
    tall: Area | None = None

    @property
    def joint(self) -> float:
        """Where the joint is when it is fully open, m or rad."""
        return self.travel / self.lever if self.lever else self.travel


def _square(half: float) -> Area:
    return (-half, half, -half, half)


FORMS: Mapping[str, Form] = {
    "tray": Form(_square(0.075), (0.066, 0.066), 0.004, 0.05, walls=0.018),
    "crate": Form(_square(0.064), (0.056, 0.056), 0.004, 0.06, walls=0.045),
    "basket": Form(_square(0.072), (0.064, 0.064), 0.004, 0.05, walls=0.030),
    "bin": Form((-0.052, 0.052, -0.072, 0.072), (0.044, 0.064), 0.004, 0.06, walls=0.052),
    "rack": Form((-0.047, 0.047, -0.096, 0.096), (0.040, 0.088), 0.004, 0.05, walls=0.025),
    "shelf": Form(_square(0.055), (0.055, 0.055), 0.050),
    "bench": Form((-0.036, 0.036, -0.085, 0.085), (0.036, 0.085), 0.042),
    "stool": Form(_square(0.042), (0.042, 0.042), 0.058),
    "plate": Form(_square(0.050), (0.050, 0.050), 0.016),
    "coaster": Form(_square(0.038), (0.038, 0.038), 0.014),
    "mat": Form((-0.070, 0.070, -0.050, 0.050), (0.070, 0.050), 0.015),
    "pedestal": Form(_square(0.034), (0.034, 0.034), 0.070, tall=_square(0.034)),
    "box": Form(
        (-0.065, 0.180, -0.065, 0.065), (0.055, 0.055), 0.004, 0.06, (0.0, 0.0, LID_TOP + 0.016), LID,
        axis=(1.0, 0.0, 0.0), walls=0.060, tall=(-0.038, 0.038 + LID, -0.028, 0.028),
    ),
    "chest": Form(
        (-0.065, 0.065, -0.180, 0.065), (0.055, 0.055), 0.004, 0.06, (0.0, 0.0, LID_TOP + 0.016), LID,
        walls=0.060, tall=(-0.028, 0.028, -0.038 - LID, 0.038),
    ),
    "drawer": Form(
        (-0.056, 0.056, -DRAWER_TRAVEL - 0.07, 0.19), (NARROW, 0.076), 0.009, 0.06,
        (0.0, -fixtures.DRAWER_GAP, fixtures.GRIP_HEIGHT), DRAWER_TRAVEL,
    ),
    "lever": Form((-0.034, 0.034, -0.125, 0.045), handle=(0.0, 0.0, fixtures.GRIP_HEIGHT), travel=LEVER),
    "gate": Form(
        (-0.02, 0.125, -0.125, 0.055), handle=(GATE_REACH, 0.0, fixtures.GRIP_HEIGHT),
        travel=TURN * GATE_REACH, lever=GATE_REACH,
    ),
    "knob": Form(
        (-0.045, 0.095, -0.095, 0.045), handle=(KNOB_REACH, 0.0, fixtures.GRIP_HEIGHT),
        travel=TURN * KNOB_REACH, lever=KNOB_REACH,
    ),
    "bell": Form((-0.032, 0.032, -0.052, 0.052), handle=(0.0, fixtures.CAP_OFFSET, fixtures.CAP_TOP)),
    "button": Form((-0.032, 0.032, -0.052, 0.052), handle=(0.0, fixtures.CAP_OFFSET, fixtures.CAP_TOP)),
}  # fmt: skip


#: What has a lamp.
LIGHTS = ("button", "bell")


def area(spec: FurnishingSpec) -> Area:
    """What a furnishing covers of the table with everything it can do."""
    x, y = spec.position
    x_low, x_high, y_low, y_high = FORMS[spec.kind].area
    return (x + x_low, x + x_high, y + y_low, y + y_high)


def furnished_state(spec: FurnishingSpec, joint: float, lit: bool) -> Furnished:
    """Where a furnishing is and how it stands, given where its joint is, m or rad."""
    form = FORMS[spec.kind]
    base = np.array([*spec.position, 0.0])
    place = base + np.array([0.0, 0.0, form.floor])
    aim = place
    if spec.kind == "drawer":  # its floor moves, and only what is out of the cabinet can be reached
        out = max(joint, 0.25 * DRAWER_TRAVEL)
        place = place + np.array([0.0, 0.085 - joint, 0.0])
        aim = np.array([base[0], base[1] - joint + 0.5 * out + 0.008, 0.025])
    slid = joint * (form.lever or 1.0)
    return Furnished(
        spec.name, spec.kind, spec.colour, place, np.array(form.half), form.rim, aim, slid, form.travel,
        _axis(form, joint), lit, area(spec),
    )  # fmt: skip


def handle_of(spec: FurnishingSpec, joint: float) -> Array | None:
    """Where the gripper acts on a furnishing, (3,) m; None where it does not."""
    form = FORMS[spec.kind]
    if form.handle is None:
        return None
    point: Array = np.array([*spec.position, 0.0]) + np.array(form.handle)
    if form.lever:
        point += form.lever * np.array([math.cos(joint) - 1.0, -math.sin(joint), 0.0])
    elif form.travel:
        point += joint * np.array(form.axis)
    return point


def _axis(form: Form, joint: float) -> Array:
    """The direction in which the handle moves when it opens; on a hinge, a tangent to its arc."""
    if form.lever:
        return np.array([-math.sin(joint), -math.cos(joint), 0.0])
    return np.array(form.axis)


class Furnishing:
    """A furnishing in a PyBullet client."""

    def __init__(self, client: Any, spec: FurnishingSpec) -> None:
        self._client, self.spec = client, spec
        self._lights = spec.kind in LIGHTS
        self.lit = self._lights and spec.share > 0.5
        self._moving: int | None = None
        self.bodies = self._build()
        if self._lights:
            fixtures.light_button(client, self.bodies[0], self.lit)

    def press(self) -> bool:
        """Light the lamp if the cap is down; whether anything changed."""
        if not self._lights or self.lit:
            return False
        if self._client.getJointState(self.bodies[0], 0)[0] <= 0.5 * CAP_TRAVEL:
            return False
        self.light(True)
        return True

    def light(self, on: bool) -> None:
        """Switch a button's lamp."""
        if self._lights:
            self.lit = on
            fixtures.light_button(self._client, self.bodies[0], on)

    def slide(self, share: float) -> None:
        """Open it so far, 0 to 1, without moving through space."""
        if self._moving is not None:
            self._client.resetJointState(self._moving, 0, share * FORMS[self.spec.kind].joint)

    def state(self) -> Furnished:
        """Where it is and how it stands."""
        return furnished_state(self.spec, self._joint(), self.lit)

    def handle(self) -> Array | None:
        """Where the gripper acts on it, (3,) m; None where it does not."""
        return handle_of(self.spec, self._joint())

    def _joint(self) -> float:
        return 0.0 if self._moving is None else float(self._client.getJointState(self._moving, 0)[0])

    def _build(self) -> tuple[int, ...]:
        match self.spec.kind:
            case "box" | "chest":
                return self._lidded()
            case "drawer":
                return self._drawer()
            case "lever":
                return self._lever()
            case "gate":
                return self._gate()
            case "knob":
                return self._knob()
            case "button" | "bell":
                x, y = self.spec.position
                return (fixtures.button(self._client, x, y, COLOURS[self.spec.colour]),)
            case _:
                return self._still()

    def _still(self) -> tuple[int, ...]:
        """A container or a support: a floor or a block, and walls where things are to stay inside."""
        form, colour = FORMS[self.spec.kind], COLOURS[self.spec.colour]
        x, y = self.spec.position
        half_x, half_y = form.half
        parts: list[Part] = [((half_x, half_y, form.floor / 2), (x, y, form.floor / 2), colour)]
        if form.walls > 0.0:
            parts = self._walled()
        body = fixtures.boxes(self._client, parts)
        self._client.changeDynamics(body, -1, lateralFriction=1.0)
        return (body,)

    def _walled(self) -> list[Part]:
        form, colour = FORMS[self.spec.kind], COLOURS[self.spec.colour]
        x, y = self.spec.position
        (half_x, half_y), height = form.half, form.walls
        parts: list[Part] = [((half_x, half_y, form.floor / 2), (x, y, form.floor / 2), colour)]
        for side in (-1, 1):
            along = ((WALL / 2, half_y + WALL, height / 2), (x + side * (half_x + WALL / 2), y, height / 2))
            across = ((half_x, WALL / 2, height / 2), (x, y + side * (half_y + WALL / 2), height / 2))
            parts += [(*along, colour), (*across, colour)]
        return parts

    def _lidded(self) -> tuple[int, ...]:
        """Walls and a lid that slides: of a box away from the robot, of a chest to the right."""
        walls = fixtures.boxes(self._client, self._walled())
        axis = FORMS[self.spec.kind].axis
        x, y = (abs(axis[0]), abs(axis[1]))
        fin = (0.005 * x + 0.028 * y, 0.028 * x + 0.005 * y, 0.014)
        offset = HALF_GAP + 0.005
        lid: list[Part] = [((0.062, 0.062, 0.002), (0, 0, LID_TOP - 0.002), LIGHT)]
        lid += [(fin, (side * offset * x, side * offset * y, LID_TOP + 0.014), STEEL) for side in (-1, 1)]
        return (walls, self._moves(lid, axis, LID))

    def _knob(self) -> tuple[int, ...]:
        """A square knob with a grip at its edge; it turns clockwise, as seen from above."""
        parts: list[Part] = [((0.020, 0.020, 0.015), (0, 0, 0.017), COLOURS[self.spec.colour])]
        fin = (0.028, 0.005, 0.019)
        parts += [(fin, (KNOB_REACH, side * (HALF_GAP + 0.005), 0.035), STEEL) for side in (-1, 1)]
        return (self._moves(parts, (0, 0, -1), TURN, hinge=True),)

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
        body = self._moves(parts, (0, 0, -1), TURN, hinge=True)
        return (fixtures.boxes(self._client, [post]), body)

    def _moves(self, parts: list[Part], axis: Vector, travel: float, hinge: bool = False) -> int:
        x, y = self.spec.position
        body = fixtures.slider(self._client, parts, (x, y, 0.002), axis, travel, self.spec.share, hinge)
        if hinge:  # a torque, N m, that feels at the handle as the sliders' friction does
            torque = FRICTION * FORMS[self.spec.kind].lever
            self._client.setJointMotorControl2(
                body, 0, self._client.VELOCITY_CONTROL, targetVelocity=0, force=torque
            )
        self._moving = body
        return body


#: y at which narrow drawers stand in a row, and the least distance of their middles, m.
ROW, PITCH = FACE, 0.115
