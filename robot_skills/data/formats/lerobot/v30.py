"""LeRobotDataset v3.0: several episodes in a table and in a video.

    meta/info.json, stats.json, tasks.parquet
    meta/episodes/chunk-000/file-000.parquet    where each episode lies, and its statistics
    data/chunk-000/file-000.parquet
    videos/KEY/chunk-000/file-000.mp4

Source: LeRobot 0.4.4, `datasets/utils.py` and `datasets/lerobot_dataset.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import Format, WriteOptions, Written
from robot_skills.data.formats.lerobot import statistics, writer
from robot_skills.data.formats.lerobot.episodes import EPISODES_V3, STATS_V3, TASKS_V3
from robot_skills.data.formats.lerobot.reader import LeRobotSource, version_at
from robot_skills.data.formats.lerobot.tables import parquet, write_tasks
from robot_skills.data.formats.lerobot.video import VideoWriter
from robot_skills.data.meta import StoreMeta
from robot_skills.errors import require

PLACE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"data/{PLACE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{PLACE}.mp4"
EPISODES_PATH = f"{EPISODES_V3}/{PLACE}.parquet"
#: Episodes whose lines are written at a time.
LINES = 100
MB = 2**20


@dataclass(frozen=True)
class Limits:
    """When a new file is begun; the defaults are LeRobot's.

    Attributes:
        chunk: files in a folder.
        data, video: bytes of a file.
    """

    chunk: int = 1000
    data: int = 100 * MB
    video: int = 200 * MB


@dataclass
class Growing:
    """A file that takes one episode after the other.

    Attributes:
        number: of the file, over all folders.
        writer: None: nothing is written to it yet.
        rows: in it so far.
    """

    number: int = 0
    writer: Any = None
    path: Path = Path()
    rows: int = 0

    def full(self, more: int, limit: int) -> bool:
        """Whether `more` rows of the size there is would go beyond the limit."""
        if self.writer is None or not self.rows:
            return False
        size = self.writer.bytes if isinstance(self.writer, VideoWriter) else self.path.stat().st_size
        return size + more * size / self.rows >= limit

    def close(self) -> None:
        """Finish the file; the next one follows."""
        open_writer, self.writer = self.writer, None
        if open_writer is not None:
            open_writer.close()
            self.number, self.rows = self.number + 1, 0


class Files:
    """The files of v3.0; see `writer.Files`."""

    version, quantiles = "v3.0", True

    def __init__(
        self,
        root: Path,
        sizes: Mapping[str, tuple[int, int]],
        fps: Fraction,
        options: WriteOptions,
        limits: Limits,
    ) -> None:
        self._root, self._sizes, self._fps, self._options, self._limits = root, sizes, fps, options, limits
        self._data = Growing()
        self._lines = Growing()
        self._videos = {key: Growing() for key in sizes}
        self._started: dict[str, float] = {}
        self._waiting: list[dict[str, Any]] = []
        self._frames = 0

    def _place(self, number: int) -> dict[str, int]:
        return {"chunk_index": number // self._limits.chunk, "file_index": number % self._limits.chunk}

    def begin(self, index: int, length: int) -> None:
        """Begin new files where the episode would make the old ones too large."""
        if self._data.full(length, self._limits.data):
            self._data.close()
        for key, video in self._videos.items():
            if video.full(length, self._limits.video):
                video.close()
            if video.writer is None:
                video.path = self._root / VIDEO_PATH.format(video_key=key, **self._place(video.number))
                options = (self._fps, self._options.codec, self._options.quality)
                video.writer = VideoWriter(video.path, self._sizes[key], *options)
            self._started[key] = video.writer.time

    def table(self, table: Any) -> None:
        """Append rows."""
        self._append(self._data, DATA_PATH, table)

    def _append(self, file: Growing, pattern: str, table: Any) -> None:
        if file.writer is None:
            file.path = self._root / pattern.format(**self._place(file.number))
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.writer = parquet().ParquetWriter(file.path, table.schema, write_page_checksum=True)
        file.writer.write_table(table)
        file.rows += len(table)

    def frames(self, key: str, images: NDArray[np.uint8]) -> None:
        """Append images."""
        self._videos[key].writer.append(images)
        self._videos[key].rows += len(images)

    def end(self, index: int, length: int, task: str, found: dict[str, statistics.Statistics]) -> None:
        """List an episode."""
        line: dict[str, Any] = {"episode_index": index, "tasks": [task], "length": length}
        line |= {f"data/{key}": value for key, value in self._place(self._data.number).items()}
        line |= {"dataset_from_index": self._frames, "dataset_to_index": self._frames + length}
        for key, video in self._videos.items():
            line |= {f"videos/{key}/{name}": value for name, value in self._place(video.number).items()}
            line[f"videos/{key}/from_timestamp"] = self._started[key]
            line[f"videos/{key}/to_timestamp"] = video.writer.time
        for feature, values in statistics.to_json(found).items():
            line |= {f"stats/{feature}/{name}": value for name, value in values.items()}
        self._frames += length
        self._waiting.append(line)
        if len(self._waiting) == LINES:
            self._flush()

    def _flush(self) -> None:
        """Write the lines of the episodes that wait for it."""
        pa = require("pyarrow", "data")
        if not self._waiting:
            return
        if self._lines.full(len(self._waiting), self._limits.data):
            self._lines.close()
        place = {f"meta/episodes/{key}": value for key, value in self._place(self._lines.number).items()}
        lines = [{**line, **place} for line in self._waiting]
        names = list(dict.fromkeys(name for line in lines for name in line))
        table = pa.table({name: [line.get(name) for line in lines] for name in names})
        if self._lines.writer is not None:  # a feature may have had no statistics until now, or has none now
            if set(names) - set(self._lines.writer.schema.names):
                self._lines.close()
                self._flush()
                return
            table = pa.Table.from_pylist(lines, self._lines.writer.schema)
        self._append(self._lines, EPISODES_PATH, table)
        self._waiting = []

    def abort(self) -> None:
        """Close what is open."""
        for file in (self._data, self._lines, *self._videos.values()):
            file.close()

    def finish(self, tasks: list[str], total: statistics.Total) -> dict[str, Any]:
        """Write the tasks and the statistics of the whole."""
        self._flush()
        self.abort()
        (self._root / EPISODES_V3).mkdir(parents=True, exist_ok=True)
        write_tasks(tasks, self._root / TASKS_V3)
        (self._root / STATS_V3).write_text(json.dumps(total.result(), indent=4))
        return {
            "chunks_size": self._limits.chunk,
            "data_files_size_in_mb": self._limits.data // MB,
            "video_files_size_in_mb": self._limits.video // MB,
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._sizes else None,
        }

    def first_video(self, key: str) -> Path:
        """A finished video."""
        return self._root / VIDEO_PATH.format(video_key=key, **self._place(0))


def write(
    meta: StoreMeta,
    episodes: Iterable[Episode],
    path: Path,
    options: WriteOptions,
    limits: Limits | None = None,
) -> Written:
    """Write a LeRobotDataset v3.0; errors as of `writer.write`."""
    return writer.write(meta, episodes, path, options, partial(Files, limits=limits or Limits()))


FORMAT = Format(
    name="lerobot",
    title="LeRobotDataset v3.0",
    recognise=lambda path: version_at(path) == 3,
    open=LeRobotSource,
    write=write,
)
