"""The scripted experts in the place of trained policies, so that a run can succeed before any training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_skills.execution import ChunkSource, Pending
from robot_skills.policies.policy import Chunk, PolicyInput
from robot_skills.skill import Skill
from sim.experts.expert import Expert, expert_for
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld


class ExpertChunks:
    """Answers with the expert's one action for the state that the world is in."""

    cameras, history, execute = ("front", "wrist"), 1, 1

    def __init__(self, world: TabletopWorld, skill: Skill) -> None:
        self._world, self._skill = world, skill
        self._expert: Expert | None = None

    def request(self, given: PolicyInput) -> Pending:
        state = self._world.state()
        if self._expert is None:  # the call that this text was made from
            scene = scene_graph(state)
            calls = (call for call in self._skill.groundings(scene) if not self._skill.unmet(call, scene))
            self._expert = expert_for(next(c for c in calls if self._skill.language(c) == given.text))
        action, over = self._expert.act(state)
        return Answer(Chunk(action[None].astype(np.float32), np.array([float(over)], np.float32)))


class Answer:
    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk

    def result(self, timeout: float | None = None) -> Chunk:
        return self._chunk


def expert_sources(world: TabletopWorld, skill: Callable[[str], Skill]) -> Callable[[str], ChunkSource]:
    """What `run` asks for the policy of a skill."""
    return lambda name: ExpertChunks(world, skill(name))
