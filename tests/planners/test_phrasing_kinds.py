"""Commands that compare, count and contrast, read from their words by themselves."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest

from planners.compact import Goal
from planners.phrasing.author import Author
from planners.phrasing.scenes import sample_scene
from planners.phrasing.triples import Triple, write
from planners.vocabulary import NUMBERS
from robot_skills.logic import Atom, atoms
from robot_skills.scene_graph import SceneGraph
from tests.planners.conftest import make_scene

SIZED = make_scene(
    ("small green cylinder", "large green cylinder", "small white cylinder", "large white cylinder",
     "red ball", "blue ball", "purple bowl"),
    ["in(red ball, purple bowl)"],
)  # fmt: skip


def written(scene: SceneGraph, family: str, count: int = 300) -> list[Triple]:
    author = Author(scene, random.Random(12))
    return [each for _ in range(count) if (each := write(author, family))]


def things(triple: Triple) -> set[str]:
    assert isinstance(triple.answer, Goal)
    return {name for atom in atoms(triple.answer.formula()) for name in atom.args}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (r"\b(smallest|tiniest|littlest)\b", {"small green cylinder", "small white cylinder"}),
        (r"\b(biggest|largest|hugest)\b", {"large green cylinder", "large white cylinder"}),
    ],
)
def test_several_of_one_size(said: str, names: set[str]) -> None:
    found = [each for each in written(SIZED, "several by size") if re.search(said, each.command)]
    assert len(found) > 5
    assert all({n for n in things(each) if "cylinder" in n} == names for each in found)


ONTO = r"^[^.,]*\b(red|green|blue) [a-z ]+ (?:on|onto|on top of) the (red|green|blue) one\W*$"


def test_one_on_another_of_its_kind_stands_on_what_was_said_last() -> None:
    """Of two colours and one verb, the first is what is put on the second."""
    scene = make_scene(("red block", "green block", "blue block", "white bowl"))
    read = 0
    for each in written(scene, "one on its like"):
        match = re.search(ONTO, each.command)
        if match:
            assert str(each.answer) == f"on({match[1]} block, {match[2]} block)"
            read += 1
    assert read > 2


def test_of_two_that_are_contrasted_one_is_meant() -> None:
    scene = make_scene(("red block", "green block", "blue block", "white bowl"))
    read = 0
    for each in written(scene, "contrast", 800):
        match = re.search(
            r"\b(red|green|blue) (?:one|block),? (?:and )?not the (red|green|blue)", each.command
        )
        if match:
            assert f"{match[1]} block" in things(each), each.command
            assert f"{match[2]} block" not in things(each), each.command
            read += 1
    assert read > 10


def test_as_many_are_chosen_as_are_said() -> None:
    scene = make_scene(("red ball", "blue ball", "green ball", "white ball", "yellow ball", "white bowl"))
    counted = re.compile(r"\b(any|just|only|exactly) (two|three|four) of the balls\b")
    read = 0
    for each in written(scene, "amount", 600):
        if (match := counted.search(each.command)) and isinstance(each.answer, Goal):
            assert each.answer.literals[0].groups[0].pick == NUMBERS[match[2]], each.command
            read += 1
    assert read > 5


def test_what_joins_something_is_none_of_what_is_there() -> None:
    found = written(SIZED, "one more")
    assert len(found) > 20
    for each in found:
        assert isinstance(each.answer, Goal)
        (item,) = each.answer.literals
        assert item.groups[0].pick
        assert "red ball" not in item.groups[0].names
        assert item.groups[1].names == ("purple bowl",)


def test_exceptions_of_two_kinds_are_each_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planners.phrasing.nouns._SAID_USUALLY", 1.0)
    scene = make_scene(("red block", "green block", "blue block", "red ball", "blue ball", "white bowl"))
    read = 0
    for each in written(scene, "but each", 3000):
        match = re.search(
            r"all blocks but the (red|green|blue) one and all balls but the (red|blue) one", each.command
        )
        if match:
            assert things(each).isdisjoint({f"{match[1]} block", f"{match[2]} ball"}), each.command
            read += 1
        assert len(things(each)) in (3, 4), each.command
    assert read


def test_a_condition_on_the_place_is_looked_up() -> None:
    """In an empty bowl things go that are to go there if it is empty, and into a full one those others."""
    for facts in ([], ["in(blue ball, white bowl)"]):
        scene = make_scene(("red block", "blue ball", "white bowl"), facts)
        read = 0
        for each in written(scene, "condition on its place", 1500):
            if match := re.search(r"\bunless (there's something|it's empty|it is empty)", each.command):
                blocked = ("something" in match[1]) == bool(facts)
                if "white bowl" in each.form and " else: " not in each.form:
                    assert isinstance(each.answer, Goal)
                    assert bool(each.answer.literals) is not blocked, each.command
                    read += 1
        assert read


def test_sizes_can_often_be_compared() -> None:
    scenes = [sample_scene(random.Random(number)) for number in range(400)]
    assert (
        sum(any(_all_differ(scene, kind) for kind in ("block", "cylinder", "ball")) for scene in scenes) > 40
    )


def _all_differ(scene: SceneGraph, kind: str) -> bool:
    sizes: Sequence[str] = [str(e.attributes.get("size")) for e in scene.entities if e.kind == kind]
    return len(sizes) > 1 and "None" not in sizes and len({*sizes}) == len(sizes)


def test_what_is_put_down_first_carries_the_other() -> None:
    scene = make_scene(("red block", "green block", "blue cylinder", "white bowl"))
    for each in written(scene, "then on it"):
        assert isinstance(each.answer, Goal)
        first, second = each.answer.literals
        base = first.groups[0].names[0]
        assert second.predicate == "on"
        assert second.groups[1].names == (base,)
        assert Atom("on", (base, second.groups[0].names[0])) not in {*atoms(each.answer.formula())}


HELD = make_scene(
    ("small red block", "large red block", "green cylinder", "yellow ball", "white bowl"),
    ["holding(small red block)"],
)
TOWER = make_scene(
    ("red block", "blue block", "yellow block", "green cylinder", "white bowl"),
    ["on(blue block, red block)", "on(yellow block, blue block)"],
)


@pytest.mark.parametrize(
    ("family", "scene", "said", "form"),
    [
        ("down, then on it", HELD, r"\bgreen\b", r"on\(held, table\) and on\(green \w+, held\)"),
        ("twin of the held", HELD, r"\b(big|bigger|larger)\b", r".*held.*largest red block.*"),
        ("one below", TOWER, r"\b(below|under)\b", r".*top (block|thing).*thing under top (block|thing).*"),
        ("tower or its upper part", TOWER, r"\bmiddle\b",
         r".*between block & thing on between block.*|.*all thing in tower but bottom thing.*"),
        ("in its place", TOWER, r"\bin its place\b", r".*on\(.*, place of .*\)"),
        ("of each colour", SIZED, r"\b(smallest|tiniest)\b", r".*all smallest cylinder of each colour.*"),
    ],
)  # fmt: skip
def test_new_kinds_are_written_as_they_were_said(
    family: str, scene: SceneGraph, said: str, form: str
) -> None:
    found = [each for each in written(scene, family) if re.search(said, each.command)]
    assert len(found) > 2
    assert all(re.fullmatch(form, each.form) for each in found), [each.form for each in found][:9]


def test_what_comes_last_is_told_first_and_nothing_is_lost() -> None:
    for each in written(TOWER, "out of order", 60):
        assert isinstance(each.answer, Goal)
        assert len(each.answer.literals) == 3


def test_what_is_smaller_than_one_thing_leaves_that_out() -> None:
    """Only what is known to be smaller, or larger, is meant."""
    scene = make_scene(
        ("small red block", "medium blue block", "large green block", "red ball", "white bowl")
    )
    found = [each for each in written(scene, "all compared") if "medium blue block" not in things(each)]
    assert {n for each in found for n in things(each) if "block" in n} == {
        "small red block",
        "large green block",
    }
    assert not any("red ball" in things(each) for each in written(scene, "all compared"))


def test_more_of_a_kind_are_none_of_those_that_are_in() -> None:
    names = ("red ball", "blue ball", "green ball", "white ball", "red block", "white bowl")
    scene = make_scene(names, ["in(red ball, white bowl)"])
    counted = re.compile(r"\b(one|two|three) more ball")
    read = 0
    for each in written(scene, "more there"):
        if "bowl" in str(each.answer):
            assert "red ball" not in things(each), each.command
        match = counted.search(each.command)
        if match and isinstance(each.answer, Goal) and "bowl" in str(each.answer):
            group = each.answer.literals[0].groups[0]
            assert (group.pick or len(group.names)) == ("one", "two", "three").index(match[1]) + 1, (
                each.command
            )
            read += 1
    assert read > 10


def test_off_the_table_goes_what_is_on_it() -> None:
    names = ("red ball", "blue ball", "green ball", "red block", "blue block", "white bowl")
    scene = make_scene(names, ["in(red ball, drawer)", "on(blue block, red block)"])
    asked = written(scene, "off the table", 100)
    assert len(asked) > 50
    assert all("red ball" not in things(each) for each in asked)
    assert all(each.answer == Goal(()) for each in written(scene, "nothing", 20))


TURNED = re.compile(
    r"the (red|blue) block on the (red|blue) (?:block|one)(?: but|,|\.|\?|:) .*(?:way round|reverse)"
)


def test_the_other_way_round_is_the_second_on_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planners.phrasing.nouns._SAID_USUALLY", 1.0)
    scene = make_scene(("red block", "blue block", "white bowl"), ["on(red block, blue block)"])
    read = 0
    for each in written(scene, "turned", 400):
        match = TURNED.search(each.command)
        if match:
            assert str(each.answer) == f"on({match[2]} block, {match[1]} block)", each.command
            read += 1
    assert read > 4


def test_an_exception_goes_to_the_place_that_is_said_last() -> None:
    scene = make_scene(("red block", "blue ball", "green cylinder", "white bowl"))
    places = re.compile(r"\b(drawer|bowl)\b")
    read = 0
    for each in written(scene, "exception elsewhere", 600):
        named = places.findall(each.command)
        first = re.match(r"(put )?everything (in|goes)", each.command)
        if first and len(named) == 2 and named[0] != named[1] and isinstance(each.answer, Goal):
            rest, out = (item.groups[1].names[0].split()[-1] for item in each.answer.literals)
            assert [rest, out] == named, each.command
            read += 1
    assert read > 5


def test_of_all_there_is_as_many_are_chosen_as_are_said() -> None:
    scene = make_scene(("red block", "blue block", "red ball", "blue cylinder", "white bowl"))
    read = 0
    for each in written(scene, "some of all", 600):
        assert isinstance(each.answer, Goal)
        (item,) = each.answer.literals
        if match := re.search(r"\b(?:any|pick|put|choose) (two|three) of the four\b", each.command):
            assert item.groups[0].pick == NUMBERS[match[1]], each.command
            read += 1
        assert len(item.groups[0].names) == 4
    assert read > 5


def test_half_is_counted_in_the_scene() -> None:
    scene = make_scene(("red block", "blue block", "green block", "white block", "red ball", "white bowl"))
    found = written(scene, "half", 200)
    assert len(found) > 50
    for each in found:
        assert isinstance(each.answer, Goal)
        assert each.answer.literals[0].groups[0].pick == 2, each.command


def test_what_is_stacked_is_left_where_it_stands() -> None:
    scene = make_scene(
        ("red block", "blue block", "red ball", "blue cylinder", "white bowl"), ["on(red block, blue block)"]
    )
    found = written(scene, "stack left", 200)
    assert len(found) > 50
    for each in found:
        assert things(each) & {"red block", "blue block", "red ball", "blue cylinder"} == {
            "red ball",
            "blue cylinder",
        }


def test_what_was_taken_first_is_what_others_stand_on() -> None:
    """Nothing is left in the hand of "take the red block and put the blue one on it"."""
    scene = make_scene(("red block", "blue block", "white bowl"))
    read = 0
    for each in written(scene, "take, then on it"):
        if match := re.search(r"\btake the (red|blue) [a-z -]+ and (?:put|set|place) the", each.command):
            assert str(each.answer) in ("on(blue block, red block)", "on(red block, blue block)")
            assert str(each.answer).endswith(f"{match[1]} block)"), each.command
            read += 1
    assert read > 2


def test_none_but_one_of_a_kind_is_that_one() -> None:
    scene = make_scene(("red block", "blue block", "green block", "white bowl"))
    read = 0
    for each in written(scene, "none bar", 800):
        if match := re.search(r"\b(?:bar|but) the (red|blue|green) (?:one|block)", each.command):
            out = bool(re.search(r"\b(outside|stays? out|left out) ", each.command))
            if not out and len(things(each)) > 2:
                continue  # a slip in the word that says so
            assert (f"{match[1]} block" in things(each)) != out, each.command
            read += 1
    assert read > 20


def test_what_is_outside_is_not_what_lies_inside() -> None:
    for each in written(SIZED, "outside of", 200):
        assert "red ball" not in things(each), each.command
        assert {"blue ball", "small green cylinder"} <= things(each), each.command


def test_its_own_colour_is_the_colour_of_what_goes_there() -> None:
    scene = make_scene(("red block", "blue block", "red ball", "green ball", "blue bowl", "red bowl"))
    found = written(scene, "own colour", 200)
    assert len(found) > 50
    for each in found:
        assert len({name.split()[0] for name in things(each)}) == 1, each.command
