from __future__ import annotations

import json
import re

import pytest

from planners.goal_form import GoalForm, refusal_for
from planners.reading import read_command
from robot_skills.errors import InputError
from robot_skills.logic import And, Formula, parse
from robot_skills.scene_graph import SceneGraph
from tests.planners.conftest import make_scene

OBJECTS = ("red block", "green block", "blue cylinder", "yellow ball", "red ball", "blue bowl")
SCENE = make_scene(OBJECTS)


def form(command: str, scene: SceneGraph = SCENE) -> GoalForm:
    return GoalForm(read_command(command, scene), scene)


def admitted(grammar: str) -> set[str]:
    """Every literal that a grammar can write."""
    return {text.replace('\\"', '"') for text in re.findall(r'"((?:\w+)\([^"]*\))"', grammar)}


def test_literals_are_of_what_is_named_and_well_typed() -> None:
    assert set(map(str, form("put the red block in the drawer and close it").literals)) == {
        "in(A, drawer)", "on(A, table)", "holding(A)", "moved(A, left)", "moved(A, right)",
        "moved(A, forward)", "moved(A, back)", "open(drawer)", "closed(drawer)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "atoms"),
    [
        ("put the red block in the drawer and close it", {"in(A, drawer)", "closed(drawer)"}),
        ("take the red block off the green block", {"on(A, table)", "holding(A)"}),
        ("open the drawer, put the red block in it and close it", {"in(A, drawer)", "closed(drawer)"}),
        ("put the red block on the green block and the red ball in the bowl", {"on(A, B)", "in(C, D)"}),
        ("close the drawer and open the door", {"closed(drawer)", "open(door)"}),
        ("push the red block left and the red ball right", {"moved(A, left)", "moved(B, right)"}),
    ],
)
def test_grammar_admits_what_the_words_ask_for(command: str, atoms: set[str]) -> None:
    assert admitted(form(command).grammar()) == atoms


@pytest.mark.parametrize(
    ("command", "never"),
    [
        ("put the red block on the red ball", "on(A, B)"),  # nothing stands on a ball
        ("put the red block in the blue bowl", "holding(B)"),  # bowls are not graspable
        ("open the door", "in(A, door)"),
        ("put the red block on the green block", "on(A, A)"),
        ("press the button", "open(button)"),
    ],
)
def test_grammar_is_typed(command: str, never: str) -> None:
    assert never not in map(str, form(command).literals)
    assert never not in admitted(form(command).grammar())


def test_grammar_of_a_command_without_things_admits_none_only() -> None:
    assert form("hello there").grammar() == 'root ::= " none" "\\n"\n'


def test_answers_outside_the_form_are_errors() -> None:
    its = form("put the red block in the drawer")
    assert its.from_text(" none\n") is None
    for text in ("in(A, door)", "in(B, drawer)", "flown(A)", "in(A"):
        with pytest.raises(InputError):
            its.from_text(text)


def test_schema_and_json_are_each_others_inverse() -> None:
    its = form("put the red block in the drawer and close it")
    admits = its.schema()["properties"]["literals"]["items"]["enum"]
    assert admits == ["in(A, drawer)", "closed(drawer)"]
    for text in ("in(A, drawer) and closed(drawer)", "holding(A)", "holding(A) or open(drawer)"):
        goal = parse(text)
        assert its.from_json(json.dumps(its.to_json(goal))) == goal
    assert its.from_json(json.dumps(its.to_json(None))) is None
    for bad in ("nonsense", "{}", '{"possible": true, "join": "and", "literals": ["in(A, door)"]}'):
        with pytest.raises(InputError):
            its.from_json(bad)


@pytest.mark.parametrize(
    ("command", "sound", "unsound"),
    [
        ("put the red block in the drawer and close it", "in(A, drawer) and closed(drawer)", "in(A, drawer)"),
        ("open the drawer", "open(drawer)", "closed(drawer)"),
        ("put the red block on the green block", "on(A, B)", "on(B, A)"),
        ("push the red ball to the left", "moved(A, left)", "moved(A, right)"),
        ("pick up the red block and put it on the green block", "on(A, B)", "on(A, B) and holding(A)"),
        ("turn off the lamp", "not pressed(button)", "pressed(button)"),
        ("unstack the red block from the green block", "on(A, table)", "on(A, table) and on(B, table)"),
        ("put the red block or the red ball in the drawer", "in(A, drawer) or in(B, drawer)",
         "in(A, drawer) and in(B, drawer)"),
        ("stack the red block and the green block", "stacked(A)", "holding(A)"),
    ],
)  # fmt: skip
def test_soundness(command: str, sound: str, unsound: str) -> None:
    its = form(command)
    assert its.sound(parse(sound))
    assert not its.sound(parse(unsound))
    assert parse(sound) in its.sound_goals()
    assert parse(unsound) not in its.sound_goals()


def test_sound_goals_are_quickly_listed_for_long_commands() -> None:
    its = form(
        "press the button, open the door, put the red block on the green block, put the yellow ball "
        "in the bowl and the red ball in the drawer, close the drawer, and then push the blue cylinder left"
    )
    goals = its.sound_goals()
    assert 0 < len(goals) <= 64


@pytest.mark.parametrize(
    ("command", "goal", "meaning"),
    [
        ("put both balls in the bowl", "in(A, B)", "in(yellow ball, blue bowl) and in(red ball, blue bowl)"),
        ("put a ball in the bowl", "in(A, B)", "in(yellow ball, blue bowl) or in(red ball, blue bowl)"),
        ("stack the red block and the green block", "stacked(A)",
         "on(red block, green block) or on(green block, red block)"),
        ("open the drawer and the door", "open(A)", "open(drawer) and open(door)"),
        ("take both balls out of the bowl", "not in(A, B)",
         "not in(yellow ball, blue bowl) and not in(red ball, blue bowl)"),
        ("put everything on the red block", "on(A, B)",
         "on(green block, red block) and on(blue cylinder, red block) and on(yellow ball, red block) and "
         "on(red ball, red block)"),
    ],
)  # fmt: skip
def test_groups_are_written_out(command: str, goal: str, meaning: str) -> None:
    expanded: Formula = form(command).expand(parse(goal))
    assert expanded == parse(meaning)
    assert not isinstance(expanded, And) or len(set(expanded.parts)) == len(expanded.parts)


@pytest.mark.parametrize(
    ("command", "refusal", "question"),
    [
        ("push the red block", None, "Which way should the red block go: left, right, forward or back?"),
        ("put the red block away", None, "Where should the red block go?"),
        ("put the red block on the red ball", "Nothing can stand on the red ball.", None),
        ("put the red block in the door", "Nothing can lie in the door.", None),
        ("pick up the bowl", "I cannot hold the blue bowl.", None),
        ("open the red block", "I cannot open the red block.", None),
        ("good morning", "I found nothing in that to act on", None),
    ],
)
def test_why_there_is_no_goal(command: str, refusal: str | None, question: str | None) -> None:
    its = form(command)
    assert its.sound_goals() == ()
    said, asked = refusal_for(its)
    assert (said or "").startswith(refusal or "")
    assert (said is None, asked) == (refusal is None, question)


def test_each_of_several_things_goes_where_any_place_would_do() -> None:
    scene = make_scene(("yellow ball", "red ball", "blue bowl", "white bowl"))
    form = GoalForm(read_command("put both balls in a bowl", scene), scene)
    assert str(form.expand(parse("in(A, B)"))) == (
        "(in(yellow ball, blue bowl) or in(yellow ball, white bowl)) and "
        "(in(red ball, blue bowl) or in(red ball, white bowl))"
    )
