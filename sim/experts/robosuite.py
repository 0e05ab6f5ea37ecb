"""Collect demonstrations of robosuite's tasks from its scripted experts, with noise on what is executed.

    python -m sim.experts.robosuite datasets/robosuite_square.yaml -o out/data/square

Labels are the expert's clean actions; demonstrations that fail are dropped. What is recorded as `target`, a
training label, is the place of the task's first object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol

from rich.console import Console

from robot_skills.data.collection import Attempt
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.policies.settings import check_choice
from robot_skills.robot import OSC_POSE, Float
from sim.experts import scripted
from sim.experts.scripted import Recording, Script, ScriptedRecipe, collect_scripted, demonstrate
from sim.robosuite_lift import LiftExpert
from sim.robosuite_square import SquareExpert
from sim.robosuite_world import CONTROL_RATE, OBJECTS, RobosuiteWorld, states_of, task_text


class RobosuiteExpert(Protocol):
    """A feedback law with memory, made at the start of an episode."""

    def action(self) -> Float:
        """What to do now, (7,) in [-1, 1]."""


#: Task -> its expert; the other tasks have none.
EXPERTS: Mapping[str, Callable[[RobosuiteWorld], RobosuiteExpert]] = {
    "Lift": LiftExpert,
    "NutAssemblySquare": SquareExpert,
}


class EpisodeExpert:
    """The expert of a world's task, made anew where an episode begins.

    It may be asked from any step on: what it remembers begins there.

    Args:
        world: of one of `EXPERTS`.

    Raises:
        InputError: the task has no expert.
    """

    def __init__(self, world: RobosuiteWorld) -> None:
        if world.task not in EXPERTS:
            raise InputError(f"{world.task} has no scripted expert; {', '.join(EXPERTS)} have.")
        self._world = world
        self._expert: RobosuiteExpert | None = None

    def begin(self, seed: int) -> None:
        """Begin the episode of a seed, world and expert."""
        self._world.reset(seed)
        self._expert = None

    def __call__(self) -> Float:
        """What to do now, (7,) in [-1, 1]; it reads the simulator's state."""
        if self._expert is None:
            self._expert = EXPERTS[self._world.task](self._world)
        return self._expert.action()


@dataclass(frozen=True)
class RobosuiteRecipe(ScriptedRecipe):
    """robosuite's demonstrations.

    Attributes:
        tasks: of `EXPERTS`.
        noise: turns included; with .2 of it the nut came onto the peg in 7 of 12 scenes, .1: in 100 of 105.
        cameras: such as "agentview" and "robot0_eye_in_hand".
        state: one of the tasks' `states_of`; the tasks of one store share it.
    """

    SIMULATOR: ClassVar[str] = "robosuite"

    noise: float = 0.1
    cameras: tuple[str, ...] = ("agentview", "robot0_eye_in_hand")
    state: str = "contract"

    def __post_init__(self) -> None:
        super().__post_init__()
        for task in self.tasks:
            check_choice("task", task, tuple(EXPERTS))
            check_choice("state", self.state, tuple(states_of(task)))
            if states_of(task)[self.state] != self.state_names:
                raise InputError(f'The state "{self.state}" differs from task to task: name one task.')

    @property
    def state_names(self) -> tuple[str, ...]:
        """Features of the recorded state."""
        return states_of(self.tasks[0])[self.state]


@dataclass(frozen=True)
class RobosuiteDemonstrator:
    """Makes, in its process, a task's world and the function that tries a seed on it."""

    recipe: RobosuiteRecipe
    task: str

    def __call__(self) -> Callable[[int], Attempt]:
        """Build the world."""
        recipe, task = self.recipe, self.task
        cameras = {camera: recipe.image_size for camera in recipe.cameras}
        world = RobosuiteWorld(task, cameras, state=recipe.state)
        expert, thing = EpisodeExpert(world), next(iter(OBJECTS[task].values()))
        script = Script(task, task_text(task), expert.begin, expert, lambda: world.body(thing)[0])

        def attempt(seed: int) -> Attempt:
            episode = demonstrate(world, script, seed, recipe.noise, recipe.steps)
            if episode is not None and not recipe.executed:
                episode = replace(episode, extras={})
            return Attempt(seed, episode, "" if episode else recipe.failure(task))

        return attempt


def collect_robosuite(
    recipe: RobosuiteRecipe, folder: Path, console: Console, workers: int = 1
) -> EpisodeStore:
    """Collect task after task, see `collect_scripted`."""
    recording = Recording(CONTROL_RATE, recipe.state_names, OSC_POSE)
    demonstrators = {task: RobosuiteDemonstrator(recipe, task) for task in recipe.tasks}
    return collect_scripted(recipe, recording, demonstrators, folder, console, workers)


def main(arguments: list[str] | None = None) -> None:
    """Collect what a recipe asks for."""
    scripted.run(RobosuiteRecipe, collect_robosuite, "python -m sim.experts.robosuite", __doc__, arguments)


if __name__ == "__main__":
    main()
