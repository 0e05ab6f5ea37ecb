"""How good each demonstration is: a score in [0, 1] and its parts, for a look at the data and for weights.

    success      1 if the episode's outcome is "succeeded", else 0
    smoothness   spectral arc length of the speed profile, against the other demonstrations
    length       number of steps, against the other demonstrations: longer is worse
    agreement    how far the actions are from those of other demonstrations in similar states
    score        success * geometric mean of the other three

"Other demonstrations" are those of the same text; texts with few demonstrations are compared together. Each
of the three is a robust z-score z (by median and median absolute deviation, higher being worse) mapped to
1 / (1 + exp(z - 2)): a usual demonstration has .88, one that is worse by two deviations .5, by four .12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robot_skills.data.files import write_text
from robot_skills.data.reuse.subtrajectories import Index, Scaling
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.policies.settings import check_range
from robot_skills.robot import Float

QUALITY = "quality.json"
FORMAT_VERSION = 1
Values = NDArray[np.float64]
#: Position of the tool among the state's features; without these, all features move.
POSITION = ("ee.x", "ee.y", "ee.z")
#: Spectral arc length: highest frequency, Hz, share of the peak below which the spectrum ends, and
#: zero-padding (2^4 times), all as in Balasubramanian et al. 2015.
CUT_OFF, THRESHOLD, PADDING = 10.0, 0.05, 4
#: A median absolute deviation times this is the standard deviation of a normal distribution.
NORMAL = 1.4826
#: The robust z-score at which a part of the score is one half.
HALF_AT = 2.0
#: Smallest spreads that z-scores are taken against: spectral arc length, logarithm of the steps (10 %), and
#: logarithm of the disagreement. Demonstrations that hardly differ are not told apart by what is left.
FLOORS = {"smoothness": 0.1, "length": 0.1, "agreement": 0.25}


@dataclass(frozen=True)
class QualityConfig:
    """How demonstrations are compared.

    Attributes:
        neighbours: k, similar states of other demonstrations that an action is compared with.
        smallest: a text with fewer demonstrations is compared with the other such texts.
        rows: of a demonstration that are compared, at most, spread evenly.
        references: rows of a group that are compared with, at most, drawn at random.
        seed: of that draw.
    """

    neighbours: int = 5
    smallest: int = 8
    rows: int = 64
    references: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("neighbours", "smallest", "rows", "references"):
            check_range(name, getattr(self, name), 1)
        check_range("seed", self.seed, 0)


@dataclass(frozen=True)
class Quality:
    """The score of one demonstration and its parts, each in [0, 1].

    Attributes:
        spectral_arc_length: below 0; nearer to 0 is smoother. None: too short, or nothing moved.
        disagreement: mean squared difference from the neighbours' mean action, in standard deviations of the
            action; None where there is no other demonstration to compare with.
    """

    episode: int
    text: str
    steps: int
    success: float
    smoothness: float
    length: float
    agreement: float
    score: float
    spectral_arc_length: float | None
    disagreement: float | None


def assess(store: EpisodeStore, config: QualityConfig | None = None) -> list[Quality]:
    """Score every demonstration of a store, in their order.

    Raises:
        InputError: the store holds no episode.
    """
    config = config or QualityConfig()
    if not store.episodes:
        raise InputError(f"{store.folder} holds no episodes yet.")
    groups = group_by_text([record.text for record in store.episodes], config.smallest)
    raw = {
        "smoothness": -_spectral_arc_lengths(store),
        "length": np.log([float(record.length) for record in store.episodes]),
        "agreement": np.log(np.maximum(disagreements(store, groups, config), 1e-9)),
    }
    parts = {name: _against_others(values, groups, FLOORS[name]) for name, values in raw.items()}
    mean = np.exp(np.mean([np.log(np.maximum(part, 1e-12)) for part in parts.values()], axis=0))
    found = []
    for record in store.episodes:
        number, success = record.episode, float(record.outcome == "succeeded")
        arc, known = -raw["smoothness"][number], raw["agreement"][number]
        found.append(
            Quality(
                episode=number,
                text=record.text,
                steps=record.length,
                success=success,
                **{name: round(float(part[number]), 4) for name, part in parts.items()},
                score=round(success * float(mean[number]), 4),
                spectral_arc_length=None if np.isnan(arc) else round(float(arc), 4),
                disagreement=None if np.isnan(known) else round(float(np.exp(known)), 6),
            )
        )
    return found


def episode_weights(
    store: EpisodeStore, power: float = 1.0, floor: float = 0.0, config: QualityConfig | None = None
) -> Values:
    """(E,) weights to draw a store's episodes with in training: max(score, floor)^power, mean 1.

    Weights multiply the probability of each of an episode's windows. With power 0 all are 1.

    Args:
        store: opened.
        power: 0 ignores the scores, 1 follows them, more sharpens them.
        floor: least score that counts; above 0 nothing is left out entirely.
        config: how demonstrations are compared.

    Raises:
        InputError: power or floor is out of range, the store is empty, or nothing in it has a score above 0.
    """
    return weights_of([quality.score for quality in assess(store, config)], power, floor)


def weights_of(scores: Sequence[float], power: float = 1.0, floor: float = 0.0) -> Values:
    """The weights for scores that are known; see `episode_weights`."""
    check_range("power", power, 0)
    check_range("floor", floor, 0, 1)
    weights: Values = np.maximum(np.array(scores, np.float64), floor) ** power
    if not weights.sum() > 0:
        raise InputError("Every demonstration has the score 0: nothing is left to learn from.")
    scaled: Values = weights / weights.mean()
    return scaled


# The file ---------------------------------------------------------------------------------------------


def write_quality(store: EpisodeStore, found: Sequence[Quality]) -> Path:
    """Write `quality.json` beside a store's arrays, which stay as they are."""
    path = store.folder / QUALITY
    data = {
        "format": "robot_skills.quality",
        "format_version": FORMAT_VERSION,
        "episodes": [asdict(quality) for quality in found],
    }
    write_text(path, json.dumps(data, indent=1) + "\n")
    return path


def read_scores(store: EpisodeStore) -> Values:
    """(E,) scores from `quality.json`.

    Raises:
        InputError: there is none, it is damaged, or it is of other episodes than the store now holds.
    """
    path, again = store.folder / QUALITY, f"robot-skills data score {store.folder}"
    if not path.is_file():
        raise InputError(f"{store.folder} has no {QUALITY}: make it with `{again}`.")
    try:
        lines: list[Mapping[str, Any]] = json.loads(path.read_text())["episodes"]
        steps, scores = [int(line["steps"]) for line in lines], [float(line["score"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error!r}. Make it anew with `{again}`.") from error
    if steps != [record.length for record in store.episodes]:
        raise InputError(f"{path} is of other episodes than the data set holds: make it anew with `{again}`.")
    return np.array(scores)


# Parts ------------------------------------------------------------------------------------------------


def spectral_arc_length(speed: Values, rate: float) -> float:
    """Smoothness of a speed profile: minus the arc length of its normalised magnitude spectrum.

    SPARC of Balasubramanian, Melendez-Calderon, Roby-Brami and Burdet 2015 (doi 10.1186/s12984-015-0090-9):
    - integral from 0 to c of sqrt((1 / c)^2 + (dV(f) / df)^2) df,  V(f) the magnitude spectrum
    divided by V(0), c the last frequency up to 10 Hz at which V is at least 0.05. It depends on neither the
    amplitude nor the duration; a single smooth bump has about -1.4 or a little less, and every stop adds.

    Args:
        speed: (N,) at a constant rate.
        rate: Hz.

    Returns:
        Below 0; NaN for fewer than 3 speeds, or no motion at all.
    """
    if len(speed) < 3 or not speed.sum() > 0:
        return float("nan")
    size = 2 ** (int(np.ceil(np.log2(len(speed)))) + PADDING)
    spectrum = np.abs(np.fft.rfft(speed, size))
    frequency = np.fft.rfftfreq(size, 1 / rate)
    spectrum = spectrum / spectrum[0]
    kept = frequency <= CUT_OFF
    above = np.flatnonzero(kept & (spectrum >= THRESHOLD))
    stop = int(above[-1]) + 1
    if stop < 2:
        return float("nan")
    along = np.diff(frequency[:stop]) / (frequency[stop - 1] - frequency[0])
    return -float(np.sqrt(along**2 + np.diff(spectrum[:stop]) ** 2).sum())


def disagreements(store: EpisodeStore, groups: Index, config: QualityConfig) -> Values:
    """(E,) mean squared distance of actions from the mean action of the k most similar states.

    Similar by the Euclidean distance of normalised states, and of the argument's position relative to the
    tool where that is known (as it is for the tabletop's demonstrations); from other demonstrations of the
    same group only. NaN where there are none.

    Args:
        store: opened.
        groups: (E,) which demonstrations are compared with each other.
        config: how many neighbours, of how many rows.
    """
    scaling = Scaling.of([store])
    features, action = _features(store, scaling), scaling.action(np.asarray(store.action))
    episode = np.repeat(np.arange(len(store.episodes)), [record.length for record in store.episodes])
    rng = np.random.default_rng(config.seed)
    found = np.full(len(store.episodes), np.nan)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) < 2:
            continue
        rows = np.flatnonzero(np.isin(episode, members))
        base = np.sort(rng.permutation(rows)[: config.references])
        points = torch.from_numpy(features[base])
        for member in members:
            record = store.episodes[member]
            chosen = np.linspace(record.start, record.rows.stop - 1, min(config.rows, record.length))
            asked = np.unique(chosen.astype(np.int64))
            distances = torch.cdist(torch.from_numpy(features[asked]), points)
            distances[:, torch.from_numpy(episode[base] == member)] = torch.inf
            count = min(config.neighbours, int((episode[base] != member).sum()))
            if count == 0:
                continue
            near = base[distances.topk(count, dim=1, largest=False).indices.numpy()]
            found[member] = np.square(action[asked] - action[near].mean(axis=1)).mean()
    return found


def group_by_text(texts: Sequence[str], smallest: int) -> Index:
    """(E,) numbers of groups: one for each text with enough demonstrations, and one for all others."""
    names, members, counts = np.unique(np.array(texts), return_inverse=True, return_counts=True)
    groups: Index = np.where(counts[members] >= smallest, members, len(names))
    return groups


def _features(store: EpisodeStore, scaling: Scaling) -> Float:
    """(N, F) what similar states are similar in."""
    state = np.asarray(store.state)
    scaled = scaling.state(state)
    target = np.asarray(store.target)
    names = store.meta.state_names
    if not all(name in names for name in POSITION) or not np.isfinite(target).all():
        return scaled
    offset = target - state[:, [names.index(name) for name in POSITION]]
    spread = np.maximum(offset.std(axis=0), 1e-3)
    both: Float = np.concatenate([scaled, (offset - offset.mean(axis=0)) / spread], axis=1).astype(np.float32)
    return both


def _spectral_arc_lengths(store: EpisodeStore) -> Values:
    """(E,) of the speed of the tool, or of the whole state where the tool is not named."""
    names = store.meta.state_names
    columns = [names.index(name) for name in POSITION if name in names]
    moving = np.asarray(store.state)[:, columns] if len(columns) == len(POSITION) else None
    if moving is None:
        moving = Scaling.of([store]).state(np.asarray(store.state))
    rate = store.meta.control_rate
    speeds = [
        np.linalg.norm(np.diff(moving[record.rows].astype(np.float64), axis=0), axis=1) * rate
        for record in store.episodes
    ]
    return np.array([spectral_arc_length(speed, rate) for speed in speeds])


def _against_others(values: Values, groups: Index, floor: float) -> Values:
    """(E,) in [0, 1] by robust z-scores within groups, higher being worse; NaN, unknown, counts as usual."""
    scores = np.full(len(values), _share(np.zeros(1))[0])
    for group in np.unique(groups):
        here = (groups == group) & np.isfinite(values)
        if not here.any():
            continue
        middle = np.median(values[here])
        spread = max(NORMAL * float(np.median(np.abs(values[here] - middle))), floor)
        scores[here] = _share(np.clip((values[here] - middle) / spread, -50, 50))
    return scores


def _share(worse: Values) -> Values:
    """What is left at a robust z-score."""
    left: Values = 1 / (1 + np.exp(worse - HALF_AT))
    return left
