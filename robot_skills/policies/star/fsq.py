"""Finite scalar quantization: a few bounded numbers, each rounded to a grid; nothing to learn or to start."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from robot_skills.policies.star.quantizer import Quantized, Quantizer

#: How far the bound goes beyond the outermost value, so that it can be reached (the paper's code).
MARGIN = 1e-3


class FiniteScalarQuantizer(Quantizer):
    """D numbers, read linearly from a vector, bounded by tanh and rounded to K_d values in about [-1, 1].

    Mentzer et al. 2023, arXiv 2309.15505, section 3 and appendix A.1. Each number is a level of its own, so
    that D categorical choices of few values name prod K_d codes, and a model of codes need not know what
    kind they are. They are not coarse to fine by nature; dropping late levels in training orders them.

    Args:
        sizes: K_d of each level, 3 or more.
        size: m.
        project: whether the D numbers are read from and written to m numbers by learned linear maps; if
            not, m = D.
    """

    grid: Tensor  # (D,) int64, K_d
    bases: Tensor  # (D,) int64, the product of the K before each

    def __init__(self, sizes: Sequence[int], size: int, project: bool = True) -> None:
        super().__init__()
        if min(sizes) < 3:
            raise ValueError(f"A level has at least 3 values, not {min(sizes)}.")
        if not project and size != len(sizes):
            raise ValueError(f"Without projections a vector has {len(sizes)} numbers, not {size}.")
        self.sizes, self.size = tuple(sizes), size
        self.read = nn.Linear(size, len(sizes)) if project else nn.Identity()
        self.write = nn.Linear(len(sizes), size) if project else nn.Identity()
        self.register_buffer("grid", torch.tensor(self.sizes), persistent=False)
        bases = torch.tensor((1, *self.sizes[:-1])).cumprod(0)
        self.register_buffer("bases", bases, persistent=False)
        self.register_buffer("started", torch.tensor(True))

    def forward(self, vectors: Tensor, learn: bool = False, revive: Tensor | bool = True) -> Quantized:
        """Quantize (B, m) vectors; see `Quantizer.forward`. There is nothing to commit to."""
        with torch.autocast(vectors.device.type, enabled=False):
            bounded = self.bound(self.read(vectors.float()))
            half, rounded = self.grid // 2, bounded.detach().round()
            values = rounded + (bounded - bounded.detach())
            indices = rounded.long() + half
            written, nothing = self.write(values / half), vectors.new_zeros((), dtype=torch.float32)
            return Quantized(written, indices, nothing, nothing, self.parts(indices).detach())

    def bound(self, numbers: Tensor) -> Tensor:
        """Numbers (..., D) squashed so that rounding gives one of K_d whole numbers, -(K_d // 2) and up."""
        reach = (self.grid - 1) * (1 + MARGIN) / 2
        offset = (self.grid % 2 == 0) * 0.5
        return (numbers + (offset / reach).atanh()).tanh() * reach - offset

    def parts(self, indices: Tensor) -> Tensor:
        """What each number of (B, D) indices adds to the vector, the constant with the first; (B, D, m)."""
        half = self.grid // 2
        values = (indices - half) / half
        if isinstance(self.write, nn.Linear):
            parts = values[..., None] * self.write.weight.T
            constant = torch.zeros_like(parts)
            constant[:, 0] = self.write.bias
            return parts + constant
        return torch.diag_embed(values)

    def start(self, vectors: Tensor) -> None:
        """The grid is where it is."""

    def pack(self, indices: Tensor) -> Tensor:
        """One number for the indices (..., D), below prod K_d; the first level counts ones. (...,)."""
        return (indices * self.bases).sum(-1)

    def unpack(self, packed: Tensor) -> Tensor:
        """The inverse of `pack`."""
        return packed[..., None] // self.bases % self.grid
