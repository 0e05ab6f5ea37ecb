"""A short training on the toy task of `toy.py`, and what a policy has to show after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from robot_skills.policies.baseline import BaselinePolicy
from robot_skills.policies.policy import Batch
from robot_skills.policies.vision import VisionConfig
from tests.robot_skills.policies.toy import batch, part, statistics

#: Settings that make any policy small enough to train in seconds.
SMALL: dict[str, Any] = {
    "image_size": 32,
    "shift": (1, 1),
    "vision": VisionConfig(channels=(8, 16), strides=(2, 2), kernels=(5, 3)),
    "width": 32,
    "chunk": 8,
    "execute": 4,
    "dropout": 0.0,
}
DATA = batch(200)
#: The same without cameras.
BLIND = {**SMALL, "cameras": (), "shift": ()}


def fit(policy: BaselinePolicy, steps: Mapping[str, int], data: Batch = DATA, rate: float = 3e-3) -> Any:
    """Train each phase for so many steps of 64 samples; in evaluation mode after."""
    policy.train()
    for name, count in steps.items():
        policy.begin_stage(name, statistics(data), {**data, "images": {}})
        trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, count)
        for _ in range(count):
            loss, _ = policy.loss(name, part(data, torch.randint(len(data["end"]), (64,))))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return policy.eval()


@torch.no_grad()
def error(policy: BaselinePolicy, data: Batch) -> float:
    """Mean absolute error of a policy's actions."""
    actions, _ = policy.act(data["images"], data["history"], data["text"], data["skill"])
    return (actions - data["actions"]).abs().mean().item()


def check_it_sees_and_is_told(policy: BaselinePolicy, seen: float = 0.5, unseen: float = 0.8) -> None:
    """It does better than the mean action, by these factors, and worse if told to go to the other blob."""
    mean = (DATA["actions"] - DATA["actions"].mean((0, 1))).abs().mean().item()
    assert error(policy, DATA) < seen * mean
    held_out = batch(200, seed=7)
    assert error(policy, held_out) < unseen * mean
    other = {"red cube": "blue cube", "blue cube": "red cube"}
    swapped = {**held_out, "text": [other[text] for text in held_out["text"]]}
    assert error(policy, swapped) > 1.3 * error(policy, held_out)


@torch.no_grad()
def check_signals(policy: BaselinePolicy) -> None:
    """It knows when the skill is over and where the target is."""
    _, end = policy.act(DATA["images"], DATA["history"], DATA["text"], DATA["skill"])
    over = DATA["end"] > 0
    assert end[over].mean() > 0.5 > 2 * end[~over].mean()
    assert policy.loss("policy", DATA)[1]["target"] < 0.5  # 0.8 for a normal variable's mean
    unknown = {**DATA, "target": torch.full((200, 3), float("nan"))}
    assert policy.loss("policy", unknown)[1]["target"] == 0


def two_ways(count: int, seed: int = 0, left: float = 0.5) -> Batch:
    """For `BLIND` policies: from wherever, a share goes left, the rest right; nobody goes straight on."""
    generator = torch.Generator().manual_seed(seed)
    data = batch(count, seed, images=False)
    side = torch.where(torch.rand(count, generator=generator) < left, -0.8, 0.8)
    actions = torch.zeros_like(data["actions"])
    actions[..., 0] = side[:, None]
    return {**data, "actions": actions}


@torch.no_grad()
def sides(policy: BaselinePolicy) -> torch.Tensor:
    """Where each action of some chunks goes, (B, T)."""
    data = two_ways(200, seed=7)
    actions, _ = policy.act({}, data["history"], data["text"], data["skill"])
    return actions[..., 0]


def check_ways_apart(policy: BaselinePolicy) -> None:
    """Chunks go left or right, each often enough and all along, and not between."""
    side = sides(policy)
    assert ((side.abs() - 0.8).abs() < 0.25).float().mean() > 0.9
    assert (side.sign() == side[:, :1].sign()).float().mean() > 0.98
    assert 0.25 < (side > 0).float().mean() < 0.75
