from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from planners.planner import Planner
from robot_skills.cli import plan, run
from robot_skills.cli.main import main
from robot_skills.skill import Skill
from tests.robot_skills.cli.conftest import Substitute
from tests.robot_skills.cli.test_talk import SCENE, make_planner
from tests.robot_skills.small_policy import make_library


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def made(args: argparse.Namespace, skills: Mapping[str, Skill], solver: str = "own") -> Planner:
        return make_planner(args, skills)

    monkeypatch.setattr(plan, "make_planner", made)
    monkeypatch.setattr(run, "make_planner", made)
    (tmp_path / "scene.yaml").write_text(SCENE)
    library = make_library(tmp_path / "lib", ("press", "open", "pick", "place"))
    scene, result = tmp_path / "scene.yaml", tmp_path / "result.json"
    return ["--scene", str(scene), "--library", str(library), "--json", str(result)]


def written(folder: Path, text: str) -> list[str]:
    (folder / "steps.txt").write_text(text)
    return ["--procedure", str(folder / "steps.txt")]


def told(arguments: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(arguments[-1]).read_text())
    return data


TEXT = "press the button\nput the green block in the bowl\n"


def test_a_procedure_is_shown(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *written(tmp_path, TEXT), *arguments]) == 0
    steps = told(arguments)["procedure"]
    assert [len(step["plan"]) for step in steps] == [1, 2]
    assert "3 steps" in capsys.readouterr().out


def test_a_procedure_is_carried_out_and_watched(
    arguments: list[str], tmp_path: Path, experts: Substitute, capsys: pytest.CaptureFixture[str]
) -> None:
    experts()
    assert main(["run", "--local", *written(tmp_path, TEXT), *arguments]) == 0
    data = told(arguments)
    assert (data["mistakes"], data["success"]) == ([], True)
    text = capsys.readouterr().out
    assert text.count("as it should be") == 3
    assert text.index("Next: pick") < text.index("Nothing is left to do.")


def test_a_step_that_cannot_be_done_ends_it_and_the_rest_is_left_out(
    arguments: list[str], tmp_path: Path
) -> None:
    """The small policies look at 16 pixels, and the world shows them 64: nothing works."""
    assert main(["run", "--local", *written(tmp_path, TEXT), *arguments]) == 1
    data = told(arguments)
    assert not data["success"]
    assert [mistake["kind"] for mistake in data["mistakes"]] == ["skipped"] * 3


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        ("press the button\nfrobnicate", [], "Line 2, 'frobnicate'"),
        ("\n", [], "no steps"),
        ("press the button", ["open the drawer"], "takes no COMMAND"),
        ("press the button", ["--html", "page.html"], "takes no --html"),
    ],
)
def test_bad_procedures(
    arguments: list[str],
    tmp_path: Path,
    text: str,
    more: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verb in ("plan", "run"):
        assert main([verb, *more, *written(tmp_path, text), *arguments]) == 2
        assert says in capsys.readouterr().err


def test_no_file_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--procedure", str(tmp_path / "none.txt"), *arguments]) == 2
    assert "cannot be read as text" in capsys.readouterr().err
