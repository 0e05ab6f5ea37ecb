"""Where each episode of a LeRobotDataset lies: v2.1 has a file for each, v3.0 several in a file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robot_skills.data.formats.border import border, wrong
from robot_skills.data.formats.lerobot.info import INFO, Info
from robot_skills.data.formats.lerobot.tables import open_table, read_list

EPISODES_V2, TASKS_V2, STATS_V2 = "meta/episodes.jsonl", "meta/tasks.jsonl", "meta/episodes_stats.jsonl"
EPISODES_V3, TASKS_V3, STATS_V3 = "meta/episodes", "meta/tasks.parquet", "meta/stats.json"


@dataclass(frozen=True)
class Entry:
    """Where an episode lies.

    Attributes:
        number: LeRobot's `episode_index`.
        length: N.
        data: the file of its table.
        start: its first row there.
        total: how many rows that file has.
        videos: feature -> its file, and the time (s) in it at which the episode starts.
        tasks: as the list of episodes names them.
    """

    number: int
    length: int
    data: str
    start: int
    total: int
    videos: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()


def read_entries(info: Info) -> list[Entry]:
    """The episodes, in order.

    Raises:
        DataError: their list is damaged, or does not go with `meta/info.json`.
    """
    entries = _entries_v2(info) if info.version == 2 else _entries_v3(info)
    for total, found in (
        ("total_episodes", len(entries)),
        ("total_frames", sum(entry.length for entry in entries)),
    ):
        if info.raw[total] != found:
            message = f"{INFO} says {total} {info.raw[total]}; its list of episodes holds {found}."
            raise wrong(info.path, "count", message)
    for index, (entry, following) in enumerate(itertools.pairwise(entries)):
        if following.number <= entry.number:
            raise wrong(info.path, "index", f"Episode {following.number} follows {entry.number}.", index + 1)
    return entries


def read_tasks(info: Info) -> dict[int, str]:
    """task_index -> task.

    Raises:
        DataError: the list of tasks is missing or damaged.
    """
    name = TASKS_V2 if info.version == 2 else TASKS_V3
    rows = _lines(info.path, name) if info.version == 2 else read_list(info.path, name)
    with border(info.path, name):
        tasks: dict[int, str] = {}
        for row in rows:
            # pandas keeps the texts as the table's index: "task", or without a name.
            texts = [value for key, value in row.items() if key != "task_index" and isinstance(value, str)]
            if not texts:
                raise ValueError("a task has no text")
            tasks[int(row["task_index"])] = texts[0]
        return tasks


def _lines(root: Path, name: str) -> list[dict[str, Any]]:
    if not (root / name).is_file():
        raise wrong(root, "missing", f"There is no {name}.")
    with border(root, name):
        content = (root / name).read_bytes().decode()
        # Texts may hold U+2028 and its like, at which `splitlines` would cut.
        rows = [json.loads(line) for line in content.split("\n") if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a line is not a record")
        return rows


def _length(row: Mapping[str, Any]) -> int:
    length = row["length"]
    if not isinstance(length, int) or length < 0:
        raise ValueError(f"an episode has the length {length!r}")
    return length


def _entries_v2(info: Info) -> list[Entry]:
    rows = _lines(info.path, EPISODES_V2)
    entries = []
    with border(info.path, EPISODES_V2):
        chunk = int(info.raw.get("chunks_size") or 1000)
        for row in sorted(rows, key=lambda row: int(row["episode_index"])):
            number = int(row["episode_index"])
            place = {"episode_chunk": number // chunk, "episode_index": number}
            videos = {key: (info.file("video_path", video_key=key, **place), 0.0) for key in info.videos()}
            tasks = tuple(str(task) for task in row.get("tasks") or ())
            data = info.file("data_path", **place)
            entries.append(Entry(number, _length(row), data, 0, _length(row), videos, tasks))
    return entries


def _entries_v3(info: Info) -> list[Entry]:
    folder = info.path / EPISODES_V3
    if not folder.is_dir():
        raise wrong(info.path, "missing", f"There is no {EPISODES_V3}.")
    names = sorted(str(path.relative_to(info.path)) for path in folder.glob("*/*.parquet"))
    rows = [row for name in names for row in read_list(info.path, name)]
    entries = []
    with border(info.path, EPISODES_V3):
        rows.sort(key=lambda row: int(row["episode_index"]))
        places = [
            info.file("data_path", chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])
            for row in rows
        ]
        first: dict[str, int] = {}
        ends: dict[str, int] = {}
        for name, row in zip(places, rows, strict=True):
            start, end = int(row["dataset_from_index"]), int(row["dataset_to_index"])
            first[name] = min(first.get(name, start), start)
            ends[name] = max(ends.get(name, end), end)
        for name, row in zip(places, rows, strict=True):
            start = int(row["dataset_from_index"])
            if int(row["dataset_to_index"]) - start != _length(row):
                raise ValueError(f"episode {row['episode_index']} is not as long as its rows are many")
            entries.append(
                Entry(
                    int(row["episode_index"]),
                    _length(row),
                    name,
                    start - first[name],
                    ends[name] - first[name],
                    {key: _video(info, key, row) for key in info.videos()},
                    tuple(str(task) for task in row.get("tasks") or ()),
                )
            )
    return entries


def _video(info: Info, key: str, row: Mapping[str, Any]) -> tuple[str, float]:
    """The file of an episode's video, and the time (s) in it at which it starts."""
    name = info.file(
        "video_path",
        video_key=key,
        chunk_index=row[f"videos/{key}/chunk_index"],
        file_index=row[f"videos/{key}/file_index"],
    )
    return name, float(row[f"videos/{key}/from_timestamp"])


def read_statistics(info: Info, keys: Iterable[str]) -> dict[int | None, dict[str, dict[str, Any]]]:
    """Stored statistics of episodes (by `episode_index`) and of the whole (None): feature -> name -> numbers.

    What is not stored is left out.

    Raises:
        DataError: they are damaged.
    """
    wanted = set(keys)
    found: dict[int | None, dict[str, dict[str, Any]]] = {}
    if (info.path / STATS_V3).is_file():  # of v2.0 and v3.0
        with border(info.path, STATS_V3):
            total = json.loads((info.path / STATS_V3).read_bytes())
            found[None] = {key: dict(value) for key, value in total.items() if key in wanted}
    if info.version == 2 and (info.path / STATS_V2).is_file():
        rows = _lines(info.path, STATS_V2)
        with border(info.path, STATS_V2):
            for row in rows:
                stats = {key: dict(value) for key, value in row["stats"].items() if key in wanted}
                found[int(row["episode_index"])] = stats
    for path in sorted((info.path / EPISODES_V3).glob("*/*.parquet")) if info.version == 3 else ():
        name = str(path.relative_to(info.path))
        with border(info.path, name), open_table(path) as file:
            columns = [column for column in file.schema_arrow.names if _of_statistics(column, wanted)]
            table = file.read(columns=["episode_index", *columns], use_threads=False)
            for row in table.to_pylist():
                stats = {}
                for column in columns:
                    if row[column] is not None:
                        _, key, statistic = column.split("/")
                        stats.setdefault(key, {})[statistic] = row[column]
                found[int(row["episode_index"])] = stats
    return found


def _of_statistics(column: str, wanted: set[str]) -> bool:
    """Whether a column is `stats/KEY/NAME` of a wanted feature."""
    parts = column.split("/")
    return len(parts) == 3 and parts[0] == "stats" and parts[1] in wanted
