"""Rollouts in several worlds at once: what each is told, what each plays, where each stops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_skills.policies.policy import Chunk, PolicyInput
from robot_skills.robot import Float, Observation, RobotSpec
from robot_skills.training.rollout import rollout


class Counter:
    """A world whose state is how often it acted, and what it was last told."""

    def __init__(self, goal: int) -> None:
        self.goal, self.told = goal, [0.0]

    spec = RobotSpec("counter", {"front": (2, 2)}, 10.0, ("steps", "last"))

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        images = {
            name: np.zeros((2, 2, 3), np.uint8)
            for name in (self.spec.cameras if cameras is None else cameras)
        }
        return Observation(images, np.array([len(self.told) - 1, self.told[-1]], np.float32), 0.0)

    def act(self, action: Float) -> None:
        self.told.append(float(action[0]))

    def stop(self) -> None:
        pass


class Adder:
    """Asks for the number of steps so far plus 1, 2, 3, ..., and remembers what it was given."""

    cameras, history, chunk, execute = ("front",), 3, 4, 2

    def __init__(self) -> None:
        self.given: list[list[PolicyInput]] = []

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        self.given.append(list(inputs))
        steps = [item.observation.state[0] for item in inputs]
        return [Chunk((step + 1 + np.arange(4.0))[:, None].astype(np.float32), np.zeros(4)) for step in steps]


def test_worlds_end_by_themselves_and_see_their_own_past() -> None:
    worlds, policy = [Counter(3), Counter(7), Counter(100)], Adder()
    rollout(policy, worlds, lambda number: len(worlds[number].told) > worlds[number].goal, 9, "count")  # type: ignore[arg-type]
    assert [len(world.told) - 1 for world in worlds] == [3, 7, 9]
    for world in worlds:
        assert world.told == list(range(len(world.told)))
    assert [len(inputs) for inputs in policy.given] == [3, 3, 2, 2, 1]
    last = policy.given[-1][0]
    assert last.history[:, 0].tolist() == [6, 7, 8]
    assert policy.given[0][0].history[:, 0].tolist() == [0, 0, 0]
    assert {item.text for inputs in policy.given for item in inputs} == {"count"}
    assert set(last.observation.images) == {"front"}


def test_more_of_a_chunk_may_be_played() -> None:
    worlds, policy = [Counter(100)], Adder()
    rollout(policy, worlds, lambda _: False, 10, execute=4)  # type: ignore[arg-type]
    assert len(policy.given) == 3
    assert len(worlds[0].told) - 1 == 10
