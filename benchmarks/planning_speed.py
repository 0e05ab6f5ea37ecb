"""How fast plans are found and what they cost, beside Fast Downward on the same problems.

    python benchmarks/planning_speed.py [--problems 20] [--first-seed 800000]

Problems are drawn over the tabletop's skills: things stand about and on one another, a goal builds towers,
fills the drawer and the bowl, shuts the drawer or presses the button. Costs of calls differ by skill and by
place. Ours counts grounding, search and replay; Fast Downward its translation and its search, from the files
that our PDDL writer makes. LAMA's first search looks for some plan; A* with landmark cuts proves the least
cost, where it ends in time. Every plan of each is replayed on the cards.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from report import write_report

from robot_skills.library import SkillLibrary
from robot_skills.logic import And, Atom, Formula
from robot_skills.scene_graph import Entity, SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.pddl.fast_downward import OPTIMAL, SATISFICING, solve
from robot_skills.symbolic.pddl.writer import write_task
from robot_skills.symbolic.search import Verdict, search
from robot_skills.symbolic.verification import verify
from sim.tabletop.oracle import TAGS, fitting

#: (things, parts of the goal)
ROWS = ((5, 2), (5, 4), (10, 5), (10, 8), (15, 8), (15, 13))
#: Rows that A* with landmark cuts is given, and the seconds that Fast Downward may take a problem.
PROVED, SECONDS = ROWS[:4], 5.0
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "white", "pink", "black")
Plan = Sequence[SkillCall]


@dataclass(frozen=True)
class Problem:
    """What there is, and what is wanted."""

    scene: SceneGraph
    goal: Formula


@dataclass(frozen=True)
class Answer:
    """Processor seconds, and what the plan costs; None without one."""

    seconds: float
    cost: float | None
    steps: int = 0


def price(call: SkillCall) -> float:
    """A made-up price list: places differ, so that the shortest plan need not be the cheapest."""
    target = call.args.get("target")
    match call.skill:
        case "place":
            return 1.0 if target == "table" else 1.3 if call.args["relation"] == "in" else 1.8
        case "open" | "close":
            return 1.5
    return 1.0


def draw(things: int, parts: int, seed: int) -> Problem:
    """A problem of so many things and so many parts of the goal; the seed fixes it."""
    rng = random.Random(seed)
    count = things - 1
    blocks = [f"{colour} block" for colour in rng.sample(COLOURS, (2 * count + 2) // 3)]
    balls = [f"{colour} ball" for colour in rng.sample(COLOURS, count - len(blocks))]
    names = (*blocks, *balls, "white bowl")
    entities = [Entity(name, name.split()[-1], frozenset(TAGS[name.split()[-1]])) for name in names]
    entities += [Entity(name, name, frozenset(TAGS[name])) for name in ("drawer", "button", "table")]
    facts = {Atom("on", (name, place)) for name, place in _piles(blocks, rng)}
    facts |= {Atom("on", (name, "table")) for name in (*balls, "white bowl")}
    scene = SceneGraph(tuple(entities), frozenset(facts | set(fitting(entities))))
    wanted = [Atom("on", (name, place)) for name, place in _piles(blocks, rng) if place != "table"]
    wanted += [Atom("in", (ball, rng.choice(("drawer", "white bowl")))) for ball in balls]
    chosen = rng.sample(wanted, min(parts - 1, len(wanted)))
    return Problem(
        scene, And((*chosen, rng.choice((Atom("closed", ("drawer",)), Atom("pressed", ("button",))))))
    )


def _piles(blocks: Sequence[str], rng: random.Random) -> list[tuple[str, str]]:
    """Where each block stands: on the table, or on the top of one that stands already."""
    tops, placed = ["table"], []
    for block in rng.sample(blocks, len(blocks)):
        place = rng.choice(tops) if rng.random() < 0.7 else "table"
        placed.append((block, place))
        tops = [top for top in tops if top != place or top == "table"] + [block]
    return placed


def ours(problem: Problem, skills: Mapping[str, Skill]) -> Answer:
    began = time.process_time()
    result = search(ground(skills, problem.scene, price), problem.goal)
    right = verify(result.plan, problem.goal, problem.scene, skills).ok
    spent = time.process_time() - began
    if result.verdict is not Verdict.FOUND:
        return Answer(spent, None)
    assert right, f"a plan that does not hold: {result.plan}"
    return Answer(spent, result.cost, len(result.plan))


def theirs(how: tuple[str, str], quantifiers: bool) -> Callable[[Problem, Mapping[str, Skill]], Answer]:
    def answer(problem: Problem, skills: Mapping[str, Skill]) -> Answer:
        task = write_task(skills, problem.scene, problem.goal, price, quantifiers=quantifiers)
        began = _children()
        plan = solve(task, how, SECONDS)
        spent = _children() - began
        if not isinstance(plan, tuple):
            return Answer(spent, None)
        assert verify(plan, problem.goal, problem.scene, skills).ok, f"a plan that does not hold: {plan}"
        return Answer(spent, sum(map(price, plan)), len(plan))

    return answer


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return ""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def dearer(answers: Sequence[Answer], least: Sequence[Answer]) -> str:
    """How much more plans cost than others, over the problems where both are known."""
    pairs = [(a.cost, b.cost) for a, b in zip(answers, least, strict=True) if a.cost and b.cost]
    if not pairs:
        return ""
    return f"{100 * (sum(a for a, _ in pairs) / sum(b for _, b in pairs) - 1):+.1f} % of {len(pairs)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=800_000)
    args = parser.parse_args()
    skills = SkillLibrary.open().skills
    table = []
    for things, parts in ROWS:
        problems = [draw(things, parts, args.first_seed + number) for number in range(args.problems)]
        mine = [ours(problem, skills) for problem in problems]
        lama = [theirs(SATISFICING, True)(problem, skills) for problem in problems]
        proof = theirs(OPTIMAL, False)
        least = [proof(problem, skills) for problem in problems] if (things, parts) in PROVED else []
        solved = [len([a for a in each if a.cost is not None]) for each in (mine, lama, least)]
        table.append(
            [
                things, parts, spread([a.steps for a in mine], 0), f"{solved[0]} of {len(problems)}",
                spread([a.seconds for a in mine], 2), spread([a.cost for a in mine if a.cost], 1),
                f"{solved[1]} of {len(problems)}", spread([a.seconds for a in lama], 2),
                spread([a.cost for a in lama if a.cost], 1), dearer(mine, lama),
                f"{solved[2]} of {len(least)}" if least else "not asked",
                spread([a.seconds for a in least], 2), dearer(mine, least) if least else "",
            ]
        )  # fmt: skip
    write_report(
        "planning_speed",
        "Plans: how fast and how cheap, beside Fast Downward",
        ["things", "parts of the goal", "steps (ours)", "ours solves", "ours, s", "cost", "lama-first solves",
         "lama-first, s", "cost", "ours dearer than lama-first", "A* lmcut proves", "A* lmcut, s",
         "ours dearer than the least"],
        table,
        f"{args.problems} problems a row, seeds from {args.first_seed}: medians, least and most in brackets. "
        "Processor seconds of one core: ours with grounding and replay, Fast Downward with its translation "
        f"(A* is stopped after {SECONDS:.0f} s). lama-first looks for some plan and minds no cost.",
    )  # fmt: skip


if __name__ == "__main__":
    main()
