"""Frames a second from disk to a batch of 96 px images, on one core: this loader against the ways around it.

Every way reads the same frames of the same recordings, written by this project's own converters, from files
that the system has in memory. Figures are processor time, so that a busy machine does not count; the ways
take turns, and ratios are of the same round.

robomimic's and LeRobot's own loaders run in environments of their own (`make peers` makes them) and are left
out where those are not there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from report import write_report

from robot_skills.data.episode import Episode
from robot_skills.data.formats import format_named, open_source
from robot_skills.data.formats.base import WriteOptions
from robot_skills.data.loader import Windows
from robot_skills.data.meta import StoreMeta
from robot_skills.data.store import EpisodeStore

SIZE, EPISODES, LENGTH, BATCH = 96, 20, 100, 64
PEERS = Path("out/peers")
#: environment -> python, script and what it prints {"name": ..., "seconds": ...} for.
LOADERS = {
    "robomimic": (
        "robomimic 0.3.0 SequenceDataset",
        "benchmarks/peers/robomimic_loading.py",
        "robomimic.hdf5",
    ),
    "lerobot-0.4.4": ("LeRobotDataset 0.4.4", "benchmarks/peers/lerobot_loading.py", "lerobot"),
}


def recordings(folder: Path) -> EpisodeStore:
    """Twenty episodes of a smooth texture that drifts, so that video has something to compress."""
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (SIZE // 8 + 1, SIZE // 8 + 1, 3))
    texture = np.kron(coarse, np.ones((8, 8, 1)))[:SIZE, :SIZE]
    meta = StoreMeta({"front": (SIZE, SIZE)}, 20.0)
    with EpisodeStore.create_from(folder, meta) as store:
        for number in range(EPISODES):
            drift = np.cumsum(random.integers(-1, 2, (LENGTH, 2)), axis=0)
            frames = np.stack([np.roll(texture, tuple(shift), (0, 1)) for shift in drift]).astype(np.uint8)
            noise = random.integers(0, 8, frames.shape, dtype=np.uint8)
            store.append(
                Episode(
                    images={"front": np.minimum(frames, 247) + noise},
                    state=random.normal(size=(LENGTH, 10)).astype(np.float32),
                    action=random.uniform(-1, 1, (LENGTH, 7)).astype(np.float32),
                    end=np.zeros(LENGTH, np.float32),
                    target=np.full((LENGTH, 3), np.nan, np.float32),
                    text=f"drift {number}",
                )
            )
    return EpisodeStore.open(folder)


def ours(store: EpisodeStore) -> Callable[[np.ndarray], None]:
    """Whole batches: image, two states, 16 actions, text."""
    windows = Windows([store], ("front",), 2, 16)
    buffers = windows.buffers(BATCH)
    return lambda rows: _each(rows, lambda part: windows.batch(part, True, buffers))


def looked_up(path: Path) -> Callable[[np.ndarray], None]:
    """HDF5, the data set looked up by its path at every access; the image alone."""
    file = h5py.File(path, "r")

    def read(rows: np.ndarray) -> None:
        for row in rows:
            demo, step = divmod(int(row), LENGTH)
            file[f"data/demo_{demo}/obs/front_image"][step]

    return read


def video(path: Path) -> Callable[[np.ndarray], None]:
    """Frames of the video in an order at random: seek and decode, with this project's reader."""
    source = open_source(path)
    images = [source.read(number).images["front"] for number in range(EPISODES)]

    def read(rows: np.ndarray) -> None:
        for row in rows:
            demo, step = divmod(int(row), LENGTH)
            images[demo][step : step + 1]

    return read


def _each(rows: np.ndarray, take: Callable[[np.ndarray], object]) -> None:
    for start in range(0, len(rows), BATCH):
        take(rows[start : start + BATCH])


def timed(read: Callable[[np.ndarray], None], rows: np.ndarray) -> float:
    """Frames a second of processor time."""
    began = time.process_time()
    read(rows)
    return len(rows) / (time.process_time() - began)


def peer(name: str, data: Path, frames: int) -> float | None:
    """Frames a second of another project's loader in its own environment; None where that is not there."""
    _, script, file = LOADERS[name]
    python = PEERS / name / "bin" / "python"
    if not python.exists():
        return None
    command = [str(python), script, str(data / file), str(BATCH), str(frames)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    result: float = json.loads(answer.stdout.splitlines()[-1])["frames_per_second"]
    return result


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        store = recordings(data / "native")
        for name, target, options in (
            ("robomimic", "robomimic.hdf5", WriteOptions()),
            ("robomimic", "compressed.hdf5", WriteOptions(compress=True)),
            ("lerobot", "lerobot", WriteOptions()),
            ("lerobot", "h264", WriteOptions(codec="h264")),
        ):
            episodes = (store.view(number) for number in range(EPISODES))
            format_named(name).write(store.meta, episodes, data / target, options)
        ways: dict[str, tuple[Callable[[np.ndarray], None], int]] = {
            "this loader: image, history, chunk, text": (ours(store), 200 * BATCH),
            "HDF5, looked up by path": (looked_up(data / "robomimic.hdf5"), 500),
            "HDF5, gzip, looked up by path": (looked_up(data / "compressed.hdf5"), 300),
            "H.264 video, seek and decode": (video(data / "h264"), 100),
            "AV1 video, seek and decode": (video(data / "lerobot"), 100),
        }
        random = np.random.default_rng(1)
        figures: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(args.rounds + 1):
            for name, (read, count) in ways.items():
                figures[name].append(timed(read, random.integers(0, EPISODES * LENGTH, count)))
        for name in LOADERS:
            runs = [peer(name, data, 300) for _ in range(args.rounds + 1)]
            figures[LOADERS[name][0]] = [run for run in runs if run is not None]
    rows = []
    first = next(iter(figures))
    for name, values in figures.items():
        if not values:
            continue
        kept = np.array(values[1:])  # the first round warms up
        ratio = np.median(np.array(figures[first][1:]) / kept)
        rows.append(
            [name, f"{np.median(kept):,.0f}", f"{kept.min():,.0f} to {kept.max():,.0f}", f"{ratio:,.1f}"]
        )
    missing = [LOADERS[name][0] for name in LOADERS if not figures[LOADERS[name][0]]]
    write_report(
        "data_loading",
        "Frames a second from disk, 96 px, one core (processor time)",
        ["way", "median", f"range of {args.rounds} rounds", "this loader is faster by"],
        rows,
        f"{EPISODES} episodes of {LENGTH} frames, read at random. The first row gathers whole batches of "
        f"{BATCH}; robomimic's and LeRobot's loaders make the samples that they train on; the rest reads the "
        "image alone." + (f" Not there: {', '.join(missing)}." if missing else ""),
    )


if __name__ == "__main__":
    main()
