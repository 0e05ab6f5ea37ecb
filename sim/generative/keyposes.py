"""Where the steps of a plan act: the points that the hand must reach without meeting anything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from robot_skills.skill import SkillCall
from sim.experts.expert import CARRY, TRANSIT, grasp_height
from sim.tabletop.predicates import HEADINGS
from sim.tabletop.state import State

Array = NDArray[np.float64]


def keyposes(plan: Sequence[SkillCall], state: State) -> Iterator[tuple[SkillCall, Array, set[str]]]:
    """(call, point of the tool, what it may touch there) for every step that acts where things are now.

    What an earlier step moves is judged where it is; a thing that an earlier step uncovers is left out.
    """
    moved: set[str] = set()
    for call in plan:
        args, touches = call.args, set(call.args.values())
        match call.skill:
            case "pick":
                body = state.bodies[args["object"]]
                if not _covered(state, args["object"]):
                    grasp = np.array([*body.position[:2], grasp_height(body)])
                    yield call, grasp, touches | _beneath(state, args["object"])
                    yield call, np.array([*body.position[:2], TRANSIT]), touches
                moved.add(args["object"])
            case "place":
                if args["target"] != "table" and args["target"] not in moved:
                    where = _place(state, args["target"])
                    yield call, np.array([*where[:2], CARRY]), touches
            case "push":
                body = state.bodies[args["object"]]
                reach = body.width / 2 + 0.036
                start = body.position[:2] - reach * HEADINGS[args["direction"]]
                yield call, np.array([*start, 0.10]), touches
            case _:
                handle = state.handles[args["target"]]
                # With the fingers open, as the hand comes: above the handle, which they straddle when shut.
                yield call, handle + np.array([0.0, 0.0, 0.055]), touches | {"furniture"}


def _place(state: State, target: str) -> Array:
    if target in state.bodies:
        return state.bodies[target].position
    return state.furnishings[target].aim if target in state.furnishings else state.tray


def _beneath(state: State, name: str) -> set[str]:
    """What a thing may be standing on: everything lower down within reach of the fingers' tips."""
    body = state.bodies[name]
    near = {
        other.name
        for other in state.bodies.values()
        if np.hypot(*(other.position - body.position)[:2]) < 0.03 and other.position[2] < body.position[2]
    }
    tops = {
        item.name
        for item in state.furnishings.values()
        if np.all(np.abs(body.position[:2] - item.place[:2]) < item.half)
    }
    return near | tops


def _covered(state: State, name: str) -> bool:
    body = state.bodies[name]
    return any(
        np.hypot(*(other.position - body.position)[:2]) < 0.03 and other.position[2] > body.position[2] + 0.02
        for other in state.bodies.values()
    )
