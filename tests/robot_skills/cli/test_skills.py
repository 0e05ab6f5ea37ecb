"""`robot-skills skills`: what it shows, and what it puts where."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from robot_skills.cli.main import main
from robot_skills.library import SkillLibrary
from robot_skills.policies.star.policy import StarPolicy
from tests.robot_skills.small_policy import CONFIG, make_library, save_policy


def test_the_list_tells_trained_from_untrained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library, result = make_library(tmp_path / "lib", ("push",)), tmp_path / "out" / "skills.json"
    assert main(["skills", "list", "--library", str(library), "--json", str(result)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "star" in lines["push"]
    assert "not trained" in lines["pick"]
    skills = {skill["name"]: skill for skill in json.loads(result.read_text())["skills"]}
    assert len(skills) == 6
    assert (skills["push"]["trained"], skills["push"]["policy"]) == (True, "star")
    assert (skills["pick"]["trained"], skills["pick"]["policy"]) == (False, None)


def test_a_skill_is_shown_with_its_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = make_library(tmp_path / "lib", ("push",))
    (library / "push" / "README.md").write_text("# push\n\nSuccess [red]not a colour[/] 0.9.\n")
    assert main(["skills", "show", "push", "--library", str(library)]) == 0
    text = capsys.readouterr().out
    for part in (
        "left or right or forward or back",
        "moved(object, direction)",
        "10 s",
        "[red]not a colour[/]",
    ):
        assert part in text
    assert main(["skills", "show", "pick", "--library", str(library)]) == 0
    assert "not trained" in capsys.readouterr().out


def test_adding_and_replacing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library, source = tmp_path / "lib", save_policy(tmp_path / "push")
    for extra, code, said in (([], 0, "was added"), ([], 2, "--force"), (["--force"], 0, "new weights")):
        assert main(["skills", "add", str(source), "--library", str(library), *extra]) == code
        output = capsys.readouterr()
        assert said in (output.err if code else output.out)
    assert SkillLibrary.open(library).policy("push").cameras == ("front",)


def test_damaged_weights_do_not_break_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = make_library(tmp_path / "lib", ("push", "press"))
    (library / "push" / "config.json").write_text("{")
    (library / "press" / "config.json").write_text("[]")
    assert main(["skills", "list", "--library", str(library)]) == 0
    assert capsys.readouterr().out.count("damaged") == 2


def test_several_skills_are_added_with_one_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, library, result = tmp_path / "both", tmp_path / "lib", tmp_path / "result.json"
    StarPolicy(dataclasses.replace(CONFIG, skills=("pick", "push"))).save_pretrained(source)
    command = ["skills", "add", str(source), "--library", str(library), "--json", str(result)]
    assert main([*command, "--skills", "pick,pull"]) == 2
    assert "Unknown skill of the policy" in capsys.readouterr().err
    assert main([*command, "--skills", "pick, push"]) == 0
    assert "pick, push share one policy" in capsys.readouterr().out
    records = json.loads(result.read_text())["skills"]
    assert [(record["name"], record["trained"], record["policy"]) for record in records] == [
        ("pick", True, "star"),
        ("push", True, "star"),
    ]
    assert {record["weights"] for record in records} == {str(library / "both")}
    assert main(["skills", "show", "pick", "--library", str(library)]) == 0
    assert str(library / "both") in capsys.readouterr().out.replace("\n", "")
