"""The scene graph: derived facts, and what effects make of it."""

from __future__ import annotations

import json

import pytest

from robot_skills.errors import InputError
from robot_skills.logic import bind, parse
from robot_skills.scene_graph import SceneGraph
from tests.robot_skills.kitchen import make_scene


@pytest.mark.parametrize(
    ("formula", "facts", "true"),
    [
        ("clear(blue block)", (), True),
        ("clear(red block)", (), False),
        ("hand_empty", (), True),
        ("hand_empty", ("holding(red block)",), False),
        ("contained(red block)", ("in(red block, white bowl)",), True),
        ("contained(red block)", (), False),
        ("accessible(red block)", ("in(red block, white bowl)",), True),
        ("accessible(red block)", ("in(red block, drawer)",), False),
        ("accessible(red block)", ("in(red block, drawer)", "ajar(drawer)"), False),
        ("accessible(red block)", ("in(red block, drawer)", "open(drawer)"), True),
        ("accessible(red block)", (), False),
        ("free(table)", (), True),
        ("free(red block)", (), False),
        ("free(drawer)", (), False),
        ("free(drawer)", ("open(drawer)",), True),
        ("free(drawer)", ("open(drawer)", "in(red block, drawer)"), True),
        ("closed(drawer)", (), True),
        ("closed(drawer)", ("ajar(drawer)",), False),
        ("closed(drawer)", ("open(drawer)",), False),
        ("closed(button)", (), False),
        ("fits(red block, in, drawer)", (), True),
        ("fits(drawer, in, red block)", (), False),
        ("levitates(red block)", (), False),
    ],
)
def test_what_follows_from_the_facts(formula: str, facts: tuple[str, ...], true: bool) -> None:
    assert make_scene(*facts).holds(parse(formula)) is true


def test_effects_delete_first_and_stars_stand_for_anything() -> None:
    scene = make_scene()
    effects = [parse("on(blue block, table)"), bind(parse("not on(blue block, _)"), {"_": "*"})]
    after = scene.apply(effects)
    assert after.holds(parse("on(blue block, table) and not on(blue block, red block) and clear(red block)"))
    assert after.holds(parse("on(red block, table)")), "the star is bound to its own atom"
    assert scene.holds(parse("on(blue block, red block)")), "the graph before is as it was"


def test_things_are_found_by_name_and_tag() -> None:
    scene = make_scene()
    assert scene.entity("white bowl").kind == "bowl"
    assert [entity.name for entity in scene.tagged("container")] == ["white bowl", "drawer"]
    with pytest.raises(InputError, match=r"Unknown object 'red blok'.*Did you mean 'red block'"):
        scene.entity("red blok")
    with pytest.raises(InputError, match="Unknown object 'shelf'"):
        scene.holds(parse("closed(shelf)"))


def test_a_scene_is_sent_and_read() -> None:
    scene = make_scene("on(red block, table)", "open(drawer)")
    again = SceneGraph.from_json(json.loads(json.dumps(scene.to_json())))
    assert again == scene
    assert [each.attributes for each in again.entities] == [each.attributes for each in scene.entities]


THING = {"name": "red block", "kind": "block", "tags": ["graspable"]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "A scene has a source, entities and facts"),
        ({"source": "told", "facts": []}, "lacks 'entities'"),
        ({"source": "told", "entities": [{"name": "red block"}], "facts": []}, "lacks 'kind'"),
        ({"source": "told", "entities": [THING, THING], "facts": []}, "have the same name"),
        ({"source": "told", "entities": [THING], "facts": ["on(red block, moon)"]}, "'moon', which is not"),
        ({"source": "told", "entities": [THING], "facts": ["on(red"]}, "Not a formula"),
        ({"source": "told", "entities": 7, "facts": []}, "A scene has"),
    ],
)
def test_what_is_no_scene_is_said_in_a_line(data: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        SceneGraph.from_json(data)
