"""Our LeRobot exports opened by LeRobot's own LeRobotDataset, item by item: run by `lerobot.sh`.

Data sets of several kinds are exported here and compared there: state, action, images, task, time stamps,
episode bounds, windows, statistics.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from robot_skills.data.episode import Episode
from robot_skills.data.formats import format_named, open_source, recognise
from robot_skills.data.formats.base import WriteOptions
from robot_skills.data.formats.lerobot import v30
from robot_skills.data.formats.lerobot.info import IMAGES
from robot_skills.data.meta import Feature, StoreMeta
from robot_skills.robot import ActionSpace

HERE = Path(__file__).parent
#: Format -> the variable that names the Python of an environment with a LeRobot that reads it.
PYTHONS = {"lerobot": "LEROBOT_PYTHON", "lerobot-v2.1": "LEROBOT_V21_PYTHON"}
#: Kind -> how it is written, and by how much (of 255) another build's decoder may differ from ours.
KINDS = {
    "table": (WriteOptions(video=False), 0),
    "lossless": (WriteOptions(codec="libx264rgb", quality=0), 0),
    "av1": (WriteOptions(codec="libsvtav1"), 2),
    "h264": (WriteOptions(codec="h264"), 2),
    "hevc": (WriteOptions(codec="hevc"), 2),
}
META = StoreMeta(
    cameras={"front": (48, 64), "wrist": (32, 32)},
    control_rate=20.0,
    state_names=("x", "y", "z", "grip"),
    action=ActionSpace.unlimited(("dx", "dy", "grip"), relative=False),
    extras={
        "next.reward": Feature("<f4"),
        "joints": Feature("<f8", (7,)),
        "pose": Feature("<f4", (4, 4)),
        "patch": Feature("|u1", (2, 3, 4)),
        "image_id": Feature("<i8"),
        "contact": Feature("|b1", (2,)),
    },
)


def episode(rng: np.random.Generator, length: int, text: str) -> Episode:
    """Images of moving waves, so that video codecs are used as on real ones; the numbers are random."""

    def images(height: int, width: int) -> np.ndarray:
        time, y, x = np.ogrid[:length, :height, :width]
        wave = 127 + 100 * np.sin(rng.random() * 6 + time / 5 + x / 9 + y / 7)
        return np.stack([wave, wave[..., ::-1], 255 - wave], axis=-1).astype(np.uint8)

    def numbers(feature: Feature) -> np.ndarray:
        return (100 * rng.random((length, *feature.shape))).astype(feature.dtype)

    return Episode(
        images={name: images(*size) for name, size in META.cameras.items()},
        state=rng.standard_normal((length, 4)).astype(np.float32),
        action=rng.standard_normal((length, 3)).astype(np.float32),
        end=(np.arange(length) == length - 1).astype(np.float32),
        target=np.full((length, 3), np.nan, np.float32),
        text=text,
        extras={name: numbers(feature) for name, feature in META.extras.items()},
    )


def export(form: str, folder: Path) -> None:
    """Write a data set of each kind, and beside it what LeRobot should find in it."""
    rng = np.random.default_rng(0)
    texts = ("pick the red cube", "öffne die Schublade", "pick the red cube", "stop")
    made = [episode(rng, length, text) for length, text in zip((31, 100, 2, 65), texts, strict=True)]
    for kind, (options, tolerance) in KINDS.items():
        root = folder / kind
        if form == "lerobot":  # small files, so that there are several
            v30.write(META, made, root, options, v30.Limits(data=60_000, video=60_000))
        else:
            format_named(form).write(META, made, root, options)
        source = open_source(root)
        found = [source.read(index) for index in range(len(source))]
        arrays = {"observation.state": "state", "action": "action", "target": "target", "end": "end"}
        arrays |= {name: name for name in META.extras}
        expected = {key: np.concatenate([e.rows(name) for e in made]) for key, name in arrays.items()}
        for camera in META.cameras:
            expected[IMAGES + camera] = np.concatenate([e.images[camera][:] for e in found])
            if tolerance == 0:
                original = np.concatenate([e.images[camera] for e in made])
                assert np.array_equal(expected[IMAGES + camera], original)
        np.savez(folder / f"{kind}.npz", **expected)
        said = {
            "lengths": [len(e) for e in made],
            "texts": list(texts),
            "fps": META.control_rate,
            "arrays": list(arrays),
            "images": [IMAGES + camera for camera in META.cameras],
            "tolerance": tolerance,
        }
        (folder / f"{kind}.json").write_text(json.dumps(said))


@pytest.fixture(params=PYTHONS)
def form(request: pytest.FixtureRequest) -> str:
    if PYTHONS[request.param] not in os.environ:
        pytest.skip("run tests/peers/lerobot.sh, which makes LeRobot's environments")
    return str(request.param)


def run(form: str, script: str, folder: Path) -> str:
    """Run a script of this folder in LeRobot's environment; returns what it said."""
    variables = {**os.environ, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    command = [os.environ[PYTHONS[form]], str(HERE / script), str(folder)]
    done = subprocess.run(command, env=variables, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def test_lerobot_reads_our_exports(form: str, tmp_path: Path) -> None:
    export(form, tmp_path)
    results = json.loads(run(form, "lerobot_check.py", tmp_path))
    assert {result["data_set"] for result in results} == set(KINDS)
    assert all(result["items"] == 198 and result["episodes"] == 4 for result in results)


@pytest.mark.parametrize("kind", ["video", "table"])
def test_we_read_lerobots_recordings(form: str, tmp_path: Path, kind: str) -> None:
    run(form, "lerobot_record.py", tmp_path)
    assert recognise(tmp_path / kind).name == form
    source, made = open_source(tmp_path / kind), np.load(tmp_path / f"{kind}.npz")
    assert source.not_carried == ()
    assert source.meta.action.names == ("a", "b")
    assert source.meta.info["source"]["robot_type"] == "so101"
    found = [source.read(index) for index in range(len(source))]
    for read in found:
        read.check(source.meta)
    assert [(len(read), read.text) for read in found] == [(25, "reach"), (40, "öffnen"), (31, "reach")]
    for key, name in {"observation.state": "state", "action": "action", "pose": "pose"}.items():
        np.testing.assert_array_equal(np.concatenate([read.rows(name) for read in found]), made[key])
    rewards = np.concatenate([read.extras["next.reward"] for read in found])
    np.testing.assert_array_equal(rewards, made["next.reward"][:, 0])
    images = np.concatenate([read.images["front"][:] for read in found]).astype(int)
    error = np.abs(images - made["observation.images.front"])
    assert error.max() == 0 if kind == "table" else error.mean() < 6
