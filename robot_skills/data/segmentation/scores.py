"""How good a segmentation is where the truth is known: boundary F1, purity, and how sure both are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.segmentation.segments import Segment, between, boundaries
from robot_skills.errors import InputError

#: A boundary is found if one lies within this time of it, s.
TOLERANCE = 0.5


def matched(found: Sequence[int], true: Sequence[int], tolerance: int) -> int:
    """The most pairs of a found and a true boundary that lie within a tolerance, each used once.

    Both in order, the earliest free partner is always a best one: the pairs allowed are intervals of one
    width on a line.

    Args:
        found: rows.
        true: rows.
        tolerance: in steps, inclusive.
    """
    pairs, place = 0, 0
    found = sorted(found)
    for boundary in sorted(true):
        while place < len(found) and found[place] < boundary - tolerance:
            place += 1
        if place < len(found) and found[place] <= boundary + tolerance:
            pairs, place = pairs + 1, place + 1
    return pairs


@dataclass(frozen=True)
class Truth:
    """A recording's true skills, for scoring.

    Attributes:
        boundaries: rows at which a skill begins, but for the first.
        skills: (N,) number of the skill at each row.
    """

    boundaries: tuple[int, ...]
    skills: NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """A number in [0, 1] with its 95 % interval, by bootstrap over recordings."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"value": round(self.value, 4), "interval": [round(self.low, 4), round(self.high, 4)]}


@dataclass(frozen=True)
class Scores:
    """A segmentation against the truth.

    Attributes:
        f1: harmonic mean of precision and recall of the boundaries, counted over all recordings.
        purity: share of steps whose true skill is the most frequent one of their cluster.
        per_recording: boundaries found in a recording on average, and true ones.
    """

    f1: Score
    precision: Score
    recall: Score
    purity: Score
    per_recording: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = ("f1", "precision", "recall", "purity")
        scores = {name: getattr(self, name).to_json() for name in names}
        return {**scores, "boundaries_per_recording": list(self.per_recording)}


def score(
    segments: Sequence[Segment], truths: Sequence[Truth], tolerance: int, resamples: int = 1000, seed: int = 0
) -> Scores:
    """Score a segmentation of recordings.

    Args:
        segments: of all recordings.
        truths: one a recording.
        tolerance: in steps.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: there is nothing to score.
    """
    if not truths or not segments:
        raise InputError("There is no segmentation to score.")
    cuts = boundaries(segments, len(truths))
    pairs = [(matched(found, truth.boundaries, tolerance), len(found), len(truth.boundaries))
             for found, truth in zip(cuts, truths, strict=True)]  # fmt: skip
    counts = np.array(pairs, np.float64)
    tables = contingency(segments, truths)
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(truths), (resamples, len(truths)))

    def interval(statistic: Callable[[NDArray[np.int64]], float]) -> Score:
        drawn = [statistic(rows) for rows in draws]
        low, high = np.quantile(drawn, (0.025, 0.975))
        return Score(statistic(np.arange(len(truths))), float(low), float(high))

    def ratio(above: int, below: tuple[int, ...], factor: float) -> Callable[[NDArray[np.int64]], float]:
        def value(rows: NDArray[np.int64]) -> float:
            total = counts[rows].sum(0)
            return float(factor * total[above] / max(sum(total[index] for index in below), 1))

        return value

    def pure(rows: NDArray[np.int64]) -> float:
        table = tables[rows].sum(0)
        return float(table.max(axis=1).sum() / max(table.sum(), 1))

    return Scores(
        f1=interval(ratio(0, (1, 2), 2.0)),
        precision=interval(ratio(0, (1,), 1.0)),
        recall=interval(ratio(0, (2,), 1.0)),
        purity=interval(pure),
        per_recording=(float(counts[:, 1].mean()), float(counts[:, 2].mean())),
    )


def contingency(segments: Sequence[Segment], truths: Sequence[Truth]) -> NDArray[np.int64]:
    """Steps of each cluster and true skill in each recording, (recordings, clusters, skills)."""
    clusters = 1 + max(segment.cluster for segment in segments)
    skills = 1 + max(int(truth.skills.max()) for truth in truths)
    table = np.zeros((len(truths), clusters, skills), np.int64)
    for segment in segments:
        here = truths[segment.recording].skills[segment.start : segment.stop]
        table[segment.recording, segment.cluster] += np.bincount(here, minlength=skills)
    return table


def majority(segments: Sequence[Segment], truths: Sequence[Truth]) -> list[int]:
    """The true skill of most steps of each cluster."""
    return [int(row.argmax()) for row in contingency(segments, truths).sum(0)]


def chance(truths: Sequence[Truth], seed: int, even: bool = False) -> list[Segment]:
    """A segmentation that looks at nothing: as many boundaries a step as there truly are over all.

    Args:
        truths: of the recordings.
        seed: of where the boundaries fall.
        even: spread evenly over each recording instead of uniformly at random.
    """
    rng = np.random.default_rng(seed)
    rate = sum(len(t.boundaries) for t in truths) / sum(len(t.skills) for t in truths)
    segments = []
    for number, truth in enumerate(truths):
        length = len(truth.skills)
        if even:
            count = round(rate * length)
            cuts = np.round(np.arange(1, count + 1) * length / (count + 1)).astype(int)
        else:
            count = min(rng.binomial(length, rate), length - 1)
            cuts = rng.choice(np.arange(1, length), count, replace=False)
        segments += between(number, length, cuts.tolist())
    return segments
