"""What a task's scenes have in common: the things, symbolic relations among them, and bounds on the rest.

A recipe and a seed give a scene (`placement.place`); the recipe says nothing about where things are in
metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_skills.errors import InputError, unknown
from sim.tabletop.scene import FIXTURES, TEXTURES, FurnishingSpec, ObjectSpec

#: How a recipe says what stands open or lit at the beginning; "any" is drawn anew in every scene.
STANDINGS = ("open", "closed", "ajar", "lit", "dark", "any")
#: relation -> how many things it is between.
RELATIONS = {
    "on": 2, "in": 2, "beside": 2, "left_of": 2, "right_of": 2, "in_front_of": 2, "behind": 2, "near": 2,
    "far_from": 2, "clear_left": 1, "clear_right": 1, "clear_forward": 1, "clear_back": 1,
}  # fmt: skip
MOST_LOOSE, MOST_FURNISHINGS = 7, 4


@dataclass(frozen=True)
class Thing:
    """A loose object: kind, colour and size by name."""

    kind: str
    colour: str
    size: str = "large"

    def __post_init__(self) -> None:
        ObjectSpec(self.kind, self.colour, self.size, (0.0, 0.0, 0.0))  # checks the names

    @property
    def name(self) -> str:
        """What it is called; recipes hold no two things of one kind and colour."""
        return f"{self.colour} {self.kind}"


@dataclass(frozen=True)
class Furniture:
    """A furnishing: kind and colour by name."""

    kind: str
    colour: str

    def __post_init__(self) -> None:
        FurnishingSpec(self.kind, self.colour, (0.0, 0.0))  # checks the names

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.colour} {self.kind}"


@dataclass(frozen=True)
class Relation:
    """A relation among things at the beginning: `Relation("left_of", ("red block", "blue bowl"))`.

    Left, right, behind and in front of are as seen by the robot: left is +y, behind is further away, +x.
    "beside" is close and at about the same distance from the robot; "clear_left" is room to be pushed left.
    """

    name: str
    things: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.name not in RELATIONS:
            raise unknown("relation", self.name, RELATIONS)
        if len(self.things) != RELATIONS[self.name] or len(set(self.things)) != len(self.things):
            raise InputError(f"{self.name} is a relation of {RELATIONS[self.name]} things: {self.things}.")


@dataclass(frozen=True)
class Bounds:
    """How far physics and looks may differ from the plain scene; every scene draws uniformly within.

    Attributes:
        mass: factor on the loose objects' mass, lowest and highest.
        friction: factor on friction.
        brightness: factor on how bright everything is.
        light: by how much each coordinate of the light's direction may be off, m.
        camera: by how much each coordinate of a fixed camera's position and target may be off, m.
        table: how far each channel of the table's colour may be off the plain one, 0 to 1.
        textures: of the table, drawn from these.
    """

    mass: tuple[float, float] = (0.7, 1.4)
    friction: tuple[float, float] = (0.75, 1.2)
    brightness: tuple[float, float] = (0.8, 1.1)
    light: float = 0.3
    camera: float = 0.015
    table: float = 0.15
    textures: tuple[str, ...] = ("plain", "checks", "stripes")

    def __post_init__(self) -> None:
        for name in ("mass", "friction", "brightness"):
            low, high = getattr(self, name)
            if not 0.2 <= low <= high <= 5.0:
                raise InputError(f"{name} is bounded by two factors between 0.2 and 5, not {low}, {high}.")
        for name, most in (("light", 1.0), ("camera", 0.1), ("table", 0.4)):
            if not 0.0 <= getattr(self, name) <= most:
                raise InputError(f"{name} is bounded by 0 to {most:g}, not {getattr(self, name)}.")
        for texture in self.textures or ("",):
            if texture not in TEXTURES:
                raise unknown("texture", texture, TEXTURES)


@dataclass(frozen=True)
class SceneRecipe:
    """A family of scenes.

    Attributes:
        things: the loose objects, of different kind or colour.
        furnishings: furniture besides drawer, door and button.
        without: which of drawer, door and button are not there.
        standings: name of what opens or lights -> one of `STANDINGS`; closed and dark when left out.
        relations: what is to hold at the beginning. A thing that is on or in nothing stands on the table.
        bounds: of the randomisation.
        pins: name of a thing on the table or of a furnishing -> x, y where it stands in every scene, m.
    """

    things: tuple[Thing, ...]
    furnishings: tuple[Furniture, ...] = ()
    without: tuple[str, ...] = ()
    standings: dict[str, str] = field(default_factory=dict)
    relations: tuple[Relation, ...] = ()
    bounds: Bounds = Bounds()
    pins: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.names()
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"A recipe holds {name!r} twice.")
        if len(self.things) > MOST_LOOSE or len(self.furnishings) > MOST_FURNISHINGS:
            raise InputError(
                f"A recipe has at most {MOST_LOOSE} things and {MOST_FURNISHINGS} furnishings, "
                f"not {len(self.things)} and {len(self.furnishings)}."
            )
        for name in self.without:
            if name not in FIXTURES[:3]:
                raise unknown("fixture to leave out", name, FIXTURES[:3])
        for relation in self.relations:
            for thing in relation.things:
                if thing not in names:
                    raise unknown("thing in a relation", thing, names)
        below = {r.things[0]: r.things[1] for r in self.relations if r.name in ("on", "in")}
        for name in below:
            if name in _chain(below, below[name]):
                raise InputError(f"{name!r} cannot be on or in itself.")
        for name in self.pins:
            if self.thing(name) is None and name not in {item.name for item in self.furnishings}:
                raise unknown("thing with a fixed position", name, names)
        for name, standing in self.standings.items():
            if name not in names:
                raise unknown("thing with a standing", name, names)
            if standing not in STANDINGS:
                raise unknown("standing", standing, STANDINGS)
        if "drawer" not in self.without and any(item.kind == "drawer" for item in self.furnishings):
            raise InputError("Narrow drawers stand where the drawer does: the recipe must be without it.")

    def names(self) -> list[str]:
        """Everything that is in its scenes but the table."""
        fixtures = [name for name in FIXTURES[:3] if name not in self.without]
        return [
            *(item.name for item in self.things),
            *(item.name for item in self.furnishings),
            *fixtures,
        ]

    def thing(self, name: str) -> Thing | None:
        """The loose object of that name, if it is one."""
        return next((item for item in self.things if item.name == name), None)

    def standing(self, name: str) -> str:
        """How something stands at the beginning."""
        return self.standings.get(name, "closed")


def _chain(below: dict[str, str], name: str) -> list[str]:
    """The thing, and everything under it."""
    chain = [name]
    while chain[-1] in below and below[chain[-1]] not in chain:
        chain.append(below[chain[-1]])
    return chain
