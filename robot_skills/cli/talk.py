"""The conversation of `robot-skills run` without a command: the console around `planners.dialogue`."""

from __future__ import annotations

import argparse
import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from robot_skills.cli.asking import chosen, show_question
from robot_skills.cli.console import check_output, escape, make_console, write_json
from robot_skills.cli.plan import make_planner, show_result, show_scene, show_usage, told_usage
from robot_skills.cli.tabletop import Sight, load_scene, sight, tabletop
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import SkillCall, Status
from robot_skills.symbolic.question import Choice, Question

if TYPE_CHECKING:
    from rich.console import Console

    from planners.dialogue.manager import Dialogue, Reply
    from planners.planner import PlanResult
    from robot_skills.execution import ChunkSource
    from robot_skills.symbolic.closed_loop import RunResult
    from sim.tabletop.world import TabletopWorld

HINT = """\
Say what to do; "stop" (or Ctrl-C), "wait" and "no, the green one" are heard while the arm moves, and \
"put it back", "undo that" and "do that again with the blue one" afterwards. "bye" ends it.\
"""


class Typed:
    """Lines as they are typed.

    From a terminal they are read at once, so that one can step in while the arm moves; from a file or a pipe,
    one by one as they are asked for.

    Args:
        stream: where they come from.
        live: whether lines are read at once; by default where the stream is a terminal.
    """

    def __init__(self, stream: TextIO, live: bool | None = None) -> None:
        self._stream = stream
        self.live = stream.isatty() if live is None else live
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._lock = threading.Lock()
        self._meanwhile: Callable[[str], None] | None = None
        self._back: list[str | None] = []
        if self.live:
            threading.Thread(target=self._listen, name="typed", daemon=True).start()

    def next(self) -> str | None:
        """The next line; None at the end."""
        if self._back:
            return self._back.pop()
        if self.live:
            return self._lines.get()
        line = self._stream.readline()
        return line.rstrip("\n") if line else None

    def put_back(self, line: str | None) -> None:
        """Let a line, or the end, be the next again."""
        self._back.append(line)

    @contextlib.contextmanager
    def meanwhile(self, hear: Callable[[str], None] | None) -> Iterator[None]:
        """Give lines that come in to `hear`, called in another thread; None keeps them for `next`."""
        with self._lock:
            before, self._meanwhile = self._meanwhile, hear
        try:
            yield
        finally:
            with self._lock:
                self._meanwhile = before

    def _listen(self) -> None:
        for line in self._stream:
            with self._lock:
                if self._meanwhile is None:
                    self._lines.put(line.rstrip("\n"))
                else:
                    self._meanwhile(line.rstrip("\n"))
        self._lines.put(None)


def converse(args: argparse.Namespace, typed: Typed | None = None) -> int:
    """Talk until the person leaves; 0, whatever came of the commands."""
    if args.video is not None or args.html is not None:
        raise InputError("--video and --html show one command: give it as COMMAND.")
    check_output(args.json)
    from planners.dialogue.manager import Dialogue
    from robot_skills.affordance import Affordances
    from robot_skills.cli.run import skill_sources

    library = SkillLibrary.open(args.library)
    usable = {name: skill for name, skill in library.skills.items() if library.trained(name)}
    primitives = [SkillCall(name) for name in usable if name not in library.composites]
    planner = make_planner(args, usable).knowing(Affordances.open(library))
    scene = load_scene(args.scene, args.seed)
    console = make_console()
    with (
        tabletop(scene) as world,
        skill_sources(library, primitives, args.local, args.address, console) as sources,
    ):
        eyes = sight(world, args.perception)
        talk = _Talk(console, world, library, sources, Dialogue(planner), typed or Typed(sys.stdin), eyes)
        show_scene(console, eyes.look())
        console.print(HINT, style="dim")
        try:
            talk.hold()
        finally:
            told: dict[str, Any] = {"turns": talk.turns, "perception": args.perception}
            told |= {"scene": str(args.scene) if args.scene else None}
            told |= told_usage(planner)
            write_json(args.json, told | {"seed": None if args.scene else args.seed})
            show_usage(console, planner)
    return 0


class _Talk:
    """A conversation held at a console; the scene stays as the arm left it."""

    def __init__(
        self,
        console: Console,
        world: TabletopWorld,
        library: SkillLibrary,
        sources: Callable[[str], ChunkSource],
        dialogue: Dialogue,
        typed: Typed,
        eyes: Sight,
    ) -> None:
        self._console, self._world, self._library = console, world, library
        self._sources, self._dialogue, self._typed, self._eyes = sources, dialogue, typed, eyes
        self.turns: list[dict[str, Any]] = []

    def hold(self) -> None:
        """Hear and do, until there is no more to hear."""
        while True:
            line = self._prompted()
            if line is None:
                return
            with self._console.status("Planning"):
                reply = self._dialogue.hear(line, self._eyes.look(), self._eyes.positions())
            if self._follow(line, reply).leave:
                return

    def _follow(self, line: str, reply: Reply) -> Reply:
        """Do what a reply asks for, and what follows from that."""
        self._note(line, reply)
        while True:
            if reply.text:
                self._console.print(escape(reply.text))
            if reply.plan is None:
                return reply
            done = self._carry_out(reply.plan)
            reply = self._dialogue.ended(done.success, self._eyes.look())
            if reply.text or reply.plan:
                self._note("", reply)

    def _carry_out(self, plan: PlanResult) -> RunResult:
        from planners.summary import summary
        from robot_skills.cli.run import Run, show_end

        show_result(self._console, plan)
        run = Run(self._console, self._world, self._library, self._sources, plan, self._eyes)
        run.paced, run.ask = self._typed.live, self._ask

        def hear(line: str) -> None:
            try:
                signal = self._dialogue.interrupt(line)
            except Exception:  # whatever it was that was said, it must not leave the arm deaf
                run.preempt.set()
                raise
            if signal.stop:
                run.preempt.set()
            if signal.text:
                self._console.print(escape(signal.text))

        with self._typed.meanwhile(hear):
            done = run.carry_out(None)
        stopped = any(outcome.status is Status.PREEMPTED for outcome in done.outcomes)
        if stopped and not self._dialogue.stopping:
            self._dialogue.stop()  # it was Ctrl-C
        told = {**done.to_json(), "reason": done.reason, "summary": summary(done), "asked": run.asked}
        self.turns[-1] |= told
        show_end(self._console, done, run.seconds, None)
        return done

    def _ask(self, question: Question) -> Choice | None:
        """Ask what to do about a failure; a line that is no answer is heard as the next command."""
        show_question(self._console, question)
        with self._typed.meanwhile(None):
            line = self._prompted()
            while line is not None and not line.strip():
                line = self._prompted()
        choice = None if line is None else chosen(line, question)
        if choice is None:
            self._typed.put_back(line)
        return choice if line is None else choice or Choice.LEAVE

    def _prompted(self) -> str | None:
        self._console.print("[bold]>[/] ", end="")
        line = self._typed.next()
        if not self._typed.live:
            self._console.print(line or "", markup=False)
        return line

    def _note(self, line: str, reply: Reply) -> None:
        """Keep what was said, for machines; nothing was, where the arm comes to rest and a reply is due."""
        plan = reply.plan.to_json() if reply.plan else {}
        question = None if reply.question is None else reply.question.text
        self.turns.append({"said": line, "reply": reply.text, "question": question, **plan})
