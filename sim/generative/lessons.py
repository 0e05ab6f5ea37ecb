"""Lessons: the skill calls of demonstrations of generated tasks, each an episode of its own.

A policy of several skills learns from calls, not from tasks: a lesson has the call, its language argument, an
end, and where its argument is, as the demonstrations that `collect` makes. What is executed is noisy, what is
stored is what the expert would have done, so that recoveries are in the data. Attempts in which a step had to
be done again, or that failed, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.robot import Float
from robot_skills.skill import Skill, SkillCall
from sim.experts.demonstration import HOLD, nearness
from sim.experts.expert import Expert, expert_for
from sim.generative.solvers import Controller
from sim.generative.task import Task
from sim.generative.trial import attempt
from sim.tabletop.world import TabletopWorld

#: Standard deviation of the noise on executed translations, in units of an action; as in the recipes that
#: come along.
NOISE = 0.25


def lessons(
    world: TabletopWorld, task: Task, episode: int, skills: Mapping[str, Skill], noise: float = NOISE
) -> list[Episode]:
    """The lessons of one attempt, in order; none when a step failed, or the end does not last.

    Args:
        world: with cameras; it is reset.
        task: what is demonstrated.
        episode: of the task; it fixes the scene, and the noise.
        skills: the cards.
        noise: on what is executed.
    """
    teacher = _Teacher(world, noise, np.random.default_rng([task.seed, episode, 77]))
    trial = attempt(world, task, episode, skills, teacher)
    if not (trial.success and trial.held and len(trial.solved_by) == len(trial.segments)):
        return []
    shown = list(zip(trial.calls, teacher.frames, strict=True))
    made = []
    for number, (call, frames) in enumerate(shown):
        about = {"task": task.name, "family": task.goal.family, "step": number, "of": len(shown)}
        made.append(_episode(world, frames, call, skills[call.skill], trial.scene.to_json(), episode, about))
    return made


class _Teacher:
    """The scripted experts as a solver, with noise; keeps what was seen, and what should have been done."""

    def __init__(self, world: TabletopWorld, noise: float, rng: np.random.Generator) -> None:
        self._world, self._rng = world, rng
        self._scale = noise * rng.uniform(0.3, 1.0)
        self.frames: list[list[dict[str, Any]]] = []

    def controller(self, call: SkillCall, failures: int = 0) -> tuple[str, Controller]:
        """See `sim.generative.solvers.Solver`."""
        self.frames.append([])
        return "scripted", _Noisy(expert_for(call), self._scale, self._rng, self.frames[-1])


class _Noisy:
    def __init__(
        self, expert: Expert, scale: float, rng: np.random.Generator, frames: list[dict[str, Any]]
    ) -> None:
        self._expert, self._scale, self._rng, self._frames = expert, scale, rng, frames

    def act(self, world: TabletopWorld) -> tuple[Float, bool]:
        """See `sim.generative.solvers.Controller`."""
        state = world.state()
        action, over = self._expert.act(state)
        seen, aim = world.observe(), self._expert.target(state)
        self._frames.append(
            {**seen.images, "state": seen.state, "action": action, "end": float(over), "aim": aim}
        )
        executed = action.copy()
        if not over:
            executed[:3] += self._rng.normal(0.0, self._scale * nearness(state.tool - aim), 3)
        return np.clip(executed, -1.0, 1.0).astype(np.float32), over


def _episode(
    world: TabletopWorld, frames: Sequence[dict[str, Any]], call: SkillCall, skill: Skill,
    scene: Mapping[str, Any], episode: int, about: Mapping[str, Any],
) -> Episode:  # fmt: skip
    """A call's frames as an episode. Its last frame stands as often as others record their end."""
    rows = [*frames, *[frames[-1]] * (HOLD - 1)]
    stack = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return Episode(
        images={name: stack[name] for name in world.spec.cameras},
        state=stack["state"],
        action=stack["action"].astype(np.float32),
        end=stack["end"].astype(np.float32),
        target=stack["aim"].astype(np.float32),
        text=skill.language(call),
        call=call,
        scene=dict(scene),
        seed=episode,
        expert="scripted/generated",
        attributes=dict(about),
    )
