"""Gradient estimators for a quantizer: the forward value is the code, what differs is the gradient.

Each takes encoder outputs e (..., m) and their codes q (..., m), and answers (..., m) in float32, whatever
the precision of the input. In evaluation the value is exactly q, for any input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: Below this length of e^ + q^ the two are opposed and the reflection between them is undefined.
OPPOSED = 1e-3
#: Shorter vectors have no direction worth rotating.
VANISHING = 1e-6
#: The backward pass scales by |q| / |e|; a short residual before a long code would blow it up.
LARGEST_RATIO = 10.0
#: Variance of DiVeQ's directional noise, the paper's. (Its released code takes the number for a standard
#: deviation; `vector-quantize-pytorch` has 5e-3.)
DIRECTION_VARIANCE = 1e-3


def straight_through(e: Tensor, q: Tensor, training: bool = True) -> Tensor:
    """The codes q, with the gradient copied to e: d/de = I (Bengio et al. 2013)."""
    e, q = e.float(), q.detach().float()
    return q + (e - e.detach())


def rotate_to(e: Tensor, q: Tensor, training: bool = True) -> Tensor:
    """The codes q, as a rotation and scaling of e that the gradient passes through.

    d/de = |q|/|e| R with R = I - 2 w w' + 2 q^ e^', w the unit bisector of the unit vectors e^ and q^
    (Fifty et al. 2024, arXiv 2410.06424, section 4.2). R, w and the ratio are constants to the gradient.
    Unlike the published form the forward value is exactly q for any input: where e and q are opposed or
    either vanishes, the gradient is copied straight through instead; and the ratio is bounded.
    """
    e, q = e.float(), q.detach().float()
    constant = e.detach()
    norm_e, norm_q = constant.norm(dim=-1, keepdim=True), q.norm(dim=-1, keepdim=True)
    unit_e, unit_q = constant / norm_e.clamp_min(VANISHING), q / norm_q.clamp_min(VANISHING)
    bisector = unit_e + unit_q
    length = bisector.norm(dim=-1, keepdim=True)
    w = bisector / length.clamp_min(OPPOSED)
    ratio = (norm_q / norm_e.clamp_min(VANISHING)).clamp_max(LARGEST_RATIO)
    rotated = e - 2 * w * (w * e).sum(-1, keepdim=True) + 2 * unit_q * (unit_e * e).sum(-1, keepdim=True)
    defined = (length >= OPPOSED) & (norm_e >= VANISHING) & (norm_q >= VANISHING)
    carrier = torch.where(defined, ratio * rotated, e)
    return q + (carrier - carrier.detach())


def reparameterise(
    e: Tensor, q: Tensor, training: bool = True, variance: float = DIRECTION_VARIANCE
) -> Tensor:
    """DiVeQ: e plus an error as long as q - e, whose direction is a constant to the gradient.

    The value is e + |q - e| u, u the unit vector along q - e + v, v ~ N(0, variance I) in training and 0
    in evaluation (Vali et al. 2026, arXiv 2509.26469). So d/de = I - u d' and d/dq = u d', d the unit
    vector along q - e: the codes learn from the reconstruction, without a loss of their own. Where q = e
    the direction is undefined: d/de = I, and the codes are given nothing.
    """
    e, q = e.float(), q.float()
    error = q - e
    length = error.norm(dim=-1, keepdim=True)
    heading = error.detach()
    if training:
        heading = heading + math.sqrt(variance) * torch.randn_like(heading)
    unit = heading / heading.norm(dim=-1, keepdim=True).clamp_min(VANISHING)
    value: Tensor = e + unit * length
    return value if training else q.detach() + (value - value.detach())


@dataclass(frozen=True)
class Estimator:
    """A way for the gradient to pass a residual quantizer.

    Attributes:
        carry: (e, q, training) -> the value that carries the gradient.
        joint: applied once, to the vector and the sum of its codes (as residual DiVeQ is published), not
            at each level to what is left and its code.
        moves_codes: its gradient also reaches the codes, which then need no loss of their own.
    """

    carry: Callable[[Tensor, Tensor, bool], Tensor]
    joint: bool = False
    moves_codes: bool = False


ESTIMATORS = {
    "ste": Estimator(straight_through),
    "rotation": Estimator(rotate_to),
    "diveq": Estimator(reparameterise, joint=True, moves_codes=True),
}
