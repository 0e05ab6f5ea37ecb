"""A few demonstrations become many: object-centred segments moved to new scenes and stitched together.

The idea is MimicGen's (Mandlekar et al. 2023): what the hand does near a thing is kept as seen from that
thing, carried over to where the thing is now, and played there. The way between two segments is a straight
line, as in MimicGen, or, as SkillMimicGen (Garrett et al. 2024) found better, planned: here up to where
nothing stands, over, and down. This implementation knows skill calls, so segments come with exact boundaries
and are found again by skill and kinds of things; and it is a `Solver`, so attempts are judged, replanned and
recorded like any others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_skills.robot import TRANSLATION_SCALE, Float
from robot_skills.skill import Skill, SkillCall
from sim.experts.expert import place_aim
from sim.generative.solvers import Controller, UnableError
from sim.generative.task import Task
from sim.generative.trial import attempt
from sim.tabletop.state import State
from sim.tabletop.world import TabletopWorld

Array = NDArray[np.float64]

#: A segment begins where the tool has come this near to its thing, seen from above, m.
NEAR = 0.07
#: Height of the tool on planned ways, m: held things hang 5 cm, pedestals stand 7 cm and carry 5 cm.
OVER = 0.22
#: How far the tool may go in one control step, m.
STRIDE = 0.045


@dataclass(frozen=True)
class Segment:
    """What the hand did about one thing.

    Attributes:
        call: what it carried out.
        tool: positions of the tool as seen from the thing, (T, 3) m.
        grip: commanded, (T,), open below 0.
        reference: where the thing was, (3,) m.
    """

    call: SkillCall
    tool: Array
    grip: Array
    reference: Array


def reference(state: State, call: SkillCall) -> Array:
    """The point that a call is about, (3,) m: the thing, the place where it goes, or the handle."""
    if call.skill in ("pick", "push"):
        return state.bodies[call.args["object"]].position
    return place_aim(state, call.args) if call.skill == "place" else state.handles[call.args["target"]]


def segments_of(
    world: TabletopWorld, task: Task, episode: int, skills: Mapping[str, Skill]
) -> tuple[Segment, ...]:
    """The segments of a scripted demonstration; none when it failed.

    Args:
        world: any; it is reset.
        task: what is demonstrated.
        episode: of the task.
        skills: the cards.
    """
    tools: list[Array] = []
    states: list[State] = []

    def see(action: Float) -> None:
        state = world.state()
        states.append(state)
        tools.append(state.tool)

    trial = attempt(world, task, episode, skills, on_step=see)
    if not (trial.success and trial.held):
        return ()
    found = []
    for call, first, after in trial.segments:
        point = reference(states[first], call)
        way = np.stack(
            [*tools[first + 1 : after], world.state().tool if after >= len(tools) else tools[after]]
        )
        near = np.flatnonzero(np.hypot(*(way - point)[:, :2].T) < NEAR)
        start = int(near[0]) if len(near) else 0
        grips = trial.actions[first:after, 6].astype(float)
        found.append(Segment(call, way[start:] - point, grips[start:], point))
    return tuple(found)


@dataclass(frozen=True)
class Retarget:
    """A `Solver` that plays segments of demonstrations where things are now.

    Attributes:
        bank: segments to choose from: of the same skill on the same things, that whose thing was nearest.
        planned: go between segments up, over and down; else straight.
        noise: standard deviation of what is added to executed translations, in units of an action.
        seed: of the noise.
    """

    bank: Sequence[Segment]
    planned: bool = True
    noise: float = 0.0
    seed: int = 0

    @property
    def name(self) -> str:
        """For reports."""
        return "retargeted, planned" if self.planned else "retargeted, straight"

    def controller(self, call: SkillCall, failures: int = 0) -> tuple[str, Controller]:
        """See `Solver`.

        Raises:
            UnableError: no segment of the bank carries out such a call.
        """
        alike = [segment for segment in self.bank if _alike(segment.call, call)]
        if not alike:
            raise UnableError(f"No demonstration shows {call}.")
        rng = np.random.default_rng([self.seed, failures, *str(call).encode()])
        return self.name, _Play(self, call, alike, rng)


def _alike(known: SkillCall, call: SkillCall) -> bool:
    """The same skill on things of the same kinds, in the same way."""

    def kinds(args: Mapping[str, str]) -> dict[str, str]:
        return {name: value.split()[-1] for name, value in args.items()}

    return known.skill == call.skill and kinds(known.args) == kinds(call.args)


class _Play:
    """Goes to where a segment begins, and plays it."""

    def __init__(
        self, settings: Retarget, call: SkillCall, alike: Sequence[Segment], rng: np.random.Generator
    ) -> None:
        self._settings, self._call, self._alike, self._rng = settings, call, alike, rng
        self._way: list[tuple[Array, float]] | None = None

    def act(self, world: TabletopWorld) -> tuple[Float, bool]:
        """See `Controller`."""
        state = world.state()
        if self._way is None:
            self._way = self._planned(state, 1.0 if world.arm.grip > 0 else -1.0)
        point, grip = self._way.pop(0) if self._way else (state.tool, np.sign(world.arm.grip) or -1.0)
        move = (point - state.tool) / TRANSLATION_SCALE
        move += self._rng.normal(0.0, self._settings.noise, 3) if self._settings.noise else 0.0
        return np.array([*np.clip(move, -1.0, 1.0), 0, 0, 0, grip], np.float32), not self._way

    def _planned(self, state: State, grip: float) -> list[tuple[Array, float]]:
        """Every point of the way there and of the segment, with the grip."""
        here = reference(state, self._call)
        segment = min(self._alike, key=lambda each: float(np.linalg.norm(each.reference - here)))
        points = segment.tool + here
        corners = [points[0]]
        if self._settings.planned:
            height = max(OVER, float(points[0][2]))
            corners = [
                np.array([*state.tool[:2], max(height, float(state.tool[2]))]),
                np.array([*points[0][:2], height]),
                points[0],
            ]
        way, at = list[tuple[Array, float]](), state.tool
        for corner in corners:
            count = max(int(np.ceil(np.linalg.norm(corner - at) / STRIDE)), 1)
            way += [(at + (corner - at) * (step + 1) / count, grip) for step in range(count)]
            at = corner
        way.append((at, float(segment.grip[0])))
        return [*way, *zip(points, segment.grip.tolist(), strict=True)]
