"""Practice on the disk: every episode is kept as it comes, and read back when a run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.data.meta import META, Feature
from robot_skills.data.store import EpisodeStore
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import Trajectory

#: Folder of the episodes within a run's.
FOLDER = "practice"
#: How an episode's outcome is written.
SUCCEEDED, FAILED, TIMED_OUT = "succeeded", "failed", "timed out"


def open_log(folder: Path, policy: ResidualPolicy) -> EpisodeStore:
    """Open the store of a run's practice for appending; a new one if there is none.

    Beside states and executed actions it holds what the correction saw and what the base would have done.
    """
    path = folder / FOLDER
    if (path / META).exists():
        return EpisodeStore.open(path, append=True)
    config = policy.config
    return EpisodeStore.create(
        path,
        {},
        1.0,
        state_names=[f"state.{i}" for i in range(config.state_size)],
        action=policy.space,
        extras={
            "inputs": Feature("<f4", (policy.layout.size,)),
            "base": Feature("<f4", (config.action_size,)),
            "tag": Feature("|u1"),
        },
        info={"what": "practice of robot-skills refine"},
    )


def to_episode(trajectory: Trajectory, policy: ResidualPolicy) -> Episode:
    """A trajectory as a store keeps it."""
    rows, measured = len(trajectory), policy.layout.measured
    end = np.zeros(rows, np.float32)
    end[-1] = float(trajectory.over)
    outcome = SUCCEEDED if trajectory.success else FAILED if trajectory.over else TIMED_OUT
    return Episode(
        images={},
        state=np.ascontiguousarray(trajectory.inputs[:, measured - policy.config.state_size : measured]),
        action=trajectory.action,
        end=end,
        target=np.full((rows, 3), np.nan, np.float32),
        text="",
        seed=trajectory.seed,
        expert="residual policy",
        outcome=outcome,
        extras={"inputs": trajectory.inputs, "base": trajectory.base, "tag": trajectory.tags},
    )


def to_trajectory(episode: Episode) -> Trajectory:
    """The inverse of `to_episode`."""
    extras = episode.extras
    return Trajectory(
        inputs=np.asarray(extras["inputs"], np.float32),
        base=np.asarray(extras["base"], np.float32),
        action=np.asarray(episode.action, np.float32),
        tags=np.asarray(extras["tag"], np.uint8),
        success=episode.outcome == SUCCEEDED,
        over=episode.outcome != TIMED_OUT,
        seed=episode.seed or 0,
    )
