"""`robot-skills skills`: list, show, draw and add skills."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from robot_skills.cli.console import check_output, make_console, whole_file, write_json
from robot_skills.library import SkillLibrary
from robot_skills.skill import Skill

EXAMPLES = """\
examples:
  robot-skills skills list
  robot-skills skills show place
  robot-skills skills graph -o out/skills.png
  robot-skills skills add out/train/push --library my_skills
  robot-skills skills add out/train/all --skills pick,place,push --library my_skills
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "skills",
        help="list, show, draw and add skills",
        description="The skill library: a folder of skills, each a card (skill.yaml) and a trained policy.",
        epilog=EXAMPLES,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--library", metavar="DIR", type=Path, help="the library's folder (default: the one that comes along)"
    )
    shared.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")
    actions.add_parser("list", help="every skill, and whether it is trained", parents=[shared])
    show = actions.add_parser("show", help="a skill's card, and the card of its training", parents=[shared])
    show.add_argument("name", metavar="SKILL")
    graph = actions.add_parser("graph", help="a picture of which skill makes way for which", parents=[shared])
    graph.add_argument(
        "-o", "--output", metavar="FILE", type=Path, required=True, help="a .png, .pdf or .svg file"
    )
    add = actions.add_parser("add", help="copy a trained folder into the library", parents=[shared])
    add.add_argument("folder", metavar="FOLDER", type=Path, help="what `robot-skills train -o` wrote")
    add.add_argument(
        "--name", metavar="SKILL", help="the skill's name (default: its card's, or the folder's)"
    )
    add.add_argument(
        "--skills",
        metavar="A,B,C",
        type=lambda text: [name.strip() for name in text.split(",") if name.strip()],
        help="skills that share this policy, which learned them together; --name then names their folder",
    )
    add.add_argument("--force", action="store_true", help="replace a skill that is trained already")


def handle(args: argparse.Namespace) -> int:
    """Run one of the actions."""
    check_output(args.json)
    library = SkillLibrary.open(args.library, new=args.action == "add")
    actions = {"list": _list, "show": _show, "graph": _graph, "add": _add}
    write_json(args.json, actions[args.action](library, args))
    return 0


def _list(library: SkillLibrary, args: argparse.Namespace) -> dict[str, Any]:
    from rich.table import Table

    table = Table("skill", "parameters", "policy", "what it does", box=None, pad_edge=False)
    for name, skill in library.skills.items():
        table.add_row(name, ", ".join(skill.parameters), _policy(library, name), skill.summary)
    make_console().print(table, soft_wrap=False)
    return {"library": str(library.folder), "skills": [_record(library, name) for name in library.skills]}


def _show(library: SkillLibrary, args: argparse.Namespace) -> dict[str, Any]:
    skill = library.skill(args.name)
    console = make_console()
    console.print(f"[bold]{skill.name}[/]: {skill.summary}")
    for title, value in _lines(skill):
        console.print(f"  {title:<14}{value}", markup=False)
    console.print(f"  {'policy':<14}{_policy(library, skill.name)}", markup=False)
    home = library.home(skill.name)
    if home.name != skill.name:
        console.print(f"  {'weights':<14}{home}", markup=False)
    card = home / "README.md"
    if card.is_file():
        console.print(f"\n{card.read_text().rstrip()}", markup=False)
    return _record(library, skill.name)


def _graph(library: SkillLibrary, args: argparse.Namespace) -> dict[str, Any]:
    from robot_skills.cli.skill_picture import draw

    check_output(args.output)
    with whole_file(args.output) as temporary:
        found = draw(library.skills, temporary)
    for edge in found:
        make_console().print(f"{edge.giver} -> {edge.taker}: {', '.join(edge.supplies)}", markup=False)
    made = [{"from": edge.giver, "to": edge.taker, "supplies": list(edge.supplies)} for edge in found]
    return {"library": str(library.folder), "picture": str(args.output), "edges": made}


def _add(library: SkillLibrary, args: argparse.Namespace) -> dict[str, Any]:
    if args.skills:
        return _add_shared(library, args)
    name = library.add(args.folder, args.name, force=args.force).name
    done = "has new weights" if name in library.skills else "was added"
    make_console().print(f"The skill {name!r} {done}: {library.folder / name}", markup=False)
    return _record(SkillLibrary.open(library.folder), name)


def _add_shared(library: SkillLibrary, args: argparse.Namespace) -> dict[str, Any]:
    added = library.add_shared(args.folder, args.skills, args.name, force=args.force)
    again = SkillLibrary.open(library.folder)
    names = [skill.name for skill in added]
    make_console().print(f"{', '.join(names)} share one policy: {again.home(names[0])}", markup=False)
    return {"library": str(library.folder), "skills": [_record(again, name) for name in names]}


def _lines(skill: Skill) -> list[tuple[str, str]]:
    choices = {
        name: " or ".join(kind)
        if isinstance(kind, tuple)
        else f"something {kind.replace('|', ' or ').replace('&', ' and ')}"
        for name, kind in skill.parameters.items()
    }
    return [
        ("parameters", "; ".join(f"{name}: {kind}" for name, kind in choices.items())),
        ("needs", ", ".join(map(str, skill.preconditions)) or "nothing"),
        ("changes", ", ".join(map(str, skill.effects))),
        *((f"if {each.condition}", ", ".join(map(str, each.effects))) for each in skill.when),
        ("success", str(skill.success)),
        ("text", skill.text),
        ("time-out", f"{skill.timeout:g} s"),
    ]


def _policy(library: SkillLibrary, name: str) -> str:
    """The kind of policy, as the trained folder's configuration names it; or what a composite stands for."""
    if name in library.composites:
        return f"stands for {', '.join(step.skill for step in library.composites[name])}"
    if not library.trained(name):
        return "not trained"
    try:
        config = json.loads((library.home(name) / "config.json").read_text())
    except (OSError, ValueError):
        return "damaged"
    return str(config.get("policy", "unknown")) if isinstance(config, dict) else "damaged"


def _record(library: SkillLibrary, name: str) -> dict[str, Any]:
    trained, steps = library.trained(name), library.composites.get(name)
    weighty = trained and steps is None
    return {
        **library.skill(name).to_json(),
        "trained": trained,
        "policy": _policy(library, name) if weighty else None,
        "weights": str(library.home(name)) if weighty else None,
        "steps": None if steps is None else [str(step) for step in steps],
        "folder": str(library.folder / name),
    }
