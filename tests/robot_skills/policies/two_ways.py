"""Toys for policies that must keep modes apart: from the same place half go left and half go right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from robot_skills.policies.denoisers.transformer import TransformerConfig
from robot_skills.policies.denoisers.unet import UNetConfig
from robot_skills.policies.generative import GenerativePolicy
from robot_skills.policies.policy import Batch, PolicyInput
from robot_skills.robot import Observation

#: A small policy without cameras, and small denoisers, that learn the toys in seconds.
SMALL: dict[str, Any] = {
    "cameras": (), "shift": (), "history": 1, "state_size": 3, "action_size": 2, "chunk": 4, "execute": 2,
    "state_noise": 0.0, "width": 16, "hidden": 64, "blocks": 2,
    "unet": UNetConfig(channels=(32, 64), level=32, context=0),
    "transformer": TransformerConfig(width=64, layers=2, heads=2),
}  # fmt: skip
RATE = 4e-3


def samples(
    actions: torch.Tensor, skill: list[str] | None = None, to_go: torch.Tensor | None = None
) -> Batch:
    """A batch with these chunks (B, T, A), and a state that tells nothing."""
    count = len(actions)
    history = torch.zeros(count, 1, 3)
    history[:, 0, 0] = torch.rand(count)
    return Batch(
        images={},
        history=history,
        actions=actions,
        end=torch.zeros(actions.shape[:2]),
        text=["go"] * count,
        skill=skill or ["go"] * count,
        target=torch.full((count, 3), float("nan")),
        to_go=torch.zeros(count) if to_go is None else to_go,
    )


def two_ways(count: int, chunk: int) -> Batch:
    """Left or right, in pixels; nobody goes straight on."""
    side = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    actions = torch.zeros(count, chunk, 2)
    actions[..., 0] = 256 + 200 * side[:, None]
    actions[..., 1] = 40.0
    return samples(actions)


def statistics(low: float, high: float, size: int) -> dict[str, torch.Tensor]:
    """What the trainer passes to `begin_stage`, for actions within limits."""
    stats = {}
    for name, numbers in (("state", 3), ("action", size), ("target", 3)):
        stats |= {f"{name}_mean": torch.zeros(numbers), f"{name}_std": torch.ones(numbers)}
    return stats | {"action_low": torch.full((size,), low), "action_high": torch.full((size,), high)}


def train(
    policy: GenerativePolicy, data: Callable[[int], Batch], stats: dict[str, torch.Tensor], steps: int
) -> None:
    """Train on fresh batches `data(16)`, each noised many times; the words, all alike, are not learned."""
    policy.train()
    policy.begin_stage("policy", stats, data(64))
    policy.language.requires_grad_(False)
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        loss, _ = policy.loss("policy", data(16))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    policy.eval()


def inputs(count: int, skill: str = "go") -> list[PolicyInput]:
    """What the executor would give."""
    random = np.random.default_rng(1)
    states = [np.array([[value, 0, 0]], np.float32) for value in random.random(count)]
    return [PolicyInput(Observation({}, state[-1], 0.0), state, "go", skill) for state in states]


def check_two_ways(policy: GenerativePolicy) -> None:
    """Nearly every chunk goes one way all along, and both ways are gone; a mean of both would do neither."""
    actions = np.stack([chunk.actions for chunk in policy.predict(inputs(100))])
    first = actions[:, 0, 0]
    assert (np.abs(np.abs(first - 256) - 200) < 60).mean() > 0.8
    assert (np.abs(actions[..., 0] - first[:, None]).max(axis=1) < 150).mean() > 0.93
    assert 0.3 < (first > 256).mean() < 0.7
    assert np.abs(actions[..., 1] - 40).mean() < 25
    assert actions.min() >= 0
    assert actions.max() <= 512
