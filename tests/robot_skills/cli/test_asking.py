"""What the arm asks where nothing helps: at a terminal, in a conversation, and where nobody is."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_skills.cli import run, talk
from robot_skills.cli.asking import chosen
from robot_skills.cli.main import main
from robot_skills.execution import Pending
from robot_skills.policies.policy import PolicyInput
from robot_skills.symbolic.question import Choice, Question
from tests.robot_skills.cli import told
from tests.robot_skills.cli.conftest import Substitute
from tests.robot_skills.cli.experts import ExpertChunks
from tests.robot_skills.cli.test_talk import SCENE, make_planner
from tests.robot_skills.small_policy import make_library

GOAL = "pressed(button) and holding(red block)"
QUESTION = Question("It is stuck.", (Choice.AGAIN, Choice.REST, Choice.LEAVE))


class Idle(ExpertChunks):
    """Says that it is over at once and presses nothing, until somebody has mended it."""

    broken = True

    def request(self, given: PolicyInput) -> Pending:
        pending = super().request(given)
        if self.broken and self._skill.name == "press":
            chunk = pending.result()
            chunk.actions[:], chunk.end[:] = 0.0, 1.0
        return pending


@pytest.fixture
def arguments(tmp_path: Path, experts: Substitute, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "scene.yaml").write_text(SCENE)
    monkeypatch.setattr(run, "make_planner", told.make_planner)
    monkeypatch.setattr(talk, "make_planner", make_planner)
    monkeypatch.setattr(Idle, "broken", True)
    experts(Idle)
    library = make_library(tmp_path / "lib", ("press", "open", "pick", "place"))
    where = ["--scene", str(tmp_path / "scene.yaml"), "--library", str(library)]
    return [*where, "--local", "--json", str(tmp_path / "result.json")]


def result(arguments: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(arguments[-1]).read_text())
    return data


class Terminal:
    """A pseudo-terminal in the place of the standard streams, and somebody who sits at it.

    Args:
        answer: called with what was printed each time that a question was asked; what is typed then.
    """

    def __init__(self, answer: Callable[[str], str]) -> None:
        self._answer, self.printed = answer, ""
        self._ours, theirs = os.openpty()
        self.streams = os.fdopen(theirs, "r", closefd=False), os.fdopen(theirs, "w", buffering=1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        since = ""
        while True:
            try:
                got = os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                return
            plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", got)
            self.printed += plain
            since += plain
            if since.endswith("> "):
                since, said = "", self._answer(since)
                os.write(self._ours, said.encode())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[str], str]], Terminal]]:
    made: list[Terminal] = []

    def sit_down(answer: Callable[[str], str]) -> Terminal:
        made.append(Terminal(answer))
        monkeypatch.setattr(sys, "stdin", made[-1].streams[0])
        monkeypatch.setattr(sys, "stdout", made[-1].streams[1])
        return made[-1]

    yield sit_down
    for each in made:
        for stream in each.streams:
            stream.close()


def test_the_run_goes_on_with_the_answer(
    arguments: list[str], terminal: Callable[[Callable[[str], str]], Terminal]
) -> None:
    answers = iter(["hm?\n", "try again\n"])

    def answer(printed: str) -> str:
        said = next(answers)
        Idle.broken = said == "hm?\n"
        return said

    seat = terminal(answer)
    assert main(["run", GOAL, *arguments]) == 0
    data = result(arguments)
    assert data["success"]
    (asked,) = data["asked"]
    assert asked["answer"] == "look again and try again"
    assert "2. do the rest without it" in seat.printed
    assert "Say a number from 1 to 3." in seat.printed


def test_the_rest_is_done_at_a_terminal(
    arguments: list[str], terminal: Callable[[Callable[[str], str]], Terminal]
) -> None:
    terminal(lambda printed: "2\n")
    assert main(["run", GOAL, *arguments]) == 1
    data = result(arguments)
    assert data["outcomes"][-1]["status"] == "succeeded"
    assert data["outcomes"][-1]["skill"] == "pick"
    assert data["reason"] == "The rest is done. At the end the goal lacks pressed(button)."


def test_control_c_leaves_a_question(
    arguments: list[str], terminal: Callable[[Callable[[str], str]], Terminal]
) -> None:
    def interrupt(printed: str) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return ""

    terminal(interrupt)
    before = signal.getsignal(signal.SIGINT)
    assert main(["run", GOAL, *arguments]) == 1
    assert result(arguments)["asked"][0]["answer"] == "leave it"
    assert signal.getsignal(signal.SIGINT) is before


def test_without_a_terminal_the_question_is_the_reason(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n1\n1\n"))
    assert main(["run", GOAL, *arguments]) == 1
    data = result(arguments)
    assert data["asked"] == [{"question": data["reason"], "answer": None}]
    assert data["reason"].endswith("Shall I look again and try again, do the rest without it or leave it?")


@pytest.mark.parametrize(
    ("lines", "answer", "done"),
    [
        (["press the button", "again", "bye"], "look again and try again", ["pressed(button)"]),
        (["press the button", "", "leave it", "bye"], "leave it", []),
        (["press the button", "pick up the red block", "bye"], "leave it", ["holding(red block)"]),
        (["press the button"], None, []),
    ],
)
def test_a_conversation_asks(
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
    answer: str | None,
    done: list[str],
) -> None:
    """What is no answer is the next command."""
    ask = talk._Talk._ask

    def mended(self: talk._Talk, question: Question) -> Choice | None:
        Idle.broken = answer != "look again and try again"
        return ask(self, question)

    monkeypatch.setattr(talk._Talk, "_ask", mended)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))
    assert main(["run", *arguments]) == 0
    turns = result(arguments)["turns"]
    assert [each["answer"] for each in turns[0]["asked"]] == [answer]
    assert [turn["goal"] for turn in turns if turn.get("success")] == done


def test_what_is_typed_at_a_question_is_not_an_interjection() -> None:
    reading, writing = os.pipe()
    typed = talk.Typed(os.fdopen(reading), live=True)
    heard: list[str] = []
    with typed.meanwhile(heard.append), typed.meanwhile(None):
        os.write(writing, b"again\n")
        assert typed.next() == "again"
    os.close(writing)
    assert typed.next() is None
    typed.put_back(None)
    assert typed.next() is None
    assert heard == []


@pytest.mark.parametrize(
    ("line", "choice"),
    [
        ("1", Choice.AGAIN), ("2.", Choice.REST), (" 3 ", Choice.LEAVE), ("4", None), ("0", None),
        ("Try again, please!", Choice.AGAIN), ("yes", Choice.AGAIN),
        ("go on", Choice.AGAIN), ("skip it", Choice.REST), ("do the rest without it", Choice.REST),
        ("STPO!", Choice.LEAVE), ("no", Choice.LEAVE), ("never mind", Choice.LEAVE),
        ("leave it", Choice.LEAVE),
        ("put the block on the table again", None), ("no, try again", None), ("", None), ("the", None),
        ("\u0662", Choice.REST), ("\u00b2", Choice.REST),
    ],
)  # fmt: skip
def test_what_an_answer_means(line: str, choice: Choice | None) -> None:
    assert chosen(line, QUESTION) is choice


def test_each_option_is_chosen_by_its_own_words() -> None:
    for option in Choice:
        assert chosen(option.value, QUESTION) is option


@given(st.text(max_size=40))
def test_an_answer_is_one_of_the_options_or_none(line: str) -> None:
    question = Question("It is stuck.")
    assert chosen(line, question) in (*question.options, None)
