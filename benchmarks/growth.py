"""What was grown: the composite skills of a folder of tasks, and how they shorten plans they had no part in.

    robot-skills generate --count 200 -o out/generated --grow --hours 1
    python benchmarks/growth.py out/generated

Plans are counted with the primitives alone and with the grown library: those of the held-out generated tasks,
and those of the held-out commands of `benchmarks/planning_goals.yaml`, from their goals.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from planning_goals import HERE, load_cases
from report import write_report

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import Skill
from robot_skills.symbolic.closed_loop import plan_to
from robot_skills.training.statistics import wilson_interval
from sim.generative.generation import read_tasks
from sim.generative.growth import LIBRARY, Practice, plan_lengths, read_practices, split


def of_commands(before: Mapping[str, Skill], after: Mapping[str, Skill]) -> dict[str, tuple[int, int]]:
    """Command -> calls of its plan with either set of skills, where there is a plan."""
    found = {}
    for case in load_cases(HERE / "planning_goals.yaml"):
        if isinstance(case.right, str):
            continue
        plans = [plan_to(case.right, case.scene, skills) for skills in (before, after)]
        if plans[0] is not None and plans[1] is not None:
            found[case.command] = (len(plans[0]), len(plans[1]))
    return found


def told(what: str, lengths: Mapping[str, tuple[int, int]]) -> str:
    """A sentence about plans before and after."""
    before, after = (sum(pair[index] for pair in lengths.values()) for index in (0, 1))
    shorter = sum(new < old for old, new in lengths.values())
    return (
        f"Plans of {len(lengths)} {what}: {before} calls with the primitives, {after} with what was grown; "
        f"{shorter} are shorter."
    )


def row(each: Practice) -> list[object]:
    """A line of the table."""
    low, high = wilson_interval(each.successes, each.trials)
    steps = ", ".join(step.partition("(")[0] for step in each.signature.split("; "))
    rate = f"{each.successes}/{each.trials} ({low:.0%} to {high:.0%})"
    return [each.name, steps, len(each.tasks), rate, "kept" if each.kept else "not kept"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of generated tasks, in which --grow was run")
    args = parser.parse_args()
    try:
        held_out = split(read_tasks(args.folder))[1]
        grown = SkillLibrary.open(args.folder / LIBRARY).skills
    except InputError as error:
        parser.error(str(error))
    practised = sorted(read_practices(args.folder).values(), key=lambda each: not each.kept)
    before = SkillLibrary.open().skills
    kept, trials = sum(each.kept for each in practised), sum(each.trials for each in practised)
    seconds = sum(each.seconds for each in practised)
    write_report(
        "growth",
        f"{kept} composite skills of {len(practised)} chains that were practised",
        ("chain", "steps", "tasks", "worked in", ""),
        map(row, practised),
        f"{told('held-out generated tasks', plan_lengths(held_out, before, grown))} "
        f"{told('held-out commands', of_commands(before, grown))} A chain is practised on scenes that "
        "nothing has seen, each step tried once, by the scripted experts, which read simulator state; "
        f"{trials} tries in {seconds:.0f} processor seconds. A chain that can no longer be kept is let go.",
    )


if __name__ == "__main__":
    main()
