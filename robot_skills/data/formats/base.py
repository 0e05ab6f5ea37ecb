"""What a format of data sets offers: to be recognised, read episode by episode, and written."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from robot_skills.data.episode import Episode
from robot_skills.data.meta import StoreMeta
from robot_skills.errors import InputError


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data set.

    Attributes:
        kind: a short name, the same for the same fault: "nan", "truncated", "frozen_image".
        message: one line for a person: what is wrong and, where it is known, what would be right.
        episode: its number in the data set, from 0; None: the data set as a whole.
        frame: the first step it shows at, from the episode's start.
        severity: "error": not fit to train on; "warning": look at it.
    """

    kind: str
    message: str
    episode: int | None = None
    frame: int | None = None
    severity: str = "error"

    def __str__(self) -> str:
        places = [("episode", self.episode), ("frame", self.frame)]
        where = ", ".join(f"{name} {value}" for name, value in places if value is not None)
        return f"{where}: {self.message}" if where else self.message

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class DataError(InputError):
    """An episode, or a data set, that cannot be read; `problem` says where and why."""

    def __init__(self, problem: Problem, path: Path | str) -> None:
        super().__init__(f"{path}: {problem}")
        self.problem = problem


class Source(Protocol):
    """A data set of any format, read episode by episode. Memory does not grow with the data set.

    Opening reads the data set's own description only; a damaged episode shows when it is read.
    """

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def meta(self) -> StoreMeta:
        """What all episodes share, in native terms. `info["source"]` holds what the format said of itself."""

    @property
    def not_carried(self) -> tuple[str, ...]:
        """What of the data set the native store cannot hold, one line each; grows as episodes are read."""

    def __len__(self) -> int:
        """How many episodes there are."""

    def read(self, index: int) -> Episode:
        """One episode; its images may be lazy `Rows`.

        Raises:
            DataError: it is damaged.
        """


@dataclass(frozen=True)
class WriteOptions:
    """How a data set is written; a format passes over what it has no use for.

    Attributes:
        fps: frames a second, Hz; None: the source's control rate.
        video: whether images become video, where the format has both.
        codec: of that video.
        quality: of that video, as its encoder counts (CRF: lower is better).
        compress: whether arrays are compressed, where the format can.
    """

    fps: float | None = None
    video: bool = True
    codec: str = "libsvtav1"
    quality: int = 30
    compress: bool = False


@dataclass
class Written:
    """What writing came to.

    Attributes:
        not_carried: what of the episodes the format cannot hold, one line each, none twice.
    """

    episodes: int = 0
    frames: int = 0
    not_carried: list[str] = field(default_factory=list)

    def lost(self, line: str) -> None:
        """Note what was lost, once."""
        if line not in self.not_carried:
            self.not_carried.append(line)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name to write a file or a folder to; it becomes `path` at the end, or vanishes.

    Raises:
        InputError: `path` exists.
    """
    if path.exists():
        raise InputError(f"{path} exists: name a new folder or file.")
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        temporary.rename(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Format:
    """A format of data sets.

    Attributes:
        name: as `--format` takes it.
        title: for people.
        recognise: whether a path looks like one (cheap; never raises on what it is not).
        open: a source; raises InputError.
        write: a data set from its description and a stream of episodes, each read once, to a path that
            does not exist yet. It is written under a temporary name and appears whole or not at all.
    """

    name: str
    title: str
    recognise: Callable[[Path], bool]
    open: Callable[[Path], Source]
    write: Callable[[StoreMeta, Iterable[Episode], Path, WriteOptions], Written]
