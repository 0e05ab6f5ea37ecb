"""Benchmarks of other simulators, as they are evaluated: their tasks, starts, time limits and verdicts.

    libero_object       ten tasks, each from LIBERO's 50 recorded starts: the seed is the start's number
    libero_object:3     one of them, by number or name; likewise libero_spatial, _goal, _10 and _90
    metaworld:reach-v3  one of MetaWorld's tasks, a scene a seed; `metaworld` is all 50
    robosuite:Lift      one of robosuite's tasks for one Panda, a scene a seed; `robosuite` is all five
    pusht               Push-T, from the starts of the published evaluation

An episode ends when the task is done, at whichever step, or its steps are gone, as these benchmarks have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from robot_skills.errors import InputError, unknown
from robot_skills.robot import Float, Image, Observation, RobotSpec
from sim.mujoco_rendering import CameraSizes
from sim.world import World

#: Control steps an episode may take. LIBERO's as OpenVLA (Kim et al. 2024) and most since have them, but for
#: Spatial, where that has 220; LIBERO's own evaluation allows 600 of each. MetaWorld's and Push-T's are the
#: benchmarks' own. robosuite's is what ResFiT (Ankile et al. 2025) allows on Square.
STEPS = {
    "libero_spatial": 280,
    "libero_object": 280,
    "libero_goal": 300,
    "libero_90": 400,
    "libero_10": 520,
    "metaworld": 500,
    "robosuite": 300,
    "pusht": 300,
}
#: The seed of the first test episode. Push-T's is that of diffusion_policy.
FIRST_SEED = {"metaworld": 1_000_000, "robosuite": 1_000_000, "pusht": 100_000}
#: Steps without motion after a recorded start, before the policy sees anything: as LIBERO's evaluation.
SETTLE = 5


@dataclass(frozen=True)
class SuiteTask:
    """A task of a suite.

    Attributes:
        suite: a key of `STEPS`.
        name: as the simulator calls it.
    """

    suite: str
    name: str

    @property
    def steps(self) -> int:
        """Control steps an episode may take."""
        return STEPS[self.suite]


@dataclass(frozen=True)
class Trained:
    """What a trained policy expects of the world that it is put into.

    Attributes:
        cameras: name -> (height, width).
        state_size: numbers of the state that it sees.
        state: patterns of the features that these are, as in a training recipe; None: all.
        action_size: numbers of an action.
    """

    cameras: CameraSizes
    state_size: int
    action_size: int
    state: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Bench:
    """A task, ready for episodes.

    Attributes:
        world: what the policy drives.
        begin: starts the episode of a seed.
        done: whether it has ended before its steps are gone; asked after each step.
        score: what is reported beside success, in [0, 1]; None: nothing.
        text: the language argument.
        skill: name of the skill, for policies of several.
        expert: what an expert who reads the simulator's state would do now; None: there is none.
    """

    world: World
    begin: Callable[[int], None]
    done: Callable[[], bool]
    score: Callable[[], float] | None
    text: str
    skill: str
    expert: Callable[[], Float] | None = None


def is_suite(name: str) -> bool:
    """Whether a name is a suite, or a task of one ("metaworld:reach-v3")."""
    return name.partition(":")[0] in STEPS


def tasks_of(name: str) -> tuple[SuiteTask, ...]:
    """The tasks that a name stands for.

    Raises:
        InputError: there is no such suite or task, or its simulator is not installed.
    """
    suite, colon, task = name.partition(":")
    if suite not in STEPS:
        raise unknown("suite", suite, STEPS)
    names = _task_names(suite)
    if not colon:
        return tuple(SuiteTask(suite, each) for each in names)
    if task.isdecimal():
        if int(task) >= len(names):
            raise InputError(f"The tasks of {suite} are numbered 0 to {len(names) - 1}, not {task}.")
        task = names[int(task)]
    if task not in names:
        raise unknown(f"task of {suite}", task, names)
    return (SuiteTask(suite, task),)


def first_seed(suite: str) -> int:
    """The seed of the first test episode."""
    return FIRST_SEED.get(suite, 0)


def make_bench(task: SuiteTask, trained: Trained) -> Bench:
    """Build the world of a task as a policy knows it.

    Raises:
        InputError: the simulator is not installed, or has other cameras, features or actions than the policy.
    """
    if task.suite == "pusht":
        bench = _pusht(trained)
    elif task.suite == "metaworld":
        bench = _metaworld(task, trained)
    elif task.suite == "robosuite":
        bench = _robosuite(task, trained)
    else:
        bench = _libero(task, trained)
    size = bench.world.spec.action.size
    if size != trained.action_size:
        raise InputError(
            f"The policy gives actions of {trained.action_size} numbers; {task.suite} takes {size} "
            f"({', '.join(bench.world.spec.action.names)})."
        )
    return bench


class SomeFeatures:
    """A world of which only some features of the state are seen."""

    def __init__(self, world: World, columns: Sequence[int]) -> None:
        self._world, self._columns = world, list(columns)

    @property
    def spec(self) -> RobotSpec:
        """Cameras, features and control rate."""
        spec = self._world.spec
        names = tuple(spec.state_names[column] for column in self._columns)
        return RobotSpec(spec.name, spec.cameras, spec.control_rate, names, spec.action)

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """As the world, with the chosen features."""
        seen = self._world.observe(cameras)
        return Observation(seen.images, seen.state[self._columns], seen.time)

    def act(self, action: Float) -> None:
        """As the world."""
        self._world.act(action)

    def stop(self) -> None:
        """As the world."""
        self._world.stop()

    def reset(self, seed: int) -> None:
        """As the world."""
        self._world.reset(seed)

    def reward(self) -> float:
        """As the world."""
        return self._world.reward()

    def success(self) -> bool:
        """As the world."""
        return self._world.success()

    def film(self) -> Image:
        """As the world."""
        return self._world.film()

    def close(self) -> None:
        """As the world."""
        self._world.close()


def _task_names(suite: str) -> tuple[str, ...]:
    if suite == "pusht":
        return ("pusht",)
    if suite == "metaworld":
        from sim import metaworld

        return metaworld.tasks()
    if suite == "robosuite":
        from sim.robosuite_world import TASKS, load_robosuite

        load_robosuite()
        return TASKS
    from sim import libero

    return libero.tasks(suite)


def _libero(task: SuiteTask, trained: Trained) -> Bench:
    from sim.libero import LiberoWorld
    from sim.robosuite_world import STATES

    state, columns = _features(task.suite, STATES, trained)
    world = LiberoWorld(task.suite, task.name, trained.cameras, state=state)
    world.reset(0)
    starts = world.starts()

    def begin(seed: int) -> None:
        if not 0 <= seed < len(starts):
            raise InputError(
                f"LIBERO records {len(starts)} starts of a task, which are the seeds 0 to {len(starts) - 1}: "
                f"there is no start {seed}."
            )
        world.reset_to(starts[seed])
        for _ in range(SETTLE):
            world.act(np.zeros(7, np.float32))

    return Bench(_seen(world, columns), begin, world.success, None, world.language, "")


def _metaworld(task: SuiteTask, trained: Trained) -> Bench:
    from sim.experts.metaworld import task_text
    from sim.metaworld import STATES, MetaWorld

    state, columns = _features(task.suite, STATES, trained)
    world = MetaWorld(task.name, trained.cameras, state)
    seen, text = _seen(world, columns), task_text(task.name)
    return Bench(seen, world.reset, world.success, None, text, task.name, world.expert)


def _robosuite(task: SuiteTask, trained: Trained) -> Bench:
    from sim.experts.robosuite import EXPERTS, EpisodeExpert
    from sim.robosuite_world import RobosuiteWorld, states_of, task_text

    state, columns = _features(f"{task.suite}:{task.name}", states_of(task.name), trained)
    world = RobosuiteWorld(task.name, trained.cameras, state=state)
    seen, text = _seen(world, columns), task_text(task.name)
    if task.name not in EXPERTS:
        return Bench(seen, world.reset, world.success, None, text, task.name)
    expert = EpisodeExpert(world)
    return Bench(seen, expert.begin, world.success, None, text, task.name, expert)


def _pusht(trained: Trained) -> Bench:
    from sim.pusht import STATES, PushT

    state, columns = _features("pusht", STATES, trained)
    world = PushT(state, trained.cameras)
    return Bench(_seen(world, columns), world.reset, lambda: world.done, lambda: world.score, "", "")


def _seen(world: World, columns: Sequence[int]) -> World:
    return world if len(columns) == len(world.spec.state_names) else SomeFeatures(world, columns)


def _features(suite: str, states: dict[str, tuple[str, ...]], trained: Trained) -> tuple[str, list[int]]:
    """Which of a simulator's states the policy was trained on, and which of its features.

    Raises:
        InputError: none has as many.
    """
    for kind, names in states.items():
        patterns = trained.state or ("*",)
        columns = [i for pattern in patterns for i, name in enumerate(names) if _named(name, pattern)]
        if len(columns) == trained.state_size:
            return kind, columns
    offered = ", ".join(f"{len(names)} ({kind})" for kind, names in states.items())
    chosen = "" if trained.state is None else f" chosen by {', '.join(trained.state)}"
    raise InputError(
        f"The policy sees {trained.state_size} numbers as its state{chosen}; {suite} offers {offered}."
    )


def _named(feature: str, pattern: str) -> bool:
    """Whether a recipe's pattern means a feature: "keypoint", an array, holds "keypoint0.x" and on."""
    return fnmatchcase(feature, pattern) or fnmatchcase(feature, f"{pattern}[0-9]*")
