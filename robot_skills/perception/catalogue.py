"""What there may be on a table and what is known of it beforehand: kinds, colours, sizes, uses, rules.

A detector's folder carries the catalogue that it was trained for, so that pictures and calibrated cameras
are all it takes to perceive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from robot_skills.errors import InputError, unknown
from robot_skills.scene_graph import DIRECTIONS, RELATIONS

#: What a loose thing may be in or on.
PLACES = ("table", "thing", "bowl", "drawer", "hand")


@dataclass(frozen=True)
class Rules:
    """When a fact holds; metres, and shares of a travel.

    Attributes:
        lift: held means that it hangs at least this far above the table.
        open: open from this share on.
        closed: closed below this share.
        pushed: moved means this far along a direction ...
        aside: ... and no further aside than this share of it.
        grip: least and greatest opening of fingers that have something between them.
    """

    lift: float
    open: float
    closed: float
    pushed: float
    aside: float
    grip: tuple[float, float]

    def __post_init__(self) -> None:
        if not 0 < self.closed < self.open < 1:
            raise InputError(f"Closed and open are shares with 0 < closed < open < 1; not {self}.")
        if not 0 < self.grip[0] < self.grip[1] or min(self.lift, self.pushed, self.aside) <= 0:
            raise InputError(f"Lengths are above 0, and the grip's least below its greatest; not {self}.")


@dataclass(frozen=True)
class Tray:
    """The space in the drawer, as seen from its handle: x across, y further in, m.

    Attributes:
        half: half its width.
        near: from the handle to its near end.
        far: from the handle to its far end.
        floor: height of its floor.
        shut: y of the handle when the drawer is shut, which then moves towards smaller y.
        travel: how far.
    """

    half: float
    near: float
    far: float
    floor: float
    shut: float
    travel: float

    def share(self, handle: float) -> float:
        """How far the drawer is open, 0 to 1, with its handle at a y in m."""
        return min(max((self.shut - handle) / self.travel, 0.0), 1.0)


@dataclass(frozen=True)
class Catalogue:
    """Everything that a detector tells apart, and what may be said of it.

    Attributes:
        graspable: kinds of things that the hand takes.
        containers: kinds of loose things that others are put into.
        fixtures: furniture, found by its handle: drawer, door, button, in this order.
        colours: of loose things.
        sizes: kind -> size -> (width, height), m.
        tags: kind -> what may be done with it, of loose kinds, fixtures and the table.
        fits: kind of thing, "in" or "on", kind of target.
        headings: direction -> unit vector x, y in the base frame.
        rules: when facts hold.
        tray: the space in the drawer.
    """

    graspable: tuple[str, ...]
    containers: tuple[str, ...]
    fixtures: tuple[str, ...]
    colours: tuple[str, ...]
    sizes: Mapping[str, Mapping[str, tuple[float, float]]]
    tags: Mapping[str, tuple[str, ...]]
    fits: tuple[tuple[str, str, str], ...]
    headings: Mapping[str, tuple[float, float]]
    rules: Rules
    tray: Tray

    def __post_init__(self) -> None:
        for kind in (*self.graspable, *self.containers):
            if set(self.sizes.get(kind, ())) != set(self.size_names):
                raise InputError(f"The kind {kind!r} has the sizes {', '.join(self.size_names)}.")
        for kind in (*self.kinds, "table"):
            if kind not in self.tags:
                raise InputError(f"Nothing is said of what may be done with the kind {kind!r}.")
        for item, relation, target in self.fits:
            if relation not in RELATIONS or item not in self.tags or target not in self.tags:
                raise InputError(f"({item}, {relation}, {target}) is not of known kinds.")
        if set(self.headings) != set(DIRECTIONS):
            raise InputError(f"There are the headings {', '.join(DIRECTIONS)}.")

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Kinds that are told apart where they stand; things of different groups may share a spot."""
        return self.graspable, self.containers, self.fixtures

    @property
    def kinds(self) -> tuple[str, ...]:
        """All that is found in pictures."""
        return (*self.graspable, *self.containers, *self.fixtures)

    @property
    def size_names(self) -> tuple[str, ...]:
        """Names of sizes, the smallest first."""
        return tuple(self.sizes[self.graspable[0]])

    def group(self, kind: str) -> int:
        """Which of `groups` a kind belongs to.

        Raises:
            InputError: there is no such kind.
        """
        for number, kinds in enumerate(self.groups):
            if kind in kinds:
                return number
        raise unknown("kind", kind, self.kinds)
