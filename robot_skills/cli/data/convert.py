"""`robot-skills data convert`: a data set in another format."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from robot_skills.cli.console import check_output, escape, make_console, write_json

EPILOG = """\
formats:
  native        robot-skills' own store: a folder of raw arrays, memory-mapped; what is trained on
  robomimic     HDF5 of robomimic, MimicGen, robosuite, Isaac Lab Mimic
  libero        HDF5 of LIBERO; its images are turned right when read, and back when written
  lerobot       LeRobotDataset v2.1 and v3.0 (written: v3.0): Parquet and MP4
  lerobot-v2.1  the same, written as v2.1
  zarr          replay buffer of diffusion policy: a folder, or one file if OUT ends in .zip

examples:
  robot-skills data convert pusht_cchi_v7_replay.zarr out/data/pusht --format native
  robot-skills data convert lift.hdf5 out/data/lift --format native --filter train
  robot-skills data convert out/data/pick pick.hdf5 --format robomimic --episodes 0-99

docs/data_formats.md says what each format holds, and what it does not.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "convert",
        help="write a data set in another format",
        description="Write the data set IN, of any format, to OUT. Everything that OUT's format can hold is\n"
        "carried by value; what it cannot is listed. OUT appears whole or not at all.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="IN", type=Path, help="a data set")
    parser.add_argument("target", metavar="OUT", type=Path, help="where to write; nothing lies there yet")
    parser.add_argument("--format", metavar="NAME", required=True, help="of OUT; see below")
    parser.add_argument(
        "--from", dest="source_format", metavar="NAME", help="of IN (default: it is recognised)"
    )
    parser.add_argument("--episodes", metavar="A-B,C", type=episode_numbers, help="only these, from 0")
    parser.add_argument("--filter", metavar="KEY", help="only those under this filter key of robomimic")
    parser.add_argument(
        "--skip-damaged", action="store_true", help="leave damaged episodes out (default: write nothing)"
    )
    parser.add_argument(
        "--fps", metavar="HZ", type=float, help="control steps a second, where IN does not say or is wrong"
    )
    video = parser.add_argument_group("LeRobot's video")
    video.add_argument("--codec", metavar="NAME", help="of the video (default libsvtav1)")
    video.add_argument(
        "--quality", metavar="CRF", type=int, help="of the video; lower is better (default 30)"
    )
    video.add_argument("--no-video", action="store_true", help="images as PNG: without loss, larger")
    parser.add_argument("--compress", action="store_true", help="compress arrays (robomimic, libero, zarr)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Convert; 1 if an episode is damaged and none may be skipped: nothing is written then."""
    from robot_skills.data.conversion import convert, select
    from robot_skills.data.formats import format_named, open_source
    from robot_skills.data.formats.base import WriteOptions
    from robot_skills.errors import InputError
    from robot_skills.training.progress import duration

    check_output(args.json)
    format_named(args.format)
    if args.fps is not None and not 0 < args.fps < float("inf"):
        raise InputError(f"--fps is above 0 Hz, not {args.fps:g}.")
    console = make_console()
    source = open_source(args.source, args.source_format)
    chosen = {"codec": args.codec, "quality": args.quality, "fps": args.fps}
    options = WriteOptions(
        video=not args.no_video,
        compress=args.compress,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    episodes = select(source, args.episodes, args.filter)
    report = convert(source, args.target, args.format, console, options, episodes, args.skip_damaged)
    write_json(args.json, report.to_json())
    for problem in report.errors:
        console.print(f"[red]{'skipped' if report.written else 'damaged'}[/red] {escape(str(problem))}")
    if not report.written:
        console.print("Nothing was written. --skip-damaged leaves damaged episodes out.")
        return 1
    for line in report.not_carried:
        console.print(f"[yellow]not carried[/yellow] {escape(line)}")
    console.print(
        f"{report.episodes} episodes, {report.frames:,} frames in {duration(report.seconds)}: "
        f"{escape(report.target)}"
    )
    return 0


def episode_numbers(text: str) -> tuple[int, ...]:
    """Read "0-4,7" as 0, 1, 2, 3, 4, 7.

    Raises:
        argparse.ArgumentTypeError: it is not such a list.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of episodes such as 0-4,7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first > 10_000_000:
            raise argparse.ArgumentTypeError(f"{part.strip()!r} counts down, or is too long")
        numbers.extend(range(first, last + 1))
    return tuple(numbers)
