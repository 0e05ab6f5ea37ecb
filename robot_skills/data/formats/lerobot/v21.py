"""LeRobotDataset v2.1: a table and a video for each episode.

    meta/info.json, tasks.jsonl, episodes.jsonl, episodes_stats.jsonl
    data/chunk-000/episode_000000.parquet
    videos/chunk-000/KEY/episode_000000.mp4

Source: LeRobot 0.3.3, `datasets/utils.py` and `datasets/lerobot_dataset.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import Format, WriteOptions, Written
from robot_skills.data.formats.lerobot import statistics, writer
from robot_skills.data.formats.lerobot.episodes import EPISODES_V2, STATS_V2, TASKS_V2
from robot_skills.data.formats.lerobot.reader import LeRobotSource, version_at
from robot_skills.data.formats.lerobot.tables import parquet
from robot_skills.data.formats.lerobot.video import VideoWriter
from robot_skills.data.meta import StoreMeta

DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
#: Episodes in a folder.
CHUNK = 1000


class Files:
    """The files of v2.1; see `writer.Files`."""

    version, quantiles = "v2.1", False

    def __init__(
        self, root: Path, sizes: Mapping[str, tuple[int, int]], fps: Fraction, options: WriteOptions
    ) -> None:
        self._root, self._sizes, self._fps, self._options = root, sizes, fps, options
        self._table: Any = None
        self._videos: dict[str, VideoWriter] = {}
        self._path = root
        self._episodes = 0
        for name in (EPISODES_V2, STATS_V2):
            (root / name).touch()

    def begin(self, index: int, length: int) -> None:
        """Open an episode's files."""
        place = {"episode_chunk": index // CHUNK, "episode_index": index}
        self._path = self._root / DATA_PATH.format(**place)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for key, size in self._sizes.items():
            path = self._root / VIDEO_PATH.format(video_key=key, **place)
            self._videos[key] = VideoWriter(path, size, self._fps, self._options.codec, self._options.quality)

    def table(self, table: Any) -> None:
        """Append rows."""
        if self._table is None:
            self._table = parquet().ParquetWriter(self._path, table.schema, write_page_checksum=True)
        self._table.write_table(table)

    def frames(self, key: str, images: NDArray[np.uint8]) -> None:
        """Append images."""
        self._videos[key].append(images)

    def end(self, index: int, length: int, task: str, found: dict[str, statistics.Statistics]) -> None:
        """Close an episode's files, and list it."""
        self._close()
        self._episodes = index + 1
        self._line(EPISODES_V2, {"episode_index": index, "tasks": [task], "length": length})
        self._line(STATS_V2, {"episode_index": index, "stats": statistics.to_json(found)})

    def _close(self) -> None:
        table, self._table = self._table, None
        if table is not None:
            table.close()
        while self._videos:
            self._videos.popitem()[1].close()

    def abort(self) -> None:
        """Close what is open."""
        self._close()

    def _line(self, name: str, data: dict[str, Any]) -> None:
        with (self._root / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(data, ensure_ascii=False) + "\n")

    def finish(self, tasks: list[str], total: statistics.Total) -> dict[str, Any]:
        """Write the tasks."""
        (self._root / TASKS_V2).touch()
        for index, task in enumerate(tasks):
            self._line(TASKS_V2, {"task_index": index, "task": task})
        return {
            "total_videos": self._episodes * len(self._sizes),
            "total_chunks": -(-self._episodes // CHUNK),
            "chunks_size": CHUNK,
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._sizes else None,
        }

    def first_video(self, key: str) -> Path:
        """A finished video."""
        return self._root / VIDEO_PATH.format(video_key=key, episode_chunk=0, episode_index=0)


def write(meta: StoreMeta, episodes: Iterable[Episode], path: Path, options: WriteOptions) -> Written:
    """Write a LeRobotDataset v2.1; errors as of `writer.write`."""
    return writer.write(meta, episodes, path, options, Files)


FORMAT = Format(
    name="lerobot-v2.1",
    title="LeRobotDataset v2.1",
    recognise=lambda path: version_at(path) == 2,
    open=LeRobotSource,
    write=write,
)
