"""Action chunks to skill codes and back: an autoencoder around a quantizer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.linear import Linear
from robot_skills.policies.policy import Metrics
from robot_skills.policies.star.config import CodesConfig
from robot_skills.policies.star.fsq import FiniteScalarQuantizer
from robot_skills.policies.star.quantizer import Quantized, Quantizer, code_use, perplexity
from robot_skills.policies.star.residual import CODEBOOKS


@dataclass(frozen=True)
class CodeReport:
    """How the codes serve a set of chunks; every list has one number a level, coarse to fine.

    Attributes:
        used: codes that at least one chunk is given; the others are dead.
        perplexity: exp of the entropy of their use; K if all are used alike.
        reconstruction: mean absolute error, in standard deviations of the actions, of decoding the codes
            up to this level.
        joint: distinct code sequences.
    """

    used: list[int]
    perplexity: list[float]
    reconstruction: list[float]
    joint: int


class ChunkTokenizer(nn.Module):
    """Normalised chunks (B, T, 7) to codes (B, D) and back."""

    def __init__(self, config: CodesConfig, chunk: int, action_size: int) -> None:
        super().__init__()
        self.config, self.chunk, self.action_size = config, chunk, action_size
        flat = chunk * action_size
        self.encoder = mlp(flat, config.width, config.latent)
        self.decoder = mlp(config.latent, config.width, flat)
        self.quantizer = quantizer_of(config)
        self.register_buffer("step", torch.tensor(0))

    step: Tensor

    def loss(self, chunks: Tensor) -> tuple[Tensor, Metrics]:
        """Reconstruction and commitment of (B, T, 7); in training mode codes may follow their chunks."""
        revive = self.step < self.config.revive_steps
        quantized: Quantized = self.quantizer(self.encoder(chunks.flatten(1)), self.training, revive)
        vectors = quantized.vectors
        if self.training:
            self.step += 1
            vectors = self._drop_levels(quantized)
        reconstruction = F.l1_loss(self.decoder(vectors).view_as(chunks), chunks)
        loss = reconstruction + self.config.commitment * quantized.commitment + quantized.codebook
        metrics = {"reconstruction": reconstruction.detach(), "commitment": quantized.commitment.detach()}
        use = code_use(quantized.indices, self.config.codes)
        for level, value in enumerate(perplexity(use), start=1):
            metrics[f"perplexity_{level}"] = value
        return loss, metrics

    def _drop_levels(self, quantized: Quantized) -> Tensor:
        """Replace a share of the vectors by their coarse part; the gradient estimator's is kept."""
        vectors, levels = quantized.vectors, self.config.levels
        if levels == 1 or self.config.level_dropout == 0:
            return vectors
        count, device = len(vectors), vectors.device
        kept = torch.randint(1, levels, (count, 1), device=device)
        coarse = (quantized.parts * (torch.arange(levels, device=device) < kept)[..., None]).sum(1)
        drop = torch.rand(count, 1, device=device) < self.config.level_dropout
        return vectors + torch.where(drop, coarse - vectors, torch.zeros_like(vectors)).detach()

    @torch.no_grad()
    def start(self, chunks: Tensor) -> None:
        """Put the codes on the data, once: a second call changes nothing."""
        if not self.quantizer.started:
            self.quantizer.start(self.encoder(chunks.flatten(1)))

    @torch.no_grad()
    def encode(self, chunks: Tensor) -> Tensor:
        """Codes (B, D) int64 of chunks (B, T, 7)."""
        quantized: Quantized = self.quantizer(self.encoder(chunks.flatten(1)))
        return quantized.indices

    @torch.no_grad()
    def decode(self, indices: Tensor, levels: int | None = None) -> Tensor:
        """Chunks (B, T, 7) of codes (B, D), or of their first `levels` alone."""
        flat: Tensor = self.decoder(self.quantizer.look_up(indices, levels))
        return flat.view(len(indices), self.chunk, self.action_size)

    @torch.no_grad()
    def report(self, chunks: Tensor) -> CodeReport:
        """How the codes serve these chunks (N, T, 7)."""
        indices = self.encode(chunks)
        use = code_use(indices, self.config.codes)
        levels = range(1, self.config.levels + 1)
        return CodeReport(
            used=(use > 0).sum(-1).tolist(),
            perplexity=perplexity(use).tolist(),
            reconstruction=[F.l1_loss(self.decode(indices, level), chunks).item() for level in levels],
            joint=len({tuple(row) for row in indices.tolist()}),
        )


def quantizer_of(config: CodesConfig) -> Quantizer:
    """The quantizer that the settings describe."""
    if config.quantizer == "fsq":
        return FiniteScalarQuantizer((config.codes,) * config.levels, config.latent)
    settings = {"decay": config.decay} if config.codebook in ("ema", "gradient") else {}
    return CODEBOOKS[config.codebook](
        config.levels,
        config.codes,
        config.latent,
        config.estimator,
        config.matched_gradient,
        config.detach_residual,
        **settings,
    )


def mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers of one width."""
    return nn.Sequential(
        Linear(inputs, width), nn.GELU(), Linear(width, width), nn.GELU(), Linear(width, outputs)
    )
