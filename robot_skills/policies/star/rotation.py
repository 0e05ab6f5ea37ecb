"""Gradient estimators for a quantizer: the forward value is the code, what differs is the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

#: Below this length of e^ + q^ the two are opposed and the reflection between them is undefined.
OPPOSED = 1e-3
#: Shorter vectors have no direction worth rotating.
VANISHING = 1e-6
#: The backward pass scales by |q| / |e|; a short residual before a long code would blow it up.
LARGEST_RATIO = 10.0


def straight_through(e: Tensor, q: Tensor) -> Tensor:
    """The codes q, with the gradient copied to e: d/de = I (Bengio et al. 2013). (..., m) each."""
    return q.detach() + (e - e.detach())


def rotate_to(e: Tensor, q: Tensor) -> Tensor:
    """The codes q, as a rotation and scaling of e that the gradient passes through.

    d/de = |q|/|e| R with R = I - 2 w w' + 2 q^ e^', w the unit bisector of the unit vectors e^ and q^
    (Fifty et al. 2024, arXiv 2410.06424, section 4.2). R, w and the ratio are constants to the gradient.
    Unlike the published form the forward value is exactly q for any input: where e and q are opposed or
    either vanishes, the gradient is copied straight through instead; and the ratio is bounded.

    Args:
        e: encoder outputs, (..., m).
        q: their codes, (..., m).

    Returns:
        (..., m) float32, whatever the precision of the input.
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


ESTIMATORS = {"ste": straight_through, "rotation": rotate_to}
