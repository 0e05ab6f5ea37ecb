"""Plans by Fast Downward (Helmert, JAIR 26, 2006), which the extra `pddl` brings."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from robot_skills.errors import InputError, JobError
from robot_skills.logic import Formula
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.pddl.writer import Task, write_task
from robot_skills.symbolic.search import SearchResult, Verdict

#: How it searches: the first plan of LAMA, found fast, or one of least cost, by A* with landmark cuts.
SATISFICING, OPTIMAL = ("--alias", "lama-first"), ("--search", "astar(lmcut())")
#: Seconds before it is stopped.
PATIENCE = 60.0
# https://www.fast-downward.org/latest/documentation/exit-codes/
_PLAN, _NONE, _SPENT = (0, 1, 2, 3), (10, 11), (20, 21, 22, 23, 24)


def fast_downward(
    goal: Formula,
    scene: SceneGraph,
    skills: Mapping[str, Skill],
    cost: Callable[[SkillCall], float] | None = None,
) -> SearchResult:
    """Look for a plan as `symbolic.search` does, by LAMA's first search.

    Raises:
        InputError: it is not installed.
        JobError: it failed.
    """
    plan = solve(write_task(skills, scene, goal, cost))
    if not isinstance(plan, tuple):
        return SearchResult(plan)
    return SearchResult(Verdict.FOUND, plan, cost=sum(map(cost, plan)) if cost else float(len(plan)))


def solve(
    task: Task, search: tuple[str, str] = SATISFICING, seconds: float = PATIENCE
) -> tuple[SkillCall, ...] | Verdict:
    """The calls of a plan; `IMPOSSIBLE`, proved; `BUDGET` where time or memory was spent.

    Args:
        task: what to solve; for `OPTIMAL` written without quantifiers.
        search: `SATISFICING` or `OPTIMAL`.
        seconds: of processor time, whole ones.

    Raises:
        InputError: it is not installed.
        JobError: it failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / name for name in ("domain.pddl", "problem.pddl", "plan")]
        files[0].write_text(task.domain)
        files[1].write_text(task.problem)
        limit = f"{seconds:.0f}s"  # its own: it is several processes, and stops them all
        head = [sys.executable, str(driver()), "--plan-file", str(files[2]), "--overall-time-limit", limit]
        inputs = [str(file) for file in files[:2]]
        command = [*head, *search, *inputs] if search[0] == "--alias" else [*head, *inputs, *search]
        # It leaves files of its own where it runs.
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode in _SPENT:
            return Verdict.BUDGET
        if done.returncode in _NONE:
            return Verdict.IMPOSSIBLE
        if done.returncode not in _PLAN:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise JobError(f"Fast Downward failed with {done.returncode}: {said[-1] if said else 'no word'}")
        return task.calls(files[2].read_text())


def driver() -> Path:
    """The program to start.

    Raises:
        InputError: it is not installed.
    """
    found = importlib.util.find_spec("up_fast_downward")
    if found is None or found.origin is None:
        raise InputError("This needs Fast Downward: pip install 'robot-skills[pddl]'.")
    return Path(found.origin).parent / "downward" / "fast-downward.py"
