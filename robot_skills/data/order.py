"""The order in which windows are learned from: a pure function of seed, phase and step.

Any step can be reached without playing those before it, so that a resumed run goes on at the exact sample,
and it does not matter how many workers prepare the batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError

Index = NDArray[np.int64]
#: Stream of `permutation` that chooses held-out episodes; phases of training have 0, 1, ...
SPLIT_STREAM = 1 << 32
#: Streams from here on belong to the parts of a mixture, and `BLOCKS` to its blocks.
PART_STREAM, BLOCKS = 1 << 33, 1 << 34
#: Parts that the windows of a store with weights of their own are put in.
STRATA = 8
#: Samples over which a mixture keeps its shares exactly.
BLOCK = 1024


def batch_indices(windows: int, batch_size: int, seed: int, stream: int, step: int) -> Index:
    """The windows of batch `step`: every epoch is a permutation of all of them.

    Args:
        windows: how many there are.
        batch_size: B; it may exceed `windows`.
        seed: not negative.
        stream: tells phases of training apart.
        step: from 0.

    Returns:
        (B,) window numbers.
    """
    return _shuffled(windows, step * batch_size + np.arange(batch_size, dtype=np.int64), seed, stream)


class Mixture:
    """Windows of several parts, each part as often as its weight says.

    Within every `BLOCK` samples the parts have their shares to within one sample, in an order shuffled anew;
    within a part, every epoch is a permutation of its windows.

    Args:
        windows: how many there are.
        parts: the window numbers of each part; not looked at without weights.
        weights: of the parts, against each other. None: one part with all windows.

    Raises:
        InputError: a weight is not positive, or too small against the others to come once a block.
    """

    def __init__(self, windows: int, parts: Sequence[Index], weights: Sequence[float] | None) -> None:
        self._windows, self._parts = windows, [part for part in parts if len(part)]
        self._bounds: NDArray[np.float64] | None = None
        if weights is None:
            return
        for weight in weights:
            if not (np.isfinite(weight) and weight > 0):
                raise InputError(f"The weight of a data set is above 0, not {weight}.")
        here = np.array([weight for weight, part in zip(weights, parts, strict=True) if len(part)])
        shares = here / here.sum()
        if shares.min() * BLOCK < 2:  # what rounding at both ends of a block can take away
            raise InputError(
                f"The smallest weight is {shares.min():.2g} of all weights; at least {2 / BLOCK:.2g} of the "
                "samples come from every data set."
            )
        self._bounds = np.array([0.0, *np.cumsum(shares[:-1]), 1.0])

    def batch(
        self, batch_size: int, seed: int, stream: int, step: int, share: tuple[int, int] = (0, 1)
    ) -> Index:
        """(B,) window numbers of batch `step`; the arguments are those of `batch_indices`.

        With a `share` (k, n) they are the k-th of n parts of the batch of n times the size.
        """
        part, parts = share
        if parts > 1:
            whole = self.batch(batch_size * parts, seed, stream, step)
            return whole[part * batch_size : (part + 1) * batch_size]
        if self._bounds is None:
            return batch_indices(self._windows, batch_size, seed, stream, step)
        places = step * batch_size + np.arange(batch_size, dtype=np.int64)
        blocks, offsets = np.divmod(places, BLOCK)
        indices = np.empty(batch_size, np.int64)
        for block in np.unique(blocks):
            here = blocks == block
            which, turn = self._block(int(block), seed, stream)
            for part, windows in enumerate(self._parts):
                mine = here & (which[offsets] == part)
                if mine.any():
                    chosen = _shuffled(
                        len(windows), turn[offsets[mine]], seed, PART_STREAM + (stream << 16) + part
                    )
                    indices[mine] = windows[chosen]
        return indices

    def _block(self, block: int, seed: int, stream: int) -> tuple[Index, Index]:
        """For each sample of a block: its part, and how many samples of that part came before it."""
        assert self._bounds is not None, "only mixtures have blocks"
        before = np.diff(np.rint(block * BLOCK * self._bounds)).astype(np.int64)
        after = np.diff(np.rint((block + 1) * BLOCK * self._bounds)).astype(np.int64)
        ordered = np.repeat(np.arange(len(before)), after - before)
        which = ordered[permutation(len(ordered), seed, BLOCKS + stream, block)]
        turn = np.empty(len(which), np.int64)
        for part, count in enumerate(before):
            mine = which == part
            turn[mine] = count + np.arange(mine.sum())
        return which, turn


def mixture(stores: Index, weights: Sequence[float] | None, within: NDArray[np.float64]) -> Mixture:
    """Windows of several stores, weighted by store and, within a store, by window.

    Weights within a store are rounded: its windows are put in `STRATA` parts of about the same weight, and
    in a part every window comes alike. Windows of weight 0 do not come at all.

    Args:
        stores: (n,) the store of each window.
        weights: of each store; None: of each what its windows weigh.
        within: (n,) weight of each window against the others of its store.

    Raises:
        InputError: a weight cannot be; see `Mixture`.
    """
    if weights is None and (within == 1).all():
        return Mixture(len(stores), [], None)
    if not (np.isfinite(within).all() and (within >= 0).all()):
        raise InputError("The weight of an episode is 0 or more.")
    parts: list[Index] = []
    masses: list[float] = []
    for store in np.unique(stores):
        rows = np.flatnonzero((stores == store) & (within > 0))
        if not len(rows):
            raise InputError("Every episode of a data set has the weight 0: leave the data set out.")
        here = _strata(rows, within[rows])
        mass = np.array([within[part].sum() for part in here])
        parts += here
        masses += (mass if weights is None else weights[store] * mass / mass.sum()).tolist()
    return Mixture(len(stores), parts, masses)


def _strata(rows: Index, weights: NDArray[np.float64]) -> list[Index]:
    """Rows in up to `STRATA` parts, of equal counts, by rising weight; equal weights stay together."""
    levels, level = np.unique(weights, return_inverse=True)
    if len(levels) > STRATA:
        bounds = np.quantile(weights, np.linspace(0, 1, STRATA + 1)[1:-1])
        level = np.searchsorted(bounds, weights, side="right")
    return [rows[level == value] for value in np.unique(level)]


def _shuffled(windows: int, places: Index, seed: int, stream: int) -> Index:
    """The windows at places of an endless row of epochs, each a permutation."""
    epochs, offsets = np.divmod(places, windows)
    indices = np.empty(len(places), np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = permutation(windows, seed, stream, int(epoch))[offsets[here]]
    return indices


@lru_cache(maxsize=16)
def permutation(count: int, seed: int, stream: int, epoch: int) -> Index:
    """An epoch's order, from a Philox generator whose counter holds stream and epoch.

    The last few are kept: a batch may span two epochs, of several parts.
    """
    bits = np.random.Philox(key=seed, counter=np.array([0, 0, stream, epoch], np.uint64))
    return np.random.Generator(bits).permutation(count)
