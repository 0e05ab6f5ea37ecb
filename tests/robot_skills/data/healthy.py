"""Recordings that nothing is wrong with, made as `collect` does, and a source over episodes in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robot_skills.cli.collect import TabletopDemonstrator
from robot_skills.data.episode import Episode
from robot_skills.data.meta import StoreMeta
from robot_skills.training.recipe import CollectRecipe

SIZE = (48, 48)
META = StoreMeta(cameras={"front": SIZE, "wrist": SIZE}, control_rate=10.0)


def demonstrations(skill: str, count: int) -> list[Episode]:
    """The first demonstrations of the scripted expert that succeed, with noise and errors."""
    recipe = CollectRecipe(skill=skill, episodes=count, image_size=SIZE, noise=0.25, misled=0.4)
    attempt, made = TabletopDemonstrator(recipe)(), []
    for seed in range(100):
        episode = attempt(seed).episode
        if episode is not None:
            made.append(episode)
        if len(made) == count:
            break
    return made


class Memory:
    """Episodes in memory as a `Source`."""

    not_carried: tuple[str, ...] = ()
    path = Path("memory")

    def __init__(self, episodes: Sequence[Episode], meta: StoreMeta = META) -> None:
        self.episodes, self.meta = list(episodes), meta

    def __len__(self) -> int:
        return len(self.episodes)

    def read(self, index: int) -> Episode:
        return self.episodes[index]
