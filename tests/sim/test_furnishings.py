"""Furniture beyond drawer, door and button: worked by the same experts, seen by the same oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import parse
from robot_skills.skill import SkillCall
from sim.experts import expert_for
from sim.tabletop.oracle import scene_graph
from sim.tabletop.predicates import Tolerances
from sim.tabletop.scene import DIMENSIONS, FurnishingSpec, ObjectSpec, Scene, Variation
from sim.tabletop.world import TabletopWorld

SKILLS = SkillLibrary.open().skills
WHERE = {"drawer": (0.46, 0.34), "box": (0.42, 0.0)}


def furnished(kind: str, *objects: ObjectSpec, share: float = 0.0) -> Scene:
    position = WHERE.get(kind, (0.50, 0.0))
    item = FurnishingSpec(kind, "blue", position, share)
    return Scene(objects, furnishings=(item,), without=("drawer", "button"))


def thing(kind: str) -> ObjectSpec:
    return ObjectSpec(kind, "red", "large", (0.40, -0.20, DIMENSIONS[kind]["large"][1] / 2), 0.3)


def does(world: TabletopWorld, *calls: SkillCall) -> bool:
    """Whether the experts do all of this, one after the other, judged by the oracle after each."""
    for call in calls:
        world.begin_command()
        expert = expert_for(call)
        for _ in range(60):
            action, over = expert.act(world.state())
            world.act(action)
            if over:
                break
        if not scene_graph(world.state()).holds(SKILLS[call.skill].goal(call)):
            return False
    return True


@pytest.mark.parametrize("kind", ["box", "drawer", "gate", "lever"])
def test_what_opens_is_opened_and_closed_by_its_handle(world: TabletopWorld, kind: str) -> None:
    world.reset(furnished(kind))
    name = f"blue {kind}"
    assert scene_graph(world.state()).holds(parse(f"closed({name})"))
    assert does(world, SkillCall("open", {"target": name}), SkillCall("close", {"target": name}))


@pytest.mark.parametrize(
    ("kind", "relation"),
    [
        ("box", "in"), ("crate", "in"), ("drawer", "in"), ("tray", "in"),
        ("pedestal", "on"), ("plate", "on"), ("shelf", "on"),
    ],
)  # fmt: skip
def test_things_are_put_in_containers_and_on_supports(world: TabletopWorld, kind: str, relation: str) -> None:
    world.reset(furnished(kind, thing("block"), share=1.0 if kind in ("box", "drawer") else 0.0))
    name = f"blue {kind}"
    place = {"object": "red block", "relation": relation, "target": name}
    assert does(world, SkillCall("pick", {"object": "red block"}), SkillCall("place", place))
    assert not scene_graph(world.state()).holds(parse("on(red block, table)"))


@pytest.mark.parametrize("kind", ["box", "crate", "rack"])
def test_two_things_share_a_container(world: TabletopWorld, kind: str) -> None:
    other = ObjectSpec("cylinder", "green", "small", (0.56, -0.20, 0.0225))
    world.reset(furnished(kind, thing("block"), other, share=1.0 if kind == "box" else 0.0))
    calls = []
    for name in ("red block", "green cylinder"):
        place = {"object": name, "relation": "in", "target": f"blue {kind}"}
        calls += [SkillCall("pick", {"object": name}), SkillCall("place", place)]
    if kind == "box":
        calls.append(SkillCall("close", {"target": "blue box"}))
    assert does(world, *calls)
    inside = parse(f"in(red block, blue {kind}) and in(green cylinder, blue {kind})")
    assert scene_graph(world.state()).holds(inside)


def test_a_large_cylinder_stands_under_a_lid(world: TabletopWorld) -> None:
    world.reset(furnished("chest", thing("cylinder"), share=1.0))
    place = {"object": "red cylinder", "relation": "in", "target": "blue chest"}
    put = (SkillCall("pick", {"object": "red cylinder"}), SkillCall("place", place))
    assert does(world, *put, SkillCall("close", {"target": "blue chest"}))


def test_buttons_are_told_apart_by_their_colour(world: TabletopWorld) -> None:
    buttons = (FurnishingSpec("button", "blue", (0.45, 0.0)), FurnishingSpec("button", "green", (0.58, 0.0)))
    world.reset(Scene((), furnishings=buttons, without=("button",)))
    saved = world.save()
    assert does(world, SkillCall("press", {"target": "green button"}))
    assert scene_graph(world.state()).holds(parse("pressed(green button) and not pressed(blue button)"))
    world.restore(saved)
    assert not scene_graph(world.state()).holds(parse("pressed(green button)"))


def test_what_a_scene_is_without_is_not_there(world: TabletopWorld) -> None:
    world.reset(Scene((thing("block"),), without=("drawer", "door", "button")))
    assert {entity.name for entity in scene_graph(world.state()).entities} == {"red block", "table"}


def test_a_ball_lies_in_a_tray_and_cannot_be_asked_onto_a_shelf(world: TabletopWorld) -> None:
    world.reset(furnished("shelf", thing("ball")))
    assert parse("fits(red ball, on, blue shelf)") not in scene_graph(world.state()).facts
    world.reset(furnished("tray", thing("ball")))
    world.put("red ball", (0.50, 0.02, 0.03))
    assert scene_graph(world.state()).holds(parse("in(red ball, blue tray) and not on(red ball, table)"))


def test_tolerances_are_the_predicates_parameters(world: TabletopWorld) -> None:
    world.reset(furnished("lever"))
    world.slide("blue lever", 0.5)
    assert not scene_graph(world.state()).holds(parse("open(blue lever)"))
    assert scene_graph(world.state(), Tolerances(open=0.4)).holds(parse("open(blue lever)"))
    with pytest.raises(InputError, match="closed < open"):
        Tolerances(open=0.1)


def test_sampled_scenes_are_written_as_ever_and_furnished_ones_survive_yaml(tmp_path: Path) -> None:
    assert not {"furnishings", "without", "variation"} & set(Scene.sample(3).to_json())
    scene = furnished("box", thing("ball"), share=0.4).with_(
        variation=Variation(mass=1.2, table=(0.2, 0.3, 0.4), texture="checks")
    )
    scene.save(tmp_path / "scene.yaml")
    assert Scene.load(tmp_path / "scene.yaml") == scene
    with pytest.raises(
        InputError, match=r"Unknown kind of furnishing 'bx'; valid: basket, .*Did you mean 'box'"
    ):
        FurnishingSpec("bx", "red", (0.5, 0.0))
    with pytest.raises(InputError, match="both called 'blue box'"):
        scene.with_(furnishings=scene.furnishings * 2)


def test_a_variation_changes_physics_and_looks_and_the_pattern_stays_on_the_table(
    world: TabletopWorld,
) -> None:
    plain = furnished("shelf", thing("block"))
    world.reset(plain)
    before = world.render("front", 64, 64)
    world.reset(plain.with_(variation=Variation()))
    np.testing.assert_array_equal(world.render("front", 64, 64), before)
    world.reset(plain.with_(variation=Variation(brightness=0.7, texture="checks")))
    after = world.render("front", 64, 64)
    assert after.mean() < 0.85 * before.mean()
    assert len(np.unique(after[-6:].reshape(-1, 3), axis=0)) >= 2  # both shades of the checks


def test_the_arm_is_said_to_hit_what_stands_where_it_is_asked_to_go(world: TabletopWorld) -> None:
    world.reset(furnished("shelf", thing("block")))
    digest = world.digest()
    assert world.arm_hits((0.50, 0.0, 0.030)) == {"blue shelf"}
    assert world.arm_hits((0.60, 0.10, 0.20)) == set()
    assert world.arm_hits((1.2, 0.0, 0.20)) == {"unreachable"}
    assert world.digest() == digest
