"""`robot-skills train`: train a policy from a data set."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, make_console, write_json

if TYPE_CHECKING:
    from robot_skills.training.loop import TrainResult


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

    check_output(args.json)
    console = make_console()
    recipe = TrainRecipe.read(args.recipe)
    began = ["robot-skills", "train", args.recipe, "-o", str(args.output)]
    try:
        result = train(recipe, args.output, args.resume, shlex.join(began), console)
    except KeyboardInterrupt:
        console.print(f"Stopped. Go on with: {shlex.join([*began, '--resume'])}")
        return 130
    seconds = sum(result.seconds.values())
    console.print(
        f"Trained {recipe.name} for {result.steps} steps in {duration(seconds)}: {args.output}",
        soft_wrap=True,
    )
    write_json(args.json, to_json(args.output, result))
    return 0


def to_json(folder: Path, result: TrainResult) -> dict[str, Any]:
    """The verb's result for machines."""
    return {
        "folder": str(folder),
        "steps": result.steps,
        "samples_per_second": round(result.samples_per_second, 1),
        "seconds": round(sum(result.seconds.values()), 1),
        "metrics": result.metrics,
    }
