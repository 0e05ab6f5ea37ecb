"""Segments as a data set to learn from: one episode a segment, one text a skill."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.data.new_store import new_store
from robot_skills.data.segmentation.segments import Segment
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.training.configuration import read_yaml

#: Last rows of a segment at which its skill counts as over, s. A policy learns to say so, and to hold still
#: from there on: what follows an episode's last row is no motion.
OVER = 0.2


def name_of(cluster: int) -> str:
    """What a cluster is called that nobody has named."""
    return f"skill {cluster}"


def read_labels(path: Path) -> dict[int, str]:
    """Names of clusters: a YAML file with a line `NUMBER: text` a cluster.

    Raises:
        InputError: it is not one.
    """
    data: Any = read_yaml(path, "file of labels")
    if not isinstance(data, Mapping) or not data:
        raise InputError(f"{path} should hold a line 'NUMBER: text' for each cluster to name.")
    labels = {}
    for key, text in data.items():
        if not str(key).isdigit() or not isinstance(text, str):
            raise InputError(f"{path}: {key!r}: {text!r} is not 'NUMBER: text', as in '0: open the drawer'.")
        labels[int(key)] = text
    return labels


def cut_out(episode: Episode, part: Segment, text: str, over: int) -> Episode:
    """The episode of a segment: its rows of every array, `end` set at its last `over` rows.

    Args:
        episode: the recording.
        part: of it.
        text: the language argument.
        over: rows at which the skill is over; the last one at least.
    """
    rows = slice(part.start, part.stop)
    end = np.zeros(len(part), np.float32)
    end[-max(1, over) :] = 1
    return replace(
        episode,
        images={name: pictures[rows] for name, pictures in episode.images.items()},
        state=episode.state[rows],
        action=episode.action[rows],
        end=end,
        target=episode.target[rows],
        extras={name: values[rows] for name, values in episode.extras.items()},
        text=text,
        call=None,
        attributes={
            "source_episode": part.recording, "source_rows": [part.start, part.stop], "cluster": part.cluster
        },
    )  # fmt: skip


def write_segments(
    source: EpisodeStore,
    segments: Sequence[Segment],
    folder: Path,
    text_of: Callable[[Segment], str | None],
    info: Mapping[str, Any],
    advance: Callable[[], None] = lambda: None,
) -> EpisodeStore:
    """Write a native store with an episode a segment; it appears whole or not at all.

    Args:
        source: the recordings.
        segments: of them.
        folder: of the new store.
        text_of: the language argument of a segment; None leaves the segment out.
        info: what the store says of where it came from.
        advance: called after each segment.

    Returns:
        The store, open for reading.

    Raises:
        InputError: the folder holds something already.
    """
    over = max(1, round(OVER * source.meta.control_rate))
    meta = replace(source.meta, info={"source": source.meta.info})
    views: dict[int, Episode] = {}
    with new_store(folder, meta, info) as store:
        for part in segments:
            text = text_of(part)
            if text is not None:
                if part.recording not in views:
                    views = {part.recording: source.view(part.recording)}
                store.append(cut_out(views[part.recording], part, text, over))
            advance()
    return EpisodeStore.open(folder)
