"""Bad input of every kind: one line, exit code 2, and nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from robot_skills.cli import run
from robot_skills.cli.main import main
from robot_skills.library import CARD
from tests.robot_skills.cli import told
from tests.robot_skills.small_policy import age, make_library, save_policy

SCENES = {
    "colour.yaml": "objects: [{kind: block, colour: crimson, size: small, position: [0.5, 0, 0.02]}]",
    "kind.yaml": "objects: [{kind: blok, colour: red, size: small, position: [0.5, 0, 0.02]}]",
    "size.yaml": "objects: [{kind: block, colour: red, size: huge, position: [0.5, 0, 0.02]}]",
    "key.yaml": "objcts: []",
    "broken.yaml": "objects: [",
    "list.yaml": "- 1",
    "nowhere.yaml": "objects: [{kind: block, colour: red, size: small, position: [0.5, .nan, 0.02]}]",
    "twice.yaml": "objects:\n" + 2 * "- {kind: block, colour: red, size: small, position: [0.5, 0, 0.02]}\n",
}

SERVER = ["--planner", "openai", "--model", "m", "--base-url", "http://127.0.0.1:1/v1"]
CASES = [
    (["runn", "x"], "Did you mean 'run'?"),
    (["run", "--video", "film.mp4"], "COMMAND"),
    (["run", "x", "--vdieo", "f.mp4"], "--vdieo"),
    (["run", "", "--seed", "3"], "The command is empty"),
    (["run", "  \n ", "--seed", "3"], "The command is empty"),
    (["run", "x" * 10_000], "10000 characters"),
    (["run", "x", "--seed", "-1"], "-1"),
    (["run", "x", "--seed", "three"], "three"),
    (["run", "x", "--seed", "3", "--scene", "s.yaml"], "not allowed with"),
    (["run", "x", "--local", "--address", "auto"], "not allowed with"),
    (["run", "x", "--video", "film.avi"], ".mp4"),
    (["run", "x", "--json", "."], "is a folder"),
    (["run", "x", "--json", "colour.yaml/r.json"], "not a folder"),
    (["run", "x", "--scene", "missing.yaml"], "missing.yaml"),
    (["run", "x", "--scene", "colour.yaml"], "crimson"),
    (["run", "x", "--scene", "kind.yaml"], "Did you mean 'block'?"),
    (["run", "x", "--scene", "size.yaml"], "huge"),
    (["run", "x", "--scene", "key.yaml"], "Did you mean 'objects'?"),
    (["run", "x", "--scene", "broken.yaml"], "broken.yaml"),
    (["run", "x", "--scene", "list.yaml"], "list"),
    (["run", "x", "--scene", "nowhere.yaml"], "finite"),
    (["run", "x", "--scene", "twice.yaml"], "red block"),
    (["run", "x", "--library", "nowhere"], "nowhere"),
    (["run", "x", "--planner", "embeded"], "embeded"),
    (["run", "open the drawer", *SERVER], "127.0.0.1:1"),
    (["plan", ""], "The command is empty"),
    (["plan", "x", "--scene", "missing.yaml"], "missing.yaml"),
    (["skills"], "ACTION"),
    (["skills", "show", "palce"], "Did you mean 'place'?"),
    (["skills", "list", "--library", "nowhere"], "nowhere"),
    (["skills", "list", "--library", "colour.yaml"], "colour.yaml"),
    (["skills", "add", "nowhere", "--name", "push", "--library", "lib"], "no folder nowhere"),
    (["skills", "add", "old", "--name", "push", "--library", "lib"], "format version 99"),
    (["skills", "add", "old", "--name", "push", "--library", "new"], "format version 99"),
    (["serve", "palce"], "Did you mean 'place'?"),
    (["serve", "pick", "--library", "lib"], "not trained"),
    (["serve", "--threads", "0"], "--threads"),
    (["serve", "--detach"], "--address"),
    (["serve", "--address", "127.0.0.1:1", "push", "--library", "lib"], "No Ray cluster answers"),
    (["doctor", "--library", "nowhere"], "nowhere"),
    (["train", "missing.yaml", "-o", "out"], "missing.yaml"),
    (["train", "key.yaml", "-o", "out"], "objcts"),
    (["collect", "missing.yaml", "-o", "out"], "missing.yaml"),
    (["eval", "palce"], "place"),
    (["eval", "./old", "--local"], "format version 99"),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    for name, text in SCENES.items():
        (folder / name).write_text(text + "\n")
    make_library(folder / "lib", ("push",))
    age(save_policy(folder / "old"))
    shutil.copyfile(folder / "lib" / "push" / CARD, folder / "old" / CARD)
    return folder


@pytest.mark.parametrize(("arguments", "said"), CASES, ids=[" ".join(case[0])[:50] for case in CASES])
def test_one_line_exit_code_two_and_nothing_written(
    arguments: list[str],
    said: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    if arguments[0] in ("run", "plan") and "--json" not in arguments:
        arguments = [*arguments, "--json", "result/result.json"]
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.count("\n") == 1, output.err
    assert output.err.startswith("robot-skills: ")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_weights_of_another_version_stop_a_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "make_planner", told.make_planner)
    library = make_library(tmp_path / "lib", ("open",))
    age(library / "open")
    scene = tmp_path / "scene.yaml"
    scene.write_text("objects: [{kind: block, colour: red, size: small, position: [0.5, 0, 0.02]}]\n")
    for where in (["--local"], []):
        arguments = ["run", "open(drawer)", "--scene", str(scene), "--library", str(library), *where]
        assert main(arguments) == 2
        assert "format version 99" in capsys.readouterr().err
