"""`robot-skills data relabel`: longer demonstrations with joint instructions, chained from segments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from robot_skills.cli.console import check_output, make_console, write_json

EXAMPLES = """\
examples:
  robot-skills data relabel out/data/segments -o out/data/chains
  robot-skills data relabel out/data/segments -o out/data/chains --across --state-distance 0.2

The result holds the chains alone: train on it beside the segments.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "relabel",
        help="chain neighbouring segments into longer ones with a joint instruction",
        description="Chain segments that follow each other in one recording and, with --across, segments "
        "of different recordings where one ends as the other begins. The texts are joined: 'open the "
        "drawer, then press the button'.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="PATH", help="a data set of segments")
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the chains"
    )
    parser.add_argument("--longest", metavar="N", type=int, default=3, help="segments of a chain (3)")
    parser.add_argument("--gap", metavar="N", type=int, default=2, help="steps that may be missing (2)")
    parser.add_argument("--across", action="store_true", help="chain segments of different recordings, too")
    parser.add_argument(
        "--state-distance",
        metavar="D",
        type=float,
        default=0.25,
        help="across: largest difference of the states, in standard deviations (0.25)",
    )
    parser.add_argument(
        "--picture-distance",
        metavar="D",
        type=float,
        default=0.02,
        help="across: largest mean difference of the pictures, 0 to 1 (0.02)",
    )
    parser.add_argument("--partners", metavar="N", type=int, default=1, help="across: of each segment (1)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Chain and say what came of it."""
    from robot_skills.data.reuse.relabelling import RelabelConfig, relabel
    from robot_skills.data.store import EpisodeStore
    from robot_skills.training.progress import duration

    check_output(args.json)
    console = make_console()
    config = RelabelConfig(
        longest=args.longest,
        gap=args.gap,
        across=args.across,
        state_distance=args.state_distance,
        picture_distance=args.picture_distance,
        partners=args.partners,
    )
    report = relabel(EpisodeStore.open(args.data), args.output, config, console)
    console.print(
        f"{report.chains} chains ({report.steps:,} steps, {report.texts} joint instructions) of "
        f"{report.segments} segments, {report.across} of them across recordings, in "
        f"{duration(report.seconds)}: {args.output}"
    )
    if report.duplicates:
        console.print(f"{report.duplicates} left out: the same demonstration with the same text was there.")
    write_json(args.json, report.to_json())
    return 0
