"""Demonstrations as trajectories: what the base would have done at each step, beside what was done."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.data.loader import state_names
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.execution import ChunkPlayer, LocalChunks
from robot_skills.residual.control import Record
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import DEMONSTRATION, Trajectory
from robot_skills.robot import Float, Observation

#: The extra feature of a store that holds what was executed, where labels are cleaner than that.
EXECUTED = "executed"


def read_demonstrations(
    policy: ResidualPolicy,
    folder: Path,
    lead: int,
    state: Sequence[str] | None = None,
    most: int | None = None,
) -> list[Trajectory]:
    """Read a store's successful episodes, with the base's actions beside the demonstrated ones.

    Args:
        policy: whose base labels; its chunks are asked for and played as in an episode.
        folder: of the store.
        lead: as in the arena.
        state: features that the base sees as its state, as in its training recipe; None: all.
        most: episodes to read.

    Raises:
        InputError: the store lacks a camera, has states or actions of another size, or holds no success.
    """
    store = EpisodeStore.open(folder)
    for camera in policy.cameras:
        store.images(camera)
    names = state_names(store.meta, state)
    if len(names) != policy.config.state_size or store.meta.action.size != policy.config.action_size:
        raise InputError(
            f"{folder} has states of {len(names)} numbers and actions of {store.meta.action.size}; the "
            f"policy takes {policy.config.state_size} and gives {policy.config.action_size}."
        )
    columns = [store.meta.state_names.index(name) for name in names if name in store.meta.state_names]
    if len(columns) != len(names):
        raise InputError(f"{folder}: the policy's state has features that are no part of the store's state.")
    good = [record.episode for record in store.episodes if record.outcome == "succeeded"][:most]
    if not good:
        raise InputError(f"{folder} holds no demonstration that succeeded.")
    return [label(policy, store.view(number), lead, columns) for number in good]


def label(policy: ResidualPolicy, episode: Episode, lead: int, columns: Sequence[int]) -> Trajectory:
    """A demonstration until it is first over, with the base's actions.

    Args:
        policy: whose base labels.
        episode: the demonstration.
        lead: as in the arena.
        columns: of the state that the base sees.
    """
    over = np.flatnonzero(np.asarray(episode.end) > 0)
    # The row at which the task is over was reached by the action of the row before.
    rows = max(int(over[0]), 1) if len(over) else len(episode)
    executed = np.asarray(episode.extras.get(EXECUTED, episode.action), np.float32)[:rows]
    states = np.ascontiguousarray(episode.state[:rows][:, list(columns)], np.float32)
    actions = iter(executed)
    record = Record(lambda _: next(actions))
    policy.controller = record
    try:
        skill = episode.call.skill if episode.call else ""
        player = ChunkPlayer(LocalChunks(policy), skill, episode.text, lead)
        for row in range(rows):
            player.play(functools.partial(_seen, episode, row, states[row]))
    finally:
        policy.controller = None
    inputs, base, action = (np.stack(column) for column in zip(*record.rows, strict=True))
    tags = np.full(rows, DEMONSTRATION, np.uint8)
    return Trajectory(inputs, base, action, tags, success=True, over=True, seed=episode.seed or 0)


def _seen(episode: Episode, row: int, state: Float, cameras: Sequence[str]) -> Observation:
    """A row of a demonstration, as it was seen."""
    images = {camera: np.asarray(episode.images[camera][row]) for camera in cameras}
    return Observation(images, state, 0.0)


def reach_of(trajectories: Sequence[Trajectory], quantile: float = 0.9) -> Float:
    """How far demonstrated actions lie from the base's, (A,): the bound that would reach so many of them.

    Args:
        trajectories: demonstrations, best such as the base was not trained on.
        quantile: share of them.
    """
    apart = np.concatenate([np.abs(one.action - one.base) for one in trajectories])
    found: Float = np.quantile(apart, quantile, axis=0).astype(np.float32)
    return found
