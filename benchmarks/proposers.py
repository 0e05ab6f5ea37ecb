"""Who proposes: the grammar alone, the embedded model within it, the same model over HTTP.

    python benchmarks/proposers.py --count 30 -o out/proposers

Each generates so many accepted tasks with the same seed and the same gates. "openai" is the OpenAI-compatible
client against the embedded model's own server on this machine. A run that was stopped goes on where it was;
`--proposers` names some of them, and the table shows those whose tasks are complete.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from report import write_report
from rich.console import Console

from planners.chat import writer
from planners.embedded import EmbeddedModel
from robot_skills.embedding import sentence_embedding
from robot_skills.errors import InputError
from sim.generative.diversity import matched
from sim.generative.generation import (
    Funnel,
    GrammarProposer,
    Proposer,
    Record,
    generate,
    read_records,
    read_tasks,
)
from sim.generative.novelty import Embed
from sim.generative.sketch import SketchProposer
from sim.generative.task import Task

PROPOSERS = ("grammar", "embedded", "openai")
#: Descriptions in a sample, whose diversity is measured, and samples.
SAMPLE, DRAWS = 20, 5


def proposer(name: str) -> Proposer:
    """Build one by name."""
    if name == "grammar":
        return GrammarProposer()
    if name == "embedded":
        return SketchProposer(writer("embedded"))
    served = EmbeddedModel.from_options(None, None).address
    return SketchProposer(writer("openai", "SmolLM2-135M-Instruct", f"{served}/v1"))


def row(name: str, records: Sequence[Record], tasks: Sequence[Task], embed: Embed) -> list[object]:
    """What a proposer came to."""
    funnel = Funnel()
    for record in records:
        funnel.add(record)
    typed, new = funnel.rejected["schema"], funnel.rejected["novelty"]
    later = sum(funnel.rejected.values()) - typed - new
    proposing = funnel.seconds["propose"] / funnel.proposed
    found = matched([task.description for task in tasks], embed, min(SAMPLE, len(tasks)), DRAWS)
    bleu, vendi = (float(np.mean([getattr(one, key) for one in found])) for key in ("self_bleu", "vendi"))
    kinds = len({tuple(step.call.split("(")[0] for step in task.steps) for task in tasks})
    steps = float(np.mean([len(task.steps) for task in tasks]))
    return [
        name, funnel.proposed, typed, new, later, funnel.accepted, f"{funnel.cost:.1f}", f"{proposing:.2f}",
        f"{steps:.1f}", kinds, f"{bleu:.3f}", f"{vendi:.1f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=30, help="accepted tasks of each (default 30)")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/proposers"))
    parser.add_argument("--proposers", nargs="+", choices=PROPOSERS, default=PROPOSERS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    embed, rows = sentence_embedding(), []
    try:
        for name in args.proposers:
            generate(
                args.count, args.output / name, embed, Console(),
                seed=args.seed, local=True, proposer=proposer(name),
            )  # fmt: skip
    except InputError as error:
        parser.error(str(error))
    for name in PROPOSERS:
        records = read_records(args.output / name)
        if sum(record.gate is None for record in records) >= args.count:
            rows.append(row(name, records, read_tasks(args.output / name), embed))
    write_report(
        "proposers",
        f"{args.count} accepted tasks, by who proposed them",
        ("proposer", "proposed", "ill-typed", "not new", "fell later", "accepted", "CPU s each",
         "of it proposing",
         "steps", "sequences of skills", "Self-BLEU", "Vendi"),
        rows,
        f"The same gates and the same seed. CPU s each: for an accepted task, what fell included; of it "
        "proposing: for one proposal, in this process (a model that is asked over HTTP computes in the "
        "server's threads, which belong to it here too). Steps of a plan on average; different sequences of "
        f"skills among the plans. Self-BLEU and Vendi of {SAMPLE} descriptions, mean of {DRAWS} draws.",
    )  # fmt: skip


if __name__ == "__main__":
    main()
