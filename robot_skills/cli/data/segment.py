"""`robot-skills data segment`: skills out of recordings that nobody has segmented."""

from __future__ import annotations

import argparse
import itertools
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, make_console, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from robot_skills.data.segmentation import Segment, SegmentationConfig, Trace
    from robot_skills.data.segmentation.scores import Scores, Truth
    from robot_skills.data.store import EpisodeStore

EXAMPLES = """\
methods:
  sbd       cuts where a model that is told no goal is surprised by the next action (default)
  buds      joins windows that look and feel alike, from the bottom up, and keeps what recurs
  gripper   cuts where the gripper opens or closes and where the hand stands still

examples:
  robot-skills data segment out/data/recordings out/data/skills --plot out/skills.png
  robot-skills data segment out/data/recordings out/data/named --labels labels.yaml

labels.yaml gives clusters their language argument, one line each (others keep "skill NUMBER"):
  0: open the drawer
  3: press the button

Recordings of another format: robot-skills data convert first.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = subparsers.add_parser(
        "segment",
        help="cut long recordings into recurring skills",
        description="Cut long recordings into segments, sort these into recurring skills, and write a data "
        "set with one episode a segment that `train` can learn from. Only pictures, proprioception and "
        "actions are looked at. Where the recordings hold the true skills, the result is scored on them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="IN", type=Path, help="data set of recordings, native format")
    parser.add_argument("output", metavar="OUT", type=Path, help="folder of the new data set")
    parser.add_argument("--method", metavar="M", default="sbd", help="sbd, buds or gripper (default sbd)")
    parser.add_argument("--skills", metavar="K", type=int, default=10, help="clusters (default 10)")
    parser.add_argument("--labels", metavar="FILE", type=Path, help="YAML: NUMBER: text, names of clusters")
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the first recordings")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of all that is drawn (default 0)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Segment, write, and report."""
    from robot_skills.data.segmentation import SegmentationConfig, traces
    from robot_skills.data.segmentation.output import read_labels
    from robot_skills.data.segmentation.truth import has_truth, read_truth
    from robot_skills.data.store import EpisodeStore
    from robot_skills.errors import InputError, require

    check_output(args.json)
    check_output(args.plot, ".png")
    config = SegmentationConfig(method=args.method, skills=args.skills, seed=args.seed)
    require("sklearn.cluster", "segment")
    labels = read_labels(args.labels) if args.labels is not None else {}
    for cluster in labels:
        if cluster >= config.skills:
            raise InputError(f"{args.labels} names cluster {cluster}; they are 0 to {config.skills - 1}.")
    store = EpisodeStore.open(args.source)
    if args.output.exists() and (not args.output.is_dir() or any(args.output.iterdir())):
        raise InputError(f"{args.output} exists: name a new folder, or an empty one.")
    recordings, console = traces(store), make_console()
    segments = _segment(recordings, config, console)
    written = _write(store, segments, labels, args, console)
    truths = read_truth(store)[0] if has_truth(store) else None
    if args.plot is not None:
        from robot_skills.data.segmentation.plot import plot

        plot(args.plot, recordings, segments, truths)
    scores = _score(segments, truths, store.meta.control_rate)
    _show(segments, labels, scores, store, args.output, console)
    result = {
        "method": config.method,
        "recordings": len(store.episodes),
        "episodes": len(written.episodes),
        "frames": written.frames,
        "clusters": {
            str(number): count for number, count in sorted(Counter(s.cluster for s in segments).items())
        },
        "segments": [[part.recording, part.start, part.stop, part.cluster] for part in segments],
        "scores": None if scores is None else scores.to_json(),
        "folder": str(args.output),
    }
    write_json(args.json, result)
    return 0


def _segment(recordings: Sequence[Trace], config: SegmentationConfig, console: Console) -> list[Segment]:
    """Run the method under a progress bar of a hundred steps."""
    from robot_skills.data.segmentation import segment
    from robot_skills.training.progress import JobProgress

    done = 0
    with JobProgress(console, f"{config.method}: segmentation", 100, "%") as bar:

        def progress(share: float) -> None:
            nonlocal done
            while done < round(100 * share):
                done += 1
                bar.advance()

        return segment(recordings, config, progress)


def _write(
    store: EpisodeStore,
    segments: Sequence[Segment],
    labels: dict[int, str],
    args: argparse.Namespace,
    console: Console,
) -> EpisodeStore:
    from robot_skills.data.segmentation.output import name_of, write_segments
    from robot_skills.training.progress import JobProgress

    def text_of(part: Segment) -> str:
        return labels.get(part.cluster, name_of(part.cluster))

    given = {"--method": args.method, "--skills": args.skills, "--seed": args.seed}
    words = ["robot-skills", "data", "segment", args.source, args.output]
    command = shlex.join(map(str, [*words, *itertools.chain.from_iterable(given.items())]))
    with JobProgress(console, "writing", len(segments), "segments") as bar:
        return write_segments(store, segments, args.output, text_of, {"command": command}, bar.advance)


def _score(segments: Sequence[Segment], truths: list[Truth] | None, rate: float) -> Scores | None:
    from robot_skills.data.segmentation.scores import TOLERANCE, score

    return None if truths is None else score(segments, truths, round(TOLERANCE * rate))


def _show(
    segments: Sequence[Segment],
    labels: dict[int, str],
    scores: Scores | None,
    store: EpisodeStore,
    output: Path,
    console: Console,
) -> None:
    """A row a cluster, the scores where there are any, and where the result lies."""
    from rich.table import Table

    from robot_skills.cli.console import escape
    from robot_skills.data.segmentation.output import name_of

    table = Table("cluster", "text", "segments", "mean length", box=None, pad_edge=False)
    for cluster in sorted({part.cluster for part in segments}):
        lengths = [len(part) for part in segments if part.cluster == cluster]
        seconds = sum(lengths) / len(lengths) / store.meta.control_rate
        text = escape(labels.get(cluster, name_of(cluster)))
        table.add_row(str(cluster), text, str(len(lengths)), f"{seconds:.1f} s")
    console.print(table)
    if scores is not None:
        console.print(f"Against the true skills: boundary F1 {scores.f1}, purity {scores.purity}.")
    console.print(f"{len(segments)} segments of {len(store.episodes)} recordings: {output}", soft_wrap=True)
