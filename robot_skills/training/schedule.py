"""How the learning rate goes over a phase."""

from __future__ import annotations

import math

#: The learning rate begins at the peak over 25 and ends at the peak over 10,000 (Smith and Topin 2018).
FIRST_RATE, LAST_RATE = 1 / 25, 1e-4


def one_cycle(step: int, steps: int, peak: float, warmup: float) -> float:
    """Learning rate at a step: cosine up to `peak` over `warmup * steps` steps, cosine down after."""
    rise = warmup * steps
    if step < rise:
        low, share = peak * FIRST_RATE, 1 - step / rise
    else:
        low, share = peak * LAST_RATE, (step - rise) / max(steps - 1 - rise, 1)
    return low + (peak - low) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
