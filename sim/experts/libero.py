"""A planned expert for LIBERO's "pick up X and place it in the basket"; it reads the simulator's state.

A feedback law like those of `sim.experts.expert`: each action is a function of the present state alone, and
heights follow funnels. What is planned is the grasp, anew at each step: from the boxes around the object's
collision shapes, the horizontal axis along which the fingers close, and the height at which they do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_skills.errors import InputError
from robot_skills.robot import ACTION_SIZE, ROTATION_SCALE, TRANSLATION_SCALE, Float
from sim.libero import LiberoWorld
from sim.robosuite_world import Array

OPEN, CLOSE = -1.0, 1.0
#: Share of the way that an action commands. The arm is soft: at 1.0 it covers about a third in a step. What
#: is carried must not overshoot, or it comes down on the rim of the basket.
GAIN, CARRY_GAIN = 1.5, 0.9
#: Rotations are corrected more gently: they are small, and a turning hand would push things over.
TURN_GAIN = 0.6
#: Heights of the tool (the point between the finger tips) above the floor, m: on the way to an object;
#: lowest, so that the tips clear the floor.
TRANSIT, LOWEST = 0.22, 0.012
#: How far below an object's top the fingers may reach before the palm touches it, m.
REACH = 0.040
#: Half the height of a finger tip, which decides what of an object it touches, m.
PAD = 0.008
#: The hand, along the axis on which the fingers close and across it, and how far above the middle of the
#: finger tips it begins; a finger, along and across: half sizes, m. If something else is there, that costs as
#: much as so many m of width.
HAND, PALM, FINGER, BLOCKED = (0.115, 0.040), 0.030, (0.062, 0.014), 0.10
#: Fingers open 8 cm; wider things are not grasped. A quarter turn costs as much as these m of width.
WIDEST, QUARTER_TURN = 0.072, 0.05
#: Within this of the grasp, m and rad, the fingers close, and go on closing.
NEAR, STILL_NEAR, ALIGNED = 0.013, 0.025, 0.15
#: The fingers are as good as open, m.
WIDE = 0.070
#: Room between what is carried and the rim of the basket, and how far above the rim the tool lets go, m.
CLEAR, LET_GO = 0.02, 0.0
#: How high the tool rises above the rim when all is done, m.
RETREAT = 0.08


@dataclass(frozen=True)
class PickPlaceState:
    """What the law sees; m, in the frame of the robot's base.

    Attributes:
        tool, rotation: (3,) and (3, 3) of the point between the fingers; they close along its first axis.
        opening: distance of the fingers.
        place: (3,) of the object.
        corners: (8 n, 3) of the n boxes that it is made of, box after box.
        held: whether both fingers touch it.
        basket, half: (3,) middle and half sizes of the region where LIBERO looks for the object.
        rim: height of the basket.
        inside: whether the object is there.
        others: (m, 3) corners of the boxes that everything else is made of.
    """

    tool: Array
    rotation: Array
    opening: float
    place: Array
    corners: Array
    held: bool
    basket: Array
    half: Array
    rim: float
    inside: bool
    others: Array


@dataclass(frozen=True)
class Grasp:
    """Where the tool goes to close on an object.

    Attributes:
        point: (3,) m.
        turn: about the vertical, from the present yaw, rad.
        width: of the object along the axis on which the fingers close, m.
        narrowest: of all its widths at that height: closer fingers hold nothing, m.
        top: of the object, m.
    """

    point: Array
    turn: float
    width: float
    narrowest: float
    top: float


class PickPlaceExpert:
    """The expert of one episode.

    Args:
        world: of LIBERO, at any task whose goal is one object in one container.

    Raises:
        InputError: the task is of another kind.
    """

    def __init__(self, world: LiberoWorld) -> None:
        goal = world.goal
        if len(goal) != 1 or goal[0][0] != "in" or not goal[0][-1].endswith("_contain_region"):
            raise InputError(f"The expert puts one thing into a basket; {world.task!r} asks for {goal}.")
        self._world = world
        _, self._thing, self._region = goal[0]
        self._basket = self._region.removesuffix("_contain_region")
        self._others = [thing for thing in world.things if thing != self._thing]

    def state(self) -> PickPlaceState:
        """Read the simulator."""
        world = self._world
        tool, rotation = world.tool()
        basket, half = world.region(self._region)
        return PickPlaceState(
            tool=tool,
            rotation=rotation,
            opening=world.opening(),
            place=world.place(self._thing),
            corners=world.corners(self._thing),
            held=world.gripped(self._thing),
            basket=basket,
            half=half,
            rim=float(world.corners(self._basket)[:, 2].max()),
            inside=world.success(),
            others=np.concatenate([world.corners(thing) for thing in self._others]),
        )

    def act(self) -> tuple[Float, bool]:
        """The clean action, (7,) float32, and whether the task is over."""
        return act(self.state())

    def target(self) -> Array:
        """Where the object is, (3,) m: a label for training, never an input."""
        return self._world.place(self._thing)


def act(state: PickPlaceState) -> tuple[Float, bool]:
    """Above it, down, close, up, over the basket, open, up; what slipped out is picked up again."""
    if state.held or _hangs(state):
        return _carry(state), False
    over_basket = bool((np.abs(state.place - state.basket)[:2] < state.half[:2]).all())
    if state.inside or (over_basket and state.place[2] < state.rim + 0.05):
        goal = np.array([*state.tool[:2], state.rim + RETREAT])
        return _towards(state, goal, 0.0, OPEN), state.inside and state.tool[2] > goal[2] - 0.03
    return _fetch(state), False


def _hangs(state: PickPlaceState) -> bool:
    """Whether the object is off the floor between fingers that have lost touch of it for a moment."""
    lifted = float(state.corners[:, 2].min()) > 0.01
    spread = state.corners.max(axis=0) - state.corners.min(axis=0)
    inside = bool((np.abs(state.tool - state.corners.mean(axis=0)) < spread / 2 + 0.02).all())
    return lifted and inside and state.opening < WIDE - 0.01


def plan_grasp(corners: Array, rotation: Array, others: Array) -> Grasp:
    """Choose the axis on which the fingers close: narrow, near to where they are, with room for the hand.

    Args:
        corners: (8 n, 3) of the object's n boxes, box after box.
        rotation: (3, 3) of the hand.
        others: (m, 3) corners of everything else.
    """
    bottom, top = float(corners[:, 2].min()), float(corners[:, 2].max())
    height = max((bottom + top) / 2, top - REACH, bottom + LOWEST)
    boxes = corners.reshape(-1, 8, 3)
    low, high = boxes[..., 2].min(axis=1), boxes[..., 2].max(axis=1)
    there = boxes[(low < height + PAD) & (high > height - PAD), :, :2].reshape(-1, 2)
    turns = np.radians(np.arange(-90.0, 90.0, 5.0))
    angles = np.arctan2(rotation[1, 0], rotation[0, 0]) + turns
    widths = np.ptp(there @ np.stack([np.cos(angles), np.sin(angles)]), axis=0)
    middle = (there.max(axis=0) + there.min(axis=0)) / 2
    cost = widths + BLOCKED * _blocked(angles, np.array([*middle, height]), others)
    cost += QUARTER_TURN * np.abs(turns) / (np.pi / 2) + 10.0 * np.maximum(widths - WIDEST, 0.0)
    best = int(np.argmin(cost))
    return Grasp(
        np.array([*middle, height]), float(turns[best]), float(widths[best]), float(widths.min()), top
    )


def _blocked(angles: Array, point: Array, others: Array) -> Array:
    """Whether something is where hand and fingers would be, for each angle of the closing axis."""
    off = others - point
    axis = np.stack([np.cos(angles), np.sin(angles)])
    along, across = np.abs(off[:, :2] @ axis), np.abs(off[:, :2] @ np.stack([-axis[1], axis[0]]))
    high, low = off[:, 2:] > PALM, off[:, 2:] > -PAD
    hand = high & (along < HAND[0]) & (across < HAND[1])
    finger = low & (along < FINGER[0]) & (across < FINGER[1])
    blocked: Array = (hand | finger).any(axis=0).astype(np.float64)
    return blocked


def _fetch(state: PickPlaceState) -> Float:
    grasp = plan_grasp(state.corners, state.rotation, state.others)
    aside, above = float(np.hypot(*(state.tool - grasp.point)[:2])), state.tool[2] - grasp.point[2]
    near = STILL_NEAR if state.opening < WIDE else NEAR
    shut = state.opening < grasp.narrowest - 0.008  # on nothing: up and open again
    if max(aside, abs(above)) < near and abs(grasp.turn) < ALIGNED and not shut:
        return _towards(state, grasp.point, grasp.turn, CLOSE)
    # Fingers reach beside the object only where they are over its middle: until then above its top.
    full = max(TRANSIT - grasp.point[2], 0.0)
    off = max(aside - 0.010, 0.0) + 0.03 * max(abs(grasp.turn) - ALIGNED, 0.0)
    raised = off * max(3.0, (grasp.top + 0.03 - grasp.point[2]) / 0.017)
    if state.opening < grasp.width + 0.006:
        raised = max(raised, 0.06)
    goal = grasp.point + np.array([0.0, 0.0, min(raised, full)])
    return _towards(state, goal, grasp.turn, OPEN)


def _carry(state: PickPlaceState) -> Float:
    bottom = float(state.corners[:, 2].min())
    hang = state.tool[2] - bottom
    spot = state.basket[:2] + (state.tool - state.place)[:2]  # it may be held off its middle
    lowest = max(state.rim + LET_GO, state.basket[2] - state.half[2] + hang + 0.015)
    highest = max(state.rim + CLEAR + hang, lowest)
    aside = float(np.hypot(*(spot - state.tool[:2])))
    if aside < 0.02 and state.tool[2] < lowest + 0.02:
        return _towards(state, np.array([*spot, lowest]), 0.0, OPEN, CARRY_GAIN)
    height = np.clip(lowest + 3.0 * (aside - 0.02), lowest, highest)
    # Sideways only as far as it is lifted, but over the basket.
    free = np.clip(bottom / state.rim + np.clip((0.06 - aside) / 0.02, 0.0, 1.0), 0.0, 1.0)
    goal = state.tool[:2] + free * (spot - state.tool[:2])
    return _towards(state, np.array([*goal, height]), 0.0, CLOSE, CARRY_GAIN)


def _towards(state: PickPlaceState, goal: Array, turn: float, grip: float, gain: float = GAIN) -> Float:
    """Bring the tool nearer to a goal (3,), the hand pointing down and turned about the vertical."""
    action = np.zeros(ACTION_SIZE, np.float32)
    action[:3] = np.clip(gain * (goal - state.tool) / TRANSLATION_SCALE, -1.0, 1.0)
    tilt = np.cross(state.rotation[:, 2], [0.0, 0.0, -1.0])
    action[3:6] = np.clip(TURN_GAIN * np.array([*tilt[:2], turn]) / ROTATION_SCALE, -1.0, 1.0)
    action[6] = grip
    return action
