"""The simulator's state as plain numbers: read by success predicates and experts, never by policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Body:
    """A loose object.

    Attributes:
        position: of its centre, (3,) m.
        up: its own z axis in the base frame, (3,) unit length.
        origin: its position when the command began, (3,) m.
        width: across, m (see `scene.DIMENSIONS`).
        height: from bottom to top, m.
    """

    name: str
    kind: str
    colour: str
    size: str
    position: Array
    up: Array
    origin: Array
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """Height of its lowest point when it stands, m."""
        return float(self.position[2]) - self.height / 2


@dataclass(frozen=True)
class Furnished:
    """A furnishing.

    Attributes:
        place: middle of the floor inside it, or of its top, (3,) m.
        half: half the extents of that surface, (2,) m.
        rim: height above `place` below which a thing's centre is inside, m; 0 where nothing can be.
        aim: where to put things down: `place`, or the middle of the part that can be reached, (3,) m.
        slid: how far it is open, m along the way of its handle.
        travel: how far it can be opened, m; 0 where there is nothing to open.
        axis: the direction in which its handle moves when it opens, (3,) unit length.
        lit: whether its lamp is lit.
        area: what it and its movement cover of the table: x low, x high, y low, y high, m.
    """

    name: str
    kind: str
    colour: str
    place: Array
    half: Array
    rim: float
    aim: Array
    slid: float
    travel: float
    axis: Array
    lit: bool
    area: tuple[float, float, float, float]


@dataclass(frozen=True)
class State:
    """Everything that a predicate may look at, at one moment.

    Attributes:
        bodies: name -> loose object.
        tool: position of the point between the finger tips, (3,) m.
        rotation: of the hand, (3, 3); its z column points out of the fingers.
        opening: between the fingers, m.
        gripped: names of the objects that both fingers touch.
        drawer: how far the drawer is out, m.
        door: how far the door is slid, m.
        pressed: whether the button's lamp is lit.
        handles: drawer, door, button, furnishing -> the point where the gripper acts on it, (3,) m; only of
            those that are there.
        tray: centre of the space in the drawer, (3,) m.
        furnishings: name -> furnishing.
    """

    bodies: Mapping[str, Body]
    tool: Array
    rotation: Array
    opening: float
    gripped: frozenset[str]
    drawer: float
    door: float
    pressed: bool
    handles: Mapping[str, Array]
    tray: Array
    furnishings: Mapping[str, Furnished] = field(default_factory=dict)
