"""Callbacks on a thread of their own: a slow one holds up no connection, and a flood drowns nobody."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

#: Work without a topic (services, feedback): never dropped before there is this much of it.
MUCH = 1000


class Dispatcher:
    """Runs work in its order; of each key no more than `depth` waits, and the oldest is dropped."""

    def __init__(self, name: str) -> None:
        self._ready = threading.Condition()
        self._order: deque[str] = deque()
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._over = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, work: Callable[[], None], key: str = "", depth: int = MUCH) -> None:
        """Have work done."""
        with self._ready:
            waiting = self._waiting.get(key)
            if waiting is None:
                waiting = self._waiting[key] = deque(maxlen=depth)
            if len(waiting) < depth:
                self._order.append(key)
            waiting.append(work)
            self._ready.notify()

    def close(self) -> None:
        """Do nothing more."""
        with self._ready:
            self._over = True
            self._ready.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(2.0)

    def _next(self) -> Callable[[], None] | None:
        with self._ready:
            while not self._order and not self._over:
                self._ready.wait()
            if self._over:
                return None
            return self._waiting[self._order.popleft()].popleft()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception:  # noqa: PERF203 - the next callback is owed its turn
                log.exception("A callback failed.")
