"""robosuite's scripted experts, one for each episode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from robot_skills.errors import InputError
from robot_skills.robot import Float
from sim.robosuite_lift import LiftExpert
from sim.robosuite_square import SquareExpert
from sim.robosuite_world import RobosuiteWorld


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
