"""What every quantizer of skill codes offers, and how the use of its codes is counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Quantized:
    """What a quantizer answers.

    Attributes:
        vectors: (B, m), the sum of the codes, carrying the estimator's gradient.
        indices: (B, D) int64, coarse to fine.
        commitment: scalar, how far the residuals are from their codes, mean over levels; its gradient moves
            what was quantized.
        codebook: scalar, the same, its gradient moves the codes; zero if they do not learn so.
        parts: (B, D, m), what each level adds, out of the gradient.
    """

    vectors: Tensor
    indices: Tensor
    commitment: Tensor
    codebook: Tensor
    parts: Tensor


class Quantizer(nn.Module, ABC):
    """Vectors (B, m) to indices (B, D), one of each level, and back.

    Attributes:
        sizes: (K_1, ..., K_D), the number of codes of each level.
        size: m.
        started: bool tensor, whether the codes need not be put on the data (any more).
    """

    sizes: tuple[int, ...]
    size: int
    started: Tensor

    @abstractmethod
    def forward(self, vectors: Tensor, learn: bool = False, revive: Tensor | bool = True) -> Quantized:
        """Quantize (B, m) vectors, in float32.

        Args:
            vectors: (B, m).
            learn: whether codes that follow their vectors take in this batch, after it was quantized with
                them as they were.
            revive: whether dead codes are then put on vectors of the batch.
        """

    @abstractmethod
    def parts(self, indices: Tensor) -> Tensor:
        """What each level of (B, D) indices adds; (B, D, m)."""

    def look_up(self, indices: Tensor, levels: int | None = None) -> Tensor:
        """The vectors of (B, D) indices, or of the first `levels` alone; (B, m)."""
        return self.parts(indices)[:, :levels].sum(1)

    @abstractmethod
    def start(self, vectors: Tensor) -> None:
        """Put the codes on (N, m) vectors, if that is how they begin."""


def assignment(indices: Tensor, codes: int) -> Tensor:
    """One-hot rows, (...) int64 to (..., codes) float32, without a look at the values."""
    return (indices[..., None] == torch.arange(codes, device=indices.device)).float()


def code_use(indices: Tensor, codes: int) -> Tensor:
    """Share of vectors on each code of each level: (N, D) indices to (D, K). Levels are never pooled."""
    return assignment(indices, codes).mean(0)


def perplexity(use: Tensor) -> Tensor:
    """Exp of the entropy of each level's shares, (D, K) to (D,): K if all codes are used alike, 1 if one."""
    value: Tensor = torch.special.entr(use).sum(-1).exp()
    return value
