"""Collect demonstrations of MetaWorld's tasks from its scripted experts, with noise on what is executed.

    python -m sim.experts.metaworld datasets/metaworld.yaml -o out/data/metaworld

The usual protocol (STAR, QueST: 100 demonstrations a task, action noise 0.2), but for three things: labels
are the expert's clean actions, demonstrations that fail are dropped, and goals are drawn anew for every
episode, in training as in evaluation. The experts read the simulator's state; what is recorded as `target`,
a training label, is the place of the task's first object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from rich.console import Console

from robot_skills.data.collection import Attempt
from robot_skills.data.episode import Episode
from robot_skills.data.store import EpisodeStore
from robot_skills.policies.settings import check_choice
from sim.experts import scripted
from sim.experts.scripted import HOLD, Recording, Script, ScriptedRecipe, collect_scripted
from sim.metaworld import ACTION, CONTROL_RATE, STATES, MetaWorld

__all__ = ["HOLD", "MetaWorldRecipe", "collect_metaworld", "demonstrate", "task_text"]

#: Where MetaWorld's observation holds the place of the first object.
OBJECT = slice(4, 7)


@dataclass(frozen=True)
class MetaWorldRecipe(ScriptedRecipe):
    """MetaWorld's demonstrations, its tasks named as in "door-open-v3".

    Attributes:
        cameras: of MetaWorld's model; "corner2" alone is the protocol's.
        state: what is recorded as the state, one of MetaWorld's `STATES`.
    """

    SIMULATOR: ClassVar[str] = "metaworld"

    cameras: tuple[str, ...] = ("corner2",)
    state: str = "hand"

    def __post_init__(self) -> None:
        check_choice("state", self.state, tuple(STATES))
        super().__post_init__()


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
            return Attempt(seed, episode, "" if episode else recipe.failure(self.task))

        return attempt


def demonstrate(world: MetaWorld, seed: int, noise: float, steps: int) -> Episode | None:
    """Run a task's expert once; the seed fixes the scene and the noise. None if it does not succeed.

    What was executed is in the episode's extra feature "executed".
    """
    script = Script(
        world.task, task_text(world.task), world.reset, world.expert, lambda: world.oracle()[OBJECT]
    )
    return scripted.demonstrate(world, script, seed, noise, steps)


def task_text(task: str) -> str:
    """A task's name in words: "door-open-v3" is "door open"."""
    return task.removesuffix("-v3").replace("-", " ")


def collect_metaworld(
    recipe: MetaWorldRecipe, folder: Path, console: Console, workers: int = 1
) -> EpisodeStore:
    """Collect task after task, see `collect_scripted`."""
    recording = Recording(CONTROL_RATE, STATES[recipe.state], ACTION)
    demonstrators = {task: MetaWorldDemonstrator(recipe, task) for task in recipe.tasks}
    return collect_scripted(recipe, recording, demonstrators, folder, console, workers)


def main(arguments: list[str] | None = None) -> None:
    """Collect what a recipe asks for."""
    scripted.run(MetaWorldRecipe, collect_metaworld, "python -m sim.experts.metaworld", __doc__, arguments)


if __name__ == "__main__":
    main()
