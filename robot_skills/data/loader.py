"""Batches of windows from episode stores, in an order that is a pure function of seed and step.

A window starts at any step t of any episode: images at t, the H states up to t (the first one repeated at
the start), the T actions from t on (after the end: no motion, the gripper as the last action left it, and
end = 1), and the language argument. Shapes as in `robot_skills.policies.policy`.

Images stay memory-mapped: once the system has read them, gathering is as fast as from arrays in memory, and
the memory is the system's to take back.
"""

from __future__ import annotations

import contextlib
import copy
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from robot_skills.data.statistics import statistics
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError, unknown
from robot_skills.policies.policy import Batch
from robot_skills.robot import Float, Image

Index = NDArray[np.int64]
#: Stream of `_permutation` that chooses held-out episodes; phases of training have 0, 1, ...
SPLIT_STREAM = 1 << 32


class _Span(NamedTuple):
    """An episode's rows in the concatenated arrays, and its text."""

    start: int
    length: int
    text: str


class Windows:
    """Every window of some stores' episodes, gathered by index.

    Args:
        stores: opened stores; they must share state features, and have the cameras.
        cameras: the cameras wanted.
        history: H.
        chunk: T.

    Raises:
        InputError: the stores do not fit together, or hold no episode.
    """

    def __init__(
        self,
        stores: Sequence[EpisodeStore],
        cameras: Sequence[str],
        history: int,
        chunk: int,
    ) -> None:
        _check_stores(stores, cameras)
        self.history, self.chunk = history, chunk
        self._state = np.concatenate([store.state for store in stores])
        self._action = np.concatenate([store.action for store in stores])
        self._end = np.concatenate([store.end for store in stores])
        self._target = np.concatenate([store.target for store in stores])
        self._held = ~np.array(stores[0].meta.action.relative)
        self.images = {camera: Frames([store.images(camera) for store in stores]) for camera in cameras}
        offsets = np.cumsum([0, *(store.frames for store in stores)])
        self._spans = [
            _Span(int(offset) + record.start, record.length, record.text)
            for store, offset in zip(stores, offsets[:-1], strict=True)
            for record in store.episodes
        ]
        self._index()

    def only(self, episodes: Sequence[int]) -> Windows:
        """The windows of some of the episodes, numbered over all stores; the arrays are shared."""
        part = copy.copy(self)
        part._spans = [self._spans[episode] for episode in episodes]
        part._index()
        return part

    def split(self, fraction: float, seed: int) -> tuple[Windows, Windows | None]:
        """Windows to learn from, and windows of held-out episodes.

        Args:
            fraction: share of the episodes held out: rounded, at least one if above 0 (and two are there).
            seed: which ones.
        """
        count = min(self.episodes - 1, max(1, round(fraction * self.episodes))) if fraction > 0 else 0
        if count == 0:
            return self, None
        order = _permutation(self.episodes, seed, SPLIT_STREAM, 0)
        return self.only(sorted(order[count:].tolist())), self.only(sorted(order[:count].tolist()))

    def _index(self) -> None:
        """Number the windows: row, first and last row of its episode, and the episode."""
        starts = np.array([span.start for span in self._spans], np.int64)
        lengths = np.array([span.length for span in self._spans], np.int64)
        self._episode: Index = np.repeat(np.arange(len(starts)), lengths)
        self._first: Index = np.repeat(starts, lengths)
        self._last: Index = self._first + np.repeat(lengths, lengths) - 1
        before = np.repeat(np.cumsum(lengths) - lengths, lengths)
        self._rows: Index = self._first + np.arange(len(self._episode)) - before

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def episodes(self) -> int:
        """How many episodes the windows come from."""
        return len(self._spans)

    def statistics(self) -> dict[str, Float]:
        """`robot_skills.data.statistics.statistics` of these episodes' rows."""
        return statistics(self._state[self._rows], self._action[self._rows], self._target[self._rows])

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
            target=torch.from_numpy(self._target[self._rows[indices]]),
        )

    def buffers(self, batch_size: int) -> dict[str, Image]:
        """Memory for `batch` to gather images into."""
        return {name: np.empty((batch_size, *frames.shape), np.uint8) for name, frames in self.images.items()}


class Frames:
    """One camera's images in one or more arrays, gathered by row number over all of them."""

    def __init__(self, parts: Sequence[Image]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape: tuple[int, ...] = parts[0].shape[1:]

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


def batch_indices(windows: int, batch_size: int, seed: int, stream: int, step: int) -> Index:
    """The windows of batch `step`: every epoch is a permutation of all of them.

    A pure function: each epoch's permutation comes from a Philox generator whose counter holds the stream
    and the epoch, so that any step can be reached without playing those before it.

    Args:
        windows: how many there are.
        batch_size: B; it may exceed `windows`.
        seed: not negative.
        stream: tells phases of training apart.
        step: from 0.

    Returns:
        (B,) window numbers.
    """
    place = step * batch_size + np.arange(batch_size, dtype=np.int64)
    epochs, offsets = np.divmod(place, windows)
    indices = np.empty(batch_size, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = _permutation(windows, seed, stream, int(epoch))[offsets[here]]
    return indices


class Loader:
    """Batches `start` to `stop` - 1 of a phase, in order, prepared ahead in one background thread.

    The images of a batch are valid until the next but one is asked for: their memory is used again.
    Iterate once, in a `with` statement, which also ends the thread.
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
    ) -> None:
        self._windows, self._batch_size, self._images = windows, batch_size, images
        self._seed, self._stream, self._start, self._stop = seed, stream, start, stop
        self._queue: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
        self._closed = threading.Event()
        # In use at once: `ahead` in the queue, one being made, two with the consumer.
        self._ring = [windows.buffers(batch_size) if images else {} for _ in range(ahead + 3)]
        self._thread = threading.Thread(target=self._fill, name="loader", daemon=True)

    def __enter__(self) -> Loader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        while self._thread.is_alive():  # it may wait to put a batch: make room
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=0.05)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _fill(self) -> None:
        try:
            step = self._start
            while (self._stop is None or step < self._stop) and not self._closed.is_set():
                self._queue.put(self._make(step))
                step += 1
            self._queue.put(None)
        except BaseException as error:
            self._queue.put(error)

    def _make(self, step: int) -> Batch:
        indices = batch_indices(len(self._windows), self._batch_size, self._seed, self._stream, step)
        return self._windows.batch(indices, self._images, self._ring[step % len(self._ring)] or None)


@lru_cache(maxsize=4)
def _permutation(windows: int, seed: int, stream: int, epoch: int) -> Index:
    """An epoch's order, the last few kept: a batch may span two epochs."""
    bits = np.random.Philox(key=seed, counter=np.array([0, 0, stream, epoch], np.uint64))
    return np.random.Generator(bits).permutation(windows)


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
