"""One task for each skill: how an episode begins. The seed alone fixes it.

An episode of a skill starts from a sampled scene changed as little as the skill needs (something to pick,
something held, a drawer that is shut), with the gripper anywhere above the table. Targets stand clear of
other things by the scene's clearance, so that every task can be solved; distractors are everything else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from robot_skills.errors import unknown
from robot_skills.scene_graph import DIRECTIONS
from robot_skills.skill import SkillCall
from sim.tabletop import furnishings, predicates
from sim.tabletop.scene import AREA, BUTTON_RADIUS, GRASPABLE, ObjectSpec, Scene
from sim.tabletop.world import TabletopWorld

#: Room that a push needs: for the gripper behind the object, and for the object ahead of it, m.
PUSH_BEHIND, PUSH_AHEAD = 0.075, 0.125
#: Share of the episodes that begin where another skill ended, and how high skills end, m (tool).
HAND_OVER, LEFT_AT = 0.4, (0.12, 0.18)
#: How high things are held when a placing task begins, m (tool).
HELD = (0.17, 0.30)
#: How far off the middle of the fingers a thing may be held, m.
GRASP_ERROR = np.array([0.007, 0.0, 0.006])
Result: TypeAlias = "tuple[Scene, SkillCall, str | None]"


@dataclass(frozen=True)
class Task:
    """How an episode begins, and what is asked.

    Attributes:
        held: name of the object that is in the gripper at the start.
    """

    skill: str
    seed: int
    scene: Scene
    call: SkillCall
    held: str | None = None

    def start(self, world: TabletopWorld) -> None:
        """Bring a world to the start of this episode."""
        world.reset(self.scene)
        if self.held is not None:
            rng = np.random.default_rng([self.seed, 1])
            world.put_in_hand(self.held, rng.uniform(-GRASP_ERROR, GRASP_ERROR))
            world.begin_command()


def sample_task(skill: str, seed: int) -> Task:
    """Draw the episode of a skill that belongs to a seed.

    Raises:
        InputError: no task is known for the skill.
    """
    if skill not in SAMPLERS:
        raise unknown("skill with a task on the tabletop", skill, SAMPLERS)
    for attempt in range(200):
        rng = np.random.default_rng([seed, sorted(SAMPLERS).index(skill), attempt])
        found = SAMPLERS[skill](Scene.sample([seed, attempt]), rng)
        if found is not None:
            scene, call, held = found
            return Task(skill, seed, scene, call, held)
    raise RuntimeError(f"No {skill} task in 200 scenes of seed {seed}.")


def pick(scene: Scene, rng: np.random.Generator) -> Result | None:
    """Pick one of the things to grasp."""
    name, _ = _choose(rng, scene, GRASPABLE)
    scene = _hand_over(scene.with_(closed=bool(rng.random() < 0.1)), rng)
    return scene, SkillCall("pick", {"object": name}), None


def place(scene: Scene, rng: np.random.Generator) -> Result | None:
    """Place a held thing in a bowl, in the open drawer, on another thing, or on the table."""
    name, item = _choose(rng, scene, GRASPABLE)
    options: list[tuple[str, str]] = [("in", "drawer")] * 2 + [("on", "table")]
    for other, spec in zip(scene.names(), scene.objects, strict=True):
        relation = "in" if spec.kind == "bowl" else "on"
        if predicates.fits(item.kind, relation, spec.kind) and other != name:
            options += [(relation, other)] * 2
    relation, target = options[int(rng.integers(len(options)))]
    if target == "drawer":
        scene = scene.with_(drawer=float(rng.uniform(0.85, 1.0)))
    height = float(rng.uniform(*HELD))
    scene = scene.with_(gripper=(*scene.gripper[:2], height), closed=False)
    return scene, SkillCall("place", {"object": name, "relation": relation, "target": target}), name


def push(scene: Scene, rng: np.random.Generator) -> Result | None:
    """Push a thing in one of four directions, with room behind it and ahead."""
    name, item = _choose(rng, scene, GRASPABLE)
    direction = str(rng.choice(DIRECTIONS))
    if not room_to_push(scene, item, direction):
        return None
    scene = _hand_over(scene.with_(closed=bool(rng.random() < 0.3)), rng)
    return scene, SkillCall("push", {"object": name, "direction": direction}), None


def open_(scene: Scene, rng: np.random.Generator) -> Result | None:
    """Open the drawer or the door."""
    target = str(rng.choice(("drawer", "door")))
    # Now and then it stands ajar: an attempt before may have failed half-way.
    share = float(rng.uniform(0.0, 0.5)) if rng.random() < 0.2 else 0.0
    scene = _hand_over(scene.with_(**{target: share}, closed=bool(rng.random() < 0.3)), rng)
    return scene, SkillCall("open", {"target": target}), None


def close(scene: Scene, rng: np.random.Generator) -> Result | None:
    """Close the drawer or the door; the drawer may have something in it."""
    target = str(rng.choice(("drawer", "door")))
    share = float(rng.uniform(0.3, 0.85)) if rng.random() < 0.2 else float(rng.uniform(0.85, 1.0))
    scene = scene.with_(**{target: share}, closed=bool(rng.random() < 0.3))
    if target == "drawer" and share > 0.8 and rng.random() < 0.6:
        scene = _fill_drawer(scene, rng)
    scene = _hand_over(scene, rng)
    return scene, SkillCall("close", {"target": target}), None


def press(scene: Scene, rng: np.random.Generator) -> Result | None:
    """Press the button."""
    scene = _hand_over(scene.with_(pressed=False, closed=bool(rng.random() < 0.3)), rng)
    return scene, SkillCall("press", {"target": "button"}), None


SAMPLERS: Mapping[str, Callable[[Scene, np.random.Generator], Result | None]] = {
    "pick": pick,
    "place": place,
    "push": push,
    "open": open_,
    "close": close,
    "press": press,
}


def _choose(rng: np.random.Generator, scene: Scene, kinds: tuple[str, ...]) -> tuple[str, ObjectSpec]:
    pairs = list(zip(scene.names(), scene.objects, strict=True))
    fitting = [pair for pair in pairs if pair[1].kind in kinds]
    return fitting[int(rng.integers(len(fitting)))]


def _hand_over(scene: Scene, rng: np.random.Generator) -> Scene:
    """Now and then the gripper starts where another skill would have left it, open or closed."""
    if rng.random() > HAND_OVER:
        return scene
    boxes = (
        ((scene.cabinet - 0.03, 0.14), (scene.cabinet + 0.03, 0.32)),  # at the drawer
        ((scene.rail - 0.18, -0.345), (scene.rail + 0.02, -0.32)),  # at the door
        ((AREA[0][0] + 0.02, AREA[1][0] + 0.02), (AREA[0][1] - 0.02, AREA[1][1] - 0.02)),  # over the table
    )
    x, y = rng.uniform(*boxes[int(rng.integers(len(boxes)))])
    gripper = (float(x), float(y), float(rng.uniform(*LEFT_AT)))
    return scene.with_(gripper=gripper, closed=bool(rng.random() < 0.5))


def _fill_drawer(scene: Scene, rng: np.random.Generator) -> Scene:
    """Move one thing to grasp from the table into the open drawer."""
    index = int(rng.choice([i for i, item in enumerate(scene.objects) if item.kind in GRASPABLE]))
    item = scene.objects[index]
    x, y = scene.cabinet + float(rng.uniform(-0.06, 0.06)), 0.275 + float(rng.uniform(-0.02, 0.02))
    moved = dataclasses.replace(item, position=(x, y, 0.012 + item.height / 2))
    return scene.with_(objects=(*scene.objects[:index], moved, *scene.objects[index + 1 :]))


def room_to_push(scene: Scene, item: ObjectSpec, direction: str) -> bool:
    """Whether the strip from behind the object to where it will come to rest is free and on the table."""
    heading = predicates.HEADINGS[direction]
    centre = np.array(item.position[:2])
    ahead, behind = centre + (PUSH_AHEAD + item.radius) * heading, centre - PUSH_BEHIND * heading
    (x_low, x_high), (y_low, y_high) = AREA
    for x, y in (ahead, behind):
        if not (x_low - 0.02 < x < x_high + 0.02 and y_low < y < y_high):
            return False
    others = [(np.array(other.position[:2]), other.radius) for other in scene.objects if other is not item]
    if "button" not in scene.without:
        others.append((np.array(scene.button), BUTTON_RADIUS))
    for position, radius in others:
        along = float(np.clip((position - centre) @ heading, -PUSH_BEHIND, PUSH_AHEAD))
        if np.linalg.norm(position - centre - along * heading) < radius + item.radius + 0.02:
            return False
    strip = np.sort(np.stack([ahead, behind]), axis=0)
    strip += np.outer((-1.0, 1.0), (item.radius + 0.02) * (1.0 - np.abs(heading)))
    for area in map(furnishings.area, scene.furnishings):
        if (
            strip[0, 0] < area[1]
            and area[0] < strip[1, 0]
            and strip[0, 1] < area[3]
            and area[2] < strip[1, 1]
        ):
            return False
    return True
