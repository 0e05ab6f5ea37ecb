"""Arrays of zarr's second format, read and written a run of rows at a time.

This is the part of the specification (zarr-specs.readthedocs.io, v2) that replay buffers use: arrays in C
order, chunked along the rows, in a folder or a zip file, with any compressor that numcodecs knows. The zarr
package itself is not used, for two reasons: it reads a missing chunk as the fill value without a word, and
its releases 2 and 3 have different interfaces while the files are the same.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.formats.border import border, wrong
from robot_skills.errors import require

#: Bytes of a decoded chunk beyond which a `.zarray` is not believed.
LARGEST_CHUNK = 2**31
#: Decoded chunks that an array keeps.
KEPT_CHUNKS = 2
BLOSC_HEADER = 16


class Keys(Protocol):
    """Where the pieces of a zarr hierarchy lie: name -> bytes."""

    @property
    def path(self) -> Path:
        """Of the folder or the file."""

    def get(self, name: str) -> bytes | None:
        """A piece; None if there is none of that name."""

    def names(self) -> set[str]:
        """The names of the groups' and arrays' descriptions (`.zgroup`, `.zarray`, `.zattrs`)."""


class FolderKeys:
    """A hierarchy in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str) -> bytes | None:
        """A piece; None if there is none of that name."""
        file = self.path / name
        return file.read_bytes() if file.is_file() else None

    def names(self) -> set[str]:
        """The names of the descriptions; the folders of the chunks are not walked through."""
        found: set[str] = set()
        folders = [self.path]
        while folders:
            folder = folders.pop()
            here = {entry.name for entry in os.scandir(folder) if entry.name.startswith(".z")}
            found.update(str((folder / name).relative_to(self.path)) for name in here)
            if ".zarray" not in here:
                folders.extend(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
        return found


class ZipKeys:
    """A hierarchy in a zip file. The handle is opened anew in a forked process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: zipfile.ZipFile | None = None
        self._owner = 0

    def _zip(self) -> zipfile.ZipFile:
        if self._file is None or self._owner != os.getpid():
            self._file, self._owner = zipfile.ZipFile(self.path), os.getpid()
        return self._file

    def get(self, name: str) -> bytes | None:
        """A piece, its checksum compared; None if there is none of that name."""
        try:
            info = self._zip().getinfo(name)
        except KeyError:
            return None
        return self._zip().read(info)

    def names(self) -> set[str]:
        """The names of the descriptions."""
        return {name for name in self._zip().namelist() if name.rpartition("/")[2].startswith(".z")}


def open_keys(path: Path) -> Keys:
    """The pieces of a folder or of a zip file."""
    return FolderKeys(path) if path.is_dir() else ZipKeys(path)


def read_json(keys: Keys, name: str) -> dict[str, Any]:
    """One of the descriptions; empty if there is none.

    Raises:
        DataError: it is no JSON object.
    """
    with border(keys.path, name):
        found = json.loads(keys.get(name) or b"{}")
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        return found


@dataclass(frozen=True)
class ArraySpec:
    """What a `.zarray` says.

    Attributes:
        shape: (N, ...).
        chunks: of a chunk; those at the end are stored whole, their surplus is not used.
        dtype: of the numbers.
        compressor: as numcodecs takes it; None: none.
        filters: as numcodecs takes them, in the order of writing.
        separator: between the indices in a chunk's name.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    compressor: Mapping[str, Any] | None
    filters: tuple[Mapping[str, Any], ...] = ()
    order: str = "C"
    separator: str = "."

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ArraySpec:
        """Read a `.zarray`.

        Raises:
            ValueError, KeyError, TypeError: it is not one, or not one that can be read.
        """
        if data["zarr_format"] != 2:
            raise ValueError(f"it is of zarr format {data['zarr_format']}, not 2")
        if not isinstance(data["dtype"], str):
            raise ValueError("it holds records, not numbers")
        shape = tuple(int(size) for size in data["shape"])
        chunks = tuple(int(size) for size in data["chunks"])
        spec = cls(
            shape,
            chunks,
            np.dtype(data["dtype"]),
            data["compressor"],
            tuple(data.get("filters") or ()),
            str(data["order"]),
            str(data.get("dimension_separator", ".")),
        )
        if len(shape) != len(chunks) or min(shape, default=0) < 0 or min(chunks, default=1) < 1:
            raise ValueError(f"the shape {shape} does not go with chunks of {chunks}")
        if max(spec.chunk_bytes, math.prod(shape[1:]) * spec.dtype.itemsize) > LARGEST_CHUNK:
            raise ValueError(f"its rows of {shape[1:]} in chunks of {chunks} are too large")
        if spec.order not in ("C", "F") or spec.separator not in (".", "/"):
            raise ValueError("its order or its separator is none of zarr's")
        return spec

    @property
    def chunk_bytes(self) -> int:
        """Of one chunk, decoded."""
        return self.dtype.itemsize * math.prod(self.chunks)

    def to_json(self) -> dict[str, Any]:
        """The content of `.zarray`."""
        return {
            "zarr_format": 2,
            "shape": list(self.shape),
            "chunks": list(self.chunks),
            "dtype": self.dtype.str,
            "compressor": self.compressor,
            "fill_value": 0 if self.dtype.kind != "b" else False,
            "filters": list(self.filters) or None,
            "order": self.order,
            "dimension_separator": self.separator,
        }


class ZarrArray:
    """(N, ...) rows of an array; `array[start:stop]` decodes the chunks that they lie in.

    Raises:
        DataError: of making one: there is no such array, or its description is damaged; of a slice: a
            chunk is missing or damaged.
    """

    def __init__(self, keys: Keys, name: str) -> None:
        self.keys, self.name = keys, name
        with border(keys.path, f"{name}/.zarray"):
            found = keys.get(f"{name}/.zarray")
            if found is None:
                raise wrong(keys.path, "missing", f"There is no array {name!r}.")
            self.spec = ArraySpec.from_json(json.loads(found))
        self._chunks: OrderedDict[tuple[int, ...], NDArray[Any]] = OrderedDict()

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers, little-endian."""
        return self.spec.dtype.newbyteorder("<")

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(self.shape[0])
        return self.rows(start, stop)

    def rows(self, start: int, stop: int, episode: int | None = None) -> NDArray[Any]:
        """The rows from `start` up to `stop`; `episode` is named in errors."""
        out = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        if out.size == 0:
            return out
        length = self.spec.chunks[0]
        grids = [range(-(-n // c)) for n, c in zip(self.shape[1:], self.spec.chunks[1:], strict=True)]
        for row in range(start // length, -(-stop // length)):
            first, last = max(start, row * length), min(stop, (row + 1) * length)
            for rest in np.ndindex(*map(len, grids)):
                chunk = self._chunk((row, *rest), episode)
                places = [
                    slice(i * c, min((i + 1) * c, n))
                    for i, c, n in zip(rest, self.spec.chunks[1:], self.shape[1:], strict=True)
                ]
                inside = [slice(0, place.stop - place.start) for place in places]
                taken = chunk[(slice(first - row * length, last - row * length), *inside)]
                out[(slice(first - start, last - start), *places)] = taken
        return out

    def _chunk(self, index: tuple[int, ...], episode: int | None) -> NDArray[Any]:
        if index not in self._chunks:
            while len(self._chunks) >= KEPT_CHUNKS:
                self._chunks.popitem(last=False)
            self._chunks[index] = self._decode(index, episode)
        self._chunks.move_to_end(index)
        return self._chunks[index]

    def _decode(self, index: tuple[int, ...], episode: int | None) -> NDArray[Any]:
        spec, path = self.spec, self.keys.path
        name = f"{self.name}/{spec.separator.join(map(str, index))}"
        with border(path, f"chunk {name}", episode):
            data: Any = self.keys.get(name)
            if data is None:
                message = (
                    f"The chunk {name} is missing; zarr would read it as zeros. Copy the data set again."
                )
                raise wrong(path, "missing_chunk", message, episode)
            if spec.compressor is not None:
                if spec.compressor.get("id") == "blosc":
                    _check_blosc(data, spec.chunk_bytes)
                data = codec(spec.compressor).decode(data)
            for step in reversed(spec.filters):
                data = codec(step).decode(data)
            flat = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data
            raw = np.ascontiguousarray(flat).reshape(-1).view(np.uint8)
            if raw.nbytes != spec.chunk_bytes:
                raise ValueError(f"it holds {raw.nbytes:,} bytes, not {spec.chunk_bytes:,}")
            return raw.view(spec.dtype).reshape(spec.chunks, order=spec.order)  # type: ignore[call-overload, no-any-return]


def codec(settings: Mapping[str, Any]) -> Any:
    """The compressor or filter of a description.

    Raises:
        ValueError: numcodecs has none of that name.
    """
    return require("numcodecs", "data").get_codec(dict(settings))


def _check_blosc(data: bytes, expected: int) -> None:
    """Compare the sizes in Blosc's header, which it trusts: of the content at 4, of everything at 12."""
    if len(data) < BLOSC_HEADER:
        raise ValueError(f"it is cut off after {len(data)} bytes")
    content, total = (int.from_bytes(data[at : at + 4], "little") for at in (4, 12))
    if total != len(data) or content != expected:
        raise ValueError(f"{len(data):,} bytes for {expected:,}, its header says {total:,} for {content:,}")
