"""Gradient scale, matched between estimators: what is then compared is where a gradient points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: Smaller norms are no gradient at all.
VANISHED = 1e-30


class GradientMatch:
    """Makes the gradient that leaves a quantizer as long as the one that came in, over the whole batch.

    Let g (B, m) be the gradient on the quantizer's output, and h = J'g what its estimator makes of it for
    the quantizer's input, summed over levels. The input is given h |g| / |h| instead, Frobenius norms over
    the batch: one scalar a batch, and the norm that plain straight-through estimation of one level
    gives. Without it, D levels of straight-through estimation with detached residuals have J = D I, and
    rotation has J = sum of ratio_i R_i, so that equal learning rates are unequal. The gradient of the
    codes, and that of the commitment, are left alone.

    Wrap the input with `enter` and the output with `leave`, once.
    """

    def __init__(self) -> None:
        self.norm: Tensor | None = None

    def enter(self, vectors: Tensor) -> Tensor:
        """The input as it is, its gradient rescaled."""
        entered: Tensor = _Rescale.apply(vectors, self)  # type: ignore[no-untyped-call]
        return entered

    def leave(self, vectors: Tensor) -> Tensor:
        """The output as it is, the norm of its gradient noted."""
        left: Tensor = _Measure.apply(vectors, self)  # type: ignore[no-untyped-call]
        return left


class _Measure(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, match: GradientMatch) -> Tensor:
        ctx.match = match
        return vectors.view_as(vectors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        ctx.match.norm = grads[0].norm()
        return grads[0], None


class _Rescale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, match: GradientMatch) -> Tensor:
        ctx.match = match
        return vectors.view_as(vectors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        grad = grads[0]
        return grad * (ctx.match.norm / grad.norm().clamp_min(VANISHED)), None
