"""A transport within this process, for rehearsals and tests: everyone on the same `domain` hears each other.

Messages travel as CDR bytes, so what does not fit its type fails here as it would on a wire.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import Any, TypeVar

from robot_skills.bridge.cdr import decode, encode
from robot_skills.bridge.schema import ActionType, ServiceType, ros_name
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import (
    ABORTED,
    COMMANDS,
    Execute,
    Goal,
    Quality,
    TransportError,
    in_time,
)
from robot_skills.bridge.transports.dispatch import Dispatcher

M = TypeVar("M")


class _Domain:
    """What is on one graph."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers: dict[str, list[MemoryTransport]] = defaultdict(list)
        self.kinds: dict[str, type] = {}
        self.latched: dict[str, bytes] = {}
        self.services: dict[str, tuple[MemoryTransport, Callable[[Any], Any]]] = {}
        self.actions: dict[str, tuple[MemoryTransport, Execute, Callable[[Any], bool]]] = {}


_DOMAINS: dict[int, _Domain] = defaultdict(_Domain)


class MemoryTransport:
    """See the module."""

    def __init__(self, settings: TransportSettings) -> None:
        self._domain = _DOMAINS[settings.domain]
        self._callbacks: dict[str, list[tuple[type, Callable[[Any], None], int]]] = defaultdict(list)
        self._work = Dispatcher("memory transport")
        self._closed = False

    def publisher(self, topic: str, kind: type[M], quality: Quality = COMMANDS) -> Callable[[M], None]:
        """See `Transport`."""
        domain = self._domain
        with domain.lock:
            domain.kinds[topic] = kind

        def publish(message: M) -> None:
            if self._closed:
                raise TransportError(f"The transport is closed; nothing was sent to {topic}.")
            data = encode(message)
            with domain.lock:
                if quality.latched:
                    domain.latched[topic] = data
                readers = list(domain.readers[topic])
            for reader in readers:
                reader._deliver(topic, data)

        return publish

    def subscribe(
        self, topic: str, kind: type[M], callback: Callable[[M], None], quality: Quality = COMMANDS
    ) -> None:
        """See `Transport`."""
        with self._domain.lock:
            self._domain.kinds.setdefault(topic, kind)
            self._callbacks[topic].append((kind, callback, quality.depth))
            if self not in self._domain.readers[topic]:
                self._domain.readers[topic].append(self)
            kept = self._domain.latched.get(topic) if quality.latched else None
        if kept is not None:
            self._deliver(topic, kept)

    def call(self, service: str, kind: ServiceType, request: Any, timeout: float) -> Any:
        """See `Transport`."""
        with self._domain.lock:
            found = self._domain.services.get(service)
        if found is None:
            raise TransportError(f"Nobody offers the service {service}.")
        server, handler = found
        answer: Future[bytes] = Future()
        server._work.put(lambda: _settle(answer, lambda: encode(handler(request))))
        try:
            return decode(kind.response, answer.result(timeout))
        except FutureTimeoutError:
            raise TransportError(f"{service} did not answer in {timeout:g} s.") from None
        except TransportError:
            raise
        except Exception as error:
            raise TransportError(f"{service} failed: {error}") from error

    def serve(self, service: str, kind: ServiceType, handler: Callable[[Any], Any]) -> None:
        """See `Transport`."""
        with self._domain.lock:
            self._domain.services[service] = (self, handler)

    def send_goal(
        self, action: str, kind: ActionType, goal: Any, feedback: Callable[[Any], None] | None = None
    ) -> Goal:
        """See `Transport`."""
        with self._domain.lock:
            found = self._domain.actions.get(action)
        if found is None:
            raise TransportError(f"Nobody offers the action {action}.")
        _, execute, accept = found
        handle = _MemoryGoal(action, goal, lambda message: self._call_back(feedback, message))
        if accept(goal):
            threading.Thread(target=handle.run, args=(execute,), name=action, daemon=True).start()
        else:
            handle.reject()
        return handle

    def serve_action(
        self,
        action: str,
        kind: ActionType,
        execute: Execute,
        accept: Callable[[Any], bool] = lambda goal: True,
    ) -> None:
        """See `Transport`."""
        with self._domain.lock:
            self._domain.actions[action] = (self, execute, accept)

    def topics(self, timeout: float) -> Mapping[str, str]:
        """See `Transport`."""
        with self._domain.lock:
            return {topic: ros_name(kind) for topic, kind in self._domain.kinds.items()}

    def close(self) -> None:
        """See `Transport`."""
        self._closed = True
        with self._domain.lock:
            for readers in self._domain.readers.values():
                if self in readers:
                    readers.remove(self)
            for offered in (self._domain.services, self._domain.actions):
                for name in [name for name, (owner, *_) in offered.items() if owner is self]:
                    del offered[name]
        self._work.close()

    def _deliver(self, topic: str, data: bytes) -> None:
        for number, (kind, callback, depth) in enumerate(list(self._callbacks[topic])):
            work = partial(_read, kind, data, callback)
            self._work.put(work, f"{topic} {number}", depth)

    def _call_back(self, callback: Callable[[Any], None] | None, message: Any) -> None:
        if callback is not None:
            self._work.put(lambda: callback(message))


class _MemoryGoal:
    """A goal, from both sides."""

    def __init__(self, action: str, request: Any, feedback: Callable[[Any], None]) -> None:
        self.request, self.canceled = request, False
        self._action, self._feedback = action, feedback
        self._done: Future[tuple[int, Any]] = Future()

    def run(self, execute: Execute) -> None:
        """Carry it out."""
        _settle(self._done, lambda: execute(self))

    def reject(self) -> None:
        """It is not taken on."""
        self._done.set_exception(TransportError(f"{self._action} rejected the goal."))

    def feedback(self, message: Any) -> None:
        """See `ServedGoal`."""
        self._feedback(message)

    def cancel(self) -> None:
        """See `Goal`."""
        self.canceled = True

    def result(self, timeout: float) -> tuple[int, Any]:
        """See `Goal`."""
        try:
            return in_time(self._done, timeout, self._action)
        except TransportError:
            raise
        except Exception:
            return ABORTED, None


def _read(kind: type, data: bytes, callback: Callable[[Any], None]) -> None:
    callback(decode(kind, data))


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
