"""`robot-skills data ACTION`: data sets, looked at, checked, converted and cut into skills.

An action is a module with `add_parser(subparsers)` and `handle(args) -> exit code`, and one name in
`ACTIONS`. As with every verb, what is heavy is imported by `handle`.
"""

from __future__ import annotations

import argparse
import importlib
from typing import Any

#: Modules of this package, in the order of the help.
ACTIONS: tuple[str, ...] = (
    "inspect",
    "view",
    "validate",
    "convert",
    "segment",
    "retrieve",
    "relabel",
    "score",
)


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "data",
        help="data sets: inspect, view, validate, convert, segment",
        description="Data sets of demonstrations, in any of the formats that `data convert --help` lists. "
        "Every action writes its result for machines with --json FILE.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    for name in ACTIONS:
        _module(name).add_parser(actions)


def handle(args: argparse.Namespace) -> int:
    """Run the action."""
    code: int = _module(args.action).handle(args)
    return code


def _module(action: str) -> Any:
    return importlib.import_module(f"robot_skills.cli.data.{action}")
