import itertools

import numpy as np
import pytest

from robot_skills.data.segmentation.scores import Truth, chance, majority, matched, score
from robot_skills.data.segmentation.segments import Segment, between, boundaries
from robot_skills.errors import InputError


def most_pairs(found: list[int], true: list[int], tolerance: int) -> int:
    """The largest one-to-one matching, by trying all."""
    small, large = sorted((found, true), key=len)
    best = 0
    for partners in itertools.permutations(large, len(small)):
        best = max(best, sum(abs(a - b) <= tolerance for a, b in zip(small, partners, strict=True)))
    return best


def test_matching_is_as_good_as_any() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        sizes, tolerance = rng.integers(0, 6, 2), int(rng.integers(0, 5))
        found, true = (rng.integers(0, 25, size).tolist() for size in sizes)
        assert matched(found, true, tolerance) == most_pairs(found, true, tolerance), (found, true, tolerance)


def test_a_boundary_is_matched_once() -> None:
    assert matched([10, 11, 12], [11], 5) == 1
    assert matched([10], [8, 12], 5) == 1


def truth(*lengths: int) -> Truth:
    edges = np.cumsum(lengths)[:-1].tolist()
    return Truth(tuple(edges), np.repeat(np.arange(len(lengths)) % 2, lengths))


def test_the_truth_scores_one_and_its_interval_is_a_point() -> None:
    truths = [truth(10, 20, 10), truth(15, 15)]
    segments = [
        Segment(number, part.start, part.stop, int(found.skills[part.start]))
        for number, found in enumerate(truths)
        for part in between(number, len(found.skills), found.boundaries)
    ]
    found = score(segments, truths, 5)
    for part in (found.f1, found.precision, found.recall, found.purity):
        assert (part.value, part.low, part.high) == (1, 1, 1)
    assert found.per_recording == (1.5, 1.5)
    assert majority(segments, truths) == [0, 1]


def test_scores_counted_by_hand() -> None:
    truths = [truth(20, 20)]
    found = score([Segment(0, 0, 10, 0), Segment(0, 10, 18, 1), Segment(0, 18, 40, 0)], truths, 5)
    assert found.precision.value == pytest.approx(1 / 2)
    assert found.recall.value == 1
    assert found.f1.value == pytest.approx(2 / 3)
    # Cluster 0: 12 steps of skill 0 and 20 of skill 1; cluster 1: 8 of skill 0.
    assert found.purity.value == pytest.approx(28 / 40)


def test_intervals_cover_the_value_and_narrow_with_more_recordings() -> None:
    rng = np.random.default_rng(1)

    def width(count: int) -> float:
        truths = [truth(20, 20, 20) for _ in range(count)]
        cuts = [[20, 40] if rng.random() < 0.5 else [30] for _ in truths]
        segments = [part for n, found in enumerate(cuts) for part in between(n, 60, found)]
        result = score(segments, truths, 5).f1
        assert result.low < result.value < result.high
        return result.high - result.low

    assert width(200) < width(20)


def test_chance_has_the_true_rate() -> None:
    truths = [truth(30, 30, 30) for _ in range(200)]
    for even in (False, True):
        cuts = boundaries(chance(truths, 0, even), len(truths))
        assert np.mean([len(found) for found in cuts]) == pytest.approx(2, abs=0.3)


def test_nothing_cannot_be_scored() -> None:
    with pytest.raises(InputError, match="no segmentation"):
        score([], [], 5)
