"""A segment: rows of a recording that belong together, and which recurring skill they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from robot_skills.data.segmentation.traces import Trace


@dataclass(frozen=True)
class Segment:
    """Rows `start` to `stop` - 1 of a recording.

    Attributes:
        recording: its number in the store.
        cluster: which skill it is, from 0.
    """

    recording: int
    start: int
    stop: int
    cluster: int = 0

    def __len__(self) -> int:
        return self.stop - self.start


def between(recording: int, length: int, boundaries: Iterable[int]) -> list[Segment]:
    """The segments of a recording that is cut before each of these rows."""
    edges = [0, *sorted({b for b in boundaries if 0 < b < length}), length]
    return [Segment(recording, a, b) for a, b in itertools.pairwise(edges)]


def boundaries(segments: Iterable[Segment], recordings: int) -> list[list[int]]:
    """The rows at which each recording is cut; its beginning and its end are none."""
    cuts: list[list[int]] = [[] for _ in range(recordings)]
    for segment in segments:
        if segment.start > 0:
            cuts[segment.recording].append(segment.start)
    return [sorted(rows) for rows in cuts]


def relabel(segments: Sequence[Segment], labels: Iterable[int]) -> list[Segment]:
    """The same segments with these clusters."""
    return [replace(segment, cluster=int(label)) for segment, label in zip(segments, labels, strict=True)]


def merge_alike(segments: Sequence[Segment]) -> list[Segment]:
    """Neighbours of one cluster joined; the segments of a recording come in order."""
    merged: list[Segment] = []
    for segment in segments:
        last = merged[-1] if merged else None
        if last and (last.recording, last.cluster, last.stop) == (
            segment.recording, segment.cluster, segment.start,
        ):  # fmt: skip
            merged[-1] = replace(last, stop=segment.stop)
        else:
            merged.append(segment)
    return merged


def merge_short(cuts: Iterable[int], trace: Trace, seconds: float) -> list[int]:
    """Cuts that leave no segment shorter than a time: of two that are closer, the earlier stays."""
    least, kept = trace.steps(seconds), [0]
    for cut in sorted(cuts):
        if cut - kept[-1] >= least and len(trace) - cut >= least:
            kept.append(cut)
    return kept[1:]
