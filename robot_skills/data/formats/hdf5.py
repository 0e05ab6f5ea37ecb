"""HDF5 files, read a run of rows at a time: handles kept, opened anew after a fork, errors translated."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.formats.border import border, wrong
from robot_skills.data.formats.hdf5_probe import PROBER
from robot_skills.data.formats.rows import LazyRows
from robot_skills.data.meta import Feature
from robot_skills.errors import require

#: Handles of arrays that are kept: looking one up costs 15 times what reading a frame does.
KEPT_HANDLES = 256
#: Bytes of an attribute that HDF5 is sure to hold beside its object; texts lie elsewhere and may be longer.
LARGEST_ATTRIBUTE = 32_000
SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Hdf5File:
    """A file that is read.

    An HDF5 handle does not survive a fork: the child would share the parent's file position. Each process
    opens its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._h5py: Any = require("h5py", "data")
        self._file: Any = None
        self._owner = 0
        self._handles: OrderedDict[str, Any] = OrderedDict()
        with border(path, "the file"):
            if not PROBER.sound(path):
                raise OSError("HDF5's library hangs or crashes over it")
            self._open()

    def _open(self) -> Any:
        if self._file is None or self._owner != os.getpid():
            self._handles = OrderedDict()
            self._file, self._owner = self._h5py.File(self.path, "r"), os.getpid()
        return self._file

    def find(self, place: str) -> Any:
        """The group or array at a place, None if there is none; it must not be kept by the caller."""
        file = self._open()
        if place not in self._handles:
            if len(self._handles) >= KEPT_HANDLES:
                self._handles.popitem(last=False)
            self._handles[place] = file.get(place)
        self._handles.move_to_end(place)
        return self._handles[place]

    def children(self, place: str) -> tuple[str, ...]:
        """What a group holds, in the order of its names."""
        with border(self.path, place):
            found = self.find(place)
            return tuple(sorted(found)) if isinstance(found, self._h5py.Group) else ()

    def arrays(self, place: str) -> Iterator[tuple[str, Any]]:
        """Every array below a group, with its name there; the arrays must not be kept."""
        for name in self.children(place):
            found = self.find(f"{place}/{name}")
            if isinstance(found, self._h5py.Dataset):
                yield name, found
            else:
                yield from ((f"{name}/{rest}", array) for rest, array in self.arrays(f"{place}/{name}"))

    def attributes(self, place: str) -> dict[str, Any]:
        """The attributes of a group as plain values, arrays as lists; empty if there is no such group."""
        with border(self.path, f"the attributes of {place}"):
            attributes = {} if (found := self.find(place)) is None else found.attrs
            return {str(name): self._plain(value) for name, value in attributes.items()}

    def rows(self, place: str, feature: Feature, length: int, episode: int) -> NDArray[Any]:
        """(length, ...) all rows of an array.

        Raises:
            DataError: it is missing, or of another shape or type.
        """
        array = self.checked(place, feature, length, episode)
        out: NDArray[Any] = np.asarray(array[()], np.dtype(feature.dtype))
        return out

    def checked(self, place: str, feature: Feature, length: int, episode: int) -> Any:
        """The handle of an array that is as it should be; errors as of `rows`."""
        array = self.find(place)
        if not isinstance(array, self._h5py.Dataset):
            raise wrong(self.path, "missing", f"There is no array {place}.", episode)
        expected = (length, *feature.shape)
        if array.shape != expected or array.dtype.newbyteorder("<") != np.dtype(feature.dtype):
            kind = "length" if array.shape[1:] == feature.shape else "shape"
            message = (
                f"{place} should be {np.dtype(feature.dtype)} {expected}, not {array.dtype} {array.shape}."
            )
            raise wrong(self.path, kind, message, episode)
        return array

    def _plain(self, value: Any) -> Any:
        """An attribute's value as JSON has it."""
        if isinstance(value, self._h5py.Empty):
            return None
        if isinstance(value, np.ndarray):
            return self._plain(value.tolist())
        if isinstance(value, np.generic):
            return self._plain(value.item())
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if isinstance(value, (list, tuple)):
            return [self._plain(item) for item in value]
        return value if isinstance(value, (str, bool, int, float)) else str(value)  # a reference, say


class Hdf5Images(LazyRows):
    """(N, H, W, 3) uint8 of an array in a file, read as they are asked for.

    Args:
        upside_down: whether the first row in the file is the lowest.
    """

    def __init__(
        self, file: Hdf5File, place: str, size: tuple[int, ...], length: int, episode: int, upside_down: bool
    ) -> None:
        self._file, self._place, self._episode = file, place, episode
        self._feature, self._upside_down = Feature("|u1", (*size, 3)), upside_down
        self.shape, self.dtype = (length, *self._feature.shape), np.dtype(np.uint8)
        file.checked(place, self._feature, length, episode)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """The rows from `start` up to `stop`.

        Raises:
            DataError: they are damaged.
        """
        with border(self._file.path, self._place, self._episode):
            array = self._file.checked(self._place, self._feature, len(self), self._episode)
            found: NDArray[Any] = array[start:stop]
            return found[:, ::-1] if self._upside_down else found


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def attribute(value: Any) -> Any:
    """A plain value as an attribute that reads back as the same, or None if it would not."""
    if isinstance(value, str):
        return value if _storable(value) else None
    if isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if isinstance(value, list) and 0 < len(value) <= LARGEST_ATTRIBUTE // 8:
        for kind, dtype in ((float, np.float64), (int, np.int64)):
            if all(type(item) is kind and (kind is float or abs(item) < 2**63) for item in value):
                return np.array(value, dtype)
    return None


def _storable(text: str) -> bool:
    """Whether HDF5 holds a text: it ends one at a NUL, and knows no lone surrogate."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
