"""The native episode store: a folder of raw arrays that can be appended to and memory-mapped.

    meta.json             format_version, cameras, features, action space, control rate, where it came from
    images.CAMERA.bin     uint8   (N, H, W, 3)
    state.bin             float32 (N, S)
    action.bin            float32 (N, A)
    end.bin               float32 (N,)     1 where the skill is over
    target.bin            float32 (N, 3)   from simulator state, a training label only; NaN unknown
    NAME.bin              any extra feature, of its own type and shape
    episodes.jsonl        one line for each committed episode, with the CRC-32 of its arrays and of itself
    texts/SHA256.txt      long texts among the episodes' attributes, each once

All arrays are little-endian and in C order; N counts the rows of all committed episodes. An episode is
committed by its line: arrays are written and synced first, then the line. What a killed writer left behind
the last line (rows, half a line) is cut off when the store is next opened for appending, and is never read.
Checksums are compared by `EpisodeStore.verify`, when data is checked or converted, not when it is trained on.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import LINE, Episode, EpisodeRecord, line_crc
from robot_skills.data.files import (
    EPISODES,
    keep_text,
    read_episodes,
    resolve_text,
    take_lock,
    write_all,
    write_text,
)
from robot_skills.data.meta import IMAGES, META, Feature, StoreMeta
from robot_skills.data.statistics import statistics
from robot_skills.errors import InputError, unknown
from robot_skills.robot import OSC_POSE, STATE_NAMES, ActionSpace, Float, Image

#: Rows of an array that are written at a time.
BLOCK = 256


class EpisodeStore:
    """A folder of episodes; see the module for its layout.

    Opened for reading it is a snapshot of what was committed at that moment, and may be read while another
    process appends. One process at a time may append. Close a writer, or use it in a `with` statement.
    """

    def __init__(self, folder: Path, meta: StoreMeta, episodes: Sequence[EpisodeRecord]) -> None:
        self.folder = folder
        self.meta = meta
        self._episodes = list(episodes)
        self._writers: dict[str, FileIO] = {}
        self._lock: BinaryIO | None = None
        self._committed = 0
        self._maps: dict[str, NDArray[Any]] = {}

    # Opening ---------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        folder: Path | str,
        cameras: Mapping[str, tuple[int, int]],
        control_rate: float,
        state_names: Sequence[str] = STATE_NAMES,
        info: Mapping[str, Any] | None = None,
        action: ActionSpace = OSC_POSE,
        extras: Mapping[str, Feature] | None = None,
    ) -> EpisodeStore:
        """Make an empty store and open it for appending; the arguments are `StoreMeta`'s.

        Raises:
            InputError: the folder holds a store already, or something that is not one; or a name or a
                number among the arguments is not possible.
        """
        sizes = {name: (int(size[0]), int(size[1])) for name, size in cameras.items()}
        return cls.create_from(
            folder,
            StoreMeta(
                sizes, float(control_rate), tuple(state_names), action, dict(extras or {}), dict(info or {})
            ),
        )

    @classmethod
    def create_from(cls, folder: Path | str, meta: StoreMeta) -> EpisodeStore:
        """Make an empty store of a given kind and open it for appending; errors as of `create`."""
        folder = Path(folder)
        if (folder / META).exists():
            raise InputError(f"{folder} holds a data set already: append to it, or name another folder.")
        if folder.exists() and (not folder.is_dir() or any(_visible(folder))):
            raise InputError(f"{folder} exists and is not a data set: name a new or an empty folder.")
        folder.mkdir(parents=True, exist_ok=True)
        content = meta.to_json()
        content["crc"] = line_crc(content)
        write_text(folder / META, json.dumps(content, indent=2) + "\n")
        return cls.open(folder, append=True)

    @classmethod
    def open(cls, folder: Path | str, append: bool = False) -> EpisodeStore:
        """Open a store for reading, or for appending (and reading).

        Raises:
            InputError: it is not a store, of another format version, damaged, or another process is
                appending to it.
        """
        folder = Path(folder)
        meta = StoreMeta.read(folder)
        if not append:
            episodes, committed = read_episodes(folder)
            store = cls(folder, meta, episodes)
            store._committed = committed
            store._check_sizes()
            return store
        lock = take_lock(folder)
        try:
            episodes, committed = read_episodes(folder)
            store = cls(folder, meta, episodes)
            store._check_sizes()
            store._lock = lock
            store._committed = committed
            store._open_writers(committed)
        except BaseException:
            lock.close()
            raise
        return store

    def __enter__(self) -> EpisodeStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop appending and let others do so; reading goes on."""
        for file in self._writers.values():
            file.close()
        self._writers.clear()
        if self._lock is not None:
            self._lock.close()  # closing gives the lock back
            self._lock = None

    # Reading ---------------------------------------------------------------------------------------

    @property
    def episodes(self) -> tuple[EpisodeRecord, ...]:
        """The committed episodes, in order."""
        return tuple(self._episodes)

    @property
    def frames(self) -> int:
        """N, the rows of all committed episodes."""
        return self._episodes[-1].rows.stop if self._episodes else 0

    @property
    def state(self) -> Float:
        """(N, S) float32, memory-mapped."""
        return self._map("state")

    @property
    def action(self) -> Float:
        """(N, A) float32, memory-mapped."""
        return self._map("action")

    @property
    def end(self) -> Float:
        """(N,) float32, memory-mapped."""
        return self._map("end")

    @property
    def target(self) -> Float:
        """(N, 3) float32, memory-mapped; NaN where unknown."""
        return self._map("target")

    def images(self, camera: str) -> Image:
        """(N, H, W, 3) uint8, memory-mapped.

        Raises:
            InputError: the store has no such camera.
        """
        if camera not in self.meta.cameras:
            raise unknown("camera", camera, self.meta.cameras)
        return self._map(IMAGES + camera)

    def extra(self, name: str) -> NDArray[Any]:
        """(N, ...) an extra feature, memory-mapped.

        Raises:
            InputError: the store has no such feature.
        """
        if name not in self.meta.extras:
            raise unknown("feature", name, self.meta.extras)
        return self._map(name)

    def read(self, index: int) -> Episode:
        """Read one episode, its arrays copied to memory.

        Raises:
            InputError: there is no such episode.
        """
        mapped = self.view(index)
        return replace(
            mapped,
            images={name: np.array(rows) for name, rows in mapped.images.items()},
            extras={name: np.array(rows) for name, rows in mapped.extras.items()},
            state=np.array(mapped.state),
            action=np.array(mapped.action),
            end=np.array(mapped.end),
            target=np.array(mapped.target),
        )

    def view(self, index: int) -> Episode:
        """One episode, its arrays memory-mapped and read-only.

        Raises:
            InputError: there is no such episode.
        """
        if not 0 <= index < len(self._episodes):
            raise InputError(f"{self.folder} has the episodes 0 to {len(self._episodes) - 1}, not {index}.")
        record = self._episodes[index]
        return Episode(
            images={name: self.images(name)[record.rows] for name in self.meta.cameras},
            state=self.state[record.rows],
            action=self.action[record.rows],
            end=self.end[record.rows],
            target=self.target[record.rows],
            text=record.text,
            call=record.call,
            scene=record.scene,
            seed=record.seed,
            expert=record.expert,
            outcome=record.outcome,
            extras={name: self.extra(name)[record.rows] for name in self.meta.extras},
            attributes={name: resolve_text(self.folder, value) for name, value in record.attributes.items()},
        )

    def verify(self, index: int) -> list[str]:
        """The files in which an episode is not what was written, by its checksums.

        What was stored without checksums is taken as it is.
        """
        record = self._episodes[index]
        wrong = [] if record.intact else [EPISODES]
        for name, crc in record.crc.items():
            if name not in self.meta.arrays() or _crc(self._map(name)[record.rows]) != crc:
                wrong.append(f"{name}.bin")
        return wrong

    def uncommitted(self) -> dict[str, int]:
        """Bytes behind the last committed episode, by file: of a writer, a killed one, or lost lines."""
        ends = {f"{name}.bin": self.frames * row for name, row in self._row_bytes().items()}
        ends[EPISODES] = self._committed
        sizes = {name: path.stat().st_size for name in ends if (path := self.folder / name).is_file()}
        return {name: size - ends[name] for name, size in sizes.items() if size > ends[name]}

    def statistics(self) -> dict[str, Float]:
        """Mean and standard deviation of state, action and target: `state_mean`, `state_std`, ...

        Raises:
            InputError: the store holds no episode.
        """
        if not self._episodes:
            raise InputError(f"{self.folder} holds no episodes yet.")
        return statistics(self.state, self.action, self.target)

    # Appending -------------------------------------------------------------------------------------

    def append(self, episode: Episode) -> EpisodeRecord:
        """Commit an episode; when this returns it is on the disk.

        Raises:
            InputError: the episode does not fit the store, or the store is open for reading only.
        """
        if self._lock is None:
            raise InputError(f"{self.folder} is open for reading: open it with append=True.")
        episode.check(self.meta)
        record = {"episode": len(self._episodes), "start": self.frames, **episode.to_json()}
        record["attributes"] = {
            name: keep_text(self.folder, value) for name, value in record["attributes"].items()
        }
        record["crc"] = {LINE: line_crc(record)}
        ends = {name: file.seek(0, os.SEEK_END) for name, file in self._writers.items()}
        try:
            for name, feature in self.meta.arrays().items():
                rows = episode.rows(name)
                blocks = (rows[start : start + BLOCK] for start in range(0, len(episode), BLOCK))
                record["crc"][name] = self._append_blocks(name, blocks, feature.dtype)
            write_all(self._writers[EPISODES], (json.dumps(record) + "\n").encode())
            os.fsync(self._writers[EPISODES].fileno())
        except BaseException:  # a full disk, an interrupt: keep the arrays in step with the lines
            for name, end in ends.items():
                self._writers[name].truncate(end)
            raise
        self._episodes.append(EpisodeRecord.from_json(record))
        self._maps.clear()
        return self._episodes[-1]

    def _append_blocks(self, name: str, blocks: Iterable[NDArray[Any]], dtype: str) -> int:
        """Write an array's rows and sync them; returns their CRC-32."""
        crc = 0
        for block in blocks:
            data = np.ascontiguousarray(block, dtype).tobytes()
            crc = zlib.crc32(data, crc)
            write_all(self._writers[name], data)
        os.fsync(self._writers[name].fileno())
        return crc

    def drop_last(self) -> EpisodeRecord:
        """Take the last committed episode back, for good; returns what it was.

        Raises:
            InputError: there is none, or the store is open for reading only.
        """
        if self._lock is None:
            raise InputError(f"{self.folder} is open for reading: open it with append=True.")
        if not self._episodes:
            raise InputError(f"{self.folder} holds no episode to drop.")
        lines = (self.folder / EPISODES).read_bytes().splitlines(keepends=True)[: len(self._episodes) - 1]
        for file in self._writers.values():
            file.close()
        write_text(self.folder / EPISODES, b"".join(lines).decode())
        dropped = self._episodes.pop()
        self._maps.clear()
        self._open_writers(sum(map(len, lines)))
        return dropped

    def _open_writers(self, committed: int) -> None:
        """Open every file at the end of what is committed, and cut off the rest."""
        ends = {name: self.frames * row for name, row in self._row_bytes().items()}
        for name, end in {**ends, EPISODES: committed}.items():
            file = (self.folder / (name if name == EPISODES else f"{name}.bin")).open("ab", buffering=0)
            file.truncate(end)
            self._writers[name] = file

    def _row_bytes(self) -> dict[str, int]:
        return {name: feature.row_bytes for name, feature in self.meta.arrays().items()}

    def _check_sizes(self) -> None:
        for name, row in self._row_bytes().items():
            path = self.folder / f"{name}.bin"
            found = path.stat().st_size if path.is_file() else 0
            if found < self.frames * row:
                raise InputError(
                    f"{path} is truncated: {len(self._episodes)} episodes with {self.frames} steps need "
                    f"{self.frames * row:,} bytes, and it has {found:,}. Copy the data set again."
                )

    def _map(self, name: str) -> NDArray[Any]:
        if name not in self._maps:
            feature, path = self.meta.arrays()[name], self.folder / f"{name}.bin"
            shape = (self.frames, *feature.shape)
            if self.frames * feature.row_bytes == 0:  # nothing to map
                self._maps[name] = np.zeros(shape, feature.dtype)
            else:
                try:
                    self._maps[name] = np.memmap(path, dtype=feature.dtype, mode="r", shape=shape)
                except OSError as error:
                    raise InputError(f"{path} cannot be read: {error.strerror}.") from error
        return self._maps[name]


def _crc(rows: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)


def _visible(folder: Path) -> Iterable[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))
