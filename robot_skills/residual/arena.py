"""Where a skill practises: an episode of a seed, played as evaluations play it, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from robot_skills.errors import JobError
from robot_skills.policies.policy import Policy
from robot_skills.residual.control import Controller, Record, Seen
from robot_skills.residual.learner import Snapshot
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import BASE, POLICY, Trajectory
from robot_skills.robot import Float, Observation, RobotSpec
from robot_skills.skill import Status
from robot_skills.training.evaluation import EpisodeResult

#: How an episode ends that the policy itself, or success, brought to its end.
ENDED = (Status.SUCCEEDED.value, Status.FAILED.value)


class Arena(Protocol):
    """A simulator, or a real arm with somebody beside it, in which a policy plays episodes."""

    @property
    def spec(self) -> RobotSpec:
        """Cameras, features and actions of the robot."""

    @property
    def lead(self) -> int:
        """Control steps between asking for a chunk and its taking over, as `ExecutionConfig.lead`."""

    def play(self, policy: Policy, seed: int) -> EpisodeResult:
        """One episode, from the start that a seed fixes."""

    def observe(self, cameras: Sequence[str]) -> Observation:
        """What the robot senses now, with the images of these cameras."""

    def language(self, result: EpisodeResult) -> str:
        """The language argument of an episode that was played."""

    def expert(self) -> Float:
        """What an expert that reads the simulator's state would do now, (A,).

        Raises:
            InputError: there is none.
        """


#: Makes an arena in its process; picklable.
ArenaFactory: TypeAlias = Callable[[], Arena]
#: Puts something between what practises and the robot: an expert who takes over, say.
Wrapper: TypeAlias = Callable[[Controller, Arena, np.random.Generator], Controller]


@dataclass(frozen=True)
class Order:
    """An episode to practise.

    Attributes:
        number: of the episode, from 0.
        seed: of its scene.
        noise_seed: of what is drawn by chance in it.
        snapshot: what practises.
        explore: whether it explores.
    """

    number: int
    seed: int
    noise_seed: tuple[int, ...]
    snapshot: Snapshot
    explore: bool


class Player:
    """Plays episodes in one arena and keeps what was seen and done.

    Args:
        policy: the base, with a correction that each order replaces.
        arena: where.
    """

    def __init__(self, policy: ResidualPolicy, arena: Arena) -> None:
        self.policy, self.arena = policy, arena

    def practise(self, order: Order) -> Trajectory:
        """Play an episode with what an order asks for."""
        order.snapshot.prepare(self.policy)
        rng = np.random.default_rng(order.noise_seed)
        controller = order.snapshot.controller(rng if order.explore else None)
        return self.keep(controller, order.seed)

    def keep(self, controller: Controller, seed: int) -> Trajectory:
        """Play an episode with a controller; what it did goes into a trajectory.

        Raises:
            JobError: the episode broke off.
        """
        record = Record(controller)
        result = self._play(record, seed)
        if not record.rows:
            raise JobError(f"The episode of seed {seed} has no step: {result.reason}")
        inputs, base, action = (np.stack(column) for column in zip(*record.rows, strict=True))
        kind = np.where((base == action).all(1), BASE, POLICY).astype(np.uint8)
        tags = getattr(controller, "tags", None)
        return Trajectory(
            inputs, base, action,
            tags=kind if tags is None else np.where(np.array(tags) == POLICY, kind, tags).astype(np.uint8),
            success=result.success,
            over=result.success or result.status in ENDED,
            seed=seed,
        )  # fmt: skip

    def evaluate(self, controller: Controller, seed: int) -> EpisodeResult:
        """Play an episode, and tell only how it went."""
        return self._play(controller, seed)

    def _play(self, controller: Controller, seed: int) -> EpisodeResult:
        self.policy.controller = controller
        try:
            result = self.arena.play(self.policy, seed)
        finally:
            self.policy.controller = None
        if result.status == Status.ABORTED.value:
            raise JobError(f"The episode of seed {seed} was aborted: {result.reason}")
        return result


def follow_base(seen: Seen) -> Float:
    """The controller that leaves the base as it is."""
    return seen.base
