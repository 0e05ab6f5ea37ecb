"""Runs in an environment of LeRobot's: opens data sets with its own LeRobotDataset and compares every item.

python lerobot_check.py FOLDER    holds NAME/ (a data set) and NAME.npz, NAME.json (what is expected)
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import lerobot_video  # noqa: F401  (before LeRobot)
import numpy as np
import torch
from lerobot.datasets.compute_stats import get_feature_stats
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def bounds(dataset: Any, episode: int) -> tuple[int, int]:
    if hasattr(dataset, "episode_data_index"):  # v2.1
        index = dataset.episode_data_index
        return int(index["from"][episode]), int(index["to"][episode])
    line = dataset.meta.episodes[episode]
    return line["dataset_from_index"], line["dataset_to_index"]


def pixels(image: torch.Tensor) -> np.ndarray:
    """(..., H, W, 3) uint8 of LeRobot's (..., 3, H, W) in 0 to 1."""
    return np.moveaxis((image * 255).round().to(torch.uint8).numpy(), -3, -1)


def check_items(dataset: Any, made: Any, said: dict[str, Any], result: dict[str, Any]) -> None:
    worst = 0
    ends = np.cumsum([0, *said["lengths"]])
    for index in range(len(dataset)):
        item = dataset[index]
        episode = int(np.searchsorted(ends, index, side="right") - 1)
        step = index - int(ends[episode])
        assert item["task"] == said["texts"][episode], (index, item["task"])
        assert int(item["episode_index"]) == episode
        assert int(item["frame_index"]) == step
        assert int(item["index"]) == index
        assert abs(float(item["timestamp"]) - step / said["fps"]) < 1e-4
        assert bool(item["next.done"]) == (index + 1 == ends[episode + 1])
        for key in said["arrays"]:
            found = np.asarray(item[key])
            # LeRobot makes torch's default type of Python's numbers: float64 arrives as float32.
            expected = made[key][index].reshape(found.shape).astype(found.dtype)
            assert np.array_equal(found, expected, equal_nan=True), (index, key)
        for key in said["images"]:
            off = np.abs(pixels(item[key]).astype(int) - made[key][index]).max()
            worst = max(worst, int(off))
            assert off <= said["tolerance"], (index, key, off)
    result["items"] = len(dataset)
    result["largest_pixel_difference"] = worst


def check_episodes(dataset: Any, said: dict[str, Any]) -> None:
    ends = np.cumsum([0, *said["lengths"]]).tolist()
    assert dataset.num_episodes == len(said["lengths"])
    assert len(dataset) == ends[-1]
    assert dataset.fps == said["fps"]
    for episode in range(len(said["lengths"])):
        assert bounds(dataset, episode) == (ends[episode], ends[episode + 1])


def check_statistics(dataset: Any, made: Any) -> None:
    """Our statistics against LeRobot's own over all rows; those of v3.0's quantiles are means of episodes."""
    for key in ("observation.state", "action"):
        theirs = get_feature_stats(made[key].astype(np.float64), axis=0, keepdims=False)
        for name in ("min", "max", "mean", "std", "count"):
            np.testing.assert_allclose(dataset.meta.stats[key][name], theirs[name], rtol=1e-4, atol=1e-6)
        for name in set(theirs) - {"min", "max", "mean", "std", "count"}:
            spread = theirs["max"] - theirs["min"]
            assert (np.abs(dataset.meta.stats[key][name] - theirs[name]) <= 0.5 * spread).all()
    for key in dataset.meta.camera_keys:
        assert dataset.meta.stats[key]["mean"].shape == (3, 1, 1)


def check_windows(root: Path, made: Any, said: dict[str, Any]) -> None:
    """Windows of time stay in their episode and hold the right rows and frames."""
    step = 1 / said["fps"]
    deltas = {"action": [0.0, step, 2 * step], **{key: [-step, 0.0] for key in said["images"]}}
    dataset = LeRobotDataset("peer/set", root=root, video_backend="pyav", delta_timestamps=deltas)
    ends = np.cumsum([0, *said["lengths"]])
    for episode, start in enumerate(ends[:-1]):
        last = int(ends[episode + 1]) - 1
        for index in {int(start), (int(start) + last) // 2, last}:
            item = dataset[index]
            rows = np.minimum(index + np.arange(3), last)
            assert np.array_equal(np.asarray(item["action"]), made["action"][rows])
            assert item["action_is_pad"].tolist() == [index + delta > last for delta in range(3)]
            for key in said["images"]:
                frames = made[key][[max(index - 1, int(start)), index]]
                assert np.abs(pixels(item[key]).astype(int) - frames).max() <= said["tolerance"]


def main() -> int:
    folder, results = Path(sys.argv[1]), []
    for path in sorted(folder.glob("*.json")):
        said, made = json.loads(path.read_text()), np.load(path.with_suffix(".npz"))
        made = {key: made[key] for key in made.files}
        root, result = path.with_suffix(""), {"data_set": path.stem}
        try:
            dataset = LeRobotDataset("peer/set", root=root, video_backend="pyav")
            check_episodes(dataset, said)
            check_items(dataset, made, said, result)
            check_statistics(dataset, made)
            check_windows(root, made, said)
            result["episodes"] = dataset.num_episodes
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {error}"[:2000]
        results.append(result)
    sys.stdout.write(json.dumps(results, indent=1) + "\n")
    return int(any("error" in result for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
