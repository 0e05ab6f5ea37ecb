"""Recordings of a point with a gripper that goes to one corner after the other: each leg is a skill."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.data.segmentation.truth import HIDDEN_TRUTH
from robot_skills.data.store import EpisodeStore

CORNERS = {"east": (1.0, 0.0), "north": (0.0, 1.0), "west": (-1.0, 0.0)}
RATE, SIDE = 10.0, 16


def moves(seed: int) -> Episode:
    """Three to five legs: out to a corner with the gripper open, there it shuts, back, a rest."""
    rng = np.random.default_rng(seed)
    place, rows, parts, last = np.zeros(2), [], [], ""
    for _ in range(int(rng.integers(3, 6))):
        name = str(rng.choice([corner for corner in CORNERS if corner != last]))
        start, last = len(rows), name
        for goal, grip in ((np.array(CORNERS[name]), -1.0), (np.zeros(2), 1.0)):
            for _ in range(7):
                step = np.clip(goal - place, -0.25, 0.25)
                rows.append((place.copy(), step, grip))
                place = place + step + rng.normal(0, 0.005, 2)
        parts.append({"call": {"skill": name, "args": {}}, "text": name, "start": start, "stop": len(rows)})
    count = len(rows)
    state, action = np.zeros((count, 10), np.float32), np.zeros((count, 7), np.float32)
    images = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    for row, (where, step, grip) in enumerate(rows):
        state[row, :2], action[row, :2], action[row, 6] = where, step, grip
        x, y = np.clip(np.round((where + 1) * (SIDE - 1) / 2), 0, SIDE - 1).astype(int)
        images[row, y, x] = 255
    return Episode(
        images={"front": images},
        state=state,
        action=action,
        end=np.zeros(count, np.float32),
        target=np.full((count, 3), np.nan, np.float32),
        text="",
        seed=seed,
        attributes={HIDDEN_TRUTH: parts},
    )


def make_store(folder: Path, recordings: int = 12, truth: bool = True) -> EpisodeStore:
    """A store of such recordings."""
    with EpisodeStore.create(folder, {"front": (SIDE, SIDE)}, RATE) as store:
        for seed in range(recordings):
            episode = moves(seed)
            if not truth:
                episode.attributes.pop(HIDDEN_TRUTH)  # type: ignore[attr-defined]
            store.append(episode)
    return EpisodeStore.open(folder)
