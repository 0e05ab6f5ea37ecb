"""How often a command is turned into exactly the right goal, refused or asked back where it should be.

    python benchmarks/planning_goals.py [--cases FILE] [--planner embedded|openai ...] [-o TABLE.md]

Cases lie apart from the examples that the model is shown. A goal counts when it is the expected formula up
to the order of its parts. Four ways of the reader of rules are compared: everything; without retrieval (the
same eight examples for every command); what the model writes at first, before the soundness checks; and the
checks without a model (the first goal they admit).
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from report import hardware

from planners.chat import chat_model
from planners.examples import Example, ExampleBank, bank
from planners.goal_form import GoalForm
from planners.planner import Planner
from planners.proposer import SHOWN, LanguageModelProposer, Proposal
from planners.reading import Reading, read_command
from robot_skills.embedding import sentence_embedding
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import And, Atom, Formula, Not, Or, parse, parse_atom
from robot_skills.scene_graph import Entity, SceneGraph
from robot_skills.training.statistics import wilson_interval
from sim.tabletop.oracle import TAGS, fitting

HERE = Path(__file__).parent
SETS = ("goals", "refused", "question")


@dataclass(frozen=True)
class Case:
    """A command in a scene, and what is right: a goal, "refused" or "question"."""

    command: str
    scene: SceneGraph
    right: Formula | str


class FixedExamples(ExampleBank):
    """The same examples for every command: no retrieval."""

    def nearest(self, reading: Reading, count: int) -> tuple[Example, ...]:
        """Evenly spread over the bank."""
        step = len(self.examples) / count
        return tuple(self.examples[int(number * step)] for number in range(count))


def load_cases(path: Path) -> list[Case]:
    data = yaml.safe_load(path.read_text())
    scenes = {name: make_scene(**scene) for name, scene in data["scenes"].items()}
    cases = [
        Case(command, scenes[name], parse(goal))
        for name, pairs in data["goals"].items()
        for command, goal in pairs
    ]
    for kind in SETS[1:]:
        cases += [Case(c, scenes[name], kind) for name, commands in data[kind].items() for c in commands]
    known = {example.command for example in bank()}
    shared = [case.command for case in cases if read_command(case.command, case.scene).text in known]
    print(f"{len(cases)} cases; {len(shared)} of them reduce to a command of the example bank word for word")
    return cases


def make_scene(objects: Sequence[str], facts: Sequence[str]) -> SceneGraph:
    entities = [_entity(name) for name in (*objects, "drawer", "door", "button", "table")]
    true = {parse_atom(fact) for fact in facts}
    placed = {fact.args[0] for fact in true if fact.predicate in ("on", "in", "holding")}
    true |= {Atom("on", (name, "table")) for name in objects if name not in placed}
    return SceneGraph(tuple(entities), frozenset(true | set(fitting(entities))))


def _entity(name: str) -> Entity:
    *adjectives, kind = name.split()
    described = dict(zip(("colour", "size"), reversed(adjectives), strict=False))
    return Entity(name, kind, frozenset(TAGS[kind]), described)


def normal(formula: Formula | str | None) -> Any:
    match formula:
        case And(parts):
            return "and", frozenset(map(normal, parts))
        case Or(parts):
            return "or", frozenset(map(normal, parts))
        case Not(part):
            return "not", normal(part)
    return str(formula)


def first_goal(case: Case, proposal: Proposal) -> Formula | None:
    """What the model wrote before the soundness checks, with the scene's names."""
    form = GoalForm(read_command(case.command, case.scene), case.scene)
    goal = form.from_text(proposal.first) if proposal.first else None
    return None if goal is None else form.expand(goal)


def checks_alone(case: Case) -> Formula | None:
    reading = read_command(case.command, case.scene)
    form = GoalForm(reading, case.scene)
    goals = () if reading.refused or reading.question else form.sound_goals()
    return form.expand(goals[0]) if goals else None


@dataclass
class Tally:
    """Right answers and the time they took."""

    right: int = 0
    of: int = 0
    seconds: float = 0.0
    processor: float = 0.0

    def row(self, name: str) -> str:
        """A line of the table."""
        low, high = wilson_interval(self.right, self.of)
        took = f"{self.seconds / self.of:.2f} | {self.processor / self.of:.2f}" if self.seconds else "- | -"
        rate = f"{100 * self.right / self.of:.1f} % | {100 * low:.1f} - {100 * high:.1f} %"
        return f"| {name} | {self.right}/{self.of} | {rate} | {took} |"


def run(
    name: str, cases: Sequence[Case], planner: Planner, tell: Callable[[str], None]
) -> tuple[dict[str, Tally], Tally, int]:
    """Plan every case; tallies by set, of the model's first answers, and how often it was asked again."""
    tallies, first, again = {kind: Tally() for kind in SETS}, Tally(), 0
    for case in cases:
        kind = case.right if isinstance(case.right, str) else "goals"
        clock, processor = time.perf_counter(), time.process_time()
        result = planner.plan(case.command, case.scene)
        tally = tallies[kind]
        tally.of += 1
        tally.seconds += time.perf_counter() - clock
        tally.processor += time.process_time() - processor
        # A goal that no plan reaches, such as taking back a button's press, may still be the right goal.
        no_goal = "refused" if result.refused else "question" if result.question else None
        said = no_goal or result.goal if kind != "goals" else result.goal or no_goal
        tally.right += normal(said) == normal(case.right)
        if normal(said) != normal(case.right):
            tell(f"- {name}: {case.command!r} gave `{said}`, not `{case.right}`")
        assert result.verified or not result.plan
        if kind == "goals" and result.proposal is not None:
            first.of += 1
            first.right += normal(first_goal(case, result.proposal)) == normal(case.right)
            again += result.proposal.choices > 0
    return tallies, first, again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=HERE / "planning_goals.yaml")
    parser.add_argument("--planner", default="embedded")
    parser.add_argument("--model")
    parser.add_argument("--base-url")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "planning_goals.md")
    args = parser.parse_args()
    cases, skills = load_cases(args.cases), SkillLibrary.open().skills
    model = chat_model(args.planner, args.model, args.base_url)
    wrong: list[str] = []
    rows: list[str] = []
    for name, examples in (("", ExampleBank), (", without retrieval", FixedExamples)):
        planner = Planner(
            skills, LanguageModelProposer(model, examples(sentence_embedding(), bank()), reader="rules")
        )
        try:
            planner.plan(cases[0].command, cases[0].scene)  # loads the models
        except InputError as error:
            raise SystemExit(str(error)) from error
        tallies, first, again = run(name.strip(", ") or "everything", cases, planner, wrong.append)
        rows.append(tallies["goals"].row(f"goals{name} (asked again: {again})"))
        rows.append(first.row(f"goals{name}, the model's first answer"))
        if not name:
            rows += [tallies["refused"].row("refusals"), tallies["question"].row("questions")]
        print("\n".join(rows), flush=True)
    goals = [case for case in cases if not isinstance(case.right, str)]
    alone = Tally(sum(normal(checks_alone(case)) == normal(case.right) for case in goals), len(goals))
    rows.append(alone.row("goals, the checks alone: no model"))
    write(args.output, args.cases, model.name, rows, wrong)


def write(path: Path, cases: Path, model: str, rows: Sequence[str], wrong: Sequence[str]) -> None:
    load = os.getloadavg()[0]
    about = [line[2:] for line in cases.read_text().splitlines() if line.startswith("# ")]
    where = f"{hardware()}, Python {platform.python_version()}, load average {load:.1f}"
    lines = [
        "# From commands to goals",
        "",
        f"`python benchmarks/planning_goals.py --cases benchmarks/{cases.name}`: {model}, {SHOWN} examples "
        f"shown; {where}. A goal is right when it is the expected formula, up to order; 95 % Wilson "
        "intervals.",
        "",
        "| | right | rate | interval | s a command | processor s |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"About the commands of {cases.name}: " + " ".join(about),
        "",
        "Wrong:" if wrong else "Nothing was wrong.",
        "",
        *wrong,
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(path)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
