"""`robot-skills bridge home`: the arm to its posture, where skills begin."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from robot_skills.cli.bridge import add_arm_options, read_arm
from robot_skills.cli.bridge.arm import Events, report
from robot_skills.cli.console import check_output, make_console, write_json
from robot_skills.errors import JobError


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "home",
        help="bring the arm to its posture, where skills begin",
        description="Move the joints straight to the posture of the configuration (kinematics: posture), at "
        "the speed of a first motion, through the safety chain. Nobody looks what is in between. A dry run "
        "without --live. Exits with 1 when it stops on the way.",
    )
    add_arm_options(parser)
    parser.add_argument("--live", action="store_true", help="send commands: the arm moves")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Go there."""
    check_output(args.json)
    settings = read_arm(args)
    from robot_skills.bridge.arm import RosArm
    from robot_skills.bridge.transport import open_transport

    console = make_console()
    events, stopped = Events(console), None
    with RosArm(settings, open_transport(settings.transport), live=args.live, watcher=events) as arm:
        arm.resume()
        try:
            with console.status("On the way"):
                off = arm.go(arm.posture)
            console.print(
                f"There, {off:.3f} rad off at most." if args.live else "The way is free of objections."
            )
        except JobError as error:
            stopped = str(error)
            console.print(stopped, markup=False)
        result = report(arm, events, args.live)
    write_json(args.json, result | {"stopped": stopped})
    return 1 if stopped else 0
