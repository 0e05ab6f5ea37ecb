"""Diversity of generated tasks beside released ones, at matched sample sizes.

python benchmarks/task_diversity.py out/generated

The rows of others are descriptions of released tasks measured with the same formulas (Self-BLEU: BLEU-4,
smoothing 1; all-MiniLM-L6-v2; Vendi score: exponential of the entropy of the cosine kernel). Self-BLEU and
the Vendi score depend on how many there are, so ours are drawn to the size of each of theirs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from report import write_report

from robot_skills.embedding import sentence_embedding
from sim.generative.diversity import Diversity, matched
from sim.generative.generation import read_tasks
from sim.generative.novelty import signature_of
from sim.generative.task import Step

#: name -> (tasks, Self-BLEU of 46, or None; mean cosine; mean cosine to the nearest; Vendi score of all)
RELEASED = {
    "RoboGen, example tasks": (46, 0.391, 0.451, 0.735, 11.8),
    "GenSim, generated": (152, 0.505, 0.492, 0.813, 12.2),
    "GenSim2": (50, 0.467, 0.339, 0.732, 15.1),
    "RoboTwin 2.0": (50, 0.399, 0.319, 0.664, 17.7),
    "LIBERO-90": (74, 0.765, 0.430, 0.921, 10.5),
}
DRAWS = 5


def mean(found: tuple[Diversity, ...], name: str) -> float:
    return float(np.mean([getattr(each, name) for each in found]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", type=Path)
    args = parser.parse_args()
    tasks = read_tasks(args.tasks)
    texts, embed = [task.description for task in tasks], sentence_embedding()
    few = matched(texts, embed, 46, DRAWS)
    rows: list[tuple[object, ...]] = []
    for name, (count, bleu, cosine, nearest, vendi) in RELEASED.items():
        rows.append((name, count, f"{bleu:.3f}", f"{cosine:.3f}", f"{nearest:.3f}", f"{vendi:.1f}"))
        ours = matched(texts, embed, count, DRAWS)
        rows.append(
            (f"ours, {count} of {len(texts)}", count, f"{mean(few, 'self_bleu'):.3f}",
             f"{mean(ours, 'cosine'):.3f}", f"{mean(ours, 'nearest'):.3f}", f"{mean(ours, 'vendi'):.1f}")
        )  # fmt: skip
    everything = matched(texts, embed, len(texts), 1)[0]
    rows.append(
        (f"ours, all {len(texts)}", len(texts), f"{mean(few, 'self_bleu'):.3f}", f"{everything.cosine:.3f}",
         f"{everything.nearest:.3f}", f"{everything.vendi:.1f}")
    )  # fmt: skip
    kinds = len({signature_of(task) for task in tasks})
    plans = len({tuple(step.call.split("(")[0] for step in task.steps) for task in tasks})
    bodies = len({_operators_and_kinds(task.steps) for task in tasks})
    note = (
        f"Ours: mean of {DRAWS} random subsets of the size of the row above. Self-BLEU of 46 throughout. "
        "Lower is more diverse but for the Vendi score. Our texts follow from goals by templates, theirs are "
        f"written by people or large models. Structure, which words cannot fake, in {len(tasks)} tasks: "
        f"{kinds} goal signatures (colours left out), {plans} sequences of skills, {bodies} of skills with "
        f"kinds of things. Descriptions with another one at a cosine above 0.9: {everything.alike:.0%}."
    )
    write_report(
        "task_diversity", "Diversity of tasks' descriptions",
        ("set", "tasks", "Self-BLEU of 46", "mean cosine", "nearest", "Vendi"), rows, note,
    )  # fmt: skip


def _operators_and_kinds(steps: tuple[Step, ...]) -> tuple[str, ...]:
    found = []
    for step in steps:
        call = step.skill_call
        found.append(" ".join([call.skill, *(value.split()[-1] for value in call.args.values())]))
    return tuple(found)


if __name__ == "__main__":
    main()
