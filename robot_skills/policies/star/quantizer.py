"""Residual vector quantizer whose codebooks learn: k-means start, moving averages, revival of dead codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.star.rotation import ESTIMATORS

#: A moving average of use below which the mean it goes with is no longer known.
VANISHED = 1e-5


@dataclass(frozen=True)
class Quantized:
    """What the quantizer answers.

    Attributes:
        vectors: (B, m), the sum of the codes, carrying the estimator's gradient.
        indices: (B, D) int64, coarse to fine.
        commitment: scalar, how far the residuals are from their codes, mean over levels.
    """

    vectors: Tensor
    indices: Tensor
    commitment: Tensor


class ResidualQuantizer(nn.Module):
    """D codebooks of K codes; each level quantizes what the levels before left over.

    The nearest code is taken, never a sampled one: sampling diverges under the rotation trick
    (`vector-quantize-pytorch` issue 223). Codebooks are buffers that follow the mean of the vectors they
    are given (van den Oord et al. 2017, appendix A.1).

    Args:
        levels: D.
        codes: K.
        size: m, of a vector.
        estimator: "rotation" or "ste".
        decay: of the moving averages. 0.99, not 0.8: faster ones were much worse with the rotation trick
            (`vector-quantize-pytorch` issue 167).
        revive_below: a code used less than this share of an equal share (1 / K) is put on a residual of
            the batch. The rotation trick alone leaves 40-90 % of codes dead (issue 205).
        detach_residual: whether the gradient of a level stops before those above, as in that library.
    """

    codebooks: Tensor  # (D, K, m)
    usage: Tensor  # (D, K), moving average of the share of vectors a code is given
    sums: Tensor  # (D, K, m), the same of their sum
    started: Tensor  # bool

    def __init__(
        self,
        levels: int,
        codes: int,
        size: int,
        estimator: str = "rotation",
        decay: float = 0.99,
        revive_below: float = 0.05,
        detach_residual: bool = True,
    ) -> None:
        super().__init__()
        self.levels, self.codes, self.size = levels, codes, size
        self.estimate = ESTIMATORS[estimator]
        self.decay, self.revive_below, self.detach_residual = decay, revive_below, detach_residual
        self.reviving = True
        self.register_buffer("codebooks", torch.randn(levels, codes, size) / size**0.5)
        self.register_buffer("usage", torch.full((levels, codes), 1 / codes))
        self.register_buffer("sums", self.codebooks / codes)
        self.register_buffer("started", torch.tensor(False))

    def forward(self, vectors: Tensor, learn: bool = False) -> Quantized:
        """Quantize (B, m) vectors, in float32.

        Args:
            vectors: (B, m).
            learn: whether the codebooks follow this batch, after it was quantized with them as they were.
        """
        residual = vectors.float()
        total, commitment = torch.zeros_like(residual), residual.new_zeros(())
        indices, seen = [], []
        for level in range(self.levels):
            index = self.nearest(level, residual.detach())
            code = self.codebooks[level][index]
            value = self.estimate(residual, code)
            commitment = commitment + F.mse_loss(residual, code) / self.levels
            indices.append(index)
            seen.append(residual.detach())
            total = total + value
            residual = residual - (code if self.detach_residual else value)
        if learn:
            self._follow(indices, seen)
        return Quantized(total, torch.stack(indices, dim=1), commitment)

    def nearest(self, level: int, residual: Tensor) -> Tensor:
        """Index of the nearest code of a level for each residual (B, m); (B,)."""
        codes = self.codebooks[level]
        return (codes.square().sum(-1) - 2 * residual @ codes.T).argmin(-1)

    def look_up(self, indices: Tensor, levels: int | None = None) -> Tensor:
        """Sum of the codes of (B, D) indices, or of the first `levels` alone; (B, m)."""
        chosen = [self.codebooks[level][indices[:, level]] for level in range(levels or self.levels)]
        return torch.stack(chosen).sum(0)

    @torch.no_grad()
    def start(self, vectors: Tensor, iterations: int = 20) -> None:
        """Put the codes on the k-means of (N, m) vectors, level by level on the residuals."""
        residual = vectors.float()
        for level in range(self.levels):
            centres, usage = k_means(residual, self.codes, iterations)
            self.codebooks[level] = centres
            self.usage[level] = usage
            self.sums[level] = centres * usage[:, None]
            residual = residual - centres[self.nearest(level, residual)]
        self.started.fill_(True)

    @torch.no_grad()
    def _follow(self, indices: list[Tensor], residuals: list[Tensor]) -> None:
        for level, (index, residual) in enumerate(zip(indices, residuals, strict=True)):
            share = 1 / len(index)
            count = torch.bincount(index, minlength=self.codes).to(residual.dtype) * share
            total = torch.zeros_like(self.sums[level]).index_add_(0, index, residual * share)
            self.usage[level].lerp_(count, 1 - self.decay)
            self.sums[level].lerp_(total, 1 - self.decay)
            usage = self.usage[level][:, None]
            # A code that has all but lost its average stays where it is, to be revived.
            mean = self.sums[level] / usage.clamp_min(VANISHED)
            self.codebooks[level] = torch.where(usage > VANISHED, mean, self.codebooks[level])
            if self.reviving:
                self._revive(level, residual)

    def _revive(self, level: int, residual: Tensor) -> None:
        dead = (self.usage[level] < self.revive_below / self.codes).nonzero()[:, 0]
        if len(dead) == 0:
            return
        chosen = residual[torch.randint(len(residual), (len(dead),), device=residual.device)]
        self.codebooks[level, dead] = chosen
        # An equal share: it then has -log(revive_below) / (1 - decay) batches to prove itself.
        self.usage[level, dead] = 1 / self.codes
        self.sums[level, dead] = chosen / self.codes


def k_means(vectors: Tensor, codes: int, iterations: int) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm from k-means++ seeds (Arthur and Vassilvitskii 2007).

    Args:
        vectors: (N, m); N may be smaller than `codes`.
        codes: K.
        iterations: of Lloyd's algorithm.

    Returns:
        Centres (K, m), and the share of vectors each has (K,).
    """
    centres = vectors[torch.randint(len(vectors), (1,))]
    distance = (vectors - centres).square().sum(-1)
    for _ in range(codes - 1):
        seed = torch.multinomial(distance + 1e-9, 1)
        centres = torch.cat([centres, vectors[seed]])
        distance = torch.minimum(distance, (vectors - centres[-1]).square().sum(-1))
    for _ in range(iterations):
        index = torch.cdist(vectors, centres).argmin(-1)
        count = torch.bincount(index, minlength=codes)
        total = torch.zeros_like(centres).index_add_(0, index, vectors)
        centres = torch.where((count > 0)[:, None], total / count.clamp_min(1)[:, None], centres)
    index = torch.cdist(vectors, centres).argmin(-1)
    return centres, torch.bincount(index, minlength=codes) / len(vectors)


def code_use(indices: Tensor, codes: int) -> Tensor:
    """Share of vectors on each code of each level: (N, D) indices to (D, K). Levels are never pooled."""
    counts = [torch.bincount(column, minlength=codes) for column in indices.unbind(1)]
    return torch.stack(counts).float() / len(indices)


def perplexity(use: Tensor) -> Tensor:
    """Exp of the entropy of each level's shares, (D, K) to (D,): K if all codes are used alike, 1 if one."""
    value: Tensor = torch.special.entr(use).sum(-1).exp()
    return value
