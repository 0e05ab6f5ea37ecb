from __future__ import annotations

import json
from pathlib import Path

import pytest

from robot_skills.cli.main import main

pytest.importorskip("pybullet")
KEYS = ["command", "goal", "plan", "verified", "refused", "question", "seconds", "expected_success", "usage"]


def test_a_refusal_exits_with_1_and_is_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "put the banana in the drawer", "--seed", "3", "--json", str(file)]) == 2
    written = json.loads(file.read_text())
    assert list(written) == KEYS
    assert "There is no banana here" in written["refused"]
    shown = capsys.readouterr().out
    assert "scene graph: oracle (simulator state)" in shown
    assert "Refused." in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", " "], "The command is empty"),
        (["plan", "a" * 10_000], "10000 characters"),
        (["plan", "open the door", "--planner", "opnai"], "Did you mean 'openai'"),
        (["plan", "open the door", "--scene", "nowhere.yaml"], "nowhere.yaml"),
        (["plan", "open the door", "--planner", "openai"], "--model"),
    ],
)
def test_bad_input_exits_with_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
