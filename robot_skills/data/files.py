"""The files of a store: written whole or appended to, locked against a second writer, read back."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from robot_skills.data.episode import EpisodeRecord, line_crc
from robot_skills.data.meta import META
from robot_skills.errors import InputError

EPISODES, LOCK, TEXTS = "episodes.jsonl", ".lock", "texts"
#: Attributes longer than this lie in `texts`; the episode's line then holds {TEXT_KEY: sha256}.
LONG_TEXT, TEXT_KEY = 4096, "$text"


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, sync it, then give it its name."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:  # as given: no line end is translated
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_all(file: FileIO, data: bytes) -> None:
    """Write all of it; an unbuffered file may take less at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def keep_text(folder: Path, value: Any) -> Any:
    """Write a long text of a store's attributes once, and give its reference; else the value as it is."""
    if not isinstance(value, str) or len(value) <= LONG_TEXT:
        return value
    name = hashlib.sha256(value.encode()).hexdigest()
    path = folder / TEXTS / f"{name}.txt"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_text(path, value)
    return {TEXT_KEY: name}


def resolve_text(folder: Path, value: Any) -> Any:
    """The inverse of `keep_text`.

    Raises:
        InputError: the text is missing or damaged.
    """
    if not isinstance(value, dict) or set(value) != {TEXT_KEY}:
        return value
    path = folder / TEXTS / f"{value[TEXT_KEY]}.txt"
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is missing or damaged: {error}. Copy the data set again.") from error
    if hashlib.sha256(text.encode()).hexdigest() != value[TEXT_KEY]:
        raise InputError(f"{path} is damaged: its content does not match its name. Copy the data set again.")
    return text


def check_description(folder: Path) -> None:
    """Compare a store's `meta.json` with its checksum, where it has one.

    Raises:
        InputError: they differ.
    """
    content = json.loads((folder / META).read_text())
    if content.get("crc") not in (None, line_crc(content)):
        raise InputError(
            f"{folder / META} is not as it was written: copy the data set again, or, if it was changed on "
            'purpose, take its key "crc" out.'
        )


def read_episodes(folder: Path) -> tuple[list[EpisodeRecord], int]:
    """Read the committed lines; a last line without its newline was never committed.

    Returns:
        The records, and the length in bytes of their lines.
    """
    path = folder / EPISODES
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    committed = content.rfind(b"\n") + 1
    records: list[EpisodeRecord] = []
    for number, line in enumerate(content[:committed].splitlines(), start=1):
        start = records[-1].rows.stop if records else 0
        try:
            record = EpisodeRecord.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(f"{path}, line {number} is damaged: {error!r}.") from error
        if (record.episode, record.start) != (number - 1, start) or record.length < 1:
            raise InputError(
                f"{path}, line {number} should be episode {number - 1} from row {start}, "
                f"not episode {record.episode} from row {record.start} with {record.length} rows."
            )
        records.append(record)
    return records, committed


def take_lock(folder: Path) -> BinaryIO:
    """Lock a store against a second writer; the lock goes when the process does."""
    file = (folder / LOCK).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise InputError(f"Another process is appending to {folder}: wait for it, or stop it.") from error
    return file
