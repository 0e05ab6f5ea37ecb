"""The funnel of a folder of generated tasks: how many fell at each gate, and what it cost.

robot-skills generate --count 200 -o out/generated && python benchmarks/generation.py out/generated
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from report import write_report

from robot_skills.training.statistics import wilson_interval
from sim.generative.generation import Funnel, Record, read_records


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--note", default="", help="how it was made, where that is not the present code")
    args = parser.parse_args()
    records, funnel = read_records(args.folder), Funnel()
    for record in records:
        funnel.add(record)
    rows = [
        (gate, reached, fell, f"{fell / max(reached, 1):.0%}", f"{spent:.1f}")
        for gate, reached, fell, spent in funnel.rows()
    ]
    accepted = [record for record in records if record.gate is None]
    families = Counter(record.family for record in accepted)
    done, tried = sum(r.successes for r in accepted), sum(r.trials for r in accepted)
    low, high = wilson_interval(done, tried)
    note = (
        f"{funnel.accepted} tasks of {funnel.proposed} proposals, {funnel.cost:.1f} processor seconds for "
        "each, those spent on what fell included. Families: "
        f"{', '.join(f'{name} {number}' for name, number in families.most_common())}. The experts solved "
        f"{done} of {tried} fresh scenes of the accepted tasks ({done / tried:.1%}, 95 % {low:.1%} to "
        f"{high:.1%}; these are the attempts that admitted them), in {_steps(accepted):.0f} control steps of "
        f"0.1 s on average. {args.note}"
    )
    write_report(
        "generation", f"The funnel of {funnel.accepted} generated tasks",
        ("gate", "reached", "fell", "share", "processor seconds"), rows, note.strip(),
    )  # fmt: skip


def _steps(accepted: list[Record]) -> float:
    lengths = [record.control_steps for record in accepted]
    return sum(lengths) / max(len(lengths), 1)


if __name__ == "__main__":
    main()
