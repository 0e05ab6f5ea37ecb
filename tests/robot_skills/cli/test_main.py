"""The command line as a whole: verbs, help, exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from robot_skills import __version__
from robot_skills.cli import main as module
from robot_skills.cli.console import check_output, whole_file, write_json
from robot_skills.cli.main import VERBS, main
from robot_skills.errors import InputError, JobError


def test_help_names_every_verb_and_is_the_answer_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    bare = capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == bare
    for verb, (_, summary) in VERBS.items():
        assert re.search(rf"^ +{verb} +{re.escape(summary)}$", bare, re.MULTILINE)
    assert "examples:" in bare


#: Of verbs that are several, one that gives results.
ACTIONS = {"skills": ["list"], "bridge": ["arm"]}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_that_names_its_results(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([verb, *ACTIONS.get(verb, []), "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"robot-skills {verb}" in text
    assert "--json" in text


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.strip() == f"robot-skills {__version__}"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("The scene\nis wrong."), 2, "robot-skills: The scene is wrong.\n"),
        (JobError("The actor died."), 1, "robot-skills: The actor died.\n"),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr(module, "dispatch", fail)
    assert main(["run"]) == code
    assert capsys.readouterr().err == said


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "dispatch", fail)
    with pytest.raises(ZeroDivisionError):
        main(["run"])


def test_the_installed_command_is_this_one() -> None:
    command = Path(sys.executable).with_name("robot-skills")
    done = subprocess.run([command, "rnu"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("Did you mean 'run'?\n")
    assert done.stderr.count("\n") == 1


def write_half(path: Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("half")
        temporary.write_text("\ud800")


def test_files_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result.json"
    write_json(None, {"a": 1})
    write_json(path, {"a": 1})
    before = path.read_text()
    assert before == '{\n  "a": 1\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(UnicodeEncodeError):
        write_half(path)
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


def test_places_that_cannot_be_written_are_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check_output(None)
    check_output(tmp_path / "new" / "deeper" / "film.MP4", ".mp4")
    assert not (tmp_path / "new").exists()
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "file" / "result.json", "is not a folder"),
    ):
        with pytest.raises(InputError, match=message):
            check_output(path)
    with pytest.raises(InputError, match=r"must end in \.mp4"):
        check_output(tmp_path / "film.avi", ".mp4")
