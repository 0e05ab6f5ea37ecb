"""`robot-skills data score`: how good each demonstration of a data set is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from robot_skills.cli.console import check_output, escape, make_console, write_json

EXAMPLES = """\
examples:
  robot-skills data score out/data/pick --worst 20
  robot-skills data score out/data/mine --dry-run --json out/quality.json

score = success * geometric mean of smoothness, length and agreement, each in [0, 1] and relative to the
other demonstrations of the same text. Written to quality.json in the data set's folder; its arrays stay as
they are.
"""
COLUMNS = ("success", "smoothness", "length", "agreement", "score")


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "score",
        help="a quality score for each demonstration, to look at and to weight by",
        description="Score every demonstration by success, smoothness, length against the others of its "
        "text, and agreement of its actions with those of others in similar states.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="PATH", help="the data set")
    parser.add_argument("--worst", metavar="N", type=int, default=10, help="list the N worst (default 10)")
    parser.add_argument("--neighbours", metavar="K", type=int, default=5, help="similar states compared (5)")
    parser.add_argument("--dry-run", action="store_true", help="write no quality.json")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Score, list the worst, and write the file that training can weight by."""
    import numpy as np
    from rich.table import Table

    from robot_skills.data.reuse.quality import QualityConfig, assess, write_quality
    from robot_skills.data.store import EpisodeStore

    check_output(args.json)
    console = make_console()
    store = EpisodeStore.open(args.data)
    found = assess(store, QualityConfig(neighbours=args.neighbours))
    worst = sorted(found, key=lambda quality: (quality.score, quality.episode))[: max(args.worst, 0)]
    table = Table("episode", "text", "steps", *COLUMNS, box=None, pad_edge=False)
    for quality in worst:
        figures = [f"{getattr(quality, name):.2f}" for name in COLUMNS]
        table.add_row(str(quality.episode), escape(quality.text), str(quality.steps), *figures)
    if worst:
        console.print(table)
    quartiles = np.percentile([quality.score for quality in found], [25, 50, 75])
    console.print(
        f"{len(found)} demonstrations; score: quartiles {', '.join(f'{value:.2f}' for value in quartiles)}, "
        f"{sum(quality.success == 0 for quality in found)} did not succeed."
    )
    if not args.dry_run:
        console.print(f"Written: {write_quality(store, found)}")
    write_json(args.json, {"folder": str(store.folder), "episodes": [vars(quality) for quality in found]})
    return 0
