"""The language of the tuned reader: what its texts come to in a scene."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.compact import Ask, Goal, Refuse
from planners.descriptions import COMPARED, EXTREMES, RELATIONS, SECOND, SIZES, TIERS
from planners.forms import Resolver, resolve, same
from planners.forms_grammar import COLOURS, KINDS, grammar
from planners.phrasing.scenes import sample_scene
from robot_skills.errors import InputError
from robot_skills.scene_graph import Entity, SceneGraph
from tests.planners.conftest import make_scene
from tests.planners.gbnf import Grammar

THINGS = (
    "red block", "blue block", "green block", "small green ball", "large green ball", "white bowl",
    "blue bowl",
)  # fmt: skip
SCENE = make_scene(
    THINGS, ["on(red block, blue block)", "holding(small green ball)", "in(large green ball, white bowl)"]
)


def sized(**sizes: str) -> SceneGraph:
    """Blocks by colour, with sizes."""
    made = make_scene(tuple(f"{colour} block" for colour in sizes))
    entities = tuple(
        Entity(each.name, each.kind, each.tags, {**each.attributes, "size": sizes[each.name.split()[0]]})
        if each.kind == "block"
        else each
        for each in made.entities
    )
    return SceneGraph(entities, made.facts)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("pyramid(all block)", "on(blue block, green block) and on(red block, blue block)"),
        ("upturned(all block)", "on(blue block, red block) and on(green block, blue block)"),
        ("pyramid(red block & green block)", "on(red block, green block)"),
        ("holding(largest of red block | blue block)", "holding(blue block)"),
        ("on(smallest of red block | blue block, green block)", "on(red block, green block)"),
    ],
)
def test_towers_by_size_and_the_largest_of_what_is_named(text: str, answer: str) -> None:
    scene = sized(red="small", blue="medium", green="large")
    found = resolve(text, scene)
    assert same(found, resolve(answer, scene))
    assert Grammar(grammar(scene, "")).admits(f" {text}\n")


def test_of_several_that_fit_the_held_one_is_put_away() -> None:
    scene = make_scene(("red ball", "blue ball", "green block", "white bowl"), ["holding(blue ball)"])
    assert str(resolve("in(ball, white bowl)", scene)) == "in(blue ball, white bowl)"
    assert resolve("moved(ball, left)", scene) == Ask(("red ball", "blue ball"))
    assert resolve("holding(ball)", scene) == Ask(("red ball", "blue ball"))
    again = resolve("in(held, white bowl) and in(ball, drawer)", scene)
    assert again == Ask(("red ball", "blue ball"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # The ball that the condition, or the other branch, spoke of
        ("if in(blue ball, drawer): closed(drawer) else: in(ball, drawer)", "in(blue ball, drawer)"),
        ("if open(drawer): in(red ball, drawer) else: in(ball, white bowl)", "in(red ball, white bowl)"),
        ("holding(red ball) and moved(ball, left)", "holding(red ball) and moved(red ball, left)"),
        # The blue one: of the same sort, or the one that can carry something
        ("on(red block, blue thing)", "on(red block, blue block)"),
        ("holding(red ball) and moved(blue thing, left)", "holding(red ball) and moved(blue ball, left)"),
        # One thing is not put in two places; nothing was said of the other
        ("in(red ball, white bowl) and in(ball, drawer)", "ask: red ball | blue ball"),
        ("moved(blue thing, left)", "ask: blue block | blue ball"),
        ("holding(red block) and holding(ball)", "ask: red ball | blue ball"),
    ],
)
def test_of_several_that_fit_the_one_that_was_spoken_of_is_meant(text: str, answer: str) -> None:
    scene = make_scene(("red block", "blue block", "red ball", "blue ball", "white bowl"))
    assert same(resolve(text, scene), resolve(answer, scene))


def test_what_no_size_tells() -> None:
    unknown = make_scene(("red block", "blue block", "white ball"))
    assert str(resolve("pyramid(all block)", unknown)) == "stacked(red block & blue block)"
    found = resolve("holding(largest of red block | white ball)", unknown)
    assert found == Ask(("red block", "white ball"))
    with pytest.raises(InputError, match="no tower"):
        resolve("pyramid(white ball)", unknown)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("in(red block, drawer) and closed(drawer)", "in(red block, drawer) and closed(drawer)"),
        ("in(red thing, drawer)", "in(red block, drawer)"),
        ("on(green block, table)", "on(green block, table)"),
        ("holding(small ball)", "holding(small green ball)"),
        ("holding(largest ball)", "holding(large green ball)"),
        ("in(held, white bowl)", "in(small green ball, white bowl)"),
        ("moved(thing on blue block, left)", "moved(red block, left)"),
        ("moved(block under red block, back)", "moved(blue block, back)"),
        ("holding(ball in white bowl)", "holding(large green ball)"),
        ("in(all block, drawer)", "in(red block & blue block & green block, drawer)"),
        ("in(all block but red block, drawer)", "in(blue block & green block, drawer)"),
        ("in(all block but red block & thing under red block, drawer)", "in(green block, drawer)"),
        (
            "in(all thing but all block, drawer)",
            "in(small green ball & large green ball, drawer)",
        ),
        ("in(all thing but held & all block, drawer)", "in(large green ball, drawer)"),
        ("in(all blue thing, drawer)", "in(blue block, drawer)"),
        ("in(all block & held, drawer)",
         "in(red block & blue block & green block & small green ball, drawer)"),
        ("in(any of ball, drawer)", "in(any of small green ball | large green ball, drawer)"),
        ("in(any 2 of block, drawer)", "in(any 2 of red block | blue block | green block, drawer)"),
        ("in(any 3 of block, drawer)", "in(red block & blue block & green block, drawer)"),
        ("in(any of block but red block, drawer)", "in(any of blue block | green block, drawer)"),
        ("in(all but 1 block, drawer)", "in(any 2 of red block | blue block | green block, drawer)"),
        ("in(any of red block | ball, drawer)",
         "in(any of red block | small green ball | large green ball, drawer)"),
        ("in(held, any of bowl)", "in(small green ball, any of white bowl | blue bowl)"),
        ("in(held, bowl) and holding(other ball)", "ask: white bowl | blue bowl"),
        ("in(held, white bowl) and holding(other ball)",
         "in(small green ball, white bowl) and holding(large green ball)"),
        ("holding(red block) and in(all other block, drawer)",
         "holding(red block) and in(blue block & green block, drawer)"),
        ("stacked(all block)", "stacked(red block & blue block & green block)"),
        ("not pressed(button)", "not pressed(button)"),
        ("in(block, drawer)", "ask: red block | blue block | green block"),
        ("in(held, bowl)", "ask: white bowl | blue bowl"),
        ("in(cylinder, drawer)", "refuse: missing cylinder"),
        ("in(all thing in blue bowl, drawer)", "refuse: missing thing in the blue bowl"),
        ("in(any 4 of block, drawer)", "refuse: missing set of 4 such things"),
        ("ask: left | right", "ask: left | right"),
        ("refuse: skill throw", "refuse: skill throw"),
        ("nothing", "nothing"),
    ],
)  # fmt: skip
def test_texts_come_to_answers(text: str, answer: str) -> None:
    assert str(resolve(text, SCENE)) == answer


@pytest.mark.parametrize(
    ("condition", "so"),
    [
        ("closed(drawer)", True),
        ("open(drawer)", False),
        ("not pressed(button)", True),
        ("there(red block)", True),
        ("there(purple ball)", False),
        ("not there(purple ball)", True),
        ("there(3 block)", True),
        ("there(4 block)", False),
        ("there(held)", True),
        ("there(thing in blue bowl)", False),
        ("there(thing on blue block)", True),
        ("holding(small ball)", True),
        ("holding(purple ball)", False),
        ("not on(purple ball, table)", True),
        ("in(all ball, white bowl)", False),
        ("on(red block, thing under red block)", True),
        ("closed(drawer & door)", True),
        ("open(drawer) or there(held)", True),
        ("closed(drawer) and not there(held)", False),
        ("open(drawer) and open(door) or closed(drawer)", True),
    ],
)
def test_conditions_are_looked_up(condition: str, so: bool) -> None:
    chosen = resolve(f"if {condition}: open(drawer) else: closed(drawer)", SCENE)
    assert str(chosen) == ("open(drawer)" if so else "closed(drawer)")
    assert str(resolve(f"if {condition}: open(drawer)", SCENE)) == ("open(drawer)" if so else "nothing")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("if open(drawer): in(purple ball, drawer) else: pressed(button)", "pressed(button)"),
        ("if open(door): open(door) elif closed(drawer): open(drawer) else: pressed(button)", "open(drawer)"),
        (
            "if open(door): open(door) elif open(drawer): open(drawer) else: pressed(button)",
            "pressed(button)",
        ),
        ("if open(door): open(door) elif open(drawer): open(drawer)", "nothing"),
        ("if there(held): nothing else: pressed(button); open(door)", "open(door)"),
        ("if closed(door): open(door); if closed(drawer): open(drawer)", "open(door) and open(drawer)"),
        ("if there(small ball): holding(other ball)", "holding(large green ball)"),
        ("if on(block, table): open(door)", "ask: red block | blue block | green block"),
    ],
)
def test_branches(text: str, answer: str) -> None:
    assert str(resolve(text, SCENE)) == answer


@pytest.mark.parametrize(
    ("sizes", "text", "answer"),
    [
        ({"red": "small", "blue": "large"}, "smallest block", "holding(red block)"),
        ({"red": "small", "blue": "large"}, "largest block", "holding(blue block)"),
        ({"red": "small", "blue": "large", "green": "medium"}, "middle block", "holding(green block)"),
        ({"red": "medium", "blue": "large"}, "smallest block", "holding(red block)"),
        ({"red": "small", "blue": "small"}, "smallest block", "ask: red block | blue block"),
        ({"red": "small", "blue": "large"}, "middle block", "ask: red block | blue block"),
        ({"red": "small", "blue": "large"}, "small block", "holding(red block)"),
        ({"red": "small", "blue": "large"}, "medium block", "refuse: missing medium block"),
        ({"red": "small"}, "largest block", "holding(red block)"),
    ],
)
def test_sizes_are_compared(sizes: dict[str, str], text: str, answer: str) -> None:
    assert str(resolve(f"holding({text})", sized(**sizes))) == answer


SIZED = make_scene(
    (
        "small orange block", "medium purple block", "large cyan block", "small purple cylinder",
        "large purple cylinder", "small white cylinder", "large white cylinder", "red ball", "white bowl",
    ),
    [
        "on(small orange block, medium purple block)", "on(medium purple block, large cyan block)",
        "in(red ball, white bowl)",
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("holding(all block smaller than cyan block)", "holding(small orange block & medium purple block)"),
        ("holding(block larger than small block)", "ask: medium purple block | large cyan block"),
        ("holding(smallest block larger than small block)", "holding(medium purple block)"),
        ("holding(all thing smaller than red ball)", "refuse: missing thing smaller than the red ball"),
        ("holding(block smaller than small block)", "refuse: missing block smaller than the small block"),
        ("holding(second smallest block)", "holding(medium purple block)"),
        ("holding(second largest purple cylinder)", "holding(small purple cylinder)"),
        ("holding(top block)", "holding(small orange block)"),
        ("moved(bottom block, left)", "moved(large cyan block, left)"),
        ("holding(all between block & all thing on between block)",
         "holding(medium purple block & small orange block)"),
        ("holding(all thing in tower)",
         "holding(small orange block & medium purple block & large cyan block)"),
        ("holding(largest thing in tower)", "holding(large cyan block)"),
        ("holding(top cylinder)", "refuse: missing top cylinder"),
        ("in(all smallest cylinder of each colour, bowl)",
         "in(small purple cylinder & small white cylinder, white bowl)"),
        ("holding(all largest purple thing of each kind)",
         "holding(medium purple block & large purple cylinder)"),
        ("on(white thing under red ball, place of small block)",
         "refuse: missing white thing under the red ball"),
        ("on(small white cylinder, place of top block)", "on(small white cylinder, medium purple block)"),
        ("in(all cylinder, place of ball)",
         "in(small purple cylinder & large purple cylinder & small white cylinder & large white cylinder, "
         "white bowl)"),
        ("on(bottom block, place of bottom block)", "on(large cyan block, table)"),
    ],
)  # fmt: skip
def test_comparisons_towers_and_places(text: str, answer: str) -> None:
    assert str(resolve(text, SIZED)) == answer


def test_the_smallest_of_a_tower_need_not_be_the_smallest_of_all() -> None:
    things = ("small red block", "medium blue block", "large green block")
    scene = make_scene(things, ["on(medium blue block, large green block)"])
    assert str(resolve("holding(smallest block in tower)", scene)) == "holding(medium blue block)"
    assert str(resolve("holding(smallest block on table)", scene)) == "holding(small red block)"


def test_a_choice_of_what_goes_on_one_of_its_things_leaves_that_out() -> None:
    goal = resolve("on(any of block, red block)", sized(red="small", blue="large", green="large"))
    assert isinstance(goal, Goal)
    assert str(goal.formula()) == "on(blue block, red block) or on(green block, red block)"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("put it there", "no literal"),
        ("in(red block)", "is of 2"),
        ("eaten(red block)", "no literal"),
        ("holding(banana)", "no description"),
        ("holding(red)", "no description"),
        ("in(any of ball & held, drawer)", "joins a choice"),
        ("in(held & any of ball, drawer)", "joins a choice"),
        ("moved(red block, up)", "no direction"),
        ("there(red block)", "is a condition"),
        ("if closed(drawer) open(drawer)", "after its condition"),
        ("holding(all red block of each kind)", "of each colour"),
        ("refuse: because", "no refusal"),
        ("stacked(all thing)", "a tower of more than"),
        ("", "no literal"),
    ],
)  # fmt: skip
def test_what_is_no_text_of_the_language(text: str, error: str) -> None:
    scene = make_scene(
        tuple(f"{colour} block" for colour in ("red", "blue", "green", "white", "cyan", "orange"))
    )
    with pytest.raises(InputError, match=error):
        resolve(text, scene if "stacked" in text else SCENE)


def test_answers_are_the_same_in_any_order() -> None:
    one = resolve("in(red block & blue block, drawer) and closed(drawer)", SCENE)
    other = resolve("closed(drawer) and in(blue block & red block, drawer)", SCENE)
    assert one != other
    assert same(one, other)
    assert not same(one, resolve("in(any of red block | blue block, drawer) and closed(drawer)", SCENE))
    assert same(Ask(("a", "b")), Ask(("b", "a")))
    assert same(Refuse("missing", "purple block"), Refuse("missing", "violet cube"))
    assert not same(Refuse("skill", "throw"), Refuse("skill", "eat"))
    assert not same(Refuse("missing", "purple block"), Goal(()))


def test_a_thing_whose_name_reads_like_a_mark_is_not_taken_for_two() -> None:
    with pytest.raises(InputError):
        resolve("holding(a & b block)", make_scene(("red block", "a & b block")))


FIRST = (*EXTREMES, *SECOND, *TIERS)
descriptions = st.builds(
    lambda *words: " ".join(filter(None, words)),
    st.sampled_from(["", *FIRST]), st.sampled_from(["", *SIZES]), st.sampled_from(["", *COLOURS]),
    st.sampled_from(KINDS),
)  # fmt: skip
placed = st.builds(
    lambda one, how, other: f"{one} {how} {other}",
    descriptions,
    st.sampled_from((*RELATIONS, *COMPARED)),
    descriptions,
)
placed |= descriptions.map(lambda text: f"{text} in tower")
placed |= st.builds(
    lambda one, how, other: f"{one} {how} {other}", descriptions, st.sampled_from(RELATIONS), placed
)
ones = descriptions | placed | st.just("held") | descriptions.map(lambda text: f"other {text}")
members = st.lists(ones | descriptions.map(lambda text: f"all {text}"), min_size=1, max_size=3)
but = st.just("") | members.map(lambda texts: f" but {' & '.join(texts)}")
sets = (
    ones
    | st.builds(lambda text, left: f"all {text}{left}", descriptions | placed, but)
    | st.builds(lambda number, text: f"all but {number} {text}", st.integers(1, 4), descriptions)
    | st.builds(
        lambda extreme, kind, side: f"all {extreme} {kind} of each {side}",
        st.sampled_from((*EXTREMES, *SECOND)),
        st.sampled_from(KINDS),
        st.sampled_from(("colour", "kind")),
    )
    | st.builds(lambda text, left: f"any of {text}{left}", descriptions, but)
)
literals = (
    st.builds(lambda text, place: f"in({text}, {place})", sets, sets)
    | st.builds(lambda text, thing: f"on({text}, place of {thing})", sets, ones)
    | sets.map(lambda text: f"holding({text})")
    | sets.map(lambda text: f"moved({text}, left)")
)
tests = st.builds(lambda no, text: f"{no}there({text})", st.sampled_from(["", "not "]), descriptions | placed)
branches = st.builds(lambda test, one, two: f"if {test}: {one} else: {two}", tests, literals, literals)
clauses = st.lists(branches | literals, min_size=1, max_size=3).map("; ".join)


@given(clauses, st.integers(0, 400))
def test_all_that_the_grammar_admits_comes_to_an_answer(text: str, seed: int) -> None:
    """A goal over things of the scene, a question about some of them, or that something is missing."""
    scene = sample_scene(random.Random(seed))
    assert Grammar(grammar(scene, "put it there")).admits(f" {text}\n")
    names = {each.name for each in scene.entities}
    match resolve(text, scene):
        case Goal(items):
            groups = [group for item in items for group in item.groups if group.names != ("left",)]
            assert all({*group.names} <= names and 0 <= group.pick < len(group.names) for group in groups)
        case Ask(options):
            assert len({*options} & names) == len(options) > 1
        case Refuse(reason, _):
            assert reason == "missing"


@given(st.text() | st.text("ifelsnothrg()&|:; ,bcd0123456789²", max_size=60))
def test_any_other_text_is_refused_in_one_line(text: str) -> None:
    """Nothing but `InputError` comes of it."""
    with suppress(InputError):
        assert isinstance(resolve(text, SCENE), Goal | Ask | Refuse)


def test_references_are_read_from_left_to_right() -> None:
    resolver = Resolver(SCENE)
    assert resolver.group("red block").names == ("red block",)
    assert resolver.group("all other block").names == ("blue block", "green block")
    assert resolver.named == ["red block", "blue block", "green block"]
