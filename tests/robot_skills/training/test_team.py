"""Two processes learn as one does from a batch twice as large, and go on as if never stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from robot_skills.errors import InputError
from robot_skills.training import recipe as recipe_module
from robot_skills.training.metrics import read_metrics
from robot_skills.training.run import train
from robot_skills.training.team import Team
from tests.robot_skills.training.team_run import recipe
from tests.robot_skills.training.tiny import TinyPolicy, make_store

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left, and beside it what one did with the doubled batch."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("team")
    data = make_store(folder / "data")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [str(ROOT / "tests/robot_skills/training/team_run.py"), str(data), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_two_processes_learn_as_one_from_the_doubled_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe_module, "policy_class", lambda name: TinyPolicy)
    train(recipe(folder / "data", 0.0, 16), folder / "one", False, "train", Console(quiet=True))
    one = read_metrics(folder / "one")
    for name in ("plain1", "plain2"):
        two = read_metrics(folder / name)
        assert [row["step"] for row in two] == [row["step"] for row in one]
        for row, other in zip(one, two, strict=True):
            for key in ("loss", "error"):
                assert row.get(key, 0) == pytest.approx(other.get(key, 0), rel=1e-4), (name, row)
        weights = load_file(folder / name / "model.safetensors")
        for key, value in load_file(folder / "one" / "model.safetensors").items():
            torch.testing.assert_close(weights[key], value, rtol=1e-3, atol=1e-5)
    assert summary(folder / "plain1")["samples"] == summary(folder / "one")["samples"]


def test_a_team_that_was_stopped_goes_on_bitwise(folder: Path) -> None:
    assert read_metrics(folder / "parts") == read_metrics(folder / "whole")
    whole = load_file(folder / "whole" / "model.safetensors")
    for name, value in load_file(folder / "parts" / "model.safetensors").items():
        assert torch.equal(value, whole[name]), name


def test_another_number_of_processes_cannot_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_module, "policy_class", lambda name: TinyPolicy)
    with pytest.raises(InputError, match="begun by 2 processes; go on with as many, not 1"):
        train(recipe(folder / "data", 0.5, 8), folder / "whole", True, "train", Console(quiet=True))


def test_a_team_takes_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises((InputError, ImportError), match="accelerate"):
        Team.of_environment()


def summary(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return read
