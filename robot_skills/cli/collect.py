"""`robot-skills collect`: demonstrations from scripted experts, or by a person at the keys."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, escape, make_console, silence, write_json
from robot_skills.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from robot_skills.data.collection import Attempt, CollectReport
    from robot_skills.skill import Skill
    from robot_skills.teleop.recorder import Trial
    from robot_skills.training.recipe import CollectRecipe
    from sim.tabletop.world import TabletopWorld


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "collect",
        help="collect demonstrations from scripted experts, or by hand",
        description="Collect demonstrations in simulation, from scripted experts that read simulator state, "
        "or by driving the arm yourself (--teleop). Demonstrations that fail are dropped and counted. A "
        "collection that was stopped goes on where it was: give the same command again.",
    )
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        help="YAML file: skill, episodes, first_seed, noise; failures: FILE.yaml, as `generate --failures` "
        "writes it, collects under what was found there; midway: true in the middle of long commands",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, required=True, help="the data set's folder"
    )
    parser.add_argument("--episodes", metavar="N", type=int, help="how many (default: the recipe's)")
    parser.add_argument(
        "--first-seed",
        metavar="S",
        type=int,
        help="of the first try: parts of one collection on several cores",
    )
    parser.add_argument("--misled", metavar="SHARE", type=float, help="in place of the recipe's")
    parser.add_argument(
        "--policy",
        metavar="DIR",
        help="trained folder that acts first, for a while; the labels are the expert's (DAgger)",
    )
    parser.add_argument("--workers", metavar="N", type=int, help="processes (default: the recipe's)")
    parser.add_argument("--local", action="store_true", help="run in this process, without Ray")
    parser.add_argument(
        "--teleop", choices=("keyboard",), help="drive the arm yourself, in a window (H shows the keys)"
    )
    parser.add_argument(
        "--keys", metavar="FILE", type=Path, help="with --teleop: play a key script, without a window"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Collect; 1 if too few demonstrations succeeded, or by hand none."""
    from robot_skills.data.collection import collect
    from robot_skills.library import SkillLibrary
    from robot_skills.training.progress import duration

    check_output(args.json)
    if args.keys is not None and args.teleop is None:
        raise InputError("--keys plays a key script in the place of a person: give --teleop keyboard too.")
    if args.teleop is not None and args.workers is not None:
        raise InputError("--workers does not go with --teleop: a person drives one arm.")
    console = make_console()
    given = {name: getattr(args, name) for name in ("episodes", "first_seed", "misled", "policy")}
    changed = {name: value for name, value in given.items() if value is not None}
    recipe = dataclasses.replace(_read(args.recipe), **changed)
    if args.teleop is not None and recipe.policy is not None:
        raise InputError("--policy goes with scripted experts: with --teleop a person acts from the start.")
    if args.workers is not None:
        recipe = dataclasses.replace(recipe, workers=args.workers)
    command = shlex.join(["robot-skills", "collect", args.recipe, "-o", str(args.output)])
    command += "".join(f" --{name.replace('_', '-')} {_typed(value)}" for name, value in changed.items())
    if args.teleop is not None:
        command += f" --teleop {args.teleop}"
    if args.keys is not None:
        command += f" --keys {shlex.quote(str(args.keys))}"
    try:
        if args.teleop is not None:
            skill = SkillLibrary.open().skill(recipe.skill)
            report = _by_hand(recipe, skill, args.output, args.keys, command, console)
        else:
            factory, rate = _demonstrator(recipe)
            report = collect(recipe, args.output, factory, rate, command, console, args.local)
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
    # A person may stop when she likes; a script is asked for as many as the recipe says.
    return 0 if report.episodes >= (recipe.episodes if args.teleop is None else 1) else 1


def _typed(value: float | str) -> str:
    """A value as it would be typed in a shell."""
    return shlex.quote(value) if isinstance(value, str) else f"{value:g}"


def _read(path: str) -> CollectRecipe:
    """The recipe: of the plain scenes, of those that a search for failures found, or midway in commands.

    Raises:
        InputError: it is none, or the file of failures that it names is none.
    """
    from robot_skills.training.configuration import read_yaml
    from robot_skills.training.recipe import CollectRecipe

    said = set(read_yaml(path, "collection recipe"))
    if not {"failures", "perturbation", "midway"} & said:
        return CollectRecipe.read(path)
    with silence():
        from sim.experts.midway import MidwayRecipe
        from sim.generative.relearning import PerturbedRecipe

    return MidwayRecipe.read(path) if "midway" in said else PerturbedRecipe.read(path)


def _demonstrator(recipe: CollectRecipe) -> tuple[Callable[[], Callable[[int], Attempt]], float]:
    """Who shows the recipe's skill, or its suite of another simulator, and the control rate."""
    from robot_skills.errors import require
    from robot_skills.library import SkillLibrary
    from robot_skills.policies.registry import read_config

    if recipe.skill.startswith("libero"):
        if recipe.policy is not None:
            raise InputError("--policy goes with skills of the tabletop, whose experts can look on.")
        from sim.experts.libero_demonstration import LiberoDemonstrator
        from sim.robosuite_world import CONTROL_RATE as LIBERO_RATE

        return LiberoDemonstrator(recipe), LIBERO_RATE
    SkillLibrary.open().skill(recipe.skill)
    if recipe.policy is not None:
        read_config(Path(recipe.policy))  # that it is a trained folder is said here, not by a worker
    with silence():
        require("pybullet", "sim")
        from sim.experts.midway import MidwayDemonstrator, MidwayRecipe
        from sim.generative.relearning import PerturbedDemonstrator, PerturbedRecipe
        from sim.tabletop.world import CONTROL_RATE

    if isinstance(recipe, MidwayRecipe):
        return MidwayDemonstrator(recipe), CONTROL_RATE
    if isinstance(recipe, PerturbedRecipe):
        return PerturbedDemonstrator(recipe), CONTROL_RATE
    return TabletopDemonstrator(recipe), CONTROL_RATE


def _by_hand(
    recipe: CollectRecipe, skill: Skill, folder: Path, keys: Path | None, command: str, console: Console
) -> CollectReport:
    """Record in a window, or play the key script."""
    from robot_skills.errors import require
    from robot_skills.teleop.script import ScriptedWindow, read_script
    from robot_skills.teleop.session import Station, record
    from robot_skills.training.recipe import CollectRecipe

    with silence():
        require("pybullet", "sim")
        if type(recipe) is not CollectRecipe:
            raise InputError("--teleop shows the plain scenes: the recipe names no failures nor midway then.")
        from sim.tabletop.window import TabletopWindow
        from sim.tabletop.world import CONTROL_RATE, TabletopWorld

    script = None if keys is None else ScriptedWindow(read_script(keys, CONTROL_RATE))
    with contextlib.ExitStack() as stack:
        with silence():  # SDL complains in its own words, and then we do in ours
            world = TabletopWorld(cameras={camera: recipe.image_size for camera in recipe.cameras})
            stack.callback(world.close)
            window = script or stack.enter_context(TabletopWindow(world, CONTROL_RATE))
        expert = "keyboard" if script is None else "keyboard script"
        begin = functools.partial(_begin_trial, world, skill)
        station = Station(world, begin, window, expert, lambda line: console.print(escape(line)))
        return record(recipe, folder, station, command)


def _begin_trial(world: TabletopWorld, skill: Skill, seed: int) -> Trial:
    """Bring the tabletop to the start of a seed's episode."""
    from robot_skills.teleop.recorder import Trial
    from sim.experts import expert_for
    from sim.tabletop.oracle import scene_graph
    from sim.tabletop.tasks import sample_task

    task = sample_task(skill.name, seed)
    task.start(world)
    expert, goal = expert_for(task.call), skill.goal(task.call)
    return Trial(
        seed=seed,
        call=task.call,
        text=skill.language(task.call),
        scene=task.scene.to_json(),
        closed=world.arm.grip > 0,
        target=lambda: expert.target(world.state()),
        reached=lambda: scene_graph(world.state()).holds(goal),
    )


@dataclasses.dataclass(frozen=True)
class TabletopDemonstrator:
    """Makes, in its process, a tabletop and the function that tries a seed on it."""

    recipe: CollectRecipe

    def __call__(self) -> Callable[[int], Attempt]:
        """Build the world."""
        skill = self.recipe.skill
        with silence():
            from sim.experts.demonstration import Demonstrator
            from sim.tabletop.tasks import sample_task

            demonstrator = Demonstrator(self.recipe)
        return lambda seed: demonstrator.attempt(sample_task(skill, seed))
