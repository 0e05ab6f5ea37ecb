"""robomimic's own `SequenceDataset` reads our export. `tests/peers/robomimic.sh` makes its environment.

Not part of the ordinary tests: skipped where `ROBOMIMIC_PYTHON` does not name that environment's Python.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from robot_skills.data.episode import Episode
from robot_skills.data.formats import format_named, open_source
from robot_skills.data.formats.base import WriteOptions
from tests.robot_skills.data.formats.foreign import write_libero, write_robomimic
from tests.robot_skills.training.tiny import make_store

PYTHON = os.environ.get("ROBOMIMIC_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="ROBOMIMIC_PYTHON does not name robomimic's environment")

#: Reads every sequence of a file as robomimic's training does, and saves what it was given.
READ = """
import json, sys
import numpy as np
import robomimic
import robomimic.utils.obs_utils as ObsUtils
from robomimic.utils.dataset import SequenceDataset

path, out, low_dim, rgb, swmr, cache, mask = json.loads(sys.argv[1])
ObsUtils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": low_dim, "rgb": rgb}})
data = SequenceDataset(
    hdf5_path=path, obs_keys=low_dim + rgb, dataset_keys=("actions", "rewards", "dones"),
    frame_stack=1, seq_length=3, hdf5_use_swmr=swmr, hdf5_cache_mode=cache,
    filter_by_attribute=mask, load_next_obs=True,
)
found = {}
for index in range(len(data)):
    item = data[index]
    for key in ("actions", "rewards", "dones"):
        found[f"{index}/{key}"] = item[key]
    for group in ("obs", "next_obs"):
        for key, rows in item[group].items():
            found[f"{index}/{group}/{key}"] = rows
np.savez(out, **found)
print(json.dumps({"version": robomimic.__version__, "demos": data.demos, "sequences": len(data)}))
"""


def read_by_robomimic(
    path: Path, out: Path, low_dim: list[str], rgb: list[str], cache: str | None, mask: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `SequenceDataset` says of a file, and what it gives: sequence/key -> (3, ...)."""
    arguments = json.dumps([str(path), str(out), low_dim, rgb, True, cache, mask])
    found = subprocess.run([PYTHON, "-c", READ, arguments], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    with np.load(out) as arrays:
        return json.loads(found.stdout.splitlines()[-1]), dict(arrays)


def padded(rows: Any, start: int) -> Any:
    """Three rows from `start`, the last one repeated at the end, as robomimic pads."""
    return np.asarray(rows)[np.minimum(np.arange(start, start + 3), len(rows) - 1)]


def assert_read(
    given: dict[str, Any], episodes: list[Episode], low_dim: dict[str, Any], rgb: list[str]
) -> None:
    """Compare each sequence of each episode; `low_dim`: key -> columns of the state or name of a feature."""
    index = 0
    for episode in episodes:
        assert len(episode) > 0
        for start in range(len(episode)):
            action = padded(episode.action, start)
            assert np.array_equal(given[f"{index}/actions"].astype(np.float32), action)
            assert np.array_equal(given[f"{index}/dones"], padded(episode.end > 0, start))
            for group, shift in (("obs", 0), ("next_obs", 1)):
                after = [min(row + shift, len(episode) - 1) for row in range(len(episode))]
                for key, columns in low_dim.items():
                    rows = episode.extras[columns] if isinstance(columns, str) else episode.state[:, columns]
                    ours = padded(rows[after], start)
                    assert np.array_equal(given[f"{index}/{group}/{key}"].astype(rows.dtype), ours)
                for camera in rgb:
                    images = np.asarray(episode.images[camera])[after]
                    theirs = given[f"{index}/{group}/{camera}_image"]
                    if theirs.shape[-1] != 3:  # processed to channels first
                        theirs = np.moveaxis(theirs, -3, -1)
                    assert np.array_equal(
                        np.round(theirs * (255 if theirs.max() <= 1 else 1)), padded(images, start)
                    )
            index += 1
    assert f"{index}/actions" not in given


@pytest.mark.parametrize("cache", [None, "low_dim", "all"])
def test_a_store_of_ours(cache: str | None, tmp_path: Path) -> None:
    source = open_source(make_store(tmp_path / "store", episodes=11))  # demo_10 sorts after demo_9
    episodes = [source.read(index) for index in range(len(source))]
    path = tmp_path / "demos.hdf5"
    format_named("robomimic").write(source.meta, episodes, path, WriteOptions(compress=cache is None))
    said, given = read_by_robomimic(path, tmp_path / "out.npz", ["state"], ["front_image"], cache)
    assert said["version"] == "0.3.0"
    assert said["demos"] == [f"demo_{index}" for index in range(11)]
    assert said["sequences"] == sum(map(len, episodes))
    assert_read(given, episodes, {"state": slice(None)}, ["front"])


def test_robomimic_s_own_kind_of_file_there_and_back(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    source = open_source(tmp_path / "lift.hdf5")
    episodes = [source.read(index) for index in range(len(source))]
    path = tmp_path / "demos.hdf5"
    format_named("robomimic").write(source.meta, episodes, path, WriteOptions())
    low_dim = {"robot0_eef_pos": "observation.robot0_eef_pos", "object": "observation.object"}
    arguments = (list(low_dim), ["robot0_eye_in_hand_image"], None)
    said, given = read_by_robomimic(path, tmp_path / "out.npz", *arguments, mask="train")
    assert said["demos"] == ["demo_0", "demo_1"]
    assert_read(given, episodes[:2], low_dim, ["robot0_eye_in_hand"])


def test_libero_s_file_as_robomimic_s(tmp_path: Path) -> None:
    write_libero(tmp_path / "libero.hdf5")
    source = open_source(tmp_path / "libero.hdf5")
    episodes = [source.read(index) for index in range(len(source))]
    path = tmp_path / "demos.hdf5"
    format_named("robomimic").write(source.meta, episodes, path, WriteOptions())
    low_dim = {"ee_pos": slice(0, 3), "gripper_states": slice(6, 8)}
    _, given = read_by_robomimic(path, tmp_path / "out.npz", list(low_dim), ["agentview_image"], "all")
    assert_read(given, episodes, low_dim, ["agentview"])


def test_the_peer_sees_a_difference(tmp_path: Path) -> None:
    source = open_source(make_store(tmp_path / "store", episodes=1))
    path = tmp_path / "demos.hdf5"
    format_named("robomimic").write(source.meta, [source.read(0)], path, WriteOptions())
    with h5py.File(path, "r+") as file:
        file["data/demo_0/obs/front_image"][4, 0, 0, 0] ^= 255
    _, given = read_by_robomimic(path, tmp_path / "out.npz", ["state"], ["front_image"], None)
    with pytest.raises(AssertionError):
        assert_read(given, [source.read(0)], {"state": slice(None)}, ["front"])
