"""Refined roll-outs as demonstrations: what the correction learned, for one network to learn again.

A refined skill is two networks, one of which looks at every step. Its successful episodes, recorded with the
images that the base would have been given at every step, join the demonstrations that the base learned from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_skills.data.collection import Attempt
from robot_skills.data.episode import Episode
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.policies.registry import load_policy
from robot_skills.residual.arena import Arena, ArenaFactory, Player
from robot_skills.residual.control import Controller, Seen
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.robot import Float, Observation
from robot_skills.skill import SkillCall
from robot_skills.training.evaluation import EpisodeResult
from robot_skills.training.export import SUMMARY
from robot_skills.training.recipe import FIRST_VALIDATION_SEED, TrainRecipe

#: Who demonstrated, in the store's cards.
EXPERT = "refined policy"


class Watch:
    """Remembers what the robot senses at each step, with every camera, beside what a controller does."""

    def __init__(self, inner: Controller, arena: Arena, cameras: Sequence[str]) -> None:
        self._inner, self._arena, self._cameras = inner, arena, cameras
        self.rows: list[tuple[Observation, Float, float]] = []

    def __call__(self, seen: Seen) -> Float:
        """The inner controller's action."""
        observation = self._arena.observe(self._cameras)
        action = self._inner(seen)
        self.rows.append((observation, action, float(seen.inputs[-1] > 0.5)))
        return action


@dataclass(frozen=True)
class Distiller:
    """Makes, in its process, the function that plays a seed and gives its episode, if it succeeded.

    Attributes:
        folder: of the refined policy.
        arena: makes the world.
    """

    folder: str
    arena: ArenaFactory

    def __call__(self) -> Callable[[int], Attempt]:
        """Load the policy and build the world."""
        torch.set_num_threads(1)
        policy, arena = load_refined(Path(self.folder)), self.arena()
        player = Player(policy, arena)

        def attempt(seed: int) -> Attempt:
            watch = Watch(policy.correct(), arena, policy.cameras)
            result = player.evaluate(watch, seed)
            if not result.success:
                return Attempt(seed, None, result.reason or result.status)
            return Attempt(seed, to_episode(watch, arena, result))

        return attempt


def load_refined(folder: Path) -> ResidualPolicy:
    """The refined policy in a folder.

    Raises:
        InputError: it holds another policy.
    """
    policy = load_policy(folder)
    if not isinstance(policy, ResidualPolicy):
        raise InputError(f"{folder} holds no refined policy: robot-skills refine makes one.")
    return policy


def to_episode(watch: Watch, arena: Arena, result: EpisodeResult) -> Episode:
    """What was watched, as a demonstration; over where the base said so, and at the last step."""
    seen, actions, ends = zip(*watch.rows, strict=True)
    end = np.array(ends, np.float32)
    end[-1] = 1.0
    return Episode(
        images={name: np.stack([one.images[name] for one in seen]) for name in seen[0].images},
        state=np.stack([one.state for one in seen]).astype(np.float32),
        action=np.stack(actions),
        end=end,
        target=np.full((len(seen), 3), np.nan, np.float32),
        text=arena.language(result),
        call=SkillCall.parse(result.call) if result.call else None,
        seed=result.seed,
        expert=EXPERT,
    )


def open_store(folder: Path, policy: ResidualPolicy, arena: Arena, info: dict[str, Any]) -> EpisodeStore:
    """The store of a distillation, new or to be gone on with."""
    if (folder / "meta.json").exists():
        return EpisodeStore.open(folder, append=True)
    spec = arena.spec
    cameras = {name: spec.cameras[name] for name in policy.cameras}
    return EpisodeStore.create(folder, cameras, spec.control_rate, spec.state_names, info, spec.action)


def check_seeds(first: int, count: int) -> None:
    """Check that the seeds of a distillation are for training.

    Raises:
        InputError: they are not.
    """
    if not 0 <= first <= first + count <= FIRST_VALIDATION_SEED:
        raise InputError(
            f"What is learned from comes from seeds below {FIRST_VALIDATION_SEED}, not from {first} to "
            f"{first + count - 1}."
        )


def recipe(folder: Path, store: Path, steps: int) -> dict[str, Any]:
    """How one network learns from the base's demonstrations and a store of refined roll-outs.

    Args:
        folder: of the refined policy; it names its base, whose training is taken over.
        store: of the roll-outs.
        steps: of the last phase; the others are passed over, and the weights begin as the base's.

    Raises:
        InputError: the base's training is not known.
    """
    path = folder / SUMMARY
    base = Path(json.loads(path.read_text()).get("base", "")) if path.is_file() else Path()
    if not (base / SUMMARY).is_file():
        raise InputError(
            f"{folder} does not know how its base was trained: write a training recipe with the data sets of "
            f"the base and {store}."
        )
    known: dict[str, Any] = json.loads((base / SUMMARY).read_text())["recipe"]
    phases = [stage.name for stage in load_policy(base).stages()]
    stages = {name: {**known.get("stages", {}).get(name, {}), "steps": 0} for name in phases}
    stages[phases[-1]]["steps"] = steps
    made = {**known, "name": f"{known['name']}_distilled", "start_from": str(base), "stages": stages}
    made["data"] = [*known["data"], str(store)]
    made["evaluate"] = None
    fields = TrainRecipe.__dataclass_fields__
    return {name: value for name, value in made.items() if name in fields}
