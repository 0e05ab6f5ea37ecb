"""The update: critics on targets over n steps, the actor on the critics within a trust region.

    y_k    = clip(r_n + discount * min over some heads Q'(s', a'), 0, 1)
    critic   mean over heads of mean (Q_k - y_k)^2: every head has its own error
    actor    -g . u / mean |Q| + trust * |u|^2,   g: what the heads agree on of dQ_k/du

TD3 (Fujimoto et al. 2018), the subset of REDQ (Chen et al. 2021), Q divided by its size as TD3+BC (Fujimoto
and Gu 2021) and DICE-RL have it, here against the distance from the base. Heads share batches and targets, or
learn apart, so that they differ where the data leave a value open (MSG, Ghasemipour et al. 2022, arXiv
2205.13703). Of a slope's numbers the heads agree on sign(mean) * max(|mean| - doubt * deviation, 0).
Trust and doubt may fade as practice comes up to the base.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_skills.errors import InputError
from robot_skills.policies.policy import to_numpy
from robot_skills.residual.config import Gate, LearnerConfig
from robot_skills.residual.control import LIMIT, Controller, Correct, Explore, Reach
from robot_skills.residual.networks import FARTHEST
from robot_skills.residual.policy import FLOOR, SHORTFALL, ResidualPolicy
from robot_skills.residual.replay import Batch, Replay, Trajectory
from robot_skills.robot import Float

Metrics = dict[str, float]

#: Transitions for an update of the actor, of those that the critics have just learned from.
ACTOR_ROWS = 256


class Learner:
    """Learns the correction of a residual policy in place.

    Args:
        policy: whose actor and critics are learned.
        config: how.
        seed: of batches and of the noise in targets.

    Raises:
        InputError: scenes are to be moved by numbers that the state does not have.
    """

    def __init__(self, policy: ResidualPolicy, config: LearnerConfig, seed: int) -> None:
        self.policy, self.config = policy, config
        check_moves(config, policy.config.state_size)
        policy.critics.norm = config.normalise
        self.target = copy.deepcopy(policy.critics).requires_grad_(False)
        self._critic_optimizer = torch.optim.Adam(
            policy.critics.parameters(), config.learning_rate, fused=True
        )
        self._actor_optimizer = torch.optim.Adam(
            policy.actor.parameters(), config.actor_learning_rate, fused=True
        )
        self._generator = torch.Generator().manual_seed(seed)
        self.updates = 0
        self._low, self._high = (policy.get_buffer(name) for name in ("action_low", "action_high"))
        self._bound = policy.get_buffer("bound")

    def replay(self) -> Replay:
        """An empty replay for what this learns from."""
        config, policy = self.config, self.policy.config
        return Replay(
            self.policy.layout.size, policy.action_size, config.n_step, config.gamma, config.bootstrap
        )

    def controller(self, rng: np.random.Generator | None) -> Controller:
        """What practises as things stand; without a generator: what has been learned, unexplored."""
        return self.snapshot().controller(rng)

    def snapshot(self) -> Snapshot:
        """What other processes practise with."""
        return Snapshot(self.policy.correct(), self.config, self.policy.gripper)

    # Learning -----------------------------------------------------------------------------------------

    def learn(self, replay: Replay, updates: int, actor: bool = True) -> Metrics:
        """Update critics so many times, and the actor in between.

        Returns:
            Means over these updates, empty if there were none; see `docs/residual.md`.
        """
        config, parts = self.config, dict[str, list[Tensor]]()
        done = 0
        rows = config.batch_size * (self.policy.critics.heads if config.apart else 1)
        directions = self.directions()
        while done < updates:
            group = min(config.actor_every, updates - done)
            batch = replay.sample(rows * group, config.demonstrations, self._generator)
            order = torch.randperm(len(batch.reward), generator=self._generator)
            batch = self.view(self._shifted(Batch(*(column[order] for column in batch)), directions))
            logged = self._update_critics(batch, group)
            if actor:
                logged |= self._update_actor(_part(batch, slice(0, ACTOR_ROWS)))
            for name, value in logged.items():
                parts.setdefault(name, []).append(value)
            done += group
        self.updates += updates
        return {name: float(torch.stack(values).mean()) for name, values in parts.items()}

    def take(self, trajectory: Trajectory) -> None:
        """Hear of an episode that joins the replay; for what is learned from whole episodes."""

    def view(self, batch: Batch) -> Batch:
        """What is made of a batch before it is learned from."""
        return batch

    def directions(self) -> Tensor:
        """How normalised inputs change where the whole scene is moved by 1 along each of M axes: (M, D).

        Numbers that have not changed by half a millimetre so far are no positions, and stay.
        """
        policy, moves = self.policy, self.config.moves
        layout, std = policy.layout, policy.get_buffer("inputs_std")
        change = torch.zeros(len(moves), layout.size)
        for row, numbers in enumerate(moves):
            for number in numbers:
                columns = torch.arange(layout.features + number, layout.measured, policy.config.state_size)
                columns = columns[std[columns] > FLOOR]
                change[row, columns] = 1 / std[columns]
        change[:, : layout.measured] = change[:, : layout.measured] @ policy.get_buffer("inputs_turn")
        return change

    def _shifted(self, batch: Batch, directions: Tensor) -> Batch:
        """Transitions, each in its scene moved as a whole; the base's actions as they were."""
        if not self.config.shift:
            return batch
        drawn = torch.randn(len(batch.reward), len(directions), generator=self._generator)
        moved = self.config.shift * drawn @ directions
        return batch._replace(
            inputs=(batch.inputs + moved).clamp(-LIMIT, LIMIT),
            next_inputs=(batch.next_inputs + moved).clamp(-LIMIT, LIMIT),
        )

    def _update_critics(self, batch: Batch, group: int) -> dict[str, Tensor]:
        config, critics = self.config, self.policy.critics
        # (H, rows) where heads learn apart, else (1, rows)
        given = critics.heads if config.apart else 1
        batch = Batch(*(column.view(given, -1, *column.shape[1:]) for column in batch))
        targets = self._targets(batch)
        size, losses = targets.shape[1] // group, []
        distance = self._distance(batch.base, batch.action)
        told = self._scaled(batch.action)
        for k in range(group):
            rows = slice(k * size, (k + 1) * size)
            values = critics(batch.inputs[:, rows], told[:, rows], distance[:, rows])
            loss = (values - targets[:, rows]).square().mean(1).sum()
            self._critic_optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(critics.parameters(), config.gradient_clip)
            self._critic_optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(list(self.target.parameters()), list(critics.parameters()), config.tau)
            losses.append(loss.detach() / critics.heads)
        return {
            "critic_loss": torch.stack(losses).mean(),
            "q": values.detach().mean(),
            "target": targets.mean(),
        }

    @torch.no_grad()
    def _targets(self, batch: Batch) -> Tensor:
        """What the critics should say of a batch (G, N): (G, N); G is the number of heads, or 1."""
        config = self.config
        u = self.policy.actor(batch.next_inputs)
        if config.smoothing:
            noise = torch.randn(u.shape, generator=self._generator) * config.smoothing
            u = (u + noise.clamp(-2 * config.smoothing, 2 * config.smoothing)).clamp(-1, 1)
        return self._bootstrapped(batch, self._least(batch, self._moved(batch.next_base, u), self._drawn()))

    def _bootstrapped(self, batch: Batch, following: Tensor) -> Tensor:
        """Rewards and what follows them."""
        targets: Tensor = batch.reward + batch.discount * following
        return targets.clamp(0, 1) if self.config.clip_targets else targets

    def _drawn(self) -> list[Tensor]:
        """Heads (G,) of which the smallest estimates count, `subset` times.

        Heads that learn apart: the first is each one's own. Otherwise those are drawn that all learn from.
        """
        heads, subset = self.target.heads, self.config.subset
        order = torch.randperm(heads, generator=self._generator)
        if not self.config.apart:
            return [order[k : k + 1] for k in range(min(subset, heads))]
        shifts = [0, *(int(shift) for shift in order if shift)][:subset]
        return [(torch.arange(heads) + shift) % heads for shift in shifts]

    def _least(self, batch: Batch, action: Tensor, drawn: list[Tensor]) -> Tensor:
        """The smallest that target critics say of next actions (G, N, A): (G, N)."""
        told, distance = self._scaled(action), self._distance(batch.next_base, action)
        values = [self.target(batch.next_inputs, told, distance, heads) for heads in drawn]
        return torch.stack(values).amin(0)

    def _update_actor(self, batch: Batch) -> dict[str, Tensor]:
        config, policy = self.config, self.policy
        held = policy.get_buffer(SHORTFALL) if config.fading else 1.0
        u = policy.actor(batch.inputs)
        tried = u.detach().expand(policy.critics.heads, *u.shape).clone().requires_grad_()
        action = self._moved(batch.base, tried)
        values = policy.critics(batch.inputs, self._scaled(action), self._distance(batch.base, action))
        (slopes,) = torch.autograd.grad(values.sum(), tried)
        mean, deviation = slopes.mean(0), slopes.std(0, correction=0)
        slope = mean.sign() * (mean.abs() - held * config.doubt * deviation).clamp_min(0)
        found, size = u.detach(), values.detach().abs().mean().clamp_min(1e-3)
        self._actor_optimizer.zero_grad()
        u.backward((2 * held * config.trust * found - slope / size) / len(u))
        torch.nn.utils.clip_grad_norm_(policy.actor.parameters(), config.gradient_clip)
        self._actor_optimizer.step()
        return {
            "disagreement": values.detach().std(0).mean(),
            "slope": mean.norm(dim=1).mean(),
            "agreed": slope.norm(dim=1).mean() / mean.norm(dim=1).mean().clamp_min(1e-9),
            "correction": found.abs().mean(),
            "saturated": (found.abs() > 0.95).float().mean(),
        }

    def _moved(self, base: Tensor, u: Tensor) -> Tensor:
        """As `Reach.apply`, where nothing limits workspace and speed."""
        return torch.minimum(torch.maximum(base + u * self._bound, self._low), self._high)

    def _distance(self, base: Tensor, action: Tensor) -> Tensor:
        """As `Reach.distance`, cut off where the critics do."""
        safe = torch.where(self._bound > 0, self._bound, torch.ones_like(self._bound))
        return ((action - base) / safe * (self._bound > 0)).clamp(-FARTHEST, FARTHEST)

    def _scaled(self, action: Tensor) -> Tensor:
        """As `Reach.scaled`."""
        return (2 * action - self._low - self._high) / (self._high - self._low)

    def bias(self, trajectory: Trajectory) -> float:
        """How far the critics' values of what was done lie above what came of it, on average.

        What came of it is the discounted success; a time-out counts as none.
        """
        count = len(trajectory)
        gone = np.arange(count - 1, -1, -1)
        returns = trajectory.success * self.config.gamma**gone
        return float((self.values(trajectory).mean(0) - returns).mean())

    @torch.no_grad()
    def values(self, trajectory: Trajectory) -> Float:
        """The critics' values (H, T) of what was done."""
        x = torch.from_numpy(self.policy.brain().normalise(trajectory.inputs))
        base, action = torch.tensor(trajectory.base), torch.tensor(trajectory.action)
        return to_numpy(self.policy.critics(x, self._scaled(action), self._distance(base, action)))

    # What a checkpoint holds -----------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Everything that learning goes on from, by name."""
        tensors = {f"policy.{name}": value for name, value in self._own_state().items()}
        tensors |= {f"target.{name}": value for name, value in self.target.state_dict().items()}
        for part, optimizer in self._optimizers().items():
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"{part}.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
        tensors["generator"] = self._generator.get_state()
        tensors["updates"] = torch.tensor(self.updates)
        return {name: value.detach().clone().contiguous() for name, value in tensors.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        self.policy.load_state_dict(_named(tensors, "policy."), strict=False)
        self.target.load_state_dict(_named(tensors, "target."))
        for part, optimizer in self._optimizers().items():
            state: dict[int, dict[str, Any]] = {}
            for name, value in _named(tensors, f"{part}.").items():
                index, _, key = name.partition(".")
                state.setdefault(int(index), {})[key] = value.clone()
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        self._generator.set_state(tensors["generator"])
        self.updates = int(tensors["updates"])

    def actor_state(self) -> dict[str, Tensor]:
        """The actor, to come back to, and how far practice fell short with it."""
        kept = {**self.policy.actor.state_dict(), SHORTFALL: self.policy.get_buffer(SHORTFALL)}
        return {name: value.detach().clone() for name, value in kept.items()}

    def restore_actor(self, state: Mapping[str, Tensor]) -> None:
        """Come back to an actor; its optimizer begins anew, and the critics keep what they know."""
        actor = dict(state)
        self.policy.get_buffer(SHORTFALL).copy_(actor.pop(SHORTFALL, torch.tensor(0.0)))
        self.policy.actor.load_state_dict(actor)
        self._actor_optimizer.state.clear()

    def _own_state(self) -> dict[str, Tensor]:
        return {
            name: value for name, value in self.policy.state_dict().items() if not name.startswith("base.")
        }

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"critic_optimizer": self._critic_optimizer, "actor_optimizer": self._actor_optimizer}


class Snapshot:
    """A correction and how it explores: picklable, for whoever practises.

    Args:
        correct: the correction.
        config: of the learner.
        gripper: (A,) which of an action's numbers are the gripper.
    """

    def __init__(self, correct: Correct, config: LearnerConfig, gripper: NDArray[np.bool_]) -> None:
        self.correct, self._config, self._gripper = correct, config, gripper

    def prepare(self, policy: ResidualPolicy) -> None:
        """Bring a policy in another process to where this was taken; the base is the same there."""

    @property
    def reach(self) -> Reach:
        """What an action may be."""
        return self.correct.reach

    def controller(self, rng: np.random.Generator | None) -> Controller:
        """Explore with noise of a strength that is drawn for the episode; without a generator, not at all."""
        if rng is None:
            return self.correct
        correct, config, strength = self.correct, self._config, rng.uniform()
        if not correct.gate.practice:
            correct = replace(correct, gate=Gate())
        sigma = np.where(self._gripper, config.gripper_noise, config.noise) * strength
        return Explore(correct, sigma.astype(np.float32), config.memory, rng)


def check_moves(config: LearnerConfig, size: int) -> None:
    """Check that a state of so many numbers can be moved as a configuration says.

    Raises:
        InputError: it has no such number.
    """
    wrong = [number for numbers in config.moves for number in numbers if not 0 <= number < size]
    if wrong:
        raise InputError(f"moves: the state has the numbers 0 to {size - 1}, not {wrong[0]}.")


def _part(batch: Batch, rows: slice) -> Batch:
    return Batch(*(column[rows] for column in batch))


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
