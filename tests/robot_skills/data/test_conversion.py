"""Conversions as a whole: what is chosen, skipped, reported and left behind; how much memory they take."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from rich.console import Console

from robot_skills.data.conversion import ConversionReport, convert, filter_keys, select
from robot_skills.data.formats import open_source
from robot_skills.data.formats.base import DataError, WriteOptions
from robot_skills.errors import InputError
from tests.robot_skills.data.formats.foreign import write_robomimic
from tests.robot_skills.training.tiny import make_store


def run(source: Path, target: Path, name: str, **options: object) -> ConversionReport:
    return convert(open_source(source), target, name, Console(file=io.StringIO()), **options)  # type: ignore[arg-type]


def visible(folder: Path) -> list[str]:
    """What lies in a folder, temporary files included."""
    return sorted(entry.name for entry in folder.iterdir())


def test_through_every_format_and_home_again(tmp_path: Path) -> None:
    make_store(tmp_path / "store", episodes=3)
    chain = [
        ("zarr", "a.zarr"),
        ("robomimic", "b.hdf5"),
        ("libero", "c.hdf5"),
        ("zarr", "d.zarr.zip"),
        ("native", "e"),
    ]
    path = tmp_path / "store"
    for name, file in chain:
        report = run(path, tmp_path / file, name)
        assert (report.episodes, report.frames, report.errors) == (3, 10 + 11 + 12, ())
        path = tmp_path / file
    first, last = open_source(tmp_path / "store"), open_source(path)
    assert last.meta.to_json() == first.meta.to_json()
    for index in range(3):
        ours, theirs = first.read(index), last.read(index)
        assert ours.to_json() == theirs.to_json()
        for name in first.meta.arrays():
            assert np.array_equal(ours.rows(name), theirs.rows(name), equal_nan=True)


def test_chosen_episodes_keep_their_filter_keys(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    source = open_source(tmp_path / "lift.hdf5")
    assert filter_keys(source) == {"train": (0, 1), "valid": (2,)}
    assert select(source, (1, 2), "train") == (1,)
    with pytest.raises(InputError, match=r"'valdi'.*Did you mean 'valid'"):
        select(source, None, "valdi")
    run(tmp_path / "lift.hdf5", tmp_path / "store", "native", episodes=(2, 1))
    store = open_source(tmp_path / "store")
    assert filter_keys(store) == {"train": (1,), "valid": (0,)}
    run(tmp_path / "store", tmp_path / "again.hdf5", "robomimic")
    with h5py.File(tmp_path / "again.hdf5") as file:
        assert file["mask/train"][()].tolist() == [b"demo_1"]
        assert file["mask/valid"][()].tolist() == [b"demo_0"]


def damage_image(path: Path) -> None:
    """Make images of the second demonstration floating-point numbers."""
    with h5py.File(path, "r+") as file:
        demo = file["data/demo_5"]
        del demo["obs/agentview_image"]
        demo["obs/agentview_image"] = np.zeros((7, 8, 8, 3), np.float32)


def test_a_damaged_episode_stops_a_conversion_and_leaves_nothing(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    damage_image(tmp_path / "lift.hdf5")
    for name, target in (
        ("native", "store"),
        ("zarr", "a.zarr"),
        ("zarr", "a.zarr.zip"),
        ("libero", "a.hdf5"),
    ):
        report = run(tmp_path / "lift.hdf5", tmp_path / target, name)
        assert (report.written, report.episodes, report.frames) == (False, 0, 0)
        assert [problem.episode for problem in report.errors] == [1]
        assert visible(tmp_path) == ["lift.hdf5"]


def test_damaged_episodes_are_skipped_when_told_so(tmp_path: Path) -> None:
    arrays = write_robomimic(tmp_path / "lift.hdf5")
    damage_image(tmp_path / "lift.hdf5")
    report = run(tmp_path / "lift.hdf5", tmp_path / "store", "native", skip_damaged=True)
    assert (report.written, report.episodes, report.frames) == (True, 2, 11)
    assert [problem.episode for problem in report.errors] == [1]
    store = open_source(tmp_path / "store")
    assert np.array_equal(store.read(1).extras["sim.state"], arrays["/data/demo_10/states"])


def test_damage_that_shows_in_the_middle_of_a_video_is_skipped_too(tmp_path: Path) -> None:
    make_store(tmp_path / "store", episodes=3)
    run(tmp_path / "store", tmp_path / "a.hdf5", "robomimic")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["data/demo_1/obs/front_image"][9, 0, 0, 0] ^= 255
    for name, target in (("native", "b"), ("zarr", "b.zarr"), ("robomimic", "b.hdf5")):
        report = run(tmp_path / "a.hdf5", tmp_path / target, name, skip_damaged=True)
        assert (report.episodes, report.frames) == (2, 10 + 12)
        assert [(problem.episode, problem.kind) for problem in report.errors] == [(1, "checksum")]
        assert not run(tmp_path / "a.hdf5", tmp_path / f"c{target}", name).written


def test_nothing_but_damage_is_bad_input(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    with h5py.File(tmp_path / "lift.hdf5", "r+") as file:
        for demo in file["data"].values():
            demo["actions"][0, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        run(tmp_path / "lift.hdf5", tmp_path / "store", "native", skip_damaged=True)
    assert visible(tmp_path) == ["lift.hdf5"]


def test_what_cannot_be_converted_is_said_before_the_work(tmp_path: Path) -> None:
    make_store(tmp_path / "store", episodes=2)
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists"):
        run(tmp_path / "store", tmp_path / "there", "native")
    with pytest.raises(InputError, match="episodes 0 to 1, not 2"):
        run(tmp_path / "store", tmp_path / "new", "native", episodes=(0, 2))
    with pytest.raises(InputError, match="no episodes to convert"):
        run(tmp_path / "store", tmp_path / "new", "native", episodes=())


def test_the_rate_can_be_corrected(tmp_path: Path) -> None:
    make_store(tmp_path / "store", episodes=1)
    run(tmp_path / "store", tmp_path / "a.zarr", "zarr", options=WriteOptions(fps=12.5))
    assert open_source(tmp_path / "a.zarr").meta.control_rate == 12.5


MEMORY = """
import io, resource, sys
from pathlib import Path
from rich.console import Console
from robot_skills.data.conversion import convert
from robot_skills.data.formats import open_source

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

small, large, folder = map(Path, sys.argv[1:4])
console = Console(file=io.StringIO())
for name in sys.argv[4:]:
    suffix = ".hdf5" if name in ("robomimic", "libero") else ""
    convert(open_source(small), folder / f"small-{name}{suffix}", name, console)  # imports, caches
before = peak()
for name in sys.argv[4:]:
    suffix = ".hdf5" if name in ("robomimic", "libero") else ""
    convert(open_source(large), folder / f"large-{name}{suffix}", name, console)
    convert(open_source(folder / f"large-{name}{suffix}"), folder / f"home-{name}", "native", console)
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_data_set(tmp_path: Path) -> None:
    """Sixteen times the episodes, 90 MB each way: less than 40 MB more than for one."""
    write_images(tmp_path / "small.hdf5", episodes=1)
    write_images(tmp_path / "large.hdf5", episodes=16)
    assert (tmp_path / "large.hdf5").stat().st_size > 90e6
    paths = [str(tmp_path / name) for name in ("small.hdf5", "large.hdf5", "")]
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, *paths, "native", "zarr", "robomimic"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert int(found.stdout) < 40


def write_images(path: Path, episodes: int) -> None:
    """A robomimic file with 6 MB of images an episode."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for index in range(episodes):
            demo = file.create_group(f"data/demo_{index}")
            demo.attrs["num_samples"] = 200
            demo["actions"] = rng.uniform(-1, 1, (200, 7))
            demo["obs/robot0_eef_pos"] = rng.normal(size=(200, 3))
            demo["obs/agentview_image"] = rng.integers(0, 255, (200, 100, 100, 3), np.uint8)
