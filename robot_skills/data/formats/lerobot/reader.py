"""A LeRobotDataset, v2.1 or v3.0, read episode by episode."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import DataError, Problem
from robot_skills.data.formats.border import border, wrong
from robot_skills.data.formats.layout import last_step
from robot_skills.data.formats.lerobot.episodes import Entry, read_entries, read_statistics, read_tasks
from robot_skills.data.formats.lerobot.info import DONE, INFO, SUCCESS, TOLERANCE, Info, native_terms
from robot_skills.data.formats.lerobot.own import Own
from robot_skills.data.formats.lerobot.tables import ImageRows, TableRows, numbers
from robot_skills.data.formats.lerobot.video import VideoIndex, VideoRows
from robot_skills.data.meta import Feature
from robot_skills.errors import InputError

#: Videos whose list of frames is kept.
VIDEOS_KEPT = 64
FLOAT, INDEX = Feature("<f4"), Feature("<i8")


class LeRobotSource:
    """A data set of LeRobot as a source; see `open_source`.

    Every row is held against what the data set says of it: its episode, its place in it, its time, and the
    video frame of that time. Images are decoded when they are asked for.

    Raises:
        DataError: its description is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own = Own.read(path)
        self.info = Info.read(path)
        if self._own is None:
            self.meta, self._columns, lost = native_terms(self.info)
        else:
            self.meta, self._columns, lost = self._own.meta, self._own.columns, ()
        self._lost = dict.fromkeys(lost)
        self._tasks = read_tasks(self.info)
        self._entries = read_entries(self.info)
        if self._own is not None and len(self._own) != len(self._entries):
            message = f"{len(self._own)} episodes were exported, and {len(self._entries)} are listed."
            raise wrong(path, "count", message)
        self._tables = TableRows(path)
        self._statistics: dict[int | None, dict[str, dict[str, Any]]] | None = None
        self._videos: OrderedDict[str, VideoIndex] = OrderedDict()

    @property
    def not_carried(self) -> tuple[str, ...]:
        """What the store cannot hold; grows as episodes are read."""
        return tuple(self._lost)

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, index: int) -> Episode:
        """One episode; its images are lazy.

        Raises:
            DataError: its table or a video is damaged, or they do not go together.
        """
        if not 0 <= index < len(self):
            raise InputError(f"{self.path} has the episodes 0 to {len(self) - 1}, not {index}.")
        entry = self._entries[index]
        if entry.length == 0:
            raise wrong(self.path, "empty", "It has no steps.", index)
        table = self._table(entry, index)
        times = self._check_rows(table, entry, index)
        images = {
            camera: self._images(camera, key, entry, times, index)
            for camera, key in self._columns.cameras.items()
        }
        arrays = {name: self._array(table, name, index) for name in self._columns.arrays}
        return self._episode(table, arrays, images, index)

    def stored_statistics(self, index: int | None) -> dict[str, dict[str, Any]]:
        """Statistics that the data set carries of an episode, or of the whole: array -> name -> numbers.

        Raises:
            DataError: they are damaged.
        """
        names = {key: name for name, key in self._columns.arrays.items()}
        if self._statistics is None:
            self._statistics = read_statistics(self.info, names)
        number = None if index is None else self._entries[index].number
        stored = self._statistics.get(number, {})
        return {names[key]: values for key, values in stored.items()}

    # The table ----------------------------------------------------------------------------------------

    def _table(self, entry: Entry, index: int) -> dict[str, Any]:
        if self._own is not None:
            self._own.check(entry.data, index)
        wanted = ["timestamp", "frame_index", "episode_index", "task_index", *self._columns.arrays.values()]
        wanted += [key for key in (*self._columns.texts, *self._columns.derived) if key in self.info.features]
        rows = slice(entry.start, entry.start + entry.length)
        table, total = self._tables.read(entry.data, list(dict.fromkeys(wanted)), rows, index)
        if total != entry.total:
            message = f"{entry.data} has {total} rows; the list of episodes has {entry.total}."
            raise wrong(self.path, "length", message, index)
        return table

    def _column(self, table: dict[str, Any], key: str, feature: Feature, index: int) -> NDArray[Any]:
        with border(self.path, f"the column {key}", index):
            return numbers(table[key], feature)

    def _check_rows(self, table: dict[str, Any], entry: Entry, index: int) -> NDArray[np.float64]:
        """Check that the rows are the episode's, in order and a frame apart; returns their times, s.

        Raises:
            DataError: they are not.
        """
        for key, expected in (
            ("episode_index", np.full(entry.length, entry.number)),
            ("frame_index", np.arange(entry.length)),
        ):
            found = self._column(table, key, INDEX, index)
            bad = np.flatnonzero(found != expected)
            if len(bad):
                message = f"{key} is {found[bad[0]]}; it should be {expected[bad[0]]}."
                raise DataError(Problem("index", message, index, int(bad[0])), self.path)
        stamps = self._column(table, "timestamp", FLOAT, index)
        times = stamps.astype(np.float64)
        # Half a step of float32 is what rounding may add to LeRobot's tolerance.
        slack = TOLERANCE + np.spacing(np.abs(stamps)).astype(np.float64)
        steps = np.abs(np.diff(times) - 1 / self.info.fps)
        bad = np.flatnonzero(~(steps <= slack[1:])) if np.isfinite(times[0]) else np.array([-1])
        if len(bad):
            row = int(bad[0]) + 1
            message = (
                f"The time stamp {times[row]:g} s follows {times[max(row - 1, 0)]:g} s; at {self.info.fps:g} "
                f"frames a second a row follows after {1 / self.info.fps:g} s, within {TOLERANCE:g} s."
            )
            raise DataError(Problem("timestamps", message, index, row), self.path)
        if abs(times[0]) > TOLERANCE:
            self._lost[f"episode {index}: its time stamps start at {times[0]:g} s"] = None
        return times

    def _array(self, table: dict[str, Any], name: str, index: int) -> NDArray[Any]:
        """An array of the store."""
        key, feature = self._columns.arrays[name], self.meta.arrays()[name]
        if name in ("state", "action"):  # LeRobot's may have any shape and number type
            column = self._column(table, key, self._declared(key), index)
            with np.errstate(over="ignore"):
                return column.reshape(len(column), -1).astype(np.float32)
        return self._column(table, key, feature, index)

    def _declared(self, key: str) -> Feature:
        value = self.info.features[key]
        return Feature(
            np.dtype(value["dtype"]).newbyteorder("<").str, tuple(int(size) for size in value["shape"])
        )

    # Images -------------------------------------------------------------------------------------------

    def _images(
        self, camera: str, key: str, entry: Entry, times: NDArray[np.float64], index: int
    ) -> ImageRows | VideoRows:
        size = self.meta.cameras[camera]
        if self.info.features[key]["dtype"] == "image":
            return ImageRows(self.path, entry.data, key, entry.start, entry.length, size, index)
        name, start = entry.videos[key]
        video = self._video(name, index)
        frames, off = video.nearest(times + start)
        bad = np.flatnonzero(off > TOLERANCE + np.spacing(np.abs(times).astype(np.float32)))
        if len(bad):
            row = int(bad[0])
            message = (
                f"{name} has no frame within {TOLERANCE:g} s of {times[row] + start:.4f} s: the nearest of "
                f"its {len(video)} is {off[row]:.4g} s off. Video and table differ in length or rate."
            )
            raise DataError(Problem("video", message, index, row), self.path)
        if self.info.version == 2 and len(video) > entry.length:
            surplus = len(video) - entry.length
            self._lost[f"episode {index}: {surplus} frames of {key} after its table ends"] = None
        return VideoRows(video, frames, size, self.path, index)

    def _video(self, name: str, index: int) -> VideoIndex:
        if name not in self._videos:
            if self._own is not None:
                self._own.check(name, index)
            self._videos[name] = VideoIndex.read(self.path / name, self.path, index)
        self._videos.move_to_end(name)
        while len(self._videos) > VIDEOS_KEPT:
            self._videos.popitem(last=False)
        return self._videos[name]

    # The episode --------------------------------------------------------------------------------------

    def _episode(
        self, table: dict[str, Any], arrays: dict[str, NDArray[Any]], images: dict[str, Any], index: int
    ) -> Episode:
        length = self._entries[index].length
        none = np.zeros((length, 0), np.float32)
        extras = {
            name: arrays[name] if name in arrays else np.zeros((length, *feature.shape), feature.dtype)
            for name, feature in self.meta.extras.items()
        }
        fields = self._fields(table, arrays, index) if self._own is None else self._own.fields(index, length)
        return Episode(
            images=images,
            state=arrays.get("state", none),
            action=arrays["action"],
            end=arrays["end"] if "end" in arrays else self._end(arrays, length),
            target=arrays.get("target", np.full((length, 3), np.nan, np.float32)),
            extras=extras,
            **fields,
        )

    @staticmethod
    def _end(arrays: dict[str, NDArray[Any]], length: int) -> NDArray[np.float32]:
        """Where the skill is over: `next.done`, or the last step."""
        done = arrays.get(DONE)
        return (
            last_step(length) if done is None or not done.any() else done.reshape(length).astype(np.float32)
        )

    def _fields(self, table: dict[str, Any], arrays: dict[str, NDArray[Any]], index: int) -> dict[str, Any]:
        """What somebody else's data set knows of an episode as a whole."""
        attributes: dict[str, Any] = {}
        chosen = self._column(table, "task_index", INDEX, index)
        unknown = np.flatnonzero(~np.isin(chosen, list(self._tasks)))
        if len(unknown):
            row = int(unknown[0])
            message = f"task_index is {chosen[row]}, which the list of tasks does not have."
            raise DataError(Problem("task", message, index, row), self.path)
        known, first, counts = np.unique(chosen, return_index=True, return_counts=True)
        order = np.lexsort((first, -counts))
        tasks = [self._tasks[int(known[place])] for place in order]
        others = [task for task in self._entries[index].tasks if task not in tasks]
        if len(tasks) + len(others) > 1:
            attributes["tasks"] = tasks + others
            self._lost[f"episode {index}: {len(tasks + others)} tasks; its text is {tasks[0]!r}"] = None
        for key in self._columns.texts:
            values = table[key].to_pylist()
            if len(set(values)) == 1:
                attributes[key] = values[0]
            else:
                self._lost[f"{key}: text that changes within an episode"] = None
        success = arrays.get(SUCCESS)
        outcome = "succeeded" if success is None or success.any() else "failed"
        return {"text": tasks[0], "expert": "unknown", "outcome": outcome, "attributes": attributes}


def version_at(path: Path) -> int | None:
    """The version of the LeRobotDataset at a path: 2 or 3; 3 where it cannot be told; None: there is none."""
    if not (path / INFO).is_file():
        return None
    try:
        return Info.read(path).version
    except InputError:  # opening it says what is wrong
        return 3
