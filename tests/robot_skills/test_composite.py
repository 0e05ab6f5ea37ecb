"""Composite skills in a library, and how one is carried out."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_skills.cli.main import main
from robot_skills.composite import STEPS, carry_out
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import Outcome, SkillCall, Status
from robot_skills.symbolic.composition import compose
from tests.robot_skills.small_policy import make_library

PUT_IN = tuple(
    map(SkillCall.parse, ("pick(object=object)", "place(object=object, relation=in, target=target)"))
)
CALL = SkillCall("put_in", {"object": "red block", "target": "white bowl"})


@pytest.fixture
def library(tmp_path: Path) -> SkillLibrary:
    made = SkillLibrary.open(make_library(tmp_path / "lib", ("pick",)))
    made.add_composite(compose("put_in", PUT_IN, made.skills), PUT_IN, "# put_in\n")
    return SkillLibrary.open(made.folder)


def test_a_composite_is_a_skill_like_any_other_that_stands_for_steps(library: SkillLibrary) -> None:
    assert library.composites == {"put_in": PUT_IN}
    assert [str(step) for step in library.expand(CALL)] == [
        'pick(object="red block")', 'place(object="red block", relation="in", target="white bowl")',
    ]  # fmt: skip
    alone = SkillCall("pick", {"object": "red block"})
    assert library.expand(alone) == (alone,)
    assert not library.trained("put_in")  # its place has no weights
    with pytest.raises(InputError, match="no weights of its own: it stands for pick, place"):
        library.weights("put_in")
    with pytest.raises(InputError, match="holds a skill 'put_in' already"):
        library.add_composite(library.skill("put_in"), PUT_IN, "")


def test_it_is_listed_and_shown_as_what_it_is(
    library: SkillLibrary, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["skills", "show", "put_in", "--library", str(library.folder)]) == 0
    told = capsys.readouterr().out
    assert "stands for pick, place" in told
    assert "something container or support" in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: pick", "holds no list"),
        ("steps: ['pick(object=object)']", "two skill calls or more"),
        ("steps: ['pick(object=object)', 'put_in(object=object)']", "calls no skill that is here"),
        ("steps: ['pick(object=object)', 'pick(object=other)']", "the steps are about object, other"),
        ("steps: ['pick(object=object)', 'place it']", "Not a skill call"),
    ],
)
def test_damaged_steps_are_one_clear_line(library: SkillLibrary, text: str, says: str) -> None:
    (library.folder / "put_in" / STEPS).write_text(text)
    with pytest.raises(InputError, match=says):
        SkillLibrary.open(library.folder)


def played(statuses: dict[str, Status], seen: list[str]) -> Outcome:
    def play(call: SkillCall) -> Outcome:
        seen.append(call.skill)
        return Outcome(call, statuses[call.skill], "said so", 5, 0.5)

    steps = [SkillCall("pick"), SkillCall("place")]
    return carry_out(CALL, steps, play, lambda step: statuses[step.skill] is Status.SUCCEEDED)


def test_steps_are_carried_out_until_one_does_not_work() -> None:
    seen: list[str] = []
    outcome = played({"pick": Status.SUCCEEDED, "place": Status.SUCCEEDED}, seen)
    assert (outcome.call, outcome.status, outcome.steps, outcome.seconds) == (CALL, Status.SUCCEEDED, 10, 1.0)
    seen.clear()
    outcome = played({"pick": Status.TIMED_OUT, "place": Status.SUCCEEDED}, seen)
    assert (outcome.status, seen) == (Status.TIMED_OUT, ["pick"])
    assert "Step 1, pick()" in outcome.reason


def test_a_step_that_says_it_worked_and_did_not_ends_it_as_failed() -> None:
    def play(call: SkillCall) -> Outcome:
        return Outcome(call, Status.SUCCEEDED, "said so", 1, 0.1)

    outcome = carry_out(CALL, PUT_IN, play, lambda step: step.skill == "pick")
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("Step 2, place(")


def test_a_stop_ends_it_whatever_the_scene_shows() -> None:
    def play(call: SkillCall) -> Outcome:
        return Outcome(call, Status.PREEMPTED, "stopped", 1, 0.1)

    assert carry_out(CALL, PUT_IN, play, lambda step: True).status is Status.PREEMPTED
