"""ACT and Diffusion Policy side by side with LeRobot's: training samples a second and inference latency.

Both projects learn from the same Push-T demonstrations, on the same cores with the same number of threads and
the same PyTorch, in pairs: one measures while the other rests, and they take turns. LeRobot runs in an
environment of its own, which `make peers` makes.

    robot-skills data convert pusht_cchi_v7_replay.zarr out/data/pusht --format native
    python benchmarks/lerobot_policies.py --cores 1
    python benchmarks/lerobot_policies.py --cores 2     (adds to the table)

A policy as each project configures it tells what a user gets; the same network on both sides tells what the
code does with it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from report import write_report

from robot_skills.data.formats import format_named, open_source
from robot_skills.data.formats.base import WriteOptions

PEER = Path("out/peers/lerobot-0.4.4")
SCRIPTS = Path(__file__).parent / "peers"
#: Figures of all runs, so that a run on one core and a run on two end in one table.
FIGURES = Path("out/lerobot_policies.json")
#: Seconds that a figure is measured for, or one step or chunk where that takes longer.
SPAN = 1.5
#: Calls of a policy above which no more are made for a figure.
MOST = 50

#: What the data says: one camera; how far its images are shifted in training is a setting of each camera's.
CAMERA = {"cameras": ["img"], "shift": [4]}
#: As LeRobot: images as they are, looked at by a ResNet-18 that knows no language.
PLAIN = {"cameras": ["img"], "shift": [0], "state_noise": 0.0}
RESNET = {"kind": "resnet18", "film": False, "jitter": 0.0}
#: ImageNet's weights are a download; the network is the same without.
UNTRAINED = {"pretrained_backbone_weights": None}


#: What stands below the table.
NOTE = """\
Push-T's 206 human demonstrations, 96 px images. Figures are medians of {rounds} rounds in which the two
projects take turns on the same cores, with as many threads and the same PyTorch 2.13; the factor is that of
a round, its median, and its range over the rounds. 0.4.4 is the last LeRobot for Python 3.11 (it asks for
PyTorch below 2.11).

Training as each project does it: LeRobot's with its loader (four processes; images as PNG, which it reads
faster than the AV1 video that it records), preprocessor, update and Adam as `lerobot-train` puts them
together; ours with its trainer, averaged weights and log. With the data in memory one batch is learned from
again and again. A chunk is one prediction for one observation with whatever the project does to it before
and after; an action is the mean over those that are played of a chunk, LeRobot's through `select_action`.

*Each project's defaults* is what a user gets: LeRobot's ACT (ResNet-18, width 512, 100 steps, all played)
and Diffusion Policy (ResNet-18 on two images, U-Net of 250 M weights, 100 denoising steps of DDPM, 8 of 16
steps played) against ours (small convnet, 8 of 16 steps played; transformers of width 128; residual MLP
with 16 steps of DDIM, four noised chunks a sample in training). The networks differ in size, so this says
nothing of the code, nor of what is learned.

*The same network* is what the code makes of it: ours with LeRobot's layers and widths (ResNet-18, ACT's 100
steps, U-Net of 512, 1,024 and 2,048 channels, 16 DDIM steps, no augmentation), LeRobot's ACT with
feed-forward layers of 2,048 and its Diffusion Policy on one image, as ours have. Differences are left:
LeRobot's ACT has frozen batch normalisation where ours has group normalisation, and ours encodes the
(empty) text and averages its weights. What makes ours faster on this processor: matrix products by oneDNN,
which uses all of AVX-512 where MKL does not (on an Intel processor there is nothing to gain from it), the
U-Net's convolutions as products of weights that are not laid out anew in every call, fused AdamW, images in
channels_last memory, and freed memory that is kept."""


@dataclass(frozen=True)
class Contest:
    """Two policies to compare.

    Attributes:
        how: which of the comparisons.
        policy: what people call it.
        name: of the policy, in both projects.
        theirs, ours: settings of LeRobot's config, and of ours.
        batches: sizes to train with; the first with the data in memory as well.
    """

    how: str
    policy: str
    name: str
    theirs: Mapping[str, Any]
    ours: Mapping[str, Any]
    batches: tuple[int, ...]

    @property
    def title(self) -> str:
        """What figures are kept under."""
        return f"{self.how}, {self.policy}"


CONTESTS = (
    Contest("each project's defaults", "ACT", "act", UNTRAINED, CAMERA, (8,)),
    Contest("each project's defaults", "Diffusion Policy", "diffusion", {}, CAMERA, (8, 64)),
    Contest(
        "the same network",
        "ACT",
        "act",
        # Feed-forward layers of ours are four times as wide as the tokens, as is usual.
        UNTRAINED | {"dim_feedforward": 2048},
        PLAIN
        | {"vision": RESNET | {"output": "map"}, "width": 512, "heads": 8, "chunk": 100, "execute": 100}
        | {"posterior_layers": 4, "encoder_layers": 4, "decoder_layers": 1},
        (8,),
    ),
    Contest(
        "the same network",
        "Diffusion Policy",
        "diffusion",
        # Ours sees the image of one moment, so here LeRobot's does too.
        {"n_obs_steps": 1, "noise_scheduler_type": "DDIM", "num_inference_steps": 16},
        PLAIN
        | {"vision": RESNET, "width": 64, "history": 1, "noise_draws": 1, "denoiser": "unet"}
        | {"unet": {"channels": [512, 1024, 2048], "context": 0}},
        (8,),  # with batches of 64 both together need more than 24 GB
    ),
)


class Side:
    """One project's policy in a process of its own, which answers questions.

    Args:
        python: that runs it.
        script: in `peers`.
        arguments: of the script.
    """

    def __init__(self, python: str, script: str, *arguments: str) -> None:
        variables = {**os.environ, "HF_HOME": str(PEER.parent / "cache"), "HF_HUB_OFFLINE": "1"}
        self._errors = Path(f"out/{script}.log").open("w+")  # noqa: SIM115  (as long as the process)
        self._process = subprocess.Popen(
            [python, "-W", "ignore", str(SCRIPTS / script), *arguments],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ask(self, what: str, **details: Any) -> dict[str, Any]:
        """Ask one question and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": what, **details}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise SystemExit(f"{self._errors.name}:\n{self._errors.read()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._errors.close()


class Timed:
    """One side with, for each question, how often it is repeated to take `SPAN` seconds."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._steps: dict[tuple[int, bool], int] = {}
        self._chunks = 0

    def train(self, batch: int, loading: bool) -> float:
        """Samples a second."""
        key = (batch, loading)
        if key not in self._steps:
            self._side.ask("train", batch=batch, loading=loading, steps=1)  # warms up
            once = self._side.ask("train", batch=batch, loading=loading, steps=1)["seconds"]
            self._steps[key] = int(np.clip(round(SPAN / once), 1, MOST))
        steps = self._steps[key]
        spent: float = self._side.ask("train", batch=batch, loading=loading, steps=steps)["seconds"]
        return steps * batch / spent

    def act(self) -> dict[str, float]:
        """Seconds a chunk, and an action."""
        if not self._chunks:
            first = self._side.ask("act", chunks=1)
            self._chunks = int(np.clip(round(SPAN / first["chunk"]), 1, MOST))
            if self._chunks == 1:
                return first  # too long for what is done once to count
        return self._side.ask("act", chunks=self._chunks)


Figures = dict[str, dict[str, list[float]]]  # measure -> "theirs", "ours" -> a figure a round


def compare(contest: Contest, data: Path, export: Path, cores: int, rounds: int) -> tuple[Figures, list[int]]:
    """Figures of both sides, and their numbers of parameters."""
    settings = [json.dumps(dict(each)) for each in (contest.theirs, contest.ours)]
    theirs = [str(PEER / "bin" / "python"), "lerobot_policies.py", str(export)]
    ours = [sys.executable, "own_policies.py", str(data)]
    sides = [
        Side(*start, contest.name, chosen, str(cores))
        for start, chosen in zip((theirs, ours), settings, strict=True)
    ]
    sizes = [side.ask("about")["parameters"] for side in sides]
    turns = list(zip(("theirs", "ours"), map(Timed, sides), strict=True))
    figures: Figures = {}
    for number in range(rounds):
        for who, timed in turns if number % 2 else turns[::-1]:
            found = {f"samples/s, batch {size}": timed.train(size, True) for size in contest.batches}
            size = contest.batches[0]
            found[f"samples/s, batch {size}, data in memory"] = timed.train(size, False)
            acted = timed.act()
            found |= {"ms a chunk": 1000 * acted["chunk"], "ms an action": 1000 * acted["action"]}
            for measure, figure in found.items():
                figures.setdefault(measure, {}).setdefault(who, []).append(figure)
    for side in sides:
        side.close()
    return figures, sizes


def rows(found: Mapping[str, Any], cores: Sequence[str]) -> list[list[str]]:
    """The table: a row a measure."""
    table = []
    for contest in CONTESTS:
        keys = {count: f"{count} {contest.title}" for count in cores}
        here = {count: found[key] for count, key in keys.items() if key in found}
        if not here:
            continue
        first = next(iter(here.values()))
        theirs, ours = (size / 1e6 for size in first["parameters"])
        for measure in first["figures"]:
            row = [contest.how, f"{contest.policy} ({theirs:.1f} M; {ours:.1f} M)", measure]
            for count in cores:
                row += cells(measure, here[count]["figures"][measure]) if count in here else ["", "", ""]
            table.append(row)
    return table


def cells(measure: str, figures: Mapping[str, list[float]]) -> list[str]:
    """Medians of LeRobot and of ours, and by what factor ours is better, with its range over rounds."""
    theirs, ours = np.array(figures["theirs"]), np.array(figures["ours"])
    ratio = theirs / ours if measure.startswith("ms") else ours / theirs
    return [
        f"{np.median(theirs):,.3g}",
        f"{np.median(ours):,.3g}",
        f"**{np.median(ratio):,.2f}** ({ratio.min():,.2f} to {ratio.max():,.2f})",
    ]


def exported(data: Path) -> Path:
    """The same demonstrations as LeRobot's own data set, images as PNG; written if need be."""
    folder = data.with_name(data.name + "_lerobot_png")
    if not folder.exists():
        source = open_source(data)
        episodes = (source.read(number) for number in range(len(source)))
        format_named("lerobot").write(source.meta, episodes, folder, WriteOptions(video=False))
    return folder


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("out/data/pusht"), help="the episode store")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="comparisons whose name holds this, as in 'network, ACT'")
    args = parser.parse_args()
    if not args.data.exists() or not PEER.exists():
        raise SystemExit(f"{args.data} or {PEER} is not there: see --help.")
    export = exported(args.data)
    found = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for cores in args.cores:
        os.sched_setaffinity(0, set(range(cores)))  # whoever is started from here on keeps to it
        for contest in CONTESTS:
            if args.only in contest.title:
                figures, sizes = compare(contest, args.data, export, cores, args.rounds)
                kept = {"figures": figures, "parameters": sizes, "rounds": args.rounds}
                found[f"{cores} {contest.title}"] = kept
                FIGURES.write_text(json.dumps(found))
    write_table(found)


def write_table(found: Mapping[str, Any]) -> None:
    """The table of all figures there are."""
    counts = sorted({key.split()[0] for key in found})
    header = ["comparison", "policy (parameters)", "measure"]
    for count in counts:
        where = "one core" if count == "1" else f"{count} cores"
        header += [f"{where}: LeRobot", "ours", "ours better by"]
    rounds = " to ".join(sorted({str(each["rounds"]) for each in found.values()}))
    write_report(
        "lerobot_policies",
        "ACT and Diffusion Policy beside LeRobot 0.4.4",
        header,
        rows(found, counts),
        NOTE.format(rounds=rounds),
    )


if __name__ == "__main__":
    main()
