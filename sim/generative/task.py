"""A task as it is stored: goal, words, scenes, parameters, seed, steps, and where it came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from robot_skills.data.files import write_text
from robot_skills.errors import InputError
from robot_skills.skill import SkillCall
from robot_skills.training.configuration import from_mapping, read_yaml, to_mapping
from sim.generative.goal import Goal
from sim.generative.grammar import Proposal
from sim.generative.phrases import instructions
from sim.generative.placement import place
from sim.generative.recipe import SceneRecipe
from sim.tabletop.predicates import Tolerances
from sim.tabletop.scene import Scene

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Provenance:
    """Where a task came from.

    Attributes:
        proposer: "grammar", or the language model by name.
        run_seed: of the generation.
        number: of the proposal in it.
    """

    proposer: str
    run_seed: int
    number: int


@dataclass(frozen=True)
class Step:
    """One skill call of a task's solution, with its labels.

    Attributes:
        call: as text, `pick(object="red block")`.
        text: the language argument that the skill's policy is given.
        needs: the skill's conditions, bound to the call.
        until: the formula that says that the step is done.
    """

    call: str
    text: str
    needs: tuple[str, ...]
    until: str

    @property
    def skill_call(self) -> SkillCall:
        """The call, read from its text."""
        return SkillCall.parse(self.call)


@dataclass(frozen=True)
class Task:
    """A generated task. It is data: everything that checks and solves it is in this package.

    Attributes:
        goal: what is asked for.
        formula: what is to hold at the end, in text; where there is a condition, if it held at first.
        alternative: what is to hold if it did not; empty without a condition.
        instructions: the goal in words, several times.
        recipe: of the scenes.
        tolerances: the predicates' parameters.
        seed: `(seed, episode)` fixes a scene.
        provenance: where it came from.
        steps: how its first scene is solved; empty before that is known.
        format_version: of the file.
    """

    goal: Goal
    formula: str
    alternative: str
    instructions: tuple[str, ...]
    recipe: SceneRecipe
    tolerances: Tolerances
    seed: int
    provenance: Provenance
    steps: tuple[Step, ...] = ()
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        """Check the version.

        Raises:
            InputError: a later release wrote it.
        """
        if self.format_version != FORMAT_VERSION:
            raise InputError(
                f"This task has format version {self.format_version}; this release reads {FORMAT_VERSION}."
            )

    @property
    def name(self) -> str:
        """Family and a short hash of goal, recipe and parameters: the same for the same task."""
        content = [to_mapping(part) for part in (self.goal, self.recipe, self.tolerances)]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.goal.family}-{digest[:10]}"

    @property
    def description(self) -> str:
        """The first instruction."""
        return self.instructions[0]

    def scene(self, episode: int) -> Scene:
        """The scene of an episode.

        Raises:
            PlacementError: the recipe leaves no room for one.
        """
        return place(self.recipe, (self.seed, episode))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        plain: dict[str, Any] = to_mapping(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any], where: str) -> Task:
        """Read plain data.

        Raises:
            InputError: it is not a task; the message begins with `where`.
        """
        return from_mapping(cls, data, where)

    def save(self, folder: Path) -> Path:
        """Write `NAME.yaml` into a folder; returns its path."""
        path = folder / f"{self.name}.yaml"
        write_text(path, yaml.safe_dump(self.to_json(), sort_keys=False, width=100))
        return path

    @classmethod
    def load(cls, path: Path | str) -> Task:
        """Read a task's file.

        Raises:
            InputError: there is none, or it is not a task.
        """
        return cls.from_json(read_yaml(path, "task"), str(path))


def make_task(proposal: Proposal, seed: int, provenance: Provenance) -> Task:
    """The task of a proposal: formula and words follow from the goal."""
    goal = proposal.goal
    alternative = goal.alternative
    return Task(
        goal=goal,
        formula=str(goal.formula),
        alternative="" if alternative is None else str(alternative),
        instructions=instructions(goal, seed),
        recipe=proposal.recipe,
        tolerances=Tolerances(),
        seed=seed,
        provenance=provenance,
    )
