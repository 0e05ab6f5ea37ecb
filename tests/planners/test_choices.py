"""What choices come to: of things that are chosen twice, and of one thing on another."""

from __future__ import annotations

import pytest

from planners.compact import Goal, Group, Literal, Refuse, literal
from planners.forms import resolve
from robot_skills.logic import And, Atom, Or, atoms
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
            "on(any of block, other block)",
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


@pytest.mark.parametrize(
    ("form", "goal"),
    [
        ("in(any 2 alike of cylinder, bowl)", "(small green + large green) (small white + large white)"),
        (
            "in(any 2 unlike of small cylinder | large green cylinder, bowl)",
            "(small green + small white) (small white + large green)",
        ),
    ],
)
def test_two_of_one_colour(form: str, goal: str) -> None:
    names = ("small green cylinder", "large green cylinder", "small white cylinder", "large white cylinder")
    answer = resolve(form, make_scene((*names, "red bowl")))
    assert isinstance(answer, Goal)
    formula = answer.formula()
    assert isinstance(formula, Or)
    ways = (
        " + ".join(atom.args[0].removesuffix(" cylinder") for atom in atoms(way)) for way in formula.parts
    )
    assert " ".join(f"({way})" for way in ways) == goal


def test_two_of_one_colour_are_missing_where_all_differ() -> None:
    assert isinstance(resolve("in(any 2 alike of ball, white bowl)", BALLS), Refuse)


@pytest.mark.parametrize(
    ("form", "places"),
    [
        ("elsewhere(red block, table)", "on blue block, in white bowl, in drawer"),
        ("elsewhere(red ball, bowl & drawer)", "on table"),
        ("elsewhere(red ball, table)", "in white bowl, in drawer"),
    ],
)
def test_anywhere_but_there(form: str, places: str) -> None:
    answer = resolve(form, BALLS)
    assert isinstance(answer, Goal)
    assert ", ".join(f"{atom.predicate} {atom.args[1]}" for atom in atoms(answer.formula())) == places
    assert resolve(str(answer), BALLS) == answer


def test_choices_among_many_things_take_no_time() -> None:
    """Twice four of sixteen are three million pairs, which nobody looks through."""
    names = tuple(f"ball {number}" for number in range(16))
    each = [Literal("in", (Group(names, 4), Group((place,)))) for place in ("bowl", "drawer")]
    formula = Goal(tuple(each)).formula()
    assert isinstance(formula, And)
    assert [len(part.parts) for part in formula.parts if isinstance(part, Or)] == [1820, 1820]
