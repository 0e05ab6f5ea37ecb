"""BUDS: bottom-up skill discovery (Zhu et al. 2022, RA-L, arXiv 2109.13841, section III).

Every recording becomes a binary tree: short windows are joined, always the two neighbours whose features are
nearest. Walking down from the root gives segments of middle length; spectral clustering over all recordings
finds which recur; neighbours of one cluster are joined; clusters of short segments are given to their
neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot_skills.data.segmentation.clusters import descriptions, spectral
from robot_skills.data.segmentation.segments import Segment, merge_alike, relabel
from robot_skills.data.segmentation.traces import Array, Trace
from robot_skills.policies.settings import check_range


@dataclass(frozen=True)
class BudsConfig:
    """How trees are built and cut.

    Attributes:
        window: of the leaves, s. The paper's 10 steps at 20 Hz.
        length: the tree is walked down until segments are this long on average, s. The paper asks for a
            number of segments instead, twice that of the skills: its demonstrations show one task.
        penalty: what a segment's share of the recording adds to its distance from its neighbours, against
            one outgrowing all others; in units of the features' deviation.
        shortest: a cluster whose segments are shorter than this on average is given to its neighbours, s.
    """

    window: float = 0.5
    length: float = 1.6
    penalty: float = 20.0
    shortest: float = 0.6

    def __post_init__(self) -> None:
        for name in ("window", "length", "penalty", "shortest"):
            check_range(f"buds.{name}", getattr(self, name), 0)


@dataclass(frozen=True)
class Node:
    """Rows `start` to `stop` - 1, and what they were joined from."""

    start: int
    stop: int
    children: tuple[Node, Node] | None = None

    def footprint(self, rows: Array) -> Array:
        """Mean feature of the first, the middle and the last row."""
        places = [self.start, (self.start + self.stop - 1) // 2, self.stop - 1]
        mean: Array = rows[places].mean(0)
        return mean


def tree(rows: Array, window: int, penalty: float) -> Node:
    """Join neighbouring windows of a recording's features (N, D) until one is left."""
    starts = list(range(0, max(1, len(rows) - window // 2), window))
    nodes = [Node(a, b) for a, b in zip(starts, [*starts[1:], len(rows)], strict=True)]
    prints = [node.footprint(rows) for node in nodes]
    while len(nodes) > 1:
        costs = [
            float(np.linalg.norm(left - right) / rows.shape[1] ** 0.5)
            + penalty * (b.stop - a.start) / len(rows) / 10
            for (left, right), (a, b) in zip(
                itertools.pairwise(prints), itertools.pairwise(nodes), strict=True
            )
        ]
        best = int(np.argmin(costs))
        joined = Node(nodes[best].start, nodes[best + 1].stop, (nodes[best], nodes[best + 1]))
        nodes[best : best + 2] = [joined]
        prints[best : best + 2] = [joined.footprint(rows)]
    return nodes[0]


def middle_level(root: Node, wanted: int) -> list[Node]:
    """Walk down breadth first, a level at a time, until there are `wanted` nodes or only leaves."""
    level = [root]
    while len(level) < wanted and any(node.children for node in level):
        level = [child for node in level for child in (node.children or (node,))]
    return level


def discover(
    recordings: Sequence[Trace],
    rows: Sequence[Array],
    described: Sequence[Array],
    skills: int,
    config: BudsConfig,
    seed: int = 0,
) -> list[Segment]:
    """Segments of all recordings with their clusters.

    Args:
        recordings: what is cut.
        rows: (N, D) features of each, for the trees.
        described: (N, E) features of each, for the clusters.
        skills: K.
        config: see there.
        seed: of the clustering.

    Raises:
        InputError: there are fewer segments than skills.
    """
    segments = []
    for number, (trace, found) in enumerate(zip(recordings, rows, strict=True)):
        root = tree(found, trace.steps(config.window), config.penalty)
        nodes = middle_level(root, round(len(trace) / trace.steps(config.length)))
        segments += [Segment(number, node.start, node.stop) for node in nodes]
    segments = merge_alike(relabel(segments, spectral(descriptions(segments, described), skills, seed)))
    skills = min(skills, len(segments))
    segments = relabel(segments, spectral(descriptions(segments, described), skills, seed))
    return absorb_short(merge_alike(segments), rows, recordings[0].steps(config.shortest))


def absorb_short(segments: list[Segment], rows: Sequence[Array], least: int) -> list[Segment]:
    """Give the clusters whose segments are short on average to the neighbours that are more alike."""
    lengths: dict[int, list[int]] = {}
    for segment in segments:
        lengths.setdefault(segment.cluster, []).append(len(segment))
    short = {cluster for cluster, found in lengths.items() if np.mean(found) < least}
    if len(short) == len(lengths):
        return segments
    kept: list[Segment] = []
    for number, parts in itertools.groupby(segments, key=lambda segment: segment.recording):
        kept += _absorb(list(parts), rows[number], short)
    clusters = {old: new for new, old in enumerate(sorted({segment.cluster for segment in kept}))}
    return merge_alike([replace(segment, cluster=clusters[segment.cluster]) for segment in kept])


def _absorb(parts: list[Segment], rows: Array, short: set[int]) -> list[Segment]:
    """The segments of one recording, those of short clusters joined to a neighbour; one at least is left."""

    def mean(place: int) -> Array:
        found: Array = rows[parts[place].start : parts[place].stop].mean(0)
        return found

    while len(parts) > 1:
        place = next((i for i, part in enumerate(parts) if part.cluster in short), None)
        if place is None:
            break
        here = mean(place)
        sides = [i for i in (place - 1, place + 1) if 0 <= i < len(parts)]
        near = min(sides, key=lambda side: float(np.linalg.norm(mean(side) - here)))
        first, last = sorted((place, near))
        parts[first : last + 1] = [replace(parts[near], start=parts[first].start, stop=parts[last].stop)]
    return parts
