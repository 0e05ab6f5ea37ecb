"""Recordings of people and of a real robot, where they are at hand: what is so, and nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from robot_skills.data.formats import open_source
from robot_skills.data.validation import validate

SHARED = Path(__file__).parents[4] / "shared" / "data"
PUSHT, G1 = SHARED / "pusht_cchi_v7_replay.zarr", SHARED / "g1_bottle_lerobot_v21"


@pytest.mark.skipif(not PUSHT.exists(), reason="needs the Push-T recordings")
def test_human_recordings_of_push_t() -> None:
    report = validate(open_source(PUSHT), episodes=range(0, 206, 10))
    assert report.of("error") == []
    # It has no language, and its angle lies in [0, 2 pi): both are so. Nothing else is said.
    assert {problem.kind for problem in report.problems} == {"no_text", "jump"}
    assert all("wraps round" in problem.message for problem in report.problems if problem.kind == "jump")


@pytest.mark.skipif(not G1.exists(), reason="needs the recordings of the G1")
def test_recordings_of_a_real_robot() -> None:
    report = validate(open_source(G1), episodes=range(2))
    assert report.of("error") == []
    # Its camera gives 20 to 24 pictures a second, recorded at 30 Hz.
    assert Counter(problem.kind for problem in report.problems) == {"repeated_images": 2}
