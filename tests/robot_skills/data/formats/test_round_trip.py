"""Native -> format -> native gives the same store back, whatever the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_skills.data.episode import Episode
from robot_skills.data.formats import format_named, open_source, recognise
from robot_skills.data.formats.base import WriteOptions
from robot_skills.data.meta import StoreMeta
from tests.robot_skills.data.formats.stores import assert_same, data_sets, fresh

TARGETS = {
    "native": ("native", "store"),
    "zarr": ("zarr", "buffer.zarr"),
    "robomimic": ("robomimic", "demos.hdf5"),
    "libero": ("libero", "task_demo.hdf5"),
    "zip": ("zarr", "buffer.zarr.zip"),
}


@pytest.mark.parametrize("target", TARGETS)
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=data_sets(), compress=st.booleans())
def test_round_trip(
    target: str, tmp_path: Path, data: tuple[StoreMeta, list[Episode]], compress: bool
) -> None:
    name, file = TARGETS[target]
    meta, episodes = data
    path = fresh(tmp_path, file)
    written = format_named(name).write(meta, iter(episodes), path, WriteOptions(compress=compress))
    assert (written.episodes, written.frames) == (len(episodes), sum(map(len, episodes)))
    assert recognise(path).name == name
    assert_same(open_source(path), meta, episodes)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []
