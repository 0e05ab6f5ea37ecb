"""Experts as feedback laws: each action is a function of the present state alone.

That makes recovery free (a slip, a shove or noise is just another state) and makes labels that a policy
without memory can learn: an expert that waits at gates gives data that regress to standing still. So
heights follow funnels (the further off to the side, the higher) instead of phases.

Each law returns the action, and whether the skill is over; once it is over, the law holds still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import unknown
from robot_skills.robot import ROTATION_SCALE, TRANSLATION_SCALE, Float
from robot_skills.skill import SkillCall
from robot_skills.withdrawal import turn_between
from sim.tabletop import predicates
from sim.tabletop.arm import DOWN
from sim.tabletop.state import Body, Furnished, State

Array = NDArray[np.float64]
Act: TypeAlias = "tuple[Float, bool]"

#: Share of the way to the goal that one action commands: higher overshoots, as the arm lags a step behind.
GAIN = 0.6
TRANSIT, CARRY, RETREAT = 0.15, 0.17, 0.14
OPEN, CLOSE = -1.0, 1.0
#: A hand that is turned by no more than this is upright, rad; beside each other in the drawer, m.
UPRIGHT, BESIDE = 0.006, 0.06
#: The fingers are this far apart when they are as good as open, and as good as shut on nothing, m.
WIDE, SHUT = 0.070, 0.012


@dataclass(frozen=True)
class Expert:
    """The law for one skill call."""

    call: SkillCall
    law: Callable[[State, Mapping[str, str]], Act]
    aim: Callable[[State, Mapping[str, str]], Array]

    def act(self, state: State) -> Act:
        """The clean action, (7,) float32, and whether the skill is over."""
        return self.law(state, self.call.args)

    def target(self, state: State) -> Array:
        """Where the skill's argument is, (3,) m: a label for training, never an input."""
        return self.aim(state, self.call.args)


def expert_for(call: SkillCall) -> Expert:
    """The expert for a skill call.

    Raises:
        InputError: there is none for this skill.
    """
    if call.skill not in LAWS:
        raise unknown("skill with an expert", call.skill, LAWS)
    return Expert(call, *LAWS[call.skill])


def pick(state: State, args: Mapping[str, str]) -> Act:
    """Above it, down, close, up."""
    body = state.bodies[args["object"]]
    held = body.name in state.gripped
    if held:
        over = state.tool[2] > CARRY - 0.02 and predicates.holding(state, body.name)
        return towards(state, np.array([*state.tool[:2], CARRY]), CLOSE), over
    grasp = np.array([*body.position[:2], grasp_height(body)])
    aside = distance_aside(state, grasp)
    if state.opening < WIDE and aside > 0.02:
        return towards(state, np.array([*grasp[:2], max(TRANSIT, grasp[2])]), OPEN), False
    if state.opening < SHUT:  # shut on nothing: open again, and a little higher
        return towards(state, grasp + lift(0.06), OPEN), False
    if aside < 0.009 and state.tool[2] < grasp[2] + 0.012:
        return towards(state, grasp, CLOSE), False
    return towards(state, funnel(grasp, aside, 0.008, TRANSIT - 0.05), OPEN), False


def place(state: State, args: Mapping[str, str]) -> Act:
    """Over it, down to just above it, open, up; a thing that slipped out on the way is picked up again."""
    body, spot = state.bodies[args["object"]], place_aim(state, args)
    done = predicates.on if args["relation"] == "on" else predicates.inside
    if body.name in state.gripped:
        hang = state.tool[2] - body.bottom
        off = (state.tool - body.position)[:2]  # it may be held off the middle
        release = spot + np.array([*off, min(hang, body.height) + RELEASE[surface(args)]])
        aside = distance_aside(state, release)
        if aside < 0.012 and state.tool[2] < release[2] + 0.012:
            return towards(state, release, OPEN), False
        clear = 0.05 if args["target"] == "table" else CARRY - release[2]
        return towards(state, funnel(release, aside, 0.015, max(clear, 0.03)), CLOSE), False
    if done(state, body.name, args["target"]) or state.opening > WIDE or distance_aside(state, spot) < 0.03:
        height = max(RETREAT, spot[2] + 0.09)
        over = state.tool[2] > height - 0.02 and state.opening > WIDE
        return towards(state, np.array([*state.tool[:2], height]), OPEN), over
    return pick(state, args)


def push(state: State, args: Mapping[str, str]) -> Act:
    """Behind it, down, along, up."""
    body, heading = state.bodies[args["object"]], predicates.HEADINGS[args["direction"]]
    low = 0.022
    pushed = float((body.position - body.origin)[:2] @ heading)
    offset = state.tool[:2] - body.position[:2]
    along = float(offset @ heading)
    lateral = float(np.linalg.norm(offset - along * heading))
    reach = body.width / 2 + (0.018 if abs(heading[1]) > 0.5 else 0.014)
    if pushed > STROKE or (pushed > 0.8 * STROKE and state.tool[2] > 0.05):
        over = state.tool[2] > RETREAT - 0.02
        return towards(state, np.array([*state.tool[:2], RETREAT]), CLOSE), over
    behind = along < -(reach - 0.012) and lateral < 0.018
    if behind and state.tool[2] < low + 0.025:
        ahead = body.position[:2] + heading * (STROKE - pushed + 0.03) - heading * reach
        step = 0.035 * heading + 0.8 * (
            (ahead - state.tool[:2]) - ((ahead - state.tool[:2]) @ heading) * heading
        )
        return towards(state, np.array([*(state.tool[:2] + step / GAIN), low]), CLOSE), False
    start = body.position[:2] - heading * (reach + 0.022)
    goal = np.array([*start, low])
    aside = distance_aside(state, goal)
    return towards(state, funnel(goal, aside, 0.010, 0.10), CLOSE), False


def open_(state: State, args: Mapping[str, str]) -> Act:
    """Into the gap of the handle, pull, up."""
    return _slide(state, args["target"], predicates.is_open(state, args["target"]), 1.0)


def close(state: State, args: Mapping[str, str]) -> Act:
    """Into the gap of the handle, push, up."""
    return _slide(state, args["target"], predicates.is_closed(state, args["target"]), -1.0)


def press(state: State, args: Mapping[str, str]) -> Act:
    """Above it, down to the stop, up.

    The lamp lights half-way down. To turn back there would teach a policy that plans ahead to turn back when
    the lamp should be lit; at the stop it surely is.
    """
    cap = state.handles[args["target"]]
    depth = state.tool[2] - cap[2]
    if predicates.pressed(state, args["target"]) and not STOP < depth < ABOVE:
        over = state.tool[2] > RETREAT - 0.02
        return towards(state, np.array([*state.tool[:2], RETREAT]), CLOSE), over
    goal = funnel(cap + lift(-0.025), distance_aside(state, cap), 0.008, 0.09)
    action = towards(state, goal, CLOSE)
    action[2] = max(action[2], -0.2 - 10.0 * max(depth - ABOVE, 0.0))  # gently near the cap
    return action, False


def _slide(state: State, fixture: str, done: bool, sign: float) -> Act:
    handle = state.handles[fixture]
    axis = sign * (state.furnishings[fixture].axis if fixture in state.furnishings else OPENING[fixture])
    aside = distance_aside(state, handle)
    low = state.tool[2] < handle[2] + 0.018
    if done and not (low and _room_left(state, fixture, sign)):
        over = state.tool[2] > RETREAT - 0.02
        # Back to the middle of the gap first: pressed against the handle, the fingers would not slide up.
        way_out = handle if state.tool[2] < handle[2] + 0.04 else state.tool
        return towards(state, np.array([*way_out[:2], RETREAT]), CLOSE), over
    offset = state.tool - handle
    across = abs(float(axis[0] * offset[1] - axis[1] * offset[0]))
    if low and across < 0.03 and abs(float(offset[:2] @ axis[:2])) < 0.030:
        # A policy plans its turning back some steps ahead: the slower it shuts, the less it is off by.
        speed = 0.03 if sign > 0 else 0.02
        step = speed * axis - 0.5 * (offset - (offset @ axis) * axis)
        return towards(state, state.tool + step / GAIN, CLOSE), False
    # Fingers that are not shut yet would catch on the handle.
    spread = 0.09 if state.opening > SHUT else 0.0
    goal = funnel(handle, aside, 0.010, 0.09)
    return towards(state, np.maximum(goal, [goal[0], goal[1], handle[2] + spread]), CLOSE), False


def _room_left(state: State, fixture: str, sign: float) -> bool:
    """Whether the slide is still short of its stop, so that a firm pull does not end at the threshold."""
    slid = predicates.share_open(state, fixture)
    return slid < 0.92 if sign > 0 else slid > 0.04


def towards(state: State, goal: Array, grip: float) -> Float:
    """The action that brings the tool nearer to a goal (3,), the hand upright again if it is not."""
    move = np.clip(GAIN * (goal - state.tool) / TRANSLATION_SCALE, -1.0, 1.0)
    turn = turn_between(state.rotation, DOWN)
    turn = np.clip(GAIN * turn / ROTATION_SCALE, -1.0, 1.0) if np.linalg.norm(turn) > UPRIGHT else np.zeros(3)
    return np.array([*move, *turn, grip], np.float32)


def funnel(goal: Array, aside: float, radius: float, height: float) -> Array:
    """The goal, raised by three times the distance aside beyond a radius, up to a height."""
    raised = np.clip(3.0 * (aside - radius), 0.0, height)
    return goal + lift(float(raised))


def lift(height: float) -> Array:
    """A vector straight up."""
    return np.array([0.0, 0.0, height])


def distance_aside(state: State, goal: Array) -> float:
    """Horizontal distance of the tool from a point, m."""
    return float(np.hypot(*(state.tool - goal)[:2]))


def grasp_height(body: Body) -> float:
    """Where the finger tips close on an object: its middle, or a little lower on a tall one, m."""
    return float(max(body.position[2] - 0.003, 0.016))


def place_aim(state: State, args: Mapping[str, str]) -> Array:
    """The point that the object's bottom goes to."""
    target = args["target"]
    if target == "drawer":
        return np.array([*state.tray[:2], 0.025]) + _free_side(state, args["object"])
    if target == "table":
        return free_spot(state, args["object"])
    if target in state.furnishings:
        return _free_part(state, state.furnishings[target], args["object"])
    base = state.bodies[target]
    if base.kind == "bowl":
        return base.position
    return base.position + lift(base.height / 2)


def _free_side(state: State, held: str) -> Array:
    """Where in the drawer, (3,) from the middle of its tray: there, or beside what is there."""
    inside = [
        body.position[0] - state.tray[0]
        for body in state.bodies.values()
        if body.name != held and predicates.inside(state, body.name, "drawer")
    ]
    room = {side: min((abs(x - side) for x in inside), default=BESIDE) for side in (0.0, BESIDE, -BESIDE)}
    free = [side for side, least in room.items() if least > 0.8 * BESIDE]
    return np.array([free[0] if free else max(room, key=lambda side: room[side]), 0.0, 0.0])


def free_spot(state: State, held: str) -> Array:
    """The free place on the table that is nearest to the tool, (3,)."""
    best, least = np.array([0.5, 0.0, 0.0]), np.inf
    others = [body for body in state.bodies.values() if body.name != held]
    button = state.handles["button"][:2] + np.array([0.0, 0.02]) if "button" in state.handles else None
    for x in np.arange(0.38, 0.63, 0.02):
        for y in np.arange(-0.24, 0.10, 0.02):
            spot = np.array([x, y])
            gaps = [float(np.linalg.norm(body.position[:2] - spot)) - body.width / 2 for body in others]
            if button is not None:
                gaps.append(float(np.linalg.norm(button - spot)) - 0.05)
            gaps += [_distance_to(item.area, spot) for item in state.furnishings.values()]
            cost = float(np.linalg.norm(state.tool[:2] - spot)) + 4.0 * max(0.0, 0.065 - min(gaps))
            if cost < least:
                best, least = np.array([x, y, 0.0]), cost
    return best


def _free_part(state: State, furnished: Furnished, held: str) -> Array:
    """Where in a furnishing to put something: where what lies in it leaves room, or may come to need it.

    The open fingers reach 5 cm to either side in y, so things share a container side by side in x where it is
    wide enough: the first goes to the near end. Elsewhere the first goes to the middle, and the next as far
    from it as can be.
    """
    inside = [
        body.position
        for body in state.bodies.values()
        if body.name != held and predicates.inside(state, body.name, furnished.name)
    ]
    reach = np.clip(furnished.half - 0.6 * state.bodies[held].width, 0.0, 0.06)
    if furnished.kind == "drawer":
        reach[1] = min(reach[1], 0.02)  # the rest of it is under the cabinet
    wide = bool(reach[0] >= SHARED)
    if furnished.rim == 0 or not (inside or wide):
        return furnished.aim

    def room(spot: Array) -> float:
        return min((abs(x - spot[0]) + abs(y - spot[1]) for x, y, _ in inside), default=0.0)

    spots = [
        furnished.aim + np.array([x, y, 0.0])
        for x in np.linspace(-reach[0], reach[0], 5)
        for y in ((0.0,) if wide else (0.0, -reach[1], reach[1]))
    ]
    return max(spots, key=room)


def _distance_to(area: tuple[float, float, float, float], spot: Array) -> float:
    """How far a point, (2,) m, is from a rectangle x low, x high, y low, y high; 0 inside."""
    x_low, x_high, y_low, y_high = area
    nearest = np.clip(spot, (x_low, y_low), (x_high, y_high))
    return float(np.linalg.norm(spot - nearest))


def surface(args: Mapping[str, str]) -> str:
    """What kind of place an object is put in or on: a key of `RELEASE`."""
    if args["relation"] == "in":
        kind = args["target"].split()[-1]
        return kind if kind in RELEASE else "bowl"
    return "table" if args["target"] == "table" else "object"


#: How far above its resting height an object is let go, m.
RELEASE = {"drawer": 0.035, "bowl": 0.02, "table": 0.004, "object": 0.006, "chest": 0.034}
#: A container that is this much wider than a thing, m to either side, is shared from the near end on.
SHARED = 0.02
#: The tool above a button: with the cap at its stop, and clear of it, m.
STOP, ABOVE = 0.0015, 0.012
#: How far an object is pushed, m.
STROKE = 0.09
OPENING = {"drawer": np.array([0.0, -1.0, 0.0]), "door": np.array([-1.0, 0.0, 0.0])}


def _object_position(state: State, args: Mapping[str, str]) -> Array:
    return state.bodies[args["object"]].position


def _handle_position(state: State, args: Mapping[str, str]) -> Array:
    return state.handles[args["target"]]


LAWS = {
    "pick": (pick, _object_position),
    "place": (place, place_aim),
    "push": (push, _object_position),
    "open": (open_, _handle_position),
    "close": (close, _handle_position),
    "press": (press, _handle_position),
}
