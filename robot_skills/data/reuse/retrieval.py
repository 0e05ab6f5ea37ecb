"""Retrieval: the segments of a large prior set that look like what a few demonstrations do.

After SAILOR (Nasiriany et al., CoRL 2022, arXiv 2210.11435): every sub-trajectory of the prior set is put
beside its nearest sub-trajectory of the target set, the nearest share is kept, and what overlaps is merged
into segments. A policy then learns from both, the target set weighted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from robot_skills.data.episode import Episode
from robot_skills.data.new_store import check_free, new_store
from robot_skills.data.reuse.skill_space import SkillSpaceConfig, learn_skill_space, motions
from robot_skills.data.reuse.subtrajectories import Index, Scaling, SubTrajectories, common_cameras
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.policies.settings import check_choice, check_range
from robot_skills.robot import Float
from robot_skills.training.configuration import to_mapping

SPACES = ("latent", "raw")
#: Sub-trajectories of the prior set that distances are taken of at a time.
BLOCK = 4096


@dataclass(frozen=True)
class RetrievalConfig:
    """What to retrieve, and by which distance.

    Attributes:
        space: "latent", a skill space learned from both sets; "raw", normalised states and actions as they
            are, without pictures: the baseline.
        fraction: share of the prior set's sub-trajectories to keep, unless one of the next two is given.
        count: how many to keep.
        within: keep what is as near to the target set as its demonstrations are to each other: up to this
            quantile of the distances from its sub-trajectories to the nearest of its other demonstrations.
            It needs no guess of how much of the prior set is useful.
        skill_space: of the latent space; its `length` is the sub-trajectories' in either.
    """

    space: str = "latent"
    fraction: float = 0.1
    count: int | None = None
    within: float | None = None
    skill_space: SkillSpaceConfig = field(default_factory=SkillSpaceConfig)

    def __post_init__(self) -> None:
        check_choice("space to retrieve in", self.space, SPACES)
        if not 0 < self.fraction <= 1:
            raise InputError(f"fraction lies above 0 and at most at 1, not {self.fraction}.")
        if self.count is not None:
            check_range("count", self.count, 1)
        if self.within is not None:
            check_range("within", self.within, 0, 1)


@dataclass(frozen=True)
class Segment:
    """Neighbouring hits of one episode of the prior set, merged.

    Attributes:
        episode: of the prior set.
        start, stop: its rows in the prior set's arrays, `stop` not included.
        distance: of its nearest hit.
        mean_distance: over its hits.
        nearest: the episode of the target set that its nearest hit is nearest to.
        hits: how many sub-trajectories were merged.
    """

    episode: int
    start: int
    stop: int
    distance: float
    mean_distance: float
    nearest: int
    hits: int


@dataclass(frozen=True)
class RetrievalReport:
    """What a retrieval came to.

    Attributes:
        candidates: sub-trajectories of the prior set.
        hits: those that were kept.
        episodes: of the prior set that gave something.
        farthest: the distance of the last hit.
        median: of the distances of all candidates, to compare it with.
        nearest: text of the target set -> segments that got it.
    """

    folder: str
    candidates: int
    hits: int
    segments: int
    steps: int
    episodes: int
    farthest: float
    median: float
    nearest: Mapping[str, int]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {**vars(self), "nearest": dict(self.nearest)}


def retrieve(
    target: EpisodeStore, prior: EpisodeStore, folder: Path, config: RetrievalConfig, console: Console
) -> RetrievalReport:
    """Write the segments of the prior set that are nearest to the target set into a new store.

    A segment has the text of the demonstration that it is nearest to, and the attributes
    `source` {store, episode, rows}, `distance`, `mean_distance`, `hits`, and `continues`: whether its episode
    went on after it, so that its last step is not an end.

    Args:
        target: a few demonstrations.
        prior: a large set with the same state features and action space.
        folder: of the new store; it appears whole, or not at all.
        config: what to retrieve.
        console: where progress is shown.

    Raises:
        InputError: the sets do not fit together, nothing is near enough, or the folder is taken.
    """
    began = time.monotonic()
    check_free(folder)
    length = config.skill_space.length
    wanted, offered = SubTrajectories.of(target, length), SubTrajectories.of(prior, length)
    wanted_at, offered_at = embeddings(wanted, offered, config, console)
    distances, nearest = nearest_neighbours(offered_at, wanted_at)
    hits = select(distances, wanted_at, wanted.episode, config)
    segments = merge(offered, hits, distances, wanted.episode[nearest])
    info = {
        "retrieved_for": str(target.folder),
        "retrieved_from": str(prior.folder),
        "retrieval": to_mapping(config),
    }
    with new_store(folder, prior.meta, info) as store:
        for episode in _cut(target, prior, segments):
            store.append(episode)
    counts: dict[str, int] = {}
    for segment in segments:
        text = target.episodes[segment.nearest].text
        counts[text] = counts.get(text, 0) + 1
    return RetrievalReport(
        folder=str(folder),
        candidates=len(offered),
        hits=len(hits),
        segments=len(segments),
        steps=sum(segment.stop - segment.start for segment in segments),
        episodes=len({segment.episode for segment in segments}),
        farthest=float(distances[hits].max()),
        median=float(np.median(distances)),
        nearest=counts,
        seconds=time.monotonic() - began,
    )


def embeddings(
    target: SubTrajectories, prior: SubTrajectories, config: RetrievalConfig, console: Console
) -> tuple[Float, Float]:
    """(M, Z) and (N, Z): the sub-trajectories as points whose Euclidean distances count."""
    if config.space == "raw":
        common_cameras([target.store, prior.store])  # checks that the sets fit together
        scaling = Scaling.of([target.store, prior.store])
        points = [motions(part, np.arange(len(part)), scaling) for part in (target, prior)]
        return points[0], points[1]
    space = learn_skill_space([target, prior], config.skill_space, console)
    first, second = space.embed(target), space.embed(prior)
    spread = np.concatenate([first, second]).std(axis=0)
    return first / np.maximum(spread, 1e-3), second / np.maximum(spread, 1e-3)


def nearest_neighbours(queries: Float, points: Float) -> tuple[NDArray[np.float64], Index]:
    """(N,) Euclidean distance of each query to its nearest point, and (N,) which point that is.

    Exact, by all distances; a tie goes to the first point.

    Args:
        queries: (N, Z).
        points: (M, Z).
    """
    base = torch.from_numpy(points.astype(np.float64))
    distances, indices = [], []
    for start in range(0, len(queries), BLOCK):
        part = torch.from_numpy(queries[start : start + BLOCK].astype(np.float64))
        least, place = torch.cdist(part, base, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
        distances.append(least.numpy())
        indices.append(place.numpy())
    return np.concatenate(distances), np.concatenate(indices)


def select(distances: NDArray[np.float64], points: Float, episodes: Index, config: RetrievalConfig) -> Index:
    """The numbers of the sub-trajectories to keep, ascending.

    Args:
        distances: (N,) of the prior set's to the target set.
        points: (M, Z) where the target set's lie.
        episodes: (M,) which demonstration each of these is of.
        config: how many, or how near.

    Raises:
        InputError: `within` is asked for with a single demonstration, or nothing is as near.
    """
    if config.within is None:
        return closest(distances, config.count or max(1, round(config.fraction * len(distances))))
    if len(np.unique(episodes)) < 2:
        raise InputError("One demonstration has no others to be near to: give a fraction or a count instead.")
    own = np.concatenate(
        [
            nearest_neighbours(points[episodes == episode], points[episodes != episode])[0]
            for episode in np.unique(episodes)
        ]
    )
    limit = float(np.quantile(own, config.within))
    hits: Index = np.flatnonzero(distances <= limit)
    if len(hits) == 0:
        raise InputError(
            f"Nothing is as near as the demonstrations are to each other ({limit:.3g}; the nearest is at "
            f"{distances.min():.3g}): raise `within`, or give a fraction."
        )
    return hits


def closest(distances: NDArray[np.float64], count: int) -> Index:
    """Which are the `count` smallest distances (all, if there are fewer): their numbers, ascending."""
    return np.sort(np.argsort(distances, kind="stable")[:count])


def merge(
    subtrajectories: SubTrajectories, hits: Index, distances: NDArray[np.float64], nearest: Index
) -> list[Segment]:
    """Join hits of one episode whose rows overlap or touch.

    Args:
        subtrajectories: of the prior set.
        hits: numbers among them, ascending.
        distances: (N,) of all sub-trajectories.
        nearest: (N,) the target set's episode that each is nearest to.
    """
    groups: list[list[int]] = []
    for hit in hits.tolist():
        before = groups[-1][-1] if groups else None
        joined = (
            before is not None
            and subtrajectories.episode[before] == subtrajectories.episode[hit]
            and subtrajectories.start[hit] <= subtrajectories.stop(before)
        )
        if joined:
            groups[-1].append(hit)
        else:
            groups.append([hit])
    segments = []
    for group in groups:
        best = min(group, key=lambda hit: (distances[hit], hit))
        segments.append(
            Segment(
                episode=int(subtrajectories.episode[best]),
                start=int(subtrajectories.start[group[0]]),
                stop=subtrajectories.stop(group[-1]),
                distance=float(distances[best]),
                mean_distance=float(np.mean(distances[group])),
                nearest=int(nearest[best]),
                hits=len(group),
            )
        )
    return segments


def _cut(target: EpisodeStore, prior: EpisodeStore, segments: list[Segment]) -> Iterator[Episode]:
    for segment in segments:
        record = prior.episodes[segment.episode]
        rows = slice(segment.start - record.start, segment.stop - record.start)
        episode = cut(prior.view(segment.episode), rows)
        origin = {
            "store": str(prior.folder),
            "episode": segment.episode,
            "rows": [rows.start, rows.stop],
        }
        yield replace(
            episode,
            text=target.episodes[segment.nearest].text,
            call=None,
            attributes={
                **episode.attributes,
                "source": origin,
                "distance": round(segment.distance, 6),
                "mean_distance": round(segment.mean_distance, 6),
                "hits": segment.hits,
                "continues": segment.stop < record.rows.stop,
            },
        )


def cut(episode: Episode, rows: slice) -> Episode:
    """Some rows of an episode; what is known of it as a whole stays."""
    return replace(
        episode,
        images={name: images[rows] for name, images in episode.images.items()},
        extras={name: values[rows] for name, values in episode.extras.items()},
        state=episode.state[rows],
        action=episode.action[rows],
        end=episode.end[rows],
        target=episode.target[rows],
    )
