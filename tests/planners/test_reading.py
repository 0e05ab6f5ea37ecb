from __future__ import annotations

import pytest

from planners.reading import read_command
from planners.vocabulary import corrected
from tests.planners.conftest import make_scene

PLAIN = make_scene(
    ("red block", "green block", "blue block", "blue cylinder", "yellow ball", "red ball", "blue bowl"),
    ["on(red block, green block)"],
)
HOLDING = make_scene(("red block", "green block", "blue bowl"), ["holding(red block)"])
SIZES = make_scene(("small red block", "large red block", "green block", "blue bowl", "white bowl"))


def meaning(command: str, scene: object = PLAIN) -> tuple[str, list[str]]:
    reading = read_command(command, scene)  # type: ignore[arg-type]
    assert reading.refused is None, reading.refused
    assert reading.question is None, reading.question
    letters = [thing for thing in reading.things if len(thing.label) == 1]
    return reading.text, [", ".join(thing.names) for thing in letters]


@pytest.mark.parametrize(
    ("command", "text", "things"),
    [
        ("Put the red block in the drawer and close it!", "put A in drawer and close it", ["red block"]),
        ("stack the crimson cube on the blue can", "stack A on B", ["red block", "blue cylinder"]),
        ("put the azure brick into the dish", "put A into B", ["blue block", "blue bowl"]),
        ("turn on the lamp", "turn on button", []),
        ("turn the light on", "turn button on", []),
        ("light the lamp", "light button", []),
        ("can you push the yellow sphere leftwards?", "push A left", ["yellow ball"]),
        ("put both balls in the bowl", "put A in B", ["yellow ball, red ball", "blue bowl"]),
        ("put all of the balls in the bowl", "put A in B", ["yellow ball, red ball", "blue bowl"]),
        ("put the two balls in the bowl", "put A in B", ["yellow ball, red ball", "blue bowl"]),
        ("put the red and the blue block in the drawer", "put A in drawer", ["red block, blue block"]),
        ("red block, yellow ball and blue bowl", "A and B", ["red block, yellow ball", "blue bowl"]),
        ("put everything except the blocks in the drawer", "put A in drawer",
         ["blue cylinder, yellow ball, red ball"]),
        ("put the red block on the blue one", "put A on B", ["red block", "blue block"]),
        ("put the red block in the drawer and the other blocks in the bowl", "put A in drawer and B in C",
         ["red block", "green block, blue block", "blue bowl"]),
        ("pick up the block on the green block", "pick up A", ["red block"]),
        ("pick up the ball that is red", "pick up A", ["red ball"]),
        ("put everything on the table", "put A on table",
         ["red block, green block, blue block, blue cylinder, yellow ball, red ball"]),
        ("put everything on the table in the drawer", "put A in drawer",
         ["green block, blue block, blue cylinder, yellow ball, red ball"]),
        ("put a ball in the drawer", "put A in drawer", ["yellow ball, red ball"]),
        ("put the red block on the green block and the blue block on the blue cylinder",
         "put A on B and C on D", ["red block", "green block", "blue block", "blue cylinder"]),
        ("open both the drawer and the door", "open A", ["drawer, door"]),
        ("nudge the red ball a little to the right", "nudge A a little to right", ["red ball"]),
        ("put the yelow bal in the drawr", "put A in drawer", ["yellow ball"]),
        ("take the rest", "take A",
         ["red block, green block, blue block, blue cylinder, yellow ball, red ball"]),
    ],
)  # fmt: skip
def test_things_are_found(command: str, text: str, things: list[str]) -> None:
    assert meaning(command) == (text, things)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("put it down", "put A down"),
        ("let go", "let go A"),
        ("drop what you hold in the bowl", "drop A in B"),
        ("put down whatever you're holding", "put down A"),
        ("release the thing in your hand", "release A"),
        ("drop it", "drop A"),
    ],
)
def test_what_the_hand_holds(command: str, text: str) -> None:
    reading, things = meaning(command, HOLDING)
    assert (reading, things[0]) == (text, "red block")


def test_sizes_tell_apart() -> None:
    assert meaning("pick up the little red block", SIZES)[1] == ["small red block"]
    assert meaning("put the big red cube in the white bowl", SIZES)[1] == ["large red block", "white bowl"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("pick up the purple block", "There is no purple block here; there are: red block, green block"),
        ("put the banana in the drawer", "no banana"),
        ("pick up the red banana", "no red banana"),
        ("put the three balls in the drawer", "only yellow ball and red ball here, not 3"),
        ("what's the weather", "a question, not a command"),
        ("swap the red block and the blue block", "No skill of mine can 'swap'"),
        ("do not open the drawer", "a question"),
        ("please never open the drawer", "cannot keep to 'never'"),
        ("put the red ball next to the bowl", "no place 'next to'"),
        ("put down what you hold", "hand is empty"),
        ("?!", "no words"),
    ],
)
def test_refusals_say_why(command: str, says: str) -> None:
    assert says in str(read_command(command, PLAIN).refused)


@pytest.mark.parametrize(
    ("command", "asks"),
    [
        ("pick up the block", "Which block do you mean: red block, green block or blue block?"),
        ("put two blocks in the drawer", "Which 2 of them: red block, green block or blue block?"),
        ("close it", "What does 'it' stand for?"),
    ],
)
def test_ambiguity_is_asked_back(command: str, asks: str) -> None:
    assert read_command(command, PLAIN).question == asks


def test_a_thing_named_before_is_meant_again() -> None:
    assert (
        meaning("pick up the red block and put the block in the drawer")[0] == "pick up A and put A in drawer"
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("blok", "block"),
        ("drawr", "drawer"),
        ("cilinder", "cylinder"),
        ("gren", "green"),
        ("opne", "open"),
        ("bukket", "bukket"),
        ("wall", "wall"),
        ("back", "back"),
        ("lock", "lock"),
    ],
)
def test_slips_of_the_finger(typed: str, meant: str) -> None:
    assert corrected(typed) == meant
