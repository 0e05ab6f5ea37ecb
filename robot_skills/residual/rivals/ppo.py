"""The same correction learned on-policy: PPO (Schulman et al. 2017), as ResiP has it (arXiv 2407.16677).

The actor gives the mean of a Gaussian over corrections, whose width is learned too. It moves when enough
steps have been practised, over some epochs on these alone, and they are then forgotten.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.residual.config import Gate, LearnerConfig
from robot_skills.residual.control import Controller, Correct, Explore
from robot_skills.residual.learner import Learner, Metrics, Snapshot
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import DEMONSTRATION, Replay, Trajectory
from robot_skills.robot import Float

#: Steps of practice between two updates; epochs; share that a ratio may move; of GAE; weight of the entropy.
HORIZON, EPOCHS, CLIP, LAMBDA, ENTROPY = 2048, 10, 0.2, 0.95, 1e-3
#: Logarithm of the standard deviation at first, in bounds.
LOG_STD = -1.0


class PpoSnapshot(Snapshot):
    """A Gaussian around the correction."""

    sigma: Float

    def controller(self, rng: np.random.Generator | None) -> Controller:
        """Draw each step's correction anew; without a generator, the mean."""
        correct = Correct(self.correct.brain, self.reach, Gate())
        return correct if rng is None else Explore(correct, self.sigma, 0.0, rng)


class Ppo(Learner):
    """Learns the correction of a policy from the steps just practised."""

    def __init__(self, policy: ResidualPolicy, config: LearnerConfig, seed: int) -> None:
        super().__init__(policy, config, seed)
        size, width = policy.layout.size, policy.config.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._value = nn.Sequential(
                nn.Linear(size, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
            )
        self._log_std = nn.Parameter(torch.full((policy.config.action_size,), LOG_STD))
        parts = [*policy.actor.parameters(), *self._value.parameters(), self._log_std]
        self._actor_optimizer = torch.optim.Adam(parts, config.actor_learning_rate)
        self._recent: list[Trajectory] = []

    def take(self, trajectory: Trajectory) -> None:
        """Keep what was practised since the last update."""
        if trajectory.tags[0] != DEMONSTRATION:
            self._recent.append(trajectory)

    def learn(self, replay: Replay, updates: int, actor: bool = True) -> Metrics:
        """Nothing, until there are enough steps; then some epochs on them."""
        if not actor:  # what filled the replay was not drawn from this policy
            self._recent = []
            return {}
        if sum(map(len, self._recent)) < HORIZON:
            return {}
        x, u, advantage, returns = self._gathered()
        with torch.no_grad():
            before = self._log_likelihood(x, u)
        self._recent, losses = [], []
        for _ in range(EPOCHS):
            order = torch.randperm(len(x), generator=self._generator)
            for rows in torch.split(order, self.config.batch_size):
                ratio = (self._log_likelihood(x[rows], u[rows]) - before[rows]).exp()
                gain = advantage[rows]
                clipped = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain)
                value = F.mse_loss(self._value(x[rows]).squeeze(-1), returns[rows])
                loss = -clipped.mean() + value - ENTROPY * self._log_std.sum()
                self._actor_optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self._actor_optimizer.step()
                losses.append(loss.detach())
        self.updates += len(losses)
        with torch.no_grad():
            size = self.policy.actor(x).abs().mean()
        return {"loss": float(torch.stack(losses).mean()), "correction": float(size)}

    def _gathered(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs, corrections, advantages (normalised) and returns of the steps since the last update."""
        parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for one in self._recent:
            x = torch.from_numpy(self.policy.brain().normalise(one.inputs))
            u = self._distance(torch.tensor(one.base), torch.tensor(one.action))
            with torch.no_grad():
                values = self._value(x).squeeze(-1)
            count = len(one) if one.over else len(one) - 1
            advantages = torch.zeros(count)
            carried = torch.zeros(())
            for step in reversed(range(count)):
                last = one.over and step == count - 1
                following = torch.zeros(()) if last else values[step + 1]
                reward = float(last and one.success)
                error = reward + self.config.gamma * following - values[step]
                carried = error + (0.0 if last else self.config.gamma * LAMBDA) * carried
                advantages[step] = carried
            parts.append((x[:count], u[:count], advantages, advantages + values[:count]))
        x, u, advantage, returns = (torch.cat(column) for column in zip(*parts, strict=True))
        return x, u, (advantage - advantage.mean()) / (advantage.std() + 1e-6), returns

    def _log_likelihood(self, x: Tensor, u: Tensor) -> Tensor:
        normal = torch.distributions.Normal(self.policy.actor(x), self._log_std.exp())
        total: Tensor = normal.log_prob(u).sum(-1)  # type: ignore[no-untyped-call]
        return total

    def state(self) -> dict[str, Tensor]:
        """With the value network and the width."""
        own = {f"value.{name}": value for name, value in self._value.state_dict().items()}
        return super().state() | own | {"log_std": self._log_std.detach().clone()}

    def load(self, tensors: dict[str, Tensor]) -> None:  # type: ignore[override]
        """With the value network and the width; steps since the last update are practised anew."""
        self._value.load_state_dict(
            {name.removeprefix("value."): value for name, value in tensors.items() if name[:6] == "value."}
        )
        with torch.no_grad():
            self._log_std.copy_(tensors["log_std"])
        super().load(tensors)

    def snapshot(self) -> PpoSnapshot:
        """What other processes practise with."""
        made = PpoSnapshot(self.policy.correct(), self.config, self.policy.gripper)
        made.sigma = self._log_std.detach().exp().numpy().astype(np.float32)
        return made
