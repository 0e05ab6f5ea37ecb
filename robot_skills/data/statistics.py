"""Mean and standard deviation of what a policy normalises."""

from __future__ import annotations

import numpy as np

from robot_skills.robot import Float

#: Features that vary less than this (1 mm, where they are metres) are taken to be constant: their
#: standard deviation is given as 1, so that dividing by it does not blow noise up.
SMALLEST_STD = 1e-3


def statistics(state: Float, action: Float, target: Float) -> dict[str, Float]:
    """Mean and standard deviation over rows.

    Args:
        state: (N, S).
        action: (N, A).
        target: (N, K); rows with a NaN are left out.

    Returns:
        `state_mean`, `state_std`, `action_mean`, `action_std`, `target_mean`, `target_std`, float32. A
        feature that is constant, or never known, has the standard deviation 1. And the smallest and the
        largest of each number of state and action: `state_low`, `state_high`, `action_low`, `action_high`.
    """
    known = target[np.isfinite(target).all(axis=1)]
    result: dict[str, Float] = {}
    for name, rows in (("state", state), ("action", action), ("target", known)):
        values = np.asarray(rows, np.float64)
        mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1])
        std = values.std(axis=0) if len(values) else np.ones(values.shape[1])
        result[f"{name}_mean"] = mean.astype(np.float32)
        result[f"{name}_std"] = np.where(std < SMALLEST_STD, 1.0, std).astype(np.float32)
    for name, rows in (("state", state), ("action", action)):
        result[f"{name}_low"], result[f"{name}_high"] = rows.min(axis=0), rows.max(axis=0)
    return result
