"""What a segmentation method may look at of an episode: pictures, proprioception and actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError

Array: TypeAlias = NDArray[np.float32]

#: Fewest steps of a recording that can be cut.
SHORTEST = 4


@dataclass(frozen=True)
class Trace:
    """A recording of N control steps, without its labels.

    Attributes:
        images: camera -> (N, H, W, 3) uint8, as a rule memory-mapped.
        state: (N, S) float32.
        action: (N, A) float32.
        rate: control steps a second, Hz.
        position: which numbers of the state say where the hand is.
        gripper: which number of the action drives the gripper; None where there is none.
    """

    images: Mapping[str, Any]
    state: Array
    action: Array
    rate: float
    position: tuple[int, ...]
    gripper: int | None

    def __len__(self) -> int:
        return len(self.state)

    def steps(self, seconds: float) -> int:
        """A time in control steps, at least one."""
        return max(1, round(seconds * self.rate))


def traces(store: EpisodeStore) -> list[Trace]:
    """The recordings of a store as methods see them; texts, targets, ends and attributes are left behind.

    Raises:
        InputError: the store is empty, or an episode is too short to cut.
    """
    meta = store.meta
    if not store.episodes:
        raise InputError(f"{store.folder} holds no episodes to segment.")
    for record in store.episodes:
        if record.length < SHORTEST:
            raise InputError(
                f"Episode {record.episode} of {store.folder} has {record.length} steps: a recording to cut "
                f"has at least {SHORTEST}."
            )
    position = tuple(
        index for index, name in enumerate(meta.state_names) if name.rpartition(".")[2] in ("x", "y", "z")
    ) or tuple(range(min(3, len(meta.state_names))))
    gripper = next((index for index, name in enumerate(meta.action.names) if "gripper" in name), None)
    views = (store.view(index) for index in range(len(store.episodes)))
    return [
        Trace(view.images, view.state, view.action, meta.control_rate, position, gripper) for view in views
    ]
