"""Segments as they are learned from: a chunk never runs over a cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_skills.data.loader import Windows
from tests.robot_skills.data.reuse.motions import play, write


def test_the_windows_of_a_segment_that_went_on_end_with_it(tmp_path: Path) -> None:
    whole = play(["circle"], 0, steps=9)
    store = write(tmp_path / "s", [whole, replace(whole, attributes={"continues": True}), whole])
    windows = Windows([store], ("front",), history=2, chunk=4)
    assert len(windows) == 9 + 6 + 9
    batch = windows.batch(np.arange(9, 15))
    for step in range(6):
        assert np.array_equal(batch["actions"][step], whole.action[step : step + 4])
        assert np.array_equal(batch["end"][step], whole.end[step : step + 4])
    after = windows.batch(np.arange(15, 24))  # the episode behind it is whole
    assert np.array_equal(after["actions"][0], whole.action[:4])
    assert after["end"][8].tolist() == [1, 1, 1, 1]


def test_a_segment_shorter_than_a_chunk_has_no_windows(tmp_path: Path) -> None:
    short = play(["up"], 0, steps=3, attributes={"continues": True})
    store = write(tmp_path / "s", [short, play(["up"], 1, steps=5)])
    assert len(Windows([store], (), history=1, chunk=4)) == 5
