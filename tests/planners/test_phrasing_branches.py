"""Commands with both branches of a condition, by size and cut short, read from their words by themselves."""

from __future__ import annotations

import random
import re

from planners.compact import Goal
from planners.phrasing.author import Author
from planners.phrasing.triples import Triple, write
from robot_skills.scene_graph import SceneGraph
from tests.planners.conftest import make_scene

HELD = make_scene(
    ("red block", "green block", "blue ball", "white bowl"), ["holding(red block)", "open(drawer)"]
)
FREE = make_scene(("red block", "green block", "blue ball", "white bowl"), ["on(red block, green block)"])
PAIRS = make_scene(
    ("small green block", "large green block", "small white block", "large white block", "red bowl")
)
THREE = make_scene(("small red block", "medium green block", "large blue block", "white bowl"))


def written(scene: SceneGraph, family: str, count: int = 60) -> list[Triple]:
    author = Author(scene, random.Random(3))
    return [each for _ in range(count) if (each := write(author, family))]


def goals(scene: SceneGraph, family: str, count: int = 60) -> set[str]:
    found = written(scene, family, count)
    assert len(found) > 10
    return {str(each.answer) for each in found}


def test_a_full_hand_is_emptied_and_an_empty_one_takes_something() -> None:
    assert all(re.match(r"(in|on)\(red block, ", goal) for goal in goals(HELD, "hand empty or full"))
    assert all(goal.startswith("holding(") for goal in goals(FREE, "hand empty or full"))


def test_what_stands_on_a_thing_is_taken_down_before_another_goes_up() -> None:
    for each in written(FREE, "taken down or used"):
        taken = re.search("thing on green", each.form) is not None
        assert (str(each.answer) == "on(red block, table)") == taken, each.command


def test_unless_it_is_open_is_nothing_where_it_is_open() -> None:
    read = 0
    for each in written(HELD, "unless already", 1200):
        match = re.search(r"unless the drawer is (?:already )?(open|closed|shut)\b", each.command)
        if match:
            assert (match[1] == "open") == (str(each.answer) == "nothing"), each.command
            read += 1
    assert read > 3


def test_each_small_one_goes_on_the_large_one_of_its_colour() -> None:
    found = goals(PAIRS, "own colour by size", 40)
    small = "on(small green block, large green block) and on(small white block, large white block)"
    large = "on(large green block, small green block) and on(large white block, small white block)"
    assert small in found
    assert found <= {small, large}


def test_the_next_size_up_is_the_middle_one_of_three() -> None:
    assert goals(THREE, "next size") == {
        "on(small red block, medium green block)",
        "on(medium green block, large blue block)",
    }


def test_towers_by_size_hold_all_three() -> None:
    for each in written(THREE, "tower by size"):
        assert isinstance(each.answer, Goal)
        assert len(each.answer.literals) == 2, each.command
        if re.search(r"(biggest|largest) at the (bottom|base)|smallest on top", each.command):
            assert "on(small red block, medium green block)" in str(each.answer), each.command


def test_a_tower_of_two_is_turned_over() -> None:
    assert goals(FREE, "upside down") == {"on(red block, table) and on(green block, red block)"}


def test_of_a_tower_taken_apart_every_part_goes() -> None:
    for each in written(FREE, "apart, then"):
        assert re.search(r"(in|on)\(red block & green block, ", str(each.answer)), each.command
