"""Collect demonstrations of MetaWorld's tasks from its scripted experts, with noise on what is executed.

    python -m sim.experts.metaworld datasets/metaworld.yaml -o out/data/metaworld

The usual protocol (STAR, QueST: 100 demonstrations a task, action noise 0.2), but for three things: labels
are the expert's clean actions, demonstrations that fail are dropped, and goals are drawn anew for every
episode, in training as in evaluation. The experts read the simulator's state; what is recorded as `target`,
a training label, is the place of the task's first object.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from robot_skills.data.collection import FAILURES, Attempt, Failures
from robot_skills.data.episode import Episode
from robot_skills.data.meta import META, Feature
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.policies.settings import check_choice
from robot_skills.robot import Float, Observation
from robot_skills.skill import SkillCall
from robot_skills.training.configuration import from_mapping, read_yaml, to_mapping
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import FIRST_VALIDATION_SEED
from sim.metaworld import ACTION, CONTROL_RATE, STATES, MetaWorld

#: Steps that are recorded after the task has succeeded, and labelled as its end.
HOLD = 8
#: The extra feature that holds what was executed; labels are cleaner than that.
EXECUTED = "executed"
#: Where MetaWorld's observation holds the place of the first object.
OBJECT = slice(4, 7)


@dataclass(frozen=True)
class MetaWorldRecipe:
    """Demonstrations of several tasks in one store.

    Attributes:
        tasks: names, such as "door-open-v3".
        episodes: successful demonstrations wanted of each; one that fails is dropped and counted.
        first_seed: they are tried with this seed and those after it, all below 900,000.
        noise: standard deviation of the Gaussian noise on each executed translation; the label stays clean.
        cameras: of MetaWorld's model; "corner2" alone is the protocol's.
        image_size: (height, width) of every camera, pixels.
        steps: control steps after which a demonstration has failed.
        state: what is recorded as the state, one of MetaWorld's `STATES`.
        executed: whether the noisy actions that were executed are recorded too, beside the clean labels.
    """

    tasks: tuple[str, ...]
    episodes: int = 100
    first_seed: int = 0
    noise: float = 0.2
    cameras: tuple[str, ...] = ("corner2",)
    image_size: tuple[int, int] = (84, 84)
    steps: int = 300
    state: str = "hand"
    executed: bool = False

    def __post_init__(self) -> None:
        check_choice("state", self.state, tuple(STATES))
        if not self.tasks or self.episodes < 1 or self.steps <= HOLD or not 0 <= self.noise <= 1:
            raise InputError(
                f"tasks names one at least, episodes is 1 or more, steps more than {HOLD}, noise 0 to 1."
            )
        if not 0 <= self.first_seed < FIRST_VALIDATION_SEED:
            raise InputError(f"first_seed lies in 0 to {FIRST_VALIDATION_SEED - 1}, not {self.first_seed}.")

    def failure(self, task: str) -> str:
        """Why a demonstration of a task was dropped."""
        return f"{task}: no success in {self.steps} steps"

    @classmethod
    def read(cls, path: Path | str) -> MetaWorldRecipe:
        """Read a YAML file.

        Raises:
            InputError: naming the file and the key that is wrong.
        """
        return from_mapping(cls, read_yaml(path, "recipe of MetaWorld demonstrations"), str(path))


@dataclass(frozen=True)
class MetaWorldDemonstrator:
    """Makes, in its process, a task's world and the function that tries a seed on it."""

    recipe: MetaWorldRecipe
    task: str

    def __call__(self) -> Callable[[int], Attempt]:
        """Build the world."""
        recipe = self.recipe
        cameras = {camera: recipe.image_size for camera in recipe.cameras}
        world = MetaWorld(self.task, cameras, recipe.state)

        def attempt(seed: int) -> Attempt:
            episode = demonstrate(world, seed, recipe.noise, recipe.steps)
            if episode is not None and not recipe.executed:
                episode = replace(episode, extras={})
            return Attempt(
                seed, episode, "" if episode else f"{self.task}: no success in {recipe.steps} steps"
            )

        return attempt


def demonstrate(world: MetaWorld, seed: int, noise: float, steps: int) -> Episode | None:
    """Run a task's expert once; the seed fixes the scene and the noise. None if it does not succeed.

    What was executed is in the episode's extra feature "executed".
    """
    rng = np.random.default_rng([seed, 77])
    world.reset(seed)
    frames: list[tuple[Observation, Float, float, NDArray[np.float32], Float]] = []
    over = 0
    while over < HOLD and len(frames) < steps:
        action, seen, place = world.expert(), world.observe(), world.oracle()[OBJECT].copy()
        over += bool(over or world.success())
        executed = action.copy()
        if not over:
            executed[:3] += rng.normal(0.0, noise, 3).astype(np.float32)
        executed = np.clip(executed, -1.0, 1.0)
        frames.append((seen, action, float(over > 0), place, executed))
        world.act(executed)
    if not over:
        return None
    views, actions, ends, places, executions = zip(*frames, strict=True)
    return Episode(
        images={name: np.stack([view.images[name] for view in views]) for name in world.spec.cameras},
        state=np.stack([view.state for view in views]),
        action=np.stack(actions),
        end=np.array(ends, np.float32),
        target=np.stack(places).astype(np.float32),
        text=task_text(world.task),
        call=SkillCall(world.task, {}),
        seed=seed,
        expert=f"scripted/{world.task} from simulator state",
        extras={EXECUTED: np.stack(executions)},
    )


def task_text(task: str) -> str:
    """A task's name in words: "door-open-v3" is "door open"."""
    return task.removesuffix("-v3").replace("-", " ")


def collect_metaworld(
    recipe: MetaWorldRecipe, folder: Path, console: Console, workers: int = 1
) -> EpisodeStore:
    """Collect task after task; the same episodes whatever the number of workers.

    Args:
        recipe: what to collect.
        folder: of the store: a new one, or one that this recipe began.
        console: where progress is shown.
        workers: processes; 1 runs here, without Ray.

    Returns:
        The store, open for reading.

    Raises:
        InputError: the folder holds something else, or a task's expert fails too often.
    """
    fixed = to_mapping(recipe)
    if (folder / META).exists():
        store = EpisodeStore.open(folder, append=True)
        # Read as a recipe, so that a setting that came after the store was begun has its default.
        begun = from_mapping(MetaWorldRecipe, store.meta.info.get("recipe", {}), str(folder))
        if begun != recipe:
            store.close()
            raise InputError(f"{folder} was collected with another recipe: name another folder.")
    else:
        cameras = {camera: recipe.image_size for camera in recipe.cameras}
        names, info = STATES[recipe.state], {"recipe": fixed, "simulator": "metaworld"}
        extras = {EXECUTED: Feature("<f4", (ACTION.size,), ACTION.names)} if recipe.executed else {}
        store = EpisodeStore.create(
            folder, cameras, CONTROL_RATE, state_names=names, action=ACTION, info=info, extras=extras
        )
    with store:
        failures = Failures(folder / FAILURES, FIRST_VALIDATION_SEED)
        for task in recipe.tasks:
            done = [e.seed for e in store.episodes if e.call and e.call.skill == task and e.seed is not None]
            tried = {*done, *failures.seeds(recipe.failure(task))}
            last = min(FIRST_VALIDATION_SEED, recipe.first_seed + 4 * recipe.episodes)
            seeds = [seed for seed in range(recipe.first_seed, last) if seed not in tried]
            wanted = recipe.episodes - len(done)
            with (
                JobProgress(console, task, recipe.episodes, "demonstrations", len(done)) as progress,
                contextlib.closing(
                    map_in_order(MetaWorldDemonstrator(recipe, task), seeds, workers, workers == 1)
                ) as attempts,
            ):
                while wanted > 0:
                    attempt = next(attempts, None)
                    if attempt is None:
                        raise InputError(
                            f"The expert of {task} failed on too many of the seeds to {last - 1}."
                        )
                    if attempt.episode is None:
                        failures.add(attempt.seed, attempt.reason)
                        continue
                    store.append(attempt.episode)
                    wanted -= 1
                    progress.advance(1, f"{sum(failures.reasons.values())} failed")
    return EpisodeStore.open(folder)


def main(arguments: list[str] | None = None) -> None:
    """Collect what a recipe asks for."""
    parser = argparse.ArgumentParser(prog="python -m sim.experts.metaworld", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args(arguments)
    collect_metaworld(MetaWorldRecipe.read(args.recipe), args.output, Console(), args.workers)


if __name__ == "__main__":
    main()
