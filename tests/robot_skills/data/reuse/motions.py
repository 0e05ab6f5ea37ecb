"""Recordings of a point that draws circles and lines: which skill each is, is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.data.store import EpisodeStore
from robot_skills.robot import ActionSpace, Float

SIZE = (8, 8)
ACTION = ActionSpace.unlimited(("dx", "dy"), relative=True)


def circle(step: int) -> tuple[float, float]:
    return float(np.cos(step / 4)), float(np.sin(step / 4))


def right(step: int) -> tuple[float, float]:
    return 1.0, 0.0


def up(step: int) -> tuple[float, float]:
    return 0.0, 1.0


SKILLS: dict[str, Callable[[int], tuple[float, float]]] = {"circle": circle, "right": right, "up": up}


def play(skills: Sequence[str], seed: int, steps: int = 15, noise: float = 0.1, **changes: Any) -> Episode:
    """A recording of skills in a row, from a random place; its picture shows where the point is."""
    random = np.random.default_rng(seed)
    action = np.array([SKILLS[skill](step) for skill in skills for step in range(steps)], np.float32)
    action += random.normal(0, noise, action.shape).astype(np.float32)
    start = random.normal(0, 1, 2)
    state: Float = (start + np.cumsum(action, axis=0) - action).astype(np.float32)
    count = len(state)
    images = np.clip(128 + 10 * state[:, None, None, [0, 1, 0]], 0, 255).astype(np.uint8)
    fields: dict[str, Any] = {
        "images": {"front": np.broadcast_to(images, (count, *SIZE, 3)).copy()},
        "state": state,
        "action": action,
        "end": np.r_[np.zeros(count - 1), 1.0].astype(np.float32),
        "target": np.full((count, 3), np.nan, np.float32),
        "text": ", then ".join(skills),
        **changes,
    }
    return Episode(**fields)


def write(folder: Path, episodes: Sequence[Episode], cameras: bool = True) -> EpisodeStore:
    """A store of recordings, opened for reading."""
    sizes = {"front": SIZE} if cameras else {}
    with EpisodeStore.create(folder, sizes, 10.0, ("x", "y"), action=ACTION) as store:
        for episode in episodes:
            store.append(episode)
    return EpisodeStore.open(folder)
