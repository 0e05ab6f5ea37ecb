"""Recurring skills: segments of all recordings grouped by spectral clustering.

As in BUDS (Zhu et al. 2022, arXiv 2109.13841, section III-B): a segment is described by the features at five
places spread over it, and the descriptions are clustered across demonstrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.segmentation.segments import Segment
from robot_skills.data.segmentation.traces import Array, Trace
from robot_skills.errors import InputError, require

#: Where a segment is looked at, as shares of its length.
PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
#: Segments that are clustered; of more, the rest goes with its nearest neighbours. The eigenvectors of a
#: matrix of all pairs take memory with the square and time with the cube of their number.
LARGEST = 2000
#: Neighbours that a segment is tied to, and that decide for one beyond `LARGEST`.
NEIGHBOURS = 15


def motion(trace: Trace) -> Array:
    """What the arm does at every step, (N, M): the state's numbers beside the action's."""
    return np.concatenate([trace.state, trace.action], axis=1, dtype=np.float32)


def describe(segment: Segment, rows: Array) -> Array:
    """The rows (N, D) of a recording at five places of a segment, (5 D,)."""
    places = segment.start + np.round(np.array(PLACES) * (len(segment) - 1)).astype(np.int64)
    flat: Array = rows[places].reshape(-1)
    return flat


def descriptions(segments: Sequence[Segment], rows: Sequence[Array]) -> Array:
    """`describe` for each segment, (len(segments), 5 D)."""
    return np.stack([describe(segment, rows[segment.recording]) for segment in segments])


def spectral(points: Array, clusters: int, seed: int = 0) -> NDArray[np.int64]:
    """Spectral clustering (von Luxburg 2007) over the graph of nearest neighbours.

    Args:
        points: (n, D).
        clusters: K, no more than n.
        seed: of the start.

    Returns:
        (n,) labels; 0 is the cluster of the first point, 1 the next one met, and so on.

    Raises:
        InputError: there are fewer points than clusters, or scikit-learn is missing.
    """
    if len(points) < clusters:
        raise InputError(
            f"{len(points)} segments cannot be sorted into {clusters} skills: ask for fewer (--skills), or "
            "give more recordings."
        )
    if clusters == 1:
        return np.zeros(len(points), np.int64)
    order = np.random.default_rng(seed).permutation(len(points))
    chosen = np.sort(order[:LARGEST])
    labels = np.zeros(len(points), np.int64)
    labels[chosen] = _spectral(points[chosen], clusters, seed)
    rest = np.sort(order[LARGEST:])
    if len(rest):
        neighbours: Any = require("sklearn.neighbors", "segment").KNeighborsClassifier(NEIGHBOURS)
        labels[rest] = neighbours.fit(points[chosen], labels[chosen]).predict(points[rest])
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[inverse].astype(np.int64)


def _spectral(points: Array, clusters: int, seed: int) -> NDArray[np.int64]:
    cluster = require("sklearn.cluster", "segment")
    neighbors = require("sklearn.neighbors", "segment")
    ties = min(NEIGHBOURS, len(points) - 1)
    graph = neighbors.kneighbors_graph(points, ties, include_self=False)
    # A thread of weak ties holds the graph together: sklearn warns, and answers at random, if it falls apart.
    affinity = 0.5 * (graph + graph.T).toarray() + 1e-4
    method = cluster.SpectralClustering(
        clusters, affinity="precomputed", assign_labels="cluster_qr", random_state=seed
    )
    labels: NDArray[np.int64] = np.asarray(method.fit_predict(affinity), np.int64)
    return labels
