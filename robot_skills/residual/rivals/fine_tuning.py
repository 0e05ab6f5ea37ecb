"""Plain fine-tuning: the base's own weights follow the critics, beside cloning its demonstrations (TD3+BC).

The chunk that the base gives for a state is judged action by action: the i-th by what the critics say of it
in the state that the robot was in i steps later.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from robot_skills.residual.config import LearnerConfig
from robot_skills.residual.learner import Learner, Metrics
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import Replay, Trajectory
from robot_skills.residual.rivals.filtered_bc import Episodes, FilteredBC


class FineTuning(FilteredBC):
    """Trains the base of a policy by the critics; `trust` weighs cloning its demonstrations and successes."""

    def __init__(self, policy: ResidualPolicy, config: LearnerConfig, seed: int) -> None:
        super().__init__(policy, config, seed)
        self._episodes = Episodes()

    def take(self, trajectory: Trajectory) -> None:
        """Keep an episode whole, and a success to clone."""
        super().take(trajectory)
        x = self.policy.brain().normalise(trajectory.inputs)
        self._episodes.append(self._states(trajectory), x, trajectory.base)

    def learn(self, replay: Replay, updates: int, actor: bool = True) -> Metrics:
        """Critics as everywhere; the base once for every `actor_every` of them."""
        metrics = Learner.learn(self, replay, updates, actor=False)
        if not actor:
            return metrics
        losses = [self._update_base() for _ in range(updates // self.config.actor_every)]
        return metrics | ({"loss": float(torch.stack(losses).mean())} if losses else {})

    def _update_base(self) -> Tensor:
        states, x, base, ahead = self._rows()
        words = [""] * len(states)
        chunks, _ = self._base.act({}, states[:, None], words, words)
        action = chunks[torch.arange(len(chunks)), ahead]
        values = self.policy.critics(x, self._scaled(action), self._distance(base, action))
        cloned, _ = self._base.loss(self._base.stages()[-1].name, self._samples())
        size = values.detach().abs().mean().clamp_min(1e-3)
        loss = -values.mean() / size + self.config.trust * cloned
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._base.parameters(), self.config.gradient_clip)
        self._optimizer.step()
        found: Tensor = loss.detach()
        return found

    def _rows(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """States in which chunks begin; inputs and base's actions of some steps later; how many steps."""
        first, at, length = self._episodes.draw(self.config.batch_size, self._generator)
        later = torch.randint(self._base.execute, (len(at),), generator=self._generator).numpy()
        later = np.minimum(later, length - 1 - at)
        states, x, base = map(torch.from_numpy, self._episodes.columns)
        rows = first + at
        return states[rows], x[rows + later], base[rows + later], torch.from_numpy(later)
