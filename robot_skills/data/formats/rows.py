"""Rows that lie in a file and are read when they are asked for."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LazyRows(ABC):
    """(N, ...) rows of a file; a slice reads only its own. NumPy takes it for an array.

    Attributes:
        shape: (N, ...).
        dtype: of the rows.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """The rows from `start` up to `stop`.

        Raises:
            DataError: they are missing or damaged.
        """

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step < 0:
                return self.rows(0, len(self))[index]
            return self.rows(start, max(start, stop))[::step]
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"There are {len(self)} rows, not one numbered {number}.")
        number %= len(self)
        row: NDArray[Any] = self.rows(number, number + 1)[0]
        return row

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.rows(0, len(self)), dtype)
