"""The simulated tabletop of `plan` and `run`: its scene, its world, and who sees what of it."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from robot_skills.cli.console import silence
from robot_skills.errors import InputError, unknown

if TYPE_CHECKING:
    from robot_skills.scene_graph import SceneGraph
    from sim.tabletop.scene import Scene
    from sim.tabletop.world import TabletopWorld

#: Where the planner's scene graph may come from; the skills see pictures and proprioception in any case.
PERCEPTIONS = {
    "oracle": "The planner's scene graph is read from the simulator's state",
    "camera": "The planner's scene graph is perceived in the pictures of two cameras",
}


class Sight(Protocol):
    """Whoever sees the scene for the planner and the closed loop.

    Attributes:
        glances: control steps from one glance to the next while a skill is watched.
    """

    glances: int

    def look(self) -> SceneGraph:
        """What is in the scene now."""

    def glance(self) -> SceneGraph:
        """What seems to be in the scene while the arm is at work; nothing of it is kept in mind."""

    def begin_command(self) -> None:
        """From here on it is judged what has moved."""

    def positions(self) -> dict[str, tuple[float, float]]:
        """Where the loose things are, x forward and y left, m."""


def add_perception_option(group: argparse._ActionsContainer) -> None:
    """Add the option that says who sees the scene for the planner."""
    group.add_argument(
        "--perception",
        choices=tuple(PERCEPTIONS),
        default="oracle",
        help="where the scene graph of planner and closed loop comes from: the simulator's state (default), "
        "or the pictures of the cameras",
    )


def load_scene(path: Path | None, seed: int) -> Scene:
    """The scene of a file, or a sampled one.

    Raises:
        InputError: the file is no scene, or the seed is negative.
    """
    with silence():
        from sim.tabletop.scene import Scene
    if path is not None:
        return Scene.load(path)
    if seed < 0:
        raise InputError(f"--seed is 0 or more, not {seed}.")
    return Scene.sample(seed)


@contextlib.contextmanager
def tabletop(scene: Scene, cameras: Mapping[str, tuple[int, int]] | None = None) -> Iterator[TabletopWorld]:
    """The simulated world with the scene in it; `cameras` gives their sizes, (height, width)."""
    with silence():
        from sim.tabletop.world import DEFAULT_CAMERAS, TabletopWorld

        world = TabletopWorld(DEFAULT_CAMERAS if cameras is None else cameras)
    try:
        world.reset(scene)
        yield world
    finally:
        world.close()


def look(world: TabletopWorld) -> SceneGraph:
    """The scene graph that the planner works on: an oracle, read from the simulator's state."""
    from sim.tabletop.oracle import scene_graph

    return scene_graph(world.state())


class OracleSight:
    """Reads the simulator's state."""

    glances = 3

    def __init__(self, world: TabletopWorld) -> None:
        self._world = world

    def look(self) -> SceneGraph:
        """What is so."""
        return look(self._world)

    def glance(self) -> SceneGraph:
        """What is so, whatever the arm does."""
        return look(self._world)

    def begin_command(self) -> None:
        """The world keeps where everything is."""
        self._world.begin_command()

    def positions(self) -> dict[str, tuple[float, float]]:
        """Where the loose things are."""
        bodies = self._world.state().bodies
        return {name: (float(body.position[0]), float(body.position[1])) for name, body in bodies.items()}


def sight(world: TabletopWorld, perception: str) -> Sight:
    """The one of `PERCEPTIONS` that is asked for; the world must have been reset.

    Raises:
        InputError: there is no such perception, or the detector that comes with the package is damaged.
    """
    if perception not in PERCEPTIONS:
        raise unknown("perception", perception, PERCEPTIONS)
    if perception == "oracle":
        return OracleSight(world)
    from robot_skills.perception.perceiver import Perceiver
    from sim.tabletop.views import sensed

    return Perceiver(lambda: sensed(world))
