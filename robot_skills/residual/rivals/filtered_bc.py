"""Filtered behaviour cloning: the base is trained further on its demonstrations and its own successes.

No critic, no correction. The base's weights travel with every episode that is asked for, and practice is
explored with the same noise as elsewhere: a base that is deterministic would show what it does already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.policy import Batch as Samples
from robot_skills.policies.visuomotor import VisuomotorPolicy
from robot_skills.residual.config import LearnerConfig
from robot_skills.residual.learner import Learner, Metrics, Snapshot
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import DEMONSTRATION, Replay, Trajectory
from robot_skills.robot import Float

#: Learning rate of the base.
LEARNING_RATE = 3e-4

Rows: TypeAlias = NDArray[np.int64]


class Episodes:
    """Episodes of which rows are drawn: an episode first, each alike, and then a row of it."""

    def __init__(self) -> None:
        self._parts: list[tuple[Float, ...]] = []
        self._columns: tuple[Float, ...] = ()
        self._first = self._length = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._parts)

    def append(self, *columns: Float) -> None:
        """Add an episode of T rows; columns (T, ...)."""
        self._parts.append(columns)

    @property
    def columns(self) -> tuple[Float, ...]:
        """The rows of all episodes, one after the other."""
        self._join()
        return self._columns

    def draw(self, count: int, generator: torch.Generator) -> tuple[Rows, Rows, Rows]:
        """So many rows, as first row of their episode, place in it, and its length; (count,) each."""
        self._join()
        which = torch.randint(len(self), (count,), generator=generator).numpy()
        length = self._length[which]
        at = (torch.rand(count, generator=generator, dtype=torch.float64).numpy() * length).astype(np.int64)
        return self._first[which], at, length

    def _join(self) -> None:
        if len(self._length) < len(self._parts):
            self._columns = tuple(np.concatenate(column) for column in zip(*self._parts, strict=True))
            self._length = np.array([len(columns[0]) for columns in self._parts])
            self._first = np.cumsum(self._length) - self._length


class BaseSnapshot(Snapshot):
    """A base as it stands by now."""

    base: dict[str, Tensor]

    def prepare(self, policy: ResidualPolicy) -> None:
        """Give a policy in another process this base."""
        base = policy.base
        assert isinstance(base, nn.Module)
        base.load_state_dict(self.base)


class FilteredBC(Learner):
    """Trains the base of a policy; for bases that see states alone, one at a time.

    Raises:
        InputError: the base has cameras, or sees more than one state.
    """

    def __init__(self, policy: ResidualPolicy, config: LearnerConfig, seed: int) -> None:
        super().__init__(policy, config, seed)
        base = policy.base
        if not isinstance(base, VisuomotorPolicy) or base.cameras or base.history != 1:
            raise InputError("Filtered cloning here is for a base that sees one state and no images.")
        self._base = base
        self._optimizer = torch.optim.Adam(base.parameters(), LEARNING_RATE)
        self._shown = {True: Episodes(), False: Episodes()}

    def take(self, trajectory: Trajectory) -> None:
        """Keep a success as states and actions."""
        if not trajectory.success:
            return
        kind = bool(trajectory.tags[0] == DEMONSTRATION)
        self._shown[kind].append(self._states(trajectory), trajectory.action)

    def _states(self, trajectory: Trajectory) -> Float:
        """What the base saw (T, S)."""
        measured = self.policy.layout.measured
        return trajectory.inputs[:, measured - self.policy.config.state_size : measured]

    def learn(self, replay: Replay, updates: int, actor: bool = True) -> Metrics:
        """As many updates of the base as the critics would have had, in evaluation mode (no noise)."""
        if not actor or not self._shown[False]:
            return {}
        losses = []
        for _ in range(updates):
            loss, _ = self._base.loss(self._base.stages()[-1].name, self._samples())
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            losses.append(loss.detach())
        self.updates += updates
        return {"loss": float(torch.stack(losses).mean())} if losses else {}

    def _samples(self) -> Samples:
        """Windows, half of them from demonstrations."""
        half = self.config.batch_size // 2
        parts = [self._windows(self._shown[kind] or self._shown[not kind], half) for kind in (True, False)]
        states, actions, ends = (np.concatenate(column) for column in zip(*parts, strict=True))
        count = len(states)
        return Samples(
            images={},
            history=torch.from_numpy(states)[:, None],
            actions=torch.from_numpy(actions),
            end=torch.from_numpy(ends),
            text=[""] * count,
            skill=[""] * count,
            target=torch.full((count, int(self._base.config.target_size)), float("nan")),
            to_go=torch.zeros(count),
        )

    def _windows(self, shown: Episodes, count: int) -> tuple[Float, Float, Float]:
        """States (count, S), the chunks played there (count, T, A), and what of these lies past the end."""
        states, played = shown.columns
        first, at, length = shown.draw(count, self._generator)
        ahead = at[:, None] + np.arange(self._base.chunk)
        rows = first[:, None] + np.minimum(ahead, length[:, None] - 1)
        return states[first + at], played[rows], (ahead >= length[:, None]).astype(np.float32)

    def state(self) -> dict[str, Tensor]:
        """With the base."""
        base = {f"base.{name}": value.detach().clone() for name, value in self._base.state_dict().items()}
        return super().state() | base

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """With the base."""
        base = {name[5:]: value for name, value in tensors.items() if name.startswith("base.")}
        self._base.load_state_dict(base)
        super().load(tensors)

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return super()._optimizers() | {"base_optimizer": self._optimizer}

    def snapshot(self) -> BaseSnapshot:
        """What other processes practise with."""
        made = BaseSnapshot(self.policy.correct(), self.config, self.policy.gripper)
        made.base = {name: value.detach().clone() for name, value in self._base.state_dict().items()}
        return made

    def actor_state(self) -> dict[str, Tensor]:
        """The base, to come back to."""
        return {name: value.detach().clone() for name, value in self._base.state_dict().items()}

    def restore_actor(self, state: Mapping[str, Tensor]) -> None:
        """Come back to a base."""
        self._base.load_state_dict(dict(state))
        self._optimizer.state.clear()
