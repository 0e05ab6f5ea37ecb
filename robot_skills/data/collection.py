"""Collecting demonstrations into a store: tried in parallel, committed in the order of their seeds.

The store is the same whatever the number of workers: the successful ones of the seeds from the first on,
until there are enough. A collection that is killed goes on after the last committed seed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from robot_skills.data.episode import Episode
from robot_skills.data.files import write_text
from robot_skills.data.meta import META
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.training.configuration import to_mapping
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import FIRST_VALIDATION_SEED, CollectRecipe

FAILURES = "failures.jsonl"
#: What of a recipe may change between two runs into one store.
FREE = ("episodes", "workers")


@dataclass(frozen=True)
class Attempt:
    """A demonstration that was tried.

    Attributes:
        episode: None if it failed.
        reason: why it failed.
    """

    seed: int
    episode: Episode | None
    reason: str = ""


@dataclass(frozen=True)
class CollectReport:
    """What a collection came to, runs before this one included.

    Attributes:
        episodes: in the store.
        failures: reason -> how many demonstrations were dropped for it.
        seconds: wall time of this run.
    """

    folder: str
    episodes: int
    frames: int
    failures: Mapping[str, int]
    seconds: float

    @property
    def tried(self) -> int:
        """Seeds that were tried."""
        return self.episodes + sum(self.failures.values())

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {**asdict(self), "failures": dict(self.failures), "tried": self.tried}


def collect(
    recipe: CollectRecipe,
    folder: Path,
    factory: Callable[[], Callable[[int], Attempt]],
    control_rate: float,
    command: str,
    console: Console,
    local: bool = False,
) -> CollectReport:
    """Collect until the store holds the episodes wanted, or too many fail (four tries an episode).

    Args:
        recipe: what to collect.
        folder: of the store: a new one, or one to go on with.
        factory: makes, in each process, the function that tries a seed; picklable.
        control_rate: of the robot, Hz.
        command: what was typed, for the store's card.
        console: where progress is shown.
        local: run here, without Ray.

    Raises:
        InputError: the folder holds something else, or a collection with another recipe.
    """
    began = time.monotonic()
    with open_collection(recipe, folder, control_rate, command) as store:
        first = next_seed(store, recipe)
        failures = Failures(folder / FAILURES, first)
        last = min(FIRST_VALIDATION_SEED, recipe.first_seed + 4 * recipe.episodes + 20)
        done = len(store.episodes)
        title = f"{recipe.skill}: demonstrations"
        with JobProgress(console, title, recipe.episodes, "episodes", done) as progress:
            seeds = range(first, last) if done < recipe.episodes else range(0)
            with contextlib.closing(map_in_order(factory, seeds, recipe.workers, local)) as attempts:
                for attempt in attempts:
                    if attempt.episode is None:
                        failures.add(attempt.seed, attempt.reason)
                        continue
                    store.append(attempt.episode)
                    progress.advance(1, f"{sum(failures.reasons.values())} failed")
                    if len(store.episodes) >= recipe.episodes:
                        break
        seconds = time.monotonic() - began
        report = CollectReport(str(folder), len(store.episodes), store.frames, failures.reasons, seconds)
        write_text(folder / "README.md", card(report, store, command))
    return report


class Failures:
    """The seeds that failed, and why, one line each beside the store.

    Args:
        path: of the file.
        first_seed: those from here on are forgotten: they will be tried again.

    Attributes:
        reasons: reason -> how many.
    """

    def __init__(self, path: Path, first_seed: int) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        known = [json.loads(line) for line in lines if line.endswith("}")]
        self._kept = [line for line in known if line["seed"] < first_seed]
        self.reasons: Counter[str] = Counter(line["reason"] for line in self._kept)
        if lines:
            write_text(path, "".join(json.dumps(line) + "\n" for line in self._kept))

    def seeds(self, reason: str) -> set[int]:
        """The seeds that failed for this reason."""
        return {line["seed"] for line in self._kept if line["reason"] == reason}

    def add(self, seed: int, reason: str) -> None:
        """Count a seed that failed."""
        self.reasons[reason] += 1
        with self._path.open("a") as file:
            file.write(json.dumps({"seed": seed, "reason": reason}) + "\n")


def open_collection(
    recipe: CollectRecipe, folder: Path, control_rate: float, command: str, **more: str
) -> EpisodeStore:
    """Open the store of a collection for appending, new or as the last run left it.

    Args:
        recipe: what is collected.
        folder: of the store.
        control_rate: of the robot, Hz.
        command: what was typed.
        more: what else, besides the recipe, must be the same in every run.

    Raises:
        InputError: the folder holds something else, or a collection with another recipe.
    """
    fixed = {key: value for key, value in {**to_mapping(recipe), **more}.items() if key not in FREE}
    if not (folder / META).exists():
        cameras = {camera: recipe.image_size for camera in recipe.cameras}
        return EpisodeStore.create(folder, cameras, control_rate, info={"recipe": fixed, "command": command})
    store = EpisodeStore.open(folder, append=True)
    known = store.meta.info.get("recipe", {})
    changed = sorted(key for key in {*fixed, *known} if fixed.get(key) != known.get(key))
    if changed:
        store.close()
        raise InputError(
            f"{folder} was collected with another recipe ({', '.join(changed)} differ): name another folder."
        )
    return store


def next_seed(store: EpisodeStore, recipe: CollectRecipe) -> int:
    """The seed after the last committed one."""
    seeds = (episode.seed for episode in store.episodes if episode.seed is not None)
    return 1 + max(seeds, default=recipe.first_seed - 1)


def card(report: CollectReport, store: EpisodeStore, command: str) -> str:
    """The `README.md` of a collection."""
    seeds = [episode.seed for episode in store.episodes if episode.seed is not None]
    experts = sorted({episode.expert for episode in store.episodes})
    # Scripted experts say "scripted/SKILL"; a person at the keys sees no more than the pictures.
    oracle = ", which reads simulator state" if any(e.startswith("scripted/") for e in experts) else ""
    counts = Counter(episode.text for episode in store.episodes)
    rate = f"{store.meta.control_rate:g} Hz"
    span = f"{min(seeds)} to {max(seeds)}" if seeds else "none"
    lines = [
        f"# {report.folder}",
        "",
        f"{report.episodes} demonstrations, {report.frames:,} steps at {rate}, made by",
        "",
        f"    {command}",
        "",
        f"- demonstrated by {', '.join(experts) or 'nobody yet'}{oracle}",
        f"- seeds {span}; {report.tried} tried, {report.tried - report.episodes} failed and dropped",
        *(f"    - {count} times: {reason}" for reason, count in sorted(report.failures.items())),
        "",
        "| language argument | episodes |",
        "|---|---|",
        *itertools.starmap("| {} | {} |".format, sorted(counts.items())),
    ]
    return "\n".join(lines) + "\n"
