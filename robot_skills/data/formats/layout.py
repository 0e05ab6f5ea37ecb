"""Which array of an episode lies where in a foreign file.

A file that this project wrote carries its layout (see `description`), so that reading it guesses nothing. Of
anybody else's file the layout is found out by the format's module.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode, Rows
from robot_skills.data.meta import IMAGES, NAME, StoreMeta

#: Of a place, between slashes.
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
#: The field's names for what is sensed of the robot itself, in the order in which it goes into the state:
#: robosuite's observables (one or two arms), LIBERO's, UMI's.
PROPRIOCEPTION = (
    *(f"robot{arm}_{part}" for arm in (0, 1) for part in ("eef_pos", "eef_quat", "gripper_qpos")),
    *("ee_pos", "ee_ori", "gripper_states"),
    *(f"robot{arm}_{part}" for arm in (0, 1) for part in ("eef_rot_axis_angle", "gripper_width")),
)
#: What is simulator state, or holds it, by its name: never taken into the state by itself.
PRIVILEGED = re.compile(r"object.*|privileged.*")


@dataclass(frozen=True)
class Layout:
    """Where the arrays of an episode lie; places are as the format names them.

    Attributes:
        cameras: camera -> place.
        state: place and width of each run of the state's numbers, in order.
        extras: feature -> place.
        end, target: None: not there; the end is then the last step, the target unknown.
    """

    cameras: Mapping[str, str]
    state: tuple[tuple[str, int], ...]
    action: str
    extras: Mapping[str, str] = field(default_factory=dict)
    end: str | None = None
    target: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Layout:
        """The inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is not one.
        """
        return cls(
            {str(name): str(place) for name, place in data["cameras"].items()},
            tuple((str(place), int(width)) for place, width in data["state"]),
            str(data["action"]),
            {str(name): str(place) for name, place in data["extras"].items()},
            data["end"],
            data["target"],
        )

    def check(self, meta: StoreMeta) -> None:
        """Check that it covers what a store of this description has.

        Raises:
            ValueError: it does not.
        """
        width = sum(width for _, width in self.state)
        if (set(self.cameras), set(self.extras), width) != (
            *(set(meta.cameras), set(meta.extras)),
            len(meta.state_names),
        ):
            raise ValueError("its layout does not go with its description")


@dataclass(frozen=True)
class Naming:
    """How a format names places.

    Attributes:
        camera, key, extra: the place of a camera, of a low-dimensional observation, of a feature.
        own: the place of what the format has no name for.
        action: the place of the action.
        reserved: places that are taken already.
    """

    camera: Callable[[str], str]
    key: Callable[[str], str]
    extra: Callable[[str], str]
    own: Callable[[str], str]
    action: str
    reserved: frozenset[str] = frozenset()


def lay_out(meta: StoreMeta, naming: Naming, known: Mapping[str, str]) -> Layout:
    """Give every array of a store its place; no two share one.

    Args:
        meta: of the store.
        naming: of the format.
        known: array -> the place it had in a file of this format that the store was made from.
    """
    taken = set(naming.reserved)

    def place(stem: str, wanted: str) -> str:
        own = naming.own(stem)
        others = (f"{own}_{number}" for number in itertools.count(2))
        choice = next(
            place for place in itertools.chain((known.get(stem, wanted), own), others) if _free(place, taken)
        )
        taken.add(choice)
        return choice

    cameras = {name: place(IMAGES + name, naming.camera(name)) for name in meta.cameras}
    # Features before state and action: of those that do not fit into float32 there is an exact one
    # among them, and it belongs where others look.
    extras = {name: place(name, naming.extra(name)) for name in meta.extras}
    state = tuple((place(f"state/{key}", naming.key(key)), width) for key, width in runs(meta.state_names))
    return Layout(
        cameras,
        state,
        place("action", naming.action),
        extras,
        place("end", naming.own("end")),
        place("target", naming.own("target")),
    )


def _free(place: str, taken: set[str]) -> bool:
    """Whether nothing lies there, above it or below it."""
    if not all(PART.fullmatch(part) for part in place.split("/")):
        return False
    return not any(
        place == other or place.startswith(f"{other}/") or other.startswith(f"{place}/") for other in taken
    )


def runs(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """The observations that a state was put together from: `KEY.0`, `KEY.1`, ... are one of width 2.

    Names that do not say so make the whole state one observation, "state".
    """
    names = tuple(names)
    found: list[tuple[str, int]] = []
    for name in names:
        key, _, number = name.rpartition(".")
        if found and found[-1][0] == key and number == str(found[-1][1]):
            found[-1] = (key, found[-1][1] + 1)
        elif number == "0" and NAME.fullmatch(key) and key not in dict(found):
            found.append((key, 1))
        else:
            return (("state", len(names)),)
    return tuple(found) or (("state", 0),)


def names_of(parts: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """The inverse of `runs`."""
    return tuple(f"{key}.{index}" for key, width in parts for index in range(width))


def choose_state(widths: Mapping[str, int]) -> tuple[str, ...]:
    """Which of the low-dimensional observations are the state.

    Those of `PROPRIOCEPTION` that are there. If none is, every observation that does not hold simulator
    state by its name, in alphabetical order; if there is none of those either, all of them.
    """
    known = tuple(key for key in PROPRIOCEPTION if key in widths)
    if known:
        return known
    open_ones = tuple(key for key in sorted(widths) if not PRIVILEGED.fullmatch(key))
    return open_ones or tuple(sorted(widths))


def fits_float32(dtype: np.dtype[Any]) -> bool:
    """Whether float32 holds every number of a type."""
    return bool(np.can_cast(dtype, np.float32, "safe"))


def last_step(length: int) -> NDArray[np.float32]:
    """(N,) the end of an episode of which nothing else is known: its last step."""
    end = np.zeros(length, np.float32)
    end[-1:] = 1.0
    return end


def assemble(
    meta: StoreMeta,
    layout: Layout,
    length: int,
    rows: Callable[[str], NDArray[Any]],
    images: Callable[[str], Rows],
    fields: Mapping[str, Any],
) -> Episode:
    """Put an episode together.

    Args:
        meta: of its data set.
        layout: where its arrays lie.
        length: N.
        rows: place -> (N, ...) numbers.
        images: place -> (N, H, W, 3) uint8, lazily.
        fields: what it has beside the arrays.

    Raises:
        ValueError: an array has another shape.
    """
    parts = [rows(place).reshape(length, width) for place, width in layout.state]
    end = None if layout.end is None else rows(layout.end)
    target = None if layout.target is None else rows(layout.target)
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is found as such
        empty = np.zeros((length, 0), np.float32)
        state = np.concatenate([empty, *(part.astype(np.float32) for part in parts)], axis=1)
        return Episode(
            images={camera: images(place) for camera, place in layout.cameras.items()},
            state=state,
            action=rows(layout.action).reshape(length, meta.action.size).astype(np.float32),
            end=last_step(length) if end is None else end.astype(np.float32),
            target=np.full((length, 3), np.nan, np.float32) if target is None else target.astype(np.float32),
            extras={name: rows(place) for name, place in layout.extras.items()},
            **fields,
        )


def pieces(episode: Episode, layout: Layout) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array but the images with its place: the inverse of `assemble`."""
    column = 0
    for place, width in layout.state:
        yield place, episode.state[:, column : column + width]
        column += width
    yield layout.action, episode.action
    for name, place in layout.extras.items():
        yield place, np.asarray(episode.extras[name])
    if layout.end is not None:
        yield layout.end, episode.end
    if layout.target is not None:
        yield layout.target, episode.target
