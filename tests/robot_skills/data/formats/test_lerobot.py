"""LeRobotDataset: what is written is read back by value, in both versions, and laid out as LeRobot does."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_skills.data.episode import Episode
from robot_skills.data.formats import native, recognise
from robot_skills.data.formats.base import Format, WriteOptions
from robot_skills.data.formats.lerobot import v21, v30
from robot_skills.data.meta import Feature, StoreMeta
from robot_skills.errors import InputError
from robot_skills.robot import ActionSpace
from robot_skills.skill import SkillCall
from tests.robot_skills.data.formats import stores
from tests.robot_skills.data.formats.stores import data_sets, fresh

pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("av")

BOTH = pytest.mark.parametrize("form", [v21.FORMAT, v30.FORMAT], ids=lambda form: form.name)
IN_TABLE = WriteOptions(video=False)
LOSSLESS = WriteOptions(codec="libx264rgb", quality=0)


def random_meta(rng: np.random.Generator) -> StoreMeta:
    """Any description: odd image sizes, every number type, names that LeRobot has taken."""
    names = [
        "joints",
        "timestamp",
        "next.reward",
        "index",
        "observation.force",
        "image_id",
        "next.done",
        "d6",
    ]
    chosen = rng.choice(names, rng.integers(0, 5), replace=False)
    types = ["<f4", "<f8", "<i8", "<i4", "|u1", "|b1", "<f2"]
    shapes: list[tuple[int, ...]] = [(), (1,), (4,), (2, 3), (2, 1, 2), (1, 1, 2, 1, 1, 2), (0,)]
    extras = {
        str(name): Feature(str(rng.choice(types)), shapes[rng.integers(len(shapes))]) for name in chosen
    }
    size = int(rng.integers(1, 8))
    limited = rng.random(size) < 0.5
    action = ActionSpace(
        tuple(f"a{index}" for index in range(size)),
        tuple(bool(value) for value in rng.random(size) < 0.5),
        tuple(-2.0 if limit else -math.inf for limit in limited),
        tuple(2.5 if limit else math.inf for limit in limited),
    )
    cameras = {
        f"cam{index}": (int(rng.integers(3, 30)), int(rng.integers(3, 30)))
        for index in range(rng.integers(3))
    }
    state = tuple(f"joint {index}" for index in range(rng.integers(0, 5)))
    return StoreMeta(
        cameras, float(rng.choice([10, 12.5, 20, 30])), state, action, extras, {"made": "by a test"}
    )


def random_episode(meta: StoreMeta, rng: np.random.Generator, length: int | None = None) -> Episode:
    count = int(rng.integers(1, 90)) if length is None else length

    def rows(feature: Feature) -> np.ndarray[Any, Any]:
        return (rng.standard_normal((count, *feature.shape)) * 50).astype(np.float64).astype(feature.dtype)

    target = rng.standard_normal((count, 3)).astype(np.float32)
    target[rng.random(count) < 0.3] = np.nan
    return Episode(
        images={
            name: rng.integers(0, 256, (count, *size, 3), dtype=np.uint8)
            for name, size in meta.cameras.items()
        },
        state=rng.standard_normal((count, len(meta.state_names))).astype(np.float32),
        action=rng.uniform(-2, 2, (count, meta.action.size)).astype(np.float32),
        end=(np.arange(count) >= count - 2).astype(np.float32),
        target=target,
        text=str(rng.choice(["pick the red cube", "schließe die Schublade \U0001f916", ""])),
        call=SkillCall("pick", {"object": "red cube"}) if rng.random() < 0.5 else None,
        scene={"blocks": [1.5, {"at": None}]},
        seed=int(rng.integers(2**40)) if rng.random() < 0.5 else None,
        expert="scripted, reads simulator state",
        outcome=str(rng.choice(["succeeded", "dropped"])),
        extras={name: rows(feature) for name, feature in meta.extras.items()},
        attributes={"model": "<xml>" + "x" * 9000, "note": "kurz"},
    )


def assert_same(found: Episode, meant: Episode, images: bool = True) -> None:
    for name in ("state", "action", "end", "target"):
        assert getattr(found, name).dtype == getattr(meant, name).dtype
        np.testing.assert_array_equal(getattr(found, name), getattr(meant, name))
    assert set(found.extras) == set(meant.extras)
    for name, rows in meant.extras.items():
        assert (found.extras[name].dtype, found.extras[name].shape) == (rows.dtype, rows.shape)
        np.testing.assert_array_equal(found.extras[name], rows)
    assert set(found.images) == set(meant.images)
    for name, rows in meant.images.items():
        assert found.images[name].shape == rows.shape
        if images:
            np.testing.assert_array_equal(found.images[name][:], rows)
    for name in ("text", "call", "scene", "seed", "expert", "outcome", "attributes"):
        assert getattr(found, name) == getattr(meant, name)


@BOTH
@pytest.mark.parametrize("seed", range(12))
def test_round_trip_is_equal_by_value(tmp_path: Path, form: Format, seed: int) -> None:
    rng = np.random.default_rng(seed)
    meta = random_meta(rng)
    episodes = [random_episode(meta, rng) for _ in range(rng.integers(1, 5))]
    native.write(meta, episodes, tmp_path / "first", WriteOptions())
    first = native.FORMAT.open(tmp_path / "first")
    options = LOSSLESS if seed % 3 == 0 else IN_TABLE
    written = form.write(
        first.meta, (first.read(index) for index in range(len(first))), tmp_path / "there", options
    )
    assert (written.episodes, written.frames) == (len(episodes), sum(map(len, episodes)))
    assert written.not_carried == []
    there = form.open(tmp_path / "there")
    native.write(
        there.meta, (there.read(index) for index in range(len(there))), tmp_path / "back", WriteOptions()
    )
    back = native.FORMAT.open(tmp_path / "back")
    assert back.meta == replace(first.meta)
    assert there.not_carried == ()
    assert len(back) == len(episodes)
    for index, episode in enumerate(episodes):
        assert_same(back.read(index), episode)


@BOTH
def test_formats_know_their_own(tmp_path: Path, form: Format) -> None:
    rng = np.random.default_rng(0)
    meta = random_meta(rng)
    form.write(meta, [random_episode(meta, rng)], tmp_path / "set", IN_TABLE)
    assert [other.name for other in (v21.FORMAT, v30.FORMAT) if other.recognise(tmp_path / "set")] == [
        form.name
    ]
    assert not form.recognise(tmp_path)
    with pytest.raises(InputError, match="exists"):
        form.write(meta, [], tmp_path / "set", IN_TABLE)


def simple_meta(size: tuple[int, int] = (48, 64), **changes: Any) -> StoreMeta:
    action = ActionSpace.unlimited(("x", "y"), relative=False)
    return replace(StoreMeta({"front": size}, 10.0, ("x", "y", "z"), action), **changes)


def smooth_episode(meta: StoreMeta, length: int, phase: float = 0.0) -> Episode:
    """Images that a video codec can hold: moving waves."""
    rng = np.random.default_rng(int(phase * 10))
    height, width = meta.cameras["front"]
    time, y, x = np.ogrid[:length, :height, :width]
    wave = 127 + 100 * np.sin(phase + time / 5 + x / 9 + y / 7)
    images = np.stack([wave, wave[..., ::-1], 255 - wave], axis=-1).astype(np.uint8)
    return replace(random_episode(meta, rng, length), images={"front": images})


@BOTH
@pytest.mark.parametrize("codec", ["libsvtav1", "h264", "hevc"])
def test_video_comes_back_near(tmp_path: Path, form: Format, codec: str) -> None:
    meta = simple_meta()
    episodes = [smooth_episode(meta, length, phase) for length, phase in ((17, 0.0), (70, 1.0), (1, 2.0))]
    written = form.write(meta, episodes, tmp_path / "set", WriteOptions(codec=codec))
    assert len(written.not_carried) == 1
    assert codec in written.not_carried[0]
    source = form.open(tmp_path / "set")
    for index, episode in enumerate(episodes):
        found = source.read(index)
        assert_same(found, episode, images=False)
        error = np.abs(found.images["front"][:].astype(int) - episode.images["front"])
        assert error.mean() < 12


@BOTH
@pytest.mark.parametrize("options", [LOSSLESS, IN_TABLE], ids=["video", "table"])
def test_lazy_images_by_any_slice(tmp_path: Path, form: Format, options: WriteOptions) -> None:
    meta = simple_meta((6, 8))
    rng = np.random.default_rng(0)
    episodes = [random_episode(meta, rng, length) for length in (3, 150)]
    form.write(meta, episodes, tmp_path / "set", options)
    rows = form.open(tmp_path / "set").read(1).images["front"]
    meant = episodes[1].images["front"]
    for _ in range(60):
        start, stop = sorted(rng.integers(0, 151, 2))
        step = int(rng.integers(1, 9))
        np.testing.assert_array_equal(rows[start:stop:step], meant[start:stop:step])
    np.testing.assert_array_equal(rows[[7, 149, 7]], meant[[7, 149, 7]])
    np.testing.assert_array_equal(rows[-1], meant[-1])
    rows[20:30]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rows))[30:40], meant[30:40])  # in a worker
    np.testing.assert_array_equal(np.asarray(rows), meant)
    with pytest.raises(IndexError):
        rows[150]


def test_v21_layout(tmp_path: Path) -> None:
    meta = simple_meta()
    episodes = [smooth_episode(meta, 12), replace(smooth_episode(meta, 8, 1.0), text="other")]
    episodes[0] = replace(episodes[0], text="one")
    v21.FORMAT.write(meta, episodes, tmp_path / "set", WriteOptions())
    root = tmp_path / "set"
    info = json.loads((root / "meta/info.json").read_text())
    totals = {key: info[key] for key in info if key.startswith("total_")}
    assert totals == {
        "total_episodes": 2,
        "total_frames": 20,
        "total_tasks": 2,
        "total_videos": 2,
        "total_chunks": 1,
    }
    assert info["codebase_version"] == "v2.1"
    assert info["splits"] == {"train": "0:2"}
    assert info["fps"] == 10
    video = info["features"]["observation.images.front"]
    assert video["dtype"] == "video"
    assert video["shape"] == [48, 64, 3]
    assert video["info"]["video.codec"] == "av1"
    assert (root / "videos/chunk-000/observation.images.front/episode_000001.mp4").is_file()
    table = pq.read_table(root / "data/chunk-000/episode_000001.parquet")
    assert table["index"].to_pylist() == list(range(12, 20))
    assert set(table["task_index"].to_pylist()) == {1}
    assert table["next.done"].to_pylist() == [False] * 7 + [True]
    np.testing.assert_allclose(table["timestamp"].to_numpy(), np.arange(8) / 10, atol=1e-6)
    tasks = [json.loads(line) for line in (root / "meta/tasks.jsonl").read_text().splitlines()]
    assert tasks == [{"task_index": 0, "task": "one"}, {"task_index": 1, "task": "other"}]
    lines = (root / "meta/episodes_stats.jsonl").read_text().splitlines()
    stats = json.loads(lines[1])["stats"]
    np.testing.assert_allclose(stats["action"]["mean"], episodes[1].action.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stats["observation.state"]["std"], episodes[1].state.std(axis=0), rtol=1e-5)
    images = episodes[1].images["front"] / 255
    np.testing.assert_allclose(
        np.array(stats["observation.images.front"]["mean"])[:, 0, 0], images.mean(axis=(0, 1, 2))
    )
    assert stats["observation.images.front"]["count"] == [8]


def test_v30_layout_and_size_limits(tmp_path: Path) -> None:
    meta = simple_meta()
    episodes = [
        replace(smooth_episode(meta, 30 + index, index), text=f"task {index % 2}") for index in range(7)
    ]
    limits = v30.Limits(chunk=2, data=6_000, video=12_000)
    root = tmp_path / "set"
    v30.write(meta, episodes, root, WriteOptions(), limits)
    for pattern in ("data", "videos/observation.images.front"):
        files = sorted(str(path.relative_to(root / pattern)) for path in (root / pattern).rglob("*.*"))
        assert len(files) > 3
        assert files[2].startswith("chunk-001/file-000")
    listed = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["length"] for row in listed] == [len(episode) for episode in episodes]
    assert [row["dataset_to_index"] for row in listed] == list(np.cumsum([len(e) for e in episodes]))
    for row, following in itertools.pairwise(listed):
        key = "videos/observation.images.front/"
        same = all(row[key + name] == following[key + name] for name in ("chunk_index", "file_index"))
        assert following[key + "from_timestamp"] == (row[key + "to_timestamp"] if same else 0)
    stats = json.loads((root / "meta/stats.json").read_text())
    actions = np.concatenate([episode.action for episode in episodes])
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(stats["action"]["std"], actions.std(axis=0), atol=1e-6)
    assert stats["action"]["count"] == [len(actions)]
    assert np.shape(stats["observation.images.front"]["q50"]) == (3, 1, 1)
    tasks = pq.read_table(root / "meta/tasks.parquet")
    assert tasks.to_pydict() == {"task_index": [0, 1], "task": ["task 0", "task 1"]}
    assert tasks.schema.pandas_metadata["index_columns"] == ["task"]
    source = v30.FORMAT.open(root)
    for index in (6, 0, 3):
        assert_same(source.read(index), episodes[index], images=False)


@BOTH
def test_empty_and_impossible(tmp_path: Path, form: Format) -> None:
    meta = simple_meta()
    form.write(meta, [], tmp_path / "empty", WriteOptions())
    assert len(form.open(tmp_path / "empty")) == 0
    with pytest.raises(InputError, match=r"valid: .*libsvtav1"):
        form.write(meta, [], tmp_path / "set", WriteOptions(codec="mpeg1"))
    with pytest.raises(InputError, match="0 to 51"):
        form.write(meta, [], tmp_path / "set", WriteOptions(codec="h264", quality=60))
    odd = simple_meta((15, 17))
    with pytest.raises(InputError, match="15 x 17 px"):
        form.write(odd, [smooth_episode(odd, 4)], tmp_path / "set", WriteOptions(codec="h264"))
    wrong = replace(smooth_episode(meta, 4), state=np.full((4, 3), np.nan, np.float32))
    with pytest.raises(InputError, match="not finite"):
        form.write(meta, [smooth_episode(meta, 4), wrong], tmp_path / "set", WriteOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


@BOTH
@settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=data_sets(), video=st.booleans())
def test_any_store_comes_back(
    form: Format, tmp_path: Path, data: tuple[StoreMeta, list[Episode]], video: bool
) -> None:
    meta, made = data
    path = fresh(tmp_path, "set")
    written = form.write(meta, iter(made), path, LOSSLESS if video else IN_TABLE)
    assert written.not_carried == []
    assert recognise(path).name == form.name
    stores.assert_same(form.open(path), meta, made)


@BOTH
def test_texts_may_hold_any_line_separator(form: Format, tmp_path: Path) -> None:
    meta, text = simple_meta(), "a\u2028b\x85c\x1dd\r\ne"
    form.write(meta, [replace(smooth_episode(meta, 3), text=text)], tmp_path / "set", IN_TABLE)
    assert form.open(tmp_path / "set").read(0).text == text
