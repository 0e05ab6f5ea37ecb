"""Parquet tables of a LeRobotDataset: columns of numbers to arrays and back, and columns of PNG images."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.formats.base import DataError, Problem
from robot_skills.data.formats.border import FOREIGN, border, wrong
from robot_skills.data.formats.lerobot.frames import FrameRows
from robot_skills.data.meta import Feature
from robot_skills.errors import require
from robot_skills.robot import Image

#: Rows of a table with images that are written, and so read, at a time.
BLOCK = 64
PANDAS_TYPES = {"int64": ("int64", "int64"), "string": ("unicode", "object")}


def parquet() -> Any:
    """`pyarrow.parquet`.

    Raises:
        InputError: pyarrow is not installed.
    """
    return require("pyarrow.parquet", "data")


def open_table(path: Path) -> Any:
    """A Parquet file; checksums of its pages, where it has any, are compared."""
    return parquet().ParquetFile(path, page_checksum_verification=True, pre_buffer=False)


def read_list(root: Path, name: str) -> list[dict[str, Any]]:
    """All rows of a small table as Python values.

    Raises:
        DataError: it is missing or damaged.
    """
    if not (root / name).is_file():
        raise wrong(root, "missing", f"There is no {name}.")
    with border(root, name), open_table(root / name) as file:
        columns = [key for key in file.schema_arrow.names if not key.startswith("stats/")]
        rows: list[dict[str, Any]] = file.read(columns=columns, use_threads=False).to_pylist()
        return rows


class TableRows:
    """Rows of numbers of Parquet files; what was read last is kept, for the next episode in the same file.

    Raises:
        DataError: by `read`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: tuple[Any, Any] = (None, None)

    def read(
        self, name: str, columns: Sequence[str], rows: slice, episode: int
    ) -> tuple[dict[str, Any], int]:
        """Read columns.

        Args:
            name: of the file.
            columns: their names.
            rows: of the file; a stop of None takes all of them.
            episode: for errors.

        Returns:
            The columns as Arrow's, and how many rows the file has.
        """
        if not (self._root / name).is_file():
            raise wrong(self._root, "missing", f"There is no {name}.", episode)
        with border(self._root, name, episode), open_table(self._root / name) as file:
            absent = [key for key in columns if key not in file.schema_arrow.names]
            if absent:
                raise wrong(self._root, "missing", f"{name} has no column {absent[0]!r}.", episode)
            total = file.metadata.num_rows
            stop = total if rows.stop is None else rows.stop
            groups, first = groups_of(file.metadata, rows.start, stop)
            key = (name, tuple(columns), tuple(groups))
            if self._kept[0] != key:
                self._kept = (None, None)
                self._kept = (key, file.read_row_groups(groups, columns=list(columns), use_threads=False))
            found = self._kept[1].slice(rows.start - first, max(0, stop - rows.start))
            return {column: found.column(column) for column in columns}, total


def groups_of(metadata: Any, start: int, stop: int) -> tuple[list[int], int]:
    """The row groups that hold rows, and the first row of the first of them."""
    groups: list[int] = []
    first = row = 0
    for group in range(metadata.num_row_groups):
        end = row + metadata.row_group(group).num_rows
        if row < stop and end > start:
            first = first if groups else row
            groups.append(group)
        row = end
    return groups, first


def numbers(column: Any, feature: Feature) -> NDArray[Any]:
    """(N, ...) the numbers of an Arrow column of plain values or of lists of lists.

    Raises:
        ValueError: there are nulls, rows of another shape, or numbers that the feature's type cannot hold.
    """
    parts = [_flat(chunk) for chunk in column.chunks]
    dtype = np.dtype(feature.dtype)
    values = np.concatenate(parts) if parts else np.zeros(0, dtype)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"it holds {values.dtype}, not numbers")
    with np.errstate(invalid="ignore", over="ignore"):
        found = values.astype(dtype)
    if dtype.kind in "biu" and not np.array_equal(found, values):
        raise ValueError(f"it holds numbers that are not {dtype}")
    if len(values) != len(column) * int(np.prod(feature.shape)):
        raise ValueError(f"its rows should have the shape {list(feature.shape)}")
    return found.reshape(len(column), *feature.shape)


def _flat(array: Any) -> NDArray[Any]:
    pa = require("pyarrow", "data")
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if array.null_count:
            raise ValueError("it has empty cells")
        if not (pa.types.is_list(array.type) or _is_list(pa, array.type)):
            values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
            return values
        array = array.flatten()


def _is_list(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def column_of(rows: NDArray[Any]) -> Any:
    """The Arrow column of (N, ...) rows: plain values, lists of a fixed size, or lists of lists."""
    pa = require("pyarrow", "data")
    rows = np.ascontiguousarray(rows)
    flat = rows.reshape(-1).astype(rows.dtype.newbyteorder("="), copy=False)
    array = pa.array(flat)
    if rows[0].size == 1 and rows.ndim <= 2:
        return array
    if rows.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(array, rows.shape[1])
    for size in reversed(rows.shape[1:]):  # as `datasets` holds its Array2D to Array5D
        offsets = np.arange(0, len(array) + 1, size, dtype=np.int32)
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array


def schema_of(table: Any, features: Mapping[str, Mapping[str, Any]]) -> Any:
    """A table's schema with what the `datasets` package needs to know its columns again."""
    described = {name: _described(features[name]) for name in table.schema.names}
    return table.schema.with_metadata(
        {b"huggingface": json.dumps({"info": {"features": described}}).encode()}
    )


def _described(value: Mapping[str, Any]) -> dict[str, Any]:
    shape = list(value["shape"])
    if value["dtype"] == "image":
        return {"_type": "Image"}
    if shape == [1]:
        return {"dtype": value["dtype"], "_type": "Value"}
    if len(shape) == 1:  # "Sequence" is read by `datasets` 3 and 4, "List" by 4 alone
        inner = {"dtype": value["dtype"], "_type": "Value"}
        return {"feature": inner, "length": shape[0], "_type": "Sequence"}
    return {"shape": shape, "dtype": value["dtype"], "_type": f"Array{len(shape)}D"}


def write_tasks(tasks: Sequence[str], path: Path) -> None:
    """Write `meta/tasks.parquet`: a pandas table of `task_index` with the texts as its index."""
    pa = require("pyarrow", "data")
    table = pa.table(
        {"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())}
    )
    columns = [
        {"name": name, "field_name": name, "pandas_type": kinds[0], "numpy_type": kinds[1], "metadata": None}
        for name, kinds in (("task_index", PANDAS_TYPES["int64"]), ("task", PANDAS_TYPES["string"]))
    ]
    described = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": columns,
        "pandas_version": "2.2.3",
    }
    table = table.replace_schema_metadata({b"pandas": json.dumps(described).encode()})
    parquet().write_table(table, path, write_page_checksum=True)


# Images in a table -----------------------------------------------------------------------------------


def png(image: Image, level: int) -> bytes:
    """An image as a PNG file.

    Args:
        image: (H, W, 3) uint8.
        level: zlib's, 1 to 9.
    """
    pil, file = require("PIL.Image", "video"), io.BytesIO()
    pil.fromarray(np.ascontiguousarray(image)).save(file, format="PNG", compress_level=level)
    return file.getvalue()


def image_column(images: Sequence[bytes], names: Sequence[str]) -> Any:
    """The Arrow column of image files as the `datasets` package holds them."""
    pa = require("pyarrow", "data")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": data, "path": name} for data, name in zip(images, names, strict=True)], kind)


class ImageRows(FrameRows):
    """The images of an episode in a table's column.

    Args:
        root: of the data set.
        name: of the file.
        column: of the images.
        start: the episode's first row in the file.
        length: N.
        size: height and width, px.
        episode: for errors.
    """

    def __init__(
        self, root: Path, name: str, column: str, start: int, length: int, size: tuple[int, int], episode: int
    ) -> None:
        super().__init__(length, size)
        self._root, self._name, self._column = root, name, column
        self._start, self._episode = start, episode
        self._block: tuple[int, list[Any]] = (0, [])
        self._blocks: Iterator[tuple[int, list[Any]]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """An open file stays in its process."""
        return {**self.__dict__, "_block": (0, []), "_blocks": None}

    def _decode(self, rows: Sequence[int]) -> Iterator[tuple[int, Image]]:
        for row in rows:
            with border(self._root, self._name, self._episode):
                cell = self._cell(self._start + row)
            yield row, self._image(cell, row)

    def _cell(self, row: int) -> Any:
        """A cell of the file, by going on from where it was read last if that is before it."""
        first, cells = self._block
        if self._blocks is None or not first <= row < first + len(cells) + 4 * BLOCK:
            self._blocks = self._read_from(row)
            self._block = (row, [])
        while row >= self._block[0] + len(self._block[1]):
            block = next(self._blocks, None)
            if block is None:
                raise ValueError(f"it ends before row {row}")
            self._block = block
        return self._block[1][row - self._block[0]]

    def _read_from(self, row: int) -> Iterator[tuple[int, list[Any]]]:
        with open_table(self._root / self._name) as file:
            groups, first = groups_of(file.metadata, row, file.metadata.num_rows)
            for batch in file.iter_batches(BLOCK, groups, columns=[self._column], use_threads=False):
                yield first, batch.column(0).to_pylist()
                first += len(batch)

    def _image(self, cell: Any, row: int) -> Image:
        pil = require("PIL.Image", "video")
        try:
            data = cell["bytes"]
            if data is None:  # the image is a file of its own
                file = (self._root / str(cell["path"])).resolve()
                if not file.is_relative_to(self._root.resolve()):
                    raise ValueError(f"{cell['path']} lies outside the data set")
                data = file.read_bytes()
            with pil.open(io.BytesIO(data)) as file:
                image = np.asarray(file.convert("RGB"))
        except (*FOREIGN, SyntaxError, pil.DecompressionBombError, struct.error, zlib.error) as error:
            raise self._wrong(row, f"cannot be decoded ({' '.join(str(error).split())[:200]})") from error
        if image.shape != self.shape[1:]:
            raise self._wrong(row, f"is {image.shape[0]} x {image.shape[1]} px, not {self.shape[1:3]}")
        return image

    def _wrong(self, row: int, what: str) -> DataError:
        message = f"{self._name}: the image in {self._column} {what}."
        return DataError(Problem("image", message, self._episode, row), self._root)
