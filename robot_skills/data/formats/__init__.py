"""Formats of data sets: each a reader and a writer, found by name or recognised by what lies at a path."""

from __future__ import annotations

import importlib
from pathlib import Path

from robot_skills.data.formats.base import Format, Source
from robot_skills.errors import InputError, unknown

#: name -> module, which holds a `FORMAT`. Recognised in this order.
FORMATS = {
    "native": "robot_skills.data.formats.native",
    "libero": "robot_skills.data.formats.libero",
    "robomimic": "robot_skills.data.formats.robomimic",
    "zarr": "robot_skills.data.formats.zarr",
    "lerobot": "robot_skills.data.formats.lerobot.v30",
    "lerobot-v2.1": "robot_skills.data.formats.lerobot.v21",
}


def format_named(name: str) -> Format:
    """The format of a name.

    Raises:
        InputError: there is none; or the package that reads it is not installed.
    """
    if name not in FORMATS:
        raise unknown("data set format", name, FORMATS)
    found: Format = importlib.import_module(FORMATS[name]).FORMAT
    return found


def recognise(path: Path | str) -> Format:
    """The format of what lies at a path.

    Raises:
        InputError: nothing is there, or it is of no known format.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no data set at {path}.")
    for name in FORMATS:
        found = format_named(name)
        if found.recognise(path):
            return found
    raise InputError(f"{path} is in none of the formats {', '.join(FORMATS)}: name the right folder or file.")


def open_source(path: Path | str, name: str | None = None) -> Source:
    """Open a data set of any format for reading.

    Args:
        path: where it lies.
        name: of its format; None recognises it.

    Raises:
        InputError: it is not one, or too damaged to know what it holds.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no data set at {path}.")
    return (recognise(path) if name is None else format_named(name)).open(path)
