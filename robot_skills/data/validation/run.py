"""Running the checks over a data set, each episode read once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import DataError, Problem, Source
from robot_skills.data.store import EpisodeStore
from robot_skills.data.validation import timing
from robot_skills.data.validation.check import Array, Check, Finding, Subject, Summary, Track, gather
from robot_skills.data.validation.checks import CAMERAS, MOTION, PICTURES, ROWS, SETS
from robot_skills.data.validation.pictures import watch

#: Episodes of a store of which one image a camera is looked at before training.
SAMPLED = 32


@dataclass
class Report:
    """What checking a data set came to.

    Attributes:
        episodes: how many it holds, unreadable ones included.
        frames: steps of those that could be read.
        problems: in order of episode and frame; those of the data set as a whole last.
        not_carried: what the native store cannot hold of it.
        seconds: wall time.
    """

    episodes: int
    frames: int = 0
    problems: list[Problem] = field(default_factory=list)
    not_carried: tuple[str, ...] = ()
    seconds: float = 0.0

    def of(self, severity: str) -> list[Problem]:
        """The errors, or the warnings."""
        return [problem for problem in self.problems if problem.severity == severity]

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            "episodes": self.episodes,
            "frames": self.frames,
            "errors": [problem.to_json() for problem in self.of("error")],
            "warnings": [problem.to_json() for problem in self.of("warning")],
            "not_carried": list(self.not_carried),
            "seconds": round(self.seconds, 3),
        }


def validate(
    source: Source,
    skip: Collection[str] = (),
    images: bool = True,
    episodes: Iterable[int] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Report:
    """Run every check over a data set.

    Args:
        source: it; memory does not grow with its length, but for some hundred bytes an episode.
        skip: kinds of problems that are left out.
        images: whether images are read.
        episodes: which ones; None all.
        advance: told the frames of each episode when it is done.
    """
    began = time.monotonic()
    numbers = range(len(source)) if episodes is None else list(episodes)
    judge = Judge(source, skip, images)
    for number in numbers:
        judge.episode(number)
        if advance is not None:
            advance(judge.report.frames)
    judge.whole(len(numbers))
    judge.report.not_carried = tuple(source.not_carried)
    judge.report.seconds = time.monotonic() - began
    return judge.report


class Judge:
    """Runs the checks and keeps what the later ones need of the earlier ones."""

    def __init__(self, source: Source, skip: Collection[str] = (), images: bool = True) -> None:
        self.source, self.images, self._skip = source, images, frozenset(skip)
        self.report = Report(len(source))
        self.summary = Summary(source.meta, episodes=len(source), lag=timing.Response(source.meta))

    def episode(self, number: int) -> None:
        """Read an episode and check it by itself."""
        try:
            episode = self.source.read(number)
            self.report.frames += len(episode)
            self._check(number, Track(episode, self.source.meta))
        except DataError as error:
            problem = error.problem
            place = number if problem.episode is None else problem.episode
            self._add(Problem(problem.kind, problem.message, place, problem.frame, problem.severity))

    def whole(self, count: int) -> None:
        """Check the episodes seen against each other."""
        self.summary.episodes = count
        self.summary.stored = self._stored(None)
        self._run(SETS, self.summary, None)
        for problem in getattr(self.source, "problems", list)():
            self._add(problem)
        self._merge_texts()
        last = len(self.source)
        self.report.problems.sort(key=lambda p: (last if p.episode is None else p.episode, p.frame or 0))

    def _check(self, number: int, track: Track) -> None:
        episode = track.episode
        broken = self._run(ROWS, track, number)
        if broken & {"length_mismatch", "empty"}:
            return
        if "nan" not in broken:
            self._run(MOTION, track, number)
            gripper = timing.gripper_correlation(track)
            self.summary.facts.append(gather(number, episode, track.meta, gripper))
            self.summary.lag.add(np.asarray(episode.state), np.asarray(episode.action))
            self._statistics(number, episode)
        if self.images:
            films = [watch(camera, rows, track) for camera, rows in episode.images.items()]
            for film in films:
                self.summary.colours.setdefault(film.camera, []).append((number, film.colours))
                self._run(PICTURES, film, number)
            self._run(CAMERAS, films, number)

    def _run(self, checks: Sequence[Check[Subject]], subject: Subject, number: int | None) -> set[str]:
        """Run some checks; returns the kinds that found something."""
        found = set()
        for check in checks:
            for message, frame, episode in check.find(subject, check.threshold):
                found.add(check.kind)
                place = number if episode is None else episode
                self._add(Problem(check.kind, message, place, frame, check.severity))
        return found

    def _add(self, problem: Problem) -> None:
        if problem.kind not in self._skip:
            self.report.problems.append(problem)

    def _merge_texts(self) -> None:
        """One line, not one an episode, where no episode has a text."""
        missing = [problem for problem in self.report.problems if problem.kind == "no_text"]
        if len(missing) > 1 and len(missing) == len(self.summary.facts):
            self.report.problems = [p for p in self.report.problems if p.kind != "no_text"]
            self._add(Problem("no_text", "No episode has a text.", severity="warning"))

    def _stored(self, number: int | None) -> dict[str, dict[str, Array]]:
        if not hasattr(self.source, "stored_statistics"):
            return {}
        given: Mapping[str, Mapping[str, Any]] = self.source.stored_statistics(number)
        return {name: {key: np.asarray(v, np.float64) for key, v in of.items()} for name, of in given.items()}

    def _statistics(self, number: int, episode: Episode) -> None:
        """Compare the statistics stored for an episode, and add it to those of the whole."""
        if not hasattr(self.source, "stored_statistics"):
            return
        here = {name: moments(episode.rows(name)) for name in ("state", "action", *episode.extras)}
        for name, values in here.items():
            known = self.summary.moments.get(name)
            self.summary.moments[name] = values if known is None else joined(known, values)
        part = Summary(self.source.meta, stored=self._stored(number), moments=here)
        self._run([check for check in SETS if check.kind == "statistics"], part, number)


def moments(rows: Any) -> Array:
    """(5, K) count, sum, sum of squares, least and greatest of (N, ...) rows."""
    flat = np.asarray(rows, np.float64).reshape(len(rows), -1)
    return np.stack(
        [np.full(flat.shape[1], len(flat)), flat.sum(0), (flat * flat).sum(0), flat.min(0), flat.max(0)]
    )


def joined(one: Array, other: Array) -> Array:
    """The moments of both."""
    return np.stack(
        [*(one + other)[:3], np.minimum(one[3], other[3]), np.maximum(one[4], other[4])],
    )


class _StoreNumbers:
    """A store as a source of which only the numbers are read."""

    not_carried: tuple[str, ...] = ()

    def __init__(self, store: EpisodeStore) -> None:
        self.store, self.path, self.meta = store, store.folder, store.meta

    def __len__(self) -> int:
        return len(self.store.episodes)

    def read(self, index: int) -> Episode:
        return self.store.view(index)


def check_before_training(stores: Sequence[EpisodeStore]) -> list[Problem]:
    """The checks that cost seconds: all numbers, one image a camera of some episodes, copies between stores.

    Messages name the store where there are several. Checksums are not compared.
    """
    found: list[Problem] = []
    seen: dict[str, tuple[str, int]] = {}
    for store in stores:
        source = _StoreNumbers(store)
        judge = Judge(source, images=False)
        for number in range(len(source)):
            judge.episode(number)
        judge.whole(len(source))
        problems = [*judge.report.problems, *_sampled_images(store)]
        for facts in judge.summary.facts:
            name, episode = seen.setdefault(facts.digest, (str(store.folder), facts.episode))
            if name != str(store.folder):
                message = f"States and actions are those of episode {episode} of {name}."
                problems.append(Problem("duplicate", message, facts.episode))
        title = f"{store.folder}: " if len(stores) > 1 else ""
        found += [Problem(p.kind, title + p.message, p.episode, p.frame, p.severity) for p in problems]
    return found


def _sampled_images(store: EpisodeStore) -> list[Problem]:
    count = len(store.episodes)
    places = np.unique(np.linspace(0, count - 1, min(count, SAMPLED)).round().astype(int)) if count else []
    problems: list[Problem] = []
    checks = {check.kind: check for check in PICTURES}
    for number in places:
        episode = store.view(int(number))
        middle = len(episode) // 2
        track = Track(episode, store.meta)
        for camera, rows in episode.images.items():
            film = watch(camera, rows[middle : middle + 1], track)
            for kind in ("black_image", "uniform_image"):
                found = checks[kind].find(film, checks[kind].threshold)
                problems += [Problem(kind, finding.message, int(number), middle) for finding in found]
    return problems


def by_kind(problems: Iterable[Problem]) -> Mapping[str, list[Problem]]:
    """The problems of each kind, errors first, then by how many there are."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.kind, []).append(problem)
    order = sorted(groups, key=lambda kind: (groups[kind][0].severity != "error", -len(groups[kind]), kind))
    return {kind: groups[kind] for kind in order}


__all__ = ["Finding", "Judge", "Report", "by_kind", "check_before_training", "validate"]
