"""What the verbs share: the console, checks of output files, and files written whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console


def make_console(*, stderr: bool = False) -> Console:
    """The console on standard output, or error; paths and commands in it are never broken or coloured."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, stderr=stderr)


def escape(text: str) -> str:
    """Text for a console line with marks, such that brackets in it stay brackets."""
    from rich.markup import escape as escaped

    return escaped(text)


def check_output(path: Path | None, suffix: str | None = None) -> None:
    """Check that a file can be written, before the work that fills it; nothing is created.

    Raises:
        InputError: it is a folder, lies below something that is no folder, may not be written, or has
            another suffix.
    """
    if path is None:
        return
    if suffix is not None and path.suffix.lower() != suffix:
        raise InputError(f"The file {str(path)!r} must end in {suffix}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file in it.")
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(f"{path} cannot be written: {parent} is not a folder.")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{path} cannot be written: no permission in {parent}.")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` at the end, and vanishes after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path | None, data: Any) -> None:
    """Write a result for machines; None writes nothing."""
    if path is not None:
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(data, indent=2) + "\n")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drop what native libraries print (PyBullet greets on both streams when it loads and connects)."""
    sys.stdout.flush()
    sys.stderr.flush()
    libc = ctypes.CDLL(None)
    libc.fflush(None)
    kept = os.dup(1), os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        os.dup2(null, 2)
        yield
    finally:
        libc.fflush(None)  # what lies in C's buffers goes where it was printed to
        for stream, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
        os.close(null)
