"""One demonstration: an expert with noise on what is executed and clean labels on what is stored.

The noise (as in DART, Laskey et al. 2017) takes the arm where a policy's own errors would, and the clean
label says what to do there.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.library import SkillLibrary
from robot_skills.robot import Float, Image
from robot_skills.skill import Skill, SkillCall
from sim.experts.expert import expert_for
from sim.tabletop.oracle import scene_graph
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


def demonstrate(world: TabletopWorld, skill: str, seed: int, noise: float) -> Demonstration:
    """Run the expert of a skill once; the seed fixes the episode and the noise.

    Args:
        world: any; it is reset.
        skill: its name.
        seed: of the episode.
        noise: standard deviation of the Gaussian added to the executed translation, in units of an action.
    """
    task = sample_task(skill, seed)
    task.start(world)
    rng = np.random.default_rng([seed, 77])
    expert = expert_for(task.call)
    frames: list[dict[str, Any]] = []
    over, scale = 0, noise * rng.uniform(0.3, 1.0)
    while over < HOLD and len(frames) < LIMIT:
        state = world.state()
        action, ended = expert.act(state)
        over = over + 1 if ended or over else 0
        seen = world.observe()
        frames.append(
            {
                **seen.images,
                "state": seen.state,
                "action": action,
                "end": float(over > 0),
                "aim": expert.target(state),
            }
        )
        executed = action.copy()
        if over == 0:
            executed[:3] += rng.normal(0.0, scale * nearness(state.tool - frames[-1]["aim"]), 3)
            if skill == "pick" and noise > 0 and state.gripped and rng.random() < SLIP:
                executed[6] = -1.0
        world.act(np.clip(executed, -1.0, 1.0))
    return _demonstration(world, task, frames, over > 0)


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
