"""One demonstration, as it is appended to a store and read back from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_skills.errors import InputError
from robot_skills.robot import ACTION_SIZE, Float, Image
from robot_skills.skill import SkillCall


@dataclass(frozen=True)
class Episode:
    """A demonstration of N control steps; row t is what was sensed, and then done, at step t.

    Attributes:
        images: camera -> (N, H, W, 3) uint8, RGB.
        state: (N, S) float32, proprioception.
        action: (N, 7) float32 in [-1, 1], the label to learn.
        end: (N,) float32, 1 where the skill is over.
        target: (N, 3) float32, position of the argument in the base frame, m, from simulator state: a
            training label only. NaN where it is not known.
        text: the language argument.
        call: the skill call it demonstrates, if there was one.
        scene: what set the scene up, as plain JSON values.
        seed: of the scene and the expert, if there was one.
        expert: who demonstrated; an expert that read simulator state says so in its name.
        outcome: how it ended: "succeeded", or in which way not.
    """

    images: Mapping[str, Image]
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

    def __len__(self) -> int:
        return len(self.state)

    def check(self, cameras: Mapping[str, tuple[int, int]], state_size: int) -> None:
        """Check shapes, types and numbers against what a store holds.

        Raises:
            InputError: with the array that is wrong, and what would be right.
        """
        if len(self) == 0:
            raise InputError("An episode holds at least one step; this one holds none.")
        if set(self.images) != set(cameras):
            raise InputError(
                f"The episode has the cameras {', '.join(sorted(self.images)) or '(none)'}; "
                f"the store has {', '.join(sorted(cameras)) or '(none)'}."
            )
        for camera, size in cameras.items():
            _check_array(f"images of {camera}", self.images[camera], (len(self), *size, 3), np.uint8)
        _check_array("state", self.state, (len(self), state_size))
        _check_array("action", self.action, (len(self), ACTION_SIZE))
        _check_array("end", self.end, (len(self),))
        _check_array("target", self.target, (len(self), 3), finite=False)
        largest = float(np.abs(self.action).max())
        if largest > 1.0 + 1e-6:
            raise InputError(f"Actions lie in [-1, 1]; the largest is {largest:g} in size.")

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
        }


@dataclass(frozen=True)
class EpisodeRecord:
    """An episode's line in a store: everything but the arrays. Fields as in `Episode`.

    Attributes:
        episode: its number in the store.
        start: its first row in the store's arrays.
        length: N.
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

    @property
    def rows(self) -> slice:
        """Its rows in the store's arrays."""
        return slice(self.start, self.start + self.length)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EpisodeRecord:
        """Read a line of `episodes.jsonl`; keys a later minor release may add are passed over."""
        return cls(
            episode=int(data["episode"]),
            start=int(data["start"]),
            length=int(data["length"]),
            text=str(data["text"]),
            call=None if data.get("call") is None else SkillCall.from_json(data["call"]),
            scene=data.get("scene") or {},
            seed=None if data.get("seed") is None else int(data["seed"]),
            expert=str(data.get("expert", "unknown")),
            outcome=str(data.get("outcome", "succeeded")),
        )


def _check_array(
    name: str, array: Any, shape: tuple[int, ...], dtype: type = np.float32, finite: bool = True
) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"The episode's {name} should be {np.dtype(dtype)} {shape}, not {found}.")
    if finite and dtype == np.float32 and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise InputError(f"The episode's {name} holds a number that is not finite, first at step {row}.")


def _plain(value: Any) -> Any:
    """JSON for the values that scenes hold besides JSON's own."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
