"""Every predicate: true, and the near misses that must be false."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_skills.scene_graph import Entity
from sim.tabletop import predicates
from sim.tabletop.oracle import fitting
from sim.tabletop.scene import DIMENSIONS
from sim.tabletop.state import Body, State

UP, SIDE = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])


def body(kind: str, position: tuple[float, float, float], up: Any = UP, name: str | None = None) -> Body:
    width, height = DIMENSIONS[kind]["large"]
    place = np.array(position)
    return Body(name or f"red {kind}", kind, "red", "large", place, up, place.copy(), width, height)


def state(*bodies: Body, **changes: Any) -> State:
    drawer = changes.get("drawer", 0.0)
    base = State(
        bodies={item.name: item for item in bodies},
        tool=np.array([0.5, 0.0, 0.2]),
        rotation=np.eye(3),
        opening=0.08,
        gripped=frozenset(),
        drawer=drawer,
        door=0.0,
        pressed=False,
        handles={"drawer": np.array([0.5, 0.312 - drawer, 0.042])},
        tray=np.array([0.5, 0.28, 0.03]),
    )
    return replace(base, **changes)


def test_holding_needs_both_fingers_and_height() -> None:
    block = body("block", (0.5, 0.0, 0.10))
    assert predicates.holding(state(block, gripped=frozenset({block.name})), block.name)
    assert not predicates.holding(state(block), block.name)
    low = body("block", (0.5, 0.0, 0.030))
    assert not predicates.holding(state(low, gripped=frozenset({low.name})), low.name)


@pytest.mark.parametrize(
    ("offset", "height", "expected"),
    [
        ((0.0, 0.0), 0.075, True),
        ((0.020, 0.0), 0.075, True),
        ((0.030, 0.0), 0.075, False),  # its centre is beyond the edge
        ((0.0, 0.0), 0.095, False),  # it hangs above
        ((0.0, 0.0), 0.055, False),  # it is beside, in the same place as seen from above
        ((0.0, 0.06), 0.025, False),  # it stands on the table next to it
    ],
)
def test_on_an_object(offset: tuple[float, float], height: float, expected: bool) -> None:
    base = body("block", (0.5, 0.0, 0.025), name="base")
    top = body("block", (0.5 + offset[0], offset[1], height), name="top")
    assert predicates.on(state(base, top), "top", "base") is expected


def test_on_is_false_of_a_held_or_toppled_thing_and_of_bowls() -> None:
    base, top = body("block", (0.5, 0, 0.025), name="base"), body("block", (0.5, 0, 0.075), name="top")
    assert not predicates.on(state(base, top, gripped=frozenset({"top"})), "top", "base")
    leaning = np.array([0.6, 0.0, 0.8])
    assert not predicates.on(state(replace(base, up=leaning), top), "top", "base")
    lying = replace(body("cylinder", (0.5, 0, 0.0275), name="base"), up=SIDE)
    assert not predicates.on(state(lying, body("block", (0.5, 0, 0.08), name="top")), "top", "base")
    bowl = body("bowl", (0.5, 0, 0.025), name="bowl")
    assert not predicates.on(state(bowl, top), "top", "bowl")


@pytest.mark.parametrize("up", [UP, -UP, SIDE, np.array([0.0, -1.0, 0.0])])
def test_a_block_that_lies_on_another_face_is_still_one_to_put_things_on(up: np.ndarray) -> None:
    base, top = body("block", (0.5, 0, 0.025), up, name="base"), body("block", (0.5, 0, 0.075), name="top")
    assert predicates.on(state(base, top), "top", "base")


def test_on_the_table_counts_a_lying_cylinder_but_nothing_in_the_drawer() -> None:
    assert predicates.on(state(body("cylinder", (0.5, 0, 0.0275))), "red cylinder", "table")
    assert predicates.on(state(body("cylinder", (0.5, 0, 0.025), up=SIDE)), "red cylinder", "table")
    assert not predicates.on(state(body("cylinder", (0.5, 0, 0.06))), "red cylinder", "table")
    inside = state(body("block", (0.5, 0.29, 0.034)), drawer=0.12)
    assert not predicates.on(inside, "red block", "table")


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ((0.5, 0.30, 0.035), True),
        ((0.59, 0.30, 0.035), True),
        ((0.61, 0.30, 0.035), False),  # beyond the side wall
        ((0.5, 0.20, 0.035), False),  # before the front
        ((0.5, 0.30, 0.110), False),  # on the cabinet
    ],
)
def test_in_the_drawer(position: tuple[float, float, float], expected: bool) -> None:
    assert predicates.inside(state(body("block", position), drawer=0.12), "red block", "drawer") is expected


@pytest.mark.parametrize(
    ("aside", "height", "expected"),
    [(0.0, 0.04, True), (0.055, 0.04, True), (0.07, 0.04, False), (0.0, 0.08, False)],
)
def test_in_a_bowl(aside: float, height: float, expected: bool) -> None:
    bowl, ball = body("bowl", (0.5, 0.0, 0.025)), body("ball", (0.5 + aside, 0.0, height))
    assert predicates.inside(state(bowl, ball), "red ball", "red bowl") is expected
    held = state(bowl, ball, gripped=frozenset({"red ball"}))
    assert not predicates.inside(held, "red ball", "red bowl")


def test_open_and_closed_leave_a_gap_between() -> None:
    for fixture, travel in predicates.TRAVEL.items():
        for share, is_open, is_closed in ((0.0, 0, 1), (0.1, 0, 1), (0.5, 0, 0), (0.74, 0, 0), (0.8, 1, 0)):
            now = state(**{fixture: share * travel})
            assert predicates.is_open(now, fixture) == bool(is_open)
            assert predicates.is_closed(now, fixture) == bool(is_closed)


def test_pressed_is_the_lamp() -> None:
    assert predicates.pressed(state(pressed=True), "button")
    assert not predicates.pressed(state(), "button")


@pytest.mark.parametrize(
    ("shift", "direction", "expected"),
    [
        ((0.0, 0.09), "left", True),
        ((0.0, 0.09), "right", False),
        ((0.0, -0.09), "right", True),
        ((0.09, 0.0), "forward", True),
        ((-0.09, 0.0), "back", True),
        ((0.0, 0.04), "left", False),  # not far enough
        ((0.06, 0.07), "left", False),  # too far aside
    ],
)
def test_moved(shift: tuple[float, float], direction: str, expected: bool) -> None:
    block = body("block", (0.5, 0.0, 0.025))
    pushed = replace(block, position=block.origin + np.array([*shift, 0.0]))
    assert predicates.moved(state(pushed), "red block", direction) is expected
    lifted = replace(pushed, position=pushed.position + np.array([0.0, 0.0, 0.1]))
    assert not predicates.moved(state(lifted), "red block", direction)


def test_what_fits_where() -> None:
    assert predicates.fits("block", "in", "bowl")
    assert predicates.fits("ball", "in", "drawer")
    assert predicates.fits("ball", "on", "table")
    assert predicates.fits("block", "on", "cylinder")
    assert not predicates.fits("ball", "on", "block")
    assert not predicates.fits("block", "on", "ball")
    assert not predicates.fits("bowl", "on", "table")
    assert not predicates.fits("block", "in", "door")
    block = Entity("red block", "block", frozenset({"graspable"}))
    assert fitting([block]) == []  # not on itself
