"""Where the skills of a recording truly begin, for those that were made with the answer kept beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_skills.data.segmentation.scores import Truth
from robot_skills.data.segmentation.segments import Segment, between
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError

#: The attribute of an episode that holds it: a list of {call, text, start, stop}. No method reads it.
HIDDEN_TRUTH = "hidden_truth"


def has_truth(store: EpisodeStore) -> bool:
    """Whether every recording says what its skills are."""
    return bool(store.episodes) and all(HIDDEN_TRUTH in record.attributes for record in store.episodes)


def read_truth(store: EpisodeStore) -> tuple[list[Truth], list[str]]:
    """The truth of every recording, and the skills' names by their number.

    Raises:
        InputError: a recording does not say, or its parts do not cover it.
    """
    if not has_truth(store):
        raise InputError(
            f"{store.folder} does not say where its skills begin (no attribute {HIDDEN_TRUTH!r})."
        )
    parts = [record.attributes[HIDDEN_TRUTH] for record in store.episodes]
    names = sorted({str(part["call"]["skill"]) for recording in parts for part in recording})
    truths = []
    for record, recording in zip(store.episodes, parts, strict=True):
        edges = [0, *(part["stop"] for part in recording)]
        if edges[:-1] != [part["start"] for part in recording] or edges[-1] != record.length:
            raise InputError(f"Episode {record.episode} of {store.folder}: its true skills do not cover it.")
        skills = np.concatenate(
            [np.full(part["stop"] - part["start"], names.index(part["call"]["skill"])) for part in recording]
        )
        truths.append(Truth(tuple(part["start"] for part in recording[1:]), skills.astype(np.int64)))
    return truths, names


def true_segments(truths: Sequence[Truth]) -> list[Segment]:
    """The segments as they truly are, the skill as the cluster."""
    return [
        Segment(number, part.start, part.stop, int(truth.skills[part.start]))
        for number, truth in enumerate(truths)
        for part in between(number, len(truth.skills), truth.boundaries)
    ]
