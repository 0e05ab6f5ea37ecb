"""Batches of windows from episode stores, in an order that is a pure function of seed and step.

`Windows` gathers, `robot_skills.data.order` says in which order, `Loader` prepares ahead.

A window starts at any step t of any episode: images at t, the H states up to t (the first one repeated at
the start), the T actions from t on (after the end: no motion, the gripper as the last action left it, and
end = 1), and the language argument. Shapes as in `robot_skills.policies.policy`. An episode with the
attribute `continues` was cut out of a longer one, and what came after is not known: its windows end with it.

Images stay memory-mapped: once the system has read them, gathering is as fast as from arrays in memory, and
the memory is the system's to take back.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from robot_skills.data.episode import EpisodeRecord
from robot_skills.data.meta import StoreMeta
from robot_skills.data.order import SPLIT_STREAM, Index, Mixture, mixture, permutation
from robot_skills.data.statistics import statistics
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError, unknown
from robot_skills.policies.policy import Batch
from robot_skills.robot import Float, Image


class _Span(NamedTuple):
    """An episode: its rows in the concatenated arrays, its windows, text, store, and weight in the store."""

    start: int
    length: int
    windows: int
    text: str
    skill: str
    store: int
    weight: float


class Windows:
    """Every window of some stores' episodes, gathered by index.

    Args:
        stores: opened stores; they must share state features and action space, and have the cameras.
        cameras: the cameras wanted.
        history: H.
        chunk: T.
        state: names of the state's features, or of extra features, that make up the state, in order; a
            pattern such as "ee.*" names several. None: the stores' whole state.
        target: the array that is the training label `target`: "target", or an extra feature.
        weights: how often each store's windows come, against each other; None: every window alike.
        episode_weights: for each store, how often the windows of each of its episodes come, against each
            other: (E,), or None for all alike.

    Raises:
        InputError: the stores do not fit together, or hold no episode.
    """

    def __init__(
        self,
        stores: Sequence[EpisodeStore],
        cameras: Sequence[str],
        history: int,
        chunk: int,
        state: Sequence[str] | None = None,
        target: str = "target",
        weights: Sequence[float] | None = None,
        episode_weights: Sequence[NDArray[np.float64] | None] | None = None,
    ) -> None:
        _check_stores(stores, cameras)
        within = [
            np.ones(len(store.episodes)) if here is None else here
            for store, here in zip(stores, episode_weights or [None] * len(stores), strict=True)
        ]
        self.history, self.chunk, self._weights = history, chunk, weights
        self._stores = [str(store.folder) for store in stores]
        meta = stores[0].meta
        self.state_names = state_names(meta, state)
        self._state = np.concatenate([_state(store, state) for store in stores])
        self._action = np.concatenate([store.action for store in stores])
        self._end = np.concatenate([store.end for store in stores])
        self._target = np.concatenate([_target(store, target) for store in stores])
        self._space = meta.action
        self._held = ~np.array(meta.action.relative)
        self.images = {camera: Frames([store.images(camera) for store in stores]) for camera in cameras}
        offsets = np.cumsum([0, *(store.frames for store in stores)])
        self._spans = [
            _Span(
                start=int(offset) + record.start,
                length=record.length,
                windows=_starts(record, chunk),
                text=record.text,
                skill=record.call.skill if record.call else "",
                store=number,
                weight=float(within[number][record.episode]),
            )
            for number, (store, offset) in enumerate(zip(stores, offsets[:-1], strict=True))
            for record in store.episodes
        ]
        self._index()

    def only(self, episodes: Sequence[int]) -> Windows:
        """The windows of some of the episodes, numbered over all stores; the arrays are shared."""
        part = copy.copy(self)
        part._spans = [self._spans[episode] for episode in episodes]
        part._index()
        return part

    def without(self, words: Sequence[str]) -> Windows:
        """The windows of episodes whose text holds none of some words.

        Raises:
            InputError: no episode is left.
        """
        if not words:
            return self
        barred = set(words)
        kept = [place for place, span in enumerate(self._spans) if not barred & set(span.text.split())]
        if not kept:
            raise InputError(f"No episode is left without {', '.join(words)}.")
        return self.only(kept)

    def split(self, fraction: float, seed: int) -> tuple[Windows, Windows | None]:
        """Windows to learn from, and windows of held-out episodes.

        Args:
            fraction: share of the episodes held out: rounded, at least one if above 0 (and two are there).
            seed: which ones.
        """
        count = min(self.episodes - 1, max(1, round(fraction * self.episodes))) if fraction > 0 else 0
        if count == 0:
            return self, None
        order = permutation(self.episodes, seed, SPLIT_STREAM, 0)
        return self.only(sorted(order[count:].tolist())), self.only(sorted(order[:count].tolist()))

    def _index(self) -> None:
        """Number the windows: row, first and last row of its episode, and the episode."""
        starts = np.array([span.start for span in self._spans], np.int64)
        lengths = np.array([span.length for span in self._spans], np.int64)
        counts = np.array([span.windows for span in self._spans], np.int64)
        self._episode: Index = np.repeat(np.arange(len(starts)), counts)
        self._first: Index = np.repeat(starts, counts)
        self._last: Index = self._first + np.repeat(lengths, counts) - 1
        before = np.repeat(np.cumsum(counts) - counts, counts)
        self._rows: Index = self._first + np.arange(len(self._episode)) - before
        stores = np.repeat(np.array([span.store for span in self._spans], np.int64), counts)
        within = np.repeat(np.array([span.weight for span in self._spans]), counts)
        self.mixture = mixture(stores, self._weights, within)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def episodes(self) -> int:
        """How many episodes the windows come from."""
        return len(self._spans)

    def statistics(self) -> dict[str, Float]:
        """`robot_skills.data.statistics.statistics` of these episodes' rows.

        `action_low` and `action_high` are the action space's limits where it has any, else the data's.
        """
        known = statistics(self._state[self._rows], self._action[self._rows], self._target[self._rows])
        for name, limits in (("action_low", self._space.low), ("action_high", self._space.high)):
            limit = np.array(limits, np.float32)
            known[name] = np.where(np.isfinite(limit), limit, known[name])
        return known

    def batch(self, indices: Index, images: bool = True, buffers: Mapping[str, Image] | None = None) -> Batch:
        """Gather windows.

        Args:
            indices: (B,) window numbers.
            images: whether to gather images; without, `batch["images"]` is empty.
            buffers: camera -> (B, h, w, 3) uint8 to gather images into; new ones without.

        Returns:
            Tensors on the CPU. Images are (B, 3, h, w) views of channels-last memory.
        """
        now, last = self._rows[indices, None], self._last[indices, None]
        past = np.maximum(now + np.arange(1 - self.history, 1), self._first[indices, None])
        future = now + np.arange(self.chunk)
        over = future > last
        future = np.minimum(future, last)
        actions, end = self._action[future], self._end[future]
        actions[over] *= self._held
        end[over] = 1.0
        pictures = {}
        for camera, frames in self.images.items() if images else ():
            gathered = frames.take(self._rows[indices], buffers[camera] if buffers else None)
            pictures[camera] = torch.from_numpy(gathered).permute(0, 3, 1, 2)
        return Batch(
            images=pictures,
            history=torch.from_numpy(self._state[past]),
            actions=torch.from_numpy(actions),
            end=torch.from_numpy(end),
            text=[self._spans[episode].text for episode in self._episode[indices]],
            skill=[self._spans[episode].skill for episode in self._episode[indices]],
            target=torch.from_numpy(self._target[self._rows[indices]]),
            to_go=torch.from_numpy((last - now)[:, 0].astype(np.float32)),
        )

    def groups(self, by: str) -> dict[str, Index]:
        """Window numbers by name of the skill ("skills"), or by folder of the data set ("stores")."""
        of_span = [span.skill if by == "skills" else self._stores[span.store] for span in self._spans]
        names, which = np.unique(np.array(of_span), return_inverse=True)
        of_window = which[self._episode]
        return {str(name): np.flatnonzero(of_window == place) for place, name in enumerate(names)}

    def texts(self) -> tuple[list[str], list[str]]:
        """The language argument, and the name of the skill, of each episode."""
        return [span.text for span in self._spans], [span.skill for span in self._spans]

    def places(self) -> dict[str, Index]:
        """For each window: its row in `arrays`, the first and last row of its episode, and the episode."""
        return {"row": self._rows, "first": self._first, "last": self._last, "episode": self._episode}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `batch` gathers from besides images: a row a step, and of "held" a number an action."""
        return {
            "state": self._state,
            "action": self._action,
            "end": self._end,
            "target": self._target,
            "held": self._held,
        }

    def buffers(self, batch_size: int) -> dict[str, Image]:
        """Memory for `batch` to gather images into."""
        return {name: np.empty((batch_size, *frames.shape), np.uint8) for name, frames in self.images.items()}


def _starts(record: EpisodeRecord, chunk: int) -> int:
    """At how many steps of an episode a window may start."""
    return max(record.length - chunk + 1, 0) if record.attributes.get("continues") else record.length


class Frames:
    """One camera's images in one or more arrays, gathered by row number over all of them."""

    def __init__(self, parts: Sequence[Image]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape: tuple[int, ...] = parts[0].shape[1:]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, rows: Index, out: Image | None = None) -> Image:
        """Gather (B, h, w, 3) uint8, into `out` where it is given."""
        if out is None:
            out = np.empty((len(rows), *self.shape), np.uint8)
        if len(self._parts) == 1:
            # mode="clip" (rows are in range) writes straight into `out`; "raise" would buffer it.
            return np.take(self._parts[0], rows, axis=0, out=out, mode="clip")
        part_of = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(part_of):
            here = part_of == number
            start = self._ends[number] - len(self._parts[number])
            out[here] = self._parts[number][rows[here] - start]
        return out


class Loader:
    """Batches `start` to `stop` - 1 of a phase, in order, prepared ahead by background threads.

    The batches are the same whatever the number of workers, and from whatever step they begin. The images of
    a batch are valid until the next but one is asked for: their memory is used again. Use it in a `with`
    statement, which also ends the threads. With a `share` (k, n) a batch is the k-th of n parts of one n
    times as large; a `mixture` stands in for the windows' own.
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        seed: int,
        stream: int = 0,
        start: int = 0,
        stop: int | None = None,
        images: bool = True,
        ahead: int = 2,
        workers: int = 1,
        share: tuple[int, int] = (0, 1),
        mixture: Mixture | None = None,
    ) -> None:
        self._windows, self._batch_size, self._images = windows, batch_size, images
        self._seed, self._stream, self._next, self._stop = seed, stream, start, stop
        self._share, self._mixture = share, mixture or windows.mixture
        # In use at once: those ahead, made or being made, and two with the consumer.
        self._ahead = ahead + workers
        self._ring = [windows.buffers(batch_size) if images else {} for _ in range(self._ahead + 2)]
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
        self._waiting: deque[Future[Batch]] = deque()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            while len(self._waiting) < self._ahead and (self._stop is None or self._next < self._stop):
                self._waiting.append(self._pool.submit(self._make, self._next))
                self._next += 1
            if not self._waiting:
                return
            yield self._waiting.popleft().result()

    def _make(self, step: int) -> Batch:
        indices = self._mixture.batch(self._batch_size, self._seed, self._stream, step, self._share)
        return self._windows.batch(indices, self._images, self._ring[step % len(self._ring)] or None)


def state_names(meta: StoreMeta, patterns: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the numbers that patterns of state and extra features select, in order; None: the state's.

    Raises:
        InputError: a pattern selects nothing.
    """
    if patterns is None:
        return meta.state_names
    return tuple(name for _, names in _selected(meta, patterns) for name in names)


def _selected(meta: StoreMeta, patterns: Sequence[str]) -> list[tuple[str | int, list[str]]]:
    """For each selected column of the state, or extra feature: which, and the names of its numbers."""
    chosen: list[tuple[str | int, list[str]]] = []
    for pattern in patterns:
        columns = [i for i, name in enumerate(meta.state_names) if fnmatchcase(name, pattern)]
        extras = [name for name in meta.extras if fnmatchcase(name, pattern)]
        if not columns and not extras:
            raise unknown("state feature", pattern, (*meta.state_names, *meta.extras))
        chosen += [(column, [meta.state_names[column]]) for column in columns]
        for extra in extras:
            size = int(np.prod(meta.extras[extra].shape))
            chosen.append((extra, [extra] if size == 1 else [f"{extra}.{i}" for i in range(size)]))
    return chosen


def _state(store: EpisodeStore, patterns: Sequence[str] | None) -> Float:
    if patterns is None:
        return store.state
    state = store.state
    parts = [
        state[:, which, None] if isinstance(which, int) else _flat(store, which)
        for which, _ in _selected(store.meta, patterns)
    ]
    joined: Float = np.concatenate(parts, axis=1, dtype=np.float32)
    return joined


def target_size(meta: StoreMeta, name: str) -> int:
    """Numbers of the training label that an array is.

    Raises:
        InputError: there is no such array.
    """
    known = {"target": meta.core()["target"], **meta.extras}
    if name not in known:
        raise unknown("feature", name, known)
    return int(np.prod(known[name].shape))


def _target(store: EpisodeStore, name: str) -> Float:
    if name == "target":
        return store.target
    return _flat(store, name).astype(np.float32)


def _flat(store: EpisodeStore, extra: str) -> NDArray[Any]:
    return store.extra(extra).reshape(store.frames, -1)


def _check_stores(stores: Sequence[EpisodeStore], cameras: Sequence[str]) -> None:
    if not stores:
        raise InputError("Name at least one data set to learn from.")
    if not any(store.episodes for store in stores):
        raise InputError(f"No episodes to learn from in {', '.join(str(s.folder) for s in stores)}.")
    first = stores[0]
    for store in stores:
        for camera in cameras:
            if camera not in store.meta.cameras:
                raise unknown(f"camera (of the policy, in {store.folder})", camera, store.meta.cameras)
            if store.meta.cameras[camera] != first.meta.cameras[camera]:
                raise InputError(
                    f"Camera {camera!r} is {first.meta.cameras[camera]} in {first.folder} and "
                    f"{store.meta.cameras[camera]} in {store.folder}; data sets learned together agree."
                )
        if store.meta.state_names != first.meta.state_names:
            raise InputError(f"{store.folder} has other state features than {first.folder}.")
        if store.meta.action != first.meta.action:
            raise InputError(f"{store.folder} has another action space than {first.folder}.")
