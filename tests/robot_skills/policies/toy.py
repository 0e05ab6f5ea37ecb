"""Tiny synthetic data for policies: go to the named one of two blobs that images show."""

from __future__ import annotations

import numpy as np
import torch

from robot_skills.policies.policy import Batch, PolicyInput
from robot_skills.robot import Observation

NAMES = ("red cube", "blue cube")


def batch(
    count: int,
    seed: int = 0,
    cameras: tuple[str, ...] = ("front", "wrist"),
    size: int = 32,
    history: int = 1,
    chunk: int = 8,
    images: bool = True,
) -> Batch:
    """Samples whose actions point from the gripper to the named blob, in decreasing steps."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.rand(count, 2, 2, generator=generator) * 0.6 - 0.3  # of both blobs
    which = torch.randint(2, (count,), generator=generator)
    target = torch.cat([places[torch.arange(count), which], torch.full((count, 1), 0.02)], dim=1)
    state = torch.zeros(count, history, 10)
    state[..., 3] = state[..., 7] = 1
    state[..., :3] = torch.rand(count, 1, 3, generator=generator) * 0.2 - 0.1
    way = (target - state[:, -1, :3]) / 0.4
    actions = torch.zeros(count, chunk, 7)
    actions[..., :3] = (way[:, None] * torch.linspace(1, 0.4, chunk)[None, :, None]).clamp(-1, 1)
    close = way[:, :2].norm(dim=-1) < 0.5
    actions[..., 6] = torch.where(close, 1.0, -1.0)[:, None]
    end = close[:, None] & (torch.arange(chunk) >= chunk // 2)[None]
    pictures = {name: _draw(places, size) for name in cameras} if images else {}
    return Batch(
        images=pictures,
        history=state,
        actions=actions,
        end=end.float(),
        text=[NAMES[i] for i in which.tolist()],
        skill=["pick"] * count,
        target=target,
        to_go=torch.arange(count).float(),
    )


def _draw(places: torch.Tensor, size: int) -> torch.Tensor:
    pixels = torch.full((len(places), 3, size, size), 90, dtype=torch.uint8)
    cells = ((places + 0.4) / 0.8 * size).long()
    for row, blobs in enumerate(cells.tolist()):
        for channel, (x, y) in zip((0, 2), blobs, strict=True):
            pixels[row, :, y - 2 : y + 3, x - 2 : x + 3] = 10
            pixels[row, channel, y - 2 : y + 3, x - 2 : x + 3] = 250
    return pixels


def statistics(data: Batch) -> dict[str, torch.Tensor]:
    """What the trainer passes to `begin_stage`."""
    flat = {
        "state": data["history"].flatten(0, 1),
        "action": data["actions"].flatten(0, 1),
        "target": data["target"],
    }
    means = {f"{name}_mean": values.mean(0) for name, values in flat.items()}
    return means | {f"{name}_std": values.std(0) for name, values in flat.items()}


def part(data: Batch, rows: torch.Tensor) -> Batch:
    """Some rows of a batch."""
    return Batch(
        images={name: pictures[rows] for name, pictures in data["images"].items()},
        history=data["history"][rows],
        actions=data["actions"][rows],
        end=data["end"][rows],
        text=[data["text"][row] for row in rows.tolist()],
        skill=[data["skill"][row] for row in rows.tolist()],
        target=data["target"][rows],
        to_go=data["to_go"][rows],
    )


def inputs(data: Batch, count: int = 1) -> list[PolicyInput]:
    """The first samples as the executor would give them."""
    made = []
    for row in range(count):
        images = {
            name: np.ascontiguousarray(pictures[row].permute(1, 2, 0).numpy())
            for name, pictures in data["images"].items()
        }
        history = data["history"][row].numpy()
        made.append(
            PolicyInput(Observation(images, history[-1], 0.0), history, data["text"][row], data["skill"][row])
        )
    return made
