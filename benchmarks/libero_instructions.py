"""LIBERO's 130 instructions read, planned and replayed, offline and without a simulator.

    pip install 'robot-skills[libero]'
    python benchmarks/libero_instructions.py

Each task's scene graph is built from its BDDL file; the instruction is read by the names in the scene, and
the plan is searched for and replayed on the cards of `datasets/libero_skills`. The goal counts as the file's
when both leave the same to be done in the scene: literals that hold already are left out. A plan fulfils the
file when its promised end satisfies the file's goal.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from report import write_report

from planners.naming import NamedProposer
from planners.planner import Planner
from robot_skills.library import SkillLibrary
from robot_skills.logic import And, Formula
from robot_skills.scene_graph import SceneGraph
from robot_skills.symbolic.verification import verify
from robot_skills.training.statistics import wilson_interval
from sim.libero_scenes import LiberoTask, bddl_files, read_names, read_task

CARDS = Path(__file__).parent.parent / "datasets" / "libero_skills"


@dataclass(frozen=True)
class Judged:
    """What came of an instruction."""

    task: LiberoTask
    said: str
    goal: Formula | None
    why: str | None
    same: bool
    planned: bool
    executable: bool
    fulfils: bool


def parts(goal: Formula) -> tuple[Formula, ...]:
    return goal.parts if isinstance(goal, And) else (goal,)


def undone(goal: Formula, scene: SceneGraph) -> frozenset[Formula]:
    return frozenset(part for part in parts(goal) if not scene.holds(part))


def judge(task: LiberoTask, said: str, planner: Planner, library: SkillLibrary) -> Judged:
    result = planner.plan(said, task.scene)
    replay = verify(result.plan, result.goal, task.scene, library.skills) if result.goal is not None else None
    return Judged(
        task, said, result.goal, result.refused or result.question,
        same=result.goal is not None and undone(result.goal, task.scene) == undone(task.goal, task.scene),
        planned=result.verified,
        executable=result.verified and replay is not None and replay.ok,
        fulfils=result.verified and replay is not None and replay.final.holds(task.goal),
    )  # fmt: skip


def rate(count: int, total: int) -> str:
    low, high = wilson_interval(count, total)
    return f"{count} of {total} ({100 * low:.0f} to {100 * high:.0f} %)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--misses", action="store_true", help="list the instructions that were not read rightly"
    )
    args = parser.parse_args()
    library, names = SkillLibrary.open(CARDS), read_names(CARDS / "names.yaml")
    planner = Planner(library.skills, NamedProposer())
    tasks = [read_task(suite, path, names) for suite, path in bddl_files()]
    began = time.process_time()
    judged = {
        words: [judge(task, getattr(task, words), planner, library) for task in tasks]
        for words in ("instruction", "language")
    }
    spent = time.process_time() - began
    rows = []
    for words, title in (
        ("instruction", "as LIBERO's evaluation says it"),
        ("language", "as the file says it"),
    ):
        suites = dict.fromkeys(each.task.suite for each in judged[words])
        for suite in (*suites, "all"):
            own = [each for each in judged[words] if suite in (each.task.suite, "all")]
            plans = [each for each in own if each.planned]
            rows.append(
                [
                    title, suite, rate(sum(each.same for each in own), len(own)),
                    rate(sum(each.fulfils for each in own), len(own)),
                    f"{sum(each.executable for each in plans)} of {len(plans)}",
                    sum(each.goal is None for each in own),
                ]
            )  # fmt: skip
        if args.misses:
            for each in judged[words]:
                if not each.same:
                    print(f"{each.said} | {each.goal or each.why} | {each.task.goal}")
    write_report(
        "libero_instructions",
        "LIBERO's 130 instructions, read offline",
        [
            "words",
            "suite",
            "goal is the file's",
            "plan fulfils the file",
            "plans that replay",
            "refused or asked",
        ],
        rows,
        "No language model: instructions are read by the scene's names. No instruction was kept apart: what "
        "types of things are called (datasets/libero_skills/names.yaml) was written down and the reader made "
        "with the first wording in sight; the second shows what other words do to it. "
        f"{1000 * spent / (2 * len(tasks)):.0f} ms of processor time an instruction with its plan. "
        "Intervals: 95 %, Wilson.",
    )


if __name__ == "__main__":
    main()
