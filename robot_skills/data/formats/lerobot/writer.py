"""Writing a LeRobotDataset, one episode at a time; where the files go is the versions' matter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import WriteOptions, Written, whole
from robot_skills.data.formats.lerobot import own, statistics
from robot_skills.data.formats.lerobot.info import (
    ACTION,
    DONE,
    IMAGES,
    INFO,
    STATE,
    STRUCTURE,
    SUCCESS,
    Columns,
)
from robot_skills.data.formats.lerobot.tables import BLOCK, column_of, image_column, png, schema_of
from robot_skills.data.formats.lerobot.video import check_codec, describe, lossless
from robot_skills.data.meta import StoreMeta
from robot_skills.errors import require

#: Of numbers in a `datasets` array.
MOST_DIMENSIONS = 5
Features = dict[str, dict[str, Any]]


class Files(Protocol):
    """The files of one version."""

    version: str
    quantiles: bool

    def begin(self, index: int, length: int) -> None:
        """Make room for an episode."""

    def table(self, table: Any) -> None:
        """Append rows to the episode's table."""

    def frames(self, key: str, images: NDArray[np.uint8]) -> None:
        """Append images to one of the episode's videos."""

    def end(self, index: int, length: int, task: str, found: dict[str, statistics.Statistics]) -> None:
        """Finish the episode."""

    def abort(self) -> None:
        """Close what is open."""

    def finish(self, tasks: list[str], total: statistics.Total) -> dict[str, Any]:
        """Finish the data set; returns what `meta/info.json` says of the files."""

    def first_video(self, key: str) -> Path:
        """A finished video."""


def columns_of(meta: StoreMeta) -> Columns:
    """Which feature each array of a store becomes; no two share one."""
    taken = {
        *STRUCTURE,
        STATE,
        ACTION,
        "task",
        "end",
        "target",
        *(IMAGES + camera for camera in meta.cameras),
    }
    arrays = {"state": STATE, "action": ACTION, "end": "end", "target": "target"}
    for name in meta.extras:
        key = name
        while key in taken:
            key = f"extra.{key}"
        taken.add(key)
        arrays[name] = key
    empty = {name for name, feature in meta.arrays().items() if feature.row_bytes == 0}
    return Columns(
        {camera: IMAGES + camera for camera in meta.cameras},
        {name: key for name, key in arrays.items() if name not in empty},
        tuple(key for key in (DONE, SUCCESS) if key not in taken),
    )


def features_of(meta: StoreMeta, columns: Columns, video: bool) -> Features:
    """The features as `meta/info.json` describes them."""
    features: Features = {}
    for name, key in columns.arrays.items():
        feature = meta.arrays()[name]
        shape = list(feature.shape) or [1]
        if len(shape) > MOST_DIMENSIONS:
            shape = [int(np.prod(shape))]
        dtype = np.dtype(feature.dtype).name
        features[key] = {"dtype": dtype, "shape": shape, "names": list(feature.names) or None}
    for camera, key in columns.cameras.items():
        names = ["height", "width", "channels"]
        shape = [*meta.cameras[camera], 3]
        features[key] = {"dtype": "video" if video else "image", "shape": shape, "names": names}
    for key in columns.derived:
        features[key] = {"dtype": "bool", "shape": [1], "names": None}
    for key in STRUCTURE:
        dtype = "float32" if key == "timestamp" else "int64"
        features[key] = {"dtype": dtype, "shape": [1], "names": None}
    return features


class Export:
    """A data set that is being written."""

    def __init__(
        self, meta: StoreMeta, root: Path, files: Files, fps: Fraction, options: WriteOptions
    ) -> None:
        self._meta, self._root, self._files, self._options = meta, root, files, options
        self._fps = float(fps)
        self._video = options.video and bool(meta.cameras)
        self.columns = columns_of(meta)
        self._features = features_of(meta, self.columns, self._video)
        self._total = statistics.Total()
        self._tasks: dict[str, int] = {}
        self.episodes = self.frames = 0

    def append(self, episode: Episode) -> None:
        """Write an episode.

        Raises:
            InputError: it does not fit the store's description.
        """
        episode.check(self._meta)
        index, length = self.episodes, len(episode)
        task = self._tasks.setdefault(episode.text, len(self._tasks))
        rows = self._rows(episode, task)
        self._files.begin(index, length)
        found = {
            key: result
            for key, values in rows.items()
            # LeRobot takes a feature with "image" in its name for an image when it checks its statistics.
            if "image" not in key and (result := statistics.of_rows(values, self._files.quantiles))
        }
        found |= self._write_rows(episode, rows)
        self._files.end(index, length, episode.text, found)
        own.write_line(episode, self._root)
        self._total.add(found)
        self.episodes, self.frames = index + 1, self.frames + length

    def _rows(self, episode: Episode, task: int) -> dict[str, NDArray[Any]]:
        """Every column of numbers."""
        length = len(episode)
        steps = np.arange(length)
        rows = {key: np.asarray(episode.rows(name)[:]) for name, key in self.columns.arrays.items()}
        last = steps == length - 1
        derived = {DONE: last, SUCCESS: last & (episode.outcome == "succeeded")}
        return {
            **{key: values.reshape(length, *self._features[key]["shape"]) for key, values in rows.items()},
            **{key: derived[key] for key in self.columns.derived},
            "timestamp": (steps / self._fps).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full(length, self.episodes),
            "index": steps + self.frames,
            "task_index": np.full(length, task),
        }

    def _write_rows(
        self, episode: Episode, rows: Mapping[str, NDArray[Any]]
    ) -> dict[str, statistics.Statistics]:
        """Write the table and the images; returns the statistics of the images."""
        length, cameras = len(episode), self.columns.cameras
        counted = {key: statistics.ImageStatistics(length) for key in cameras.values()}
        if self._video or not cameras:
            self._files.table(self._table(rows, {}))
        for start, stop, images in self._blocks(episode):
            for key, block in images.items():
                counted[key].add(block, start)
                if self._video:
                    self._files.frames(key, block)
            if images and not self._video:
                part = {key: values[start:stop] for key, values in rows.items()}
                self._files.table(self._table(part, images))
        return {key: count.result(self._files.quantiles) for key, count in counted.items()}

    def _blocks(self, episode: Episode) -> Iterator[tuple[int, int, dict[str, NDArray[np.uint8]]]]:
        for start in range(0, len(episode), BLOCK):
            stop = min(start + BLOCK, len(episode))
            cameras = self.columns.cameras.items()
            yield start, stop, {key: np.asarray(episode.images[name][start:stop]) for name, key in cameras}

    def _table(self, rows: Mapping[str, NDArray[Any]], images: Mapping[str, NDArray[np.uint8]]) -> Any:
        pa = require("pyarrow", "data")
        columns = {key: column_of(values) for key, values in rows.items()}
        level = 6 if self._options.compress else 1
        for key, block in images.items():
            names = [f"frame-{number:06d}.png" for number in rows["frame_index"]]
            columns[key] = image_column([png(image, level) for image in block], names)
        table = pa.table({key: columns[key] for key in self._features if key in columns})
        return table.cast(schema_of(table, self._features))

    def finish(self) -> None:
        """Write what describes the whole."""
        described = self._files.finish(list(self._tasks), self._total)
        fps = int(self._fps) if self._fps.is_integer() else self._fps
        if self._video and self.episodes:
            for key in self.columns.cameras.values():
                self._features[key]["info"] = describe(self._files.first_video(key), fps)
        source = self._meta.info.get("source")
        robot = source.get("robot_type") if isinstance(source, dict) else None
        info = {
            "codebase_version": self._files.version,
            "robot_type": robot,
            "total_episodes": self.episodes,
            "total_frames": self.frames,
            "total_tasks": len(self._tasks),
            **described,
            "fps": fps,
            "splits": {"train": f"0:{self.episodes}"},
            "features": self._features,
        }
        (self._root / INFO).write_text(json.dumps(info, indent=4, ensure_ascii=False), encoding="utf-8")
        own.write(self._meta, self.columns, self._root)


def write(
    meta: StoreMeta,
    episodes: Iterable[Episode],
    path: Path,
    options: WriteOptions,
    open_files: Callable[[Path, Mapping[str, tuple[int, int]], Fraction, WriteOptions], Files],
) -> Written:
    """Write a data set under a temporary name, then give it its own.

    Args:
        meta: of the store.
        episodes: each is read once.
        path: where nothing lies yet.
        options: fps, video, codec, quality.
        open_files: of the version: from the folder, the size of each video, fps and options.

    Raises:
        InputError: `path` exists, an episode does not fit `meta`, or the codec does not take its images.
    """
    fps = Fraction(options.fps or meta.control_rate).limit_denominator(1001)
    video = options.video and bool(meta.cameras)
    written = Written()
    if video:
        check_codec(options.codec, options.quality)
        if not lossless(options.codec, options.quality):
            written.lost(
                f"images as they were: {options.codec} at quality {options.quality} loses some of them "
                "(libx264rgb at quality 0, or images in the table, lose nothing)"
            )
    if float(fps) != meta.control_rate:
        written.lost(
            f"the control rate {meta.control_rate:g} Hz: LeRobot reads {float(fps):g} frames a second"
        )
    with whole(path) as temporary:
        (temporary / "meta").mkdir(parents=True)
        (temporary / own.EPISODES).touch()
        columns = columns_of(meta)
        sizes = {key: meta.cameras[camera] for camera, key in columns.cameras.items()} if video else {}
        files = open_files(temporary, sizes, fps, options)
        export = Export(meta, temporary, files, fps, options)
        try:
            for episode in episodes:
                export.append(episode)
                written.episodes, written.frames = export.episodes, export.frames
            export.finish()
        finally:
            files.abort()
    return written
