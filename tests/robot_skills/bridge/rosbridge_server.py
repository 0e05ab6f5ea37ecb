"""A server of the tests' own in place of rosbridge's: it says whatever it is told to."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

server = pytest.importorskip("websockets.sync.server")


class Server:
    """A websocket server: what clients say is kept, and `answer` may say something to it."""

    def __init__(self) -> None:
        self.heard: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answer: Callable[[dict[str, Any]], list[Any]] = lambda said: []
        self.connections: list[Any] = []
        self._server = server.serve(self._serve, "127.0.0.1", 0, max_size=None)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def say(self, *frames: Any) -> None:
        """Send frames to the client: texts and bytes as they are, anything else as JSON."""
        for frame in frames:
            self.connections[0].send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

    def close(self) -> None:
        self._server.shutdown()

    def _serve(self, connection: Any) -> None:
        self.connections.append(connection)
        with contextlib.suppress(Exception):
            for text in connection:
                said = json.loads(text)
                self.heard.put(said)
                self.say(*self.answer(said))


@contextlib.contextmanager
def logged() -> Iterator[list[logging.LogRecord]]:
    """What the bridge logs."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("robot_skills.bridge")
    logger.addHandler(handler)
    try:
        yield records
    finally:
        logger.removeHandler(handler)
