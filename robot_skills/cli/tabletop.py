"""The simulated tabletop of `plan` and `run`: its scene, its world, and what the planner sees of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from robot_skills.cli.console import silence
from robot_skills.errors import InputError

if TYPE_CHECKING:
    from robot_skills.scene_graph import SceneGraph
    from sim.tabletop.scene import Scene
    from sim.tabletop.world import TabletopWorld


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
