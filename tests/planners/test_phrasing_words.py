"""What things are called: no word for two kinds or two colours, none for what is missing, none dangerous."""

from __future__ import annotations

import itertools
import random

import pytest

from planners.hazards import hazards
from planners.phrasing.author import _ing, _verbs
from planners.phrasing.nouns import Namer
from planners.phrasing.scenes import COLOURS, LOOSE
from planners.phrasing.templates import phrases
from planners.reading import read_command
from tests.planners.conftest import make_scene

FIXTURES = ("drawer", "door", "button", "table")
SCENE = make_scene(("red block", "blue ball", "green cylinder", "white bowl"))


def said(section: str) -> set[str]:
    lines = phrases("words")[section]
    return {line.removeprefix("the ").removeprefix("that ") for line in (*lines.training, *lines.held_out)}


def test_a_noun_is_for_one_kind_and_not_for_what_is_missing() -> None:
    groups = (*LOOSE, *(f"{kind}s" for kind in LOOSE), *FIXTURES, "thing", "unknown")
    shared = {pair: said(pair[0]) & said(pair[1]) for pair in itertools.combinations(groups, 2)}
    assert {pair: words for pair, words in shared.items() if words} == {}


def test_a_colour_word_is_for_one_colour_and_no_thing() -> None:
    groups = (*COLOURS, "absent")
    things = set().union(*(said(kind) for kind in (*LOOSE, "unknown")))
    shared = {pair: said(pair[0]) & said(pair[1]) for pair in itertools.combinations(groups, 2)}
    assert {pair: words for pair, words in shared.items() if words} == {}
    assert {colour: said(colour) & things for colour in COLOURS if said(colour) & things} == {}


@pytest.mark.parametrize("section", [*LOOSE, *FIXTURES])
def test_kinds_have_many_names(section: str) -> None:
    assert len(said(section)) >= 40


@pytest.mark.parametrize("section", COLOURS)
def test_colours_have_many_names(section: str) -> None:
    assert len(said(section)) >= 12


def test_the_usual_word_stays_the_most_frequent() -> None:
    namer = Namer(SCENE, random.Random(3))
    drawn = [namer.word("cylinder") for _ in range(400)]
    assert drawn.count("cylinder") > 180
    assert len({*drawn}) > 60


def test_names_of_things_are_not_dangerous() -> None:
    """A rule against harm that fires on a name would refuse a good command."""
    kinds = (*LOOSE, *(f"{kind}s" for kind in LOOSE))
    nouns = [f"put the {word} in the dish" for kind in kinds for word in said(kind)]
    colours = [f"put the {word} block in the dish" for colour in COLOURS for word in said(colour)]
    likened = [
        f"push the block the colour of {word} left" for each in COLOURS for word in said(f"like {each}")
    ]
    rules = hazards()
    fired = {text for text in (*nouns, *colours, *likened) if rules.reason(text, SCENE)}
    assert fired == set()


def test_a_colour_may_follow_its_noun() -> None:
    namer = Namer(SCENE, random.Random(1))
    texts = {namer.described("block", "red", None) for _ in range(3000)}
    assert any("the colour of" in text for text in texts)
    assert any(text.endswith(" in red") for text in texts)


def test_verbs_take_their_endings() -> None:
    assert {"entrust", "unseal", "enthrone", "depress", "slot"} <= _verbs()
    assert not {"kindly", "gently", "up"} & _verbs()
    assert [_ing(verb) for verb in ("fasten", "slot", "brighten", "pot")] == [
        "fastening", "slotting", "brightening", "potting",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("put the diddy burgundy slab in the ramekin", {"small red block", "white bowl"}),
        ("pick up the barrel", {"green cylinder"}),
        ("put the ginormous chunk on the bench", {"large red block", "table"}),
        ("place the cerulean pellet in the tureen", {"cyan ball", "white bowl"}),
    ],
)
def test_the_rules_know_plain_synonyms(command: str, names: set[str]) -> None:
    scene = make_scene(("small red block", "large red block", "cyan ball", "green cylinder", "white bowl"))
    reading = read_command(command, scene)
    assert {name for thing in reading.things for name in thing.names} == names
