"""Actions of ROS 1, which are topics: goal, cancel, feedback and result (actionlib's protocol).

The fifth, status, is not read: what ends a goal is said beside its result, a rejection too.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from robot_skills.bridge.messages import Header, Time
from robot_skills.bridge.schema import U8, ActionType, Text, message
from robot_skills.bridge.transport import (
    ABORTED,
    CANCELED,
    MEETING,
    STREAM,
    SUCCEEDED,
    Transport,
    TransportError,
    in_time,
)

#: actionlib_msgs/GoalStatus -> action_msgs/GoalStatus: preempted and recalled are canceled.
ENDS = {2: CANCELED, 3: SUCCEEDED, 4: ABORTED, 8: CANCELED, 9: ABORTED}
REJECTED = 5


@message("actionlib_msgs/msg/GoalID")
@dataclass(frozen=True)
class GoalID:
    """Names a goal."""

    stamp: Time = field(default_factory=Time)
    id: Text = ""


@message("actionlib_msgs/msg/GoalStatus")
@dataclass(frozen=True)
class Status:
    """How a goal stands."""

    goal_id: GoalID = field(default_factory=GoalID)
    status: U8 = 0
    text: Text = ""


@cache
def topics_of(kind: ActionType) -> tuple[type, type, type]:
    """The messages that carry a goal, feedback and a result, as actionlib's genaction makes them."""

    def carrying(suffix: str, what: type, part: type, named: str, whose: str) -> type:
        members = (("header", Header), (whose, what), (named, part))
        name = kind.name.replace("/action/", "/msg/") + suffix
        made = [(member, cls, field(default_factory=cls)) for member, cls in members]
        return message(name)(dataclasses.make_dataclass(name.rpartition("/")[2], made, frozen=True))

    return (
        carrying("ActionGoal", GoalID, kind.goal, "goal", "goal_id"),
        carrying("ActionFeedback", Status, kind.feedback, "feedback", "status"),
        carrying("ActionResult", Status, kind.result, "result", "status"),
    )


class ActionClient:
    """Sends goals to one action."""

    def __init__(self, transport: Transport, action: str, kind: ActionType) -> None:
        self._action = action
        self._goal, feedback, result = topics_of(kind)
        self._ids = (f"robot-skills-{uuid.uuid4().hex[:8]}-{number}" for number in itertools.count())
        self._waiting: dict[str, tuple[Future[Any], Callable[[Any], None] | None]] = {}
        transport.subscribe(f"{action}/feedback", feedback, self._on_feedback, STREAM)
        transport.subscribe(f"{action}/result", result, self._on_result, STREAM)
        self._publish: Callable[[Any], None] = transport.publisher(f"{action}/goal", self._goal, STREAM)
        self._cancel = transport.publisher(f"{action}/cancel", GoalID, STREAM)
        time.sleep(MEETING)  # its server does not keep what nobody listens to yet

    def send(self, goal: Any, feedback: Callable[[Any], None] | None) -> _Sent:
        """Send a goal, without waiting."""
        key, now = next(self._ids), Time.from_seconds(time.time())
        done: Future[Any] = Future()
        self._waiting[key] = done, feedback
        self._publish(self._goal(Header(now), GoalID(now, key), goal))
        return _Sent(self._action, done, lambda: self._cancel(GoalID(Time(), key)))

    def fail(self, reason: str) -> None:
        """Nobody waits for a result any more."""
        for key in list(self._waiting):
            done, _ = self._waiting.pop(key, (None, None))
            if done is not None:
                done.set_exception(TransportError(reason))

    def _on_feedback(self, said: Any) -> None:
        _, callback = self._waiting.get(said.status.goal_id.id, (None, None))
        if callback is not None:
            callback(said.feedback)

    def _on_result(self, said: Any) -> None:
        done, _ = self._waiting.pop(said.status.goal_id.id, (None, None))
        if done is not None:
            done.set_result(said)


@dataclass(frozen=True)
class _Sent:
    """See `Goal`."""

    action: str
    done: Future[Any]
    cancel: Callable[[], None]

    def result(self, timeout: float) -> tuple[int, Any]:
        """See `Goal`."""
        said = in_time(self.done, timeout, self.action)
        if said.status.status == REJECTED:
            raise TransportError(f"{self.action} rejected the goal: {said.status.text}")
        return ENDS.get(said.status.status, ABORTED), said.result
