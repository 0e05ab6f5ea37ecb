"""The native store as a format among the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from robot_skills.data.episode import Episode
from robot_skills.data.files import EPISODES, check_description
from robot_skills.data.formats.base import DataError, Format, Problem, WriteOptions, Written, whole
from robot_skills.data.meta import META, StoreMeta
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError


class NativeSource:
    """An `EpisodeStore` as a source.

    Attributes:
        verify: whether reading an episode compares its checksums, which reads all of it once.
    """

    def __init__(self, path: Path, verify: bool = True) -> None:
        self.path, self.verify = path, verify
        self.store = EpisodeStore.open(path)
        check_description(path)
        self.meta = self.store.meta
        self.not_carried: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.store.episodes)

    def read(self, index: int) -> Episode:
        """One episode, memory-mapped.

        Raises:
            DataError: it does not match its checksums, or a text that it refers to is missing or damaged.
        """
        try:
            episode = self.store.view(index)
            if self.verify and (wrong := self.store.verify(index)):
                fault = f"{', '.join(wrong)} changed since it was written: the checksum differs"
                raise DataError(Problem("checksum", f"{fault}. Copy the data set again.", index), self.path)
            return episode
        except DataError:
            raise
        except InputError as error:
            raise DataError(Problem("damaged", str(error), index), self.path) from error

    def problems(self) -> list[Problem]:
        """What lies behind the last committed episode: never read, but it may be what is left of more."""
        extra = self.store.uncommitted()
        if not extra:
            return []
        places = ", ".join(f"{size:,} bytes in {name}" for name, size in extra.items())
        message = (
            f"{places} lie behind the last committed episode: a collection is running or was stopped, "
            f"or lines of {EPISODES} are lost."
        )
        return [Problem("uncommitted", message, severity="warning")]


def write(meta: StoreMeta, episodes: Iterable[Episode], path: Path, options: WriteOptions) -> Written:
    """Write a native store.

    Raises:
        InputError: `path` exists, or an episode does not fit `meta`.
    """
    written = Written()
    with whole(path) as temporary, EpisodeStore.create_from(temporary, meta) as store:
        for episode in episodes:
            store.append(episode)
            written.episodes, written.frames = len(store.episodes), store.frames
    return written


FORMAT = Format(
    name="native",
    title="robot-skills episode store",
    recognise=lambda path: path.is_dir() and (path / META).is_file() and (path / META).stat().st_size > 0,
    open=NativeSource,
    write=write,
)
