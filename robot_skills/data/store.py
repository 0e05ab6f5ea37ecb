"""The native episode store: a folder of raw arrays that can be appended to and memory-mapped.

    meta.json             format_version, cameras, features, control rate, where the data came from
    images.CAMERA.bin     uint8   (N, H, W, 3)
    state.bin             float32 (N, 10)
    action.bin            float32 (N, 7)
    end.bin               float32 (N,)     1 where the skill is over
    target.bin            float32 (N, 3)   from simulator state, a training label only; NaN unknown
    episodes.jsonl        one line for each committed episode

All arrays are little-endian and in C order; N counts the rows of all committed episodes. An episode is
committed by its line: arrays are written and synced first, then the line. What a killed writer left behind
the last line (rows, half a line) is cut off when the store is next opened for appending, and is never read.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode, EpisodeRecord
from robot_skills.data.statistics import statistics
from robot_skills.errors import InputError, unknown
from robot_skills.robot import ACTION_SIZE, STATE_NAMES, Float, Image

FORMAT_VERSION = 1
META, EPISODES, LOCK = "meta.json", "episodes.jsonl", ".lock"


@dataclass(frozen=True)
class StoreMeta:
    """What all episodes of a store share.

    Attributes:
        cameras: camera -> (height, width).
        control_rate: control steps a second, Hz.
        info: where the data came from: recipe, command, licence; plain JSON values.
    """

    cameras: Mapping[str, tuple[int, int]]
    control_rate: float
    state_names: tuple[str, ...] = STATE_NAMES
    info: Mapping[str, Any] = field(default_factory=dict)

    def arrays(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """File stem -> (dtype, shape of one row)."""
        images = {f"images.{name}": ("|u1", (*size, 3)) for name, size in self.cameras.items()}
        return {
            **images,
            "state": ("<f4", (len(self.state_names),)),
            "action": ("<f4", (ACTION_SIZE,)),
            "end": ("<f4", ()),
            "target": ("<f4", (3,)),
        }

    def to_json(self) -> dict[str, Any]:
        """The content of `meta.json`."""
        return {
            "format": "robot_skills.episodes",
            "format_version": FORMAT_VERSION,
            "cameras": {name: list(size) for name, size in self.cameras.items()},
            "state_names": list(self.state_names),
            "control_rate": self.control_rate,
            "info": dict(self.info),
        }


class EpisodeStore:
    """A folder of episodes; see the module for its layout.

    Opened for reading it is a snapshot of what was committed at that moment, and may be read while another
    process appends. One process at a time may append. Close a writer, or use it in a `with` statement.
    """

    def __init__(self, folder: Path, meta: StoreMeta, episodes: Sequence[EpisodeRecord]) -> None:
        self.folder = folder
        self.meta = meta
        self._episodes = list(episodes)
        self._writers: dict[str, BinaryIO] = {}
        self._lock: BinaryIO | None = None

    # Opening ---------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        folder: Path | str,
        cameras: Mapping[str, tuple[int, int]],
        control_rate: float,
        state_names: Sequence[str] = STATE_NAMES,
        info: Mapping[str, Any] | None = None,
    ) -> EpisodeStore:
        """Make an empty store and open it for appending.

        Raises:
            InputError: the folder holds a store already, or something that is not one.
        """
        folder = Path(folder)
        if (folder / META).exists():
            raise InputError(f"{folder} holds a data set already: append to it, or name another folder.")
        if folder.exists() and (not folder.is_dir() or any(_visible(folder))):
            raise InputError(f"{folder} exists and is not a data set: name a new or an empty folder.")
        folder.mkdir(parents=True, exist_ok=True)
        sizes = {name: (int(size[0]), int(size[1])) for name, size in cameras.items()}
        meta = StoreMeta(sizes, float(control_rate), tuple(state_names), dict(info or {}))
        write_text(folder / META, json.dumps(meta.to_json(), indent=2) + "\n")
        return cls.open(folder, append=True)

    @classmethod
    def open(cls, folder: Path | str, append: bool = False) -> EpisodeStore:
        """Open a store for reading, or for appending (and reading).

        Raises:
            InputError: it is not a store, of another format version, damaged, or another process is
                appending to it.
        """
        folder = Path(folder)
        meta = _read_meta(folder)
        if not append:
            episodes, _ = _read_episodes(folder)
            store = cls(folder, meta, episodes)
            store._check_sizes()
            return store
        lock = _take_lock(folder)
        try:
            episodes, committed = _read_episodes(folder)
            store = cls(folder, meta, episodes)
            store._check_sizes()
            store._lock = lock
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
        """(N, 7) float32, memory-mapped."""
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
        return self._map(f"images.{camera}")

    def read(self, index: int) -> Episode:
        """Read one episode, its arrays copied to memory.

        Raises:
            InputError: there is no such episode.
        """
        if not 0 <= index < len(self._episodes):
            raise InputError(f"{self.folder} has the episodes 0 to {len(self._episodes) - 1}, not {index}.")
        record = self._episodes[index]
        return Episode(
            images={name: np.array(self.images(name)[record.rows]) for name in self.meta.cameras},
            state=np.array(self.state[record.rows]),
            action=np.array(self.action[record.rows]),
            end=np.array(self.end[record.rows]),
            target=np.array(self.target[record.rows]),
            text=record.text,
            call=record.call,
            scene=record.scene,
            seed=record.seed,
            expert=record.expert,
            outcome=record.outcome,
        )

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
        episode.check(self.meta.cameras, len(self.meta.state_names))
        record = {"episode": len(self._episodes), "start": self.frames, **episode.to_json()}
        ends = {name: file.seek(0, os.SEEK_END) for name, file in self._writers.items()}
        try:
            for name, (dtype, _) in self.meta.arrays().items():
                camera = name.removeprefix("images.")
                rows = episode.images[camera] if camera != name else getattr(episode, name)
                _write(self._writers[name], np.ascontiguousarray(rows, dtype))
            _write(self._writers[EPISODES], (json.dumps(record) + "\n").encode())
        except BaseException:  # a full disk, an interrupt: keep the arrays in step with the lines
            for name, end in ends.items():
                self._writers[name].truncate(end)
            raise
        self._episodes.append(EpisodeRecord.from_json(record))
        return self._episodes[-1]

    def _open_writers(self, committed: int) -> None:
        """Open every file at the end of what is committed, and cut off the rest."""
        ends = {name: self.frames * row for name, row in self._row_bytes().items()}
        for name, end in {**ends, EPISODES: committed}.items():
            file = (self.folder / (name if name == EPISODES else f"{name}.bin")).open("ab")
            file.truncate(end)
            self._writers[name] = file

    def _row_bytes(self) -> dict[str, int]:
        arrays = self.meta.arrays()
        return {name: np.dtype(dtype).itemsize * int(np.prod(row)) for name, (dtype, row) in arrays.items()}

    def _check_sizes(self) -> None:
        for name, row in self._row_bytes().items():
            path = self.folder / f"{name}.bin"
            found = path.stat().st_size if path.exists() else 0
            if found < self.frames * row:
                raise InputError(
                    f"{path} is truncated: {len(self._episodes)} episodes with {self.frames} steps need "
                    f"{self.frames * row:,} bytes, and it has {found:,}. Copy the data set again."
                )

    def _map(self, name: str) -> NDArray[Any]:
        dtype, row = self.meta.arrays()[name]
        if self.frames == 0:
            return np.zeros((0, *row), dtype)
        path = self.folder / f"{name}.bin"
        return np.memmap(path, dtype=dtype, mode="r", shape=(self.frames, *row))


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, sync it, then give it its name."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _write(file: BinaryIO, data: NDArray[Any] | bytes) -> None:
    file.write(data.tobytes() if isinstance(data, np.ndarray) else data)
    file.flush()
    os.fsync(file.fileno())


def _visible(folder: Path) -> Iterable[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _read_meta(folder: Path) -> StoreMeta:
    path = folder / META
    if not path.is_file():
        reason = "there is no such folder" if not folder.exists() else f"it holds no {META}"
        raise InputError(f"{folder} is not a data set: {reason}.")
    try:
        data = json.loads(path.read_text())
        version = data["format_version"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged, or not a data set's: {error!r}.") from error
    if version != FORMAT_VERSION:
        raise InputError(
            f"{folder} has format version {version}; this release reads version {FORMAT_VERSION}. "
            "Convert it with the release that wrote it."
        )
    try:
        return StoreMeta(
            cameras={str(name): (int(size[0]), int(size[1])) for name, size in data["cameras"].items()},
            control_rate=float(data["control_rate"]),
            state_names=tuple(data["state_names"]),
            info=data.get("info", {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{path} is damaged: {error!r}.") from error


def _read_episodes(folder: Path) -> tuple[list[EpisodeRecord], int]:
    """Read the committed lines; a last line without its newline was never committed.

    Returns:
        The records, and the length in bytes of their lines.
    """
    path = folder / EPISODES
    content = path.read_bytes() if path.exists() else b""
    committed = content.rfind(b"\n") + 1
    records: list[EpisodeRecord] = []
    for number, line in enumerate(content[:committed].splitlines(), start=1):
        start = records[-1].rows.stop if records else 0
        try:
            record = EpisodeRecord.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}, line {number} is damaged: {error!r}.") from error
        if (record.episode, record.start) != (number - 1, start) or record.length < 1:
            raise InputError(
                f"{path}, line {number} should be episode {number - 1} from row {start}, "
                f"not episode {record.episode} from row {record.start} with {record.length} rows."
            )
        records.append(record)
    return records, committed


def _take_lock(folder: Path) -> BinaryIO:
    """Lock a store against a second writer; the lock goes when the process does."""
    file = (folder / LOCK).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise InputError(f"Another process is appending to {folder}: wait for it, or stop it.") from error
    return file
