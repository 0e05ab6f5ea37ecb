"""A scene, declared: what stands where, how far the drawer is open, where the cameras look.

Frame: the robot's base, x forward, y left, z up, table top at z = 0; metres and radians.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from robot_skills.errors import InputError, unknown

Vector = tuple[float, float, float]

COLOURS: Mapping[str, Vector] = {
    "red": (0.86, 0.10, 0.10),
    "orange": (0.98, 0.52, 0.05),
    "yellow": (0.97, 0.88, 0.10),
    "green": (0.10, 0.62, 0.16),
    "cyan": (0.15, 0.82, 0.85),
    "blue": (0.10, 0.22, 0.88),
    "purple": (0.56, 0.12, 0.72),
    "white": (0.97, 0.97, 0.97),
}
#: kind -> size -> (width, height); a width is a block's edge, the diameter of a ball, a cylinder, a rim.
DIMENSIONS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "block": {"small": (0.040, 0.040), "large": (0.050, 0.050)},
    "cylinder": {"small": (0.040, 0.045), "large": (0.050, 0.055)},
    "ball": {"small": (0.042, 0.042), "large": (0.052, 0.052)},
    "bowl": {"small": (0.125, 0.045), "large": (0.150, 0.050)},
}
GRASPABLE = ("block", "cylinder", "ball")
FIXTURES = ("drawer", "door", "button", "table")
#: Furniture that a scene may hold besides (see `furnishings`), any number of each, told apart by colour.
FURNISHINGS = (
    "basket", "bell", "bench", "bin", "box", "button", "chest", "coaster", "crate", "drawer", "gate", "knob",
    "lever", "mat", "pedestal", "plate", "rack", "shelf", "stool", "tray",
)  # fmt: skip
TEXTURES = ("plain", "checks", "stripes")

#: Where objects may stand, edges included: ((x low, x high), (y low, y high)). An open drawer's handle
#: reaches y = 0.14, the door's y = -0.31, and the open hand 5.5 cm to either side.
AREA = ((0.34, 0.66), (-0.265, 0.100))
#: Free space between two footprints: a finger is 1.4 cm thick and the open hand is 11 cm wide.
CLEARANCE = 0.036
#: Where an episode may begin with the gripper: lowest and highest corner, in reach and above everything.
START = ((0.38, -0.24, 0.17), (0.62, 0.16, 0.30))
DRAWER_TRAVEL, DOOR_TRAVEL = 0.13, 0.14


@dataclass(frozen=True)
class ObjectSpec:
    """A loose object: kind, colour and size by name; position of its centre; yaw."""

    kind: str
    colour: str
    size: str
    position: Vector
    yaw: float = 0.0

    def __post_init__(self) -> None:
        """Check the names."""
        if self.kind not in DIMENSIONS:
            raise unknown("kind of object", self.kind, DIMENSIONS)
        if self.colour not in COLOURS:
            raise unknown("colour", self.colour, COLOURS)
        if self.size not in DIMENSIONS[self.kind]:
            raise unknown("size", self.size, DIMENSIONS[self.kind])
        if len(self.position) != 3 or not all(math.isfinite(value) for value in self.position):
            raise InputError(f"A position is three finite numbers, not {self.position!r}.")

    @property
    def width(self) -> float:
        """Footprint across, m."""
        return DIMENSIONS[self.kind][self.size][0]

    @property
    def height(self) -> float:
        """From bottom to top, m."""
        return DIMENSIONS[self.kind][self.size][1]

    @property
    def radius(self) -> float:
        """Of the footprint's circle; a block's reaches towards its corners."""
        return self.width * (0.62 if self.kind == "block" else 0.5)


@dataclass(frozen=True)
class FurnishingSpec:
    """Furniture besides the drawer, the door and the button.

    Attributes:
        kind: see `FURNISHINGS`.
        colour: by name; with the kind, it is what the thing is called.
        position: of its middle when it is shut, x, y, m.
        share: how far it is open, 0 to 1; of a button, 1 when its lamp is lit.
    """

    kind: str
    colour: str
    position: tuple[float, float]
    share: float = 0.0

    def __post_init__(self) -> None:
        """Check names and range."""
        if self.kind not in FURNISHINGS:
            raise unknown("kind of furnishing", self.kind, FURNISHINGS)
        if self.colour not in COLOURS:
            raise unknown("colour", self.colour, COLOURS)
        if len(self.position) != 2 or not all(math.isfinite(value) for value in self.position):
            raise InputError(f"A furnishing stands at two finite numbers, not {self.position!r}.")
        if not 0.0 <= self.share <= 1.0:
            raise InputError(f"A furnishing's share is between 0 (shut) and 1 (open), not {self.share!r}.")

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.colour} {self.kind}"


@dataclass(frozen=True)
class Variation:
    """How a scene differs from the plain one in physics and looks; the defaults are the plain ones.

    Attributes:
        mass: factor on the loose objects' mass.
        friction: factor on the lateral friction of the loose objects and the table.
        light: where the light comes from, (3,); None is the plain direction.
        brightness: factor on how bright everything is.
        table: colour of the table as policies see it; None is the plain one.
        texture: of the table, one of `TEXTURES`.
    """

    mass: float = 1.0
    friction: float = 1.0
    light: Vector | None = None
    brightness: float = 1.0
    table: Vector | None = None
    texture: str = "plain"

    def __post_init__(self) -> None:
        """Check the factors and the texture."""
        for name in ("mass", "friction", "brightness"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is a factor above 0, not {getattr(self, name)!r}.")
        if self.texture not in TEXTURES:
            raise unknown("texture", self.texture, TEXTURES)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: fixed to the base, or to the hand when `mount` says so.

    Attributes:
        eye: position, m.
        target: the point looked at, m.
        fov: vertical field of view, degrees.
        mount: "base" or "hand" (eye and target in the hand's frame: x forward, z out of the fingers).
    """

    eye: Vector
    target: Vector
    fov: float
    mount: str = "base"

    def __post_init__(self) -> None:
        """Check the mount."""
        if self.mount not in ("base", "hand"):
            raise unknown("camera mount", self.mount, ("base", "hand"))


CAMERAS: Mapping[str, Camera] = {
    # Opposite the robot, so that the arm hides little of what it works on.
    "front": Camera((1.04, -0.01, 0.98), (0.475, -0.01, 0.0), 42.0),
    # Mounted higher, the hand fills the top third of the picture.
    "wrist": Camera((0.075, 0.0, 0.035), (0.055, 0.0, 0.20), 85.0, mount="hand"),
    # For people: policies do not see it.
    "film": Camera((1.16, -0.60, 0.66), (0.43, -0.01, 0.10), 48.0),
}


@dataclass(frozen=True)
class Scene:
    """Everything that fixes an episode's beginning.

    Attributes:
        objects: the loose objects.
        cabinet: x of the drawer's middle.
        rail: x of the door's middle when it is shut.
        button: x, y of the button.
        drawer: how far it is open, 0 to 1.
        door: how far it is open, 0 to 1.
        pressed: whether the button's lamp is lit.
        gripper: where the gripper starts.
        closed: whether the gripper starts closed.
        cameras: name -> camera.
        furnishings: more furniture; none in sampled scenes.
        without: which of drawer, door and button are not there.
        variation: of physics and looks.
    """

    objects: tuple[ObjectSpec, ...]
    cabinet: float = 0.50
    rail: float = 0.54
    button: tuple[float, float] = (0.40, -0.20)
    drawer: float = 0.0
    door: float = 0.0
    pressed: bool = False
    gripper: Vector = (0.46, 0.0, 0.24)
    closed: bool = False
    cameras: Mapping[str, Camera] = field(default_factory=lambda: dict(CAMERAS))
    furnishings: tuple[FurnishingSpec, ...] = ()
    without: tuple[str, ...] = ()
    variation: Variation | None = None

    def __post_init__(self) -> None:
        """Check ranges, and that everything has a name of its own."""
        for name in ("drawer", "door"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name} is between 0 (shut) and 1 (open), not {getattr(self, name)!r}.")
        names = [*self.names(), *(item.name for item in self.furnishings)]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"Two objects are both called {name!r}: give one another colour or size.")
        for name in self.without:
            if name not in FIXTURES[:3]:
                raise unknown("fixture to leave out", name, FIXTURES[:3])

    def names(self) -> list[str]:
        """What each object is called: colour and kind, with the size where that is not enough."""
        plain = [f"{item.colour} {item.kind}" for item in self.objects]
        return [
            name if plain.count(name) == 1 else f"{item.size} {name}"
            for name, item in zip(plain, self.objects, strict=True)
        ]

    def with_(self, **changes: Any) -> Scene:
        """A copy with some attributes changed."""
        return dataclasses.replace(self, **changes)

    @classmethod
    def sample(
        cls, seed: int | Sequence[int], episode: int = 0, count: int | None = None, **fixed: Any
    ) -> Scene:
        """Draw a scene; the same `(seed, episode)` gives the same scene everywhere.

        Args:
            seed: of the run.
            episode: within the run.
            count: number of objects, 3 to 6; drawn when None.
            fixed: attributes of the scene that are not drawn.
        """
        rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), episode])
        for _ in range(100):
            number = int(rng.integers(3, 7)) if count is None else count
            objects = place_objects(rng, draw_objects(rng, number), draw_button(rng))
            if objects is not None:
                items, button = objects
                break
        else:
            raise InputError(f"No room on the table for {count} objects.")
        values: dict[str, Any] = {
            "cabinet": float(rng.uniform(0.47, 0.53)),
            "rail": float(rng.uniform(0.52, 0.56)),
            "button": button,
            "drawer": float(rng.random() < 0.5) * float(rng.uniform(0.85, 1.0)),
            "door": float(rng.random() < 0.5) * float(rng.uniform(0.85, 1.0)),
            "pressed": bool(rng.random() < 0.3),
            "gripper": tuple(float(value) for value in rng.uniform(*START)),
        }
        return cls(items, **{**values, **fixed})

    def to_json(self) -> dict[str, Any]:
        """Plain data, as the YAML file holds it; what sampled scenes never have only where there is any."""
        data = dataclasses.asdict(self)
        for name in ("furnishings", "without", "variation"):
            if not data[name]:
                del data[name]
        return _plain(data)  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scene:
        """Read plain data.

        Raises:
            InputError: a key or value is not valid.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"A scene is a mapping with a list of objects, not {type(data).__name__}.")
        values = dict(data)
        for key in values:
            if key not in {entry.name for entry in dataclasses.fields(cls)}:
                raise unknown("key of a scene", str(key), (entry.name for entry in dataclasses.fields(cls)))
        try:
            values["objects"] = tuple(_build(ObjectSpec, item) for item in values.get("objects", ()))
            if "cameras" in values:
                given = {name: _build(Camera, item) for name, item in values["cameras"].items()}
                values["cameras"] = {**CAMERAS, **given}
            if "furnishings" in values:
                values["furnishings"] = tuple(_build(FurnishingSpec, item) for item in values["furnishings"])
            if "without" in values:
                values["without"] = tuple(map(str, values["without"]))
            if values.get("variation") is not None:
                values["variation"] = _build(Variation, values["variation"])
            for name in ("button", "gripper"):
                if name in values:
                    values[name] = tuple(float(value) for value in values[name])
            return cls(**values)
        except (TypeError, AttributeError, ValueError) as error:
            raise error if isinstance(error, InputError) else InputError(f"Bad scene: {error}.") from error

    def save(self, path: Path | str) -> None:
        """Write YAML."""
        path = Path(path)
        temporary = path.with_name(path.name + ".part")
        temporary.write_text(yaml.safe_dump(self.to_json(), sort_keys=False))
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path | str) -> Scene:
        """Read YAML.

        Raises:
            InputError: there is no such file, or it is not a scene.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"No scene file at {path}.")
        try:
            data = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
        return cls.from_json(data)


def draw_objects(rng: np.random.Generator, number: int) -> list[ObjectSpec]:
    """Draw kinds, colours and sizes: a bowl or two among things to grasp.

    No two things to grasp share a colour, nor do two bowls; a bowl may share one with a thing to grasp.
    """
    bowls = int(rng.choice(3, p=(0.25, 0.6, 0.15))) if number > 3 else int(rng.choice(2, p=(0.4, 0.6)))
    hues = list(COLOURS)
    objects = []
    for kinds, many in ((("bowl",), bowls), (GRASPABLE, number - bowls)):
        for colour in rng.permutation(hues)[:many]:
            kind = str(rng.choice(kinds))
            size = str(rng.choice(("small", "large")))
            yaw = float(rng.uniform(-math.pi / 4, math.pi / 4))
            objects.append(ObjectSpec(kind, str(colour), size, (0.0, 0.0, 0.0), yaw))
    return objects


def draw_button(rng: np.random.Generator) -> tuple[float, float]:
    """Draw where the button stands."""
    return draw_position(rng, BUTTON_RADIUS)


def draw_position(rng: np.random.Generator, radius: float) -> tuple[float, float]:
    """Draw the centre of a footprint that lies in the area, uniformly."""
    (x_low, x_high), (y_low, y_high) = AREA
    x, y = rng.uniform(x_low + radius, x_high - radius), rng.uniform(y_low + radius, y_high - radius)
    return float(x), float(y)


def place_objects(
    rng: np.random.Generator, objects: list[ObjectSpec], button: tuple[float, float]
) -> tuple[tuple[ObjectSpec, ...], tuple[float, float]] | None:
    """Put the objects on the table, apart from each other and the button; None when there is no room."""
    taken: list[tuple[float, float, float]] = [(*button, BUTTON_RADIUS)]
    placed = []
    for item in objects:  # bowls come first: the large ones find room while there is some
        for _ in range(60):
            x, y = draw_position(rng, item.radius)
            gaps = (math.hypot(x - a, y - b) - r - item.radius for a, b, r in taken)
            if all(gap > CLEARANCE for gap in gaps):
                break
        else:
            return None
        taken.append((x, y, item.radius))
        placed.append(dataclasses.replace(item, position=(x, y, item.height / 2)))
    order = rng.permutation(len(placed))
    return tuple(placed[index] for index in order), button


#: Of the button's plate with its lamp, m.
BUTTON_RADIUS = 0.052


def _build(kind: type[Any], data: Mapping[str, Any]) -> Any:
    fields = {entry.name for entry in dataclasses.fields(kind)}
    if not isinstance(data, Mapping):
        raise InputError(f"Expected {', '.join(sorted(fields))}, not {data!r}.")
    for key in data:
        if key not in fields:
            raise unknown(f"key of {kind.__name__}", str(key), fields)
    values = {k: tuple(float(x) for x in v) if isinstance(v, list | tuple) else v for k, v in data.items()}
    return kind(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
