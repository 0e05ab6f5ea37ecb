"""Statistics of an episode and of a data set as LeRobot holds them.

Source: LeRobot 0.4.4, `datasets/compute_stats.py`. Two numbers are exact here where LeRobot estimates them:
quantiles (it counts in 5,000 bins) and the spread of integers (it squares them in their own type).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robot_skills.robot import Image

Statistics: TypeAlias = dict[str, NDArray[Any]]
#: Of v3.0.
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def of_rows(rows: NDArray[Any], quantiles: bool) -> Statistics | None:
    """Statistics over the rows of (N, ...) numbers; None where some number of each row is not finite."""
    values = rows.reshape(len(rows), -1).astype(np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    if not values.size:
        return None
    found: Statistics = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
    }
    if quantiles:
        found |= dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0), strict=True))
    shape = rows.shape[1:] or (1,)
    return {**{key: value.reshape(shape) for key, value in found.items()}, "count": np.array([len(values)])}


def sampled(length: int) -> list[int]:
    """The frames of an episode whose images are counted: all of up to 100, then fewer than there are."""
    count = max(min(length, 100), min(int(length**0.75), 10_000))
    return [int(row) for row in np.round(np.linspace(0, length - 1, count))]


class ImageStatistics:
    """Statistics of the sampled images of an episode, by counting each channel's 256 values.

    Args:
        length: of the episode.
    """

    def __init__(self, length: int) -> None:
        self._sampled = set(sampled(length))
        self._counts = np.zeros((3, 256), np.int64)
        self._frames = 0

    def add(self, images: Image, start: int) -> None:
        """Count (n, H, W, 3) images of which the first is the episode's frame `start`."""
        for number, image in enumerate(images, start):
            if number in self._sampled:
                height, width = image.shape[:2]
                step = 1 if max(height, width) < 300 else max(1, max(height, width) // 150)
                pixels = image[::step, ::step].reshape(-1, 3)
                for channel in range(3):
                    self._counts[channel] += np.bincount(pixels[:, channel], minlength=256)
                self._frames += 1

    def result(self, quantiles: bool) -> Statistics:
        """Values in 0 to 1, (3, 1, 1) each."""
        values = np.arange(256) / 255
        below = self._counts.cumsum(axis=1)
        total = below[:, -1:]
        mean = (self._counts * values).sum(axis=1) / total[:, 0]
        square = (self._counts * values**2).sum(axis=1) / total[:, 0]
        found = {
            "min": values[(self._counts > 0).argmax(axis=1)],
            "max": values[255 - (self._counts[:, ::-1] > 0).argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(square - mean**2, 0)),
        }
        if quantiles:
            for key, share in QUANTILES.items():
                found[key] = values[(below >= share * total).argmax(axis=1)]
        shaped = {key: value.reshape(3, 1, 1) for key, value in found.items()}
        return {**shaped, "count": np.array([self._frames])}


class Total:
    """Statistics of a data set from those of its episodes, as LeRobot's `aggregate_stats` puts them together.

    Quantiles are the weighted mean of the episodes', which is what LeRobot writes.
    """

    def __init__(self) -> None:
        self._found: dict[str, Statistics] = {}

    def add(self, episode: dict[str, Statistics]) -> None:
        """Take an episode in."""
        for key, new in episode.items():
            old = self._found.get(key)
            self._found[key] = {**new} if old is None else _together(old, new)

    def result(self) -> dict[str, Any]:
        """Plain JSON values."""
        return to_json(self._found)


def _together(old: Statistics, new: Statistics) -> Statistics:
    count = old["count"] + new["count"]
    weight = float(new["count"][0] / count[0])
    mean = old["mean"] + weight * (new["mean"] - old["mean"])
    variance = (1 - weight) * (old["std"] ** 2 + (old["mean"] - mean) ** 2)
    variance = variance + weight * (new["std"] ** 2 + (new["mean"] - mean) ** 2)
    found = {
        "min": np.minimum(old["min"], new["min"]),
        "max": np.maximum(old["max"], new["max"]),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": count,
    }
    quantiles: Iterable[str] = (key for key in QUANTILES if key in old and key in new)
    return {**found, **{key: old[key] + weight * (new[key] - old[key]) for key in quantiles}}


def to_json(statistics: dict[str, Statistics]) -> dict[str, Any]:
    """Plain JSON values."""
    return {
        feature: {key: value.tolist() for key, value in found.items()}
        for feature, found in statistics.items()
    }
