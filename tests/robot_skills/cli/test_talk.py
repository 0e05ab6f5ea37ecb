"""The conversation of `robot-skills run` in the simulator, with scripted experts in the place of policies."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from planners.examples import ExampleBank, bank
from planners.planner import Planner
from planners.proposer import LanguageModelProposer
from robot_skills.cli import run, talk
from robot_skills.cli.main import dispatch, main
from robot_skills.execution import Pending
from robot_skills.policies.policy import PolicyInput
from robot_skills.skill import Skill
from tests.planners.test_planner import ScriptedModel, letters
from tests.robot_skills.cli.conftest import Substitute
from tests.robot_skills.cli.experts import ExpertChunks
from tests.robot_skills.small_policy import make_library

SCENE = """\
objects:
- {kind: block, colour: red, size: large, position: [0.50, -0.10, 0.025]}
- {kind: block, colour: green, size: large, position: [0.40, 0.02, 0.025]}
- {kind: bowl, colour: white, size: small, position: [0.57, 0.02, 0.0225]}
button: [0.40, -0.20]
"""


def make_planner(args: argparse.Namespace, skills: Mapping[str, Skill]) -> Planner:
    return Planner(skills, LanguageModelProposer(ScriptedModel(), ExampleBank(letters, bank())))


@pytest.fixture(autouse=True)
def _no_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "make_planner", make_planner)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "scene.yaml").write_text(SCENE)
    library = make_library(tmp_path / "lib", ("press", "open", "pick", "place"))
    scene, result = tmp_path / "scene.yaml", tmp_path / "result.json"
    return ["run", "--scene", str(scene), "--library", str(library), "--local", "--json", str(result)]


def turns(arguments: list[str]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(Path(arguments[-1]).read_text())["turns"]
    return told


def test_commands_one_after_another_in_a_scene_that_stays(
    arguments: list[str],
    experts: Substitute,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    experts()
    lines = [
        "press the button",
        "pick up the block",
        "the left one",
        "put it in the bowl",
        "undo that",
        "bye",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*lines, "press the button"])))
    assert main(arguments) == 0
    told = turns(arguments)
    assert [turn["said"] for turn in told] == lines
    assert told[1]["question"] == "Which block do you mean: red block or green block?"
    assert [turn["goal"] for turn in told if turn.get("success")] == [
        "pressed(button)",
        "holding(green block)",
        "in(green block, white bowl)",
    ]
    assert told[3]["summary"] == "I put the green block in the white bowl."
    assert "cannot take the green block out of the white bowl" in told[4]["reply"]
    text = capsys.readouterr().out
    assert "Which block do you mean" in text
    assert "Goodbye." in text


class Person(talk.Typed):
    """At a terminal: some lines while the arm stands still, one in the middle of the first motion."""

    def __init__(self, lines: list[str]) -> None:
        reading, self._writing = os.pipe()
        self._at_rest = iter(lines)
        super().__init__(os.fdopen(reading), live=True)

    def next(self) -> str | None:
        """The next line at rest."""
        return next(self._at_rest, None)

    def type(self, line: str) -> None:
        """Step in while the arm moves."""
        os.write(self._writing, f"{line}\n".encode())


@pytest.fixture
def step_in(monkeypatch: pytest.MonkeyPatch, experts: Substitute) -> Callable[..., None]:
    """Has somebody type, or press Ctrl-C, at the fourth step; the arm waits until that has had its effect."""
    runs: list[run.Run] = []
    said: list[str] = []
    carry_out, escape = run.Run.carry_out, talk.escape

    def noted(self: run.Run, video: Path | None) -> Any:
        runs.append(self)
        assert self.paced, "a person at a terminal can follow"
        self.paced = False
        return carry_out(self, video)

    def shown(text: str) -> str:
        said.append(text)
        return escape(text)

    monkeypatch.setattr(run.Run, "carry_out", noted)
    monkeypatch.setattr(talk, "escape", shown)

    def plan(person: Person, line: str, answer: str) -> None:
        class SteppedIn(ExpertChunks):
            asked = 0

            def request(self, given: PolicyInput) -> Pending:
                type(self).asked += 1
                if self.asked == 4:
                    os.kill(os.getpid(), signal.SIGINT) if line == "Ctrl-C" else person.type(line)
                    while not (any(answer in text for text in said) or runs[0].preempt.is_set()):
                        time.sleep(0.01)
                return super().request(given)

        experts(SteppedIn)

    return plan


@pytest.mark.parametrize(
    ("line", "answer", "goals", "outcomes"),
    [
        ("STPO!", "Stopping", ["holding(red block)"], ["preempted"]),
        ("Ctrl-C", "never", ["holding(red block)"], ["preempted"]),
        ("no, the green one", "I stop", ["holding(red block)", "holding(green block)"], ["preempted"]),
        ("mumble mumble", "I go on", ["holding(red block)"], ["succeeded"]),
    ],
)
def test_stepping_in(
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    step_in: Callable[..., None],
    line: str,
    answer: str,
    goals: list[str],
    outcomes: list[str],
) -> None:
    person = Person(["pick up the red block", "bye"])
    monkeypatch.setattr(talk, "Typed", lambda stream: person)
    step_in(person, line, answer)
    assert dispatch(arguments) == 0
    done = [turn for turn in turns(arguments) if "goal" in turn]
    assert [turn["goal"] for turn in done] == goals
    assert [outcome["status"] for outcome in done[0]["outcomes"]] == outcomes
    assert done[-1]["success"] == (line not in ("STPO!", "Ctrl-C"))


def test_a_terminal_s_lines_are_kept_while_nobody_asks_for_them() -> None:
    person = Person([])
    for line in ("one", "two"):
        person.type(line)
    os.close(person._writing)
    assert [talk.Typed.next(person) for _ in range(3)] == ["one", "two", None]


def test_a_film_is_of_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--video", str(tmp_path / "film.mp4")]) == 2
    assert "--video and --html show one command" in capsys.readouterr().err
