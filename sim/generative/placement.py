"""Symbolic relations solved into poses: a scene that a recipe allows, drawn by a seed.

Things are placed one after the other, largest first, each drawn until it stands clear of everything placed
before and its relations hold; when one finds no place, all begin anew. The search gives up with a reason.
What a recipe pins down stands where it says, clear or not: whether that is sound is for the gates to say.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_skills.errors import JobError
from sim.generative.recipe import Bounds, Relation, SceneRecipe, Thing
from sim.tabletop import furnishings
from sim.tabletop.furnishings import FORMS, LIGHTS, PITCH, ROW, Area
from sim.tabletop.scene import (
    BUTTON_RADIUS,
    CAMERAS,
    CLEARANCE,
    START,
    Camera,
    FurnishingSpec,
    ObjectSpec,
    Scene,
    Variation,
    Vector,
    draw_position,
)
from sim.tabletop.tasks import room_to_push
from sim.tabletop.world import LIGHT

#: How often all is begun anew, and how often one thing is drawn.
STARTS, DRAWS = 120, 60
#: Where furnishings may reach: beside the robot's side of the table, short of the drawer and the door.
REGION: Area = (0.32, 0.70, -0.29, 0.125)
#: Between an object and a furnishing or its movement, m: a finger and a half; the open fingers reach further,
#: to either side in y, and the palm furthest, over whatever is taller than the fingers are long.
GAP, FINGERS, PALM = 0.024, 0.060, (0.05, 0.125)
#: "near" and "beside" are within this of each other, edge to edge; "far_from" is further than that, m.
NEAR, FAR = 0.075, 0.14
#: "left_of" and the like: at least this far, m; "beside" no further off in depth than this.
APART, LEVEL = 0.05, 0.035
PLAIN_TABLE = (0.62, 0.60, 0.565)


class PlacementError(JobError):
    """No scene was found that a recipe allows; the message says what found no place."""


def place(recipe: SceneRecipe, seed: Sequence[int]) -> Scene:
    """Draw a scene; the same recipe and seed give the same scene everywhere.

    Raises:
        PlacementError: there is no room, or the relations exclude each other.
    """
    rng = np.random.default_rng(list(seed))
    stuck: Counter[str] = Counter()
    for _ in range(STARTS):
        table = _Table(recipe, rng)
        missing = table.fill()
        if missing is None:
            return _dressed(table, rng)
        stuck[missing] += 1
    (worst, times), *_ = stuck.most_common(1)
    raise PlacementError(f"No place for {worst} in {times} of {STARTS} attempts.")


@dataclass
class _Table:
    """A scene in the making."""

    recipe: SceneRecipe
    rng: np.random.Generator
    circles: list[tuple[float, float, float]] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    furnished: list[FurnishingSpec] = field(default_factory=list)
    placed: dict[str, ObjectSpec] = field(default_factory=dict)
    button: tuple[float, float] = (0.40, -0.20)

    def fill(self) -> str | None:
        """Place everything; what found no place, or None."""
        self.cabinet = float(self.rng.uniform(0.47, 0.53))
        self.rail = float(self.rng.uniform(0.52, 0.56))
        self.shares = {name: self._share(name) for name in self.recipe.names()}
        if not self._row_of_drawers():
            return "the narrow drawers"
        others = [item for item in self.recipe.furnishings if item.kind != "drawer"]
        for item in sorted(others, key=lambda item: -_size(FORMS[item.kind].area)):
            if not self._furnish(item.kind, item.colour):
                return f"the {item.name}"
        if "button" not in self.recipe.without:
            self.button = draw_position(self.rng, BUTTON_RADIUS)
            if not self._free(*self.button, BUTTON_RADIUS, CLEARANCE):
                return "the button"
            self.circles.append((*self.button, BUTTON_RADIUS))
        for thing in self._in_order():
            if not self._stand(thing):
                return f"the {thing.name}"
        return self._crowded()

    def scene(self) -> Scene:
        """As far as it is made."""
        order = [item.name for item in self.recipe.things]
        return Scene(
            tuple(self.placed[name] for name in order if name in self.placed),
            cabinet=self.cabinet,
            rail=self.rail,
            button=self.button,
            drawer=self.shares.get("drawer", 0.0),
            door=self.shares.get("door", 0.0),
            pressed=self.shares.get("button", 0.0) > 0.5,
            furnishings=tuple(self.furnished),
            without=self.recipe.without,
        )

    def _share(self, name: str) -> float:
        """How far something is open at the beginning, or 1 for lit."""
        standing = self.recipe.standing(name)
        if standing == "any":
            standing = "open" if self.rng.random() < 0.5 else "closed"
        if standing == "lit" or (standing == "open" and name.split()[-1] in LIGHTS):
            return 1.0
        low, high = {"open": (0.88, 1.0), "ajar": (0.3, 0.55)}.get(standing, (0.0, 0.0))
        return float(self.rng.uniform(low, high))

    def _row_of_drawers(self) -> bool:
        drawers = [item for item in self.recipe.furnishings if item.kind == "drawer"]
        width = PITCH * (len(drawers) - 1)
        low, high = 0.385, 0.615 - width
        if low > high:
            return False
        first = float(self.rng.uniform(low, high))
        for number, index in enumerate(self.rng.permutation(len(drawers))):
            item = drawers[int(index)]
            spec = FurnishingSpec(
                "drawer", item.colour, (first + number * PITCH, ROW), self.shares[item.name]
            )
            self.furnished.append(spec)
            self.areas.append(furnishings.area(spec))
        return True

    def _furnish(self, kind: str, colour: str) -> bool:
        x_low, x_high, y_low, y_high = FORMS[kind].area
        for _ in range(DRAWS):
            x = float(self.rng.uniform(REGION[0] - x_low, REGION[1] - x_high))
            y = float(self.rng.uniform(REGION[2] - y_low, REGION[3] - y_high))
            pin = self.recipe.pins.get(f"{colour} {kind}")
            spec = FurnishingSpec(kind, colour, pin or (x, y), self.shares[f"{colour} {kind}"])
            area = furnishings.area(spec)
            if pin is not None or all(_gap(area, other) > GAP for other in self.areas):
                self.furnished.append(spec)
                self.areas.append(area)
                return True
        return False

    def _in_order(self) -> list[Thing]:
        """Wide things first, and nothing before what it is on or in."""
        below = {r.things[0]: r.things[1] for r in self.recipe.relations if r.name in ("on", "in")}

        def depth(name: str) -> int:
            return 0 if name not in below else 1 + depth(below[name])

        return sorted(self.recipe.things, key=lambda item: (depth(item.name), item.kind != "bowl"))

    def _stand(self, thing: Thing) -> bool:
        """Put one thing where its relations have it."""
        mine = [r for r in self.recipe.relations if thing.name in r.things]
        under = next((r for r in mine if r.name in ("on", "in") and r.things[0] == thing.name), None)
        yaw = float(self.rng.uniform(-math.pi / 4, math.pi / 4))
        for _ in range(DRAWS):
            item = ObjectSpec(thing.kind, thing.colour, thing.size, (0.0, 0.0, 0.0), yaw)
            if under is not None:
                item = dataclasses.replace(item, position=self._upon(item, under))
            else:
                pin = self.recipe.pins.get(thing.name)
                x, y = pin or draw_position(self.rng, item.radius)
                if pin is None and not self._free(x, y, item.radius, CLEARANCE):
                    continue
                item = dataclasses.replace(item, position=(x, y, item.height / 2))
            self.placed[thing.name] = item
            if all(self._holds(relation) for relation in mine):
                if under is None:
                    self.circles.append((*item.position[:2], item.radius))
                return True
            del self.placed[thing.name]
        return False

    def _upon(self, item: ObjectSpec, relation: Relation) -> Vector:
        """A position in or on something."""
        base = relation.things[1]
        spread = 0.0 if relation.name == "on" else 1.0
        if base in self.placed:
            below = self.placed[base]
            x, y, z = below.position
            if relation.name == "on":
                return (x, y, z + below.height / 2 + item.height / 2)
            return (x, y, 0.013 + item.height / 2)
        if base == "drawer":
            y = 0.275 + float(self.rng.uniform(-0.02, 0.02)) if self.shares[base] > 0.5 else 0.42
            return (self.cabinet + float(self.rng.uniform(-0.05, 0.05)), y, 0.012 + item.height / 2)
        spec = next(spec for spec in self.furnished if spec.name == base)
        form = FORMS[spec.kind]
        x, y = spec.position
        if spec.kind == "drawer":
            y += 0.085 - spec.share * form.travel
        room = [max(half - 0.55 * item.width - 0.01, 0.0) * spread for half in form.half]
        x, y = x + float(self.rng.uniform(-room[0], room[0])), y + float(self.rng.uniform(-room[1], room[1]))
        return (x, y, form.floor + 0.001 + item.height / 2)

    def _free(self, x: float, y: float, radius: float, clearance: float) -> bool:
        around = all(math.hypot(x - a, y - b) - r - radius > clearance for a, b, r in self.circles)
        here = (x - radius, x + radius, y - radius, y + radius)
        if not around or any(_gap(here, area) < GAP for area in self.areas):
            return False
        fingers = (x - radius, x + radius, y - FINGERS, y + FINGERS)
        palm = (x - PALM[0], x + PALM[0], y - PALM[1], y + PALM[1])
        tall = [_shifted_area(FORMS[item.kind].tall, item.position) for item in self.furnished]
        return all(_gap(fingers, area) > 0 for area in self.areas) and all(
            _gap(palm, area) > 0 for area in tall if area is not None
        )

    def _crowded(self) -> str | None:
        """What shares a container with something that it touches; None when nothing does."""
        inside = [(r.things[1], r.things[0]) for r in self.recipe.relations if r.name == "in"]
        for number, (container, name) in enumerate(inside):
            for other_container, other in inside[:number]:
                here, there = self.placed[name], self.placed[other]
                aside = math.dist(here.position[:2], there.position[:2])
                if container == other_container and aside < here.radius + there.radius + 0.004:
                    return f"the {name}"
        return None

    def _holds(self, relation: Relation) -> bool:
        """Whether a relation holds, or cannot be judged yet."""
        if relation.name.startswith("clear_"):
            item = self.placed[relation.things[0]]
            return room_to_push(self.scene(), item, relation.name.removeprefix("clear_"))
        if relation.name in ("on", "in"):
            return True
        spots = [self._spot(name) for name in relation.things]
        if spots[0] is None or spots[1] is None:
            return True
        return related(relation.name, spots[0], spots[1])

    def _spot(self, name: str) -> tuple[float, float, float] | None:
        """x, y and radius of a thing that has its place."""
        if name in self.placed:
            item = self.placed[name]
            return (*item.position[:2], item.radius)
        for spec in self.furnished:
            if spec.name == name:
                return (*spec.position, max(FORMS[spec.kind].half))
        fixed = {"button": (*self.button, BUTTON_RADIUS), "drawer": (self.cabinet, ROW, 0.1)}
        return fixed.get(name, (self.rail, -0.37, 0.07) if name == "door" else None)


def related(name: str, one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether a relation holds between two footprints (x, y, radius), m."""
    forward, left = one[0] - other[0], one[1] - other[1]
    gap = math.hypot(forward, left) - one[2] - other[2]
    match name:
        case "left_of":
            return left > APART
        case "right_of":
            return left < -APART
        case "behind":
            return forward > APART
        case "in_front_of":
            return forward < -APART
        case "near":
            return gap < NEAR
        case "far_from":
            return gap > FAR
        case _:
            return gap < NEAR and abs(forward) < LEVEL


def _gap(one: Area, other: Area) -> float:
    """Between two rectangles; 0 or less when they overlap."""
    across = max(one[0] - other[1], other[0] - one[1])
    along = max(one[2] - other[3], other[2] - one[3])
    return math.hypot(max(across, 0.0), max(along, 0.0)) if max(across, along) > 0 else max(across, along)


def _shifted_area(area: Area | None, position: tuple[float, float]) -> Area | None:
    if area is None:
        return None
    x, y = position
    return (area[0] + x, area[1] + x, area[2] + y, area[3] + y)


def _size(area: Area) -> float:
    return (area[1] - area[0]) * (area[3] - area[2])


def _dressed(table: _Table, rng: np.random.Generator) -> Scene:
    """The scene with the gripper somewhere, and physics and looks drawn within the bounds."""
    gripper = tuple(float(value) for value in rng.uniform(*START))
    bounds = table.recipe.bounds
    return table.scene().with_(
        gripper=gripper, cameras=_cameras(bounds, rng), variation=_variation(bounds, rng)
    )


def _variation(bounds: Bounds, rng: np.random.Generator) -> Variation:
    mass, friction, brightness = (
        float(rng.uniform(*limits)) for limits in (bounds.mass, bounds.friction, bounds.brightness)
    )
    return Variation(
        mass, friction, _shifted(LIGHT, bounds.light, rng), brightness,
        _shifted(PLAIN_TABLE, bounds.table, rng, high=1.0),
        bounds.textures[int(rng.integers(len(bounds.textures)))],
    )  # fmt: skip


def _cameras(bounds: Bounds, rng: np.random.Generator) -> dict[str, Camera]:
    """The cameras; those of policies that are fixed to the base stand a little elsewhere."""
    cameras = dict(CAMERAS)
    for name in ("front",):
        camera = cameras[name]
        eye, target = (_shifted(point, bounds.camera, rng) for point in (camera.eye, camera.target))
        cameras[name] = dataclasses.replace(camera, eye=eye, target=target)
    return cameras


def _shifted(point: Vector, most: float, rng: np.random.Generator, high: float = math.inf) -> Vector:
    x, y, z = (float(min(value + rng.uniform(-most, most), high)) for value in point)
    return (x, y, z)
