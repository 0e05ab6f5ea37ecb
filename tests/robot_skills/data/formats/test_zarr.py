"""Replay buffers: as the zarr package writes and reads them, and damaged ones."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import Blosc, Zlib

from robot_skills.data.formats import format_named, open_source
from robot_skills.data.formats.base import DataError, Source, WriteOptions
from robot_skills.errors import InputError
from tests.robot_skills.data.formats.stores import assert_same
from tests.robot_skills.training.tiny import make_store

ENDS = np.array([5, 12, 30])
#: zarr 2 calls the array's creator otherwise than zarr 3; the files are the same.
V3 = int(zarr.__version__.partition(".")[0]) >= 3


def make_arrays() -> dict[str, Any]:
    """What a robot's replay buffer holds: float64 states, float32 images, a depth, a label."""
    rng = np.random.default_rng(3)
    return {
        "action": rng.normal(size=(30, 4)),
        "robot0_eef_pos": rng.normal(size=(30, 3)).astype(np.float32),
        "robot0_gripper_width": rng.random((30, 1)),
        "img": rng.integers(0, 256, (30, 6, 7, 3)).astype(np.float32),
        "camera0_rgb": rng.integers(0, 256, (30, 4, 4, 3), np.uint8),
        "depth": rng.random((30, 6, 7, 3), np.float32),
        "label": rng.integers(-9, 9, 30),
    }


def write_buffer(path: Path, arrays: dict[str, Any], ends: Any = ENDS, compressor: Any = None) -> None:
    """As diffusion policy's `ReplayBuffer` does, with the zarr package; rows in chunks of 8."""
    codec = compressor or Blosc("zstd", 5, Blosc.BITSHUFFLE)
    options: dict[str, Any] = {"zarr_format": 2} if V3 else {"zarr_version": 2}
    root = zarr.open_group(str(path), mode="w", **options)
    named = {**{f"data/{name}": rows for name, rows in arrays.items()}, "meta/episode_ends": np.asarray(ends)}
    for name, rows in named.items():
        chunks = (min(8, len(rows)), *rows.shape[1:])
        if V3:
            array = root.create_array(
                name, shape=rows.shape, chunks=chunks, dtype=rows.dtype, compressors=codec
            )
            array[...] = rows
        else:
            root.create_dataset(name, data=rows, chunks=chunks, compressor=codec)
    root.attrs["author"] = "somebody"


def there_and_back(path: Path, folder: Path, target: str) -> Source:
    source = open_source(path)
    episodes = [source.read(index) for index in range(len(source))]
    format_named("native").write(source.meta, episodes, folder / "store", WriteOptions())
    native = open_source(folder / "store")
    assert_same(native, source.meta, episodes)
    options = WriteOptions(compress=True)
    format_named("zarr").write(native.meta, (native.read(i) for i in range(3)), folder / target, options)
    return native


@pytest.mark.parametrize("compressor", [None, Zlib(3)])
def test_a_buffer_there_and_back(compressor: Any, tmp_path: Path) -> None:
    arrays = make_arrays()
    write_buffer(tmp_path / "a.zarr", arrays, compressor=compressor)
    native = there_and_back(tmp_path / "a.zarr", tmp_path, "b.zarr")
    meta = native.meta
    assert meta.cameras == {"camera0_rgb": (4, 4), "img": (6, 7)}
    assert meta.state_names == (*(f"robot0_eef_pos.{i}" for i in range(3)), "robot0_gripper_width.0")
    assert set(meta.extras) == {"depth", "label", "action.float64", "robot0_gripper_width"}
    assert meta.action.high == (np.inf,) * 4
    second = native.read(1)
    assert len(second) == 7
    assert np.array_equal(second.extras["action.float64"], arrays["action"][5:12])
    assert np.array_equal(second.images["img"], arrays["img"][5:12].astype(np.uint8))
    root = zarr.open_group(str(tmp_path / "b.zarr"), mode="r")  # by the zarr package itself
    assert root["meta/episode_ends"][:].tolist() == ENDS.tolist()
    assert root.attrs["author"] == "somebody"
    for name, rows in arrays.items():
        found = root[f"data/{name}"]
        assert found.dtype == rows.dtype
        assert np.array_equal(found[:], rows), name
    assert all(array.shape[0] == 30 for _, array in root["data"].arrays())


def test_a_zip_file_is_read_by_zarr(tmp_path: Path) -> None:
    source = open_source(make_store(tmp_path / "store", episodes=3))
    episodes = [source.read(index) for index in range(3)]
    format_named("zarr").write(source.meta, episodes, tmp_path / "a.zarr.zip", WriteOptions())
    store = (zarr.storage.ZipStore if V3 else zarr.ZipStore)(tmp_path / "a.zarr.zip", mode="r")
    root = zarr.open_group(store, mode="r")
    for name, key in (("state", "state"), ("action", "action")):
        rows = np.concatenate([getattr(episode, name) for episode in episodes])
        assert np.array_equal(root[f"data/{key}"][:], rows)
    images = np.concatenate([episode.images["front"] for episode in episodes])
    assert np.array_equal(root["data/front"][:], images)


def _read_in_child(source: Source, results: Any) -> None:
    results.put([float(np.asarray(source.read(index).images["front"]).sum()) for index in range(3)])


def test_a_zip_file_survives_a_fork(tmp_path: Path) -> None:
    first = open_source(make_store(tmp_path / "store", episodes=3))
    format_named("zarr").write(
        first.meta, [first.read(i) for i in range(3)], tmp_path / "a.zip", WriteOptions()
    )
    source = open_source(tmp_path / "a.zip")
    expected = [float(np.asarray(source.read(index).images["front"]).sum()) for index in range(3)]
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    children = [context.Process(target=_read_in_child, args=(source, results)) for _ in range(3)]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [expected] * 3


def test_a_missing_chunk_is_not_read_as_zeros(tmp_path: Path) -> None:
    write_buffer(tmp_path / "a.zarr", make_arrays())
    (tmp_path / "a.zarr/data/action/1.0").unlink()  # rows 8 to 15: the second and the third episode
    source = open_source(tmp_path / "a.zarr")
    assert len(source.read(0)) == 5
    for index in (1, 2):
        with pytest.raises(DataError, match=r"data/action/1\.0 is missing") as caught:
            source.read(index)
        assert (caught.value.problem.kind, caught.value.problem.episode) == ("missing_chunk", index)


def test_a_missing_chunk_of_images_shows_when_they_are_read(tmp_path: Path) -> None:
    write_buffer(tmp_path / "a.zarr", make_arrays())
    (tmp_path / "a.zarr/data/img/3.0.0.0").unlink()
    episode = open_source(tmp_path / "a.zarr").read(2)
    assert episode.images["img"][0:12].shape == (12, 6, 7, 3)  # up to row 23
    with pytest.raises(DataError, match=r"episode 2: The chunk .* is missing"):
        episode.images["img"][12:13]


@pytest.mark.parametrize("damage", ["cut", "empty", "longer", "header", "content"])
def test_a_damaged_chunk_is_named(damage: str, tmp_path: Path) -> None:
    write_buffer(tmp_path / "a.zarr", make_arrays())
    chunk = tmp_path / "a.zarr/data/robot0_eef_pos/0.0"
    data = chunk.read_bytes()
    flipped = bytes([data[0] ^ 255]) + data[1:16] + bytes(byte ^ 255 for byte in data[16:])
    chunk.write_bytes(
        {
            "cut": data[: len(data) // 2],
            "empty": b"",
            "longer": data + b"\0",
            "header": data[:4] + b"\xff\xff\xff\x7f" + data[8:],  # says it unpacks to 2 GiB
            "content": flipped,
        }[damage]
    )
    with pytest.raises(DataError, match=r"data/robot0_eef_pos/0\.0.*[Cc]opy"):
        open_source(tmp_path / "a.zarr").read(0)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("meta/episode_ends/.zarray", None, "not a data set|none of the formats"),
        ("meta/episode_ends/0", None, "missing"),
        ("data/action/.zarray", None, "no array 'data/action'"),
        ("data/action/.zarray", {"shape": [29, 4]}, "29 rows; meta/episode_ends counts 30"),
        ("data/action/.zarray", {"shape": [30, 4, 1, 1]}, "does not go with chunks"),
        ("data/action/.zarray", {"chunks": [10**9, 10**9]}, "too large"),
        ("data/action/.zarray", {"chunks": [0, 4]}, "does not go with"),
        ("data/action/.zarray", {"dtype": "<f99"}, "cannot be read"),
        ("data/action/.zarray", {"compressor": {"id": "jpegxl"}}, "jpegxl"),
        ("data/action/.zarray", {"zarr_format": 3}, "format 3, not 2"),
        ("data/action/.zarray", "{", "cannot be read"),
        (".zattrs", "[]", "no JSON object"),
    ],
)
def test_a_damaged_description_is_bad_input(file: str, change: Any, message: str, tmp_path: Path) -> None:
    write_buffer(tmp_path / "a.zarr", make_arrays())
    path = tmp_path / "a.zarr" / file
    if change is None:
        path.unlink()
    elif isinstance(change, str):
        path.write_text(change)
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=message) as caught:
        open_source(tmp_path / "a.zarr").read(0)
    assert "\n" not in str(caught.value)


def test_ends_that_go_down_and_episodes_without_steps(tmp_path: Path) -> None:
    write_buffer(tmp_path / "a.zarr", make_arrays(), ends=[5, 4, 30])
    with pytest.raises(DataError, match="goes down: 4 follows 5"):
        open_source(tmp_path / "a.zarr")
    write_buffer(tmp_path / "b.zarr", make_arrays(), ends=[5, 5, 30])
    source = open_source(tmp_path / "b.zarr")
    with pytest.raises(DataError, match="episode 1: It has no steps"):
        source.read(1)
    assert len(source.read(2)) == 25


def test_fractions_in_images_are_no_bytes(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["img"][20, 0, 0, 0] = 0.5
    write_buffer(tmp_path / "a.zarr", arrays)
    episode = open_source(tmp_path / "a.zarr").read(2)
    with pytest.raises(DataError, match="not whole"):
        np.asarray(episode.images["img"])


def test_a_changed_byte_in_our_buffer_is_found(tmp_path: Path) -> None:
    source = open_source(make_store(tmp_path / "store", episodes=3))
    episodes = [source.read(index) for index in range(3)]
    format_named("zarr").write(source.meta, episodes, tmp_path / "a.zarr", WriteOptions())
    for name, expected in (
        ("data/state/0.0", "state changed"),
        ("data/front/0.0.0.0", "images of front changed"),
        ("meta/robot_skills_json/0", "damaged|checksum"),
        (".zattrs", "damaged|checksum"),
    ):
        shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
        file = tmp_path / "b.zarr" / name
        data = bytearray(file.read_bytes())
        data[300] ^= 1
        file.write_bytes(data)
        with pytest.raises(DataError, match=expected):
            np.asarray(open_source(tmp_path / "b.zarr").read(0).images["front"])
        shutil.rmtree(tmp_path / "b.zarr")


def test_our_buffer_without_its_description_is_not_taken_for_somebody_else_s(tmp_path: Path) -> None:
    source = open_source(make_store(tmp_path / "store", episodes=1))
    format_named("zarr").write(source.meta, [source.read(0)], tmp_path / "a.zarr", WriteOptions())
    (tmp_path / "a.zarr/.zattrs").unlink()
    with pytest.raises(DataError, match=r"description \(\.zattrs\)"):
        open_source(tmp_path / "a.zarr")


def test_a_cut_zip_file_is_bad_input(tmp_path: Path) -> None:
    source = open_source(make_store(tmp_path / "store", episodes=1))
    format_named("zarr").write(source.meta, [source.read(0)], tmp_path / "a.zip", WriteOptions())
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(data[:-30])
    for name in (None, "zarr"):
        with pytest.raises(InputError, match=r"b\.zip"):
            open_source(tmp_path / "b.zip", name)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as file:
        file.writestr("a.txt", "not a replay buffer")
    with pytest.raises(InputError, match="in none of the formats"):
        open_source(tmp_path / "c.zip")
