"""What is believed from look to look, with sightings that are made up and exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_skills.logic import parse
from robot_skills.perception.graph import scene_graph
from robot_skills.perception.memory import Memory
from robot_skills.perception.sighting import Sighting, sightings
from robot_skills.scene_graph import SceneGraph
from sim.tabletop.catalogue import TABLETOP
from tests.robot_skills.perception.looks import EYE, detection, sighting

AWAY, OPEN, SHUT, AROUND = np.array([0.5, 0.0, 0.24]), 0.08, 0.0, 0.05
DRAWER_OUT = sighting("drawer", (0.5, 0.19, 0.042), share=0.97)
DRAWER_IN = sighting("drawer", (0.5, 0.312, 0.042), share=0.02)
RED = sighting("block", (0.5, 0.0, 0.025))


def looked(
    memory: Memory, *seen: Sighting, tool: Sequence[float] = AWAY, opening: float = OPEN
) -> SceneGraph:
    memory.update(seen, np.asarray(tool, float), opening)
    return scene_graph(memory)


@pytest.fixture
def memory() -> Memory:
    return Memory(TABLETOP)


def test_what_is_seen_is_in_the_graph(memory: Memory) -> None:
    graph = looked(
        memory,
        RED,
        sighting("bowl", (0.55, -0.15, 0.025), "white"),
        sighting("ball", (0.55, -0.15, 0.038), "green", "large", "bowl"),
        DRAWER_OUT,
        sighting("door", (0.4, -0.334, 0.042), share=0.4),
        sighting("button", (0.4, -0.2, 0.03), lit=0.9),
    )
    assert graph.source == "camera"
    names = [entity.name for entity in graph.entities]
    assert sorted(names[:3]) == ["green ball", "red block", "white bowl"]
    assert set(names[3:]) == {"drawer", "door", "button", "table"}
    told = {str(fact) for fact in graph.facts if fact.predicate != "fits"}
    assert told == {
        *("on(red block, table)", "on(white bowl, table)", "in(green ball, white bowl)"),
        *("open(drawer)", "ajar(door)", "pressed(button)"),
    }
    assert graph.holds(parse("fits(red block, in, drawer) and not fits(green ball, on, red block)"))
    assert graph.entity("red block").attributes == {"colour": "red", "size": "large"}


def test_a_thing_stands_on_what_it_is_seen_upon(memory: Memory) -> None:
    upper = sighting("cylinder", (0.503, 0.002, 0.0775), "blue", "large", "thing")
    graph = looked(memory, RED, upper)
    assert graph.holds(parse("on(blue cylinder, red block) and on(red block, table)"))


def test_geometry_overrules_a_place_that_cannot_be(memory: Memory) -> None:
    """It looks like a thing upon another, far from any other."""
    graph = looked(memory, RED, sighting("block", (0.6, -0.2, 0.025), "blue", "large", "thing"))
    assert graph.holds(parse("on(blue block, table)"))


def test_nothing_stands_where_another_thing_stands(memory: Memory) -> None:
    """By its height the upper one might be on the table; then it would be inside the other."""
    ray = np.array([0.503, 0.002, 0.0775]) - EYE
    low = EYE + ray * (0.0275 - EYE[2]) / ray[2]
    graph = looked(memory, RED, sighting("cylinder", low, "blue", "large", "any"))
    assert graph.holds(parse("on(blue cylinder, red block)"))


def test_a_mixture_of_two_colours_is_no_third_thing(memory: Memory) -> None:
    upper = sighting("block", (0.5, 0.0, 0.075), "blue", "large", "thing")
    between = sighting("block", (0.5, 0.0, 0.05), "purple", "large", "thing", score=0.6)
    assert len(looked(memory, RED, upper, between).entities) == 3


def test_what_was_seen_once_and_not_surely_is_forgotten(memory: Memory) -> None:
    looked(memory, RED, sighting("block", (0.6, -0.2, 0.025), "blue", score=0.6))
    for _ in range(4):
        graph = looked(memory)
    assert {entity.name for entity in graph.entities} == {"red block", "table"}


def test_the_inside_of_a_bowl_is_no_thing(memory: Memory) -> None:
    bowl = sighting("bowl", (0.55, -0.15, 0.025), "red", score=0.95)
    inside = sighting("block", (0.55, -0.15, 0.035), "red", "large", "bowl", score=0.6)
    assert {entity.name for entity in looked(memory, bowl, inside).entities} == {"red bowl", "table"}


def test_a_faint_sighting_moves_nothing_far(memory: Memory) -> None:
    before = looked(memory, RED)
    assert looked(memory, sighting("block", (0.6, -0.2, 0.025), score=0.5)) == before
    assert memory.things[0].position == pytest.approx((0.5, 0.0, 0.025))


def test_a_lamp_lights_up_at_once_and_goes_out_slowly(memory: Memory) -> None:
    dark, bright = (sighting("button", (0.4, -0.2, 0.03), lit=lit) for lit in (0.05, 0.95))
    pressed = parse("pressed(button)")
    assert not looked(memory, dark).holds(pressed)
    assert looked(memory, bright).holds(pressed)
    assert looked(memory, dark).holds(pressed)
    for _ in range(5):
        graph = looked(memory, dark)
    assert not graph.holds(pressed)


def test_a_shut_drawers_handle_says_that_it_is_shut(memory: Memory) -> None:
    graph = looked(memory, sighting("drawer", (0.5, 0.312, 0.042), share=0.15))
    assert graph.holds(parse("closed(drawer)"))


def test_what_lies_in_the_drawer_stays_in_it_when_it_is_shut(memory: Memory) -> None:
    inside = sighting("block", (0.5, 0.28, 0.036), "red", "large", "drawer")
    assert looked(memory, inside, DRAWER_OUT).holds(parse("in(red block, drawer) and open(drawer)"))
    graph = looked(memory, DRAWER_IN)
    assert graph.holds(parse("in(red block, drawer) and closed(drawer)"))
    (thing,) = memory.things
    assert thing.position[1] == pytest.approx(0.28 + 0.122, abs=0.01)
    moved = sighting("block", (0.5, 0.28, 0.036), "red", "large", "drawer")
    assert looked(memory, moved, DRAWER_OUT).holds(parse("in(red block, drawer)"))
    assert len(memory.things) == 1


def test_the_fingers_say_whether_something_is_held_and_the_picture_what(memory: Memory) -> None:
    other = sighting("block", (0.6, -0.2, 0.025), "blue")
    looked(memory, RED, other)
    hand = (0.5, 0.0, 0.17)
    up = sighting("block", hand, "red", "large", "hand")
    assert looked(memory, up, other, tool=hand, opening=AROUND).holds(parse("holding(red block)"))
    assert looked(memory, other, tool=hand, opening=AROUND).holds(parse("holding(red block)"))
    assert looked(memory, RED, other, tool=hand, opening=SHUT).holds(parse("hand_empty"))


def test_what_fell_out_of_sight_lies_under_the_hand(memory: Memory) -> None:
    bowl, hand = sighting("bowl", (0.6, -0.2, 0.025), "white"), (0.5, 0.0, 0.17)
    looked(memory, RED, bowl)
    looked(memory, bowl, sighting("block", hand, "red", "large", "hand"), tool=hand, opening=AROUND)
    over = (0.6, -0.2, 0.2)
    assert looked(memory, bowl, tool=over, opening=AROUND).holds(parse("holding(red block)"))
    assert looked(memory, bowl, tool=over, opening=OPEN).holds(parse("in(red block, white bowl)"))


def test_what_is_hidden_stays_where_it_was(memory: Memory) -> None:
    first = looked(memory, RED, DRAWER_OUT)
    assert looked(memory) == first


@pytest.mark.parametrize(
    ("shift", "way"),
    [((0.0, 0.09), "left"), ((0.0, -0.09), "right"), ((0.09, 0.01), "forward"), ((-0.09, 0.0), "back")],
)
def test_moved_is_judged_from_where_the_command_began(
    memory: Memory, shift: tuple[float, float], way: str
) -> None:
    looked(memory, RED)
    memory.begin_command()
    there = sighting("block", (0.5 + shift[0], shift[1], 0.025))
    graph = looked(memory, there)
    assert {str(fact) for fact in graph.facts if fact.predicate == "moved"} == {f"moved(red block, {way})"}
    memory.begin_command()
    assert not any(fact.predicate == "moved" for fact in looked(memory, there).facts)


def test_size_tells_two_of_one_colour_and_kind_apart(memory: Memory) -> None:
    small = sighting("block", (0.6, -0.2, 0.02), "red", "small")
    looked(memory, RED, small)
    memory.begin_command()
    graph = looked(memory, small, RED)
    assert {entity.name for entity in graph.entities} == {"large red block", "small red block", "table"}


def test_names_stay_while_a_command_is_carried_out(memory: Memory) -> None:
    looked(memory, sighting("cylinder", (0.5, 0.0, 0.0275)))
    for _ in range(3):
        graph = looked(memory, RED)
    assert {entity.name for entity in graph.entities} == {"red cylinder", "table"}
    memory.begin_command()
    assert {entity.name for entity in scene_graph(memory).entities} == {"red block", "table"}


def test_a_faint_sighting_makes_no_thing(memory: Memory) -> None:
    looked(memory, sighting("block", (0.5, 0.0, 0.025), score=0.36))
    assert memory.things == []


@given(x=st.floats(0.36, 0.64), y=st.floats(-0.25, 0.08), height=st.floats(0.0, 0.2))
def test_two_cameras_see_one_thing_where_it_is(x: float, y: float, height: float) -> None:
    place, over = (x, y, 0.025 + height), (x + 0.05, y, 0.5)
    both = [
        detection("block", place, score=0.8),
        detection("block", place, camera="wrist", eye=over),
        detection("block", place, "blue", camera="wrist", eye=over),
    ]
    found = sightings(both)
    assert sorted(len(each.detections) for each in found) == [1, 2]
    assert all(np.allclose(each.position, place) and each.parting(place[2]) < 1e-9 for each in found)
