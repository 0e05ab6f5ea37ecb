"""Pictures for perception: the cameras stand where they are said to, and labels say what is so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_skills.perception.catalogue import PLACES
from robot_skills.perception.detector import DetectorConfig
from robot_skills.perception.training import SURE, looks
from sim.experts.sightings import album, sightings
from sim.tabletop.catalogue import TABLETOP
from sim.tabletop.labels import HUES, KINDS, SIZES, labelled
from sim.tabletop.scene import ObjectSpec, Scene
from sim.tabletop.views import FRAMING, pinhole, views
from sim.tabletop.world import TabletopWorld

SCENE = Scene(
    (
        ObjectSpec("ball", "red", "large", (0.45, -0.05, 0.026)),
        ObjectSpec("block", "blue", "large", (0.58, 0.02, 0.025)),
        ObjectSpec("cylinder", "green", "small", (0.58, 0.02, 0.0735)),
        ObjectSpec("bowl", "white", "large", (0.55, -0.15, 0.025)),
        ObjectSpec("block", "cyan", "small", (0.5, 0.28, 0.033)),
    ),
    drawer=1.0,
    button=(0.36, -0.22),
    gripper=(0.42, 0.05, 0.28),
)


@pytest.mark.parametrize("camera", list(FRAMING))
def test_a_ball_is_seen_where_the_camera_says(world: TabletopWorld, camera: str) -> None:
    world.reset(SCENE)
    side = FRAMING[camera][0]
    names, seen = world.visible(camera, side, side)
    rows, columns = np.nonzero(seen == names.index("red ball"))
    u, v, _ = pinhole(world, camera, side).project(world.state().bodies["red ball"].position[None])[0]
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((u, v), abs=1.0)


def test_pictures_are_the_rows_that_are_looked_at(world: TabletopWorld) -> None:
    world.reset(SCENE)
    for name, view in views(world).items():
        side, top, bottom = FRAMING[name]
        np.testing.assert_array_equal(view.image, world.render(name, side, side)[top:bottom])


def test_labels_say_what_is_so(world: TabletopWorld) -> None:
    world.reset(SCENE)
    state = world.state()
    view, things = labelled(world, "front")
    rows = things[: len(state.bodies)]
    for row, body in zip(rows, state.bodies.values(), strict=True):
        kind, colour, size = (int(value) for value in row[:3])
        assert (KINDS[kind], HUES[colour], SIZES[size]) == (body.kind, body.colour, body.size)
        np.testing.assert_allclose(row[6:9], body.position, atol=1e-6)
        np.testing.assert_allclose(view.camera.project(body.position[None])[0, :2], row[4:6], atol=1e-4)
        assert row[SURE] == 1
    assert [PLACES[int(row[3])] for row in rows] == ["table", "table", "thing", "table", "drawer"]
    drawer, door, button = things[len(state.bodies) : len(state.bodies) + 3]
    assert drawer[9] == pytest.approx(1.0, abs=0.02)
    assert door[9] == pytest.approx(0.0, abs=0.02)
    assert button[10] == 0
    assert (things[len(state.bodies) + 3 :, SURE] == -1).all()


def test_what_is_held_is_in_the_hand_and_what_is_hidden_is_not_labelled(world: TabletopWorld) -> None:
    world.reset(SCENE.with_(drawer=0.0, objects=SCENE.objects[:2]))
    world.put_in_hand("red ball")
    _, things = labelled(world, "front")
    assert PLACES[int(things[0, 3])] == "hand"
    world.put("red ball", (0.2, 0.4, 0.026))
    world.put("blue block", (0.5, 0.45, 0.03))  # in the cabinet
    _, things = labelled(world, "front")
    assert things[1, SURE] == -1


def test_a_seed_fixes_its_pictures(world: TabletopWorld) -> None:
    first, again = (list(sightings(world, 11)) for _ in range(2))
    assert len(first) == len(again) > 1
    for one, other in zip(first, again, strict=True):
        for camera in FRAMING:
            np.testing.assert_array_equal(one[camera].view.image, other[camera].view.image)
            np.testing.assert_array_equal(one[camera].things, other[camera].things)


def test_an_album_is_what_the_detector_learns_from(tmp_path: Path) -> None:
    album(range(3, 4), tmp_path)
    arrays = {name: dict(np.load(tmp_path / f"{name}_3_4.npz")) for name in FRAMING}
    config = DetectorConfig(TABLETOP, FRAMING)
    data = looks(config, arrays)
    count = len(arrays["front"]["images"])
    assert data.images.shape == (count, *config.canvas, 3)
    front, wrist = data.things[:, :10], data.things[:, 10:]
    np.testing.assert_array_equal(front, arrays["front"]["things"])
    pixels = wrist[..., 4] - config.starts["wrist"]
    np.testing.assert_allclose(pixels, arrays["wrist"]["things"][..., 4], atol=1e-3)
