from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.execution import Step
from robot_skills.library import SkillLibrary
from robot_skills.logic import parse
from robot_skills.robot import Observation
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, SkillCall, Status
from robot_skills.symbolic.diagnosis import Diagnosis, Failure, diagnose, lost
from robot_skills.symbolic.watch import Watch
from tests.planners.conftest import make_scene

SKILLS = SkillLibrary.open().skills
CARRYING = make_scene(("red block", "green block", "blue bowl"), ["holding(red block)", "open(drawer)"])
PUT_IN = SkillCall("place", {"object": "red block", "relation": "in", "target": "drawer"})


def steps(count: int, look: Callable[[Step], str | None]) -> list[str | None]:
    seen = Observation({}, np.zeros(10, np.float32), 0.0)
    return [look(Step(number, 0.1 * number, seen, np.zeros(7, np.float32), 0.0)) for number in range(count)]


def changed(scene: SceneGraph, *effects: str) -> SceneGraph:
    return scene.apply([parse(effect) for effect in effects])


def test_a_skill_goes_on_while_its_conditions_hold() -> None:
    looks = 0

    def observe() -> SceneGraph:
        nonlocal looks
        looks += 1
        return CARRYING

    watch = Watch(SKILLS, observe, every=3)
    assert steps(12, watch.guard(PUT_IN)) == [None] * 12
    assert looks == 1 + 4  # the beginning, and every third step
    assert watch.broken is None


def test_a_skill_ends_when_two_looks_in_a_row_show_that_it_slipped() -> None:
    dropped = changed(CARRYING, "not holding(red block)", "on(red block, table)")
    for views, ends in (
        ([CARRYING, dropped, dropped], 5),
        ([CARRYING, dropped, CARRYING, dropped, dropped], 11),
    ):
        left = list(views)
        watch = Watch(SKILLS, lambda left=left: left.pop(0) if len(left) > 1 else left[0])
        said = steps(12, watch.guard(PUT_IN))
        assert next(number for number, reason in enumerate(said) if reason) == ends
        assert said[ends] == "The red block slipped: it is on the table."
        assert watch.broken is not None
        assert watch.broken.failure is Failure.SLIPPED


def test_the_next_guard_begins_anew() -> None:
    scene = [CARRYING]
    watch = Watch(SKILLS, lambda: scene[0], every=1, times=1)
    look = watch.guard(PUT_IN)
    scene[0] = changed(CARRYING, "not open(drawer)")
    assert steps(1, look) == ["Meanwhile free(drawer) is no longer so."]
    watch.guard(SkillCall("place", {**PUT_IN.args, "relation": "on", "target": "table"}))
    assert watch.broken is None


@pytest.mark.parametrize(
    ("call", "before", "effects", "failure"),
    [
        # What is let go is on its way, then there: nothing is lost at any time.
        (str(PUT_IN), CARRYING, ("not holding(red block)",), None),
        (str(PUT_IN), CARRYING, ("not holding(red block)", "in(red block, drawer)"), None),
        (str(PUT_IN), CARRYING, ("not holding(red block)", "in(red block, blue bowl)"), Failure.SLIPPED),
        (str(PUT_IN), CARRYING, ("not open(drawer)",), Failure.DISTURBED),
        (
            "pick(object=red block)",
            make_scene(("red block", "green block")),
            ("holding(green block)", "not on(green block, table)"),
            Failure.WRONG_THING,
        ),
        (
            "pick(object=red block)",
            make_scene(("red block", "green block")),
            ("not on(green block, table)", "on(green block, red block)"),
            Failure.DISTURBED,
        ),
        ("pick(object=red block)", make_scene(("red block",)), ("not on(red block, table)",), None),
        ("open(target=drawer)", make_scene(("red block",)), ("ajar(drawer)",), None),
        (
            "push(object=red block, direction=left)",
            make_scene(("red block",)),
            ("moved(red block, left)",),
            None,
        ),
        (
            "push(object=red block, direction=left)",
            make_scene(("red block", "blue bowl")),
            ("not on(red block, table)", "in(red block, blue bowl)"),
            Failure.DISTURBED,
        ),
    ],
)  # fmt: skip
def test_what_is_lost(
    call: str, before: SceneGraph, effects: tuple[str, ...], failure: Failure | None
) -> None:
    asked = SkillCall.parse(call)
    found = lost(SKILLS[asked.skill], asked, before, changed(before, *effects))
    assert (found.failure if found else None) is failure


def test_nothing_is_lost_in_what_a_skill_promises() -> None:
    """Whatever can be called here: its own effects are never taken for a mishap."""
    for scene in (CARRYING, make_scene(("red block", "green ball", "blue bowl"), ["open(drawer)"])):
        for skill in SKILLS.values():
            for call in skill.groundings(scene):
                if not skill.unmet(call, scene):
                    assert lost(skill, call, scene, skill.after(call, scene)) is None
                    assert lost(skill, call, scene, scene) is None


def test_diagnoses_go_by_the_scene_and_not_by_what_a_skill_says() -> None:
    place = SKILLS["place"]

    def told(status: Status, after: SceneGraph, broken: Diagnosis | None = None) -> Failure | None:
        found = diagnose(place, PUT_IN, Outcome(PUT_IN, status, "so", 9, 0.9), CARRYING, after, broken)
        return None if found is None else found.failure

    done = place.after(PUT_IN, CARRYING)
    nowhere = changed(CARRYING, "not holding(red block)")
    for status in (Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT):
        assert told(status, done) is None
    assert told(Status.SUCCEEDED, CARRYING) is Failure.EFFECT_MISSING
    assert told(Status.TIMED_OUT, CARRYING) is Failure.TIMED_OUT
    assert told(Status.PREEMPTED, done) is Failure.STOPPED
    assert told(Status.ABORTED, CARRYING) is Failure.STOPPED
    slipped = Diagnosis(Failure.SLIPPED, "It slipped.", PUT_IN)
    assert told(Status.FAILED, nowhere, slipped) is Failure.SLIPPED
    assert slipped.to_json() == {"failure": "slipped", "text": "It slipped.", "call": PUT_IN.to_json()}


def test_a_watch_that_never_looks_is_refused() -> None:
    with pytest.raises(InputError, match="1 or more"):
        Watch(SKILLS, lambda: CARRYING, every=0)
