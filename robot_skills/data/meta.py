"""What all episodes of a store share: which arrays there are, and what their numbers mean."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_skills.errors import InputError
from robot_skills.robot import OSC_POSE, STATE_NAMES, ActionSpace

#: Version 1 had no action space (it was `OSC_POSE`), no extra features and no attributes.
FORMAT_VERSION, READABLE = 2, (1, 2)
META = "meta.json"
IMAGES = "images."
#: A feature's name is a file's name.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")


@dataclass(frozen=True)
class Feature:
    """One array of a data set.

    Attributes:
        dtype: as NumPy writes it, little-endian: "<f4", "|u1", "|b1".
        shape: of one row.
        names: of the numbers of a row, where they have names.
    """

    dtype: str
    shape: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        kind = np.dtype(self.dtype)
        if kind.kind not in "biuf" or kind.byteorder == ">":
            raise InputError(
                f"A feature holds little-endian bool, integer or floating-point numbers, not {self.dtype}."
            )
        if min(self.shape, default=1) < 0:
            raise InputError(f"The shape of a feature's row is not {self.shape}.")

    @classmethod
    def of(cls, rows: Any, names: tuple[str, ...] = ()) -> Feature:
        """The feature that (N, ...) rows are of."""
        return cls(np.dtype(rows.dtype).newbyteorder("<").str, tuple(rows.shape[1:]), names)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"dtype": self.dtype, "shape": list(self.shape), "names": list(self.names)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Feature:
        """The inverse of `to_json`."""
        return cls(
            str(data["dtype"]),
            tuple(int(size) for size in data["shape"]),
            tuple(str(name) for name in data.get("names", ())),
        )


@dataclass(frozen=True)
class StoreMeta:
    """What all episodes of a store share.

    Attributes:
        cameras: camera -> (height, width).
        control_rate: control steps a second, Hz.
        state_names: one for each of the S numbers of the state.
        action: what the A numbers of an action mean.
        extras: name -> any other array the data came with; it travels along and is not learned from.
        info: where the data came from: recipe, command, licence; plain JSON values.
    """

    cameras: Mapping[str, tuple[int, int]]
    control_rate: float
    state_names: tuple[str, ...] = STATE_NAMES
    action: ActionSpace = OSC_POSE
    extras: Mapping[str, Feature] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.control_rate) and self.control_rate > 0):
            raise InputError(f"control_rate is above 0 Hz, not {self.control_rate}.")
        core = StoreMeta.core(self)
        for name in (*self.cameras, *self.extras):
            if not NAME.fullmatch(name):
                raise InputError(
                    f"{name!r} cannot name a feature: a letter, a digit or '_', then up to 199 of these, "
                    "'-' and '.'."
                )
            if name in core and name in self.extras:
                raise InputError(
                    f"{name!r} names one of the store's own arrays; call the extra feature otherwise."
                )

    def core(self) -> dict[str, Feature]:
        """The arrays that every store has; file stem -> feature."""
        images = {IMAGES + name: Feature("|u1", (*size, 3)) for name, size in self.cameras.items()}
        return {
            **images,
            "state": Feature("<f4", (len(self.state_names),), self.state_names),
            "action": Feature("<f4", (self.action.size,), self.action.names),
            "end": Feature("<f4"),
            "target": Feature("<f4", (3,), ("x", "y", "z")),
        }

    def arrays(self) -> dict[str, Feature]:
        """Every array; file stem -> feature."""
        return {**self.core(), **self.extras}

    def to_json(self) -> dict[str, Any]:
        """The content of `meta.json`."""
        return {
            "format": "robot_skills.episodes",
            "format_version": FORMAT_VERSION,
            "cameras": {name: list(size) for name, size in self.cameras.items()},
            "state_names": list(self.state_names),
            "action": self.action.to_json(),
            "extras": {name: feature.to_json() for name, feature in self.extras.items()},
            "control_rate": self.control_rate,
            "info": dict(self.info),
        }

    @classmethod
    def read(cls, folder: Path) -> StoreMeta:
        """Read a store's `meta.json`.

        Raises:
            InputError: the folder is not a store, damaged, or of another format version.
        """
        path = folder / META
        if not path.is_file():
            reason = "there is no such folder" if not folder.exists() else f"it holds no {META}"
            raise InputError(f"{folder} is not a data set: {reason}.")
        try:
            data = json.loads(path.read_text())
            version = data["format_version"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path} is damaged, or not a data set's: {error!r}.") from error
        if version not in READABLE:
            raise InputError(
                f"{folder} has format version {version}; this release reads versions "
                f"{' and '.join(map(str, READABLE))}. Convert it with the release that wrote it."
            )
        try:
            return cls.from_json(data)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InputError(f"{path} is damaged: {error!r}.") from error

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StoreMeta:
        """The inverse of `to_json`.

        Raises:
            InputError, KeyError, TypeError, ValueError, AttributeError, IndexError: it is not one.
        """
        return cls(
            cameras={str(name): (int(size[0]), int(size[1])) for name, size in data["cameras"].items()},
            control_rate=float(data["control_rate"]),
            state_names=tuple(str(name) for name in data["state_names"]),
            action=ActionSpace.from_json(data["action"]) if "action" in data else OSC_POSE,
            extras={name: Feature.from_json(value) for name, value in data.get("extras", {}).items()},
            info=dict(data.get("info", {})),
        )
