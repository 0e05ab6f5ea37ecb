"""`robot-skills plan`: the plan for a command, with its verification; nothing moves."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robot_skills.cli.console import check_output, escape, make_console, whole_file, write_json
from robot_skills.cli.procedure import add_procedure_option, check_choice, show_procedure
from robot_skills.cli.tabletop import add_perception_option, load_scene, sight, tabletop
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary

if TYPE_CHECKING:
    from rich.console import Console

    from planners.planner import Planner, PlanResult
    from robot_skills.logic import Formula
    from robot_skills.scene_graph import Entity, SceneGraph
    from robot_skills.skill import Skill, SkillCall

EXAMPLES = """\
examples:
  robot-skills plan "put the red block in the drawer and close it" --scene datasets/scenes/demo.yaml
  robot-skills plan "stack the green block on the blue one" --seed 7 --json out/plan.json
  robot-skills plan "put the ball in the bowl" --seed 3 --pddl out/task --solver fast-downward
  robot-skills plan "press the button" --planner openai --model NAME --base-url http://localhost:8080/v1
"""
SOURCES = {"oracle": "oracle (simulator state)", "camera": "camera (two pictures)"}


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "plan",
        help="the plan for a command, with its verification",
        description="Plan a command for a scene and show the goal and the verified steps; nothing moves. "
        "Exits with 0 for a plan, and with 2 for a refusal, a question or bad input.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND", nargs="?", help="what to do, in plain language")
    add_procedure_option(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scene", metavar="FILE", type=Path, help="a scene file (YAML)")
    where.add_argument("--seed", metavar="N", type=int, default=0, help="of a sampled scene (default 0)")
    add_planner_options(parser)
    add_perception_option(parser)
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument(
        "--solver",
        choices=("own", "fast-downward"),
        default="own",
        help="who looks for the plan to the goal (fast-downward needs the extra 'pddl')",
    )
    parser.add_argument(
        "--pddl", metavar="DIR", type=Path, help="write domain.pddl and problem.pddl for other planners"
    )
    parser.add_argument("--html", metavar="FILE.html", type=Path, help="the plan step by step, as a page")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")
    parser.set_defaults(handler=handle)


def add_planner_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which language model proposes the goal."""
    group = parser.add_argument_group("planner")
    group.add_argument(
        "--planner",
        metavar="NAME",
        default="embedded",
        help="embedded (SmolLM2-135M in this process) or openai (any OpenAI-compatible server)",
    )
    group.add_argument(
        "--model", metavar="NAME", help="a .gguf file for embedded; the server's name of it for openai"
    )
    group.add_argument("--base-url", metavar="URL", help="of the server, such as http://localhost:8080/v1")
    group.add_argument(
        "--reader",
        choices=("tuned", "rules"),
        help="who reads the command: the fine-tuned model, or the rules (default: tuned for the embedded "
        "planner where its adapter is installed)",
    )


def make_planner(
    args: argparse.Namespace, skills: Mapping[str, Skill], solver: Literal["own", "fast-downward"] = "own"
) -> Planner:
    """Build the planner that the options ask for; weights are loaded at the first command.

    Raises:
        InputError: there is no such back end, its options do not suit it, or the solver is not installed.
    """
    from planners.chat import chat_model
    from planners.planner import Planner
    from planners.proposer import LanguageModelProposer
    from planners.reader import TunedModel

    model = chat_model(args.planner, args.model, args.base_url)
    reader = TunedModel() if args.reader == "tuned" else args.reader
    proposer = LanguageModelProposer(model, reader=reader, skills=skills)
    if solver == "own":
        return Planner(skills, proposer)
    from robot_skills.symbolic.pddl.fast_downward import driver, fast_downward

    driver()  # says so at once where it is not installed
    return Planner(skills, proposer, solver=fast_downward)


def handle(args: argparse.Namespace) -> int:
    """Plan, show, report."""
    if args.procedure is not None:
        check_choice(args)
        own = SkillLibrary.open(args.library).skills
        return show_procedure(args, make_planner(args, own, args.solver), own)
    if args.command is None:
        raise InputError("plan needs a COMMAND, or --procedure FILE.")
    check_output(args.json)
    check_output(args.html, ".html")
    check_output(args.pddl and args.pddl / "domain.pddl")
    from planners.planner import check_command
    from robot_skills.affordance import Affordances
    from robot_skills.cli.plan_view import Story, write_story
    from robot_skills.symbolic.journal import foreseen

    check_command(args.command)
    library = SkillLibrary.open(args.library)
    skills = library.skills
    affordances = Affordances.open(library)
    planner = make_planner(args, skills, args.solver).knowing(affordances)
    scene = load_scene(args.scene, args.seed)
    console = make_console()
    with tabletop(scene) as world:
        graph = sight(world, args.perception).look()
    show_scene(console, graph)
    with console.status("Planning"):
        result = planner.plan(args.command, graph)
    show_result(console, result)
    show_usage(console, planner)
    if args.pddl is not None and result.goal is not None:
        write_pddl(args.pddl, skills, graph, result.goal, affordances.cost(graph))
    write_json(args.json, result.to_json() | told_usage(planner))
    write_story(args.html, Story(result, graph, foreseen(result.plan, graph, skills)))
    return 0 if result.verified else 2


def write_pddl(
    folder: Path,
    skills: Mapping[str, Skill],
    graph: SceneGraph,
    goal: Formula,
    cost: Callable[[SkillCall], float] | None = None,
) -> None:
    """Write domain.pddl and problem.pddl into a folder."""
    from robot_skills.symbolic.pddl.writer import write_task

    task = write_task(skills, graph, goal, cost)
    for name, text in (("domain", task.domain), ("problem", task.problem)):
        with whole_file(folder / f"{name}.pddl") as temporary:
            temporary.write_text(text)


def show_scene(console: Console, graph: SceneGraph) -> None:
    """What is in the scene, and who says so."""
    from rich.table import Table

    table = Table(title=f"scene graph: {SOURCES.get(graph.source, graph.source)}", title_justify="left")
    table.add_column("thing")
    table.add_column("where it is, how it is")
    for entity in graph.entities:
        if entity.kind != "table":
            table.add_row(entity.name, _state(entity, graph))
    console.print(table)


def _state(entity: Entity, graph: SceneGraph) -> str:
    told = []
    for fact in sorted(graph.facts):
        match fact.predicate, fact.args:
            case (("in" | "on"), (entity.name, place)):
                told.append(f"{fact.predicate} the {place}")
            case "holding", (entity.name,):
                told.append("in the hand")
            case (("open" | "ajar" | "pressed"), (entity.name,)):
                told.append(fact.predicate)
    if not told and "openable" in entity.tags:
        told.append("closed")
    if not told and "pressable" in entity.tags:
        told.append("not pressed")
    return ", ".join(told)


def show_usage(console: Console, planner: Planner) -> None:
    """What a model server was asked, and what that cost; nothing where there is none."""
    if planner.usage is not None:
        console.print(str(planner.usage), style="dim", markup=False)


def told_usage(planner: Planner) -> dict[str, Any]:
    """The same for machines: the key `usage`, null where there is no server."""
    return {"usage": None if planner.usage is None else planner.usage.to_json()}


def show_result(console: Console, result: PlanResult) -> None:
    """The goal, the steps and their verification; or the refusal, or the question."""
    if result.goal is not None:
        console.print(f"Goal  {result.goal}", markup=False)
    if result.refused is not None:
        console.print(f"[red]Refused.[/] {escape(result.refused)}")
    elif result.question is not None:
        console.print(f"[yellow]Question.[/] {escape(result.question)}")
    for number, call in enumerate(result.plan, start=1):
        console.print(f"  {number}. {call}", markup=False)
    if result.note is not None:
        console.print(escape(result.note))
    if result.verified:
        steps = f"{len(result.plan)} step{'s' * (len(result.plan) != 1)}"
        sure = result.expected_success
        chance = "" if sure is None else f"; chance that each works at its first try: {sure:.0%}"
        console.print(f"[green]✓[/] {steps}, verified on the skills' cards{chance}")
    who = f", goal proposed by {result.proposal.proposer}" if result.proposal else ""
    console.print(f"{result.seconds:.2f} s{who}", style="dim", markup=False)
