"""What a data set holds, gathered in one pass over its numbers; images are not read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.formats.base import DataError, Source

BARS = "▁▂▃▄▅▆▇█"
#: Rows kept for histograms, at most, spread over the data set.
SAMPLED = 20_000


@dataclass(frozen=True)
class Spread:
    """How one number is distributed.

    Attributes:
        histogram: how many of the sampled rows lie in each of equal parts from low to high.
    """

    name: str
    low: float
    mean: float
    high: float
    std: float
    histogram: tuple[int, ...]


@dataclass
class Summary:
    """What `summarise` found.

    Attributes:
        unreadable: episodes that could not be read, with their problem.
        lengths: of the episodes that could, steps.
        texts, outcomes, experts: how many episodes have each.
        size: bytes on the disk.
    """

    path: str
    format: str
    episodes: int
    rate: float
    cameras: Mapping[str, tuple[int, int]]
    extras: Mapping[str, Any]
    info: Mapping[str, Any]
    size: int
    lengths: list[int] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)
    texts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    experts: Counter[str] = field(default_factory=Counter)
    seeds: tuple[int, int] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    state: list[Spread] = field(default_factory=list)
    action: list[Spread] = field(default_factory=list)
    not_carried: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Steps of the episodes that could be read."""
        return sum(self.lengths)

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        lengths = np.array(self.lengths or [0])
        return {
            **asdict(self),
            "texts": dict(self.texts),
            "outcomes": dict(self.outcomes),
            "experts": dict(self.experts),
            "frames": self.frames,
            "hours": self.frames / self.rate / 3600,
            "lengths": {
                "min": int(lengths.min()),
                "median": float(np.median(lengths)),
                "max": int(lengths.max()),
            },
            "not_carried": list(self.not_carried),
        }


def summarise(
    source: Source, name: str, episodes: Sequence[int], advance: Callable[[], None] | None = None
) -> Summary:
    """Read the numbers of some episodes once.

    Args:
        source: the data set.
        name: of its format.
        episodes: which.
        advance: called after each.
    """
    meta = source.meta
    extras = {key: feature.to_json() for key, feature in meta.extras.items()}
    result = Summary(
        str(source.path),
        name,
        len(source),
        meta.control_rate,
        dict(meta.cameras),
        extras,
        dict(meta.info),
        size_on_disk(source.path),
    )
    share = max(1, math.ceil(SAMPLED / max(len(episodes), 1)))
    states, actions = _Numbers(meta.state_names, share), _Numbers(meta.action.names, share)
    seeds = []
    for number in episodes:
        try:
            episode = source.read(number)
        except DataError as error:
            result.unreadable[number] = error.problem.message
            continue
        result.lengths.append(len(episode))
        result.texts[episode.text] += 1
        result.outcomes[episode.outcome] += 1
        result.experts[episode.expert] += 1
        seeds += [] if episode.seed is None else [episode.seed]
        result.attributes |= {k: v for k, v in episode.attributes.items() if k not in result.attributes}
        states.add(np.asarray(episode.state))
        actions.add(np.asarray(episode.action))
        if advance is not None:
            advance()
    result.seeds = (min(seeds), max(seeds)) if seeds else None
    result.state, result.action = states.spreads(), actions.spreads()
    result.not_carried = tuple(source.not_carried)
    return result


class _Numbers:
    """Moments of all rows, and some rows for histograms; NaN and infinity are left out."""

    def __init__(self, names: Sequence[str], share: int) -> None:
        self._names, self._share = names, share
        self._count, self._sum, self._square = (np.zeros(len(names)) for _ in range(3))
        self._low, self._high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
        self._rows: list[NDArray[np.float64]] = []

    def add(self, rows: NDArray[Any]) -> None:
        values = rows.astype(np.float64)
        if len(values) == 0:
            return
        finite = np.isfinite(values)
        zeroed = np.where(finite, values, 0)
        self._count += finite.sum(axis=0)
        self._sum += zeroed.sum(axis=0)
        self._square += (zeroed * zeroed).sum(axis=0)
        self._low = np.minimum(self._low, np.where(finite, values, np.inf).min(axis=0))
        self._high = np.maximum(self._high, np.where(finite, values, -np.inf).max(axis=0))
        places = np.linspace(0, len(values) - 1, min(len(values), self._share)).round().astype(int)
        self._rows.append(values[places])

    def spreads(self) -> list[Spread]:
        if not self._rows:
            return []
        rows = np.concatenate(self._rows)
        count = np.maximum(self._count, 1)
        mean = self._sum / count
        std = np.sqrt(np.maximum(self._square / count - mean * mean, 0))
        made = []
        for index, name in enumerate(self._names):
            low, high = float(self._low[index]), float(self._high[index])
            values = rows[np.isfinite(rows[:, index]), index]
            bins = (
                np.histogram(values, bins=2 * len(BARS), range=(low, high))[0].tolist() if high > low else ()
            )
            made.append(Spread(name, low, float(mean[index]), high, float(std[index]), tuple(bins)))
        return made


def sparkline(counts: Sequence[int]) -> str:
    """Bars, the highest for the most frequent; a part that holds anything shows at least the lowest."""
    most = max(counts, default=0)
    return "".join(" " if value == 0 else BARS[math.ceil(value / most * len(BARS)) - 1] for value in counts)


def size_on_disk(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
