"""`robot-skills data validate`: the faults of a data set, before training finds them."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, escape, make_console, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from robot_skills.data.validation import Report

#: Kinds that readers of formats report, beside those of the table of checks.
READERS = (
    "checksum",
    "count",
    "damaged",
    "empty",
    "image",
    "index",
    "length",
    "missing",
    "missing_chunk",
    "shape",
    "task",
    "timestamps",
    "truncated",
    "uncommitted",
    "video",
)
#: Places of a kind that are shown.
SHOWN = 3


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "validate",
        help="find what is wrong with a data set",
        description="Check every episode of a data set: numbers, timing, images, copies, units, signs. "
        "Exits with 0 where there is no error (warnings are let pass), 1 where there are some, 2 where the "
        "data set cannot be read at all.",
    )
    parser.add_argument("path", metavar="PATH", type=Path, help="the data set, in any format")
    parser.add_argument("--from", metavar="FORMAT", dest="format", help="its format (default: recognised)")
    parser.add_argument("--skip", metavar="KIND", nargs="+", default=[], help="kinds that are not reported")
    parser.add_argument("--no-images", action="store_true", help="check the numbers only")
    parser.add_argument("--episodes", action="store_true", help="list the episodes that have problems")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Check; 1 if there are errors."""
    from robot_skills.data.formats import open_source
    from robot_skills.data.validation import KINDS, validate
    from robot_skills.errors import unknown

    check_output(args.json)
    for kind in args.skip:
        if kind not in (*KINDS, *READERS):
            raise unknown("kind of problem", kind, (*KINDS, *READERS))
    console = make_console()
    source = open_source(args.path, args.format)
    with _progress(console, len(source)) as advance:
        report = validate(source, args.skip, not args.no_images, advance=advance)
    show(console, report, args.episodes)
    rate = report.frames / max(report.seconds, 1e-9)
    console.print(
        f"{report.episodes} episodes, {report.frames:,} steps in {report.seconds:.1f} s "
        f"({rate:,.0f} a second): "
        f"{len(report.of('error'))} errors, {len(report.of('warning'))} warnings."
    )
    write_json(args.json, {"path": str(args.path), **report.to_json()})
    return 1 if report.of("error") else 0


def show(console: Console, report: Report, episodes: bool) -> None:
    """Print the problems by kind, and by episode where that is wanted."""
    from rich.table import Table

    from robot_skills.data.validation import by_kind

    if report.problems:
        table = Table("kind", "", "times", "where, and what", show_edge=False, pad_edge=False)
        for kind, problems in by_kind(report.problems).items():
            lines = [escape(str(problem)) for problem in problems[:SHOWN]]
            if len(problems) > SHOWN:
                lines.append(f"... and {len(problems) - SHOWN} more")
            table.add_row(kind, problems[0].severity, str(len(problems)), "\n".join(lines))
        console.print(table)
    if episodes:
        table = Table("episode", "errors", "warnings", "kinds", show_edge=False, pad_edge=False)
        for number in sorted({p.episode for p in report.problems if p.episode is not None}):
            here = [problem for problem in report.problems if problem.episode == number]
            errors = sum(problem.severity == "error" for problem in here)
            kinds = ", ".join(dict.fromkeys(problem.kind for problem in here))
            table.add_row(str(number), str(errors), str(len(here) - errors), kinds)
        console.print(table if table.rows else "No episode has a problem of its own.")
    for line in report.not_carried:
        console.print(f"Not carried into a native store: {escape(line)}")


@contextlib.contextmanager
def _progress(console: Console, episodes: int) -> Iterator[Callable[[int], None]]:
    from robot_skills.training.progress import JobProgress

    with JobProgress(console, "Checking", episodes, "episodes") as progress:
        yield lambda frames: progress.advance(1, f"{frames:,} steps")
