"""Filtered behaviour cloning: the base is trained further on its demonstrations and its own successes.

No critic, no correction. The base's weights travel with every episode that is asked for, and practice is
explored with the same noise as elsewhere: a base that is deterministic would show what it does already.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.policy import Batch as Samples
from robot_skills.policies.visuomotor import VisuomotorPolicy
from robot_skills.residual.config import LearnerConfig
from robot_skills.residual.learner import Learner, Metrics, Snapshot
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import Replay, Trajectory
from robot_skills.robot import Float

#: Learning rate of the base.
LEARNING_RATE = 3e-4


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
        self._shown: dict[bool, list[tuple[Float, Float]]] = {True: [], False: []}

    def take(self, trajectory: Trajectory) -> None:
        """Keep a success as states and actions."""
        if not trajectory.success:
            return
        measured = self.policy.layout.measured
        states = trajectory.inputs[:, measured - self.policy.config.state_size : measured]
        self._shown[bool(trajectory.tags[0] == 0)].append((states, trajectory.action))

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
        chunk, half = self._base.chunk, self.config.batch_size // 2
        states, actions, ends = [], [], []
        for kind in (True, False):
            shown = self._shown[kind] or self._shown[not kind]
            for which in torch.randint(len(shown), (half,), generator=self._generator).tolist():
                seen, done = shown[which]
                at = int(torch.randint(len(seen), (), generator=self._generator))
                ahead = np.arange(at, at + chunk)
                states.append(seen[at])
                actions.append(done[np.minimum(ahead, len(seen) - 1)])
                ends.append((ahead >= len(seen)).astype(np.float32))
        count = len(states)
        return Samples(
            images={},
            history=torch.from_numpy(np.stack(states))[:, None],
            actions=torch.from_numpy(np.stack(actions)),
            end=torch.from_numpy(np.stack(ends)),
            text=[""] * count,
            skill=[""] * count,
            target=torch.full((count, int(self._base.config.target_size)), float("nan")),
            to_go=torch.zeros(count),
        )

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
