"""Runs in an environment of LeRobot's: records data sets with its own LeRobotDataset, for ours to read.

python lerobot_record.py FOLDER    writes NAME/ (a data set) and NAME.npz (what was recorded)
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
from lerobot_check import LeRobotDataset

LENGTHS, TASKS, SIZE = (25, 40, 31), ("reach", "öffnen", "reach"), (64, 96)
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
    "action": {"dtype": "float32", "shape": (2,), "names": {"motors": ["a", "b"]}},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    "pose": {"dtype": "float32", "shape": (2, 3), "names": None},
}


def frames(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """All rows of a data set."""
    total = sum(LENGTHS)
    time, y, x = np.ogrid[:total, : SIZE[0], : SIZE[1]]
    wave = 127 + 100 * np.sin(time / 5 + x / 9 + y / 7)
    rows = {key: rng.standard_normal((total, *value["shape"])) for key, value in FEATURES.items()}
    return {
        **{key: values.astype(np.float32) for key, values in rows.items()},
        "observation.images.front": np.stack([wave, wave[..., ::-1], 255 - wave], axis=-1).astype(np.uint8),
    }


def record(root: Path, video: bool) -> None:
    """Record a data set as a robot would: frame by frame."""
    names = ["height", "width", "channels"]
    image = {"dtype": "video" if video else "image", "shape": (*SIZE, 3), "names": names}
    features: dict[str, Any] = {**FEATURES, "observation.images.front": image}
    dataset = LeRobotDataset.create("peer/set", 30, features, root=root, robot_type="so101", use_videos=video)
    made, row = frames(np.random.default_rng(0)), 0
    separate = "task" in inspect.signature(dataset.add_frame).parameters  # in 0.3
    for length, task in zip(LENGTHS, TASKS, strict=True):
        for _ in range(length):
            frame = {key: values[row] for key, values in made.items()}
            dataset.add_frame(frame, task=task) if separate else dataset.add_frame({**frame, "task": task})
            row += 1
        dataset.save_episode()
    if hasattr(dataset, "finalize"):
        dataset.finalize()
    np.savez(root.with_suffix(".npz"), **made)


def main() -> int:
    """Record one data set with video and one with images in its table."""
    for name, video in (("video", True), ("table", False)):
        record(Path(sys.argv[1]) / name, video)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
