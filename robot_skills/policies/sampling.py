"""Picking codes: the likeliest, or drawn by chance that is a function of what the policy was given.

A draw of a policy must not depend on what else is in the batch or on how often it was asked: so its chance
is a hash of the states it saw, computed where they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Constants of SplitMix64 (Steele, Lea and Flood 2014), as signed numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64


def keyed_uniform(history: Tensor, seed: int, count: int) -> Tensor:
    """Numbers (B, count) float32 in (0, 1), a function of each sample's states (B, H, S) and the seed."""
    bits = (history.float() + 0.0).flatten(1).contiguous().view(torch.int32).long()  # + 0.0: -0 is 0
    places = torch.arange(1, bits.shape[1] + 1, device=bits.device) * _GOLDEN
    key = _mix(_mix(bits + places).sum(1, keepdim=True) + seed)
    draws = torch.arange(1, count + 1, device=bits.device) * _GOLDEN
    whole = _mix(key + draws) >> 41 & 0x7FFFFF  # with the half, 24 bits: what a float32 holds
    return (whole.float() + 0.5) / 2**23


def pick(
    logits: Tensor, chance: Tensor, temperature: float = 1.0, top: int | None = None, nucleus: float = 1.0
) -> Tensor:
    """Pick codes (...) of logits (..., K).

    Args:
        logits: of each code.
        chance: (...) in (0, 1): codes are drawn by inverting their distribution at it.
        temperature: 0 picks the likeliest code whatever the chance.
        top: only so many of the likeliest codes are drawn from; None: all.
        nucleus: and of these only the fewest whose probabilities sum up to this share (Holtzman et al.
            2020).
    """
    if temperature == 0:
        return logits.argmax(-1)
    values, codes = logits.topk(min(top or logits.shape[-1], logits.shape[-1]), dim=-1)
    shares = (values.float() / temperature).softmax(-1)
    if nucleus < 1:
        shares = shares * (shares.cumsum(-1) - shares < nucleus)
    reached = shares.cumsum(-1)
    drawn = reached[..., :-1] < chance[..., None] * reached[..., -1:]
    return codes.gather(-1, drawn.sum(-1, keepdim=True))[..., 0]


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64, whose products wrap around."""
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right."""
    return x >> bits & (1 << (64 - bits)) - 1
