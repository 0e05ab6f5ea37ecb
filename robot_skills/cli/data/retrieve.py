"""`robot-skills data retrieve`: the segments of a large prior set that look like a few demonstrations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from robot_skills.cli.console import check_output, make_console, write_json

EXAMPLES = """\
examples:
  robot-skills data retrieve out/data/ten out/data/play -o out/data/found --fraction 0.1
  robot-skills data retrieve out/data/ten out/data/play -o out/data/found --count 2000 --space raw

The prior set needs no labels. A segment gets the text of the demonstration that it is nearest to. Train on
both, the demonstrations with more weight.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "retrieve",
        help="find in a large data set what looks like a few demonstrations",
        description="Find the sub-trajectories of PRIOR that are nearest to those of TARGET, in a latent "
        "skill space learned from both, merge neighbours into segments, and write these as a data set.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="TARGET", help="a data set with a few demonstrations")
    parser.add_argument("prior", metavar="PRIOR", help="a large data set")
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the segments"
    )
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--fraction", type=float, default=0.1, help="of PRIOR's sub-trajectories (default 0.1)")
    many.add_argument("--count", type=int, metavar="N", help="so many sub-trajectories")
    many.add_argument(
        "--within",
        type=float,
        metavar="Q",
        help="what is as near as TARGET's demonstrations are to each other, up to this quantile",
    )
    parser.add_argument(
        "--space", choices=("latent", "raw"), default="latent", help="raw: states and actions as they are"
    )
    parser.add_argument(
        "--length", metavar="L", type=int, default=10, help="control steps of a sub-trajectory (default 10)"
    )
    parser.add_argument(
        "--steps", metavar="N", type=int, default=600, help="of learning the skill space (600)"
    )
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of learning the skill space (0)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Retrieve and say what was found."""
    from robot_skills.data.reuse.retrieval import RetrievalConfig, retrieve
    from robot_skills.data.reuse.skill_space import SkillSpaceConfig
    from robot_skills.data.store import EpisodeStore
    from robot_skills.training.progress import duration

    check_output(args.json)
    console = make_console()
    config = RetrievalConfig(
        space=args.space,
        fraction=args.fraction,
        count=args.count,
        within=args.within,
        skill_space=SkillSpaceConfig(length=args.length, steps=args.steps, seed=args.seed),
    )
    target, prior = EpisodeStore.open(args.target), EpisodeStore.open(args.prior)
    report = retrieve(target, prior, args.output, config, console)
    console.print(
        f"{report.hits:,} of {report.candidates:,} sub-trajectories kept, up to a distance of "
        f"{report.farthest:.3g} (median of all: {report.median:.3g})."
    )
    for text, count in sorted(report.nearest.items()):
        console.print(f"{count} segments are nearest to {text!r}.", markup=False)
    console.print(
        f"{report.segments} segments ({report.steps:,} steps) from {report.episodes} of "
        f"{len(prior.episodes)} episodes, in {duration(report.seconds)}: {args.output}"
    )
    write_json(args.json, report.to_json())
    return 0
