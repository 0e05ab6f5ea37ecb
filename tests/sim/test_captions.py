"""Captioned pictures: the labels say what the pixels show."""

import numpy as np
import pytest

from sim.captions import HUES, KINDS, SIZES, album, pictures
from sim.tabletop.scene import COLOURS
from sim.tabletop.world import TabletopWorld


@pytest.fixture(scope="module")
def world():
    world = TabletopWorld()
    yield world
    world.close()


def test_pixels_of_a_thing_have_its_colour(world) -> None:
    right = trials = 0
    names = list(COLOURS)
    palette = np.array(list(COLOURS.values()))
    for picture in pictures(world, 3):
        assert picture.image.shape == (64, 64, 3)
        for place, thing in enumerate(picture.things):
            inside = picture.seen == place
            if not thing.colour or inside.sum() < 12:
                continue
            pixels = np.median(picture.image[inside], axis=0) / 255
            hue = pixels / max(pixels.max(), 1e-6)  # shading darkens
            known = palette / palette.max(axis=1, keepdims=True)
            trials += 1
            right += names[int(np.abs(known - hue).sum(1).argmin())] == thing.colour
    assert trials >= 5
    assert right >= 0.8 * trials


def test_the_table_and_the_arm_are_told_apart(world) -> None:
    front = next(pictures(world, 4))
    assert (front.seen == -1).mean() > 0.4
    arm = front.things.index(next(thing for thing in front.things if thing.kind == "robot"))
    assert (front.seen == arm).sum() > 20


def test_an_album_is_the_pictures_in_order_and_a_seed_fixes_them(world) -> None:
    made = album([3, 4])
    again = [*pictures(world, 3), *pictures(world, 4)]
    assert len(made.images) == len(again) == 10
    for row, picture in enumerate(again):
        assert np.array_equal(made.images[row], picture.image)
        assert np.array_equal(made.seen[row], picture.seen)
        kind, colour, size = made.things[row, 1]
        assert (KINDS[kind], HUES[colour], SIZES[size]) == picture.things[1]
