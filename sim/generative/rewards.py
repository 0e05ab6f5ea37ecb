"""Rewards as data: weighted terms with names and parameters, summed into a cost that a planner descends.

The form is that of Language to Rewards (Yu et al. 2023): whoever proposes a reward, a table or a language
model, chooses among terms that are written here, and sets their parameters; nobody writes code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError, unknown
from robot_skills.skill import SkillCall
from sim.experts.expert import RELEASE, STROKE, funnel, grasp_height, place_aim, surface
from sim.tabletop import predicates
from sim.tabletop.state import State

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """One term of a cost: `Term("approach", {"thing": "red block"}, 4.0)`.

    Attributes:
        name: one of `TERMS`.
        parameters: what it is about.
        weight: it is multiplied by.
    """

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the name and the weight.

        Raises:
            InputError: there is no such term, or the weight is no positive number.
        """
        if self.name not in TERMS:
            raise unknown("reward term", self.name, TERMS)
        if not 0.0 < self.weight < 1e6:
            raise InputError(f"A term's weight is above 0, not {self.weight!r}.")


def cost(state: State, terms: tuple[Term, ...]) -> float:
    """The weighted sum; lower is better, 0 is as good as can be."""
    return sum(term.weight * TERMS[term.name](state, term.parameters) for term in terms)


def terms_for(call: SkillCall) -> tuple[Term, ...]:
    """The cost whose minimum is the end of a skill call."""
    if call.skill not in REWARDS:
        raise unknown("skill with a reward", call.skill, REWARDS)
    return tuple(Term(name, call.args, weight) for name, weight in REWARDS[call.skill])


def approach(state: State, about: Mapping[str, str]) -> float:
    """Distance of the tool from where the hand acts, over a funnel: from above, m; 0 once it is held."""
    name = about.get("object", about.get("target", ""))
    if name in state.gripped:
        return 0.0
    if name in state.bodies:
        body = state.bodies[name]
        goal = np.array([*body.position[:2], grasp_height(body)])
    else:
        goal = state.handles[name]
    aside = float(np.hypot(*(state.tool - goal)[:2]))
    return float(np.linalg.norm(state.tool - funnel(goal, aside, 0.012, 0.09)))


def grasp(state: State, about: Mapping[str, str]) -> float:
    """How far the fingers are from open, away from the thing, and from closed, at it; 0 to 1."""
    body = state.bodies[about["object"]]
    if body.name in state.gripped:
        return 0.0
    point = np.array([*body.position[:2], grasp_height(body)])
    wide = min(state.opening / 0.08, 1.0)
    return 0.5 + 0.5 * wide if np.linalg.norm(state.tool - point) < 0.014 else 1.0 - wide


def lift(state: State, about: Mapping[str, str]) -> float:
    """How much lower than 12 cm the thing hangs, m."""
    return float(np.clip(0.12 - state.bodies[about["object"]].bottom, 0.0, 0.12))


def bring(state: State, about: Mapping[str, str]) -> float:
    """How far the held thing is from hanging just above its place, over a funnel, m; 0 once it lies there."""
    body = state.bodies[about["object"]]
    if _lies(state, about):
        return 0.0
    over = place_aim(state, about) + np.array([0.0, 0.0, RELEASE[surface(about)]])
    below = body.position - np.array([0.0, 0.0, body.height / 2])
    aside = float(np.hypot(*(below - over)[:2]))
    return float(np.linalg.norm(below - funnel(over, aside, 0.012, 0.12)))


def release(state: State, about: Mapping[str, str]) -> float:
    """1 while the thing does not lie in its place, or the hand is closed or near it; down to 0."""
    if not _lies(state, about):
        return 1.0
    away = float(np.clip((state.tool[2] - state.bodies[about["object"]].position[2]) / 0.10, 0.0, 1.0))
    return 0.5 * (1.0 - away)


def slide(state: State, about: Mapping[str, str]) -> float:
    """How far from fully open something is, as a share of its travel."""
    return 1.0 - min(predicates.share_open(state, about["target"]), 1.0)


def shut(state: State, about: Mapping[str, str]) -> float:
    """How far from shut something is, as a share of its travel."""
    return max(predicates.share_open(state, about["target"]), 0.0)


def dark(state: State, about: Mapping[str, str]) -> float:
    """1 while the lamp is dark, 0 once it is lit."""
    return 0.0 if predicates.pressed(state, about["target"]) else 1.0


def depth(state: State, about: Mapping[str, str]) -> float:
    """How far the finger tips are above the cap at its stop, m."""
    cap = state.handles[about["target"]]
    aside = float(np.hypot(*(state.tool - cap)[:2]))
    return float(np.linalg.norm(state.tool - funnel(cap - np.array([0.0, 0.0, 0.012]), aside, 0.008, 0.08)))


def fist(state: State, about: Mapping[str, str]) -> float:
    """How far the fingers are from closed, 0 to 1."""
    return min(state.opening / 0.08, 1.0)


def pushed(state: State, about: Mapping[str, str]) -> float:
    """How much less far than wanted, or aside, the thing has been pushed, m."""
    body, heading = state.bodies[about["object"]], predicates.HEADINGS[about["direction"]]
    return float(np.linalg.norm((body.position - body.origin)[:2] - STROKE * heading))


def behind(state: State, about: Mapping[str, str]) -> float:
    """How far the tool is from just behind the thing, as it is to be pushed, over a funnel, m."""
    body, heading = state.bodies[about["object"]], predicates.HEADINGS[about["direction"]]
    start = body.position[:2] - (body.width / 2 + 0.025) * heading
    goal = np.array([*start, 0.022])
    aside = float(np.hypot(*(state.tool - goal)[:2]))
    return float(np.linalg.norm(state.tool - funnel(goal, aside, 0.012, 0.10)))


TERMS: Mapping[str, Callable[[State, Mapping[str, str]], float]] = {
    "approach": approach,
    "grasp": grasp,
    "lift": lift,
    "bring": bring,
    "release": release,
    "slide": slide,
    "shut": shut,
    "dark": dark,
    "depth": depth,
    "fist": fist,
    "pushed": pushed,
    "behind": behind,
}
#: skill -> its terms and their weights: metres and shares brought to one scale.
REWARDS: Mapping[str, tuple[tuple[str, float], ...]] = {
    "pick": (("approach", 10.0), ("grasp", 0.6), ("lift", 10.0)),
    "place": (("bring", 10.0), ("release", 1.0)),
    "push": (("pushed", 20.0), ("behind", 5.0), ("fist", 0.3)),
    "open": (("slide", 2.0), ("approach", 10.0), ("fist", 0.5)),
    "close": (("shut", 2.0), ("approach", 10.0), ("fist", 0.5)),
    "press": (("dark", 1.0), ("depth", 10.0), ("fist", 0.3)),
}


def _lies(state: State, about: Mapping[str, str]) -> bool:
    there = predicates.on if about["relation"] == "on" else predicates.inside
    return there(state, about["object"], about["target"])
