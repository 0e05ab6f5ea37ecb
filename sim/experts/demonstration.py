"""One demonstration: an expert with noise on what is executed and clean labels on what is stored.

The noise (as in DART, Laskey et al. 2017) takes the arm where a policy's own errors would, and the clean
label says what to do there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robot_skills.data.collection import Attempt
from robot_skills.data.episode import Episode
from robot_skills.execution import ChunkPlayer, ExecutionConfig, LocalChunks
from robot_skills.library import SkillLibrary
from robot_skills.policies.policy import Policy
from robot_skills.policies.registry import load_policy
from robot_skills.robot import Float, Image, Observation, Robot
from robot_skills.skill import Skill, SkillCall
from robot_skills.training.recipe import CollectRecipe
from sim.experts.expert import expert_for
from sim.tabletop.oracle import scene_graph
from sim.tabletop.state import State
from sim.tabletop.tasks import Task, sample_task
from sim.tabletop.world import CONTROL_RATE, TabletopWorld

Array = NDArray[np.float64]

#: Steps recorded after the end, so that a policy learns to hold still and to say that it is over.
HOLD = 4
LIMIT = 90
#: Chance that the fingers open for two steps while they hold something: a slip.
SLIP = 0.01


@dataclass
class Demonstration:
    """What was seen and what should have been done, N control steps.

    Attributes:
        images: camera -> (N, H, W, 3) uint8.
        state: (N, 10) float32.
        action: (N, 7) float32, the expert's clean action.
        end: (N,) float32, 1 where the skill is over.
        target: (N, 3) float32, where the skill's argument is (simulator state: a label, never an input).
    """

    images: dict[str, Image]
    state: Float
    action: Float
    end: Float
    target: Float
    text: str
    call: SkillCall
    scene: dict[str, Any]
    seed: int
    expert: str
    success: bool
    reason: str
    extra: dict[str, Any] = field(default_factory=dict)

    def episode(self) -> Episode:
        """What a store keeps of it."""
        return Episode(
            images=self.images,
            state=self.state,
            action=self.action,
            end=self.end,
            target=self.target,
            text=self.text,
            call=self.call,
            scene=self.scene,
            seed=self.seed,
            expert=self.expert,
        )


def demonstrate(
    world: TabletopWorld,
    skill: str,
    seed: int,
    noise: float,
    misled: float = 0.0,
    learner: Policy | None = None,
) -> Demonstration:
    """Run the expert of a skill once; the seed fixes the episode and the noise.

    Args:
        world: any; it is reset.
        skill: its name.
        seed: of the episode.
        noise: standard deviation of the Gaussian added to the executed translation, in units of an action.
        misled: share of the episodes that begin with the expert being wrong about where its target is, by
            1.5 to 5 cm, for a while. It goes there and may close on nothing; the labels are clean all along,
            and so say how to come back. A policy's own errors look like this, not like noise.
        learner: acts first, for some steps, until it would let go in the wrong place, or until it says that
            the skill is over; the labels are the expert's (DAgger, Ross et al. 2011), which then ends the
            episode. Its errors look exactly like a policy's own.
    """
    return demonstrate_task(world, sample_task(skill, seed), noise, misled, learner)


def demonstrate_task(
    world: TabletopWorld,
    task: Task,
    noise: float,
    misled: float = 0.0,
    learner: Policy | None = None,
    through: Callable[[TabletopWorld], Robot] = lambda world: world,
) -> Demonstration:
    """The same of an episode that is given, changed perhaps.

    Args:
        world: any; it is reset.
        task: the episode; its seed fixes the noise.
        noise: as of `demonstrate`.
        misled: as of `demonstrate`.
        learner: as of `demonstrate`.
        through: what actions pass through on their way, made when the episode has begun.
    """
    task.start(world)
    robot, skill = through(world), task.skill
    rng = np.random.default_rng([task.seed, 77])
    expert, wrong = expert_for(task.call), draw_error(np.random.default_rng([task.seed, 78]), misled)
    leads = None if learner is None else _Learner(learner, task)
    frames: list[dict[str, Any]] = []
    over, scale = 0, noise * rng.uniform(0.3, 1.0)
    while over < HOLD and len(frames) < LIMIT:
        state = world.state()
        action, ended = expert.act(state)
        seen, aim = world.observe(), expert.target(state)
        executed = action
        if wrong is not None and len(frames) < wrong.steps:
            executed, believed = expert.act(mistake(state, task.call, wrong.offset))
            dropping = skill == "place" and executed[6] < 0 < action[6]
            if believed or dropping:  # about to let go in the wrong place: from here on it knows better
                wrong, executed = None, action
        else:
            over = over + 1 if ended or over else 0
            if leads is not None and not over:
                tried = leads.act(seen, action)
                executed, leads = (action, None) if tried is None else (tried, leads)
        end = float(over > 0)
        frames.append({**seen.images, "state": seen.state, "action": action, "end": end, "aim": aim})
        executed = executed.copy()
        if over == 0 and leads is None:
            executed[:3] += rng.normal(0.0, scale * nearness(state.tool - aim), 3)
            if skill == "pick" and noise > 0 and state.gripped and rng.random() < SLIP:
                executed[6] = -1.0
        robot.act(np.clip(executed, -1.0, 1.0))
    return _demonstration(world, task, frames, over > 0)


class Demonstrator:
    """A world of a process's own, and whoever acts in it, as a recipe asks for.

    Args:
        recipe: of the collection.

    Attributes:
        world: where it acts.
    """

    def __init__(self, recipe: CollectRecipe) -> None:
        self._recipe = recipe
        self._learner: Policy | None = None
        self.world = TabletopWorld(cameras={camera: recipe.image_size for camera in recipe.cameras})
        if recipe.policy is not None:
            # One thread everywhere: sums in another order would be other numbers in another process.
            torch.set_num_threads(1)
            self._learner = load_policy(Path(recipe.policy))

    def attempt(self, task: Task, through: Callable[[TabletopWorld], Robot] = lambda world: world) -> Attempt:
        """Try a task once; `through` as of `demonstrate_task`."""
        recipe = self._recipe
        shown = demonstrate_task(self.world, task, recipe.noise, recipe.misled, self._learner, through)
        return Attempt(task.seed, shown.episode() if shown.success else None, shown.reason)


class _Learner:
    """A policy at the start of an episode, while somebody looks on who takes over in time.

    Args:
        policy: whose.
        task: the episode; its seed says for how many steps at most.
    """

    def __init__(self, policy: Policy, task: Task) -> None:
        rules = ExecutionConfig()
        text = _skills()[task.skill].language(task.call)
        self._player = ChunkPlayer(LocalChunks(policy), task.skill, text, rules.lead)
        self._places, self._threshold = task.skill == "place", rules.end_threshold
        self._steps = int(np.random.default_rng([task.seed, 79]).integers(3, LIMIT // 2))

    def act(self, seen: Observation, right: Float) -> Float | None:
        """The policy's action; None: from here on the expert acts.

        Args:
            seen: with images.
            right: (7,) what the expert would do, which does not hold the skill to be over.
        """
        _, action, end = self._player.play(lambda cameras: seen)
        drops = self._places and action[6] < 0 < right[6]
        if drops or end > self._threshold or self._player.step > self._steps:
            return None
        return action


@dataclass(frozen=True)
class Error:
    """Where the expert wrongly believes its target to be, and for how many steps."""

    offset: Array
    steps: int


def draw_error(rng: np.random.Generator, share: float) -> Error | None:
    """An error for this share of the episodes."""
    if rng.random() >= share:
        return None
    angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.015, 0.05)
    return Error(size * np.array([np.cos(angle), np.sin(angle), 0.0]), int(rng.integers(5, 23)))


def mistake(state: State, call: SkillCall, offset: Array) -> State:
    """The state as somebody sees it who is wrong about where the argument is."""
    name = call.args["object" if call.skill in ("pick", "push") else "target"]
    if name in state.handles and call.skill != "place":
        return replace(state, handles={**state.handles, name: state.handles[name] + offset})
    if name not in state.bodies:
        return replace(state, tray=state.tray + offset)
    body = replace(state.bodies[name], position=state.bodies[name].position + offset)
    near = float(np.hypot(*(state.tool - body.position)[:2])) < 0.03
    # Fingers that have closed on nothing there: it believes that it holds the thing, and lifts.
    fooled = {name} if call.skill == "pick" and near and state.opening < 0.03 else set()
    return replace(state, bodies={**state.bodies, name: body}, gripped=state.gripped | fooled)


def nearness(offset: Array) -> float:
    """Noise fades from 10 cm away from the target on, as a policy's errors do."""
    return float(np.clip(np.linalg.norm(offset) / 0.10, 0.4, 1.0))


def _demonstration(
    world: TabletopWorld, task: Task, frames: list[dict[str, Any]], ended: bool
) -> Demonstration:
    skill = _skills()[task.skill]
    graph = scene_graph(world.state())
    reached = graph.holds(skill.goal(task.call))
    reason = "" if ended and reached else ("goal not reached" if ended else f"not over after {LIMIT} steps")
    stack = {key: np.stack([frame[key] for frame in frames]) for key in frames[0]}
    return Demonstration(
        images={name: stack[name] for name in world.spec.cameras},
        state=stack["state"],
        action=stack["action"],
        end=stack["end"].astype(np.float32),
        target=stack["aim"].astype(np.float32),
        text=skill.language(task.call),
        call=task.call,
        scene=task.scene.to_json(),
        seed=task.seed,
        expert=f"scripted/{task.skill}",
        success=ended and reached,
        reason=reason,
        extra={"seconds": len(frames) / CONTROL_RATE},
    )


@functools.cache
def _skills() -> Mapping[str, Skill]:
    """The packaged cards: they say when a skill has succeeded, and how it is put into words."""
    return SkillLibrary.open().skills
