"""Mishaps on the tabletop, drawn by seed and brought about in its physics: to measure what copes with them.

A `FaultyTabletop` stands between the skills and the world. At the beginning of each call it draws whether
something goes wrong, and what: the grip fails, somebody moves the thing, the drawer or door slides shut
again, or the skill stops too early. It reads simulator state, to tell when and where; who runs the skills is
not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError
from robot_skills.execution import Step
from robot_skills.robot import Float, Observation, RobotSpec
from robot_skills.skill import SkillCall
from sim.tabletop import predicates
from sim.tabletop.scene import AREA
from sim.tabletop.state import State
from sim.tabletop.world import TabletopWorld

#: Control steps: when a mishap comes at the earliest and the latest; how long a failing grip is open.
EARLIEST, LATEST, OPEN_FOR = 2, 7, 4
#: How far somebody moves a thing, m, and the room that is left around it.
MOVED, ROOM = (0.05, 0.09), 0.02
#: Share of its travel that a drawer or door slides in a control step, and how near the hand stops it, m.
SLIDE, HAND_NEAR = 0.05, 0.09


class Mishap(str, Enum):
    """What goes wrong."""

    DROP = "drop"  # the fingers open for a moment once the thing is held
    MOVE = "move"  # somebody moves the thing before it is grasped or pushed
    SHUT = "shut"  # what stands open slides shut again
    STOP = "stop"  # the skill says that it is over when it is not


@dataclass(frozen=True)
class Injected:
    """A mishap that was drawn.

    Attributes:
        number: of the call, from 0.
        step: control step of the call from which on it may happen.
    """

    number: int
    call: SkillCall
    mishap: Mishap
    step: int


class FaultyTabletop:
    """The tabletop as a `Robot` with mishaps.

    Args:
        world: what is moved.
        rate: probability of a mishap in a call.
        seed: with the number of the call, fixes what is drawn.

    Attributes:
        injected: the mishaps so far, in order.
    """

    def __init__(self, world: TabletopWorld, rate: float, seed: int) -> None:
        if not 0.0 <= rate <= 1.0:
            raise InputError(f"The rate of mishaps is between 0 and 1, not {rate}.")
        self._world, self._rate, self._seed = world, rate, seed
        self._rng = np.random.default_rng([seed, 0])
        self._calls, self._step = 0, 0
        self._now: Injected | None = None
        self._opened = 0  # control steps for which the grip has failed
        self.injected: list[Injected] = []

    @property
    def spec(self) -> RobotSpec:
        """The world's."""
        return self._world.spec

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """As the world is seen."""
        return self._world.observe(cameras)

    def stop(self) -> None:
        """Hold the pose as it is."""
        self._world.stop()

    def begin(self, call: SkillCall) -> None:
        """Draw what goes wrong with a call, before it is run."""
        self._rng = np.random.default_rng([self._seed, self._calls])
        happens, kinds = self._rng.random() < self._rate, mishaps(call, self._world.state())
        kind = kinds[int(self._rng.integers(len(kinds)))]
        step = int(self._rng.integers(EARLIEST, LATEST + 1))
        self._now = Injected(self._calls, call, kind, step) if happens else None
        if self._now is not None:
            self.injected.append(self._now)
        self._calls, self._step, self._opened = self._calls + 1, 0, 0

    def act(self, action: Float) -> None:
        """Carry out one action, with what goes wrong at this step."""
        now = self._now
        if now is not None and self._step >= now.step:
            if now.mishap is Mishap.DROP:
                action = self._weaken(action, now.call)
            elif now.mishap is Mishap.MOVE and self._step == now.step:
                self._move(now.call)
            elif now.mishap is Mishap.SHUT and now.call.skill != "open":
                self._slide(now.call)
        self._step += 1
        self._world.act(action)

    def on_step(self, step: Step) -> str | None:
        """What ends the skill too early, as `robot_skills.execution.execute` takes it."""
        now = self._now
        if now is not None and now.mishap is Mishap.STOP and step.number >= now.step:
            return "The policy says it is over, and the goal is not reached."
        return None

    def end(self) -> None:
        """After the call: what was opened may slide shut while the arm stands still."""
        now, self._now = self._now, None
        if now is None or now.mishap is not Mishap.SHUT or now.call.skill != "open":
            return
        for _ in range(round(1 / SLIDE)):
            self._slide(now.call)
            self._world.act(self._world.arm.still())

    def _weaken(self, action: Float, call: SkillCall) -> Float:
        """The action with the fingers opening, for a moment, once the thing is held."""
        held = predicates.holding(self._world.state(), call.args["object"])
        if self._opened >= OPEN_FOR or not (held or self._opened):
            return action
        self._opened += 1
        weak: Float = action.copy()
        weak[6] = -1.0
        return weak

    def _move(self, call: SkillCall) -> None:
        name, state = call.args["object"], self._world.state()
        if name not in state.gripped:
            place = free_place(name, state, self._rng)
            if place is not None:
                self._world.put(name, place)

    def _slide(self, call: SkillCall) -> None:
        state, fixture = self._world.state(), call.args["target"]
        near = np.linalg.norm(state.tool - state.handles[fixture]) < HAND_NEAR
        inside = fixture == "drawer" and np.linalg.norm(state.tool - state.tray) < HAND_NEAR
        if call.skill == "open" or not (near or inside):
            self._world.slide(fixture, max(predicates.share_open(state, fixture) - SLIDE, 0.0))


def mishaps(call: SkillCall, state: State) -> tuple[Mishap, ...]:
    """What can go wrong with a call."""
    kinds = [Mishap.STOP]
    if call.skill in ("pick", "place"):
        kinds.append(Mishap.DROP)
    if call.skill in ("pick", "push"):
        kinds.append(Mishap.MOVE)
    target = call.args.get("target")
    fixed = target in predicates.TRAVEL and target in state.handles
    if call.skill == "open" or (call.skill == "place" and fixed):
        kinds.append(Mishap.SHUT)
    return tuple(kinds)


def free_place(name: str, state: State, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """Where somebody may move a thing on the table, (3,) m: a few cm away, clear of all else."""
    body = state.bodies[name]
    if not predicates.on(state, name, "table") or any(
        predicates.on(state, other, name) for other in state.bodies if other != name
    ):
        return None
    (x_low, x_high), (y_low, y_high) = AREA
    for _ in range(40):
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(*MOVED)
        place = body.position + far * np.array([np.cos(angle), np.sin(angle), 0.0])
        inside = x_low < place[0] < x_high and y_low < place[1] < y_high
        others = [(each.position, each.width) for other, each in state.bodies.items() if other != name]
        others += [(point, 0.09) for point in (state.handles.get("button"), state.tool) if point is not None]
        gaps = (np.linalg.norm(place[:2] - at[:2]) - (width + body.width) / 2 for at, width in others)
        if inside and all(gap > ROOM for gap in gaps):
            return np.asarray(place)
    return None
