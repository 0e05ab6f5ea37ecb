"""ACT, action chunking with transformers: a conditional VAE of chunks (Zhao et al. 2023, arXiv 2304.13705).

In training an encoder reads [CLS], the state and the demonstrated chunk (no images) into a style variable z;
the policy, a transformer encoder over z and the context and a decoder with a query for each step, says the
chunk. The loss is the chunk's mean absolute error plus the divergence of z from a normal variable. A
prediction takes z = 0, the mean of that prior.

What differs from the paper: layer norms come first in each block (it trains without warm-up at the learning
rate of the other policies); a camera gives the tokens of the shared encoders; language and skill are tokens
of the context; a further query asks for the training label `target`. Averaging the predictions of overlapping
chunks (the paper's temporal ensembling) belongs to the executor, which plays `execute` actions of each chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.baseline import BaselineConfig, BaselinePolicy
from robot_skills.policies.policy import Batch, Metrics, Texts
from robot_skills.policies.settings import UNBOUNDED, check_ranges
from robot_skills.policies.transformer import Stack, sinusoids

#: Setting -> its lowest and highest value.
BOUNDS = {
    **dict.fromkeys(("posterior_layers", "encoder_layers", "decoder_layers", "latent"), (1, UNBOUNDED)),
    "kl_weight": (0, UNBOUNDED),
}


@dataclass(frozen=True)
class ActConfig(BaselineConfig):
    """ACT; what every baseline has is described there.

    Attributes:
        chunk, execute: the paper's chunks are 100 steps at 50 Hz, 2 s; 16 are 1.6 s at 10 Hz.
        posterior_layers: of the encoder of z; the paper has 4, of width 512 as all its layers.
        encoder_layers, decoder_layers: of the policy. The paper has 4 and 7; its released code reads the
            first decoder layer alone, so that 1 is what was measured.
        latent: size of z, the paper's.
        kl_weight: of the divergence, the paper's.
    """

    chunk: int = 16
    execute: int = 8
    posterior_layers: int = 2
    encoder_layers: int = 2
    decoder_layers: int = 1
    latent: int = 32
    kl_weight: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, BOUNDS)


class ActPolicy(BaselinePolicy):
    """One phase, "policy". A held-out loss is taken with z = 0, as predictions are."""

    config_class: ClassVar[type[Any]] = ActConfig
    name: ClassVar[str] = "act"
    config: ActConfig

    def __init__(self, config: ActConfig | None = None) -> None:
        config = config or ActConfig()
        super().__init__(config, config.width)
        width, options = config.width, (config.heads, config.dropout)
        self.posterior = Posterior(config)
        self.read_latent = nn.Linear(config.latent, width)
        self.places = nn.Parameter(torch.randn(self.tokens + 1, width) * 0.02)
        self.encoder = Stack(width, config.encoder_layers, *options)
        self.queries = nn.Parameter(torch.randn(config.chunk + 1, width) * 0.02)
        self.decoder = Stack(width, config.decoder_layers, *options, memory=True)
        self.out = nn.Linear(width, config.action_size + 1)

    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""
        context = self.see(images, history, text, skill)
        chunk, _ = self.decode(context, context.new_zeros(len(context), self.config.latent))
        return self.restore_actions(chunk[..., :-1]), chunk[..., -1].sigmoid()

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """Mean absolute error and divergence; augmentation and a sampled z in training mode only."""
        self.check_stage(name)
        context, state = self.see_batch(batch)
        actions = self.normalise_actions(batch["actions"])
        mean, log_variance = self.posterior(state, actions)
        latent = torch.zeros_like(mean)
        if self.training:
            latent = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        chunk, features = self.decode(context, latent)
        action = F.l1_loss(chunk[..., :-1], actions)
        divergence = divergence_from_normal(mean, log_variance)
        parts = {"action": action, "divergence": divergence}
        loss = action + self.config.kl_weight * divergence
        return self.with_signals(loss, parts, batch, features, chunk[..., -1])

    def decode(self, context: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Chunk with the end's logits (B, T, A + 1) and the target's features (B, width)."""
        tokens = torch.cat([self.read_latent(latent)[:, None], context], dim=1)
        memory = self.encoder(tokens + self.places)
        asked = self.decoder(self.queries.expand(len(context), -1, -1), memory=memory)
        return self.out(asked[:, 1:]), asked[:, 0]


class Posterior(nn.Module):
    """States (B, H, S) and chunks (B, T, A), both normalised, to mean and log variance of z, (B, latent)."""

    places: Tensor

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        width = config.width
        self.first = nn.Parameter(torch.randn(1, width) * 0.02)
        self.read_state = nn.Linear(config.history * config.state_size, width)
        self.read_action = nn.Linear(config.action_size, width)
        self.stack = Stack(width, config.posterior_layers, config.heads, config.dropout)
        self.moments = nn.Linear(width, 2 * config.latent)
        self.register_buffer("places", sinusoids(config.chunk + 2, width), persistent=False)

    def forward(self, state: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Read what was demonstrated."""
        first = self.first.expand(len(state), 1, -1)
        tokens = torch.cat(
            [first, self.read_state(state.flatten(1))[:, None], self.read_action(actions)], dim=1
        )
        mean, log_variance = self.moments(self.stack(tokens + self.places)[:, 0]).chunk(2, dim=1)
        return mean, log_variance


def divergence_from_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of (B, n) independent numbers, summed over n; mean over B.

    Kingma and Welling 2013, appendix B.
    """
    each = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
    return each.sum(1).mean()
