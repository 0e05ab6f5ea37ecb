"""`robot-skills refine`: a trained skill gets better by practising."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, make_console, silence, write_json
from robot_skills.errors import InputError, require

if TYPE_CHECKING:
    from robot_skills.residual.arena import ArenaFactory
    from robot_skills.residual.config import RefineConfig
    from robot_skills.skill import Skill
    from robot_skills.training.evaluation import EpisodeResult

EXAMPLES = """\
examples:
  robot-skills refine push --steps 30000 -o out/refine/push
  robot-skills refine push --resume -o out/refine/push
  robot-skills refine out/train/peg --env metaworld:peg-insert-side-v3 --time-limit 200 \\
      --demonstrations out/data/peg -o out/refine/peg
  robot-skills refine out/train/square --env robosuite:NutAssemblySquare \\
      --config datasets/refine_square.yaml --demonstrations out/data/square -o out/refine/square
  robot-skills eval out/refine/push

The base stays as it is. A small bounded correction is added to each of its actions, exactly zero at first,
and learned from nothing but whether episodes succeed. Base and refined skill are compared from the same
starts while it practises (validation seeds), and at the end (seeds from 1,000,000 on). A correction that
makes the skill worse is taken back.
"""
#: Of the first episode of the final evaluation.
FIRST_SEED = 1_000_000


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "refine",
        help="a trained skill gets better by practising",
        description="Add a small learned correction to a trained skill, by practice in simulation.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "skill", metavar="SKILL-or-FOLDER", help="a skill of the library, or a trained folder"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the refined skill"
    )
    parser.add_argument(
        "--env", metavar="ENV", default="tabletop", help='"tabletop" (default), or SUITE:TASK as in eval'
    )
    parser.add_argument("--steps", metavar="N", type=int, help="control steps of practice (default 30000)")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="YAML with other settings of the practice"
    )
    parser.add_argument(
        "--demonstrations", metavar="DIR", type=Path, help="an episode store to learn from as well"
    )
    parser.add_argument(
        "--time-limit", metavar="N", type=int, help="control steps an episode of a suite may take"
    )
    parser.add_argument("--seed", metavar="S", type=int, help="of weights, noise and batches (default 0)")
    parser.add_argument("--episodes", metavar="N", type=int, default=100, help="of the last evaluation")
    parser.add_argument("--workers", metavar="W", type=int, default=1, help="processes that play (default 1)")
    parser.add_argument("--local", action="store_true", help="play in this process, without Ray")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's last checkpoint")
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Practise, export, evaluate both, and say how it went."""
    check_output(args.json)
    if args.episodes < 1 or args.workers < 1:
        raise InputError("--episodes and --workers are 1 or more.")
    folder, skill = find(args.skill, args.env, args.library)
    config = configuration(args)
    from robot_skills.cli.arenas import arena
    from robot_skills.residual.demonstrations import read_demonstrations
    from robot_skills.residual.export import export, write_success
    from robot_skills.residual.learner import Learner
    from robot_skills.residual.practice import Practice
    from robot_skills.residual.refine import Refiner
    from robot_skills.training.configuration import to_mapping
    from robot_skills.training.evaluation import EvalReport, evaluate
    from robot_skills.training.progress import duration

    console = make_console()
    factory = arena(args.env, folder, skill, args.time_limit)
    practice = Practice(str(folder), config.policy, factory)
    place = factory()
    policy, shown = practice.policy(place.spec.action), []
    if args.demonstrations is not None:
        shown = read_demonstrations(policy, args.demonstrations, place.lead, seen_by(folder))
    learner, command = Learner(policy, config.learner, config.seed), begun(args)
    refiner = Refiner(learner, config, practice, shown, args.output, console, args.workers, args.local)
    try:
        result = refiner.run(args.resume)
    except KeyboardInterrupt:
        console.print(f"Stopped. Go on with: {command} --resume")
        return 130
    export(args.output, policy, folder, to_mapping(config), result, command)
    seeds, reports = range(FIRST_SEED, FIRST_SEED + args.episodes), dict[str, EvalReport]()
    for name, where in (("base", folder), ("refined", args.output)):
        played = FolderPlayer(str(where), factory)
        reports[name] = evaluate(name, played, seeds, args.workers, args.local, console)
        console.print(f"{name}: {reports[name].headline()}", soft_wrap=True)
    write_success(args.output, reports["base"], reports["refined"])
    spent = duration(sum(result.position.seconds.values()))
    console.print(f"{result.steps} steps of practice in {spent}: {args.output}", soft_wrap=True)
    told = {name: report.to_json() for name, report in reports.items()}
    write_json(args.json, {**told, "steps": result.steps, "folder": str(args.output)})
    return 0


def find(name: str, env: str, library: Path | None) -> tuple[Path, Skill | None]:
    """The folder of the base, and the skill's card where the simulator is the tabletop.

    Raises:
        InputError: there is no such skill or folder, or the simulator is not installed.
    """
    from robot_skills.cli.arenas import TABLETOP
    from robot_skills.cli.eval import find as find_skill

    if env == TABLETOP:
        with silence():
            require("pybullet", "sim")
        _, folder, skill = find_skill(name, library, None)
        return folder, skill
    from robot_skills.policies.registry import read_config

    read_config(Path(name))  # that it is a trained folder
    return Path(name), None


def configuration(args: argparse.Namespace) -> RefineConfig:
    """The settings: those of a file, and over them what was typed."""
    from robot_skills.residual.config import RefineConfig
    from robot_skills.training.configuration import from_mapping, read_yaml

    data = {} if args.config is None else read_yaml(args.config, "configuration of a practice")
    config = from_mapping(RefineConfig, data, str(args.config or "configuration"))
    typed = {name: getattr(args, name) for name in ("steps", "seed") if getattr(args, name) is not None}
    if args.seed is not None:
        typed["policy"] = dataclasses.replace(config.policy, seed=args.seed)
    return dataclasses.replace(config, **typed)


def seen_by(folder: Path) -> tuple[str, ...] | None:
    """Features of demonstrations that the policy in a folder sees as its state; None: all."""
    from robot_skills.cli.suites import trained

    return trained(folder, ()).state


def begun(args: argparse.Namespace) -> str:
    """The command as it was typed, without --resume and --json."""
    words = ["robot-skills", "refine", args.skill, "-o", str(args.output), "--env", args.env]
    for name in ("steps", "config", "demonstrations", "time_limit", "seed", "library"):
        if getattr(args, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    return shlex.join([*words, "--workers", str(args.workers), *(["--local"] if args.local else [])])


@dataclass(frozen=True)
class FolderPlayer:
    """Makes, in its process, the function that plays a trained folder's policy from a seed.

    Attributes:
        folder: of the policy.
        arena: makes the world.
    """

    folder: str
    arena: ArenaFactory

    def __call__(self) -> Callable[[int], EpisodeResult]:
        """Load the policy and build the world."""
        import torch

        from robot_skills.policies.registry import load_policy

        torch.set_num_threads(1)
        policy, place = load_policy(Path(self.folder)), self.arena()
        return lambda seed: place.play(policy, seed)
