"""`robot-skills data inspect`: what a data set holds."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, escape, make_console, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from robot_skills.data.summary import Spread, Summary

#: Texts, experts and the like that are listed.
LISTED = 8


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "inspect",
        help="what a data set holds",
        description="Show what a data set holds: size, cameras, names, and how every number of state and "
        "action is distributed. Images are not read; `view` shows them, `validate` checks them.",
    )
    parser.add_argument("path", metavar="PATH", type=Path, help="the data set, in any format")
    parser.add_argument("--from", metavar="FORMAT", dest="format", help="its format (default: recognised)")
    parser.add_argument("--episode", metavar="N", type=int, help="of one episode only")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Show it."""
    from robot_skills.data.formats import format_named, open_source, recognise
    from robot_skills.data.formats.native import NativeSource
    from robot_skills.data.summary import summarise
    from robot_skills.errors import InputError
    from robot_skills.training.progress import JobProgress

    check_output(args.json)
    console = make_console()
    source = open_source(args.path, args.format)
    if isinstance(source, NativeSource):
        source.verify = False  # checksums read the images
    if args.episode is not None and not 0 <= args.episode < len(source):
        raise InputError(f"There are the episodes 0 to {len(source) - 1}, not {args.episode}.")
    numbers = range(len(source)) if args.episode is None else [args.episode]
    form = recognise(args.path) if args.format is None else format_named(args.format)
    with JobProgress(console, "Reading", len(numbers), "episodes") as progress:
        summary = summarise(source, form.name, numbers, progress.advance)
    show(console, summary, form.title, args.episode)
    write_json(args.json, json.loads(json.dumps(summary.to_json(), default=str)))
    return 0


def show(console: Console, summary: Summary, title: str, episode: int | None) -> None:
    """Print the summary."""
    seconds = summary.frames / summary.rate
    hours = f"{seconds / 3600:.2f} h" if seconds >= 360 else f"{seconds:.1f} s"
    lengths = sorted(summary.lengths)
    cameras = ", ".join(f"{name} {h} x {w}" for name, (h, w) in summary.cameras.items())
    lines = [
        ("format", title),
        ("episodes", str(summary.episodes) if episode is None else f"number {episode} of {summary.episodes}"),
        ("steps", f"{summary.frames:,} at {summary.rate:g} Hz: {hours}"),
        ("cameras", cameras or "none"),
        ("size", f"{summary.size / 1e6:,.1f} MB"),
    ]
    if len(lengths) > 1:
        lines.append(("lengths", f"{lengths[0]} to {lengths[-1]} steps, median {lengths[len(lengths) // 2]}"))
    lines += [(name, _listed(getattr(summary, name))) for name in ("texts", "outcomes", "experts")]
    if summary.seeds is not None:
        lines.append(("seeds", f"{summary.seeds[0]} to {summary.seeds[1]}"))
    lines += [("extra", f"{n}: {f['dtype']} {tuple(f['shape'])}") for n, f in summary.extras.items()]
    lines += [("attribute", f"{name}: {_short(value)}") for name, value in summary.attributes.items()]
    lines += [("from", f"{name}: {_short(value)}") for name, value in summary.info.items()]
    lines += [("not carried", line) for line in summary.not_carried]
    lines += [("unreadable", f"episode {n}: {message}") for n, message in summary.unreadable.items()]
    for name, text in lines:
        console.print(f"{name:12} {escape(text)}")
    for name, spreads in (("state", summary.state), ("action", summary.action)):
        if spreads:
            console.print()
            console.print(_table(name, spreads))


def _table(name: str, spreads: list[Spread]) -> Any:
    from rich.table import Table

    from robot_skills.data.summary import sparkline

    table = Table(show_edge=False, pad_edge=False)
    table.add_column(name)
    for column in ("min", "mean", "max", "std"):
        table.add_column(column, justify="right")
    table.add_column("min to max", no_wrap=True)
    for spread in spreads:
        values = (f"{value:.4g}" for value in (spread.low, spread.mean, spread.high, spread.std))
        table.add_row(escape(spread.name), *values, sparkline(spread.histogram) or "constant")
    return table


def _listed(counts: Counter[str]) -> str:
    parts = [f"{text or '(none)'} x {count}" for text, count in counts.most_common(LISTED)]
    return "; ".join(parts) + (f"; and {len(counts) - LISTED} more" if len(counts) > LISTED else "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split())
    return text if len(text) <= 150 else f"{text[:150]}... ({len(text):,} characters)"
