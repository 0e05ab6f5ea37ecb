"""What a check is, and what the checks look at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.data.meta import StoreMeta

Array = NDArray[np.float64]
Subject = TypeVar("Subject")

#: Rows of an episode kept for comparing it with others, and for the spread of each number.
SAMPLES = 16


class Finding(NamedTuple):
    """One thing a check found.

    Attributes:
        message: one line for a person.
        frame: step of the episode.
        episode: only where a check looks at several.
    """

    message: str
    frame: int | None = None
    episode: int | None = None


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """A check: a pure function from what it looks at, and its threshold, to what it found.

    Attributes:
        kind: the name of the fault.
        severity: "error": not fit to train on; "warning": look at it.
        threshold: beyond which it is a fault; what it counts is said in `why`.
        why: what the fault does to training, and where the threshold comes from.
        find: the function.
    """

    kind: str
    severity: str
    threshold: float
    why: str
    find: Callable[[Subject, float], Iterable[Finding]]


@dataclass(frozen=True)
class Track:
    """An episode's numbers, read once for all checks.

    Attributes:
        episode: as it was read; its images may be lazy.
        meta: of the data set.
    """

    episode: Episode
    meta: StoreMeta

    @property
    def rate(self) -> float:
        """Control steps a second."""
        return self.meta.control_rate

    def still(self) -> NDArray[np.bool_]:
        """(N - 1,) whether the state hardly changes at a step: by less than 0.2 % of its range here."""
        steps = np.linalg.norm(np.diff(self.episode.state, axis=0), axis=1)
        result: NDArray[np.bool_] = steps <= 2e-3 * max(self.span, 1e-12)
        return result

    @property
    def span(self) -> float:
        """How far the state reaches in this episode: the length of its ranges."""
        if len(self.episode) == 0:
            return 0.0
        return float(np.linalg.norm(np.ptp(self.episode.state, axis=0)))


@dataclass(frozen=True)
class EpisodeFacts:
    """What is kept of an episode for the checks that compare episodes; a few hundred bytes.

    Numbers are those of state and action beside each other, S + A of them.

    Attributes:
        episode: its number.
        digest: SHA-1 of the bytes of state and action.
        samples: (`SAMPLES`, S + A) rows at even distances.
        low, high: (S + A,) extremes.
        low_at, high_at: (S + A,) the steps they are at.
        step: (S,) 99th percentile of the state's change a step; step_max, step_at: the largest, and where.
        limited: (A,) steps at which the action lies at a limit.
        levels: (A,) whether the action takes more than two values.
        ends: whether `end` is ever 1.
        gripper: correlation of the gripper's command with its opening; NaN where there is none.
    """

    episode: int
    length: int
    text: str
    seed: int | None
    expert: str
    digest: str
    samples: NDArray[np.float32]
    low: Array
    high: Array
    low_at: NDArray[np.int64]
    high_at: NDArray[np.int64]
    step: Array
    step_max: Array
    step_at: NDArray[np.int64]
    limited: NDArray[np.int64]
    levels: NDArray[np.bool_]
    ends: bool
    gripper: float


@dataclass
class Summary:
    """What the checks over a whole data set look at.

    Attributes:
        meta: of the data set.
        facts: one for each episode that could be read and holds finite numbers.
        episodes: how many there are, unreadable ones included.
        lag: correlations of actions with what the state does, see `timing`.
        stored: statistics that the data set carries, array -> statistic -> numbers.
        moments: array -> (count, sum, sum of squares, least, greatest), each by number.
        colours: camera -> what was seen of its colours, see `colours`.
    """

    meta: StoreMeta
    facts: list[EpisodeFacts] = field(default_factory=list)
    episodes: int = 0
    lag: Any = None
    stored: dict[str, dict[str, Array]] = field(default_factory=dict)
    moments: dict[str, Array] = field(default_factory=dict)
    colours: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the S + A numbers, as messages give them."""
        states = (f"state {name!r}" for name in self.meta.state_names)
        return (*states, *(f"action {name!r}" for name in self.meta.action.names))

    def low(self) -> Array:
        """(S + A,) least value of each number."""
        low: Array = np.stack([facts.low for facts in self.facts]).min(axis=0)
        return low

    def high(self) -> Array:
        """(S + A,) greatest value of each number."""
        high: Array = np.stack([facts.high for facts in self.facts]).max(axis=0)
        return high


def gather(number: int, episode: Episode, meta: StoreMeta, gripper: float) -> EpisodeFacts:
    """The facts of an episode of at least one step, all of whose numbers are finite."""
    state, action = np.asarray(episode.state), np.asarray(episode.action)
    rows = np.concatenate([state, action], axis=1).astype(np.float64)
    steps = (
        np.abs(np.diff(rows[:, : state.shape[1]], axis=0)) if len(rows) > 1 else np.zeros((1, state.shape[1]))
    )
    low, high = np.array(meta.action.low), np.array(meta.action.high)
    near = 1e-3 * np.where(np.isfinite(high - low), high - low, 0)
    places = np.linspace(0, len(rows) - 1, SAMPLES).round().astype(int)
    ordered = np.sort(action, axis=0)
    return EpisodeFacts(
        episode=number,
        length=len(rows),
        text=episode.text,
        seed=episode.seed,
        expert=episode.expert,
        digest=hashlib.sha1(state.tobytes() + action.tobytes(), usedforsecurity=False).hexdigest(),
        samples=rows[places].astype(np.float32),
        low=rows.min(axis=0),
        high=rows.max(axis=0),
        low_at=rows.argmin(axis=0),
        high_at=rows.argmax(axis=0),
        step=np.quantile(steps, 0.99, axis=0),
        step_max=steps.max(axis=0),
        step_at=steps.argmax(axis=0) + (len(rows) > 1),
        limited=((action <= low + near) | (action >= high - near)).sum(axis=0),
        levels=(np.diff(ordered, axis=0) > 0).sum(axis=0) > 1,
        ends=bool((episode.end > 0.5).any()),
        gripper=gripper,
    )


def runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The (start, stop) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        yield int(start), int(stop)
