"""Chunks whose actions an arm is told before they come, so that its motion need not stop between them."""

from __future__ import annotations

from collections.abc import Callable

from robot_skills.bridge.arm import RosArm
from robot_skills.execution import ChunkSource, Pending
from robot_skills.policies.policy import Chunk, PolicyInput


class ForeseenChunks:
    """A source of chunks that tells the arm, and who else listens, of each chunk before its actions come."""

    def __init__(
        self, source: ChunkSource, arm: RosArm, told: Callable[[Chunk], None] = lambda chunk: None
    ) -> None:
        self._source, self._arm, self._told = source, arm, told

    @property
    def cameras(self) -> tuple[str, ...]:
        """See `ChunkSource`."""
        return self._source.cameras

    @property
    def history(self) -> int:
        """See `ChunkSource`."""
        return self._source.history

    @property
    def execute(self) -> int:
        """See `ChunkSource`."""
        return self._source.execute

    def request(self, given: PolicyInput) -> Pending:
        """See `ChunkSource`."""
        return _Told(self._source.request(given), self._arm, self._told)


class _Told:
    def __init__(self, pending: Pending, arm: RosArm, told: Callable[[Chunk], None]) -> None:
        self._pending, self._arm, self._told = pending, arm, told

    def result(self, timeout: float | None = None) -> Chunk:
        chunk = self._pending.result(timeout)
        self._arm.foresee(chunk.actions)
        self._told(chunk)
        return chunk
