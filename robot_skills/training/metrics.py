"""Numbers over steps, for TensorBoard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)


class MetricLog:
    """Writes scalars for TensorBoard; without TensorBoard installed it says so once and writes nothing.

    Args:
        folder: of the event files.
        first_step: what an interrupted run logged beyond this step is taken back.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._folder, self._first_step = folder, first_step
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> MetricLog:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.warning("TensorBoard is not installed: no curves. pip install 'robot-skills[train]'")
            return self
        purge = self._first_step + 1 if self._first_step else None
        self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Write scalars under `group/name`."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def flush(self) -> None:
        """Put what was written on the disk."""
        if self._writer is not None:
            self._writer.flush()
