"""Where a run of practice is, on the disk."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from robot_skills.errors import InputError, JobError
from robot_skills.residual.config import RefineConfig
from robot_skills.training.configuration import to_mapping

CHECKPOINT, FORMAT_VERSION = "checkpoint.safetensors", 1


@dataclass
class Position:
    """Where a run is; what a checkpoint holds beside tensors.

    Attributes:
        episodes: learned from.
        steps: control steps of these.
        owed: updates that their steps have earned and that are not done.
        filled: whether the replay is filled and the critics know the base's value.
        evaluated: steps at which the last evaluation was begun; -1: none was.
        base: success of the base on the evaluation's seeds, by seed.
        best: successes of the best correction so far on them; it is the base's at first.
        best_steps: at which it was evaluated.
        rollbacks: how often a correction was taken back.
        recent: whether the last episodes of practice succeeded.
        seconds: wall time, by what it was spent on.
    """

    episodes: int = 0
    steps: int = 0
    owed: float = 0.0
    filled: bool = False
    evaluated: int = -1
    base: dict[str, bool] = field(default_factory=dict)
    best: int = -1
    best_steps: int = 0
    rollbacks: int = 0
    recent: list[bool] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def write_checkpoint(
    folder: Path, position: Position, config: RefineConfig, tensors: Mapping[str, Tensor]
) -> None:
    """Write a run's checkpoint, or leave the one before it as it was.

    Raises:
        JobError: the folder cannot be written.
    """
    told = {"position": asdict(position), "config": to_mapping(config)}
    header = {"format_version": str(FORMAT_VERSION), "told": json.dumps(told)}
    temporary = folder / f".{CHECKPOINT}.tmp"
    with enough_room(folder):
        save_file(dict(tensors), temporary, metadata=header)
        temporary.replace(folder / CHECKPOINT)


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint says, and its tensors.

    Raises:
        InputError: it is damaged, or of another format version.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            keys: list[str] = list(file.keys())
            tensors = {key: file.get_tensor(key) for key in keys}
        version, told = header["format_version"], json.loads(header["told"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}. Delete it: its episodes are kept.") from error
    if version != str(FORMAT_VERSION):
        raise InputError(f"{path} has format version {version}; this release reads {FORMAT_VERSION}.")
    return told, tensors


@contextlib.contextmanager
def enough_room(folder: Path) -> Iterator[None]:
    """Say what to do where the disk is full.

    Raises:
        JobError: it is.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise JobError(
            f"{folder} cannot be written: {error}. What was practised so far is kept: make room, and go on "
            "with --resume."
        ) from error
