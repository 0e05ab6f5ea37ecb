"""Ways to carry out a skill call, and a portfolio that tries the cheap ones first and remembers who won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import JobError
from robot_skills.library import SkillLibrary
from robot_skills.logic import Formula
from robot_skills.robot import ACTION_SIZE, Float
from robot_skills.skill import SkillCall
from sim.experts.expert import RETREAT, expert_for, towards
from sim.generative.rewards import cost, terms_for
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld

Array = NDArray[np.float64]


#: Control steps in a row for which a goal must hold before it counts as reached: what falls may bounce.
LASTING = 2
#: Noise of every other plan, as a share of that of the rest.
FINE = 0.25


class UnableError(JobError):
    """A solver has no way to carry out a call; the attempt ends there, and is judged as it stands."""


class Controller(Protocol):
    """Carries out one skill call, a control step at a time."""

    def act(self, world: TabletopWorld) -> tuple[Float, bool]:
        """The next action, (7,) float32, and whether the skill is over."""
        ...


class Solver(Protocol):
    """A way to carry out skill calls."""

    def controller(self, call: SkillCall, failures: int = 0) -> tuple[str, Controller]:
        """The name of what carries out a call, and a controller for it.

        Args:
            call: what is to be done.
            failures: how often it was tried in vain in this attempt.

        Raises:
            UnableError: it cannot carry out such a call at all.
        """
        ...


class Scripted:
    """The scripted experts."""

    name = "scripted"

    def controller(self, call: SkillCall, failures: int = 0) -> tuple[str, Controller]:
        """See `Solver`."""
        return self.name, _Follow(call)


class _Follow:
    def __init__(self, call: SkillCall) -> None:
        self._expert = expert_for(call)

    def act(self, world: TabletopWorld) -> tuple[Float, bool]:
        """See `Controller`."""
        return self._expert.act(world.state())


@dataclass(frozen=True)
class Sampling:
    """Sampling-based model predictive control on the simulator itself.

    Each time, plans are drawn around the best one so far, rolled out, and averaged by their costs (MPPI;
    Williams et al., ICRA 2017), or the best is taken (`temperature` 0: predictive sampling; Howell et al.,
    2022). A plan is a spline of translations and one grip for each knot.

    Attributes:
        samples: plans each time, an even number; the best so far and standing still are two of them.
        horizon: control steps that are looked ahead.
        knots: of the spline.
        noise: standard deviation of the drawn translations, in units of an action.
        flips: chance that the grip of a knot is another than in the best plan.
        temperature: of the softmax, relative to the spread of the costs; 0 takes the best.
        play: control steps that are played of a plan before the next is drawn.
        seed: of the draws.
    """

    samples: int = 20
    horizon: int = 6
    knots: int = 3
    noise: float = 0.45
    flips: float = 0.15
    temperature: float = 0.0
    play: int = 2
    seed: int = 0

    @property
    def name(self) -> str:
        """For reports."""
        return "predictive sampling" if self.temperature == 0.0 else "MPPI"

    def controller(self, call: SkillCall, failures: int = 0) -> tuple[str, Controller]:
        """See `Solver`."""
        return self.name, _Descend(self, call, failures)


class _Descend:
    """A plan that is improved as it is played."""

    def __init__(self, settings: Sampling, call: SkillCall, failures: int) -> None:
        self._settings, self._terms = settings, terms_for(call)
        self._goal: Formula = SkillLibrary.open().skills[call.skill].goal(call)
        self._rng = np.random.default_rng([settings.seed, failures, *str(call).encode()])
        self._target = call.args.get("target", "")
        grip = 1.0 if call.skill != "pick" else -1.0
        self._plan = np.zeros((settings.horizon, ACTION_SIZE))
        self._plan[:, 6] = grip
        self._left, self._held = 0, 0

    def act(self, world: TabletopWorld) -> tuple[Float, bool]:
        """See `Controller`; once the goal holds for good, straight up and over."""
        state = world.state()
        self._held = self._held + 1 if scene_graph(state).holds(self._goal) else 0
        if self._held > LASTING:
            grip = -1.0 if world.arm.grip < 0 else 1.0
            handle = state.handles.get(self._target)
            # Out of the gap of a handle from its middle: pressed against it, the fingers would not slide up.
            stuck = handle is not None and state.tool[2] < handle[2] + 0.04
            way_out = handle if stuck and handle is not None else state.tool
            return towards(state, np.array([*way_out[:2], RETREAT]), grip), state.tool[2] > RETREAT - 0.02
        if self._left == 0:
            self._improve(world)
            self._left = self._settings.play
        self._left -= 1
        action = self._plan[0].astype(np.float32)
        self._plan = np.concatenate([self._plan[1:], self._plan[-1:]])
        return action, False

    def _improve(self, world: TabletopWorld) -> None:
        """Draw plans around the present one, try them all, and put the best, or their mean, in its place."""
        settings = self._settings
        still = self._plan * np.array([0.0] * 6 + [1.0])
        drawn = (self._drawn(scale) for _ in range(settings.samples // 2 - 1) for scale in (1.0, FINE))
        plans = np.stack([self._plan, still, *drawn])
        saved = world.save()
        costs = np.empty(len(plans))
        for number, plan in enumerate(plans):
            costs[number] = self._roll_out(world, plan)
            world.restore(saved)
        world.forget(saved)
        best = plans[int(costs.argmin())]
        if settings.temperature > 0.0:
            scale = settings.temperature * max(float(costs.std()), 1e-9)
            weights = np.exp(-(costs - costs.min()) / scale)
            mean = np.tensordot(weights / weights.sum(), plans, axes=1)
            mean[:, 6] = best[:, 6]
            best = mean
        self._plan = best

    def _drawn(self, scale: float) -> Array:
        """A plan near the present one; half of them are drawn nearer, for the last millimetres."""
        settings = self._settings
        at = np.linspace(0, settings.horizon - 1, settings.knots)
        noise = self._rng.normal(0.0, scale * settings.noise, (settings.knots, 3))
        plan = self._plan.copy()
        steps = np.arange(settings.horizon)
        for axis in range(3):
            plan[:, axis] = np.clip(plan[:, axis] + np.interp(steps, at, noise[:, axis]), -1.0, 1.0)
        flips = self._rng.random(settings.knots) < settings.flips
        nearest = np.abs(steps[:, None] - at[None]).argmin(axis=1)
        plan[:, 6] = np.where(flips[nearest], -plan[:, 6], plan[:, 6])
        return plan

    def _roll_out(self, world: TabletopWorld, plan: Array) -> float:
        """Mean cost along a plan, the end counted twice."""
        costs = []
        for action in plan:
            world.act(action.astype(np.float32))
            costs.append(cost(world.state(), self._terms))
        return (sum(costs) + costs[-1]) / (len(plan) + 1)


@dataclass(frozen=True)
class Portfolio:
    """Solvers in the order of their cost: a call that failed with one is tried with the next."""

    solvers: Sequence[Solver]

    def controller(self, call: SkillCall, failures: int = 0) -> tuple[str, Controller]:
        """See `Solver`."""
        return self.solvers[min(failures, len(self.solvers) - 1)].controller(call, failures)


#: Every solver by name.
SOLVERS: Mapping[str, Solver] = {
    "scripted": Scripted(),
    "predictive sampling": Sampling(),
    "MPPI": Sampling(temperature=0.3),
    "portfolio": Portfolio((Scripted(), Sampling())),
}
