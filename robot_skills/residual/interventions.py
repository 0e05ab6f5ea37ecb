"""Somebody takes over when failure looms: first back to where the policy is at home, then on to the end.

RaC (recovery and correction, arXiv 2509.07953): every intervention recovers and then corrects, and the
episode ends with it, so that what comes after is not learned from states that only an intervention leads to.
Every row is tagged. A bounded correction cannot turn the base's chunk around: an intervention takes the whole
action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from robot_skills.residual.control import Brain, Controller, Reach, Seen
from robot_skills.residual.replay import BEFORE_TAKEOVER, CORRECTION, POLICY, RECOVERY, Trajectory
from robot_skills.robot import Float

#: Whether to take over now, asked once at every step.
Trigger: TypeAlias = Callable[[Seen], bool]


@dataclass(frozen=True)
class Rules:
    """How an intervention goes.

    Attributes:
        back: control steps of the way that are gone back before correcting; 0 corrects at once (HG-DAgger).
        speed: of going back, as a share of the robot's own.
        opens: whether the gripper opens on the way back.
        before: steps before the takeover that are tagged as what led to it.
        noise: standard deviation on the correction's first three numbers, in which people are not exact.
    """

    back: int = 15
    speed: float = 1.0
    opens: bool = True
    before: int = 10
    noise: float = 0.1


@dataclass
class Intervene:
    """A controller under somebody's eyes.

    Attributes:
        inner: what is watched.
        trigger: says when to take over.
        expert: what the one who takes over would do now; a script that reads the simulator's state, or a
            person at the keys.
        reach: of actions.
        scale: metres that an action of 1 goes in a control step.
        gripper: (A,) which of an action's numbers are the gripper; -1 opens.
        rules: how.
        rng: of the correction's noise.
        tags: of every step so far, values of `replay.TAGS`.
    """

    inner: Controller
    trigger: Trigger
    expert: Callable[[], Float]
    reach: Reach
    scale: float
    gripper: NDArray[np.bool_]
    rules: Rules
    rng: np.random.Generator
    tags: list[int] = field(default_factory=list)
    _way: list[Float] = field(default_factory=list)
    _left: list[Float] | None = None

    def __call__(self, seen: Seen) -> Float:
        """The watched controller's action, or that of whoever has taken over."""
        if self._left is None and self.trigger(seen):
            self._take_over()
        if self._left is None:
            self._way.append(seen.position.copy())
            self.tags.append(POLICY)
            return self.inner(seen)
        if self._left:
            self.tags.append(RECOVERY)
            return self._back(seen)
        self.tags.append(CORRECTION)
        action = self.expert().astype(np.float32)
        action[:3] += self._moves * self.rng.normal(0, self.rules.noise, 3).astype(np.float32)
        return np.clip(action, self.reach.low, self.reach.high)

    @property
    def _moves(self) -> NDArray[np.bool_]:
        """(3,) which of an action's first three numbers move the hand."""
        return ~self.gripper[:3]

    def _take_over(self) -> None:
        rules = self.rules
        count = min(rules.before, len(self.tags))
        self.tags[len(self.tags) - count :] = [BEFORE_TAKEOVER] * count
        self._left = self._way[-rules.back :] if rules.back else []

    def _back(self, seen: Seen) -> Float:
        """Towards the last place of the way that is left; the gripper opened, or as the base has it."""
        assert self._left is not None
        action = np.where(self.gripper, -1.0 if self.rules.opens else seen.base, 0.0).astype(np.float32)
        way = (self._left.pop() - seen.position) / self.scale
        action[:3] += self._moves * np.clip(way, -self.rules.speed, self.rules.speed)
        return np.clip(action, self.reach.low, self.reach.high)


@dataclass
class Doubt:
    """Takes over where the critics have held success unlikely for some steps.

    Attributes:
        brain, reach: of the critics.
        floor: value below which it is unlikely.
        patience: such steps in a row.
        first: steps before which nothing is doubted.
    """

    brain: Brain
    reach: Reach
    floor: float
    patience: int = 10
    first: int = 20
    _low: int = 0
    _step: int = 0

    def __call__(self, seen: Seen) -> bool:
        """Whether to take over now."""
        self._step += 1
        action = self.reach.apply(seen.base, np.zeros_like(seen.base))[None]
        x = self.brain.normalise(seen.inputs)
        values = self.brain.values(x, self.reach.scaled(action), np.zeros_like(action))
        self._low = self._low + 1 if values.mean() < self.floor else 0
        return self._step > self.first and self._low >= self.patience


@dataclass
class Stuck:
    """Takes over where the hand has hardly moved for some steps, or an episode has taken too long.

    Attributes:
        still: metres; less over the last `patience` steps is hardly anything.
        patience: steps.
        latest: step at which it takes over in any case.
    """

    still: float = 0.005
    patience: int = 20
    latest: int = 120
    _places: list[Float] = field(default_factory=list)

    def __call__(self, seen: Seen) -> bool:
        """Whether to take over now."""
        self._places.append(seen.position.copy())
        if len(self._places) <= self.patience:
            return False
        moved = float(np.linalg.norm(self._places[-1] - self._places[-1 - self.patience]))
        return moved < self.still or len(self._places) > self.latest


@dataclass
class ByChance:
    """Takes over at a step drawn for the episode: what triggers are measured against.

    Attributes:
        step: at which.
    """

    step: int
    _at: int = 0

    def __call__(self, seen: Seen) -> bool:
        """Whether to take over now."""
        self._at += 1
        return self._at > self.step


def parts(trajectory: Trajectory) -> list[Trajectory]:
    """What the policy did and what was done for it, as two episodes; one, where nobody took over.

    Left to itself the policy would have failed: its part ends in failure, and no value flows back from what
    the other one made of it.
    """
    taken = np.isin(trajectory.tags, (RECOVERY, CORRECTION))
    if not taken.any():
        return [trajectory]
    first = int(np.argmax(taken))
    found = [_rows(trajectory, slice(first, None))]
    if first:
        before = _rows(trajectory, slice(0, first))
        found.insert(0, replace(before, success=False, over=True))
    return found


def _rows(trajectory: Trajectory, rows: slice) -> Trajectory:
    columns = {name: getattr(trajectory, name)[rows] for name in ("inputs", "base", "action", "tags")}
    return replace(trajectory, **columns)


def ratio(trajectories: list[Trajectory]) -> float:
    """Steps of recovery for each of correction; the paper keeps between 1 and 1/2."""
    tags = np.concatenate([one.tags for one in trajectories])
    return float((tags == RECOVERY).sum() / max((tags == CORRECTION).sum(), 1))
