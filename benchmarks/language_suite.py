"""Held-out commands in ten groups, what should be refused, and what should be asked back.

    python benchmarks/language_suite.py [--reader tuned|rules|raw|retrieval] [--only GROUP ...]
        [--planner embedded|openai]

The commands of `language_suite.yaml` were written without sight of the planner; its head says what is right.
A goal is right when it says the same as the expected formula, by truth tables, `closed` being the opposite of
`open`; where the command leaves a choice ("two of the balls"), the choice of one is right too, and counted
apart. The last row is what the checks of the reader of rules find without a model. "raw" is the embedded
model untuned, under the same grammar, and "retrieval" the answer to the nearest command of the phrasing.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from planning_goals import HERE, Case, checks_alone, make_scene
from reading_baselines import NearestCommand, Plain
from report import write_report

from planners.chat import ChatModel, chat_model
from planners.planner import Planner, PlanResult
from planners.proposer import GoalProposer, LanguageModelProposer
from planners.reader import ADAPTER, TunedModel
from robot_skills.library import SkillLibrary
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms, holds, parse
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill
from robot_skills.symbolic.verification import verify
from robot_skills.training.statistics import wilson_interval

NOTHING = "nothing"
Literals = frozenset[tuple[Atom, bool]]


@dataclass(frozen=True)
class Told(Case):
    """A case of the suite.

    Attributes:
        group: of the command.
    """

    group: str = ""


def load(path: Path) -> list[Told]:
    """The cases, group by group."""
    data = yaml.safe_load(path.read_text())
    scenes = {name: make_scene(**scene) for name, scene in data["scenes"].items()}
    cases = [
        Told(command, scenes[name], NOTHING if goal == NOTHING else parse(goal), group)
        for group, by_scene in data["goals"].items()
        for name, pairs in by_scene.items()
        for command, goal in pairs
    ]
    for kind, by_scene in data["refused"].items():
        cases += [
            Told(command, scenes[name], "refused", f"refused: {kind}")
            for name, commands in by_scene.items()
            for command in commands
        ]
    cases += [
        Told(command, scenes[name], "question", "asked back")
        for name, commands in data["question"].items()
        for command in commands
    ]
    return cases


# When a goal is right -------------------------------------------------------------------------------


def plain(formula: Formula) -> Formula:
    """The formula with `closed` as the opposite of `open`."""
    match formula:
        case Atom("closed", args):
            return Not(Atom("open", args))
        case Not(part):
            return Not(plain(part))
        case And(parts):
            return And(tuple(map(plain, parts)))
        case Or(parts):
            return Or(tuple(map(plain, parts)))
    return formula


def alternatives(formula: Formula, sign: bool = True) -> list[Literals]:
    """The disjunctive normal form: each alternative a set of atoms and whether they hold."""
    match formula:
        case Atom():
            return [frozenset({(formula, sign)})]
        case Not(part):
            return alternatives(part, not sign)
        case And(parts) | Or(parts):
            each = [alternatives(part, sign) for part in parts]
            if isinstance(formula, Or) == sign:
                return [one for part in each for one in part]
            return [frozenset().union(*chosen) for chosen in itertools.product(*each)]


def same(one: Formula, other: Formula) -> bool:
    """Whether two formulas say the same, by their truth tables."""
    known = sorted({*atoms(one), *atoms(other)})
    if len(known) > 16:
        return set(alternatives(one)) == set(alternatives(other))
    for values in itertools.product((False, True), repeat=len(known)):
        true = {atom for atom, value in zip(known, values, strict=True) if value}
        if holds(one, true.__contains__) != holds(other, true.__contains__):
            return False
    return True


def right_goal(goal: Formula, expected: Formula) -> bool:
    """Whether a goal says what was expected."""
    return same(plain(goal), plain(expected))


def chooses(goal: Formula, expected: Formula) -> bool:
    """Whether a goal is one of several alternatives that were left open."""
    wanted = alternatives(plain(expected))
    return len(wanted) > 1 and any(same(plain(goal), _conjunction(one)) for one in wanted)


def _conjunction(literals: Literals) -> Formula:
    return And(tuple(atom if true else Not(atom) for atom, true in sorted(literals)))


def to_do(goal: Formula, scene: SceneGraph) -> Formula:
    """A goal without those of its parts that hold already."""
    parts = goal.parts if isinstance(goal, And) else (goal,)
    return And(tuple(part for part in parts if not scene.holds(part)))


def judge(result: PlanResult, case: Case, skills: Mapping[str, Skill]) -> str:
    """Whether the planner did with a command what it should: "right", "chosen" or "wrong".

    What holds already may be left out of a goal, if the plan leaves it so.
    """
    expected, goal = case.right, result.goal
    if isinstance(expected, str):
        done = "question" if result.question else "refused" if result.refused else "goal"
        fits = done == expected or (expected == NOTHING and done == "goal" and not result.plan)
        return "right" if fits else "wrong"
    if goal is None:
        return "wrong"
    if right_goal(goal, expected):  # even where no plan reaches it from here
        return "right"
    if right_goal(to_do(goal, case.scene), to_do(expected, case.scene)):
        return "right" if verify(result.plan, expected, case.scene, skills).ok else "wrong"
    return "chosen" if chooses(goal, expected) else "wrong"


# Readers --------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Right answers, those that chose one of several; of wrong ones, what came instead; and seconds."""

    right: int = 0
    chosen: int = 0
    acted: int = 0
    refused: int = 0
    asked: int = 0
    of: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Count, rate, interval."""
        low, high = wilson_interval(self.right, self.of)
        rate = f"{self.right / self.of:.1%}", f"{low:.1%} to {high:.1%}"
        instead = (self.acted, self.refused, self.asked)
        return [f"{self.right}/{self.of}", *rate, str(self.chosen or ""), *map(str, instead)]


def judged(cases: Sequence[Told], planner: Planner) -> Iterator[tuple[Told, PlanResult, float]]:
    """What the planner makes of every case, and seconds."""
    for case in cases:
        began = time.perf_counter()
        result = planner.plan(case.command, case.scene)
        yield case, result, time.perf_counter() - began


def said(result: PlanResult) -> str:
    """What the planner did, for the list of what went wrong."""
    if result.refused is not None:
        return f"refused ({result.refused})"
    return f"asked ({result.question})" if result.question is not None else str(result.goal)


def proposer_of(reader: str, adapter: Path, model: ChatModel) -> GoalProposer:
    """Whose reading is judged."""
    if reader == "raw":
        return Plain(TunedModel(adapter=None))
    if reader == "retrieval":
        return Plain(NearestCommand())
    return LanguageModelProposer(model, reader=TunedModel(adapter) if reader == "tuned" else "rules")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=Path, default=HERE / "language_suite.yaml")
    parser.add_argument("--reader", choices=("tuned", "rules", "raw", "retrieval"), default="tuned")
    parser.add_argument("--adapter", type=Path, default=ADAPTER, help="of the tuned reader")
    parser.add_argument("--planner", default="embedded")
    parser.add_argument("--model")
    parser.add_argument("--base-url")
    parser.add_argument("--only", nargs="*", help="these groups")
    parser.add_argument(
        "--show", action="store_true", help="print what went wrong: then it is no test any more"
    )
    args = parser.parse_args()
    cases = [case for case in load(args.cases) if not args.only or case.group in args.only]
    model = chat_model(args.planner, args.model, args.base_url)
    skills = SkillLibrary.open().skills
    planner = Planner(skills, proposer_of(args.reader, args.adapter, model))
    planner.plan(cases[0].command, cases[0].scene)  # loads the models
    groups: dict[str, Tally] = {}
    alone = Tally()
    for number, (case, result, seconds) in enumerate(judged(cases, planner), start=1):
        tally = groups.setdefault(case.group, Tally())
        tally.of, tally.seconds = tally.of + 1, tally.seconds + seconds
        verdict = judge(result, case, skills)
        tally.right += verdict != "wrong"
        tally.chosen += verdict == "chosen"
        tally.acted += verdict == "wrong" and bool(result.plan)
        tally.refused += verdict == "wrong" and result.refused is not None
        tally.asked += verdict == "wrong" and result.question is not None
        if verdict == "wrong":
            tally.wrong.append(f"- {case.group}: {case.command!r}: {said(result)}, not {case.right}")
        if not isinstance(case.right, str):
            count(alone, case, checks_alone)
        print(f"\r{number} of {len(cases)}", end="", flush=True)
    print()
    table(groups, alone, args, NearestCommand.name if args.reader == "retrieval" else model.name)
    if args.show:
        print(*(line for tally in groups.values() for line in tally.wrong), sep="\n")


def count(tally: Tally, case: Told, reader: Callable[[Told], Formula | None]) -> None:
    """Add what a reader makes of a case."""
    goal, expected = reader(case), case.right
    tally.of += 1
    if goal is not None and not isinstance(expected, str):
        exact = right_goal(to_do(goal, case.scene), to_do(expected, case.scene))
        chosen = not exact and chooses(goal, expected)
        tally.right, tally.chosen = tally.right + (exact or chosen), tally.chosen + chosen


def table(groups: dict[str, Tally], alone: Tally, args: argparse.Namespace, model: str) -> None:
    """Write the table, under the name of the file of commands."""
    rows: list[list[Any]] = [
        [name, *tally.cells(), f"{tally.seconds / tally.of:.2f}"] for name, tally in groups.items()
    ]
    goals = [tally for name, tally in groups.items() if not name.startswith(("refused", "asked"))]
    refused = [tally for name, tally in groups.items() if name.startswith("refused")]
    for name, parts in (("**all goals**", goals), ("**all refusals**", refused)):
        if parts:
            counted = ("right", "chosen", "acted", "refused", "asked", "of", "seconds")
            whole = Tally(*(sum(getattr(part, what) for part in parts) for what in counted))
            rows.append([name, *whole.cells(), f"{whole.seconds / whole.of:.2f}"])
    if alone.of:
        rows.append(["all goals, the checks alone", *alone.cells(), ""])
    write_report(
        args.cases.stem + f"_{args.reader}" * (args.reader != "tuned"),
        f"Commands never seen, group by group: reader {args.reader}",
        [
            "group",
            "right",
            "rate",
            "95 % Wilson interval",
            "one of several chosen",
            "wrong, and would move",
            "wrongly refused",
            "wrongly asked",
            "s a command",
        ],
        rows,
        f"{model}. The commands were written without sight of the planner's words, examples or rules. "
        "A choice where the command leaves one counts as right. What went wrong is printed by --show alone, "
        "so that nobody mends a planner on its test by accident.",
    )  # fmt: skip


if __name__ == "__main__":
    main()
