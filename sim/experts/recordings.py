"""Collect long recordings into a native store, for `robot-skills data segment` to cut.

    python -m sim.experts.recordings datasets/recordings.yaml -o out/data/recordings

The skills' names, arguments and boundaries lie in each episode's attribute `hidden_truth`, for scoring. The
rest says nothing about them: no text, no call, no target, and `end` marks the last steps of the whole.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from robot_skills.cli.console import silence
from robot_skills.data.collection import FAILURES, Attempt, Failures
from robot_skills.data.episode import Episode
from robot_skills.data.meta import META
from robot_skills.data.segmentation.truth import HIDDEN_TRUTH
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.training.configuration import from_mapping, read_yaml, to_mapping
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import FIRST_VALIDATION_SEED
from sim.experts.demonstration import HOLD
from sim.experts.recording import PAUSE, SKILLS, Recording, record
from sim.tabletop.world import CONTROL_RATE, TabletopWorld


@dataclass(frozen=True)
class RecordingsRecipe:
    """Long recordings to collect.

    Attributes:
        recordings: successful ones wanted; one in which a skill fails is dropped and counted.
        first_seed: they are tried with this seed and those after it, all below 900,000.
        noise: standard deviation of the Gaussian noise on each executed action; the label stays clean.
        skills: fewest and most skills in a recording.
        image_size: (height, width) of every camera, pixels.
    """

    recordings: int
    first_seed: int = 0
    noise: float = 0.25
    skills: tuple[int, int] = SKILLS
    cameras: tuple[str, ...] = ("front", "wrist")
    image_size: tuple[int, int] = (64, 64)

    def __post_init__(self) -> None:
        if self.recordings < 1 or not 0 <= self.noise <= 1 or not 1 <= self.skills[0] <= self.skills[1]:
            raise InputError("recordings is 1 or more, noise lies in 0 to 1, skills is [fewest, most].")
        if not 0 <= self.first_seed < FIRST_VALIDATION_SEED:
            raise InputError(f"first_seed lies in 0 to {FIRST_VALIDATION_SEED - 1}, not {self.first_seed}.")

    @classmethod
    def read(cls, path: Path | str) -> RecordingsRecipe:
        """Read a YAML file.

        Raises:
            InputError: naming the file and the key that is wrong.
        """
        return from_mapping(cls, read_yaml(path, "recipe of recordings"), str(path))


@dataclass(frozen=True)
class Recorder:
    """Makes, in its process, a tabletop and the function that records a seed on it."""

    recipe: RecordingsRecipe

    def __call__(self) -> Callable[[int], Attempt]:
        """Build the world."""
        recipe = self.recipe
        with silence():
            world = TabletopWorld(cameras={camera: recipe.image_size for camera in recipe.cameras})

        def attempt(seed: int) -> Attempt:
            shown = record(world, seed, recipe.noise, recipe.skills)
            return Attempt(seed, to_episode(shown) if shown.success else None, shown.reason)

        return attempt


def to_episode(shown: Recording) -> Episode:
    """A recording as an episode that does not give its skills away, but for `HIDDEN_TRUTH`."""
    steps = len(shown.state)
    end = np.zeros(steps, np.float32)
    end[-HOLD:] = 1
    return Episode(
        images=shown.images,
        state=shown.state,
        action=shown.action,
        end=end,
        target=np.full((steps, 3), np.nan, np.float32),
        text="",
        scene=shown.scene,
        seed=shown.seed,
        expert="scripted",
        attributes={HIDDEN_TRUTH: [part.to_json() for part in shown.parts]},
    )


def collect_recordings(
    recipe: RecordingsRecipe, folder: Path, console: Console, workers: int = 1, local: bool = False
) -> EpisodeStore:
    """Collect until the store holds the recordings wanted; the same ones whatever the number of workers.

    Args:
        recipe: what to collect.
        folder: of the store: a new one, or one that this recipe began.
        console: where progress is shown.
        workers: processes.
        local: run here, without Ray.

    Returns:
        The store, open for reading.

    Raises:
        InputError: the folder holds something else, or seeds run out.
    """
    fixed = {key: value for key, value in to_mapping(recipe).items() if key != "recordings"}
    if (folder / META).exists():
        store = EpisodeStore.open(folder, append=True)
        if store.meta.info.get("recordings") != fixed:
            store.close()
            raise InputError(f"{folder} was collected with another recipe: name another folder.")
    else:
        cameras = {camera: recipe.image_size for camera in recipe.cameras}
        info = {"recordings": fixed, "pause_steps": list(PAUSE)}
        store = EpisodeStore.create(folder, cameras, CONTROL_RATE, info=info)
    with (
        store,
        JobProgress(console, "recordings", recipe.recordings, "recordings", len(store.episodes)) as progress,
    ):
        first = 1 + max((e.seed for e in store.episodes if e.seed is not None), default=recipe.first_seed - 1)
        failures = Failures(folder / FAILURES, first)
        seeds = range(first, min(FIRST_VALIDATION_SEED, recipe.first_seed + 4 * recipe.recordings))
        with contextlib.closing(map_in_order(Recorder(recipe), seeds, workers, local)) as attempts:
            while len(store.episodes) < recipe.recordings:
                attempt = next(attempts, None)
                if attempt is None:
                    raise InputError(f"Seeds ran out after {len(store.episodes)} recordings in {folder}.")
                if attempt.episode is None:
                    failures.add(attempt.seed, attempt.reason)
                    continue
                store.append(attempt.episode)
                progress.advance(1, f"{sum(failures.reasons.values())} failed")
    return EpisodeStore.open(folder)


def main(arguments: list[str] | None = None) -> None:
    """Collect what a recipe asks for."""
    parser = argparse.ArgumentParser(prog="python -m sim.experts.recordings", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--recordings", type=int, help="how many (default: the recipe's)")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args(arguments)
    recipe = RecordingsRecipe.read(args.recipe)
    if args.recordings is not None:
        recipe = dataclasses.replace(recipe, recordings=args.recordings)
    collect_recordings(recipe, args.output, Console(), args.workers, local=args.workers == 1)


if __name__ == "__main__":
    main()
