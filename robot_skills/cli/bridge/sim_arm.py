"""`robot-skills bridge sim-arm`: the tabletop behind the ROS interfaces of a real arm, in real time."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path
from typing import Any

from robot_skills.cli.bridge import add_arm_options, read_arm
from robot_skills.cli.console import make_console, silence
from robot_skills.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "sim-arm",
        help="the tabletop behind the ROS interfaces of a real arm",
        description="Run the simulated tabletop in real time behind the topics and services of the "
        "configuration, with faults on demand, so that a deployment is rehearsed with real messages. Another "
        "process drives it: robot-skills bridge arm --config tabletop --live --run CALL.",
    )
    add_arm_options(parser, default="tabletop")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scene", metavar="FILE", type=Path, help="a scene file (YAML)")
    where.add_argument("--seed", metavar="N", type=int, default=0, help="of a sampled scene (default 0)")
    where.add_argument("--task", metavar="SKILL:SEED", help="begin the episode of a skill, as in pick:7")
    parser.add_argument(
        "--fault", metavar="JSON", help="""what goes wrong, as in '{"kind": "delay", "seconds": 0.2}'"""
    )


def handle(args: argparse.Namespace) -> int:
    """Run until Ctrl-C."""
    settings = read_arm(args)
    with silence():
        from robot_skills.cli.tabletop import load_scene, tabletop
        from sim.tabletop.ros_arm import Fault, SimulatedArm
    from robot_skills.bridge.transport import open_transport
    from robot_skills.training.configuration import from_mapping

    skill, colon, number = (args.task or "").partition(":")
    if args.task and not (colon and number.isdigit()):
        raise InputError(f"--task is SKILL:SEED, as in pick:7, not {args.task!r}.")
    fault = Fault()
    if args.fault:
        try:
            fault = from_mapping(Fault, json.loads(args.fault), "--fault")
        except json.JSONDecodeError as error:
            raise InputError(f"--fault is not JSON: {error}.") from error
    scene = load_scene(args.scene, args.seed)
    sizes = {name: camera.size for name, camera in settings.cameras.items()}
    transport = open_transport(settings.transport)
    over = threading.Event()
    for number_ in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number_, lambda *_: over.set())
    with tabletop(scene, sizes) as world:
        arm = SimulatedArm(world, settings, transport, fault=fault)
        if args.task:
            arm.begin(skill, int(number))
        make_console().print(
            f"The simulated arm is up ({settings.transport.kind}). Ctrl-C ends it.", markup=False
        )
        arm.run(over)
    transport.close()
    return 0
