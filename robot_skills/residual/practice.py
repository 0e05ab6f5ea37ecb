"""What a process that practises does: it plays the episodes that it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from robot_skills.policies.registry import load_policy
from robot_skills.residual.arena import ArenaFactory, Order, Player, follow_base
from robot_skills.residual.config import ResidualConfig
from robot_skills.residual.learner import Snapshot
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import Trajectory
from robot_skills.robot import ActionSpace
from robot_skills.training.evaluation import EpisodeResult


@dataclass(frozen=True)
class Look:
    """An episode of an evaluation, to be played.

    Attributes:
        snapshot: what plays; None: the base as it is.
    """

    seed: int
    snapshot: Snapshot | None


Asked: TypeAlias = "Order | Look"
Answer: TypeAlias = "Trajectory | EpisodeResult"


@dataclass(frozen=True)
class Practice:
    """Makes, in its process, the function that plays what is asked for.

    Attributes:
        folder: of the trained base.
        config: what is added to it.
        arena: makes the world.
    """

    folder: str
    config: ResidualConfig
    arena: ArenaFactory

    def __call__(self) -> Callable[[Asked], Answer]:
        """Load the policy and build the world."""
        # One thread everywhere: sums in another order would be other numbers in another process.
        torch.set_num_threads(1)
        arena = self.arena()
        player = Player(self.policy(arena.spec.action), arena)

        def play(asked: Asked) -> Answer:
            if isinstance(asked, Order):
                return player.practise(asked)
            if asked.snapshot is None:
                return player.evaluate(follow_base, asked.seed)
            asked.snapshot.prepare(player.policy)
            return player.evaluate(asked.snapshot.controller(None), asked.seed)

        return play

    def policy(self, space: ActionSpace) -> ResidualPolicy:
        """The base with a fresh correction, for a robot's actions."""
        policy = ResidualPolicy(self.config, load_policy(Path(self.folder)))
        policy.take_space(space)
        return policy.eval()
