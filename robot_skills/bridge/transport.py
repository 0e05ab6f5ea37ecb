"""One interface to ROS, whatever carries it.

A transport is a class with these methods, made from `TransportSettings`, and one entry in the entry-point
group `robot_skills.transports`; being registered puts it under the conformance tests. Callbacks come on a
thread of the transport's, one at a time and in the order of the messages; they return soon.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from robot_skills.bridge.schema import ActionType, ServiceType
from robot_skills.bridge.settings import TransportSettings
from robot_skills.errors import JobError, unknown

M = TypeVar("M")
#: Between two threads of this process, s.
HAND_OVER = 5e-4
#: On DDS the other side finds us later than we find it, and what it answers before that is lost. Nothing says
#: when it has; it is given so long, s.
MEETING = 0.2
GROUP = "robot_skills.transports"
#: Those of this package.
OURS = {
    "memory": "robot_skills.bridge.transports.memory:MemoryTransport",
    "rosbridge": "robot_skills.bridge.transports.rosbridge:RosbridgeTransport",
    "dds": "robot_skills.bridge.transports.dds:DdsTransport",
    "rclpy": "robot_skills.bridge.transports.rclpy_node:RclpyTransport",
}

#: action_msgs/GoalStatus
SUCCEEDED, CANCELED, ABORTED = 4, 5, 6


class TransportError(JobError):
    """Nobody there, no answer in time, a refusal, a connection that broke; the message says which."""


@dataclass(frozen=True)
class Quality:
    """Quality of service of a topic.

    Attributes:
        depth: messages kept for a slow reader; the oldest are dropped.
        reliable: lost messages are sent again. Not for images, where the next one is worth more.
        latched: the last message is kept for readers that come later (transient local).
    """

    depth: int = 10
    reliable: bool = True
    latched: bool = False


COMMANDS, SENSORS, LATCHED = Quality(1), Quality(5, reliable=False), Quality(1, latched=True)
STREAM = Quality(1000)
#: Of joint states: old ones are worth nothing.
STATES = Quality(10)


def in_time(done: Future[M], timeout: float, action: str) -> M:
    """The result of an action's goal.

    Raises:
        TransportError: there is none after `timeout` seconds.
    """
    try:
        return done.result(timeout)
    except FutureTimeoutError:
        raise TransportError(f"{action} has no result after {timeout:g} s.") from None


class Goal(Protocol):
    """A goal that was sent to an action."""

    def result(self, timeout: float) -> tuple[int, Any]:
        """The status (4 succeeded, 5 canceled, 6 aborted) and the result.

        Raises:
            TransportError: the goal was rejected, or there is no result after `timeout` seconds.
        """

    def cancel(self) -> None:
        """Ask for its end; the result says whether it was canceled."""


class ServedGoal(Protocol):
    """A goal that somebody sent to an action of ours."""

    @property
    def request(self) -> Any:
        """The goal's message."""

    @property
    def canceled(self) -> bool:
        """Whether its sender asks for its end."""

    def feedback(self, message: Any) -> None:
        """Tell the sender how it goes."""


#: Carries a goal out: returns the status and the result. Runs on a thread of its own.
Execute = Callable[[ServedGoal], "tuple[int, Any]"]


class Transport(Protocol):
    """A connection to ROS."""

    def publisher(self, topic: str, kind: type[M], quality: Quality = ...) -> Callable[[M], None]:
        """What publishes on a topic.

        Raises:
            TransportError: when it is called, and the connection is lost.
        """

    def subscribe(
        self, topic: str, kind: type[M], callback: Callable[[M], None], quality: Quality = ...
    ) -> None:
        """Have a callback called with each message of a topic; one that is not of the type is refused."""

    def call(self, service: str, kind: ServiceType, request: Any, timeout: float) -> Any:
        """Call a service and wait for its response.

        Raises:
            TransportError: nobody offers it, it failed, or it did not answer in time.
        """

    def serve(self, service: str, kind: ServiceType, handler: Callable[[Any], Any]) -> None:
        """Offer a service."""

    def send_goal(
        self, action: str, kind: ActionType, goal: Any, feedback: Callable[[Any], None] | None = None
    ) -> Goal:
        """Send a goal to an action, without waiting."""

    def serve_action(
        self, action: str, kind: ActionType, execute: Execute, accept: Callable[[Any], bool] = ...
    ) -> None:
        """Offer an action; `accept` says whether a goal is taken on."""

    def topics(self, timeout: float) -> Mapping[str, str]:
        """Topics on the graph, with their types as "std_msgs/msg/Bool".

        Raises:
            TransportError: this transport cannot know, or it did not answer in time.
        """

    def close(self) -> None:
        """End the connection; nothing is called after it."""


def open_transport(settings: TransportSettings) -> Transport:
    """Connect, and have this process's threads hand over quickly.

    A message passes two or three threads. With Python's 5 ms between hand-overs, a process that computes
    takes messages in more slowly than they come, and lives in the past by as much as queues hold.

    Raises:
        InputError: no transport is registered under that name, or it is not installed.
        TransportError: nobody is there.
    """
    found = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=GROUP)}
    found |= OURS  # so that ROS's own Python can run this from a source tree
    if settings.kind not in found:
        raise unknown("transport", settings.kind, found)
    sys.setswitchinterval(min(sys.getswitchinterval(), HAND_OVER))
    module, _, name = found[settings.kind].partition(":")
    made: Transport = getattr(importlib.import_module(module), name)(settings)
    return made
