"""`robot-skills run`: tell the arm what to do, in simulation: plan, execute, film."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.asking import at_terminal, interruptible
from robot_skills.cli.console import check_output, escape, make_console, write_json
from robot_skills.cli.plan import add_planner_options, make_planner, show_result, show_usage, told_usage
from robot_skills.cli.procedure import add_procedure_option, carry_out_procedure, check_choice
from robot_skills.cli.tabletop import (
    PERCEPTIONS,
    OracleSight,
    Sight,
    add_perception_option,
    load_scene,
    sight,
    tabletop,
)
from robot_skills.library import SkillLibrary
from robot_skills.skill import Outcome, SkillCall, Status
from robot_skills.symbolic.journal import Journal
from robot_skills.symbolic.question import Ask, Choice, Question

if TYPE_CHECKING:
    from rich.console import Console

    from planners.planner import PlanResult
    from robot_skills.cli.film import Film
    from robot_skills.execution import ChunkSource, Step
    from robot_skills.symbolic.closed_loop import Event, RunResult
    from robot_skills.symbolic.watch import Watch
    from sim.tabletop.world import TabletopWorld

EXAMPLES = """\
examples:
  robot-skills run "put the red block in the drawer and close it" --scene datasets/scenes/demo.yaml
  robot-skills run "press the button" --seed 7 --video out/press.mp4 --json out/press.json
  robot-skills run "open the drawer" --local           no Ray: the skills run in this process
  robot-skills run "open the drawer" --address auto    the skills that `robot-skills serve` keeps
  robot-skills run --seed 7 --local                    a conversation: commands one after another

  robot-skills run "open the drawer" --perception camera    no simulator state anywhere

The planner's scene graph is read from the simulator's state, or perceived with --perception camera. The
skills see camera images, proprioception and language only.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "run",
        help="tell the arm what to do, in simulation",
        description="Plan a command, show the plan, carry it out with the learned skills, and film it. "
        "Exits with 0 when the goal holds at the end, with 1 when it does not, and with 2 when nothing was "
        "done: bad input, or a command that is refused or unclear.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "command",
        metavar="COMMAND",
        nargs="?",
        help="what to do, in plain language; without it, a conversation",
    )
    add_procedure_option(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scene", metavar="FILE", type=Path, help="a scene file (YAML)")
    where.add_argument("--seed", metavar="N", type=int, default=0, help="of a sampled scene (default 0)")
    add_planner_options(parser)
    add_perception_option(parser)
    skills = parser.add_argument_group("skills")
    skills.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    place = skills.add_mutually_exclusive_group()
    place.add_argument("--local", action="store_true", help="run the skills in this process, without Ray")
    place.add_argument("--address", metavar="ADDRESS", help='a Ray cluster to join; "auto" finds one here')
    results = parser.add_argument_group("results")
    results.add_argument("--video", metavar="FILE.mp4", type=Path, help="film it, with a contact sheet (PNG)")
    results.add_argument(
        "--html", metavar="FILE.html", type=Path, help="what happened, step by step, as a page"
    )
    results.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Plan, show the plan, carry it out, judge, report; without a command, talk."""
    if args.procedure is not None:
        check_choice(args)
        known = SkillLibrary.open(args.library)
        return carry_out_procedure(args, make_planner(args, known.skills), known)
    if args.command is None:
        from robot_skills.cli.talk import converse

        return converse(args)
    check_output(args.json)
    check_output(args.video, ".mp4")
    check_output(args.html, ".html")
    from planners.planner import check_command
    from planners.summary import summary
    from robot_skills.affordance import Affordances
    from robot_skills.cli.plan_view import Story, write_story

    check_command(args.command)
    library = SkillLibrary.open(args.library)
    scene = load_scene(args.scene, args.seed)
    planner = make_planner(args, library.skills).knowing(Affordances.open(library))
    console = make_console()
    with tabletop(scene) as world:
        eyes = sight(world, args.perception)
        with console.status("Planning"):
            graph = eyes.look()
            plan = planner.plan(args.command, graph)
        show_plan(console, plan, args.perception)
        result = {**plan.to_json(), "outcomes": [], "replans": 0, "success": False, "video": None}
        result |= {"diagnoses": [], "asked": []}
        result |= {"perception": args.perception, "scene": str(args.scene) if args.scene else None}
        result["seed"] = None if args.scene else args.seed
        result |= told_usage(planner)
        if not plan.verified:
            show_usage(console, planner)
            write_json(args.json, result)
            write_story(args.html, Story(plan, graph))
            return 2
        calls = [step for call in plan.plan for step in library.expand(call)]
        for call in calls:
            library.weights(call.skill)
        with skill_sources(library, calls, args.local, args.address, console) as sources:
            run = Run(console, world, library, sources, plan, eyes)
            run.ask = at_terminal(console)
            done = run.carry_out(args.video)
        result |= {**done.to_json(), "reason": done.reason, "run_seconds": round(run.seconds, 3)}
        result["asked"] = run.asked
        result["summary"] = told = summary(done)
        result["video"] = str(args.video) if args.video else None
        write_json(args.json, result)
        story = Story(plan, graph, run.journal.entries, done.success, done.reason, told)
        write_story(args.html, story, args.video)
        show_end(console, done, run.seconds, args.video)
        show_usage(console, planner)
    if any(outcome.status is Status.PREEMPTED for outcome in done.outcomes):
        return 130
    return 0 if done.success else 1


@contextlib.contextmanager
def skill_sources(
    library: SkillLibrary, calls: Sequence[SkillCall], local: bool, address: str | None, console: Console
) -> Iterator[Callable[[str], ChunkSource]]:
    """What finds the policy of a skill: in this process, or in actors that are up for these calls."""
    if local or not calls:
        import torch

        from robot_skills.execution import LocalChunks

        torch.set_num_threads(1)  # as in the actors, so that the result is the same
        yield lambda name: LocalChunks(library.policy(name))
        return
    from robot_skills.serving import Cluster

    names = list(dict.fromkeys(call.skill for call in calls))
    with contextlib.ExitStack() as stack:
        with console.status(f"Starting the skills {', '.join(names)}"):
            cluster = stack.enter_context(Cluster(library, address=address))
            cluster.start(names)
        yield cluster.chunks


class Run:
    """A plan being carried out in a simulated world.

    Args:
        console: tells the person what happens.
        world: with the scene that was planned for.
        library: the skills.
        sources: name of a skill -> its policy.
        plan: verified.
        eyes: what saw the scene that was planned for; None: the oracle.

    Attributes:
        preempt: set it, from any thread, to stop the arm, and the run with it.
        journal: what happened, with the scene before and after each skill.
        ask: puts a question to a person where the arm is at its wits' end; None: nobody is there, and the
            question ends the run.
        asked: these questions, and the answers, for machines.
        paced: whether a second of the robot's is to take a second, so that a person can follow, and step in.
        seconds: that the run took.
    """

    def __init__(
        self,
        console: Console,
        world: TabletopWorld,
        library: SkillLibrary,
        sources: Callable[[str], ChunkSource],
        plan: PlanResult,
        eyes: Sight | None = None,
    ) -> None:
        self._console, self._world, self._library = console, world, library
        self._eyes = eyes or OracleSight(world)
        self._sources, self._plan = sources, plan
        self._done, self._total = 0, len(plan.plan)
        self._watch: Watch | None = None
        self.preempt, self.paced = threading.Event(), False
        self._film: Film | None = None
        self.ask: Ask | None = None
        self.asked: list[dict[str, str | None]] = []
        self.journal = Journal(self._eyes.look)
        self.seconds = 0.0

    def carry_out(self, video: Path | None) -> RunResult:
        """Run the plan to its end, on film if asked. Ctrl-C stops the arm, and the run with it."""
        with stopping(self.preempt):
            began = time.monotonic()
            try:
                if video is None:
                    return self._run()
                return self._run_filmed(video)
            finally:
                self.seconds = time.monotonic() - began

    def _run(self) -> RunResult:
        from robot_skills.affordance import Affordances
        from robot_skills.symbolic.closed_loop import run_command
        from robot_skills.symbolic.watch import Watch
        from sim.tabletop.retreat import retreat

        assert self._plan.goal is not None
        self._watch = Watch(self._library.skills, self._eyes.glance, self._eyes.glances)
        self._eyes.begin_command()
        return run_command(
            self._plan.goal,
            self._plan.plan,
            self._library.skills,
            self.journal.look,
            self._execute,
            costs=Affordances.open(self._library).cost,
            watch=self._watch,
            withdraw=lambda holding: retreat(self._world, holding, self.preempt.is_set),
            ask=self._question,
            on_event=self._on_event,
        )

    def _run_filmed(self, video: Path) -> RunResult:
        from robot_skills.cli.film import GREEN, HEIGHT, PAUSE, RED, WIDTH, Film

        def camera() -> Any:
            return self._world.render("film", HEIGHT, WIDTH, film=True)

        with Film(video, camera, self._plan.command, self._world.spec.control_rate) as film:
            self._film = film
            film.see(self._world.observe().images)
            film.caption(f"Goal: {self._plan.goal}")
            film.shoot(PAUSE)
            result = self._run()
            film.caption(result.reason, GREEN if result.success else RED)
            film.shoot(PAUSE)
        return result

    def _question(self, question: Question) -> Choice | None:
        """What a person answers; Ctrl-C leaves it."""
        choice = None
        if self.ask is not None:
            try:
                with interruptible():
                    choice = self.ask(question)
            except KeyboardInterrupt:
                self.preempt.set()
                choice = Choice.LEAVE
        self.asked.append({"question": str(question), "answer": choice and choice.value})
        return choice

    def _execute(self, call: SkillCall) -> Outcome:
        from robot_skills.composite import carry_out

        steps, skills = self._library.expand(call), self._library.skills
        return carry_out(
            call, steps, self._step, lambda step: self._eyes.look().holds(skills[step.skill].goal(step))
        )

    def _step(self, call: SkillCall) -> Outcome:
        from robot_skills.execution import execute

        skill = self._library.skill(call.skill)
        title = f"{self._done}/{self._total}  {call}"
        with self._console.status(escape(title)) as status:
            began = time.monotonic()
            guard = self._watch.guard(call) if self._watch is not None else None

            def on_step(step: Step) -> str | None:
                if self.paced:
                    self.preempt.wait(max(0.0, began + step.seconds - time.monotonic()))
                status.update(f"{escape(title)}  {step.seconds:.1f} s")
                if self._film is not None:
                    self._film.see(step.observation.images)
                    self._film.caption(title)
                    self._film.shoot()
                return guard(step) if guard is not None else None

            return execute(
                self._world,
                skill,
                call,
                self._sources(call.skill),
                goal_reached=lambda: self._eyes.look().holds(skill.goal(call)),
                preempt=self.preempt,
                on_step=on_step,
            )

    def _on_event(self, event: Event) -> None:
        self.journal.note(event)
        if event.kind == "step":
            self._done += 1
        elif event.kind == "outcome" and event.outcome is not None:
            outcome = event.outcome
            mark = "[green]✓[/]" if outcome.status is Status.SUCCEEDED else "[red]✗[/]"
            took = outcome.steps / self._world.spec.control_rate
            line = escape(f"{self._done}/{self._total}  {event.text}  ({took:.1f} s of motion)")
            self._console.print(f"{mark} {line}")
        elif event.kind == "diagnosis":
            self._console.print(f"[yellow]![/] {escape(event.text)}")
        elif event.kind == "replan":
            self._total = self._done + len(event.plan)
            self._console.print("[yellow]A new plan.[/]")
            for number, call in enumerate(event.plan, start=self._done + 1):
                self._console.print(f"  {number}. {call}", markup=False)


@contextlib.contextmanager
def stopping(preempt: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C set the event, and the second end the program."""

    def stop(number: int, frame: object) -> None:
        if preempt.is_set():
            raise KeyboardInterrupt
        preempt.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def show_plan(console: Console, plan: PlanResult, perception: str) -> None:
    """The plan, or why there is none, before anything moves; and who sees what."""
    show_result(console, plan)
    if plan.verified:
        console.print(
            f"{PERCEPTIONS[perception]}; the skills see images, proprioception and language only.",
            style="dim",
        )


def show_end(console: Console, done: RunResult, seconds: float, video: Path | None) -> None:
    """Whether the goal holds, and where the film lies."""
    verdict = "[green]Done.[/]" if done.success else "[red]Failed.[/]"
    again = f", {done.replans} new plans" if done.replans else ""
    console.print(f"{verdict} {escape(done.reason)} ({len(done.outcomes)} skills{again}, {seconds:.1f} s)")
    if done.outcomes:
        from planners.summary import summary

        console.print(escape(summary(done)))
    if video is not None:
        console.print(f"Film: {video}   Contact sheet: {video.with_suffix('.png')}", markup=False)
