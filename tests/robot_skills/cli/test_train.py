"""`robot-skills train` as it is typed, killed, and typed again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from robot_skills.cli.main import main
from robot_skills.training import recipe as recipe_module
from tests.robot_skills.training.tiny import TinyPolicy, make_store

ROOT = Path(__file__).parents[3]
#: The command line, with the tests' small policy registered; each update takes a moment.
SCRIPT = """
import sys, time, torch
from robot_skills.cli.main import main
from robot_skills.training import recipe
from tests.robot_skills.training.tiny import TinyPolicy
torch.set_num_threads(1)
inner = TinyPolicy.loss
def loss(self, name, batch):
    time.sleep(0.01)
    return inner(self, name, batch)
TinyPolicy.loss = loss
recipe.policy_class = lambda name: TinyPolicy
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    stages = {"policy": {"steps": 120}}
    path.write_text(
        json.dumps(
            {
                "name": "tiny",
                "data": [str(make_store(tmp_path / "data"))],
                "policy": {"name": "tiny"},
                "stages": stages,
                "checkpoint_every": 5,
                "validate_every": 40,
                "threads": 1,
            }
        )
    )
    return path


def test_a_killed_run_resumed_exports_what_an_uninterrupted_one_does(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe_module, "policy_class", lambda name: TinyPolicy)
    parts = tmp_path / "parts"
    command = [sys.executable, "-c", SCRIPT, "train", str(recipe), "-o", str(parts)]
    killed = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (parts / "checkpoint.safetensors").exists():
        assert killed.poll() is None, killed.stderr.read() if killed.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (parts / "config.json").exists()  # nothing that looks trained

    whole = tmp_path / "whole"
    result = tmp_path / "result.json"
    assert main(["train", str(recipe), "-o", str(whole), "--json", str(result)]) == 0
    assert main(["train", str(recipe), "-o", str(parts), "--resume"]) == 0
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    data = json.loads(result.read_text())
    assert list(data) == ["folder", "steps", "samples_per_second", "seconds", "metrics"]
    assert (data["folder"], data["steps"]) == (str(whole), 124)
    assert data["metrics"]["policy"]["held_out_loss"] > 0


def test_a_second_run_into_the_same_folder_is_refused(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipe_module, "policy_class", lambda name: TinyPolicy)
    assert main(["train", str(recipe), "-o", str(tmp_path / "out")]) == 0
    assert main(["train", str(recipe), "-o", str(tmp_path / "out")]) == 2
    assert "holds a run already: go on with --resume" in capsys.readouterr().err
    assert main(["train", str(recipe), "-o", str(tmp_path / "out"), "--resume"]) == 0  # done: nothing is lost


def test_bad_input_is_one_line_and_exit_2(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, words in (
        (recipe.read_text().replace('"tiny"}', '"stra"}'), "Did you mean 'star'"),
        (recipe.read_text().replace('"name": "tiny", ', '"skill": "pik", "name": "tiny", ', 1), "'pick'"),
        (
            recipe.read_text().replace(str(tmp_path / "data"), "no/such"),
            "neither no/such nor out/data/no/such",
        ),
    ):
        recipe.write_text(text)
        assert main(["train", str(recipe), "-o", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
