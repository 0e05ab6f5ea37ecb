"""Labelled pictures for perception: the tabletop in every state that a run may leave it in.

Half of the scenes are arranged (things stacked, in bowls, in the drawer, in the hand, anywhere they may be
pushed to), half are what scripted experts leave behind, looked at on the way and when a skill is over. Light,
table and the front camera's place vary as in generated tasks.

    python -m sim.experts.sightings -o out/perception/pictures --first-seed 0 --scenes 1500
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError
from robot_skills.skill import SkillCall
from sim.experts.expert import expert_for
from sim.experts.recording import draw_call
from sim.tabletop import predicates
from sim.tabletop.labels import Labelled, labelled
from sim.tabletop.scene import AREA, BUTTON_RADIUS, CAMERAS, GRASPABLE, START, TEXTURES, Scene, Variation
from sim.tabletop.views import FRAMING
from sim.tabletop.world import LIGHT, TABLE_SEEN, TabletopWorld

#: Stream of random numbers of a seed.
STREAM = 113
#: Chances: of an arranged scene, of plain looks, of a fixture that is missing, of two things of one colour.
ARRANGED, PLAIN, LACKING, ALIKE = 0.6, 0.3, 0.1, 0.15
#: How far light, table colour and the front camera's eye and target may be off, and how bright it may be.
LIGHT_SHIFT, TABLE_SHIFT, CAMERA_SHIFT, BRIGHTNESS = 0.4, 0.12, 0.015, (0.85, 1.12)
#: Pictures of an arranged scene, and skills of one that experts work in.
POSES, SKILLS, LIMIT = 4, 4, 90
#: Chance that a thing is moved, and steps until it has come to rest.
REARRANGED, REST = 0.5, 6
#: How low the gripper may be while something is looked at, m.
LOWEST = 0.11
STILL = np.array([0, 0, 0, 0, 0, 0, -1], np.float32)
HELD_STILL = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)


def sightings(world: TabletopWorld, seed: int) -> Iterator[dict[str, Labelled]]:
    """Each camera's labelled picture at some moments of the scene that belongs to a seed.

    Args:
        world: any; it is reset.
        seed: fixes everything.
    """
    rng = np.random.default_rng([seed, STREAM])
    scene = varied_scene(seed, rng)
    world.reset(scene)
    moments = _arranged(world, rng) if rng.random() < ARRANGED else _worked(world, rng)
    for _ in moments:
        yield {camera: labelled(world, camera) for camera in FRAMING}


def varied_scene(seed: int, rng: np.random.Generator) -> Scene:
    """A sampled scene, some of it ajar, missing or alike, in another light."""
    scene = Scene.sample([seed, STREAM])
    changes = {name: float(rng.random()) for name in ("drawer", "door") if rng.random() < 0.25}
    objects = list(scene.objects)
    if rng.random() < ALIKE:
        first, second = rng.permutation(len(objects))[:2]
        alike = dataclasses.replace(objects[first], colour=objects[second].colour)
        if all((alike.kind, alike.colour) != (other.kind, other.colour) for other in objects):
            objects[first] = alike
    without = (str(rng.choice(("drawer", "door", "button"))),) if rng.random() < LACKING else ()
    scene = scene.with_(objects=tuple(objects), without=without, closed=bool(rng.random() < 0.4), **changes)
    return scene if rng.random() < PLAIN else _dressed(scene, rng)


def _dressed(scene: Scene, rng: np.random.Generator) -> Scene:
    light = np.array(LIGHT) + rng.uniform(-LIGHT_SHIFT, LIGHT_SHIFT, 3)
    table = TABLE_SEEN / 255 + rng.uniform(-TABLE_SHIFT, TABLE_SHIFT, 3)
    front = CAMERAS["front"]
    eye, target = (
        np.array(point) + rng.uniform(-CAMERA_SHIFT, CAMERA_SHIFT, 3) for point in (front.eye, front.target)
    )
    camera = dataclasses.replace(front, eye=_vector(eye), target=_vector(target))
    variation = Variation(
        light=_vector(light), brightness=float(rng.uniform(*BRIGHTNESS)), table=_vector(table),
        texture=str(rng.choice(TEXTURES)),
    )  # fmt: skip
    return scene.with_(variation=variation, cameras={**CAMERAS, "front": camera})


def _vector(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def _arranged(world: TabletopWorld, rng: np.random.Generator) -> Iterator[None]:
    """Move things where they may be, then look past the arm in several poses, one with something held."""
    assert world.scene is not None
    world.arm.place(np.array([0.45, 0.0, 0.45]), closed=False)
    loose = [
        name
        for name, item in zip(world.scene.names(), world.scene.objects, strict=True)
        if item.kind in GRASPABLE
    ]
    for name in loose:
        if rng.random() < REARRANGED:
            _rearrange(world, name, rng)
    for _ in range(REST):
        world.act(STILL)
    for pose in range(POSES):
        world.arm.place(arm_position(world, rng), closed=bool(rng.random() < 0.5))
        held = str(rng.choice(loose)) if loose and pose == POSES - 1 else None
        if held is not None:
            world.put_in_hand(held, rng.uniform((-0.007, 0.0, -0.006), (0.007, 0.0, 0.006)))
        world.act(STILL if world.arm.grip < 0 else HELD_STILL)
        yield


def _rearrange(world: TabletopWorld, name: str, rng: np.random.Generator) -> None:
    state = world.state()
    body = state.bodies[name]
    if "drawer" in state.handles and predicates.is_open(state, "drawer") and rng.random() < 0.35:
        x, y, _ = state.tray
        world.put(name, (x + rng.uniform(-0.07, 0.07), y + rng.uniform(-0.02, 0.02), 0.02 + body.height / 2))
        return
    targets = [other for other in state.bodies.values() if other.name != name and other.position[2] < 0.04]
    if targets and rng.random() < 0.65:
        target = targets[int(rng.integers(len(targets)))]
        aside = rng.uniform(-0.008, 0.008, 2)
        if target.kind == "bowl" and not any(predicates.inside(state, n, target.name) for n in state.bodies):
            world.put(name, (*(target.position[:2] + aside), target.position[2] + body.height / 2))
            return
        if predicates.fits(body.kind, "on", target.kind):
            height = target.position[2] + target.height / 2 + body.height / 2 + 0.001
            world.put(name, (*(target.position[:2] + aside), height), rng.uniform(-0.8, 0.8))
            return
    (x_low, x_high), (y_low, y_high) = AREA
    taken = [(other.position[:2], other.width / 2) for other in state.bodies.values()]
    taken += [(point[:2], BUTTON_RADIUS) for point in state.handles.values()]
    for _ in range(20):
        spot = rng.uniform((x_low - 0.04, y_low - 0.02), (x_high + 0.08, y_high + 0.08))
        if all(np.linalg.norm(place - spot) > 0.04 + radius for place, radius in taken):
            world.put(name, (*spot, body.height / 2 + 0.001), rng.uniform(-0.8, 0.8))
            return


def arm_position(world: TabletopWorld, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where the tool may be when a skill begins or is over: over the table, the drawer, the door, a thing."""
    state = world.state()
    low, high = (*START[0][:2], LOWEST), START[1]
    spots = [np.array([*rng.uniform(low, high)])] * 2
    near = [*(body.position for body in state.bodies.values()), *state.handles.values()]
    spots += [
        np.array(
            [*(near[int(rng.integers(len(near)))][:2] + rng.normal(0, 0.01, 2)), rng.uniform(LOWEST, 0.2)]
        )
    ]
    spot = spots[int(rng.integers(len(spots)))]
    return np.clip(spot, (0.30, -0.40, LOWEST), (0.70, 0.40, 0.40))


def _worked(world: TabletopWorld, rng: np.random.Generator) -> Iterator[None]:
    """Let the experts work, and look at the start, on the way and after each skill."""
    yield
    before: list[SkillCall] = []
    for _ in range(SKILLS):
        call = draw_call(world.state(), rng, before) if "button" in world.state().handles else None
        if call is None:
            return
        before.append(call)
        world.begin_command()
        expert, middle = expert_for(call), int(rng.integers(2, 30))
        for step in range(LIMIT):
            action, over = expert.act(world.state())
            world.act(action)
            if step == middle and world.state().tool[2] > LOWEST:
                yield
            if over:
                break
        yield


def album(seeds: range, path: Path) -> None:
    """Write the pictures of some scenes, a file a camera.

    Each holds images (N, H, W, 3) uint8, things (N, MOST, 12) float32 (see `Labelled`), and of the camera
    eye (N, 3), rotation (N, 3, 3), focal (N,) and centre (N, 2).
    """
    world = TabletopWorld({})
    shown = [pictures for seed in seeds for pictures in sightings(world, seed)]
    world.close()
    path.mkdir(parents=True, exist_ok=True)
    for camera in FRAMING:
        looked = [pictures[camera] for pictures in shown]
        cameras = [picture.view.camera for picture in looked]
        np.savez(
            path / f"{camera}_{seeds.start}_{seeds.stop}.npz",
            images=np.stack([picture.view.image for picture in looked]),
            things=np.stack([picture.things for picture in looked]),
            eye=np.stack([each.eye for each in cameras]),
            rotation=np.stack([each.rotation for each in cameras]),
            focal=np.array([each.focal for each in cameras]),
            centre=np.array([each.centre for each in cameras]),
        )


def main() -> None:
    """Make an album, a file for every hundred scenes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=1500)
    args = parser.parse_args()
    if args.scenes < 1 or args.first_seed < 0:
        raise InputError("--scenes is 1 or more, and --first-seed 0 or more.")
    for first in range(args.first_seed, args.first_seed + args.scenes, 100):
        album(range(first, min(first + 100, args.first_seed + args.scenes)), args.output)


if __name__ == "__main__":
    main()
