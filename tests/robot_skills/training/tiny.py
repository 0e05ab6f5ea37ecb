"""A policy small enough to train in a test, and demonstrations for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from robot_skills.data.episode import Episode
from robot_skills.data.store import EpisodeStore
from robot_skills.policies.policy import Batch, Chunk, Metrics, PolicyInput, Stage
from robot_skills.skill import SkillCall

SIZE = (8, 8)


@dataclass(frozen=True)
class TinyConfig:
    width: int = 8
    noise: float = 0.1


class TinyPolicy(nn.Module):
    """Two phases: one without images that fits a mean action, one with images and random noise."""

    history, chunk, execute = 2, 4, 2
    cameras = ("front",)
    mean: Tensor

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(10))
        self.codes = nn.Parameter(torch.zeros(self.chunk, 7))
        self.body = nn.Sequential(nn.Linear(3 + 20, config.width), nn.Tanh(), nn.Linear(config.width, 32))

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        zero = np.zeros((self.chunk, 7), np.float32)
        return [Chunk(zero, np.ones(self.chunk, np.float32)) for _ in inputs]

    def stages(self) -> tuple[Stage, ...]:
        return Stage("codes", 4, 8, 1e-2, images=False), Stage("policy", 4, 8, 1e-2)

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        assert not sample["images"]
        self.mean.copy_(statistics["state_mean"])
        if name == "codes":  # begins from the data, as k-means would
            with torch.no_grad():
                self.codes.copy_(sample["actions"][torch.randperm(len(sample["actions"]))[:4]].mean(0))
        self.codes.requires_grad_(name == "codes")

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        if name == "codes":
            assert not batch["images"]
            loss = (self.codes - batch["actions"]).square().mean()
            return loss, {"error": loss.detach()}
        assert batch["images"]["front"].shape[1:] == (3, *SIZE)
        seen = batch["images"]["front"].float().mean((2, 3)) / 255
        if self.training:
            seen = seen + self.config.noise * torch.randn_like(seen)
        state = (batch["history"] - self.mean).flatten(1)
        found = self.body(torch.cat([seen, state], 1))
        actions = found[:, :28].reshape(-1, 4, 7) + self.codes
        loss = (actions - batch["actions"]).square().mean() + (found[:, 28:] - batch["end"]).square().mean()
        return loss, {"error": loss.detach()}

    def prepare(self, batch: Batch) -> Batch:
        words = [[float(len(text)), float(sum(map(ord, text)) % 7)] for text in batch["text"]]
        return {**batch, "text": torch.tensor(words), "skill": torch.zeros(len(words), dtype=torch.int64)}

    def report(self) -> dict[str, Any]:
        return {"code_use": [1.0, 0.75], "perplexity": {"level 1": 12.5}}

    def save_pretrained(self, folder: Path) -> None:
        config = {"policy": "tiny", "format_version": 1, **asdict(self.config)}
        (folder / "config.json").write_text(json.dumps(config))
        save_file(self.state_dict(), folder / "model.safetensors")
        save_file({"mean": self.mean.clone()}, folder / "stats.safetensors")

    @classmethod
    def from_pretrained(cls, folder: Path) -> TinyPolicy:
        policy = cls(TinyConfig())
        policy.load_state_dict(load_file(folder / "model.safetensors"))
        return policy


def make_episode(seed: int, length: int = 12, **changes: Any) -> Episode:
    """A random demonstration; every number in it tells its seed and step."""
    random = np.random.default_rng(seed)
    state = random.normal(size=(length, 10))
    state[:, 3:9] = np.linalg.qr(random.normal(size=(length, 3, 2)))[0].transpose(0, 2, 1).reshape(length, 6)
    fields: dict[str, Any] = {
        "images": {
            name: random.integers(0, 256, (length, *SIZE, 3), dtype=np.uint8) for name in ("front", "wrist")
        },
        "state": state.astype(np.float32),
        "action": random.uniform(-1, 1, (length, 7)).astype(np.float32),
        "end": np.r_[np.zeros(length - 1), 1.0].astype(np.float32),
        "target": random.normal(size=(length, 3)).astype(np.float32),
        "text": f"block {seed}",
        "call": SkillCall("pick", {"object": f"block {seed}"}),
        "scene": {"objects": ["block"], "seed": seed},
        "seed": seed,
        "expert": "pick from simulator state",
        **changes,
    }
    return Episode(**fields)


def make_store(folder: Path, episodes: int = 6, first_seed: int = 0) -> Path:
    """A store of random demonstrations of 10, 11, ... steps."""
    with EpisodeStore.create(folder, {"front": SIZE, "wrist": SIZE}, 20.0) as store:
        for number in range(episodes):
            store.append(make_episode(first_seed + number, 10 + number))
    return folder
