"""Checksums of the native store: what changed since it was written is named, the rest is still read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from robot_skills.data.formats import open_source
from robot_skills.data.formats.base import DataError
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from tests.robot_skills.training.tiny import make_episode, make_store


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["images.wrist", "state", "action", "end", "target"])
def test_one_bit_in_an_array_spoils_its_episode_and_no_other(tmp_path: Path, name: str) -> None:
    folder = make_store(tmp_path / "data", episodes=3)
    path = folder / f"{name}.bin"
    flip(path, path.stat().st_size * 15 // 33)  # rows 10 to 20 of 33 are episode 1
    source = open_source(folder)
    with pytest.raises(DataError, match=rf"episode 1: {name}\.bin changed since it was written"):
        source.read(1)
    for index in (0, 2):
        assert np.array_equal(source.read(index).state, make_episode(index, 10 + index).state)


def test_a_word_changed_in_a_line_spoils_its_episode(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "data", episodes=3)
    lines = folder / "episodes.jsonl"
    lines.write_text(lines.read_text().replace('"text": "block 2"', '"text": "block 9"'))
    source = open_source(folder)
    assert source.read(1).text == "block 1"
    with pytest.raises(DataError, match=r"episode 2: episodes\.jsonl changed"):
        source.read(2)


def test_a_description_changed_by_hand_is_named(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "data", episodes=1)
    meta = folder / "meta.json"
    content = json.loads(meta.read_text())
    meta.write_text(json.dumps({**content, "control_rate": 30.0}))
    with pytest.raises(InputError, match='take its key "crc" out'):
        open_source(folder)
    del content["crc"]
    meta.write_text(json.dumps({**content, "control_rate": 30.0}))
    assert open_source(folder).meta.control_rate == 30.0


def test_stores_without_checksums_are_read_as_they_are(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "data", episodes=2)
    lines = folder / "episodes.jsonl"
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    lines.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "crc"}) + "\n" for r in records))
    assert [open_source(folder).read(index).text for index in range(2)] == ["block 0", "block 1"]
    with EpisodeStore.open(folder, append=True) as store:
        store.append(make_episode(7))
    assert open_source(folder).read(2).seed == 7


def test_checksums_survive_dropping_the_last_episode(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "data", episodes=3)
    with EpisodeStore.open(folder, append=True) as store:
        store.drop_last()
        store.append(make_episode(9))
    assert [open_source(folder).read(index).seed for index in range(3)] == [0, 1, 9]
