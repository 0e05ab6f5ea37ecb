"""One demonstration, as it is appended to a store and read back from it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.meta import StoreMeta
from robot_skills.errors import InputError
from robot_skills.robot import Float
from robot_skills.skill import SkillCall

#: The key of a line's own checksum among those of its arrays; no array is called so.
LINE = "$line"


class Rows(Protocol):
    """(N, ...) rows read a slice at a time, front to back: an array, a dataset in a file, a video."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the rows."""

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        """The rows of a slice."""


@dataclass(frozen=True)
class Episode:
    """A demonstration of N control steps; row t is what was sensed, and then done, at step t.

    Attributes:
        images: camera -> (N, H, W, 3) uint8, RGB. What a store reads is an array; what it is given to
            append may be any `Rows`, so that a long video need not fit into memory.
        state: (N, S) float32, proprioception.
        action: (N, A) float32, the label to learn, in the units of the store's action space.
        end: (N,) float32, 1 where the skill is over.
        target: (N, 3) float32, position of the argument in the base frame, m, from simulator state: a
            training label only. NaN where it is not known.
        text: the language argument.
        call: the skill call it demonstrates, if there was one.
        scene: what set the scene up, as plain JSON values.
        seed: of the scene and the expert, if there was one.
        expert: who demonstrated; an expert that read simulator state says so in its name.
        outcome: how it ended: "succeeded", or in which way not.
        extras: name -> (N, ...) rows of every extra feature of the store.
        attributes: what else is known of the episode as a whole, plain JSON values; long texts (a model's
            XML) are stored once for all episodes that share them.
    """

    images: Mapping[str, Any]
    state: Float
    action: Float
    end: Float
    target: Float
    text: str
    call: SkillCall | None = None
    scene: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    expert: str = "unknown"
    outcome: str = "succeeded"
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.state)

    def rows(self, name: str) -> Any:
        """The rows of an array by its name in `StoreMeta.arrays`.

        Raises:
            KeyError: there is no such array.
        """
        if name.startswith("images."):
            return self.images[name.removeprefix("images.")]
        return self.extras[name] if name in self.extras else vars(self)[name]

    def check(self, meta: StoreMeta) -> None:
        """Check shapes, types and numbers against what a store holds.

        Raises:
            InputError: with the array that is wrong, and what would be right.
        """
        cameras = meta.cameras
        if len(self) == 0:
            raise InputError("An episode holds at least one step; this one holds none.")
        if set(self.images) != set(cameras):
            raise InputError(
                f"The episode has the cameras {', '.join(sorted(self.images)) or '(none)'}; "
                f"the store has {', '.join(sorted(cameras)) or '(none)'}."
            )
        if set(self.extras) != set(meta.extras):
            raise InputError(
                f"The episode has the extra features {', '.join(sorted(self.extras)) or '(none)'}; "
                f"the store has {', '.join(sorted(meta.extras)) or '(none)'}."
            )
        for name, feature in meta.arrays().items():
            finite = name in ("state", "action", "end")
            title = f"images of {name.removeprefix('images.')}" if name.startswith("images.") else name
            _check_array(title, self.rows(name), (len(self), *feature.shape), feature.dtype, finite)
        low, high = np.array(meta.action.low, np.float32), np.array(meta.action.high, np.float32)
        margin = 1e-6 * np.where(np.isfinite(high - low), high - low, 0)
        outside = np.argwhere((self.action < low - margin) | (self.action > high + margin))
        if len(outside):
            row, column = (int(value) for value in outside[0])
            raise InputError(
                f"The action {meta.action.names[column]!r} lies in [{low[column]:g}, {high[column]:g}]; at "
                f"step {row} it is {self.action[row, column]:g}."
            )

    def to_json(self) -> dict[str, Any]:
        """What is written about the episode beside its arrays."""
        return {
            "length": len(self),
            "text": self.text,
            "call": None if self.call is None else self.call.to_json(),
            "scene": json.loads(json.dumps(dict(self.scene), default=_plain)),
            "seed": self.seed,
            "expert": self.expert,
            "outcome": self.outcome,
            "attributes": json.loads(json.dumps(dict(self.attributes), default=_plain)),
        }


@dataclass(frozen=True)
class EpisodeRecord:
    """An episode's line in a store: everything but the arrays. Fields as in `Episode`.

    Attributes:
        episode: its number in the store.
        start: its first row in the store's arrays.
        length: N.
        crc: CRC-32 of each array's bytes; none in stores that were written without checksums.
        intact: whether the line itself matches its checksum, where it has one.
    """

    episode: int
    start: int
    length: int
    text: str
    call: SkillCall | None
    scene: Mapping[str, Any]
    seed: int | None
    expert: str
    outcome: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    crc: Mapping[str, int] = field(default_factory=dict)
    intact: bool = True

    @property
    def rows(self) -> slice:
        """Its rows in the store's arrays."""
        return slice(self.start, self.start + self.length)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EpisodeRecord:
        """Read a line of `episodes.jsonl`; keys a later minor release may add are passed over."""
        crc = {str(name): int(value) for name, value in (data.get("crc") or {}).items()}
        return cls(
            episode=int(data["episode"]),
            start=int(data["start"]),
            length=int(data["length"]),
            text=str(data["text"]),
            call=None if data.get("call") is None else SkillCall.from_json(data["call"]),
            scene=dict(data.get("scene") or {}),
            seed=None if data.get("seed") is None else int(data["seed"]),
            expert=str(data.get("expert", "unknown")),
            outcome=str(data.get("outcome", "succeeded")),
            attributes=dict(data.get("attributes") or {}),
            intact=crc.pop(LINE, None) in (None, line_crc(data)),
            crc=crc,
        )


def line_crc(data: Mapping[str, Any]) -> int:
    """CRC-32 of a line's content: everything but its checksums, however it is spaced and ordered."""
    content = {key: value for key, value in data.items() if key != "crc"}
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _check_array(name: str, array: Any, shape: tuple[int, ...], dtype: str, finite: bool) -> None:
    kind = np.dtype(dtype)
    if getattr(array, "shape", None) != shape or np.dtype(array.dtype) != kind:
        known = hasattr(array, "shape") and hasattr(array, "dtype")
        found = f"{array.dtype} {array.shape}" if known else type(array).__name__
        raise InputError(f"The episode's {name} should be {kind} {shape}, not {found}.")
    if finite and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise InputError(f"The episode's {name} holds a number that is not finite, first at step {row}.")


def _plain(value: Any) -> Any:
    """JSON for the values that scenes hold besides JSON's own."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
