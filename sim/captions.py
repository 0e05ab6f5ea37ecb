"""Pictures of the tabletop with what is seen in every pixel, for the small CLIP.

What is seen comes from the simulator's state: a training label, nothing that a policy is given. Pictures are
those a policy will see, 64 px of both cameras with the arm anywhere, and close-ups that show shapes better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot_skills.robot import Image
from sim.tabletop.scene import COLOURS, DIMENSIONS, FIXTURES, GRASPABLE, START, ObjectSpec, Scene
from sim.tabletop.world import TabletopWorld

#: What captions speak of; "": what has no name, no colour word or no size word.
KINDS = ("", *DIMENSIONS, *FIXTURES[:3], "robot")
HUES, SIZES = ("", *COLOURS), ("", "small", "large")
VIEWS = ("front", "wrist", "close")
SIZE = 64
#: Close-ups are windows of a picture this many times larger.
ZOOMS = (1.5, 3.0)
#: Where the gripper may be while a skill runs: as at the start, but down to the table.
LOW = 0.03
HELD = 0.25


class Thing(NamedTuple):
    """What a caption says: kind, and colour and size of what has them."""

    kind: str
    colour: str = ""
    size: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture and its labels.

    Attributes:
        image: (64, 64, 3) uint8.
        things: what is in it.
        seen: (64, 64) int64, the place in `things` of what each pixel shows; -1: the table.
        view: "front", "wrist" or "close".
    """

    image: Image
    things: tuple[Thing, ...]
    seen: NDArray[np.int64]
    view: str


def pictures(world: TabletopWorld, seed: int) -> Iterator[Picture]:
    """Five pictures of the scene that belongs to a seed."""
    rng = np.random.default_rng([seed, 55])
    scene = Scene.sample(seed)
    world.reset(scene)
    if rng.random() < HELD:
        graspable = [n for n, o in zip(scene.names(), scene.objects, strict=True) if o.kind in GRASPABLE]
        world.put_in_hand(str(rng.choice(graspable)))
    yield _picture(world, scene, "front", "front")
    yield _picture(world, scene, "wrist", "wrist")
    low = (*START[0][:2], LOW), (*START[1][:2], START[1][2])
    world.arm.place(rng.uniform(*low), bool(rng.random() < 0.5))
    yield _picture(world, scene, "front", "front")
    yield _picture(world, scene, "wrist", "wrist")
    yield _picture(world, scene, "front", "close", rng)


def _picture(
    world: TabletopWorld, scene: Scene, camera: str, view: str, rng: np.random.Generator | None = None
) -> Picture:
    """Look through a camera, or through a window of it."""
    side = SIZE if rng is None else int(SIZE * rng.uniform(*ZOOMS))
    image = world.render(camera, side, side)
    names, seen = world.visible(camera, side, side)
    if rng is not None:
        top, left = rng.integers(side - SIZE + 1, size=2)
        image = image[top : top + SIZE, left : left + SIZE]
        seen = seen[top : top + SIZE, left : left + SIZE]
    specs = dict(zip(scene.names(), scene.objects, strict=True))
    return Picture(image, tuple(_thing(name, specs) for name in names), seen, view)


def _thing(name: str, specs: dict[str, ObjectSpec]) -> Thing:
    spec = specs.get(name)
    return Thing(name) if spec is None else Thing(spec.kind, spec.colour, spec.size)


class Album(NamedTuple):
    """Pictures as arrays, N of them, each with places for up to K things.

    Attributes:
        images: (N, 64, 64, 3) uint8.
        seen: (N, 64, 64) int8, the place of the thing in each pixel; -1: the table.
        things: (N, K, 3) int8, kind, colour and size of each thing, as places in `KINDS`, `HUES` and `SIZES`.
        views: (N,) int8, as places in `VIEWS`.
    """

    images: Image
    seen: NDArray[np.int8]
    things: NDArray[np.int8]
    views: NDArray[np.int8]


def album(seeds: Iterable[int]) -> Album:
    """The pictures of some scenes, in order."""
    world = TabletopWorld()
    shown = [picture for seed in seeds for picture in pictures(world, seed)]
    world.close()
    most = max(len(picture.things) for picture in shown)
    things = np.zeros((len(shown), most, 3), np.int8)
    for row, picture in zip(things, shown, strict=True):
        for place, (kind, colour, size) in enumerate(picture.things):
            row[place] = KINDS.index(kind), HUES.index(colour), SIZES.index(size)
    return Album(
        np.stack([picture.image for picture in shown]),
        np.stack([picture.seen for picture in shown]).astype(np.int8),
        things,
        np.array([VIEWS.index(picture.view) for picture in shown], np.int8),
    )
