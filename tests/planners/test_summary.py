from __future__ import annotations

import pytest

from planners.summary import summary
from robot_skills.skill import Outcome, SkillCall, Status
from robot_skills.symbolic.closed_loop import RunResult

LETTERS = {"+": Status.SUCCEEDED, "-": Status.FAILED, "!": Status.PREEMPTED, "x": Status.ABORTED}


def run(calls: str, success: bool = True, reason: str = "The goal holds.") -> RunResult:
    """Calls line by line, each after the sign of how it ended."""
    lines = filter(None, map(str.strip, calls.splitlines()))
    outcomes = [
        Outcome(SkillCall.parse(line[1:]), LETTERS[line[0]], "It slipped.", 10, 1.0) for line in lines
    ]
    return RunResult(tuple(outcomes), 0, success, reason)


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (
            run(
                """+open(target=drawer)
                +pick(object=red block)
                +place(object=red block, relation=in, target=drawer)
                +close(target=drawer)"""
            ),
            "I opened the drawer, put the red block in it and closed it.",
        ),
        (
            run(
                """-open(target=drawer)
                +open(target=drawer)
                +pick(object=red block)"""
            ),
            "I opened the drawer and picked up the red block; opening the drawer took two tries.",
        ),
        (run("+push(object=red ball, direction=left)"), "I pushed the red ball left."),
        (run("-press(target=button)"), "I pressed the button."),
        (run(""), "I did nothing: it was so already."),
        (run("", False, "No plan leads there."), "I did nothing. No plan leads there."),
        (
            run("+open(target=door)\n!press(target=button)", False),
            "I opened the door. I was stopped while pressing the button.",
        ),
        (
            run("x press(target=button)", False),
            "I had to stop while pressing the button: It slipped.",
        ),
        (
            run("-press(target=button)\n-press(target=button)\n-press(target=button)", False),
            "I could not press the button in three tries: It slipped.",
        ),
        (run("+sweep(object=red block)"), "I carried out 'sweep' with the red block."),
        (
            run("+press(target=button)", False, "At the end the goal lacks open(door)."),
            "I pressed the button. Yet it is not as it should be: At the end the goal lacks open(door).",
        ),
    ],
)
def test_what_was_done_in_words(result: RunResult, told: str) -> None:
    assert summary(result) == told
