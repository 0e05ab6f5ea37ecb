"""How often a command is read rightly: the fine-tuned reader beside the rules, by kind of command.

    python benchmarks/reading.py [--adapter FILE] [--scenes N] [-o TABLE.md]

Three sets: commands of constructions that are held out of the reader's training (every construction in them,
one line of the phrasing files in nine), and the two files of hand-written commands that the planner was
developed with. An answer is right when it is the expected goal up to the order of its parts, refuses where a
refusal is right, and asks where a question is. The rules stand without their language model, which decides
between the readings they leave (`planning_goals.md`: it changes nothing in the rate there).
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from planning_goals import load_cases, normal
from report import hardware

from planners.compact import Answer, Ask, Goal
from planners.goal_form import GoalForm, refusal_for
from planners.hazards import hazards
from planners.phrasing.templates import count
from planners.phrasing.triples import write_triples
from planners.planner import Planner
from planners.proposer import Proposal, falls_short, follows_rules
from planners.reader import ADAPTER, TunedModel, read
from planners.reading import read_command
from robot_skills.library import SkillLibrary
from robot_skills.logic import Formula
from robot_skills.scene_graph import SceneGraph
from robot_skills.training.statistics import wilson_interval

HERE = Path(__file__).parent
#: Of the held-out commands; training uses small seeds, and never these constructions.
SEED, EACH = 990_001, 4
Said: TypeAlias = "Formula | str | None"


@dataclass(frozen=True)
class Case:
    """A command, its group, and what is right: a goal, "refused" or "question"."""

    group: str
    command: str
    scene: SceneGraph
    right: Formula | str


class Fixed:
    """A proposer that says what was found already: the planner then searches and verifies."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal

    def propose(self, command: str, scene: SceneGraph) -> Proposal:
        """What was found."""
        return self.proposal


def cases(scenes: int) -> Iterator[Case]:
    for triple in write_triples(SEED, scenes, EACH, held_out=True):
        yield Case(f"held out: {triple.family}", triple.command, triple.scene, expected(triple.answer))
    for name in ("planning_goals_development", "planning_goals"):
        for case in load_cases(HERE / f"{name}.yaml"):
            kind = case.right if isinstance(case.right, str) else "goals"
            yield Case(f"{name}: {kind}", case.command, case.scene, case.right)


def expected(answer: Answer) -> Formula | str:
    if isinstance(answer, Goal):
        return answer.formula()
    return "question" if isinstance(answer, Ask) else "refused"


def by_rules(command: str, scene: SceneGraph) -> Said:
    """The first goal that the rules admit."""
    if hazards().reason(command, scene):
        return "refused"
    reading = read_command(command, scene)
    if reading.refused or reading.question:
        return "refused" if reading.refused else "question"
    form = GoalForm(reading, scene)
    goals = form.sound_goals(1)
    if goals:
        return form.expand(goals[0])
    return "refused" if refusal_for(form)[0] else "question"


def by_model(model: TunedModel, command: str, scene: SceneGraph) -> tuple[Said, bool]:
    """What the tuned model reads, None where its answer fails the checks; whether the rules know more."""
    if hazards().reason(command, scene):
        return "refused", False
    answer, _ = read(model, command, scene)
    if answer is None:
        return None, True
    return expected(answer), follows_rules(command) and falls_short(answer, command, scene)


def planned(said: Said, case: Case, planner: Callable[[Proposal], Planner]) -> Said:
    """What the planner makes of it: a goal that no plan reaches is refused, unless it was right so."""
    if said is None or isinstance(said, str) or normal(said) == normal(case.right):
        return said
    result = planner(Proposal(said)).plan(case.command, case.scene)
    return "refused" if result.refused else said


def right(said: Said, case: Case) -> bool:
    return bool(normal(said) == normal(case.right))


def _tuned(tuned: Said, rules: Said, short: bool) -> Said:
    return rules if tuned is None else tuned


def _rules_first(tuned: Said, rules: Said, short: bool) -> Said:
    return _tuned(tuned, rules, short) if isinstance(rules, str) else rules


#: Who answers: of what the model read, what the rules found, and whether these know more.
POLICIES: dict[str, Callable[[Said, Said, bool], Said]] = {
    "rules": lambda tuned, rules, short: rules,
    "tuned": _tuned,
    "rules where they find a goal": _rules_first,
    "tuned, rules where they know more": lambda tuned, rules, short: rules if short else tuned,
}


@dataclass
class Row:
    """Right answers of a group by policy, and commands answered by a wrong goal."""

    right: dict[str, int]
    wrong_goals: dict[str, int]
    of: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--adapter", type=Path, default=ADAPTER)
    parser.add_argument("--scenes", type=int, default=75, help=f"of {EACH} held-out commands each")
    parser.add_argument("--every", type=int, default=1, help="take one case in so many")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "reading.md")
    args = parser.parse_args()
    model, skills = TunedModel(args.adapter, args.threads), SkillLibrary.open().skills
    rows: dict[str, Row] = {}
    wrong: list[str] = []
    clock, processor, asked = time.perf_counter(), time.process_time(), 0
    for case in itertools.islice(cases(args.scenes), 0, None, args.every):
        tuned, short = by_model(model, case.command, case.scene)
        asked += 1
        rules = by_rules(case.command, case.scene)
        for group in (case.group, f"{case.group.partition(':')[0]}: all"):
            row = rows.setdefault(group, Row(dict.fromkeys(POLICIES, 0), dict.fromkeys(POLICIES, 0)))
            row.of += 1
            for name, policy in POLICIES.items():
                said = planned(policy(tuned, rules, short), case, lambda found: Planner(skills, Fixed(found)))
                row.right[name] += right(said, case)
                row.wrong_goals[name] += not isinstance(said, (str, type(None))) and not right(said, case)
        if not right(planned(tuned, case, lambda found: Planner(skills, Fixed(found))), case):
            wrong.append(f"- {case.group}: {case.command!r} gave `{tuned}`, not `{case.right}`")
    spent = (time.perf_counter() - clock) / asked, (time.process_time() - processor) / asked
    write(args, rows, wrong, spent)


def write(args: Any, rows: dict[str, Row], wrong: Sequence[str], spent: tuple[float, float]) -> None:
    where = f"{hardware()}, Python {platform.python_version()}"
    lines = [
        "# Reading commands",
        "",
        f"`python benchmarks/reading.py --scenes {args.scenes} --every {args.every}`: {where}, load average "
        f"{os.getloadavg()[0]:.1f}, {args.threads} thread(s) for the model. {spent[0]:.2f} s a command, "
        f"{spent[1]:.2f} s of processor time, tuned reader and rules together. {count()} constructions in "
        "the phrasing files. 95 % Wilson intervals; in brackets, how many were answered by a wrong goal.",
        "",
        f"| | of | {' | '.join(POLICIES)} |",
        f"|---|---|{'---|' * len(POLICIES)}",
        *(_line(name, row) for name, row in sorted(rows.items())),
        "",
        "Wrong, of the tuned reader:",
        "",
        *wrong,
    ]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    temporary = args.output.with_suffix(".part")
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(args.output)
    print("\n".join(lines))


def _line(name: str, row: Row) -> str:
    cells = []
    for policy in POLICIES:
        low, high = wilson_interval(row.right[policy], row.of)
        rate = f"{100 * row.right[policy] / row.of:.1f} % ({100 * low:.0f} - {100 * high:.0f})"
        cells.append(f"{row.right[policy]}, {rate} [{row.wrong_goals[policy]}]")
    return f"| {name} | {row.of} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
