"""`robot-skills doctor`: what it finds here, and what it says when something is missing."""

from __future__ import annotations

import importlib.util
import json
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from robot_skills.cli import doctor
from robot_skills.cli.main import main
from tests.robot_skills.small_policy import make_library


def test_it_finds_what_the_demo_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = doctor.Check("Ray", True, True, "looked at by the tests of serving")
    monkeypatch.setattr(doctor, "_ray", lambda: ready)
    library, result = make_library(tmp_path / "lib", ("push",)), tmp_path / "doctor.json"
    assert main(["doctor", "--library", str(library), "--json", str(result)]) == 0
    report = json.loads(result.read_text())
    found = {check["name"]: check for check in report["checks"]}
    assert report["ok"]
    for name in ("Python", "torch", "simulation", "sentence embedding", "language model", "video"):
        assert found[name]["ok"], found[name]
    assert "ms" in found["simulation"]["found"]
    assert "gguf" in found["language model"]["found"]
    assert "not trained: close" in found["skills"]["found"]
    text = capsys.readouterr().out
    assert all(name in text for name in found)
    assert "pybullet build time" not in text


def test_what_is_missing_comes_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    absent = {"pybullet", "xllamacpp", "ray", "av", "transformers"}

    def find_some(name: str, package: Any = None) -> ModuleSpec | None:
        return None if name in absent else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_some)
    assert main(["doctor", "--library", str(make_library(tmp_path / "lib"))]) == 1
    text = capsys.readouterr().out
    for extra in ("sim", "ray", "llm", "video"):
        assert f"pip install 'robot-skills[{extra}]'" in text
    assert "trained: none" in text
