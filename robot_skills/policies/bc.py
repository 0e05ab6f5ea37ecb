"""Chunked behaviour cloning: regress the next T actions on the context, by an MLP or a transformer.

The plainest rival: the mean absolute error of whole chunks, with no model of the demonstrations' modes.
The MLP is robomimic's BC (Mandlekar et al. 2021, arXiv 2108.03298, two layers of 1024) with chunks; the
transformer reads the context with learned tokens beside it that ask for actions, as BAKU does (Haldar et al.
2024, arXiv 2406.07539), here one for each step of the chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.baseline import BaselineConfig, BaselinePolicy
from robot_skills.policies.policy import Batch, Metrics, Texts
from robot_skills.policies.settings import UNBOUNDED, check_choice, check_ranges
from robot_skills.policies.transformer import Stack

TRUNKS = ("mlp", "transformer")


@dataclass(frozen=True)
class BCConfig(BaselineConfig):
    """Behaviour cloning; what every baseline has is described there.

    Attributes:
        trunk: "mlp" or "transformer".
        hidden, hidden_layers: of the MLP; 512, not robomimic's 1024, makes it as large as the others.
        layers: of the transformer.
        dropout: none, as in robomimic; the transformers of the papers have .1.
    """

    trunk: str = "mlp"
    hidden: int = 512
    hidden_layers: int = 3
    layers: int = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("trunk", self.trunk, TRUNKS)
        check_ranges(self, dict.fromkeys(("hidden", "hidden_layers", "layers"), (1, UNBOUNDED)))


class BCPolicy(BaselinePolicy):
    """One phase, "policy"."""

    config_class: ClassVar[type[Any]] = BCConfig
    name: ClassVar[str] = "bc"
    config: BCConfig

    def __init__(self, config: BCConfig | None = None) -> None:
        config = config or BCConfig()
        plain = config.trunk == "mlp"
        super().__init__(config, config.hidden if plain else config.width)
        self.trunk = _MLP(config, self.tokens) if plain else _Transformer(config, self.tokens)

    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""
        chunk, _ = self.trunk(self.see(images, history, text, skill))
        return self.restore_actions(chunk[..., :-1]), chunk[..., -1].sigmoid()

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """Mean absolute error of normalised chunks; augmentation in training mode only."""
        self.check_stage(name)
        context, _ = self.see_batch(batch)
        chunk, features = self.trunk(context)
        action = F.l1_loss(chunk[..., :-1], self.normalise_actions(batch["actions"]))
        return self.with_signals(action, {"action": action}, batch, features, chunk[..., -1])


class _MLP(nn.Module):
    """Context (B, tokens, width) to a chunk with the end's logits (B, T, A + 1), and features."""

    def __init__(self, config: BCConfig, tokens: int) -> None:
        super().__init__()
        self.shape = (config.chunk, config.action_size + 1)
        sizes = [tokens * config.width, *[config.hidden] * config.hidden_layers]
        layers = (nn.Sequential(nn.Linear(i, o), nn.GELU()) for i, o in pairwise(sizes))
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(config.hidden, config.chunk * (config.action_size + 1))

    def forward(self, context: Tensor) -> tuple[Tensor, Tensor]:
        features = self.layers(context.flatten(1))
        return self.out(features).view(len(context), *self.shape), features


class _Transformer(nn.Module):
    """The same, by attention; the features are a further token's, which asks for the target."""

    def __init__(self, config: BCConfig, tokens: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(tokens, config.width) * 0.02)
        self.queries = nn.Parameter(torch.randn(config.chunk + 1, config.width) * 0.02)
        self.stack = Stack(config.width, config.layers, config.heads, config.dropout)
        self.out = nn.Linear(config.width, config.action_size + 1)

    def forward(self, context: Tensor) -> tuple[Tensor, Tensor]:
        queries = self.queries.expand(len(context), -1, -1)
        tokens = self.stack(torch.cat([context + self.places, queries], dim=1))
        asked = tokens[:, context.shape[1] :]
        return self.out(asked[:, 1:]), asked[:, 0]
