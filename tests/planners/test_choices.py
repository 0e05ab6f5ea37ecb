"""What choices come to: of things that are chosen twice, and of one thing on another."""

from __future__ import annotations

import pytest

from planners.compact import Goal, Group, Literal, literal
from planners.forms import resolve
from robot_skills.logic import And, Atom, Or
from tests.planners.conftest import make_scene

BALLS = make_scene(("red ball", "blue ball", "green ball", "red block", "blue block", "white bowl"))


@pytest.mark.parametrize(
    ("form", "goal"),
    [
        (
            "on(any of block, any of block)",
            Or((Atom("on", ("red block", "blue block")), Atom("on", ("blue block", "red block")))),
        ),
        (
            "in(red ball, white bowl) and in(any of ball, drawer)",
            And(
                (
                    Atom("in", ("red ball", "white bowl")),
                    Or((Atom("in", ("blue ball", "drawer")), Atom("in", ("green ball", "drawer")))),
                )
            ),
        ),
        (
            "in(any 2 of ball, white bowl) and in(any of ball, drawer)",
            Or(
                tuple(
                    And((*(Atom("in", (name, "white bowl")) for name in pair), Atom("in", (last, "drawer"))))
                    for *pair, last in (
                        ("red ball", "blue ball", "green ball"),
                        ("red ball", "green ball", "blue ball"),
                        ("blue ball", "green ball", "red ball"),
                    )
                )
            ),
        ),
    ],
)
def test_nothing_is_chosen_for_two_places(form: str, goal: And | Or) -> None:
    answer = resolve(form, BALLS)
    assert isinstance(answer, Goal)
    assert answer.formula() == goal


def test_what_cannot_be_is_left_as_it_was_said() -> None:
    """A thing in two places, and one that is to be on itself: others find fault with it."""
    twice = Goal((literal("in", "red ball", "white bowl"), literal("in", "red ball", "drawer")))
    assert twice.formula() == And(
        (Atom("in", ("red ball", "white bowl")), Atom("in", ("red ball", "drawer")))
    )
    assert literal("on", "red block", "red block").formula() == Atom("on", ("red block", "red block"))


def test_a_choice_for_the_same_place_stays_open() -> None:
    both = Literal("in", (Group(("red ball", "blue ball"), 1), Group(("white bowl",))))
    goal = Goal((literal("in", "red ball", "white bowl"), both))
    assert goal.formula() == And((Atom("in", ("red ball", "white bowl")), both.formula()))
