"""The writing half of `zarr_v2`: arrays that grow by rows, into a folder or a zip file."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.formats.zarr_v2 import ArraySpec, codec


class ChunkWriter(Protocol):
    """Where pieces are written to."""

    def put(self, name: str, data: bytes) -> None:
        """Write a piece."""

    def close(self) -> None:
        """Nothing more comes."""


class FolderWriter:
    """Pieces as files in a new folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, data: bytes) -> None:
        """Write a piece."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def close(self) -> None:
        """Nothing to do."""


class ZipWriter:
    """Pieces as members of a new zip file, stored as they are."""

    def __init__(self, path: Path) -> None:
        self._file = zipfile.ZipFile(path, "x", zipfile.ZIP_STORED, allowZip64=True)

    def put(self, name: str, data: bytes) -> None:
        """Write a piece."""
        self._file.writestr(name, data)

    def close(self) -> None:
        """Write the table of contents."""
        self._file.close()


class ArrayWriter:
    """An array that grows by rows; what is held back is less than a chunk.

    Args:
        chunk_bytes: about how large a chunk becomes.
        compressor: as numcodecs takes it; None: none.
    """

    def __init__(
        self,
        writer: ChunkWriter,
        name: str,
        dtype: Any,
        row_shape: tuple[int, ...],
        compressor: Mapping[str, Any] | None,
        chunk_bytes: int = 2**20,
    ) -> None:
        self._writer, self._name = writer, name
        self._dtype, self._row_shape = np.dtype(dtype), row_shape
        self._compressor = compressor
        row_bytes = self._dtype.itemsize * math.prod(row_shape)
        self._rows = max(1, min(4096, chunk_bytes // max(1, row_bytes)))
        self._empty = row_bytes == 0
        self._held: list[NDArray[Any]] = []
        self._waiting = self._written = self._length = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Add (n, ...) rows."""
        self._length += len(rows)
        if self._empty:
            return
        self._held.append(np.ascontiguousarray(rows, self._dtype))
        self._waiting += len(rows)
        if self._waiting >= self._rows:
            held = np.concatenate(self._held)
            whole = len(held) // self._rows * self._rows
            for start in range(0, whole, self._rows):
                self._put(held[start : start + self._rows])
            self._held, self._waiting = [held[whole:].copy()], len(held) - whole

    def close(self) -> None:
        """Write the last chunk, filled up with zeros, and the description."""
        if self._waiting:
            last = np.zeros((self._rows, *self._row_shape), self._dtype)
            last[: self._waiting] = np.concatenate(self._held)
            self._put(last)
        chunks = (self._rows, *(max(1, size) for size in self._row_shape))
        spec = ArraySpec((self._length, *self._row_shape), chunks, self._dtype, self._compressor)
        self._writer.put(f"{self._name}/.zarray", json.dumps(spec.to_json(), indent=4).encode())

    def _put(self, chunk: NDArray[Any]) -> None:
        data: Any = chunk.tobytes()
        if self._compressor is not None:
            # Blosc shuffles by the size of an item, which it takes from the array.
            data = bytes(codec(self._compressor).encode(np.ascontiguousarray(chunk)))
        index = ".".join(["0"] * len(self._row_shape))
        self._writer.put(f"{self._name}/{self._written}{'.' + index if index else ''}", data)
        self._written += 1
