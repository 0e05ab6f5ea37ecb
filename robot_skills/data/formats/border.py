"""The border to other people's files: whatever their libraries raise leaves here as one clear line."""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from robot_skills.data.formats.base import DataError, Problem
from robot_skills.errors import InputError

#: What h5py, zarr's codecs, zipfile, json and NumPy raise over a damaged file. A `RecursionError` (deeply
#: nested JSON) and a `NotImplementedError` (a zip method) are RuntimeErrors.
FOREIGN = (
    *(OSError, ValueError, LookupError, RuntimeError, TypeError, AttributeError, ArithmeticError),
    *(EOFError, MemoryError, struct.error, zipfile.BadZipFile, zlib.error),
)


@contextlib.contextmanager
def border(path: Path, what: str, episode: int | None = None) -> Iterator[None]:
    """Translate the errors of a foreign library.

    Args:
        path: of the data set.
        what: was being read, as in "data/demo_3/actions".
        episode: its number, where one was being read.

    Raises:
        DataError: for anything in `FOREIGN`; errors that are clear already pass.
    """
    try:
        yield
    except InputError:
        raise
    except FOREIGN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        message = f"{what} cannot be read ({reason[:200]}). The file is damaged: copy the data set again."
        raise DataError(Problem("damaged", message, episode), path) from error


def wrong(path: Path, kind: str, message: str, episode: int | None = None) -> DataError:
    """The error for what can be read and is not right."""
    return DataError(Problem(kind, message, episode), path)
