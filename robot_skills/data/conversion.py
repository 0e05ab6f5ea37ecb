"""From one format of data sets to another, through the native terms, an episode at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from robot_skills.data.episode import Episode
from robot_skills.data.formats import format_named
from robot_skills.data.formats.base import DataError, Problem, Source, WriteOptions
from robot_skills.data.formats.native import NativeSource
from robot_skills.data.meta import StoreMeta
from robot_skills.errors import InputError, unknown
from robot_skills.training.progress import JobProgress

#: Images that are in memory at a time while an episode is looked through.
BLOCK = 64


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion came to.

    Attributes:
        episodes, frames: that were written.
        errors: an entry for each damaged episode.
        not_carried: what the source holds and the target does not, one line each.
        written: whether the target was: not, if an episode is damaged and none may be skipped.
        seconds: wall time.
    """

    source: str
    target: str
    format: str
    episodes: int = 0
    frames: int = 0
    errors: tuple[Problem, ...] = ()
    not_carried: tuple[str, ...] = ()
    written: bool = True
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            **asdict(self),
            "errors": [problem.to_json() for problem in self.errors],
            "not_carried": list(self.not_carried),
        }


def convert(
    source: Source,
    target: Path,
    format_name: str,
    console: Console,
    options: WriteOptions | None = None,
    episodes: Sequence[int] | None = None,
    skip_damaged: bool = False,
) -> ConversionReport:
    """Write a data set in another format.

    Args:
        source: what to convert.
        target: a path that nothing lies at; it appears whole or not at all.
        format_name: of the target.
        console: where progress is shown.
        options: how it is written; a rate among them says how fast the steps follow each other, and
            resamples nothing.
        episodes: which, in this order; None: all.
        skip_damaged: leave damaged episodes out and report them. Images are then read twice, so that no
            part of a damaged episode is written.

    Raises:
        InputError: `target` exists, there is no such format or episode, or nothing is left to write.
    """
    began, options = time.monotonic(), options or WriteOptions()
    chosen = range(len(source)) if episodes is None else episodes
    _check(source, target, chosen)
    meta = source.meta if options.fps is None else replace(source.meta, control_rate=options.fps)
    report = ConversionReport(str(source.path), str(target), format_name)
    with JobProgress(console, f"to {format_name}", len(chosen), "frames") as progress:
        stream = _Stream(source, meta, chosen, skip_damaged, progress)
        try:
            written = format_named(format_name).write(meta, iter(stream), target, options)
        except DataError as error:
            if not stream.errors or stream.errors[-1] != error.problem:
                stream.errors.append(error.problem)
            if skip_damaged:  # not by what was told: the target is at fault, or there is nothing to write
                raise
            seconds = time.monotonic() - began
            return replace(report, errors=tuple(stream.errors), written=False, seconds=seconds)
    return replace(
        report,
        episodes=written.episodes,
        frames=written.frames,
        errors=tuple(stream.errors),
        not_carried=tuple(dict.fromkeys((*source.not_carried, *written.not_carried))),
        seconds=time.monotonic() - began,
    )


def filter_keys(source: Source) -> Mapping[str, tuple[int, ...]]:
    """The named subsets of a data set (robomimic's filter keys): name -> numbers of the episodes."""
    found: Mapping[str, tuple[int, ...]] | None = getattr(source, "filter_keys", None)
    if found is not None or not isinstance(source, NativeSource):
        return found or {}
    named: dict[str, list[int]] = {}
    for record in source.store.episodes:
        names = record.attributes.get("filter_keys")
        for name in names if isinstance(names, list) else ():
            named.setdefault(str(name), []).append(record.episode)
    return {name: tuple(episodes) for name, episodes in named.items()}


def select(source: Source, numbers: Sequence[int] | None, key: str | None) -> tuple[int, ...]:
    """The episodes of these numbers, of those under a filter key; None: all.

    Raises:
        InputError: there is no such episode or filter key, or nothing is left.
    """
    chosen = tuple(range(len(source)) if numbers is None else numbers)
    if key is not None:
        known = filter_keys(source)
        if key not in known:
            raise unknown("filter key", key, known)
        chosen = tuple(number for number in chosen if number in set(known[key]))
    return chosen


@dataclass
class _Stream:
    """The chosen episodes, each looked at before it is given away."""

    source: Source
    meta: StoreMeta
    chosen: Sequence[int]
    skip_damaged: bool
    progress: JobProgress
    errors: list[Problem] = field(default_factory=list)

    def __iter__(self) -> Iterator[Episode]:
        given = 0
        for index in self.chosen:
            episode = self._read(index)
            frames = 0 if episode is None else len(episode)
            if episode is not None:
                given += 1
                yield episode
            self.progress.advance(frames, f"{len(self.errors)} damaged" if self.errors else "")
        if not given:
            raise DataError(self.errors[0], self.source.path)

    def _read(self, index: int) -> Episode | None:
        """An episode; None if it is damaged and may be skipped."""
        try:
            episode = self.source.read(index)
            self._check(episode, index)
        except DataError as error:
            self.errors.append(error.problem)
            if self.skip_damaged:
                return None
            raise
        return episode

    def _check(self, episode: Episode, index: int) -> None:
        """Check what a store would not take and, where an episode may be skipped, its images.

        Raises:
            DataError: with what is wrong.
        """
        try:
            episode.check(self.meta)
        except InputError as error:
            if isinstance(error, DataError):
                raise
            raise DataError(Problem("invalid", str(error), index), self.source.path) from error
        if self.skip_damaged:
            for rows in episode.images.values():
                for start in range(0, len(episode), BLOCK):
                    rows[start : start + BLOCK]


def _check(source: Source, target: Path, chosen: Sequence[int]) -> None:
    if target.exists():
        raise InputError(f"{target} exists: name a path that nothing lies at.")
    if not chosen:
        raise InputError(f"There are no episodes to convert: {source.path} holds {len(source)}.")
    for number in chosen:
        if not 0 <= number < len(source):
            raise InputError(f"{source.path} has the episodes 0 to {len(source) - 1}, not {number}.")
