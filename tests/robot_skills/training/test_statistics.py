"""Wilson's interval against published values and its own definition."""

from __future__ import annotations

import math

import pytest

from robot_skills.training.statistics import Z95, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # By symmetry.
        (20, 20, 0.8389, 1.0),
    ],
)
def test_known_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_its_ends_are_the_rates_that_a_score_test_just_accepts() -> None:
    for successes, trials in ((1, 10), (47, 50), (93, 100), (5, 5), (0, 7)):
        for bound in wilson_interval(successes, trials):
            if 0.0 < bound < 1.0:
                score = (successes / trials - bound) / math.sqrt(bound * (1 - bound) / trials)
                assert abs(score) == pytest.approx(Z95)


def test_ends_are_exact_and_nonsense_is_refused() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 9)[0] == 0.0
    assert wilson_interval(9, 9)[1] == 1.0
    with pytest.raises(ValueError, match="3 successes in 2 trials"):
        wilson_interval(3, 2)
