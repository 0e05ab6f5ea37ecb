"""Scenes from recipes: relations hold, nothing collides, seeds decide, and giving up says why."""

from __future__ import annotations

import itertools
import math

import pytest

from robot_skills.errors import InputError
from sim.generative.placement import PlacementError, place, related
from sim.generative.recipe import Bounds, Furniture, Relation, SceneRecipe, Thing
from sim.generative.static import static_state
from sim.tabletop.furnishings import area
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import CLEARANCE
from sim.tabletop.world import TabletopWorld

RICH = SceneRecipe(
    (
        Thing("block", "red"),
        Thing("ball", "blue", "small"),
        Thing("cylinder", "green"),
        Thing("bowl", "white"),
    ),
    (Furniture("shelf", "purple"), Furniture("drawer", "orange"), Furniture("drawer", "cyan")),
    ("drawer", "button"),
    {"orange drawer": "open", "cyan drawer": "ajar", "door": "any"},
    (
        Relation("on", ("green cylinder", "purple shelf")),
        Relation("in", ("blue ball", "white bowl")),
        Relation("left_of", ("red block", "white bowl")),
        Relation("clear_forward", ("red block",)),
    ),
)


def test_relations_and_standings_of_a_recipe_hold_in_every_scene(world: TabletopWorld) -> None:
    doors = set()
    for seed in range(12):
        scene = place(RICH, (seed,))
        world.reset(scene)
        for graph in (scene_graph(world.state()), scene_graph(static_state(scene))):
            told = {str(fact) for fact in graph.facts}
            assert {"on(green cylinder, purple shelf)", "in(blue ball, white bowl)"} <= told
            assert {"open(orange drawer)", "ajar(cyan drawer)"} <= told
            doors.add("open(door)" in told)
        spots = dict(zip(scene.names(), scene.objects, strict=True))
        assert spots["red block"].position[1] - spots["white bowl"].position[1] > 0.05
        assert world.penetration() < 0.001
    assert doors == {True, False}


def test_things_on_the_table_stand_clear_of_each_other_and_of_what_moves() -> None:
    for seed in range(40):
        scene = place(RICH, (9, seed))
        loose = [item for item in scene.objects if item.kind in ("block", "bowl")]
        for one, other in itertools.combinations(loose, 2):
            gap = math.dist(one.position[:2], other.position[:2]) - one.radius - other.radius
            assert gap > CLEARANCE
        for item, furnishing in itertools.product(loose, scene.furnishings):
            x_low, x_high, y_low, y_high = area(furnishing)
            x, y = item.position[:2]
            nearest = (min(max(x, x_low), x_high), min(max(y, y_low), y_high))
            assert math.dist((x, y), nearest) > item.radius


def test_the_same_seed_gives_the_same_scene_within_the_bounds() -> None:
    assert place(RICH, (1, 2)) == place(RICH, (1, 2)) != place(RICH, (2, 1))
    for seed in range(20):
        scene = place(RICH, (seed,))
        assert scene.variation is not None
        assert 0.7 <= scene.variation.mass <= 1.4
        assert scene.variation.texture in ("plain", "checks", "stripes")
        assert math.dist(scene.cameras["front"].eye, (1.04, -0.01, 0.98)) < 0.03
    with pytest.raises(InputError, match=r"between 0.2 and 5"):
        Bounds(mass=(0.1, 9.0))


def test_no_room_is_said_with_what_found_none() -> None:
    colours = ("red", "green", "blue", "white", "cyan", "purple", "orange")
    crowded = SceneRecipe(tuple(Thing("bowl", colour) for colour in colours))
    with pytest.raises(PlacementError, match=r"No place for the \w+ bowl in \d+ of 120 attempts"):
        place(crowded, (0,))
    left_and_right = tuple(Relation(way, ("red block", "blue block")) for way in ("left_of", "right_of"))
    with pytest.raises(PlacementError, match="No place for the blue block"):
        place(SceneRecipe((Thing("block", "red"), Thing("block", "blue")), relations=left_and_right), (0,))


def test_what_is_pinned_stands_where_the_recipe_says() -> None:
    recipe = SceneRecipe(
        (Thing("block", "red"),), (Furniture("tray", "blue"),), pins={"red block": (0.9, 0.1)}
    )
    scene = place(recipe, (4,))
    assert scene.objects[0].position[:2] == (0.9, 0.1)


@pytest.mark.parametrize(
    ("name", "one", "other", "expected"),
    [
        ("left_of", (0.5, 0.1, 0.02), (0.5, 0.0, 0.02), True),
        ("left_of", (0.5, 0.03, 0.02), (0.5, 0.0, 0.02), False),
        ("behind", (0.6, 0.0, 0.02), (0.5, 0.0, 0.02), True),
        ("in_front_of", (0.6, 0.0, 0.02), (0.5, 0.0, 0.02), False),
        ("near", (0.5, 0.1, 0.02), (0.5, 0.0, 0.02), True),
        ("beside", (0.56, 0.08, 0.02), (0.5, 0.0, 0.02), False),
        ("beside", (0.51, 0.08, 0.02), (0.5, 0.0, 0.02), True),
        ("far_from", (0.5, 0.1, 0.02), (0.5, 0.0, 0.02), False),
    ],
)
def test_relations_are_as_seen_by_the_robot(
    name: str, one: tuple[float, float, float], other: tuple[float, float, float], expected: bool
) -> None:
    assert related(name, one, other) is expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"things": (Thing("block", "red"), Thing("block", "red", "small"))}, "'red block' twice"),
        ({"relations": (Relation("on", ("red block", "red box")),)}, "Unknown thing in a relation 'red box'"),
        ({"standings": {"door": "wide"}}, "Unknown standing 'wide'"),
        ({"furnishings": (Furniture("drawer", "red"),)}, "must be without it"),
        ({"pins": {"door": (0.5, 0.0)}}, "Unknown thing with a fixed position"),
    ],
)
def test_what_is_no_recipe_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SceneRecipe(**{"things": (Thing("block", "red"),), **changes})  # type: ignore[arg-type]


def test_nothing_is_on_itself_by_way_of_others() -> None:
    things = (Thing("block", "red"), Thing("block", "blue"))
    circle = (Relation("on", ("red block", "blue block")), Relation("on", ("blue block", "red block")))
    with pytest.raises(InputError, match="cannot be on or in itself"):
        SceneRecipe(things, relations=circle)
