"""`robot-skills bridge replay`: the actions of a recording again, through the safety chain."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from robot_skills.cli.bridge import add_arm_options, read_arm
from robot_skills.cli.bridge.arm import Events, report
from robot_skills.cli.console import check_output, make_console, write_json
from robot_skills.errors import InputError, JobError


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "replay",
        help="the actions of a recording again, through the safety chain",
        description="Play a recording's actions on an arm, and say how far its hand is from where it was. "
        "The scene must be as it was: nobody looks. A dry run without --live. Exits with 1 when it stops.",
    )
    parser.add_argument("recording", metavar="BAG", type=Path, help="its folder")
    add_arm_options(parser)
    parser.add_argument("--live", action="store_true", help="send commands: the arm moves")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Play every action, one a control step."""
    check_output(args.json)
    settings = read_arm(args)
    import numpy as np

    from robot_skills.bridge.arm import RosArm
    from robot_skills.bridge.recording import ACTION, STATE, read
    from robot_skills.bridge.transport import open_transport

    rows = {topic: [] for topic in (ACTION, STATE)}  # type: dict[str, list[Any]]
    for item in read(args.recording, set(rows)):
        rows[item.topic].append(np.array(item.message.data, np.float32))
    if not rows[ACTION]:
        raise InputError(
            f"{args.recording} holds no actions: record with bridge arm --run CALL --record DIR."
        )
    console = make_console()
    events, off, stopped = Events(console), [], None
    with RosArm(settings, open_transport(settings.transport), live=args.live, watcher=events) as arm:
        arm.resume()
        try:
            for number, action in enumerate(rows[ACTION]):
                state = arm.observe(()).state
                off.append(float(np.linalg.norm(state[:3] - rows[STATE][number][:3])))
                arm.foresee(np.stack(rows[ACTION][number:]))
                arm.act(action)
        except JobError as error:
            stopped = str(error)
        result = report(arm, events, args.live)
    result |= {"steps": len(off), "of": len(rows[ACTION]), "off_m": off, "stopped": stopped}
    write_json(args.json, result)
    console.print(f"{len(off)} of {len(rows[ACTION])} actions; the hand was at most {max(off):.3f} m off.")
    if stopped:
        console.print(stopped, markup=False)
    return 1 if stopped else 0
