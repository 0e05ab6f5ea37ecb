"""Skill calls and cards, on those that come with the package."""

from __future__ import annotations

import pytest

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import parse
from robot_skills.skill import Outcome, SkillCall, Status
from tests.robot_skills.kitchen import make_scene

SKILLS = SkillLibrary.open().skills


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ('pick(object="red block")', SkillCall("pick", {"object": "red block"})),
        ("pick(object=red block)", SkillCall("pick", {"object": "red block"})),
        (
            " push( object='a b' , direction=left ) ",
            SkillCall("push", {"object": "a b", "direction": "left"}),
        ),
        ("wave()", SkillCall("wave")),
    ],
)
def test_calls_are_read(text: str, call: SkillCall) -> None:
    assert SkillCall.parse(text) == call
    assert SkillCall.parse(str(call)) == call
    assert SkillCall.from_json(call.to_json()) == call
    assert hash(SkillCall.parse(text)) == hash(call)


@pytest.mark.parametrize(
    "text", ["", "pick", "pick(red block)", "pick(object=)", "pick(object=red", "a(b=(c))"]
)
def test_what_is_no_call_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        SkillCall.parse(text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("pick(objekt=red block)", r"Unknown argument of pick 'objekt'.*Did you mean 'object'"),
        ("pick()", r"pick needs the argument 'object' \(graspable\)"),
        ("pick(object=red blok)", "Did you mean 'red block'"),
        ("pick(object=drawer)", r"'drawer' is not graspable; valid: red block, blue block"),
        ("push(object=red block, direction=up)", "direction is one of left, right, forward, back, not 'up'"),
        ("place(object=red block, relation=in, target=button)", "not container or support"),
    ],
)
def test_arguments_are_checked_against_the_scene(call: str, message: str) -> None:
    parsed = SkillCall.parse(call)
    with pytest.raises(InputError, match=message):
        SKILLS[parsed.skill].check(parsed, make_scene())


def test_every_grounding_is_a_valid_call() -> None:
    scene = make_scene()
    for skill in SKILLS.values():
        calls = list(skill.groundings(scene))
        assert calls
        assert len(set(calls)) == len(calls)
        for call in calls:
            skill.check(call, scene)
    assert len(list(SKILLS["push"].groundings(scene))) == 2 * 4


def test_conditions_effects_and_goal_of_a_call() -> None:
    scene, pick = make_scene(), SKILLS["pick"]
    under = SkillCall("pick", {"object": "red block"})
    assert [str(formula) for formula in pick.unmet(under, scene)] == ["accessible(red block)"]
    upper = SkillCall("pick", {"object": "blue block"})
    assert pick.unmet(upper, scene) == ()
    after = pick.after(upper, scene)
    assert after.holds(pick.goal(upper))
    assert after.holds(parse("clear(red block) and not hand_empty and not on(blue block, red block)"))
    place = SkillCall("place", {"object": "blue block", "relation": "in", "target": "white bowl"})
    assert SKILLS["place"].unmet(place, after) == ()
    assert str(SKILLS["place"].goal(place)) == "in(blue block, white bowl) and not holding(blue block)"
    assert SKILLS["place"].after(place, after).holds(SKILLS["place"].goal(place))
    assert SKILLS["place"].language(place) == "in white bowl"


def test_effects_bring_about_the_success_of_every_skill() -> None:
    for skill in SKILLS.values():
        for call in skill.groundings(make_scene()):
            assert skill.after(call, make_scene()).holds(skill.goal(call)), call


def test_an_outcome_reads_well_in_json() -> None:
    call = SkillCall("pick", {"object": "red block"})
    data = Outcome(call, Status.TIMED_OUT, "Not over after 10 s.", 100, 12.34567).to_json()
    assert data == {
        "skill": "pick",
        "args": {"object": "red block"},
        "status": "timed_out",
        "reason": "Not over after 10 s.",
        "steps": 100,
        "seconds": 12.346,
    }
