"""Who solves generated tasks, and what it costs: each solver alone, the portfolio, demonstrations moved over.

python benchmarks/task_solvers.py out/generated [--tasks 8] [--episodes 2] [--sources 3]

Every solver is given the same tasks on the same scenes, which no gate has looked at. "Retargeted" plays
segments of `--sources` scripted demonstrations of the same task on other scenes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from report import write_report

from robot_skills.library import SkillLibrary
from robot_skills.training.statistics import wilson_interval
from sim.generative.generation import read_tasks
from sim.generative.multiplication import Retarget, segments_of
from sim.generative.solvers import SOLVERS, Solver
from sim.generative.task import Task
from sim.generative.trial import attempt
from sim.tabletop.world import TabletopWorld

FIRST, FIRST_SOURCE = 20_000, 30_000


def solvers_for(world: TabletopWorld, task: Task, sources: int, names: list[str]) -> dict[str, Solver]:
    found: dict[str, Solver] = {name: SOLVERS[name] for name in names if name in SOLVERS}
    if any(name.startswith("retargeted") for name in names):
        skills = SkillLibrary.open().skills
        bank = [
            segment
            for episode in range(FIRST_SOURCE, FIRST_SOURCE + sources)
            for segment in segments_of(world, task, episode, skills)
        ]
        moved = {
            "retargeted, straight": Retarget(bank, planned=False),
            "retargeted, planned": Retarget(bank),
            "retargeted, planned, noise 0.1": Retarget(bank, noise=0.1),
        }
        found |= {name: solver for name, solver in moved.items() if name in names}
    return found


def main() -> None:
    everyone = [
        *(name for name in SOLVERS if name != "MPPI"),
        "retargeted, straight", "retargeted, planned", "retargeted, planned, noise 0.1",
    ]  # fmt: skip
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--sources", type=int, default=3)
    parser.add_argument("--solvers", nargs="*", default=everyone)
    args = parser.parse_args()
    world, skills = TabletopWorld({}), SkillLibrary.open().skills
    everything = read_tasks(args.folder)
    tasks = everything[:: max(len(everything) // args.tasks, 1)][: args.tasks]
    solved: dict[str, list[bool]] = {name: [] for name in args.solvers}
    spent = dict.fromkeys(args.solvers, 0.0)
    for task in tasks:
        for name, solver in solvers_for(world, task, args.sources, args.solvers).items():
            for episode in range(FIRST, FIRST + args.episodes):
                began = time.process_time()
                trial = attempt(world, task, episode, skills, solver)
                spent[name] += time.process_time() - began
                solved[name].append(trial.success and trial.held)
    rows = []
    for name, results in solved.items():
        low, high = wilson_interval(sum(results), len(results))
        cost = spent[name] / max(len(results), 1)
        rows.append((name, f"{sum(results)}/{len(results)}", f"{low:.0%} to {high:.0%}", f"{cost:.2f}"))
    write_report(
        "task_solvers",
        f"Solvers on {len(tasks)} generated tasks, {args.episodes} fresh scenes each",
        ("solver", "solved", "95 % Wilson interval", "processor seconds an attempt"),
        rows,
        "Every task was accepted by gates whose attempts the scripted experts made, so their row says how "
        "well that carries over to fresh scenes, not how they compare on tasks chosen without them. An "
        "attempt may make two new plans. The portfolio tries the experts first, then predictive sampling.",
    )


if __name__ == "__main__":
    main()
