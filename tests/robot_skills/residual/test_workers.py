"""Actor and learner apart: one worker gives what none gives, and killing either loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robot_skills.residual.checkpoint import CHECKPOINT
from robot_skills.residual.log import FOLDER
from robot_skills.training import parallel
from tests.robot_skills.residual.runs import assert_same, end_of, refine, short
from tests.robot_skills.residual.toy import REFINE, Deadly

pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One for all of these tests: starting it takes longer than they do."""
    with parallel._cluster(2):
        yield


@pytest.fixture(scope="module")
def alone(base: Path, demonstrations: Path, tmp_path_factory) -> Path:
    """The run that nothing happens to."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    refine(folder, base, demonstrations)
    return folder


def test_a_killed_worker_is_replaced_and_changes_nothing(
    alone: Path, base: Path, demonstrations: Path, tmp_path: Path
) -> None:
    """One process that plays, killed twice: at an episode of practice and at one of an evaluation."""
    (tmp_path / "marks").mkdir()
    deadly = Deadly((REFINE.first_seed + 8, REFINE.evaluate_first_seed + 2), str(tmp_path / "marks"))
    refine(tmp_path / "run", base, demonstrations, workers=1, arena=deadly)
    assert len(list((tmp_path / "marks").iterdir())) == 2
    assert_same(alone, tmp_path / "run")


def test_several_workers_feed_one_learner(base: Path, demonstrations: Path, tmp_path: Path) -> None:
    refine(
        tmp_path / "run",
        base,
        demonstrations,
        short(steps=250, evaluate_every=200, evaluate_episodes=2),
        workers=2,
    )
    position, _, rows = end_of(tmp_path / "run")
    assert position["steps"] >= 250
    lines = (tmp_path / "run" / FOLDER / "episodes.jsonl").read_text().splitlines()
    assert len(lines) >= position["episodes"]
    # An evaluation is asked for once, however many of its episodes are being played at a time.
    evaluations = [row for row in rows if row["group"] == "evaluation"]
    assert evaluations[-1]["step"] >= 250
    assert all(row["episodes"] == 2 for row in evaluations)
    assert position["base"].keys() == {"900000", "900001"}


@pytest.mark.parametrize(
    "workers", [pytest.param(0, id="the learner"), pytest.param(1, id="the learner and who plays")]
)
def test_a_killed_learner_goes_on_to_the_last_bit(
    workers: int, alone: Path, base: Path, demonstrations: Path, tmp_path: Path
) -> None:
    """SIGKILL in mid-training, wherever they happen to be; what was played is there."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "tests.robot_skills.residual.run_toy"]
    command += [str(folder), str(base), str(demonstrations), str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    played = folder / FOLDER / "episodes.jsonl"
    for wanted in (3, 12) if not workers else (12,):
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
        deadline = time.monotonic() + 120
        while not played.is_file() or played.read_bytes().count(b"\n") < wanted:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        others = psutil.Process(process.pid).children(recursive=True)
        assert len(others) >= 3 * workers, "Ray's processes are there"
        for victim in (process, *others):
            victim.send_signal(signal.SIGKILL)
        process.wait()
        psutil.wait_procs(others, 20.0)
        assert played.read_bytes().count(b"\n") >= wanted
    assert (folder / CHECKPOINT).is_file()
    refine(folder, base, demonstrations, resume=True, workers=workers)
    assert_same(alone, folder)
