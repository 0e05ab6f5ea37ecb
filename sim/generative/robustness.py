"""Where a skill fails: a search over how its scenes may differ, within bounds that a real table would allow.

The search is the cross-entropy method (Rubinstein 1999) on success itself: perturbations are drawn, each is
tried on the same episodes, and the distribution moves to those under which least succeeded, the smaller of
equally bad ones preferred. What nobody can do teaches nothing: an episode that the scripted expert fails at
as well counts as one that the skill can do. What is found is then measured on episodes that the search has
not seen, beside the plain scenes.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from robot_skills.data.files import write_text
from robot_skills.errors import InputError
from robot_skills.execution import LocalChunks, execute
from robot_skills.library import SkillLibrary
from robot_skills.robot import Float, Observation, RobotSpec
from robot_skills.training.configuration import to_mapping
from robot_skills.training.statistics import wilson_interval
from sim.experts.demonstration import demonstrate_task
from sim.generative.placement import PLAIN_TABLE
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import (
    CAMERAS,
    CLEARANCE,
    COLOURS,
    GRASPABLE,
    TEXTURES,
    ObjectSpec,
    Scene,
    Variation,
    Vector,
    draw_position,
)
from sim.tabletop.tasks import Task, sample_task
from sim.tabletop.world import LIGHT, TabletopWorld

Array = NDArray[np.float64]
#: What tries a perturbation on an episode: whether it succeeded.
Attempt = Callable[["Perturbation", int], bool]


@dataclass(frozen=True)
class Perturbation:
    """How a scene differs from the plain one; the defaults are the plain one.

    Attributes:
        friction: factor on the friction of the loose objects and the table.
        mass: factor on the loose objects' mass.
        brightness: factor on how bright everything is.
        light: added to the direction of the light, (3,) m.
        camera: added to where the front camera stands, (3,) m.
        table: added to the grey of the table as policies see it.
        texture: of the table.
        latency: control steps by which every action comes late.
        distractors: things more on the table.
    """

    friction: float = 1.0
    mass: float = 1.0
    brightness: float = 1.0
    light: Vector = (0.0, 0.0, 0.0)
    camera: Vector = (0.0, 0.0, 0.0)
    table: float = 0.0
    texture: str = "plain"
    latency: int = 0
    distractors: int = 0


@dataclass(frozen=True)
class Limits:
    """How far a perturbation may go: what differs between tables in one building, not between planets.

    Attributes:
        friction: lowest and highest factor.
        mass: lowest and highest factor.
        brightness: lowest and highest factor.
        light: most that each coordinate of the light's direction is off, m.
        camera: most that each coordinate of the camera is off, m.
        table: most that the table's grey is off.
        latency: most control steps.
        distractors: most.
    """

    friction: tuple[float, float] = (0.5, 1.3)
    mass: tuple[float, float] = (0.5, 2.0)
    brightness: tuple[float, float] = (0.6, 1.2)
    light: float = 0.5
    camera: float = 0.03
    table: float = 0.25
    latency: int = 2
    distractors: int = 2

    def perturbation(self, point: Array) -> Perturbation:
        """The perturbation at a point of the unit cube, (13,); its middle is the plain scene.

        Factors are spaced by their logarithms; what counts in whole numbers grows from the middle outwards.
        """
        centred = 2.0 * np.clip(point, 0.0, 1.0) - 1.0
        friction, mass, brightness = (
            _factor(value, limits)
            for value, limits in zip(centred[:3], (self.friction, self.mass, self.brightness), strict=True)
        )
        return Perturbation(
            friction, mass, brightness,
            _vector(self.light * centred[3:6]), _vector(self.camera * centred[6:9]),
            float(self.table * centred[9]), TEXTURES[_count(centred[10], len(TEXTURES) - 1)],
            _count(centred[11], self.latency), _count(centred[12], self.distractors),
        )  # fmt: skip


#: Numbers that make a perturbation.
DIMENSIONS = 13


@dataclass(frozen=True)
class Search:
    """How long, and how wide.

    Attributes:
        generations: times that the distribution is moved.
        population: perturbations in each.
        elite: share of them that the distribution moves to.
        episodes: on which each perturbation is tried, the same for all.
        fresh: episodes on which what was found is measured, beside the plain scenes.
        first: episode of the search; those that measure come after.
        effort: how much success a perturbation at the edge of all bounds must cost to be preferred.
        seed: of the draws.
    """

    generations: int = 7
    population: int = 18
    elite: float = 0.25
    episodes: int = 6
    fresh: int = 50
    first: int = 930_000
    effort: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """The worst perturbation, and what it does on fresh episodes.

    Attributes:
        perturbation: within the limits.
        perturbed: successes under it.
        plain: successes of the same episodes without it.
        able: successes of the scripted expert under it.
        trials: fresh episodes.
        failures: fresh episodes that failed under it, and succeed without it, and for the expert.
        history: (lowest success, mean success) of each generation, on the episodes of the search.
    """

    perturbation: Perturbation
    perturbed: int
    plain: int
    able: int
    trials: int
    failures: tuple[int, ...]
    history: tuple[tuple[float, float], ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            "perturbation": to_mapping(self.perturbation),
            "trials": self.trials,
            "plain": self.plain,
            "plain_interval": list(wilson_interval(self.plain, self.trials)),
            "perturbed": self.perturbed,
            "perturbed_interval": list(wilson_interval(self.perturbed, self.trials)),
            "expert": self.able,
            "failures": list(self.failures),
            "history": [list(row) for row in self.history],
        }


def search(attempt: Attempt, expert: Attempt, limits: Limits, settings: Search) -> Found:
    """Look for the perturbation under which least succeeds of what can be done; measure it on fresh episodes.

    Args:
        attempt: tries the skill.
        expert: shows whether it can be done.
        limits: of a perturbation.
        settings: of the search.
    """
    rng = np.random.default_rng(settings.seed)
    mean, spread = np.full(DIMENSIONS, 0.5), np.full(DIMENSIONS, 0.35)
    seen = range(settings.first, settings.first + settings.episodes)
    best, least, history = mean, np.inf, []

    def rate(change: Perturbation) -> float:
        """Share of the episodes that are not a failure of the skill's own."""
        return float(np.mean([attempt(change, episode) or not expert(change, episode) for episode in seen]))

    for _ in range(settings.generations):
        points = np.clip(rng.normal(mean, spread, (settings.population, DIMENSIONS)), 0.0, 1.0)
        rates = np.array([rate(limits.perturbation(point)) for point in points])
        scores = rates + settings.effort * np.abs(2.0 * points - 1.0).mean(axis=1)
        order = np.argsort(scores, kind="stable")
        if scores[order[0]] < least:
            best, least = points[order[0]], float(scores[order[0]])
        elite = points[order[: max(2, round(settings.elite * settings.population))]]
        mean, spread = elite.mean(axis=0), 0.5 * spread + 0.5 * elite.std(axis=0)
        history.append((float(rates.min()), float(rates.mean())))
    return _measured(attempt, expert, limits.perturbation(best), settings, tuple(history))


def _measured(
    attempt: Attempt,
    expert: Attempt,
    found: Perturbation,
    settings: Search,
    history: tuple[tuple[float, float], ...],
) -> Found:
    start = settings.first + settings.episodes
    fresh = range(start, start + settings.fresh)
    plain = [attempt(Perturbation(), episode) for episode in fresh]
    perturbed = [attempt(found, episode) for episode in fresh]
    able = [expert(found, episode) for episode in fresh]
    outcomes = zip(fresh, plain, perturbed, able, strict=True)
    failures = tuple(e for e, was, now, can in outcomes if was and can and not now)
    return Found(found, sum(perturbed), sum(plain), sum(able), len(fresh), failures, history)


def perturbed_task(task: Task, change: Perturbation) -> Task:
    """The episode of a skill with its scene changed; the seed still fixes it."""
    variation = Variation(
        change.mass, change.friction, _sum(LIGHT, change.light), change.brightness,
        _sum(PLAIN_TABLE, (change.table,) * 3), change.texture,
    )  # fmt: skip
    front = CAMERAS["front"]
    cameras = {**CAMERAS, "front": dataclasses.replace(front, eye=_sum(front.eye, change.camera))}
    scene = task.scene
    if change != Perturbation():
        scene = scene.with_(variation=variation, cameras=cameras)
    rng = np.random.default_rng([task.seed, 31])
    for _ in range(change.distractors):
        scene = _with_one_more(scene, rng)
    return dataclasses.replace(task, scene=scene)


class Late:
    """A robot whose actions come some control steps late."""

    def __init__(self, world: TabletopWorld, steps: int) -> None:
        self._world = world
        self._still = world.arm.still()
        self._queue = deque([self._still] * steps)

    @property
    def spec(self) -> RobotSpec:
        """That of the robot."""
        return self._world.spec

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """What the robot senses now."""
        return self._world.observe(cameras)

    def act(self, action: Float) -> None:
        """Carry out what was asked for some steps ago."""
        self._queue.append(action)
        self._world.act(self._queue.popleft())

    def stop(self) -> None:
        """At once: what is under way is not carried out."""
        self._queue = deque([self._still] * len(self._queue))
        self._world.stop()


class SkillAttempt:
    """Tries a shipped skill on perturbed episodes.

    Args:
        library: where the skill lies.
        skill: its name.

    Raises:
        InputError: there is no such skill, or it is not trained.
    """

    def __init__(self, library: SkillLibrary, skill: str) -> None:
        self._skill, policy = library.skill(skill), library.policy(skill)
        self._chunks = LocalChunks(policy)
        self._world = TabletopWorld({camera: (64, 64) for camera in policy.cameras})
        self._known: dict[tuple[Perturbation, int], bool] = {}

    def __call__(self, change: Perturbation, episode: int) -> bool:
        """Whether the goal holds at the end."""
        if (change, episode) not in self._known:
            self._known[change, episode] = self._play(change, episode)
        return self._known[change, episode]

    def _play(self, change: Perturbation, episode: int) -> bool:
        task = perturbed_task(sample_task(self._skill.name, episode), change)
        task.start(self._world)
        goal = self._skill.goal(task.call)
        execute(Late(self._world, change.latency), self._skill, task.call, self._chunks)
        return scene_graph(self._world.state()).holds(goal)


class ExpertAttempt:
    """Tries the scripted expert, which reads simulator state, on the perturbed episodes of a skill."""

    def __init__(self, skill: str) -> None:
        self._skill, self._world = skill, TabletopWorld({})

    def __call__(self, change: Perturbation, episode: int) -> bool:
        """Whether the goal holds at the end."""
        task = perturbed_task(sample_task(self._skill, episode), change)
        late = functools.partial(Late, steps=change.latency)
        return demonstrate_task(self._world, task, noise=0.0, through=late).success


def export(found: Found, skill: str, folder: Path) -> Path:
    """Write the failures as scenes: to be evaluated on, and to be trained on. Returns the file.

    Raises:
        InputError: the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    scenes = []
    for episode in found.failures:
        task = perturbed_task(sample_task(skill, episode), found.perturbation)
        scenes.append(
            {"seed": episode, "call": str(task.call), "held": task.held, "scene": task.scene.to_json()}
        )
    data = {"skill": skill, **found.to_json(), "scenes": scenes}
    path = folder / f"{skill}.yaml"
    write_text(path, yaml.safe_dump(data, sort_keys=False))
    return path


def _with_one_more(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with another small thing of a colour that nothing to grasp has, clear of all; or as it is."""
    taken = {item.colour for item in scene.objects if item.kind in GRASPABLE}
    free = [colour for colour in COLOURS if colour not in taken]
    if not free:
        return scene
    item = ObjectSpec(str(rng.choice(GRASPABLE)), str(rng.choice(free)), "small", (0.0, 0.0, 0.0))
    for _ in range(60):
        x, y = draw_position(rng, item.radius)
        others = [(*other.position[:2], other.radius) for other in scene.objects]
        others.append((*scene.button, 0.052))
        if all(np.hypot(x - a, y - b) > r + item.radius + CLEARANCE for a, b, r in others):
            placed = dataclasses.replace(item, position=(x, y, item.height / 2))
            return scene.with_(objects=(*scene.objects, placed))
    return scene


def _factor(value: float, limits: tuple[float, float]) -> float:
    """1 in the middle, the limits at -1 and 1."""
    return float(limits[1] ** value if value > 0 else limits[0] ** -value)


def _count(value: float, most: int) -> int:
    return int(np.floor(abs(value) * (most + 1) * 0.999))


def _vector(values: Array) -> Vector:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def _sum(one: Vector, other: Vector) -> Vector:
    x, y, z = (float(a + b) for a, b in zip(one, other, strict=True))
    return (x, y, z)
