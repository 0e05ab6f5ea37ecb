"""Collecting demonstrations of simulated tasks from scripted experts, with noise on what is executed.

What the collectors of MetaWorld and robosuite share: the recipe, an episode, the store. Labels are the
expert's clean actions, and demonstrations that fail are dropped.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from robot_skills.data.collection import FAILURES, Attempt, Failures
from robot_skills.data.episode import Episode
from robot_skills.data.meta import META, Feature
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.residual.demonstrations import EXECUTED
from robot_skills.robot import ActionSpace, Float, Observation
from robot_skills.skill import SkillCall
from robot_skills.training.configuration import from_mapping, read_yaml, to_mapping
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import FIRST_VALIDATION_SEED
from sim.world import World

#: Steps that are recorded after the task has succeeded, and labelled as its end.
HOLD = 8


@dataclass(frozen=True)
class ScriptedRecipe:
    """Demonstrations of several tasks of a simulator in one store.

    Attributes:
        tasks: names, as the simulator has them.
        episodes: successful demonstrations wanted of each; one that fails is dropped and counted.
        first_seed: they are tried with this seed and those after it, all below 900,000.
        noise: standard deviation of the Gaussian noise on each number of an executed action that is a
            displacement; the label stays clean.
        cameras: of the simulator.
        image_size: (height, width) of every camera, pixels.
        steps: control steps after which a demonstration has failed.
        state: what is recorded as the state, one that the simulator offers.
        executed: whether the noisy actions that were executed are recorded too, beside the clean labels.
    """

    SIMULATOR: ClassVar[str] = ""

    tasks: tuple[str, ...]
    episodes: int = 100
    first_seed: int = 0
    noise: float = 0.2
    cameras: tuple[str, ...] = ()
    image_size: tuple[int, int] = (84, 84)
    steps: int = 300
    state: str = ""
    executed: bool = False

    def __post_init__(self) -> None:
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
    def read(cls, path: Path | str) -> Self:
        """Read a YAML file.

        Raises:
            InputError: naming the file and the key that is wrong.
        """
        return from_mapping(cls, read_yaml(path, f"recipe of {cls.SIMULATOR} demonstrations"), str(path))


@dataclass(frozen=True)
class Script:
    """Who demonstrates a task, and what is written beside it.

    Attributes:
        task: the skill that the episodes are of.
        text: the language argument.
        begin: begins the episode of a seed.
        expert: what to do now, (A,), from the simulator's state.
        target: the training label of a step, (3,) m: the place of the task's first object.
    """

    task: str
    text: str
    begin: Callable[[int], None]
    expert: Callable[[], Float]
    target: Callable[[], NDArray[Any]]


def demonstrate(world: World, script: Script, seed: int, noise: float, steps: int) -> Episode | None:
    """Run an expert once; the seed fixes the scene and the noise. None if it does not succeed.

    What was executed is in the episode's extra feature "executed".
    """
    rng = np.random.default_rng([seed, 77])
    moves = np.array(world.spec.action.relative)
    script.begin(seed)
    frames: list[tuple[Observation, Float, float, NDArray[Any], Float]] = []
    over = 0
    while over < HOLD and len(frames) < steps:
        action, seen, place = script.expert(), world.observe(), script.target().copy()
        over += bool(over or world.success())
        executed = action.copy()
        if not over:
            executed[moves] += rng.normal(0.0, noise, int(moves.sum())).astype(np.float32)
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
        text=script.text,
        call=SkillCall(script.task, {}),
        seed=seed,
        expert=f"scripted/{script.task} from simulator state",
        extras={EXECUTED: np.stack(executions)},
    )


Recipe = TypeVar("Recipe", bound=ScriptedRecipe)
#: Makes, in its process, a task's world and the function that tries a seed on it; picklable.
Demonstrator: TypeAlias = Callable[[], Callable[[int], Attempt]]


@dataclass(frozen=True)
class Recording:
    """What a simulator's store holds.

    Attributes:
        control_rate: control steps a second, Hz.
        state_names: of the recorded state.
        action: what the numbers of an action mean.
    """

    control_rate: float
    state_names: tuple[str, ...]
    action: ActionSpace


def collect_scripted(
    recipe: ScriptedRecipe,
    recording: Recording,
    demonstrators: Mapping[str, Demonstrator],
    folder: Path,
    console: Console,
    workers: int = 1,
) -> EpisodeStore:
    """Collect task after task; the same episodes whatever the number of workers.

    Args:
        recipe: what to collect.
        recording: of the recipe's simulator.
        demonstrators: task -> who tries a seed.
        folder: of the store: a new one, or one that this recipe began.
        console: where progress is shown.
        workers: processes; 1 runs here, without Ray.

    Returns:
        The store, open for reading.

    Raises:
        InputError: the folder holds something else, or a task's expert fails too often.
    """
    with _open(recipe, recording, folder) as store:
        failures = Failures(folder / FAILURES, FIRST_VALIDATION_SEED)
        for task, demonstrator in demonstrators.items():
            done = [e.seed for e in store.episodes if e.call and e.call.skill == task and e.seed is not None]
            tried = {*done, *failures.seeds(recipe.failure(task))}
            last = min(FIRST_VALIDATION_SEED, recipe.first_seed + 4 * recipe.episodes)
            seeds = [seed for seed in range(recipe.first_seed, last) if seed not in tried]
            wanted = recipe.episodes - len(done)
            with (
                JobProgress(console, task, recipe.episodes, "demonstrations", len(done)) as progress,
                contextlib.closing(map_in_order(demonstrator, seeds, workers, workers == 1)) as attempts,
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


def _open(recipe: ScriptedRecipe, recording: Recording, folder: Path) -> EpisodeStore:
    """The store of a recipe for appending, new or as the last run left it."""
    if (folder / META).exists():
        store = EpisodeStore.open(folder, append=True)
        # Read as a recipe, so that a setting that came after the store was begun has its default.
        begun = from_mapping(type(recipe), store.meta.info.get("recipe", {}), str(folder))
        if begun != recipe:
            store.close()
            raise InputError(f"{folder} was collected with another recipe: name another folder.")
        return store
    space = recording.action
    return EpisodeStore.create(
        folder,
        {camera: recipe.image_size for camera in recipe.cameras},
        recording.control_rate,
        state_names=recording.state_names,
        action=space,
        info={"recipe": to_mapping(recipe), "simulator": recipe.SIMULATOR},
        extras={EXECUTED: Feature("<f4", (space.size,), space.names)} if recipe.executed else {},
    )


def run(
    recipe: type[Recipe],
    collect: Callable[[Recipe, Path, Console, int], EpisodeStore],
    program: str,
    description: str | None,
    arguments: list[str] | None,
) -> None:
    """A collector's command line: a recipe, a folder, processes."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args(arguments)
    collect(recipe.read(args.recipe), args.output, Console(), args.workers)
