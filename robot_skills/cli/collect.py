"""`robot-skills collect`: demonstrations from scripted experts."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, make_console, silence, write_json

if TYPE_CHECKING:
    from robot_skills.data.collection import Attempt
    from robot_skills.training.recipe import CollectRecipe


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "collect",
        help="collect demonstrations from scripted experts",
        description="Collect demonstrations in simulation. The experts read simulator state. Demonstrations "
        "that fail are dropped and counted. A collection that was stopped goes on where it was: give the "
        "same command again.",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="YAML file: skill, episodes, first_seed, noise")
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, required=True, help="the data set's folder"
    )
    parser.add_argument("--workers", metavar="N", type=int, help="processes (default: the recipe's)")
    parser.add_argument("--local", action="store_true", help="run in this process, without Ray")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Collect; 1 if too few demonstrations succeeded."""
    from robot_skills.data.collection import collect
    from robot_skills.errors import require
    from robot_skills.library import SkillLibrary
    from robot_skills.training.progress import duration
    from robot_skills.training.recipe import CollectRecipe

    check_output(args.json)
    console = make_console()
    recipe = CollectRecipe.read(args.recipe)
    if args.workers is not None:
        recipe = dataclasses.replace(recipe, workers=args.workers)
    SkillLibrary.open().skill(recipe.skill)
    with silence():
        require("pybullet", "sim")
        from sim.tabletop.world import CONTROL_RATE

    command = shlex.join(["robot-skills", "collect", args.recipe, "-o", str(args.output)])
    try:
        report = collect(
            recipe, args.output, TabletopDemonstrator(recipe), CONTROL_RATE, command, console, args.local
        )
    except KeyboardInterrupt:
        console.print(f"Stopped. The same command goes on: {command}")
        return 130
    for reason, count in sorted(report.failures.items()):
        console.print(f"Dropped {count}: {reason}")
    console.print(
        f"{report.episodes} demonstrations of {recipe.skill} ({report.frames:,} steps), {report.tried} "
        f"tried, in {duration(report.seconds)}: {args.output}"
    )
    write_json(args.json, report.to_json())
    return 0 if report.episodes >= recipe.episodes else 1


@dataclasses.dataclass(frozen=True)
class TabletopDemonstrator:
    """Makes, in its process, a tabletop and the function that tries a seed on it."""

    recipe: CollectRecipe

    def __call__(self) -> Callable[[int], Attempt]:
        """Build the world."""
        from robot_skills.data.collection import Attempt
        from robot_skills.data.episode import Episode

        recipe = self.recipe
        with silence():
            from sim.experts import demonstrate
            from sim.tabletop.world import TabletopWorld

            world = TabletopWorld(cameras={camera: recipe.image_size for camera in recipe.cameras})

        def attempt(seed: int) -> Attempt:
            shown = demonstrate(world, recipe.skill, seed, recipe.noise, recipe.misled)
            if not shown.success:
                return Attempt(seed, None, shown.reason)
            episode = Episode(
                images=shown.images,
                state=shown.state,
                action=shown.action,
                end=shown.end,
                target=shown.target,
                text=shown.text,
                call=shown.call,
                scene=shown.scene,
                seed=seed,
                expert=shown.expert,
            )
            return Attempt(seed, episode)

        return attempt
