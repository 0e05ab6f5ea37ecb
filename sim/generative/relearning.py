"""Demonstrations under what a search for failures found, to be mixed into a training.

The scenes of the search and of its report belong to validation and stay there: what is shown are other
episodes, with seeds for training, changed in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from robot_skills.data.collection import Attempt
from robot_skills.errors import InputError
from robot_skills.training.configuration import from_mapping, read_yaml
from robot_skills.training.recipe import CollectRecipe
from sim.experts.demonstration import Demonstrator
from sim.generative.robustness import Late, Perturbation, perturbed_task
from sim.tabletop.tasks import sample_task


@dataclass(frozen=True)
class PerturbedRecipe(CollectRecipe):
    """Demonstrations to collect under a perturbation.

    Attributes:
        failures: the file where it was read, as `robot-skills generate --failures` writes it.
        perturbation: how every scene differs from the plain one, and by how much actions come late.
    """

    failures: str = ""
    perturbation: Perturbation = field(default_factory=Perturbation)

    @classmethod
    def read(cls, path: Path | str) -> PerturbedRecipe:
        """Read a YAML file; the perturbation is its own, or that of the file of failures that it names.

        Raises:
            InputError: naming the file and the key that is wrong.
        """
        data = read_yaml(path, "collection recipe")
        if "failures" not in data:
            return from_mapping(cls, data, str(path))
        if "perturbation" in data:
            raise InputError(f"{path} holds both failures and a perturbation: leave one of them out.")
        where = str(data["failures"])
        found = read_yaml(where, "file of failures")
        if not isinstance(found.get("perturbation"), dict):
            raise InputError(f"{where} is no file of failures: robot-skills generate --failures writes one.")
        if found.get("skill") != data.get("skill"):
            raise InputError(
                f"{where} is about the skill {found.get('skill')!r}, {path} about {data.get('skill')!r}."
            )
        return from_mapping(cls, {**data, "perturbation": found["perturbation"]}, str(path))


@dataclass(frozen=True)
class PerturbedDemonstrator:
    """Makes, in its process, a tabletop and the function that tries a seed on it, under the perturbation."""

    recipe: PerturbedRecipe

    def __call__(self) -> Callable[[int], Attempt]:
        """Build the world."""
        from robot_skills.cli.console import silence

        recipe, change = self.recipe, self.recipe.perturbation
        with silence():
            demonstrator = Demonstrator(recipe)
        return lambda seed: demonstrator.attempt(
            perturbed_task(sample_task(recipe.skill, seed), change),
            lambda world: Late(world, change.latency),
        )
