"""`robot-skills bridge doctor`: is what the configuration names on the graph?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robot_skills.cli.bridge import add_arm_options, read_arm
from robot_skills.cli.console import check_output, escape, make_console, write_json
from robot_skills.errors import InputError

MARKS = {True: "[green]ok[/]     ", False: "[red]wrong[/]  ", None: "[yellow]unknown[/]"}


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "doctor",
        help="compare a configuration with what is on the graph",
        description="Listen to what the configuration names and say what is missing, and what to do. Nothing "
        "is sent to the arm. Exits with 1 when something is wrong.",
    )
    add_arm_options(parser)
    parser.add_argument("--seconds", metavar="S", type=float, default=2.0, help="to listen (default 2)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Look, and say."""
    check_output(args.json)
    if not args.seconds > 0:
        raise InputError(f"--seconds is a time above 0, not {args.seconds:g}.")
    settings = read_arm(args)
    from robot_skills.bridge.doctor import examine

    console = make_console()
    findings = []
    for finding in examine(settings, args.seconds):
        findings.append(finding)
        console.print(f"{MARKS[finding.ok]}  {finding.name:<18} {escape(finding.found)}")
        if finding.advice and not finding.ok:
            console.print(f"{'':<9}{'':<18} → {finding.advice}", markup=False)
    well = all(finding.ok is not False for finding in findings)
    write_json(args.json, {"ok": well, "findings": [asdict(finding) for finding in findings]})
    return 0 if well else 1
