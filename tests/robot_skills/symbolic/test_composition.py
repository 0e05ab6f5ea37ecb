"""The card of a chain says what its steps' cards say, wherever the chain can be called."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import Not, parse
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.closed_loop import plan_to
from robot_skills.symbolic.composition import ChainError, bound, compose, lift, refuted
from tests.planners.conftest import make_scene

THINGS = ("red block", "green block", "blue cylinder", "yellow ball", "white bowl")


@pytest.fixture(scope="module")
def skills() -> Mapping[str, Skill]:
    return SkillLibrary.open().skills


def calls(*texts: str) -> list[SkillCall]:
    return [SkillCall.parse(text) for text in texts]


STORE = calls(
    "open(target=drawer)", "pick(object=red block)", "place(object=red block, relation=in, target=drawer)",
    "close(target=drawer)",
)  # fmt: skip


def walk(
    scene: SceneGraph, skills: Mapping[str, Skill], rng: np.random.Generator, steps: int
) -> Iterator[tuple[SceneGraph, SkillCall]]:
    """A random walk by calls whose conditions hold: (scene, the call that is made in it)."""
    for _ in range(steps):
        able = [c for s in skills.values() for c in s.groundings(scene) if not s.unmet(c, scene)]
        call = able[int(rng.integers(len(able)))]
        yield scene, call
        scene = skills[call.skill].after(call, scene)


def test_a_chain_asks_for_what_its_steps_do_not_bring_about(skills: Mapping[str, Skill]) -> None:
    steps, names = lift(STORE, skills)
    assert names == {"target": "drawer", "object": "red block"}
    card = compose("store", steps, skills)
    assert card.parameters == {"target": "openable&container|support", "object": "graspable"}
    assert set(map(str, card.preconditions)) == {
        "different(target, object)", "hand_empty", "not open(target)", "accessible(object)",
        "not contained(object)", "fits(object, in, target)", "clear(target)",
    }  # fmt: skip
    assert str(card.success) == "in(object, target) and not holding(object) and closed(target)"
    assert card.timeout == sum(skills[step.skill].timeout for step in steps)
    assert card.language(SkillCall("store", names)) == "drawer; red block; in drawer; drawer"
    assert Skill.from_json(card.to_json()) == card
    assert list(bound(steps, names)) == STORE


def test_every_chain_of_a_random_walk_is_right_wherever_it_can_be_called(skills: Mapping[str, Skill]) -> None:
    rng = np.random.default_rng(0)
    start = make_scene(THINGS, ["on(green block, blue cylinder)", "ajar(door)"])
    chains: dict[Sequence[SkillCall], Skill] = {}
    scenes = [start]
    for _ in range(12):
        steps = list(walk(start, skills, rng, 8))
        scenes += [scene for scene, _ in steps[1:]]
        for length in (2, 3, 4):
            for first in range(len(steps) - length):
                chain, _ = lift([call for _, call in steps[first : first + length]], skills)
                try:
                    chains[chain] = compose("chain", chain, skills)
                except ChainError:
                    continue
    tried = 0
    for chain, card in chains.items():
        for index in rng.choice(len(scenes), 2, replace=False):
            scene = scenes[int(index)]
            able = [call for call in card.groundings(scene) if not card.unmet(call, scene)]
            for number in rng.permutation(len(able))[:10]:
                assert refuted(card, able[int(number)], chain, skills, scene) is None, (chain, number)
                tried += 1
    assert len(chains) > 60
    assert tried > 200


def test_where_the_plan_was_found_the_chain_can_be_called(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(THINGS)
    steps, names = lift(STORE, skills)
    card = compose("store", steps, skills)
    assert card.unmet(SkillCall("store", names), scene) == ()
    opened = make_scene(THINGS, ["open(drawer)"])
    assert card.unmet(SkillCall("store", names), opened) == (Not(parse("open(drawer)")),)  # type: ignore[arg-type]


def test_a_card_that_promises_too_much_is_found_out(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(THINGS)
    steps, names = lift(STORE, skills)
    card = compose("store", steps, skills)
    bold = dataclasses.replace(card, effects=(*card.effects, parse("pressed(target)")))
    said = refuted(bold, SkillCall("store", names), steps, skills, scene)
    assert said == "The card and the steps do not agree on pressed(drawer)."
    hasty = dataclasses.replace(card, preconditions=())
    said = refuted(hasty, SkillCall("store", names), steps, skills, make_scene(THINGS, ["open(drawer)"]))
    assert said is not None
    assert "needs not open(drawer)" in said


def test_one_thing_cannot_be_two_of_a_chain(skills: Mapping[str, Skill]) -> None:
    plan = calls(
        "pick(object=red block)", "place(object=red block, relation=on, target=green block)",
        "pick(object=blue cylinder)", "place(object=blue cylinder, relation=on, target=red block)",
    )  # fmt: skip
    steps, names = lift(plan, skills)
    card = compose("tower", steps, skills)
    scene = make_scene(THINGS)
    assert card.unmet(SkillCall("tower", names), scene) == ()
    same = {**names, "object_2": names["target"]}
    assert next(str(each) for each in card.unmet(SkillCall("tower", same), scene)).startswith("different(")


def test_a_chain_for_one_kind_is_called_with_that_kind_alone(skills: Mapping[str, Skill]) -> None:
    steps, _ = lift(STORE[1:3], skills)
    scene = make_scene(THINGS)
    card = compose("put_in_bowl", steps, skills, {"target": "bowl"})
    assert card.choices("target", scene) == ("white bowl",)
    with pytest.raises(InputError, match="'drawer' is not container or support and bowl"):
        card.check(SkillCall("put_in_bowl", {"object": "red block", "target": "drawer"}), scene)


def test_plans_get_shorter_and_stay_right(skills: Mapping[str, Skill]) -> None:
    scene, goal = make_scene(THINGS), parse("in(red block, drawer) and closed(drawer) and pressed(button)")
    steps, _ = lift(STORE, skills)
    more = {**skills, "store": compose("store", steps, skills)}
    before, after = plan_to(goal, scene, skills), plan_to(goal, scene, more)
    assert before is not None
    assert after is not None
    assert (len(before), len(after)) == (5, 2)
    assert {call.skill for call in after} == {"store", "press"}


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (calls("pick(object=red block)", "pick(object=green block)"), "never be carried out: pick"),
        (calls("close(target=drawer)", "close(target=drawer)"), "never be carried out: close"),
        (STORE[1:3] + calls("pick(object=red block)"), "can be reached where it was put cannot be told"),
    ],
)
def test_a_chain_that_contradicts_itself_has_no_card(
    skills: Mapping[str, Skill], plan: list[SkillCall], says: str
) -> None:
    with pytest.raises(ChainError, match=says):
        compose("chain", lift(plan, skills)[0], skills)


def test_steps_that_are_no_calls_are_refused(skills: Mapping[str, Skill]) -> None:
    with pytest.raises(InputError, match="calls no skill that is here"):
        compose("chain", calls("fly(object=object)"), skills)
    with pytest.raises(InputError, match="needs the arguments object, relation, target"):
        compose("chain", calls("place(object=object)"), skills)
    with pytest.raises(InputError, match="relation is one of in, on"):
        compose("chain", calls("place(object=object, relation=under, target=target)"), skills)
