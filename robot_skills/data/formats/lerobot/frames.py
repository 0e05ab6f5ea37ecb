"""(N, H, W, 3) rows that are decoded as they are asked for, and a few of them kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.robot import Image

#: Bytes of decoded frames that are kept, so that overlapping slices decode each frame once.
CACHE_BYTES = 32 * 2**20


class FrameRows(ABC):
    """Images of one episode; `Rows` of an `Episode`.

    Reading front to back decodes each frame once; memory does not grow with the episode.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, length: int, size: tuple[int, int]) -> None:
        self.shape = (length, *size, 3)
        self._kept: OrderedDict[int, Image] = OrderedDict()
        self._room = max(1, CACHE_BYTES // (size[0] * size[1] * 3))

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)

    def __getitem__(self, rows: Any) -> Image:
        """(n, H, W, 3) the rows of a slice or of a list of numbers; (H, W, 3) of one number.

        Raises:
            DataError: a frame cannot be decoded.
            IndexError: there is no such row.
        """
        wanted = np.arange(len(self))[rows]
        if wanted.ndim == 0:
            image: Image = self[[int(wanted)]][0]
            return image
        found = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        places: dict[int, list[int]] = {}
        for place, row in enumerate(wanted.tolist()):
            places.setdefault(row, []).append(place)
        for row in [row for row in places if row in self._kept]:
            self._kept.move_to_end(row)
            found[places.pop(row)] = self._kept[row]
        for row, image in self._decode(sorted(places)):
            found[places[row]] = image
            self._kept[row] = image
            while len(self._kept) > self._room:
                self._kept.popitem(last=False)
        return found

    @abstractmethod
    def _decode(self, rows: Sequence[int]) -> Iterator[tuple[int, Image]]:
        """Decode rows in ascending order."""
