"""`plan --procedure` and `run --procedure`: a procedure read from a file, shown, carried out and watched."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.asking import at_terminal
from robot_skills.cli.console import check_output, escape, make_console, write_json
from robot_skills.cli.tabletop import load_scene, sight, tabletop
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary

if TYPE_CHECKING:
    from rich.console import Console

    from planners.planner import Planner
    from planners.procedure import Procedure, Remark, Watch
    from robot_skills.cli.tabletop import Sight
    from robot_skills.skill import Skill

#: Longer files are no procedures.
_LONGEST = 100_000


def add_procedure_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the file."""
    parser.add_argument(
        "--procedure",
        metavar="FILE",
        type=Path,
        help="steps in plain language, a line each, instead of COMMAND",
    )


def check_choice(args: argparse.Namespace) -> None:
    """Check that a command and a procedure were not both given.

    Raises:
        InputError: they were, or options that show one command.
    """
    for name in ("command", "video", "html", "pddl"):
        if getattr(args, name, None) is not None:
            given = "COMMAND" if name == "command" else f"--{name}"
            raise InputError(f"--procedure takes no {given}.")
    check_output(args.json)


def show_procedure(args: argparse.Namespace, planner: Planner, skills: Mapping[str, Skill]) -> int:
    """Read the procedure in the scene and show its steps; nothing moves."""
    from robot_skills.cli.plan import show_usage, told_usage

    console, scene = make_console(), load_scene(args.scene, args.seed)
    with tabletop(scene) as world:
        procedure = _read(args.procedure, sight(world, args.perception), planner, skills)
    _show(console, procedure)
    show_usage(console, planner)
    write_json(args.json, _told(procedure) | told_usage(planner))
    return 0


def carry_out_procedure(args: argparse.Namespace, planner: Planner, library: SkillLibrary) -> int:
    """Carry a procedure out line by line, and say what went otherwise; 1 when anything did."""
    from planners.procedure import Watch
    from robot_skills.cli.plan import show_usage, told_usage
    from robot_skills.cli.run import Run, skill_sources

    console, scene, skills = make_console(), load_scene(args.scene, args.seed), library.skills
    with tabletop(scene) as world:
        eyes = sight(world, args.perception)
        procedure = _read(args.procedure, eyes, planner, skills)
        _show(console, procedure)
        watch, done = Watch(procedure, skills), True
        calls = [step for call in procedure.steps for step in library.expand(call)]
        for call in calls:
            library.weights(call.skill)
        with skill_sources(library, calls, args.local, args.address, console) as sources:
            for number, line in enumerate(procedure.lines, start=1):
                console.print(f"[bold]{number}. {escape(line.text)}[/]")
                plan = planner.plan_goal(line.goal, eyes.look(), line.text)
                run = Run(console, world, library, sources, plan, eyes)
                run.ask = at_terminal(console)
                done = plan.verified and run.carry_out(None).success
                _follow(console, watch, [entry.after for entry in run.journal.entries if entry.call])
                if not done:
                    console.print(f"[red]Stopped.[/] {escape(plan.refused or 'That step did not work.')}")
                    break
        _say(console, watch.finish())
    show_usage(console, planner)
    told = {"mistakes": [_remark(each) for each in watch.mistakes], "success": done and not watch.mistakes}
    write_json(args.json, _told(procedure) | told | told_usage(planner))
    return 0 if told["success"] else 1


def _read(path: Path, eyes: Sight, planner: Planner, skills: Mapping[str, Skill]) -> Procedure:
    from planners.procedure import read_procedure

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from error
    if len(text) > _LONGEST:
        raise InputError(f"{path} has {len(text)} characters; a procedure has {_LONGEST} at most.")
    return read_procedure(text, eyes.look(), planner, skills)


def _show(console: Console, procedure: Procedure) -> None:
    for number, line in enumerate(procedure.lines, start=1):
        console.print(f"{number}. {escape(line.text)}  [dim]{escape(str(line.goal))}[/]")
        for call in line.calls:
            console.print(f"     {call}", markup=False)
    console.print(f"[green]✓[/] {len(procedure.steps)} steps, each verified after those before it")


def _follow(console: Console, watch: Watch, scenes: Iterable[Any]) -> None:
    for scene in scenes:
        _say(console, watch.see(scene))
    console.print(escape(watch.next_step()), style="dim")


def _say(console: Console, remarks: Iterable[Remark]) -> None:
    from planners.procedure import MISTAKES

    for remark in remarks:
        colour = "yellow" if remark.kind in MISTAKES else "green"
        console.print(f"  [{colour}]{remark.kind.value}[/] {escape(remark.text)}")


def _remark(remark: Remark) -> dict[str, Any]:
    call = None if remark.call is None else remark.call.to_json()
    return {"kind": remark.kind.value, "step": remark.step, "call": call, "text": remark.text}


def _told(procedure: Procedure) -> dict[str, Any]:
    lines = [
        {"text": line.text, "goal": str(line.goal), "plan": [call.to_json() for call in line.calls]}
        for line in procedure.lines
    ]
    return {"procedure": lines}
