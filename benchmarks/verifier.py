"""How well the gates of generation tell broken tasks from sound ones.

Broken: the faults of `sim.generative.faults`, applied in turn to generated tasks, so that what is wrong is
known. Sound: generated tasks under another seed, so that every scene is one that no gate has seen. A task is
called broken when it falls at any gate (novelty is not asked).

python benchmarks/verifier.py out/generated [--count 100] [--sound 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from report import write_report

from robot_skills.library import SkillLibrary
from robot_skills.training.statistics import wilson_interval
from sim.generative.faults import FAULTS
from sim.generative.gates import Verdict, examine
from sim.generative.generation import read_tasks
from sim.generative.phrases import instructions
from sim.generative.task import Task
from sim.tabletop.world import TabletopWorld


def broken(tasks: list[Task], count: int, seed: int) -> Iterator[tuple[str, Task]]:
    """So many broken tasks, the faults in turn, each on the next task to which it applies."""
    turns = {name: itertools.cycle(tasks) for name in FAULTS}
    made = 0
    for name in itertools.cycle(FAULTS):
        for _ in tasks:
            found = FAULTS[name](next(turns[name]), np.random.default_rng([seed, made]))
            if found is not None:
                yield name, found
                made += 1
                break
        if made == count:
            return


def sound(tasks: list[Task], count: int, seed: int) -> Iterator[Task]:
    """The tasks with other scenes and other words."""
    for number, task in enumerate(tasks[-count:]):
        other = 10_000_000 + 1_000 * seed + number
        yield replace(task, seed=other, instructions=instructions(task.goal, other))


def rate(hits: int, of: int) -> str:
    low, high = wilson_interval(hits, of)
    return f"{hits}/{of} = {hits / max(of, 1):.1%} ({low:.1%} to {high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--sound", type=int, default=100, help="sound tasks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="one line of JSON for each task")
    args = parser.parse_args()
    world, skills = TabletopWorld({}), SkillLibrary.open().skills
    tasks = [  # said anew: the gates compare words with those of this release
        replace(task, instructions=instructions(task.goal, task.seed)) for task in read_tasks(args.tasks)
    ]
    began = time.process_time()
    caught: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    gates: dict[str, Counter[str]] = {name: Counter() for name in FAULTS}

    def ask(label: str, task: Task) -> Verdict:
        verdict = examine(world, task, skills)
        if args.log is not None:
            line = {"label": label, "task": task.name, "gate": verdict.gate, "reason": verdict.reason}
            with args.log.open("a") as file:
                file.write(json.dumps(line) + "\n")
        return verdict

    for name, task in broken(tasks, args.count, args.seed):
        verdict = ask(name, task)
        shown[name] += 1
        caught[name] += not verdict.accepted
        gates[name][verdict.gate or "none"] += 1
    controls = [ask("sound", task) for task in sound(tasks, args.sound, args.seed)]
    refused = [verdict for verdict in controls if not verdict.accepted]
    total, hits = shown.total(), caught.total()
    rows: list[tuple[object, ...]] = [
        (name, f"{caught[name]}/{shown[name]}", ", ".join(f"{g} {n}" for g, n in gates[name].most_common()))
        for name in FAULTS
    ]
    at = Counter(verdict.gate for verdict in refused)
    rows.append(
        ("sound, refused", f"{len(refused)}/{len(controls)}", ", ".join(f"{g} {n}" for g, n in at.items()))
    )
    passed = len(controls) - len(refused)
    note = (
        f"Recall of faults {rate(hits, total)}; precision of refusals {rate(hits, hits + len(refused))}; "
        f"of what was accepted, sound {rate(passed, passed + total - hits)}. Intervals: 95 %, Wilson. "
        f"{(time.process_time() - began) / (total + len(controls)):.1f} processor seconds a task."
    )
    write_report(
        "verifier", f"The gates on {total} broken and {len(controls)} sound tasks",
        ("task", "stopped", "at the gates"), rows, note,
    )  # fmt: skip


if __name__ == "__main__":
    main()
