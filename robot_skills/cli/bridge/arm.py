"""`robot-skills bridge arm`: let a skill drive an arm behind ROS; a dry run unless told otherwise."""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.bridge import add_arm_options, read_arm
from robot_skills.cli.console import check_output, escape, make_console, write_json
from robot_skills.cli.plan import add_planner_options, make_planner, show_result
from robot_skills.cli.run import stopping
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import Outcome, SkillCall, Status

if TYPE_CHECKING:
    from rich.console import Console

    from robot_skills.bridge.arm import RosArm
    from robot_skills.bridge.orders import Orders
    from robot_skills.bridge.recording import Recorder
    from robot_skills.bridge.runner import SkillRunner
    from robot_skills.bridge.settings import ArmSettings
    from robot_skills.bridge.transport import Transport
    from robot_skills.execution import Step
    from robot_skills.symbolic.closed_loop import Event


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "arm",
        help="let a skill, or a command in words, drive an arm; a dry run without --live",
        description="Connect to an arm, run a skill or a command on it through the safety chain, and stop. "
        "Without --live everything happens but the sending. Without --run it watches, and answers the "
        "services for stop and resume, until Ctrl-C. A command in words is planned for what is there, as "
        "perception says on the scene's topic, or as a file says (--scene).",
    )
    add_arm_options(parser)
    parser.add_argument("--live", action="store_true", help="send commands: the arm moves")
    parser.add_argument(
        "--run",
        metavar="WHAT",
        help="""a skill call, as in 'pick(object="red block")', or a command in words""",
    )
    parser.add_argument(
        "--scene", metavar="FILE", type=Path, help="what is there (YAML or JSON), for commands in words"
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="offer skills and commands as an action, until Ctrl-C (needs a token)",
    )
    parser.add_argument("--token-file", metavar="FILE", type=Path, help="holds the word that lets others in")
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument("--seconds", metavar="S", type=float, help="end after this long")
    parser.add_argument("--record", metavar="DIR", type=Path, help="record everything as a bag (MCAP)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")
    add_planner_options(parser)


def handle(args: argparse.Namespace) -> int:
    """Connect, run, stop, report."""
    check_output(args.json)
    if args.seconds is not None and not args.seconds > 0:
        raise InputError(f"--seconds is a time above 0, not {args.seconds:g}.")
    if args.serve and (args.run or args.token_file is None):
        raise InputError("--serve needs --token-file FILE, and goes without --run.")
    settings = read_arm(args)
    library = SkillLibrary.open(args.library)
    call = read_call(args.run, library)
    if args.run and call is None:
        from planners.planner import check_command

        check_command(args.run)
    from robot_skills.bridge.arm import RosArm
    from robot_skills.bridge.recording import Recorder, Watchers
    from robot_skills.bridge.runner import SkillRunner, local_policies
    from robot_skills.bridge.service import SkillService, read_token
    from robot_skills.bridge.transport import open_transport

    token = read_token(args.token_file) if args.serve else None
    understand = _interpreter(args, settings, library) if args.serve or (args.run and call is None) else None
    console = make_console()
    events = Events(console)
    result: dict[str, Any] = {}
    code = 0
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(Recorder(args.record, settings)) if args.record else None
        watcher = Watchers(events, recorder) if recorder else events
        transport = open_transport(settings.transport)
        arm = stack.enter_context(RosArm(settings, transport, live=args.live, watcher=watcher))
        _greet(console, settings, args.live)
        runner = SkillRunner(arm, library, local_policies(library), recorder)
        orders = understand(transport, runner, recorder) if understand else None
        if token is not None:
            SkillService(runner, token, orders).offer(transport)
        person = Person(console, args.seconds)
        if not args.run:
            _watch(args.seconds)
        elif call is not None:
            code, result = person.skill(runner, call)
        elif orders is not None:
            code, result = person.command(orders, args.run)
        result = report(arm, events, args.live) | result
    write_json(args.json, result)
    return code


def _interpreter(
    args: argparse.Namespace, settings: ArmSettings, library: SkillLibrary
) -> Callable[[Transport, SkillRunner, Recorder | None], Orders]:
    """What understands commands in words, once the arm is there.

    Raises:
        InputError: the scene's file or the planner's options are wrong.
    """
    from robot_skills.bridge.orders import Orders
    from robot_skills.bridge.scenes import PerceivedScenes, ToldScenes
    from robot_skills.symbolic.closed_loop import MAX_REPLANS

    told = ToldScenes(args.scene) if args.scene else None
    planner = make_planner(args, library.skills)
    replans = MAX_REPLANS if args.live else 0  # a dry run changes nothing that a new plan could be for

    def make(transport: Transport, runner: SkillRunner, recorder: Recorder | None) -> Orders:
        scenes = told or PerceivedScenes(transport, settings.scene)
        return Orders(runner, library, scenes, planner, replans=replans, recorder=recorder)

    return make


def read_call(text: str | None, library: SkillLibrary) -> SkillCall | None:
    """A skill call that a person typed; None for a command in words.

    Raises:
        InputError: it is a call, and not of a skill that is there, trained, with its arguments.
    """
    if not text or "(" not in text:
        return None
    call = SkillCall.parse(text)
    library.check(call)
    return call


class Person:
    """Runs what a person asked for, tells how it goes, and stops at Ctrl-C.

    Args:
        console: of the person.
        seconds: a skill is over after this long; None: after its own time.
    """

    def __init__(self, console: Console, seconds: float | None) -> None:
        self._console, self._seconds = console, seconds
        self._preempt = threading.Event()

    def skill(self, runner: SkillRunner, call: SkillCall) -> tuple[int, dict[str, Any]]:
        """Run a skill: the exit status, and what is reported."""
        with self._watched(str(call)) as on_step:
            outcome = runner.run(call, self._preempt, on_step, self._seconds)
        self._console.print(f"{outcome.status.value}: {escape(outcome.reason)}")
        return self._code(outcome.status is Status.SUCCEEDED, outcome), {"outcome": outcome.to_json()}

    def command(self, orders: Orders, text: str) -> tuple[int, dict[str, Any]]:
        """Plan a command and carry it out: the exit status, and what is reported."""
        with self._console.status("Planning"):
            planned = orders.plan(text)
        show_result(self._console, planned)
        result = {**planned.to_json(), "outcomes": [], "replans": 0, "success": False}
        if not planned.verified:
            return 2, result
        with self._watched(text) as on_step:
            done = orders.carry_out(planned, self._preempt, on_step, self._tell, self._seconds)
        verdict = "[green]Done.[/]" if done.success else "[red]Failed.[/]"
        self._console.print(f"{verdict} {escape(done.reason)}")
        last = done.outcomes[-1] if done.outcomes else None
        return self._code(done.success, last), result | done.to_json() | {"reason": done.reason}

    @contextlib.contextmanager
    def _watched(self, title: str) -> Iterator[Callable[[Step], None]]:
        with self._console.status(escape(title)) as status, stopping(self._preempt):
            yield lambda step: status.update(f"{escape(title)}  {step.seconds:.1f} s")

    def _tell(self, event: Event) -> None:
        if event.kind in ("outcome", "diagnosis"):
            self._console.print(escape(event.text))

    def _code(self, good: bool, outcome: Outcome | None) -> int:
        if outcome is not None and outcome.status is Status.PREEMPTED:
            return 130
        return 0 if good else 1


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


def report(arm: RosArm, events: Events, live: bool) -> dict[str, Any]:
    """The result for machines; latencies are from a joint state's arrival to the command, in ms."""
    import numpy as np

    late = 1e3 * np.array(arm.latencies or [np.nan])
    return {
        "live": live,
        "outcome": None,
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


def _watch(seconds: float | None) -> None:
    over = threading.Event()
    with stopping(over):
        over.wait(seconds)
