"""`robot-skills bridge ACTION`: a real arm behind ROS, and a simulated one to rehearse with.

An action is a module with `add_parser(subparsers)` and `handle(args) -> exit code`, and a line in `ACTIONS`.
As with every verb, what is heavy is imported by `handle`.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robot_skills.bridge.settings import ArmSettings

#: Action -> its module in this package, in the order of the help.
ACTIONS = {
    "arm": "arm",
    "home": "home",
    "mcp": "mcp",
    "sim-arm": "sim_arm",
    "doctor": "doctor",
    "replay": "replay",
    "dataset": "dataset",
}

EXAMPLES = """\
examples:
  robot-skills bridge doctor --config my_arm.yaml      what is on the graph, and what is missing
  robot-skills bridge arm --config my_arm.yaml --run 'pick(object="red block")'          a dry run
  robot-skills bridge arm --config my_arm.yaml --run 'pick(object="red block")' --live   it moves
  robot-skills bridge home --config my_arm.yaml --live the arm to its posture, where skills begin
  robot-skills bridge mcp --config my_arm.yaml         the skills as tools for any MCP client; dry, too
  robot-skills bridge sim-arm --seed 7                 the tabletop behind the same interfaces
  robot-skills bridge replay out/bags/monday --config my_arm.yaml    its actions again, through the chain
  robot-skills bridge dataset out/bags/* -o out/data/mine --config my_arm.yaml    to learn from

A configuration is a YAML file; `base: franka` (or ur, xarm, six_axis, tabletop) begins with a ready-made one.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "bridge",
        help="a real arm behind ROS, and a simulated one to rehearse with",
        description="Drive an arm behind ROS with the skills: through a rosbridge server, without ROS on "
        "this machine, or natively. Nothing moves without --live. The safety chain keeps mistakes small; it "
        "replaces no emergency stop that is made of hardware.",
        epilog=EXAMPLES,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    for name in ACTIONS:
        _module(name).add_parser(actions)


def handle(args: argparse.Namespace) -> int:
    """Run the action."""
    code: int = _module(args.action).handle(args)
    return code


def add_arm_options(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Which arm, and how it is reached."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        required=default is None,
        default=default and Path(default),
        help="the arm: a YAML file, or the name of a ready-made one"
        + (f" (default {default})" if default else ""),
    )
    parser.add_argument("--transport", metavar="KIND", help="rosbridge, dds or rclpy (default: the file's)")
    parser.add_argument("--url", metavar="URL", help="of the rosbridge server (default: the file's)")
    parser.add_argument("--domain", metavar="N", type=int, help="ROS_DOMAIN_ID (default: the file's)")


def read_arm(args: argparse.Namespace) -> ArmSettings:
    """The arm that the options name.

    Raises:
        InputError: the file is wrong.
    """
    import dataclasses

    from robot_skills.bridge.settings import ArmSettings

    settings = ArmSettings.read(args.config)
    changes = {"kind": args.transport, "url": args.url, "domain": args.domain}
    given = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(settings, transport=dataclasses.replace(settings.transport, **given))


def _module(action: str) -> Any:
    return importlib.import_module(f"robot_skills.cli.bridge.{ACTIONS[action]}")
