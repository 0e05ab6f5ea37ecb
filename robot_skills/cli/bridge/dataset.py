"""`robot-skills bridge dataset`: recordings as a data set to learn from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from robot_skills.cli.bridge import add_arm_options, read_arm
from robot_skills.cli.console import check_output, make_console, write_json
from robot_skills.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "dataset",
        help="recordings as a data set to learn from",
        description="Write the skills of recordings as episodes of a native data set; "
        "`robot-skills data convert` makes a LeRobot data set of it. Skills that failed are left out "
        "unless asked for.",
    )
    parser.add_argument("recordings", metavar="BAG", type=Path, nargs="+", help="their folders")
    add_arm_options(parser)
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="of the data set")
    parser.add_argument("--failed", action="store_true", help="also skills that did not succeed")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Read every recording and append its episodes."""
    check_output(args.json)
    settings = read_arm(args)
    from robot_skills.bridge.episodes import episodes, store_meta
    from robot_skills.data.new_store import check_free, new_store
    from robot_skills.skill import Status

    check_free(args.output)
    info = {"source": {"recordings": [str(path) for path in args.recordings], "arm": settings.name}}
    written = frames = left_out = 0
    with new_store(args.output, store_meta(settings), info) as store:
        for path in args.recordings:
            for episode in episodes(path, settings):
                if episode.outcome != Status.SUCCEEDED.value and not args.failed:
                    left_out += 1
                    continue
                store.append(episode)
                written, frames = written + 1, frames + len(episode)
        if not written:
            raise InputError(f"No skill succeeded in {len(args.recordings)} recordings; see --failed.")
    write_json(args.json, {"episodes": written, "frames": frames, "left_out": left_out})
    make_console().print(
        f"{args.output}: {written} episodes, {frames} steps; {left_out} left out.", markup=False
    )
    return 0
