"""`robot-skills bridge arm`: let a skill drive an arm behind ROS; a dry run unless told otherwise."""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.bridge import add_arm_options, read_arm
from robot_skills.cli.console import check_output, escape, make_console, write_json
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import Outcome, SkillCall, Status

if TYPE_CHECKING:
    from rich.console import Console

    from robot_skills.bridge.arm import RosArm
    from robot_skills.bridge.recording import Recorder
    from robot_skills.bridge.settings import ArmSettings
    from robot_skills.bridge.transport import Transport


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "arm",
        help="let a skill drive an arm; a dry run without --live",
        description="Connect to an arm, run a skill on it through the safety chain, and stop. Without --live "
        "everything happens but the sending. Without --run it watches, and answers the services for stop and "
        "resume, until Ctrl-C.",
    )
    add_arm_options(parser)
    parser.add_argument("--live", action="store_true", help="send commands: the arm moves")
    parser.add_argument("--run", metavar="CALL", help="""a skill call, as in 'pick(object="red block")'""")
    parser.add_argument(
        "--serve", action="store_true", help="offer the skills as an action, until Ctrl-C (needs a token)"
    )
    parser.add_argument("--token-file", metavar="FILE", type=Path, help="holds the word that lets others in")
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument("--seconds", metavar="S", type=float, help="end after this long")
    parser.add_argument("--record", metavar="DIR", type=Path, help="record everything as a bag (MCAP)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Connect, run, stop, report."""
    check_output(args.json)
    if args.seconds is not None and not args.seconds > 0:
        raise InputError(f"--seconds is a time above 0, not {args.seconds:g}.")
    if args.serve and (args.run or args.token_file is None):
        raise InputError("--serve needs --token-file FILE, and goes without --run.")
    settings = read_arm(args)
    library = SkillLibrary.open(args.library)
    call = SkillCall.parse(args.run) if args.run else None
    if call is not None:
        skill = library.skill(call.skill)
        if missing := [name for name in skill.parameters if name not in call.args]:
            raise InputError(f"{skill.name} needs the argument {missing[0]!r}.")
        library.weights(call.skill)
    from robot_skills.bridge.arm import RosArm
    from robot_skills.bridge.recording import Recorder, Watchers
    from robot_skills.bridge.transport import open_transport

    console = make_console()
    events = Events(console)
    outcome = None
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(Recorder(args.record, settings)) if args.record else None
        watcher = Watchers(events, recorder) if recorder else events
        transport = open_transport(settings.transport)
        arm = stack.enter_context(RosArm(settings, transport, live=args.live, watcher=watcher))
        _greet(console, settings, args.live)
        if args.serve:
            _offer(arm, library, args.token_file, transport)
        if call is None:
            _watch(arm, args.seconds)
        else:
            outcome = _run(console, arm, library, call, args.seconds, recorder)
            console.print(f"{outcome.status.value}: {escape(outcome.reason)}")
        result = report(arm, events, args.live, outcome)
    write_json(args.json, result)
    if outcome is not None and outcome.status is Status.PREEMPTED:
        return 130
    return 0 if outcome is None or outcome.status is Status.SUCCEEDED else 1


class Events:
    """Tells the person what the safety chain does, and remembers it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.events: list[dict[str, Any]] = []
        self.commands = 0

    def message(self, topic: str, message: Any) -> None:
        """Not shown."""

    def command(self, command: Any) -> None:
        """Counted."""
        self.commands += 1

    def event(self, kind: str, text: str) -> None:
        """Shown."""
        self.events.append({"seconds": round(time.time(), 3), "kind": kind, "text": text})
        if kind != "resume":
            self._console.print(f"[yellow]{escape(kind)}[/]  {escape(text)}")


def report(arm: RosArm, events: Events, live: bool, outcome: Outcome | None) -> dict[str, Any]:
    """The result for machines; latencies are from a joint state's arrival to the command, in ms."""
    import numpy as np

    late = 1e3 * np.array(arm.latencies or [np.nan])
    return {
        "live": live,
        "outcome": None if outcome is None else outcome.to_json(),
        "stopped": arm.stopped,
        "commands": events.commands,
        "events": events.events,
        "refused": dict(arm.senses.refusals.counts),
        "latency_ms": {"median": float(np.median(late)), "p99": float(np.percentile(late, 99))},
    }


def _greet(console: Console, settings: ArmSettings, live: bool) -> None:
    mode = "[bold red]LIVE: the arm moves.[/]" if live else "[bold]Dry run: nothing is sent.[/]"
    safety = settings.safety
    console.print(f"{settings.name}, {len(settings.joints)} joints, {settings.transport.kind}. {mode}")
    console.print(
        f"Tool at most {safety.tool_speed:g} m/s, {safety.first_speed:.0%} of the joints' speeds for the "
        f"first {safety.first_seconds:g} s. Stop: {safety.stop_service}"
        + (f", or true on {safety.emergency_stop}" if safety.emergency_stop else ""),
        markup=False,
    )


def _run(
    console: Console,
    arm: RosArm,
    library: SkillLibrary,
    call: SkillCall,
    seconds: float | None,
    recorder: Recorder | None,
) -> Outcome:
    """Run a skill; its policy computes beside the motion. Ctrl-C stops the arm."""
    import torch

    from robot_skills.bridge.arm import ForeseenChunks
    from robot_skills.cli.run import stopping
    from robot_skills.execution import LocalChunks, Step, execute

    torch.set_num_threads(1)
    chunks = ForeseenChunks(LocalChunks(library.policy(call.skill), threaded=True), arm)
    preempt = threading.Event()
    arm.resume()
    with console.status(escape(str(call))) as status, stopping(preempt):

        def on_step(step: Step) -> None:
            status.update(f"{escape(str(call))}  {step.seconds:.1f} s")
            if recorder is not None:
                recorder.step(step)

        skill = library.skill(call.skill)
        if recorder is not None:
            recorder.begin(call, skill.language(call))
        outcome = execute(arm, skill, call, chunks, timeout=seconds, preempt=preempt, on_step=on_step)
        if recorder is not None:
            recorder.end(outcome)
        return outcome


def _offer(arm: RosArm, library: SkillLibrary, token_file: Path, transport: Transport) -> None:
    """Offer the skills to others."""
    import torch

    from robot_skills.bridge.service import SkillService, read_token
    from robot_skills.execution import LocalChunks

    torch.set_num_threads(1)

    def source(name: str) -> LocalChunks:
        return LocalChunks(library.policy(name), threaded=True)

    SkillService(arm, library, source, read_token(token_file)).offer(transport)


def _watch(arm: RosArm, seconds: float | None) -> None:
    from robot_skills.cli.run import stopping

    over = threading.Event()
    with stopping(over):
        over.wait(seconds)
