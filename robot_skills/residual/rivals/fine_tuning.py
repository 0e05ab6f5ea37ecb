"""Plain fine-tuning: the base's own weights follow the critics, beside cloning its demonstrations (TD3+BC).

The chunk that the base gives for a state is judged action by action: the i-th by what the critics say of it
in the state that the robot was in i steps later.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from robot_skills.residual.learner import Learner, Metrics
from robot_skills.residual.replay import Replay, Trajectory
from robot_skills.residual.rivals.filtered_bc import FilteredBC
from robot_skills.robot import Float


class FineTuning(FilteredBC):
    """Trains the base of a policy by the critics; `trust` weighs cloning its demonstrations and successes."""

    def take(self, trajectory: Trajectory) -> None:
        """Keep an episode whole, and a success to clone."""
        super().take(trajectory)
        self._episodes = [*getattr(self, "_episodes", []), trajectory]

    def learn(self, replay: Replay, updates: int, actor: bool = True) -> Metrics:
        """Critics as everywhere; the base once for every `actor_every` of them."""
        metrics = Learner.learn(self, replay, updates, actor=False)
        if not actor:
            return metrics
        losses = [self._update_base() for _ in range(updates // self.config.actor_every)]
        return metrics | ({"loss": float(torch.stack(losses).mean())} if losses else {})

    def _update_base(self) -> Tensor:
        states, rows, ahead = self._rows()
        history = torch.from_numpy(states)[:, None]
        words = [""] * len(history)
        chunks, _ = self._base.act({}, history, words, words)
        action = chunks[torch.arange(len(chunks)), ahead]
        inputs, base = (torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))
        x = torch.from_numpy(self.policy.brain().normalise(inputs.numpy()))
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

    def _rows(self) -> tuple[Float, list[tuple[Float, Float]], Tensor]:
        """States in which chunks begin, rows of some steps later, and how many steps."""
        layout, size = self.policy.layout, self.policy.config.state_size
        states, rows, ahead = [], [], []
        for which in torch.randint(len(self._episodes), (self.config.batch_size,), generator=self._generator):
            one = self._episodes[int(which)]
            at = int(torch.randint(len(one), (), generator=self._generator))
            later = int(torch.randint(self._base.execute, (), generator=self._generator))
            later = min(later, len(one) - 1 - at)
            states.append(one.inputs[at, layout.measured - size : layout.measured])
            rows.append((one.inputs[at + later], one.base[at + later]))
            ahead.append(later)
        return np.stack(states), rows, torch.tensor(ahead)
