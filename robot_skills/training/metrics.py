"""Numbers over steps: a small file of the run's own, TensorBoard, Weights & Biases.

`metrics.jsonl` holds a line for each time that something was measured: `{"step": ..., "group": ..., name:
value, ...}`. What an interrupted run wrote beyond its checkpoint is taken back when it goes on.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from robot_skills.data.files import write_text
from robot_skills.errors import InputError, require

log = logging.getLogger(__name__)

FILE = "metrics.jsonl"
#: Folder of TensorBoard's event files, and of W&B's.
LOGS = "logs"


class Logger(Protocol):
    """Where scalars go."""

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Take scalars by name."""

    def flush(self) -> None:
        """Put what was written on the disk."""

    def close(self) -> None:
        """Finish."""


class MetricLog:
    """Writes to `metrics.jsonl` and to the loggers of a recipe.

    Args:
        folder: of the run; None: nothing is written.
        first_step: what an interrupted run wrote beyond this step is taken back.
        loggers: "tensorboard" (passed over, with a warning, where it is not installed), "wandb".
        name: of the run.
        recipe: for loggers that show it.

    Raises:
        InputError: W&B is asked for and not installed, or `metrics.jsonl` is damaged.
    """

    def __init__(
        self,
        folder: Path | None,
        first_step: int,
        loggers: Sequence[str] = ("tensorboard",),
        name: str = "",
        recipe: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder, self._first_step, self._kinds = folder, first_step, loggers
        self._name, self._recipe = name, recipe or {}
        self._file: IO[str] | None = None
        self._loggers: list[Logger] = []

    def __enter__(self) -> MetricLog:
        if self._folder is None:
            return self
        path = self._folder / FILE
        kept = [row for row in read_metrics(self._folder) if row["step"] <= self._first_step]
        write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = path.open("a")
        for kind in self._kinds:
            logger = (
                _wandb(self._folder, self._name, self._recipe)
                if kind == "wandb"
                else _tensorboard(self._folder / LOGS, self._first_step)
            )
            self._loggers += [] if logger is None else [logger]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        for logger in self._loggers:
            logger.close()

    def write(
        self, group: str, values: Mapping[str, float], step: int, notes: Mapping[str, Any] | None = None
    ) -> None:
        """Write scalars under `group/name`.

        Args:
            group: what they belong to, as in "train_policy".
            values: the scalars.
            step: of all phases.
            notes: what else the run's own file holds with them.
        """
        if self._file is not None:
            row = {"step": step, "group": group, **{name: float(value) for name, value in values.items()}}
            self._file.write(json.dumps({**row, **(notes or {})}) + "\n")
        for logger in self._loggers:
            logger.write({f"{group}/{name}": value for name, value in values.items()}, step)

    def flush(self) -> None:
        """Put what was written on the disk."""
        if self._file is not None:
            self._file.flush()
        for logger in self._loggers:
            logger.flush()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """What a run measured, in order; empty if it has not begun. A last line that was cut off is left out.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    try:
        rows = [json.loads(line) for line in whole.splitlines()]
        return [{**row, "step": int(row["step"]), "group": str(row["group"])} for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}): delete it.") from error


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _tensorboard(folder: Path, first_step: int) -> Logger | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.warning("TensorBoard is not installed: no curves in it. pip install 'robot-skills[train]'")
        return None
    # The stubs of some releases know no types.
    make: Any = SummaryWriter
    return _TensorBoard(make(str(folder), purge_step=first_step + 1 if first_step else None))


class _WeightsAndBiases:
    def __init__(self, run: Any) -> None:
        self._run = run

    def write(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def flush(self) -> None:
        """W&B writes by itself."""

    def close(self) -> None:
        self._run.finish()


def _wandb(folder: Path, name: str, recipe: Mapping[str, Any]) -> Logger:
    """A W&B run, or the one that an interrupted training began; WANDB_MODE=offline keeps it on the disk."""
    wandb = require("wandb", "train-wandb")
    logs = folder / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    known = logs / "wandb_id.txt"
    if not known.is_file():
        write_text(known, uuid.uuid4().hex)
    run = wandb.init(
        project="robot-skills",
        name=name,
        id=known.read_text(),
        resume="allow",
        dir=str(logs),
        config=dict(recipe),
    )
    return _WeightsAndBiases(run)
