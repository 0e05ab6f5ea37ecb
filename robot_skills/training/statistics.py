"""How sure a success rate is."""

from __future__ import annotations

import math

#: Quantile of the normal distribution for a 95 % interval.
Z95 = 1.959963984540054


def wilson_interval(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927), 95 % by default.

    Unlike the textbook interval it stays in [0, 1] and tells something at 0 and at `trials` successes.

    Raises:
        ValueError: `successes` is not in 0 to `trials`.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials are not possible.")
    if trials == 0:
        return 0.0, 1.0
    rate, weight = successes / trials, z * z / trials
    centre = (rate + weight / 2) / (1 + weight)
    margin = z * math.sqrt(rate * (1 - rate) / trials + weight / (4 * trials)) / (1 + weight)
    # Exact at the ends, where rounding would leave 1e-17.
    low = 0.0 if successes == 0 else centre - margin
    high = 1.0 if successes == trials else centre + margin
    return low, high
