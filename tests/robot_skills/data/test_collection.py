"""Collecting: the same store for any number of workers, and after a kill."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from robot_skills.data.collection import Attempt, CollectReport, collect
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.training.recipe import CollectRecipe
from tests.robot_skills.training.tiny import make_episode

RECIPE = CollectRecipe("pick", episodes=6, first_seed=20, noise=0.2, workers=2, image_size=(8, 8))


@dataclasses.dataclass(frozen=True)
class Tries:
    """Seeds that three divides fail; the run is interrupted at a seed, if one is given."""

    stop_at: int | None = None
    failing: int = 3

    def __call__(self) -> Callable[[int], Attempt]:
        def attempt(seed: int) -> Attempt:
            if seed == self.stop_at:
                raise KeyboardInterrupt
            if seed % self.failing == 0:
                return Attempt(seed, None, "goal not reached")
            return Attempt(seed, make_episode(seed))

        return attempt


def run(
    folder: Path, recipe: CollectRecipe = RECIPE, tries: Tries | None = None, local: bool = True
) -> CollectReport:
    command = "robot-skills collect pick.yaml -o data"
    return collect(recipe, folder, tries or Tries(), 10.0, command, Console(file=io.StringIO()), local)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".bin", ".jsonl")}


def test_failures_are_dropped_counted_and_explained(tmp_path: Path) -> None:
    report = run(tmp_path / "data")
    store = EpisodeStore.open(tmp_path / "data")
    assert [episode.seed for episode in store.episodes] == [20, 22, 23, 25, 26, 28]
    assert report.failures == {"goal not reached": 3}  # 21, 24, 27
    assert (report.tried, report.frames) == (9, 72)
    card = (tmp_path / "data" / "README.md").read_text()
    for words in (
        "collect pick.yaml",
        "6 demonstrations, 72 steps at 10 Hz",
        "9 tried, 3 failed",
        "block 28",
    ):
        assert words in card


def test_any_number_of_workers_gives_the_same_store(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two", local=False)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_collection_that_was_stopped_goes_on(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", tries=Tries(stop_at=25))
    assert len(EpisodeStore.open(tmp_path / "parts").episodes) == 3
    report = run(tmp_path / "parts")
    assert content(tmp_path / "parts") == content(tmp_path / "whole")
    assert report.failures == whole.failures
    more = run(tmp_path / "parts", dataclasses.replace(RECIPE, episodes=8, workers=1))
    assert (more.episodes, more.failures) == (8, {"goal not reached": 4})
    assert run(tmp_path / "parts").episodes == 8  # there are enough: nothing is done


def test_another_recipe_does_not_go_into_the_same_store(tmp_path: Path) -> None:
    run(tmp_path / "data")
    with pytest.raises(InputError, match=r"another recipe \(noise differ\)"):
        run(tmp_path / "data", dataclasses.replace(RECIPE, noise=0.3))


def test_it_gives_up_when_nothing_succeeds(tmp_path: Path) -> None:
    report = run(tmp_path / "data", tries=Tries(failing=1))
    assert (report.episodes, report.tried) == (0, 4 * 6 + 20)
