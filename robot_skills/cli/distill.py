"""`robot-skills distill`: a refined skill's successes as demonstrations, for one network to learn again."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from pathlib import Path
from typing import Any

from robot_skills.cli.console import check_output, make_console, write_json
from robot_skills.errors import InputError

EXAMPLES = """\
examples:
  robot-skills distill out/refine/push -o out/data/push_refined --episodes 200 --first-seed 400000
  robot-skills train out/data/push_refined/train.yaml -o out/train/push_distilled

The refined skill is played and its successful episodes are recorded with all that its base sees. train.yaml
beside them trains the base further, on its own demonstrations and on these.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "distill",
        help="a refined skill's successes as demonstrations",
        description="Record the successes of a refined skill as demonstrations, and write the recipe that "
        "makes one network of base and correction.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("skill", metavar="FOLDER", help="of a refined skill")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder of the store")
    parser.add_argument("--env", metavar="ENV", default="tabletop", help="as in refine")
    parser.add_argument(
        "--episodes", metavar="N", type=int, default=200, help="successes wanted (default 200)"
    )
    parser.add_argument("--first-seed", metavar="S", type=int, default=400_000, help="(default 400000)")
    parser.add_argument("--steps", metavar="N", type=int, default=2000, help="of train.yaml (default 2000)")
    parser.add_argument(
        "--time-limit", metavar="N", type=int, help="control steps an episode of a suite may take"
    )
    parser.add_argument("--workers", metavar="W", type=int, default=1, help="processes that play (default 1)")
    parser.add_argument("--local", action="store_true", help="play in this process, without Ray")
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Play, record, and write the recipe."""
    import yaml

    from robot_skills.cli.arenas import arena
    from robot_skills.cli.refine import find
    from robot_skills.data.files import write_text
    from robot_skills.residual import distill
    from robot_skills.training.parallel import map_in_order
    from robot_skills.training.progress import JobProgress

    check_output(args.json)
    if args.episodes < 1 or args.workers < 1 or args.steps < 1:
        raise InputError("--episodes, --workers and --steps are 1 or more.")
    most = 4 * args.episodes
    distill.check_seeds(args.first_seed, most)
    folder, skill = find(args.skill, args.env, args.library)
    policy = distill.load_refined(folder)
    trained = distill.recipe(folder, args.output, args.steps)
    factory = arena(args.env, folder, skill, args.time_limit)
    console, failed = make_console(), 0
    with (
        distill.open_store(args.output, policy, factory(), {"refined": str(folder)}) as store,
        JobProgress(console, "distilling", args.episodes, "episodes", len(store.episodes)) as progress,
    ):
        done = [episode.seed for episode in store.episodes if episode.seed is not None]
        seeds = range(max([args.first_seed - 1, *done]) + 1, args.first_seed + most)
        made = map_in_order(distill.Distiller(str(folder), factory), seeds, args.workers, args.local)
        with contextlib.closing(made) as attempts:
            while len(store.episodes) < args.episodes:
                attempt = next(attempts, None)
                if attempt is None:
                    raise InputError(
                        f"Fewer than one in four episodes of {folder} succeed: refine it further."
                    )
                if attempt.episode is None:
                    failed += 1
                    continue
                store.append(attempt.episode)
                progress.advance(1, f"{failed} failed")
    write_text(args.output / "train.yaml", yaml.safe_dump(trained, sort_keys=False))
    command = shlex.join(["robot-skills", "train", str(args.output / "train.yaml"), "-o", "DIR"])
    console.print(f"{args.episodes} episodes, {failed} failed: {args.output}. One network of them: {command}")
    write_json(args.json, {"folder": str(args.output), "episodes": args.episodes, "failed": failed})
    return 0
