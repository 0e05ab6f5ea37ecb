from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from planners.examples import ExampleBank, bank
from planners.planner import Planner
from planners.procedure import Kind, Procedure, Watch, explain, read_procedure
from planners.proposer import LanguageModelProposer
from robot_skills.errors import InputError
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from tests.planners.conftest import make_scene
from tests.planners.test_planner import ScriptedModel, letters

OBJECTS = ("red block", "green block", "blue cylinder", "yellow ball", "white bowl")
SCENE = make_scene(OBJECTS)
TEXT = """
# tidy up
put the red block in the drawer
push the green block to the left
press the button
close the drawer
"""
RIGHT = (
    "open(target=drawer)",
    "pick(object=red block)",
    "place(object=red block, relation=in, target=drawer)",
    "push(object=green block, direction=left)",
    "press(target=button)",
    "close(target=drawer)",
)


def read(text: str, skills: Mapping[str, Skill], scene: SceneGraph = SCENE) -> Procedure:
    proposer = LanguageModelProposer(ScriptedModel(), ExampleBank(letters, bank()))
    return read_procedure(text, scene, Planner(skills, proposer), skills)


def follow(watch: Watch, calls: tuple[str, ...], skills: Mapping[str, Skill]) -> list[Kind]:
    """What is said while the calls are done, a look after each."""
    scene, said = SCENE, list[Kind]()
    for text in calls:
        call = SkillCall.parse(text)
        assert not skills[call.skill].unmet(call, scene), text
        scene = skills[call.skill].after(call, scene)
        said += [remark.kind for remark in watch.see(scene)]
    return [*said, *(remark.kind for remark in watch.finish())]


def test_a_line_is_read_in_the_scene_as_the_lines_before_leave_it(skills: Mapping[str, Skill]) -> None:
    procedure = read(TEXT, skills)
    assert tuple(map(SkillCall.parse, RIGHT)) == procedure.steps
    assert [procedure.line_of(step) for step in range(6)] == [0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no steps"),
        ("# nothing\n\n", "no steps"),
        ("press the button\n\nput the purple block in the drawer", "Line 3.*no purple block"),
        ("pick up the block", "Line 1.*Which block do you mean"),
        ("put the red block in the bowl\npick up the red block", "Line 2.*cannot take the red block out"),
    ],
)
def test_what_cannot_be_read(text: str, says: str, skills: Mapping[str, Skill]) -> None:
    with pytest.raises(InputError, match=says):
        read(text, skills)


def test_what_is_right_is_expected_and_the_next_step_foreseen(skills: Mapping[str, Skill]) -> None:
    watch = Watch(read(TEXT, skills), skills)
    assert watch.next_step() == 'Next: open(target="drawer") (put the red block in the drawer)'
    assert follow(watch, RIGHT, skills) == [Kind.EXPECTED] * 6
    assert (watch.mistakes, watch.next_step()) == ([], "Nothing is left to do.")


def changed(**parts: tuple[str, ...]) -> tuple[str, ...]:
    """The right calls with some left out or put in: `without`, or `at_3` for what comes before call 3."""
    calls = []
    for number, call in enumerate((*RIGHT, "")):
        calls += parts.get(f"at_{number}", ())
        if call and call not in parts.get("without", ()):
            calls.append(call)
    return tuple(calls)


@pytest.mark.parametrize(
    ("calls", "mistakes"),
    [
        (changed(without=RIGHT[4:5]), [Kind.SKIPPED]),
        (changed(without=RIGHT[5:]), [Kind.SKIPPED]),
        (changed(without=RIGHT[3:5]), [Kind.SKIPPED, Kind.SKIPPED]),
        (changed(without=RIGHT[4:5], at_3=RIGHT[4:5]), [Kind.OUT_OF_ORDER]),
        (changed(at_3=("open(target=door)",)), [Kind.EXTRA]),
        (changed(at_3=("close(target=drawer)", "open(target=drawer)"), without=()), None),
        (changed(at_1=("pick(object=yellow ball)",
                       "place(object=yellow ball, relation=in, target=white bowl)")),
         [Kind.EXTRA, Kind.EXTRA]),
        (changed(without=RIGHT[3:4], at_3=("push(object=green block, direction=right)",)), [Kind.WRONG]),
        (changed(without=RIGHT[1:3], at_1=("pick(object=green block)",
                                           "place(object=green block, relation=in, target=drawer)"))[:3],
         [Kind.WRONG, Kind.WRONG, Kind.SKIPPED, Kind.SKIPPED, Kind.SKIPPED]),
    ],
)  # fmt: skip
def test_mistakes_by_kind(
    calls: tuple[str, ...], mistakes: list[Kind] | None, skills: Mapping[str, Skill]
) -> None:
    watch = Watch(read(TEXT, skills), skills)
    follow(watch, calls, skills)
    if mistakes is None:
        assert watch.mistakes
    else:
        assert [remark.kind for remark in watch.mistakes] == mistakes, watch.mistakes


def test_a_step_that_is_taken_back_is_told(skills: Mapping[str, Skill]) -> None:
    watch = Watch(read("open the door\npress the button", skills), skills)
    follow(watch, ("open(target=door)", "close(target=door)", "press(target=button)"), skills)
    (undone,) = watch.mistakes
    assert (undone.kind, undone.step) == (Kind.UNDONE, 0)
    assert undone.text == 'close(target="door") takes back open(target="door").'


def test_a_wrong_thing_that_is_made_good(skills: Mapping[str, Skill]) -> None:
    watch = Watch(read("pick up the red block", skills), skills)
    calls = ("pick(object=green block)", "place(object=green block, relation=on, target=table)", RIGHT[1])
    assert follow(watch, calls, skills) == [Kind.WRONG, Kind.EXTRA, Kind.EXPECTED]
    assert [remark.kind for remark in watch.mistakes] == [Kind.EXTRA, Kind.EXTRA]


def test_a_change_that_no_skill_makes(skills: Mapping[str, Skill]) -> None:
    watch = Watch(read(TEXT, skills), skills)
    (remark,) = watch.see(make_scene(OBJECTS, ["in(red block, drawer)"]))
    assert remark.kind is Kind.UNEXPLAINED
    assert "in(red block, drawer)" in remark.text


def test_random_walks_are_explained_by_what_was_done(skills: Mapping[str, Skill]) -> None:
    """One call between two looks, and two: each explanation leads to the scene that was seen."""
    rng = random.Random(3)
    scene = SCENE
    for number in range(30):
        before = scene
        for _ in range(1 + number % 2):
            calls = [
                c for skill in skills.values() for c in skill.groundings(scene) if not skill.unmet(c, scene)
            ]
            call = rng.choice(calls)
            scene = skills[call.skill].after(call, scene)
        found = explain(before, scene, skills)
        assert found is not None
        again = before
        for call in found:
            again = skills[call.skill].after(call, again)
        assert {f for f in again.facts if f.predicate != "moved"} == {
            f for f in scene.facts if f.predicate != "moved"
        }
        assert len(found) <= 1 + number % 2


def test_what_is_carried_moves_and_what_moved_before_is_forgotten(skills: Mapping[str, Skill]) -> None:
    objects = ("red block", "white bowl")
    before = make_scene(objects, ["holding(red block)", "on(white bowl, table)"])
    after = make_scene(objects, ["on(red block, table)", "moved(red block, left)", "on(white bowl, table)"])
    assert explain(before, after, skills) == (
        SkillCall.parse("place(object=red block, relation=on, target=table)"),
    )
    pushed = make_scene(objects, ["on(red block, table)", "moved(red block, left)", "on(white bowl, table)"])
    later = make_scene(objects, ["on(red block, table)", "open(door)", "on(white bowl, table)"])
    assert explain(pushed, later, skills) == (SkillCall.parse("open(target=door)"),)
