"""`robot-skills bridge mcp`: the skills as tools for any planner that speaks the Model Context Protocol."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from robot_skills.cli.bridge import add_arm_options, read_arm
from robot_skills.cli.bridge.arm import Events
from robot_skills.cli.console import make_console
from robot_skills.errors import require
from robot_skills.library import SkillLibrary

EXAMPLE = """\
A client such as Claude Desktop starts this itself; its configuration says how:
  {"mcpServers": {"arm": {
    "command": "/path/to/.venv/bin/robot-skills",
    "args": ["bridge", "mcp", "--config", "/path/to/my_arm.yaml"]}}}
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "mcp",
        help="offer the skills as tools to a client of the Model Context Protocol",
        description="Offer the skills of a library on an arm as tools of the Model Context Protocol: "
        "list_skills, run_skill, stop, status and look. The client starts this process and speaks over its "
        "standard input and output; no port is opened, and messages for people go to standard error. Without "
        "--live everything happens but the sending. It ends, and the arm stops, when the client leaves.",
        epilog=EXAMPLE,
    )
    add_arm_options(parser)
    parser.add_argument("--live", action="store_true", help="send commands: run_skill moves the arm")
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument("--record", metavar="DIR", type=Path, help="record everything as a bag (MCAP)")


def handle(args: argparse.Namespace) -> int:
    """Connect, and serve until the client leaves or a signal comes."""
    require("mcp", "mcp")
    settings = read_arm(args)
    library = SkillLibrary.open(args.library)
    console = make_console(stderr=True)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is the client's
            from robot_skills.bridge.arm import RosArm
            from robot_skills.bridge.description import read_urdf
            from robot_skills.bridge.kinematics import Kinematics
            from robot_skills.bridge.mcp_server import Pictures, SkillTools, serve
            from robot_skills.bridge.mcp_tools import mode
            from robot_skills.bridge.recording import Recorder, Watchers
            from robot_skills.bridge.runner import SkillRunner, local_policies
            from robot_skills.bridge.transport import open_transport

            recorder = stack.enter_context(Recorder(args.record, settings)) if args.record else None
            pictures = Pictures(settings)
            watchers = Watchers(Events(console), pictures, *([recorder] if recorder else []))
            transport = open_transport(settings.transport)
            arm = stack.enter_context(RosArm(settings, transport, live=args.live, watcher=watchers))
            kinematics = Kinematics(settings, read_urdf(settings, transport, 5.0))
            runner = SkillRunner(arm, library, local_policies(library), recorder)
            tools = SkillTools(arm, settings, kinematics, library, runner, pictures, live=args.live)
            console.print(f"{settings.name}, {settings.transport.kind}. {mode(args.live)}", markup=False)

        def speak() -> None:
            try:
                serve(tools.server())
            finally:
                over.set()

        # In a thread that need not end: it waits for the client's next line when a signal ends all this.
        threading.Thread(target=speak, name="mcp", daemon=True).start()
        over.wait()
    return 0
