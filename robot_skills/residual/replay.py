"""What was practised: episodes as rows, and transitions over n steps between them.

A trajectory has T rows: what was seen and done at each control step. Of an episode that ended, every row is
the start of a transition. Of one that ran out of time the last row is what earlier ones bootstrap from: the
task might have gone on, so that its value counts and no reward or end is made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_skills.errors import InputError
from robot_skills.robot import Float

#: Who acted in a row, and where it came from.
DEMONSTRATION, BASE, POLICY, RECOVERY, CORRECTION, BEFORE_TAKEOVER = range(6)
TAGS = ("demonstration", "base", "policy", "recovery", "correction", "before takeover")
#: Sources that count as demonstrations when a batch is drawn.
EXPERT = (DEMONSTRATION, RECOVERY, CORRECTION)
#: Rows a replay begins with; it grows as needed.
ROWS = 8192


@dataclass(frozen=True)
class Trajectory:
    """One episode, T rows.

    Attributes:
        inputs: (T, D) raw, as `control.Seen` has them.
        base: (T, A) the base's actions.
        action: (T, A) as executed.
        tags: (T,) uint8, of `TAGS`.
        success: whether the task was done at its end.
        over: whether it ended, in success or not; False: time ran out.
        seed: of its scene.
    """

    inputs: Float
    base: Float
    action: Float
    tags: NDArray[np.uint8]
    success: bool
    over: bool
    seed: int

    def __post_init__(self) -> None:
        rows = {len(self.inputs), len(self.base), len(self.action), len(self.tags)}
        if len(rows) != 1 or not len(self.tags):
            raise InputError(
                f"A trajectory has as many rows of everything, at least one, not {sorted(rows)}."
            )
        if self.success and not self.over:
            raise InputError("A task that is done is over.")

    def __len__(self) -> int:
        return len(self.tags)


class Steps(NamedTuple):
    """Transitions of an episode, one for each of its first M rows.

    Attributes:
        reward: (M,) discounted sum of the rewards until `following`.
        following: (M,) row that the rest is estimated from.
        discount: (M,) of that estimate; 0 where the episode is over by then.
    """

    reward: Float
    following: NDArray[np.int64]
    discount: Float


def n_steps(rewards: Float, over: bool, n: int, gamma: float, bootstrap: bool = True) -> Steps:
    """The transitions over n steps of an episode.

    Args:
        rewards: (T,) for what was done in each row. Of an episode that ran out of time the last is passed
            over, since what came of it is not known.
        over: whether the episode ended with its last row.
        n: rewards that are summed.
        gamma: discount a step.
        bootstrap: whether a time limit is passed over; False: it counts as an end.
    """
    rows = len(rewards)
    count = rows if over else rows - 1
    start = np.arange(count)
    following = np.minimum(start + n, count)
    reward = np.zeros(count, np.float64)
    for k in range(n):
        inside = start + k < count
        reward[inside] += gamma**k * np.asarray(rewards, np.float64)[start[inside] + k]
    ended = following == count if over or not bootstrap else np.zeros(count, bool)
    discount = np.where(ended, 0.0, gamma ** (following - start).astype(np.float64))
    return Steps(
        reward.astype(np.float32),
        np.minimum(following, rows - 1).astype(np.int64),
        discount.astype(np.float32),
    )


class Batch(NamedTuple):
    """Transitions to learn from; shapes (B, ...)."""

    inputs: Tensor  # (B, D) normalised
    base: Tensor  # (B, A) in units of the action space
    action: Tensor  # (B, A) as executed
    reward: Tensor  # (B,)
    discount: Tensor  # (B,)
    next_inputs: Tensor  # (B, D)
    next_base: Tensor  # (B, A)
    expert: Tensor  # (B,) bool


class Replay:
    """Transitions in memory, from demonstrations and from practice, each drawn from alike.

    Args:
        inputs: D.
        actions: A.
        n: rewards that are summed.
        gamma: discount a step.
        bootstrap: whether time limits are passed over.
    """

    def __init__(self, inputs: int, actions: int, n: int, gamma: float, bootstrap: bool = True) -> None:
        self._n, self._gamma, self._bootstrap = n, gamma, bootstrap
        self._columns = {
            "inputs": torch.zeros(ROWS, inputs),
            "base": torch.zeros(ROWS, actions),
            "action": torch.zeros(ROWS, actions),
            "reward": torch.zeros(ROWS),
            "discount": torch.zeros(ROWS),
            "following": torch.zeros(ROWS, dtype=torch.int64),
            "expert": torch.zeros(ROWS, dtype=torch.bool),
        }
        self._rows = 0
        self._starts: dict[bool, list[Tensor]] = {True: [], False: []}
        self._joined: dict[bool, Tensor] = {}

    def __len__(self) -> int:
        """Transitions that can be drawn."""
        return sum(len(part) for parts in self._starts.values() for part in parts)

    def count(self, expert: bool) -> int:
        """Transitions from demonstrations and takeovers, or from practice."""
        return sum(len(part) for part in self._starts[expert])

    def append(self, trajectory: Trajectory, inputs: Float) -> None:
        """Add an episode.

        Args:
            trajectory: the episode.
            inputs: its inputs (T, D), normalised.
        """
        rewards = np.zeros(len(trajectory), np.float32)
        rewards[-1] = float(trajectory.success)
        steps = n_steps(rewards, trajectory.over, self._n, self._gamma, self._bootstrap)
        first, rows = self._rows, len(trajectory)
        self._grow(first + rows)
        expert = np.isin(trajectory.tags, EXPERT)
        here, count = slice(first, first + rows), len(steps.reward)
        for name, values in (
            ("inputs", inputs),
            ("base", trajectory.base),
            ("action", trajectory.action),
            ("expert", expert),
        ):
            self._columns[name][here] = torch.from_numpy(np.array(values))
        begun = slice(first, first + count)
        self._columns["reward"][begun] = torch.from_numpy(steps.reward)
        self._columns["discount"][begun] = torch.from_numpy(steps.discount)
        self._columns["following"][begun] = torch.from_numpy(steps.following + first)
        starts = torch.arange(first, first + count)
        for kind in (True, False):
            self._starts[kind].append(starts[torch.from_numpy(expert[:count] == kind)])
        self._rows += rows
        self._joined.clear()

    def sample(self, size: int, demonstrations: float, generator: torch.Generator) -> Batch:
        """Draw transitions.

        Args:
            size: B.
            demonstrations: share of them drawn from demonstrations and takeovers, where there are any.
            generator: draws.
        """
        if not self._joined:
            self._joined = {kind: torch.cat(parts) for kind, parts in self._starts.items()}
        wanted = round(size * demonstrations) if self.count(False) else size
        wanted = wanted if self.count(True) else 0
        rows = torch.cat(
            [
                pool[torch.randint(len(pool), (count,), generator=generator)]
                for pool, count in ((self._joined[True], wanted), (self._joined[False], size - wanted))
                if count
            ]
        )
        columns = self._columns
        following = columns["following"][rows]
        return Batch(
            inputs=columns["inputs"][rows],
            base=columns["base"][rows],
            action=columns["action"][rows],
            reward=columns["reward"][rows],
            discount=columns["discount"][rows],
            next_inputs=columns["inputs"][following],
            next_base=columns["base"][following],
            expert=columns["expert"][rows],
        )

    def _grow(self, rows: int) -> None:
        have = len(self._columns["reward"])
        if rows <= have:
            return
        for name, column in self._columns.items():
            larger = column.new_zeros((max(rows, 2 * have), *column.shape[1:]))
            larger[:have] = column
            self._columns[name] = larger
