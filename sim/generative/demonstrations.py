"""Demonstrations of generated tasks, as a data set like any other: the native store, one episode a success.

Beside images, state and action an episode carries its instruction, its goal formula, the task's name, and its
segments: which skill call each stretch of it carries out. Episodes are committed in the order of the tasks,
whatever the number of workers, and a run that was stopped goes on where it was. As lessons the same attempts
are cut into their skill calls (`lessons`).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from robot_skills.data.episode import Episode, EpisodeRecord
from robot_skills.data.meta import META
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.robot import Float
from robot_skills.skill import Skill
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from sim.generative.lessons import lessons
from sim.generative.task import Task
from sim.generative.trial import HOLD, Trial, attempt
from sim.tabletop.world import CONTROL_RATE, TabletopWorld

#: Episodes of a task from here on are for training data: no gate has looked at them.
FIRST_SHOWN = 10_000
#: Attempts for each demonstration wanted.
TRIES = 3
Size = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """The demonstrations of one task, and how many attempts at it failed."""

    episodes: tuple[Episode, ...]
    failed: int


@dataclass(frozen=True)
class Demonstrator:
    """Makes, in its process, a world with cameras and the function that shows a task.

    Attributes:
        count: demonstrations of each task.
        size: of the pictures, (height, width).
        lessons: each skill call is an episode of its own, with noise on what is executed.
    """

    count: int
    size: Size = (64, 64)
    lessons: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What must be the same in every run into one store."""
        kind = {"lessons": True} if self.lessons else {}
        return {"demonstrations": self.count, "image_size": list(self.size), **kind}

    def complete(self, shown: Sequence[EpisodeRecord]) -> bool:
        """Whether a store holds all there is of a task, by its episodes of that task."""
        if self.lessons:
            ends = [each.attributes for each in shown if each.attributes["step"] == each.attributes["of"] - 1]
            return len(ends) >= self.count
        return len(shown) >= self.count

    def __call__(self) -> Callable[[Task], Shown]:
        """Build the world."""
        from robot_skills.cli.console import silence

        with silence():
            world = TabletopWorld(cameras(self.size))
        skills = SkillLibrary.open().skills
        if self.lessons:
            return lambda task: teach(world, task, self.count, skills)
        return lambda task: show(world, task, self.count, skills)


def cameras(size: Size) -> dict[str, Size]:
    """The cameras of demonstrations."""
    return {"front": size, "wrist": size}


def show(world: TabletopWorld, task: Task, count: int, skills: Mapping[str, Skill]) -> Shown:
    """Demonstrate a task on scenes that no gate has seen; what fails, or does not last, is left out."""
    episodes: list[Episode] = []
    failed = 0
    for number in range(FIRST_SHOWN, FIRST_SHOWN + TRIES * count):
        if len(episodes) == count:
            break
        recorder = _Recorder(world)
        trial = attempt(world, task, number, skills, on_step=recorder.see)
        if trial.success and trial.held:
            episodes.append(recorder.episode(task, trial, skills))
        else:
            failed += 1
    return Shown(tuple(episodes), failed)


def teach(world: TabletopWorld, task: Task, count: int, skills: Mapping[str, Skill]) -> Shown:
    """The lessons of so many demonstrations of a task, on the same scenes as `show`."""
    episodes: list[Episode] = []
    failed = taught = 0
    for number in range(FIRST_SHOWN, FIRST_SHOWN + TRIES * count):
        if taught == count:
            break
        found = lessons(world, task, number, skills)
        episodes += found
        taught, failed = taught + bool(found), failed + (not found)
    return Shown(tuple(episodes), failed)


def demonstrate_all(
    tasks: Sequence[Task],
    folder: Path,
    console: Console,
    demonstrator: Demonstrator,
    *,
    workers: int = 2,
    local: bool = False,
    command: str = "",
) -> EpisodeStore:
    """Write the demonstrations of tasks into a store, new or as an earlier run left it; it is closed.

    Raises:
        InputError: the folder holds something else, or another number of demonstrations a task.
    """
    with _open(folder, demonstrator, command) as store:
        there: dict[str, list[EpisodeRecord]] = defaultdict(list)
        for record in store.episodes:
            there[str(record.attributes["task"])].append(record)
        wanted = [task for task in tasks if not demonstrator.complete(there[task.name])]
        done = len(tasks) - len(wanted)
        with (
            JobProgress(console, "demonstrations", len(tasks), "tasks", done) as progress,
            contextlib.closing(map_in_order(demonstrator, wanted, workers, local)) as shown,
        ):
            for task, found in zip(wanted, shown, strict=True):
                for episode in found.episodes[len(there[task.name]) :]:
                    store.append(episode)
                progress.advance(1, f"{len(store.episodes)} episodes")
    return store


class _Recorder:
    """Sees every step of an attempt before it is carried out."""

    def __init__(self, world: TabletopWorld) -> None:
        self._world = world
        self._frames: list[dict[str, Any]] = []

    def see(self, action: Float) -> None:
        """Note what is seen now, and what will be done."""
        seen = self._world.observe()
        self._frames.append({**seen.images, "state": seen.state, "action": action})

    def episode(self, task: Task, trial: Trial, skills: Mapping[str, Skill]) -> Episode:
        """All of it, with labels."""
        stacked = {key: np.stack([frame[key] for frame in self._frames]) for key in self._frames[0]}
        steps = len(self._frames)
        end = np.zeros(steps, np.float32)
        end[-HOLD:] = 1.0
        said = task.instructions[trial.episode % len(task.instructions)]
        segments = [
            {
                "call": call.to_json(),
                "text": skills[call.skill].language(call),
                "first": first,
                "after": after,
            }
            for call, first, after in trial.segments
        ]
        return Episode(
            images={name: stacked[name] for name in self._world.spec.cameras},
            state=stacked["state"],
            action=stacked["action"],
            end=end,
            target=np.full((steps, 3), np.nan, np.float32),
            text=said,
            scene=trial.scene.to_json(),
            seed=trial.episode,
            expert="scripted/generated",
            attributes={
                "task": task.name,
                "family": task.goal.family,
                "goal": task.formula,
                "alternative": task.alternative,
                "task_seed": task.seed,
                "segments": segments,
            },
        )


def _open(folder: Path, demonstrator: Demonstrator, command: str) -> EpisodeStore:
    settings = demonstrator.settings
    if not (folder / META).exists():
        info = {**settings, "command": command}
        return EpisodeStore.create(folder, cameras(demonstrator.size), CONTROL_RATE, info=info)
    store = EpisodeStore.open(folder, append=True)
    known = {key: value for key, value in store.meta.info.items() if key in (*settings, "lessons")}
    if known != settings:
        store.close()
        raise InputError(f"{folder} holds demonstrations of another kind: name another folder.")
    return store
