"""What was grown: the composite skills of a folder of tasks, and how they shorten plans they had no part in.

    robot-skills generate --count 200 -o out/generated --grow --hours 1
    python benchmarks/growth.py out/generated
    python benchmarks/growth.py out/generated --judge embedded

Plans are counted with the primitives alone and with the grown library: those of the held-out generated tasks,
and those of the held-out commands of `benchmarks/planning_goals.yaml`, from their goals. With
`--judge` only the order is looked at in which chains are practised: by recurrence, by what a language model
says of them, and by both; does it have those first that are kept?
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from planning_goals import HERE, load_cases
from report import write_report

from planners.chat import Writer, writer
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import Skill
from robot_skills.symbolic.closed_loop import plan_to
from robot_skills.training.statistics import wilson_interval
from sim.generative.chains import Chain
from sim.generative.generation import read_tasks
from sim.generative.growth import LIBRARY, plan_lengths, read_practices, split
from sim.generative.judgement import Judge, Judgement, worth
from sim.generative.practice import Practice

Array = NDArray[np.float64]
RESAMPLES = 10_000


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


def report_grown(folder: Path) -> None:
    """Write what was grown, and the plans with and without it.

    Raises:
        InputError: nothing was grown there.
    """
    held_out = split(read_tasks(folder))[1]
    grown = SkillLibrary.open(folder / LIBRARY).skills
    practised = sorted(read_practices(folder).values(), key=lambda each: not each.kept)
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


def area(scores: Array, kept: NDArray[np.bool_]) -> float:
    """How often a chain that is kept scores higher than one that is not, of all such pairs; ties half."""
    above = scores[kept][:, None] - scores[~kept][None, :]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


def resampled(scores: Sequence[Array], kept: NDArray[np.bool_]) -> list[Array]:
    """The area of each set of scores on the same resamples of the chains."""
    rng = np.random.default_rng(0)
    draws = (rng.integers(len(kept), size=len(kept)) for _ in range(RESAMPLES))
    both = [draw for draw in draws if 0 < kept[draw].sum() < len(kept)]
    return [np.array([area(each[draw], kept[draw]) for draw in both]) for each in scores]


def order_rows(scores: Mapping[str, Array], kept: NDArray[np.bool_]) -> list[list[object]]:
    """A line of the table for each order, the first being what the others are compared with."""
    areas = resampled(list(scores.values()), kept)
    rows: list[list[object]] = []
    for (name, score), drawn in zip(scores.items(), areas, strict=True):
        low, high = np.percentile(drawn, (2.5, 97.5))
        less, more = np.percentile(drawn - areas[0], (2.5, 97.5))
        change = f"{less:+.2f} to {more:+.2f}" if rows else ""
        rows.append([name, f"{area(score, kept):.2f} ({low:.2f} to {high:.2f})", change])
    return rows


def counted(judgements: Sequence[Judgement], kept: NDArray[np.bool_]) -> str:
    """How often each number was said, and of how many chains that were kept."""
    said = Counter((each.sensible or 0, bool(worked)) for each, worked in zip(judgements, kept, strict=True))
    return "; ".join(
        f"{number or 'nothing'} of {said[number, False] + said[number, True]}, "
        f"{said[number, True]} of them kept"
        for number in sorted({number for number, _ in said})
    )


def report_order(folder: Path, model: Writer) -> None:
    """Judge the chains that were practised, and write how well each order has those first that were kept.

    Raises:
        InputError: there are none of either sort, or the model cannot be reached.
    """
    practised = list(read_practices(folder).values())
    if len({each.kept for each in practised}) < 2:
        raise InputError(f"{folder} does not hold both chains that were kept and chains that were not.")
    judge, chains = Judge(model), [Chain.parse(each.signature) for each in practised]
    judgements = [judge.judge(chain) for chain in chains]
    saved = [(len(c.steps) - 1) * len(each.tasks) for c, each in zip(chains, practised, strict=True)]
    both = [worth(steps, said) for steps, said in zip(saved, judgements, strict=True)]
    alone = [worth(1, said) for said in judgements]
    scores = {"recurrence": saved, "the model": alone, "recurrence times the model": both}
    kept = np.array([each.kept for each in practised])
    write_report(
        "growth_order",
        f"Which order has those chains first that are kept: {judge.name}",
        ("order", "area under the curve (95 % interval)", "less that of recurrence"),
        order_rows({name: np.array(each, dtype=float) for name, each in scores.items()}, kept),
        f"{kept.sum()} of {len(kept)} chains were kept. The area is how often one that was kept comes before "
        "one that was not: 0.5 is no better than chance. Intervals are over resamples of the chains "
        f"({RESAMPLES:,}, the same for all orders). The model said {counted(judgements, kept)}. "
        "Recurrence says how many steps a chain would save, which is not asked here. Chains for one kind of "
        "thing are there only where the chain for all kinds failed, and come later whatever the order.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of generated tasks, in which --grow was run")
    parser.add_argument("--judge", metavar="NAME", help="embedded or openai: only the order of practice")
    parser.add_argument("--model", metavar="NAME", help="of the judge: a .gguf file, or the server's name")
    parser.add_argument("--base-url", metavar="URL", help="of the judge's server")
    args = parser.parse_args()
    try:
        if args.judge is None:
            report_grown(args.folder)
        else:
            report_order(args.folder, writer(args.judge, args.model, args.base_url))
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
