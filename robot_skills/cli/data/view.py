"""`robot-skills data view`: episodes on a page, and on a contact sheet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from robot_skills.cli.console import check_output, make_console, whole_file

#: Episodes shown where none are named: a page of these opens at once.
MOST = 12


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "view",
        help="look at episodes: a page for the browser, a contact sheet",
        description="Write episodes to one HTML page that needs no network: images, actions, states and "
        "language side by side, with what `validate` finds marked on the time line; or to a contact sheet.",
    )
    parser.add_argument("path", metavar="PATH", type=Path, help="the data set, in any format")
    parser.add_argument("--from", metavar="FORMAT", dest="format", help="its format (default: recognised)")
    parser.add_argument(
        "-o", "--output", metavar="FILE.html|FOLDER", type=Path, help="the page, or the folder for index.html"
    )
    parser.add_argument("--sheet", metavar="FILE.png", type=Path, help="the contact sheet")
    parser.add_argument("--episodes", metavar="A-B", help=f"as in 0-5 or 0-2,7 (default: the first {MOST})")


def handle(args: argparse.Namespace) -> int:
    """Write the page, the sheet, or both."""
    from robot_skills.data.formats import open_source
    from robot_skills.data.validation import validate
    from robot_skills.data.viewer import contact_sheet, output_file, page, parse_episodes
    from robot_skills.errors import InputError

    if args.output is None and args.sheet is None:
        raise InputError("Say where to: -o PAGE.html, --sheet FILE.png, or both.")
    file = None if args.output is None else output_file(args.output)
    check_output(file)
    check_output(args.sheet, ".png")
    console = make_console()
    source = open_source(args.path, args.format)
    episodes = parse_episodes(args.episodes, len(source), MOST)
    if file is not None:
        report = validate(source, episodes=episodes)
        text = page(source, episodes, report.problems)
        with whole_file(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
        found = f"{len(report.of('error'))} errors, {len(report.of('warning'))} warnings"
        console.print(f"{len(episodes)} episodes, {len(text) / 1e6:.1f} MB, {found} among them: {file}")
    if args.sheet is not None:
        sheet = contact_sheet(source, episodes)
        with whole_file(args.sheet) as temporary:
            sheet.save(temporary, "PNG")
        console.print(f"{sheet.width} x {sheet.height} pixels: {args.sheet}")
    return 0
