"""`robot-skills serve`: keep the skills running as Ray actors."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, make_console, write_json
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary

if TYPE_CHECKING:
    from robot_skills.serving import Cluster

EXAMPLES = """\
examples:
  robot-skills serve                             every trained skill, until Ctrl-C
  robot-skills run "open the drawer" --address auto    in another terminal
  robot-skills serve pick place --address HOST:6379 --detach
  robot-skills serve --address HOST:6379 --stop
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "serve",
        help="keep the skills running as Ray actors",
        description="Load skills into Ray actors, each in a process of its own, and keep them running. "
        "`run --address` uses them; one that crashes is started again.",
        epilog=EXAMPLES,
    )
    parser.add_argument("skills", metavar="SKILL", nargs="*", help="skills to serve (default: all trained)")
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument("--address", metavar="ADDRESS", help="join this Ray cluster instead of starting one")
    parser.add_argument(
        "--threads", metavar="N", type=int, default=1, help="torch threads a skill (default 1)"
    )
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--detach", action="store_true", help="leave the actors on the cluster and return")
    end.add_argument("--stop", action="store_true", help="end the actors on the cluster and return")
    parser.add_argument("--json", metavar="FILE", type=Path, help="written when the skills are up")


def handle(args: argparse.Namespace) -> int:
    """Start the actors and wait for Ctrl-C; detached, or stopping them, return at once."""
    check_output(args.json)
    if args.threads < 1:
        raise InputError(f"--threads is 1 or more, not {args.threads}.")
    if (args.detach or args.stop) and not args.address:
        raise InputError("--detach and --stop need --address: a cluster started here ends with this command.")
    library = SkillLibrary.open(args.library)
    primitives = [name for name in library.skills if name not in library.composites]
    names = args.skills or [name for name in primitives if args.stop or library.trained(name)]
    if not names:
        raise InputError(f"No skill in {library.folder} is trained. See robot-skills skills list.")
    for name in names:
        library.skill(name) if args.stop else library.weights(name)
    from robot_skills.serving import Cluster

    with Cluster(library, address=args.address, threads=args.threads, detached=args.detach) as cluster:
        if args.stop:
            stopped = cluster.stop(names)
            make_console().print(f"Stopped: {', '.join(stopped) or 'none was running'}.", markup=False)
            write_json(args.json, {"address": cluster.address, "stopped": stopped})
            return 0
        _start(cluster, names, args.json)
        if not args.detach:
            _wait()
    return 0


def _start(cluster: Cluster, names: list[str], json: Path | None) -> None:
    console = make_console()
    with console.status(f"Starting {', '.join(names)}"):
        cluster.start(names)
    health = cluster.health()
    for name in names:
        console.print(
            f"{name:<10} process {health[name]['pid']}, weights {health[name]['weights']}", markup=False
        )
    console.print(
        f'Serving at {cluster.address}. Use: robot-skills run "COMMAND" --address {cluster.address}',
        markup=False,
    )
    write_json(json, {"address": cluster.address, "skills": health})


def _wait() -> None:
    """Until Ctrl-C or a request to terminate, both of which are the ordinary end."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    while not over.wait(0.5):
        pass
