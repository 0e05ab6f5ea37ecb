from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from planners.recall import Recall, Worked, outline
from robot_skills.library import SkillLibrary
from robot_skills.scene_graph import Entity, SceneGraph
from robot_skills.skill import SkillCall

CARDS = Path(__file__).parents[2] / "datasets" / "saycan_skills"
PLACES = ("sink", "shelf", "drawer")
NAMES = ("cup", "tea cup", "spoon", "sponge")


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Bags of words: what is alike shares words."""
    words = sorted({word for text in VOCABULARY for word in text.lower().split()})
    counts = np.array([[text.lower().split().count(word) for word in words] for text in texts], np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-6)


def plan(text: str) -> tuple[SkillCall, ...]:
    return tuple(SkillCall.parse(line) for line in text.split("; "))


EXAMPLES = (
    Worked("bring me the cup", plan("find(object=cup); pick_up(object=cup); bring(); put_down(object=cup)")),
    Worked("take the spoon to the sink", plan(
        "find(object=spoon); pick_up(object=spoon); go_to(target=sink); put_down(object=spoon)")),
    Worked("something to wipe with", plan("find(object=sponge); pick_up(object=sponge)")),
    Worked("wipe", plan("put_down(object=sponge)")),
)  # fmt: skip
VOCABULARY = [*(each.command for each in EXAMPLES), "object place sponge shelf tea"]


@pytest.fixture
def recall() -> Recall:
    entities = [Entity(name, "object", frozenset({"graspable"})) for name in NAMES]
    entities += [
        Entity(name, "place", frozenset({"place", *(["openable"] * (name == "drawer"))})) for name in PLACES
    ]
    entities.append(Entity("person", "person", frozenset({"place"})))
    scene = SceneGraph(tuple(entities), frozenset(), "told")
    return Recall(EXAMPLES, scene, SkillLibrary.open(CARDS).skills, embed)


def test_the_longest_name_is_left_open_once(recall: Recall) -> None:
    found = outline("Put the tea cup and two spoons on the shelf, the tea cup first", recall.scene)
    assert found.things == ("tea cup", "spoon", "shelf")
    assert found.text == "put the object and two object on the place, the object first"


def test_steps_come_from_the_example_and_things_from_the_command(recall: Recall) -> None:
    assert recall.plan("take the tea cup to the shelf") == plan(
        "find(object=tea cup); pick_up(object=tea cup); go_to(target=shelf); put_down(object=tea cup)"
    )


def test_what_an_example_does_not_name_stays(recall: Recall) -> None:
    assert recall.plan("something to wipe with please") == EXAMPLES[2].plan


def test_an_example_can_be_left_out(recall: Recall) -> None:
    assert recall.copy("bring me the cup") == EXAMPLES[0].plan
    assert recall.copy("bring me the cup", frozenset({0})) != EXAMPLES[0].plan


def test_a_plan_that_does_not_replay_is_passed_over(recall: Recall) -> None:
    """The nearest example puts down what nobody holds."""
    assert recall.nearest("wipe")[0] == 3
    assert recall.plan("wipe") == EXAMPLES[2].plan
    assert recall.plan("wipe", frozenset({0, 1, 2})) is None
