"""A new store that appears whole, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from robot_skills.data.formats.base import whole
from robot_skills.data.meta import META, StoreMeta
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError


def check_free(folder: Path) -> None:
    """Check that a new store may be put there.

    Raises:
        InputError: something is there already.
    """
    if (folder / META).exists():
        raise InputError(f"{folder} holds a data set already: name another folder.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists already: name a new or an empty folder.")


@contextlib.contextmanager
def new_store(folder: Path, meta: StoreMeta, info: Mapping[str, Any]) -> Iterator[EpisodeStore]:
    """An empty store under a temporary name, open for appending; it becomes `folder` at the end.

    After an error nothing is left.

    Args:
        folder: of the store.
        meta: what its episodes share.
        info: what is added to where the data came from.

    Raises:
        InputError: the folder is taken.
    """
    check_free(folder)
    if folder.exists():
        folder.rmdir()
    described = replace(meta, info={**meta.info, **info})
    with whole(folder) as made, EpisodeStore.create_from(made, described) as store:
        yield store
