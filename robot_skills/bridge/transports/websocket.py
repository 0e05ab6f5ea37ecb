"""A websocket that carries JSON objects out, and JSON or CBOR in; messages that come in fragments."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from robot_skills.bridge.schema import MessageError
from robot_skills.bridge.transport import TransportError
from robot_skills.bridge.transports.cbor import read_cbor
from robot_skills.errors import require

log = logging.getLogger(__name__)

#: The largest message that is taken, bytes: a 4K picture in base64.
LARGEST = 48 * 2**20
#: A server that does not answer a ping for this long is gone, s.
PING = 5.0
#: Fragments of so many messages may be incomplete at a time; the oldest is given up.
INCOMPLETE = 16
#: What a fragment takes beside its text, bytes: many empty ones fill memory too.
PART = 128
#: Kept: `json.dumps` makes an encoder each time that it is given an option.
_written = json.JSONEncoder(allow_nan=False, check_circular=False).encode


class Socket:
    """One websocket: operations out, and in.

    Args:
        url: of the server.
        receive: called with each object on the socket's thread; it returns soon.
        lost: called once when the connection ends by itself.
    """

    def __init__(
        self, url: str, receive: Callable[[dict[str, Any]], None], lost: Callable[[str], None]
    ) -> None:
        client = require("websockets.sync.client", "bridge")
        require("cbor2", "bridge")  # which the first picture needs
        self._url, self._receive, self._lost = url, receive, lost
        self._closed = require("websockets.exceptions", "bridge").ConnectionClosed
        try:
            self._socket = client.connect(
                url, compression=None, max_size=LARGEST, open_timeout=5.0, close_timeout=1.0,
                ping_interval=PING / 2, ping_timeout=PING,
            )  # fmt: skip
        except (OSError, TimeoutError, ValueError) as error:
            raise TransportError(f"No rosbridge server at {url}: {error}.") from error
        except Exception as error:  # websockets' own: the address or the answer is no websocket's
            raise TransportError(f"{url} is not a rosbridge server: {error}.") from error
        self._ending = False
        self._fragments = Fragments()
        self._thread = threading.Thread(target=self._read, name="rosbridge", daemon=True)
        self._thread.start()

    def send(self, **operation: Any) -> None:
        """Send an operation.

        Raises:
            TransportError: the connection is lost.
        """
        try:
            self._socket.send(_written(operation))
        except (self._closed, OSError) as error:
            raise TransportError(f"The connection to {self._url} is lost.") from error

    def close(self) -> None:
        """End it."""
        self._ending = True
        self._socket.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(2.0)

    def _read(self) -> None:
        try:
            for frame in self._socket:
                self._take(frame)
        except Exception as error:
            log.debug("The connection to %s ended: %s", self._url, error)
        if not self._ending:
            self._lost(f"The connection to {self._url} is lost.")

    def _take(self, frame: str | bytes) -> None:
        try:
            operation = json.loads(frame) if isinstance(frame, str) else read_cbor(frame)
        except (ValueError, RecursionError):
            log.warning("%s sent what is not %s.", self._url, "JSON" if isinstance(frame, str) else "CBOR")
            return
        if not isinstance(operation, dict) or not isinstance(operation.get("op"), str):
            log.warning("%s sent what is no operation.", self._url)
        elif operation["op"] == "fragment":
            self._join(operation)
        else:
            self._receive(operation)

    def _join(self, fragment: Mapping[str, Any]) -> None:
        try:
            text = self._fragments.add(fragment)
        except MessageError as error:
            log.warning("%s: %s", self._url, error)
            return
        if text is not None:
            self._take(text)


class Fragments:
    """Messages that come in parts: so many at a time, and together no larger than the largest message."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, str]] = {}
        self._size = 0

    def add(self, fragment: Mapping[str, Any]) -> str | None:
        """Keep a part of a message; with its last part, the message.

        Raises:
            MessageError: it is no fragment, or too much waits for its other parts: the oldest is given up.
        """
        number, total, data = (fragment.get(name) for name in ("num", "total", "data"))
        if not (isinstance(number, int) and isinstance(total, int) and isinstance(data, str)):
            raise MessageError("a fragment is none: num and total are whole numbers, data is a text.")
        key = str(fragment.get("id"))
        parts = self._waiting.setdefault(key, {})
        self._size += PART + len(data) - (PART + len(parts[number]) if number in parts else 0)
        parts[number] = data
        if len(parts) == total:
            self._give_up(key)
            return "".join(parts[index] for index in sorted(parts))
        if self._size > LARGEST or len(self._waiting) > INCOMPLETE:
            oldest = next(iter(self._waiting))
            self._give_up(oldest)
            raise MessageError(f"fragments without end: message {oldest!r} is given up.")
        return None

    def _give_up(self, key: str) -> None:
        self._size -= sum(PART + len(data) for data in self._waiting.pop(key).values())
