"""Trains the detector of `robot_skills.perception` and writes its folder and card (`perception.py train`)."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from report import hardware
from safetensors.torch import load_file, save_file

from robot_skills.perception.close_look import CloseLook, CloseTrainer, labelled_windows
from robot_skills.perception.detector import (
    CLOSE,
    Detector,
    DetectorConfig,
    DetectorNetwork,
    close_look,
    halved,
)
from robot_skills.perception.training import DetectorTraining, Looks, Trainer, looks
from robot_skills.policies.visuomotor import WEIGHTS
from sim.tabletop.catalogue import TABLETOP
from sim.tabletop.views import FRAMING

OUT = Path("out/perception")
#: Stream of random numbers of the windows that are looked at closely, and scenes to a file of pictures.
STREAM, SCENES_A_FILE = 127, 100
#: Of each file of pictures: camera -> arrays.
Files: TypeAlias = "list[dict[str, dict[str, Any]]]"
CARD = """\
# The detector of the tabletop

Two convolutional networks ({size} MB in half precision): one of {whole:,} weights finds blocks, cylinders,
balls, bowls, drawer, door and button in the pictures of both cameras, one of {close:,} looks
closer at each graspable thing to tell its kind. `config.json` holds their sizes and the catalogue: what there
is, how large, what may be done with it. See `docs/perception.md`.

```python
from robot_skills.perception.detector import Detector
from robot_skills.perception.graph import scene_graph as believed
from robot_skills.perception.perceiver import SHIPPED

detector = Detector.load(SHIPPED)
```

## Training

`python benchmarks/perception.py train --scenes {scenes} --steps {steps} --close-steps {close_steps}`
(`make perception`) on {hardware}.

- {looks:,} looks of both cameras at {scenes:,} scenes (seeds {first} to {last}), labelled by the simulator's
  state: six in ten arranged (things stacked, in bowls, in the drawer, in the hand, pushed away), four in ten
  with scripted experts at work. Light, brightness, table and the front camera's place vary in seven of ten.
- {steps:,} steps of {batch} looks; {close_steps:,} steps of 128 windows.

## How good it is

[`benchmarks/results/perception.md`](../../benchmarks/results/perception.md), on seeds from 1,000,000 on.

It knows this tabletop, from synthetic pictures. It does not know the furniture of generated tasks.
"""


def add_training_options(job: argparse.ArgumentParser) -> None:
    """Add the options of `train`."""
    job.add_argument("--first-seed", type=int, default=0)
    job.add_argument("--scenes", type=int, default=1600)
    job.add_argument("--steps", type=int, default=DetectorTraining.steps)
    job.add_argument("--rate", type=float, default=DetectorTraining.learning_rate, help="learning rate")
    job.add_argument("--start", metavar="FILE", type=Path, help="weights to go on with")
    job.add_argument("--close-steps", type=int, default=8000)
    parts = ("whole", "close", "both", "neither")
    job.add_argument("--part", choices=parts, default="both", help="which network is trained")


def train(args: argparse.Namespace) -> None:
    """Render what is not there yet, train both networks, write the folder and its card."""
    seeds, config = range(args.first_seed, args.first_seed + args.scenes), DetectorConfig(TABLETOP, FRAMING)
    files = list(rendered(seeds))
    if args.part in ("whole", "both"):
        save_file(halved(trained_whole(config, files, args)), OUT / WEIGHTS)
    if args.part in ("close", "both"):
        save_file(halved(trained_close(config, files, args.close_steps)), OUT / CLOSE)
    if not all((OUT / file).exists() for file in (WEIGHTS, CLOSE)):
        return
    parts = {WEIGHTS: DetectorNetwork(config), CLOSE: close_look(config)}
    for file, part in parts.items():
        part.load_state_dict(load_file(OUT / file))
    Detector(config, *parts.values()).save(args.folder)
    sizes = [(args.folder / file).stat().st_size / 1e6 for file in parts]
    weights = [sum(value.numel() for value in part.parameters()) for part in parts.values()]
    facts = {
        "scenes": args.scenes, "first": seeds[0], "last": seeds[-1], "steps": args.steps,
        "close_steps": args.close_steps, "whole": weights[0], "close": weights[1],
        "looks": sum(len(arrays["front"]["images"]) for arrays in files), "size": round(sum(sizes), 2),
        "batch": DetectorTraining.batch, "hardware": hardware(),
    }  # fmt: skip
    (args.folder / "README.md").write_text(CARD.format(**facts))


def rendered(seeds: range) -> Iterator[dict[str, dict[str, Any]]]:
    """The pictures of each file of scenes: camera -> arrays."""
    folder = OUT / "pictures"
    for first in range(seeds.start, seeds.stop, SCENES_A_FILE):
        names = {camera: folder / f"{camera}_{first}_{first + SCENES_A_FILE}.npz" for camera in FRAMING}
        if not all(name.exists() for name in names.values()):
            command = [sys.executable, "-m", "sim.experts.sightings", "-o", str(folder)]
            subprocess.run([*command, "--first-seed", str(first), "--scenes", str(SCENES_A_FILE)], check=True)
        yield {camera: dict(np.load(name)) for camera, name in names.items()}


def trained_whole(config: DetectorConfig, files: Files, args: argparse.Namespace) -> DetectorNetwork:
    """The network for whole pictures."""
    parts = [looks(config, arrays) for arrays in files]
    data = Looks(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    network = DetectorNetwork(config)
    if args.start is not None:
        network.load_state_dict(load_file(args.start))
    training = DetectorTraining(steps=args.steps, learning_rate=args.rate)
    trainer = Trainer(config, data, training, network if args.start else None)
    for measured in trainer.run():
        print({name: round(value, 3) for name, value in measured.items()}, flush=True)
        save_file(halved(trainer.network), OUT / "latest.safetensors")
    return trainer.network


def trained_close(config: DetectorConfig, files: Files, steps: int) -> CloseLook:
    """The network for closer looks."""
    rng = np.random.default_rng([0, STREAM])
    parts = [
        labelled_windows(
            arrays["images"], arrays["things"], depths(arrays), arrays["focal"], len(TABLETOP.graspable), rng
        )
        for file in files
        for arrays in file.values()
    ]
    torch.manual_seed(0)
    network = close_look(config)
    trainer = CloseTrainer(network, *(torch.cat(each) for each in zip(*parts, strict=True)))
    for measured in trainer.run(steps):
        print({name: round(value, 3) for name, value in measured.items()}, flush=True)
    return network


def depths(arrays: dict[str, Any]) -> NDArray[np.float64]:
    """How far in front of the camera each thing is, (N, M) m."""
    away = arrays["things"][..., 6:9] - arrays["eye"][:, None]
    return -np.einsum("nmk,nk->nm", away, arrays["rotation"][:, :, 2])
