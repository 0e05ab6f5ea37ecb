"""`robot-skills generate`: the simulation proposes tasks to itself, and keeps those that pass its gates."""

from __future__ import annotations

import argparse
import functools
import math
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, make_console, silence, write_json
from robot_skills.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from planners.chat import Writer
    from robot_skills.data.store import EpisodeStore
    from sim.generative.generation import Funnel, Generation, Proposer
    from sim.generative.growth import Growth

EXAMPLES = """\
examples:
  robot-skills generate --count 200 -o out/tasks
  robot-skills generate --count 5 -o out/tasks --local        in this process, without Ray
  robot-skills generate --count 20 -o out/tasks --demonstrations 10     and a data set of them
  robot-skills generate --count 20 -o out/tasks --lessons 10            the same, each skill call by itself
  robot-skills generate --count 200 -o out/tasks --grow --hours 1       skills from what recurs in their plans
  robot-skills generate --failures push -o out/failures      where the shipped push fails, within bounds

Every task is data: a goal formula, instructions in several phrasings, a recipe of its scenes, the predicates'
parameters, a seed. Nothing that was generated is executed. A run that was stopped goes on where it was.
"""
#: Data sets of generated tasks: option and folder.
DATA = ("demonstrations", "lessons")


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "generate",
        help="propose, build, verify and solve new tasks",
        description="Generate tasks on the tabletop. Each passes twelve gates, in full physics, before it is "
        "kept; the funnel says how many fell at each. Exits with 1 when fewer were accepted than asked for, "
        "or nothing grew that was to.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--count", metavar="N", type=int, default=20, help="accepted tasks (default 20)")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the tasks' folder")
    parser.add_argument(
        "--demonstrations",
        metavar="N",
        type=int,
        default=0,
        help="of each accepted task, into DIR/demonstrations (a data set; default none)",
    )
    parser.add_argument(
        "--lessons",
        metavar="N",
        type=int,
        default=0,
        help="demonstrations of each task cut into skill calls, into DIR/lessons: what a policy of several "
        "skills learns from (default none)",
    )
    parser.add_argument(
        "--grow",
        action="store_true",
        help="then practise what recurs in the tasks' plans, and keep what works as skills, in DIR/library; "
        "needs --hours or --minutes; a --proposer that is a language model is asked which come first",
    )
    parser.add_argument("--hours", metavar="H", type=float, default=0.0, help="time for --grow")
    parser.add_argument(
        "--minutes", metavar="M", type=float, default=0.0, help="the same, added to the hours"
    )
    parser.add_argument(
        "--failures",
        metavar="SKILL",
        help="no tasks: search for scenes, within bounds, where a trained skill fails; into DIR/SKILL.yaml",
    )
    parser.add_argument("--library", metavar="DIR", type=Path, help="with --failures: a library of your own")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of the run (default 0)")
    parser.add_argument(
        "--proposer",
        metavar="NAME",
        default="grammar",
        help="grammar (default), or a language model within it: embedded, openai",
    )
    parser.add_argument("--model", metavar="NAME", help="a .gguf file, or the server's name of the model")
    parser.add_argument("--base-url", metavar="URL", help="of the server, such as http://localhost:8080/v1")
    parser.add_argument("--workers", metavar="N", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--local", action="store_true", help="run in this process, without Ray")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Generate, show the funnel, report; 1 when too few were accepted."""
    from robot_skills.embedding import sentence_embedding
    from robot_skills.errors import require
    from robot_skills.training.progress import duration

    check_output(args.json)
    for name, least in (("count", 1), ("workers", 1), ("seed", 0), ("demonstrations", 0), ("lessons", 0)):
        if getattr(args, name) < least:
            raise InputError(f"--{name} is {least} or more, not {getattr(args, name)}.")
    budget = _budget(args)
    with silence():
        require("pybullet", "sim")
        from sim.generative.generation import generate
    import torch

    torch.set_num_threads(1)  # sentences are short: a second thread costs more than it brings
    console = make_console()
    if args.failures is not None:
        return _search_failures(args, console)
    command = _command(args)
    more = functools.partial(
        generate,
        folder=args.output,
        embed=sentence_embedding(),
        console=console,
        seed=args.seed,
        workers=args.workers,
        local=args.local,
        proposer=_proposer(args),
        command=command,
    )
    try:
        result, grown = more(args.count), None
        if args.grow:
            grown, result = _grow(args, console, more, result, time.monotonic() + budget)
        stores = {name: _demonstrate(args, name, console, command) for name in DATA if getattr(args, name)}
    except KeyboardInterrupt:
        console.print(f"Stopped. The same command goes on: {command}")
        return 130
    show_funnel(console, result.funnel)
    cost = "" if result.funnel.cost is None else f", {result.funnel.cost:.1f} CPU s for each"
    console.print(
        f"{result.funnel.accepted} tasks of {result.funnel.proposed} proposals{cost}, "
        f"in {duration(result.seconds)}: {args.output}"
    )
    report = result.to_json()
    if grown is not None:
        show_growth(console, grown)
        report |= {"growth": grown.to_json()}
    for name, store in stores.items():
        console.print(f"{len(store.episodes)} {name} ({store.frames:,} steps): {store.folder}")
        report |= {name: {"folder": str(store.folder), "episodes": len(store.episodes)}}
    write_json(args.json, report)
    enough = result.funnel.accepted >= args.count and (grown is None or bool(grown.kept))
    return 0 if enough else 1


def _budget(args: argparse.Namespace) -> float:
    """Seconds for `--grow`.

    Raises:
        InputError: none are given, or without it.
    """
    if min(args.hours, args.minutes) < 0.0 or not math.isfinite(args.hours + args.minutes):
        raise InputError("--hours and --minutes are 0 or more.")
    seconds: float = 3600.0 * args.hours + 60.0 * args.minutes
    if args.grow and seconds == 0.0:
        raise InputError("--grow goes on until its time is up: give it --hours or --minutes.")
    if seconds and not args.grow:
        raise InputError("--hours and --minutes go with --grow.")
    if args.grow and args.failures is not None:
        raise InputError("--grow and --failures are two jobs: give one of them.")
    return seconds


def _command(args: argparse.Namespace) -> str:
    """What makes the same tasks again."""
    words = ["robot-skills", "generate", "--count", str(args.count), "-o", str(args.output)]
    words += ["--seed", str(args.seed)]
    if args.proposer != "grammar":
        words += ["--proposer", args.proposer]
    for option, value in (("--model", args.model), ("--base-url", args.base_url)):
        words += [option, value] if value else []
    return shlex.join(words)


def _grow(
    args: argparse.Namespace,
    console: Console,
    more: Callable[..., Generation],
    result: Generation,
    deadline: float,
) -> tuple[Growth, Generation]:
    """Practise chains until time is up, and generate more tasks once all are practised; both results."""
    from sim.generative.growth import grow
    from sim.generative.judgement import Judge

    writer = _writer(args)

    def further(count: int) -> int:
        nonlocal result
        result = more(count, deadline=deadline)
        return result.funnel.accepted

    hours = f"{args.hours + args.minutes / 60.0:.3g}"
    grown = grow(
        args.output,
        console,
        deadline=deadline,
        more=further,
        workers=args.workers,
        local=args.local,
        judge=None if writer is None else Judge(writer),
        command=f"{_command(args)} --grow --hours {hours}",
    )
    return grown, result


def _proposer(args: argparse.Namespace) -> Proposer:
    """Who proposes.

    Raises:
        InputError: there is no such model, or its options do not suit it.
    """
    from sim.generative.generation import GrammarProposer
    from sim.generative.sketch import SketchProposer

    writer = _writer(args)
    return GrammarProposer() if writer is None else SketchProposer(writer)


def _writer(args: argparse.Namespace) -> Writer | None:
    """The language model that proposes and judges; None with the grammar alone.

    Raises:
        InputError: there is no such model, or its options do not suit it.
    """
    if args.proposer == "grammar":
        if args.model is not None or args.base_url is not None:
            raise InputError("--model and --base-url go with --proposer embedded or openai.")
        return None
    from planners.chat import writer

    return writer(args.proposer, args.model, args.base_url)


def _search_failures(args: argparse.Namespace, console: Console) -> int:
    """Look for where a skill fails; 1 when it does not fail more often than on the plain scenes."""
    from robot_skills.library import SkillLibrary

    library = SkillLibrary.open(args.library)
    library.weights(args.failures)
    with silence():
        from sim.generative.robustness import ExpertAttempt, Limits, Search, SkillAttempt, export, search

        attempt, expert = SkillAttempt(library, args.failures), ExpertAttempt(args.failures)
    settings = Search(seed=args.seed)
    with console.status(f"Looking for where {args.failures} fails"):
        found = search(attempt, expert, Limits(), settings)
    path = export(found, args.failures, args.output)
    console.print(
        f"{args.failures}: {found.plain} of {found.trials} plain scenes succeed, and {found.perturbed} of "
        f"the same scenes under {found.perturbation}; the scripted expert does {found.able} of those"
    )
    console.print(f"{len(found.failures)} scenes that fail so, could be done, and fail not otherwise: {path}")
    write_json(args.json, {"skill": args.failures, "file": str(path), **found.to_json()})
    return 0 if found.perturbed < found.plain else 1


def _demonstrate(args: argparse.Namespace, name: str, console: Console, command: str) -> EpisodeStore:
    """Write one of the data sets, into the folder of its name."""
    from sim.generative.demonstrations import Demonstrator, demonstrate_all
    from sim.generative.generation import read_tasks

    return demonstrate_all(
        read_tasks(args.output)[: args.count],
        args.output / name,
        console,
        Demonstrator(getattr(args, name), lessons=name == "lessons"),
        workers=args.workers,
        local=args.local,
        command=f"{command} --{name} {getattr(args, name)}",
    )


def show_growth(console: Console, grown: Growth) -> None:
    """The composites that were kept, and how the plans of held-out tasks changed."""
    from rich.table import Table

    table = Table(title="what was grown", title_justify="left")
    table.add_column("skill")
    table.add_column("steps")
    for title in ("tasks", "worked in"):
        table.add_column(title, justify="right")
    for each in grown.kept:
        steps = ", ".join(step.partition("(")[0] for step in each.signature.split("; "))
        table.add_row(each.name, steps, str(len(each.tasks)), f"{each.successes}/{each.trials}")
    console.print(table)
    told = grown.to_json()
    steps, shorter = told["held_out_steps"], told["held_out_shorter"]
    console.print(
        f"{len(grown.kept)} of {len(grown.practised)} chains kept. Plans of {len(grown.held_out)} held-out "
        f"tasks: {steps['before']} calls before, {steps['after']} now; {shorter} are shorter."
    )
    console.print(f"Use them with --library {grown.folder}", markup=False)


def show_funnel(console: Console, funnel: Funnel) -> None:
    """How many proposals reached each gate, and how many fell there."""
    from rich.table import Table

    table = Table(title="the funnel", title_justify="left")
    table.add_column("gate")
    for title in ("reached", "fell", "CPU s"):
        table.add_column(title, justify="right")
    for gate, left, fell, spent in funnel.rows():
        table.add_row(gate, str(left), str(fell), f"{spent:.1f}")
    console.print(table)
