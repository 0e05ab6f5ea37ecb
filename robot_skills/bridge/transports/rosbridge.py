"""ROS through a rosbridge server's websocket, without ROS on this machine.

Protocol: rosbridge v2 (RobotWebTools/rosbridge_suite, ROSBRIDGE_PROTOCOL.md). What servers do that is not in
it, and what is done about it here:

- they do not answer what fails (a message of a wrong type, a rejected goal in older ones): every wait has a
  time-out of its own;
- publishers on their side are transient local, and a message may reach a late reader a second later: commands
  for motion are trajectories that carry their own stop, and stopping is a service;
- a connection is a queue: images go through one of their own, so that no command waits behind a picture;
- pictures are asked for as CBOR, which costs rosbridge_suite far less than base64, and nothing else is: its
  CBOR of ROS 1 has no lists of texts. cbor-raw would be no faster, and there one client that asks for it
  takes the topic from all that do not (issue 610). A server that refuses CBOR is asked again without.

ROS 1's servers speak a dialect of it, and know no actions: those are topics there.

A connection that breaks stays broken: whoever uses it hears so at the next word, and the arm stops.
"""

from __future__ import annotations

import itertools
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import Any, TypeVar

from robot_skills.bridge.json_codec import from_json, to_json
from robot_skills.bridge.messages import CompressedImage, Image
from robot_skills.bridge.schema import ActionType, MessageError, ServiceType, ros_name
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import ABORTED, COMMANDS, Execute, Goal, Quality, TransportError
from robot_skills.bridge.transports.actionlib import ActionClient
from robot_skills.bridge.transports.dialect import Dialect
from robot_skills.bridge.transports.dispatch import Dispatcher
from robot_skills.bridge.transports.rosbridge_goals import RosbridgeGoal, SentGoal
from robot_skills.bridge.transports.websocket import Socket

log = logging.getLogger(__name__)

M = TypeVar("M")

PICTURES = (Image, CompressedImage)


class RosbridgeTransport:
    """See the module."""

    def __init__(self, settings: TransportSettings) -> None:
        self._url, self._cbor, self._dialect = settings.url, settings.cbor, Dialect(settings.ros)
        self._work = Dispatcher("rosbridge callbacks")
        self._ids = (f"{uuid.uuid4().hex[:8]}-{number}" for number in itertools.count())
        self._readers: dict[str, list[tuple[type, Callable[[Any], None], int]]] = {}
        self._compressed: dict[str, tuple[str, type, int]] = {}
        self._advertised: set[str] = set()
        self._answers: dict[str, Future[Mapping[str, Any]]] = {}
        self._feedback: dict[str, tuple[type, Callable[[Any], None] | None]] = {}
        self._services: dict[str, tuple[ServiceType, Callable[[Any], Any]]] = {}
        self._actions: dict[str, tuple[ActionType, Execute, Callable[[Any], bool]]] = {}
        self._clients: dict[str, ActionClient] = {}
        self._goals: dict[str, RosbridgeGoal] = {}
        self._lost: str | None = None
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "publish": self._on_message,
            "service_response": self._on_answer,
            "action_result": self._on_answer,
            "action_feedback": self._on_feedback,
            "call_service": self._on_call,
            "send_action_goal": self._on_goal,
            "cancel_action_goal": self._on_cancel,
            "status": self._on_status,
        }
        self._socket = Socket(self._url, self._receive, self._on_lost)
        self._pictures: Socket | None = None

    def publisher(self, topic: str, kind: type[M], quality: Quality = COMMANDS) -> Callable[[M], None]:
        """See `Transport`."""
        socket = self._socket_for(kind)
        if topic not in self._advertised:
            self._advertised.add(topic)
            socket.send(
                op="advertise", id=next(self._ids), topic=topic, type=self._dialect.name(ros_name(kind)),
                latch=quality.latched,
            )  # fmt: skip

        def publish(message: M) -> None:
            socket.send(op="publish", topic=topic, msg=self._dialect.write(message))

        return publish

    def subscribe(
        self, topic: str, kind: type[M], callback: Callable[[M], None], quality: Quality = COMMANDS
    ) -> None:
        """See `Transport`."""
        first = topic not in self._readers
        self._readers.setdefault(topic, []).append((kind, callback, quality.depth))
        if first:
            self._ask_for(topic, kind, quality.depth, self._cbor and kind in PICTURES)

    def call(self, service: str, kind: ServiceType, request: Any, timeout: float) -> Any:
        """See `Transport`."""
        answer = self._ask(service, self._dialect.name(kind.name), self._dialect.write(request), timeout)
        if answer.get("result") is False:
            raise TransportError(f"{service} failed: {answer.get('values')}")
        try:
            return self._dialect.read(kind.response, answer.get("values") or {})
        except MessageError as error:
            raise TransportError(f"{service} answered what is no {kind.name}: {error}") from error

    def serve(self, service: str, kind: ServiceType, handler: Callable[[Any], Any]) -> None:
        """See `Transport`."""
        self._services[service] = kind, handler
        self._socket.send(op="advertise_service", type=self._dialect.name(kind.name), service=service)

    def send_goal(
        self, action: str, kind: ActionType, goal: Any, feedback: Callable[[Any], None] | None = None
    ) -> Goal:
        """See `Transport`."""
        if self._dialect.ros == 1:
            if action not in self._clients:
                self._clients[action] = ActionClient(self, action, kind)
            return self._clients[action].send(goal, feedback)
        key = next(self._ids)
        done: Future[Mapping[str, Any]] = Future()
        self._answers[key] = done
        self._feedback[key] = kind.feedback, feedback
        self._socket.send(
            op="send_action_goal", id=key, action=action, action_type=kind.name, args=to_json(goal),
            feedback=feedback is not None,
        )  # fmt: skip
        return SentGoal(self._socket, action, kind, key, done)

    def serve_action(
        self,
        action: str,
        kind: ActionType,
        execute: Execute,
        accept: Callable[[Any], bool] = lambda goal: True,
    ) -> None:
        """See `Transport`; the protocol knows no rejection, so a goal that is not taken on is aborted."""
        if self._dialect.ros == 1:
            raise TransportError(f"{action} cannot be offered to ROS 1: its rosbridge carries no actions.")
        self._actions[action] = kind, execute, accept
        self._socket.send(op="advertise_action", type=kind.name, action=action)

    def topics(self, timeout: float) -> Mapping[str, str]:
        """See `Transport`; it needs the rosapi node beside the server."""
        package = "rosapi" if self._dialect.ros == 1 else "rosapi_msgs"
        answer = self._ask("/rosapi/topics", self._dialect.name(f"{package}/srv/Topics"), {}, timeout)
        values = answer.get("values")
        if answer.get("result") is False or not isinstance(values, dict):
            raise TransportError(f"The server at {self._url} has no rosapi, which knows the topics.")
        try:
            kinds = map(self._dialect.message_name, _texts(values, "types"))
            return dict(zip(_texts(values, "topics"), kinds, strict=True))
        except ValueError as error:
            raise TransportError(f"The rosapi at {self._url} did not say topics: {error}") from error

    def close(self) -> None:
        """See `Transport`."""
        for socket in (self._socket, self._pictures):
            if socket is not None:
                socket.close()
        self._work.close()
        self._fail("The transport is closed.")

    def _socket_for(self, kind: type) -> Socket:
        if kind not in PICTURES:
            return self._socket
        if self._pictures is None:
            self._pictures = Socket(self._url, self._receive, self._on_lost)
        return self._pictures

    def _ask_for(self, topic: str, kind: type, depth: int, cbor: bool) -> None:
        key = next(self._ids)
        if cbor:
            self._compressed[key] = topic, kind, depth
        self._socket_for(kind).send(
            op="subscribe", id=key, topic=topic, type=self._dialect.name(ros_name(kind)), queue_length=depth,
            compression="cbor" if cbor else "none",
        )  # fmt: skip

    def _ask(self, service: str, kind: str, args: Any, timeout: float) -> Mapping[str, Any]:
        key = next(self._ids)
        answer: Future[Mapping[str, Any]] = Future()
        self._answers[key] = answer
        try:
            self._socket.send(
                op="call_service", id=key, service=service, type=kind, args=args, timeout=timeout
            )
            return answer.result(timeout)
        except FutureTimeoutError:
            raise TransportError(f"{service} did not answer in {timeout:g} s.") from None
        finally:
            self._answers.pop(key, None)

    def _receive(self, operation: dict[str, Any]) -> None:
        """On the socket's thread: hand over, and return."""
        handler = self._handlers.get(operation["op"])
        if handler is not None:
            handler(operation)

    def _on_message(self, said: dict[str, Any]) -> None:
        topic = str(said.get("topic"))
        for number, (kind, callback, depth) in enumerate(self._readers.get(topic, ())):
            work = partial(self._read, topic, kind, said.get("msg"), callback)
            self._work.put(work, f"{topic} {number}", depth)

    def _read(self, topic: str, kind: type, data: Any, callback: Callable[[Any], None]) -> None:
        try:
            message: Any = self._dialect.read(kind, data)
        except MessageError as error:
            log.warning("Refused a message on %s: %s", topic, error)
            return
        callback(message)

    def _on_answer(self, said: dict[str, Any]) -> None:
        key = str(said.get("id"))
        self._feedback.pop(key, None)
        future = self._answers.pop(key, None)
        if future is not None and not future.done():
            future.set_result(said)

    def _on_feedback(self, said: dict[str, Any]) -> None:
        kind, callback = self._feedback.get(str(said.get("id")), (type(None), None))
        if callback is not None:
            self._work.put(partial(self._read, str(said.get("action")), kind, said.get("values"), callback))

    def _on_status(self, said: dict[str, Any]) -> None:
        refused = self._compressed.pop(str(said.get("id")), None)
        if refused is None:
            log.warning("rosbridge: %s", said.get("msg"))
        else:
            log.warning("rosbridge: %s. %s is asked for without CBOR.", said.get("msg"), refused[0])
            self._work.put(partial(self._ask_for, *refused, False))

    def _on_call(self, said: dict[str, Any]) -> None:
        self._work.put(partial(self._answer, str(said.get("service")), said))

    def _answer(self, service: str, said: dict[str, Any]) -> None:
        values: Any = f"Nobody offers {service} here."
        good = service in self._services
        if good:
            kind, handler = self._services[service]
            try:
                request: Any = self._dialect.read(kind.request, said.get("args") or {})
                values = self._dialect.write(handler(request))
            except Exception as error:
                log.warning("The service %s failed: %s", service, error)
                values, good = str(error), False
        self._socket.send(
            op="service_response", id=said.get("id"), service=service, values=values, result=good
        )

    def _on_goal(self, said: dict[str, Any]) -> None:
        action, key = str(said.get("action")), str(said.get("id"))
        if action not in self._actions:
            return
        kind, execute, accept = self._actions[action]
        try:
            request: Any = from_json(kind.goal, said.get("args") or {})
        except MessageError as error:
            log.warning("Refused a goal of %s: %s", action, error)
            self._result(action, key, ABORTED, str(error), False)
            return
        if not accept(request):
            self._result(action, key, ABORTED, "goal rejected", False)
            return
        self._goals[key] = goal = RosbridgeGoal(self._socket, action, key, request)
        threading.Thread(target=self._carry_out, args=(goal, kind, execute), name=action, daemon=True).start()

    def _carry_out(self, goal: RosbridgeGoal, kind: ActionType, execute: Execute) -> None:
        try:
            status, result = execute(goal)
        except Exception:
            log.exception("The action %s failed.", goal.action)
            status, result = ABORTED, kind.result()
        self._goals.pop(goal.key, None)
        try:
            self._result(goal.action, goal.key, status, to_json(result), True)
        except TransportError as error:
            log.warning("A result of %s went nowhere: %s", goal.action, error)

    def _result(self, action: str, key: str, status: int, values: Any, good: bool) -> None:
        self._socket.send(
            op="action_result", id=key, action=action, status=status, values=values, result=good
        )

    def _on_cancel(self, said: dict[str, Any]) -> None:
        if goal := self._goals.get(str(said.get("id"))):
            goal.canceled = True

    def _on_lost(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
            log.warning(reason)
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        """Nobody waits for an answer any more."""
        for client in list(self._clients.values()):
            client.fail(reason)
        for key in list(self._answers):
            future = self._answers.pop(key, None)
            if future is not None and not future.done():
                future.set_exception(TransportError(reason))


def _texts(values: Mapping[str, Any], name: str) -> list[str]:
    found = values.get(name)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise MessageError(f"{name} is no list of texts.")
    return found
