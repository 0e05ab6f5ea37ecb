"""`robot-skills eval` on the tabletop: an honest rate, films of failures, a card."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from robot_skills.cli.main import main
from robot_skills.library import PRETRAINED
from robot_skills.policies import registry
from robot_skills.policies.policy import Chunk, PolicyInput
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.training.evaluation import EpisodeResult, EvalReport
from robot_skills.training.export import write_success
from tests.robot_skills.small_policy import CONFIG
from tests.robot_skills.training.tiny import TinyConfig, TinyPolicy

pytest.importorskip("pybullet")


class Idle(TinyPolicy):
    """Says at once that it is over."""

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        return [Chunk(np.zeros((4, 7), np.float32), np.ones(4, np.float32)) for _ in inputs]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "policy_class", lambda name: Idle)
    folder = tmp_path / "press"
    folder.mkdir()
    Idle(TinyConfig()).save_pretrained(folder)
    shutil.copy(PRETRAINED / "press" / "skill.yaml", folder)
    (folder / "README.md").write_text(
        "# press\n\n## Success rate\n\nNot evaluated yet.\n\n## Data\n\nMine.\n"
    )
    return folder


def test_failures_are_told_filmed_and_written_down(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, films = tmp_path / "result.json", tmp_path / "films"
    command = ["eval", str(folder), "--episodes", "2", "--local", "--card"]
    assert main([*command, "--json", str(result), "--videos", str(films)]) == 0
    output = capsys.readouterr().out
    assert "0 of 2 (0 %, 95 % interval 0 to 66 %)" in output
    assert "1000001" in output
    assert output.count("said it was over, and was wrong") == 2
    assert "[yellow]" not in output
    data = json.loads(result.read_text())
    keys = "name episodes successes success_rate interval first_seed per_episode seconds"
    assert list(data) == keys.split()
    assert [(row["seed"], row["success"], row["steps"]) for row in data["per_episode"]] == [
        (1_000_000, False, 2),
        (1_000_001, False, 2),
    ]
    for seed in (1_000_000, 1_000_001):
        assert (films / f"press_{seed}.mp4").stat().st_size > 1000
    card = (folder / "README.md").read_text()
    assert "0 of 2 (0 %, 95 % interval 0 to 66 %), seeds 1000000 to 1000001" in card
    assert "Not evaluated yet" not in card
    assert card.endswith("## Data\n\nMine.\n")
    assert main(command) == 0
    assert (folder / "README.md").read_text() == card  # written anew, not once more


def test_seeds_that_are_not_for_evaluation_are_pointed_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, use in (("5", "training"), ("900000", "validation")):
        assert main(["eval", str(folder), "--episodes", "1", "--first-seed", seed, "--local"]) == 0
        assert f"are for {use}" in capsys.readouterr().out


def test_bad_input_is_one_line_and_exit_2(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "skill.yaml").unlink()
    for arguments, words in (
        (["pik"], "Did you mean 'pick'"),
        ([str(tmp_path)], "is not a trained policy"),
        ([str(folder)], "holds no skill.yaml"),
        (["pick", "--episodes", "0"], "--episodes and --workers are 1 or more"),
    ):
        assert main(["eval", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_a_policy_of_several_skills_is_called_for_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, result = tmp_path / "both", tmp_path / "result.json"
    StarPolicy(dataclasses.replace(CONFIG, skills=("press", "push"))).save_pretrained(folder)
    command = ["eval", str(folder), "--episodes", "1", "--local", "--json", str(result)]
    assert main(command) == 2
    assert "--as" in capsys.readouterr().err
    assert main([*command, "--as", "pick"]) == 2
    assert "valid: press, push" in capsys.readouterr().err
    assert main([*command, "--as", "press"]) == 0
    data = json.loads(result.read_text())
    assert data["name"] == "both: press"
    assert data["per_episode"][0]["call"].startswith("press(")


def test_the_card_of_several_skills_keeps_a_part_for_each(tmp_path: Path) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "README.md").write_text("# both\n\n## Success rate\n\nNot evaluated yet.\n\n## Data\n\nMine.\n")
    for skill, won in (("push", True), ("press", False), ("push", False)):
        result = EpisodeResult(1_000_000, won, "done", "", 3, 0.3, f'{skill}(object="red block")')
        write_success(folder, EvalReport(skill, (result,), 1.0), f"robot-skills eval --as {skill}", skill)
    card = (folder / "README.md").read_text()
    assert [line for line in card.splitlines() if line.startswith("#")] == [
        "# both", "## Success rate", "### press", "### push", "## Data",
    ]  # fmt: skip
    assert card.count("0 of 1 (") == 2
    assert "Not evaluated yet" not in card
    assert card.endswith("\n\n## Data\n\nMine.\n")
