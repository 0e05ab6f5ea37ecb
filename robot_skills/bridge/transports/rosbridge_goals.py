"""Goals of actions through a rosbridge server, ours and those of others."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Any

from robot_skills.bridge.json_codec import from_json, to_json
from robot_skills.bridge.schema import ActionType, MessageError
from robot_skills.bridge.transport import ABORTED, TransportError, in_time
from robot_skills.bridge.transports.websocket import Socket

#: A goal that is canceled is told so again after this time, and for so long, s.
AGAIN, INSISTING = 0.1, 5.0


class SentGoal:
    """A goal of ours."""

    def __init__(
        self, socket: Socket, action: str, kind: ActionType, key: str, done: Future[Mapping[str, Any]]
    ) -> None:
        self._socket, self._action, self._kind, self._key, self._done = socket, action, kind, key, done
        self._insisting = False

    def result(self, timeout: float) -> tuple[int, Any]:
        """See `Goal`."""
        said = in_time(self._done, timeout, self._action)
        values, status = said.get("values"), said.get("status", ABORTED)
        if not isinstance(values, dict):
            raise TransportError(f"{self._action} rejected the goal: {values}")
        try:
            if not isinstance(status, int):
                raise MessageError("status is not a whole number.")
            return int(status), from_json(self._kind.result, values)
        except MessageError as error:
            raise TransportError(f"{self._action} ended with no {self._kind.name}: {error}") from error

    def cancel(self) -> None:
        """See `Goal`.

        Servers refuse it, without a word that could be waited for, while a goal is not yet taken on: it is
        said again until the goal has ended.
        """
        self._say_cancel()
        if not self._insisting:
            self._insisting = True
            threading.Thread(target=self._insist, name=f"cancel {self._action}", daemon=True).start()

    def _insist(self) -> None:
        until = time.monotonic() + INSISTING
        with contextlib.suppress(TransportError):
            while not wait([self._done], AGAIN).done and time.monotonic() < until:
                self._say_cancel()

    def _say_cancel(self) -> None:
        self._socket.send(op="cancel_action_goal", id=self._key, action=self._action)


class RosbridgeGoal:
    """A goal of somebody's."""

    def __init__(self, socket: Socket, action: str, key: str, request: Any) -> None:
        self._socket = socket
        self.action, self.key, self.request = action, key, request
        self.canceled = False

    def feedback(self, message: Any) -> None:
        """See `ServedGoal`."""
        self._socket.send(op="action_feedback", id=self.key, action=self.action, values=to_json(message))
