"""`robot-skills train`: train a policy from a data set."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, make_console, silence, write_json
from robot_skills.errors import InputError, require
from robot_skills.library import SkillLibrary

if TYPE_CHECKING:
    from robot_skills.skill import Skill
    from robot_skills.training.evaluation import EvalReport
    from robot_skills.training.loop import TrainResult
    from robot_skills.training.recipe import TrainRecipe


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "train",
        help="train a policy from a data set",
        description="Train a policy from a data set. A run that was stopped goes on with --resume, exactly "
        "as if it had not been.",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="YAML file: data, policy, phases of training")
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the result"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the folder's last checkpoint")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Train, export, and say where the result lies."""
    from robot_skills.training.progress import duration
    from robot_skills.training.recipe import TrainRecipe
    from robot_skills.training.run import train
    from robot_skills.training.team import is_main

    check_output(args.json)
    console = make_console()
    recipe = TrainRecipe.read(args.recipe)
    began = ["robot-skills", "train", args.recipe, "-o", str(args.output)]
    try:
        evaluator = None if recipe.evaluate is None else TabletopEvaluator.of(recipe)
        result = train(recipe, args.output, args.resume, shlex.join(began), console, evaluator)
    except KeyboardInterrupt:
        console.print(f"Stopped. Go on with: {shlex.join([*began, '--resume'])}")
        return 130
    if not is_main():
        return 0
    seconds = sum(result.seconds.values())
    console.print(
        f"Trained {recipe.name} for {result.steps} steps in {duration(seconds)}: {args.output}",
        soft_wrap=True,
    )
    write_json(args.json, to_json(args.output, result))
    return 0


@dataclass(frozen=True)
class TabletopEvaluator:
    """Runs a trained folder's policy on the tabletop while it trains.

    Attributes:
        name: of the recipe, for the report.
        skills: what is called, one after the other.
    """

    name: str
    skills: tuple[Skill, ...]

    @classmethod
    def of(cls, recipe: TrainRecipe) -> TabletopEvaluator:
        """For the skills that a recipe names.

        Raises:
            InputError: it names none, or one that the library does not have, or the simulator is missing.
        """
        named = recipe.evaluate.skills if recipe.evaluate else ()
        names = named or ((recipe.skill,) if recipe.skill else ())
        if not names:
            raise InputError(
                "evaluate needs to know which skill: name `skill`, or `evaluate: {skills: ...}`."
            )
        library = SkillLibrary.open()
        with silence():
            require("pybullet", "sim")
        return cls(recipe.name, tuple(library.skill(name) for name in names))

    def __call__(self, folder: Path, seeds: Sequence[int], workers: int) -> EvalReport:
        """One episode a seed, of each skill; with one worker, in this process."""
        import torch
        from rich.console import Console

        from robot_skills.cli.eval import TabletopRunner
        from robot_skills.training.evaluation import EvalReport, evaluate

        threads = torch.get_num_threads()  # an evaluation in this process takes one
        try:
            reports = [
                evaluate(
                    skill.name,
                    TabletopRunner(str(folder), skill, None),
                    seeds,
                    workers,
                    local=workers == 1,
                    console=Console(quiet=True),
                )
                for skill in self.skills
            ]
        finally:
            torch.set_num_threads(threads)
        results = tuple(result for report in reports for result in report.results)
        return EvalReport(self.name, results, sum(report.seconds for report in reports))


def to_json(folder: Path, result: TrainResult) -> dict[str, Any]:
    """The verb's result for machines."""
    return {
        "folder": str(folder),
        "steps": result.steps,
        "samples_per_second": round(result.samples_per_second, 1),
        "seconds": round(sum(result.seconds.values()), 1),
        "metrics": result.metrics,
    }
