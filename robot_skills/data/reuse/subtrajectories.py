"""Sub-trajectories: every run of L control steps within an episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.statistics import statistics
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.robot import Float

Index = NDArray[np.int64]


@dataclass(frozen=True)
class SubTrajectories:
    """Every run of `length` steps of a store's episodes; a shorter episode is one run, its last row repeated.

    Attributes:
        length: L.
        episode: (N,) the episode that each lies in.
        start: (N,) its first row in the store's arrays.
        last: (N,) the last row of its episode.
    """

    store: EpisodeStore
    length: int
    episode: Index
    start: Index
    last: Index

    @classmethod
    def of(cls, store: EpisodeStore, length: int) -> SubTrajectories:
        """List them.

        Raises:
            InputError: the store holds no episode, or the length is below 2.
        """
        if length < 2:
            raise InputError(f"A sub-trajectory has at least 2 steps, not {length}.")
        if not store.episodes:
            raise InputError(f"{store.folder} holds no episodes yet.")
        runs = np.array([max(record.length - length + 1, 1) for record in store.episodes], np.int64)
        first = np.array([record.start for record in store.episodes], np.int64)
        last = np.array([record.rows.stop - 1 for record in store.episodes], np.int64)
        within = np.arange(runs.sum()) - np.repeat(np.cumsum(runs) - runs, runs)
        return cls(
            store,
            length,
            np.repeat(np.arange(len(runs)), runs),
            np.repeat(first, runs) + within,
            np.repeat(last, runs),
        )

    def __len__(self) -> int:
        return len(self.start)

    def rows(self, indices: Index) -> Index:
        """(B, L) rows in the store's arrays."""
        return np.minimum(self.start[indices, None] + np.arange(self.length), self.last[indices, None])

    def stop(self, index: int) -> int:
        """The row after its last one."""
        return int(min(self.start[index] + self.length - 1, self.last[index])) + 1


@dataclass(frozen=True)
class Scaling:
    """What states and actions are normalised with: mean 0 and standard deviation 1 over all rows."""

    state_mean: Float
    state_std: Float
    action_mean: Float
    action_std: Float

    @classmethod
    def of(cls, stores: Sequence[EpisodeStore]) -> Scaling:
        """Over every row of some stores."""
        found = statistics(
            np.concatenate([store.state for store in stores]),
            np.concatenate([store.action for store in stores]),
            np.concatenate([store.target for store in stores]),
        )
        return cls(found["state_mean"], found["state_std"], found["action_mean"], found["action_std"])

    def state(self, rows: Float) -> Float:
        """Normalised states."""
        scaled: Float = ((rows - self.state_mean) / self.state_std).astype(np.float32)
        return scaled

    def action(self, rows: Float) -> Float:
        """Normalised actions."""
        scaled: Float = ((rows - self.action_mean) / self.action_std).astype(np.float32)
        return scaled


def common_cameras(stores: Sequence[EpisodeStore]) -> tuple[str, ...]:
    """The cameras that all stores have, with pictures of one size; checks that the rest fits together.

    Raises:
        InputError: the stores differ in their state features or their action space.
    """
    first = stores[0].meta
    for store in stores:
        if store.meta.state_names != first.state_names:
            raise InputError(f"{store.folder} has other state features than {stores[0].folder}.")
        if store.meta.action != first.action:
            raise InputError(f"{store.folder} has another action space than {stores[0].folder}.")
    return tuple(
        name
        for name, size in first.cameras.items()
        if all(store.meta.cameras.get(name) == size for store in stores)
    )
