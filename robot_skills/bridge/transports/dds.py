"""ROS 2 natively on DDS, without ROS on this machine: Cyclone DDS and the wire format of ROS 2.

Names (REP 2000's rmw conventions, checked on the wire against rclpy): topic `/a` is `rt/a`, a service's are
`rq/aRequest` and `rr/aReply`; the type `pkg/msg/Name` is `pkg::msg::dds_::Name_`. Payloads are made by `cdr`:
the codec of the cyclonedds package needs 60 ms for a picture of 640 x 480.

What this cannot do, because the package can neither set nor read what rmw_fastrtps correlates replies by: a
service or an action of ours is not answered to such a peer (that of a peer is, one request at a time). Topics
know no such limit: the emergency stop is one.
"""

from __future__ import annotations

import itertools
import logging
import os
import struct
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import Any, TypeVar

from robot_skills.bridge.cdr import LITTLE, decode, encode
from robot_skills.bridge.messages import UUID, CancelGoalRequest, CancelGoalResponse, GoalInfo
from robot_skills.bridge.schema import (
    ActionType,
    MessageError,
    ServiceType,
    action_parts,
    fields_of,
    ros_name,
)
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import (
    COMMANDS,
    MEETING,
    STREAM,
    Execute,
    Quality,
    TransportError,
    in_time,
)
from robot_skills.bridge.transports.dispatch import Dispatcher
from robot_skills.errors import require

log = logging.getLogger(__name__)

M = TypeVar("M")

CANCEL = ServiceType("action_msgs/srv/CancelGoal", CancelGoalRequest, CancelGoalResponse)
#: Of rmw_cyclonedds: the client's identity and a number before each request and response.
FRAME = struct.Struct("<Qq")
#: Vendor 1.15, Fast DDS: its type information is not Cyclone's, and with it no sample would come. The buffer
#: holds a picture of 640 x 480, as far as the system lets it (net.core.rmem_max).
CONFIGURATION = (
    '<CycloneDDS><Domain Id="any">{interface}<Internal><SocketReceiveBufferSize max="8MB"/></Internal>'
    "<Compatibility><IgnoreTypeInformation>1.15</IgnoreTypeInformation></Compatibility></Domain></CycloneDDS>"
)
LOOPBACK = (
    '<General><Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces>'
    "<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    '<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers>'
    "</Discovery>"
)
#: Domain -> what keeps its configuration alive; a process has one for each.
_DOMAINS: dict[int, Any] = {}
_TYPES: dict[type, Any] = {}


def dds_type(name: str) -> str:
    """pkg/msg/Name as DDS names it, pkg.msg.dds_.Name_ (the package turns dots into ::)."""
    package, kind, rest = name.split("/")
    return f"{package}.{kind}.dds_.{rest}_"


def idl_type(cls: type) -> Any:
    """The cyclonedds type of a message, whose payload stays bytes."""
    if cls in _TYPES:
        return _TYPES[cls]
    idl, types = require("cyclonedds.idl", "bridge"), require("cyclonedds.idl.types", "bridge")
    scalars = {"bool": bool, "string": str}
    made: dict[str, Any] = {}
    for field in fields_of(cls):
        kind = field.kind
        one = idl_type(kind) if not isinstance(kind, str) else scalars.get(kind) or getattr(types, kind)
        if field.count is None:
            made[field.name] = one
        else:
            made[field.name] = types.array[one, field.count] if field.count else types.sequence[one]
    if not made:
        made["structure_needs_at_least_one_member"] = types.uint8
    found = _TYPES[cls] = idl.make_idl_struct(cls.__name__, dds_type(ros_name(cls)), made)
    return found


def raw_type(cls: type, framed: bool) -> Any:
    """A type of the same name and layout whose samples are made of bytes, as they are on the wire."""
    base = idl_type(cls)
    if framed:
        idl, types = require("cyclonedds.idl", "bridge"), require("cyclonedds.idl.types", "bridge")
        hints = {"guid": types.uint64, "seq": types.int64, **base.__annotations__}
        base = idl.make_idl_struct(cls.__name__, dds_type(ros_name(cls)), hints)
    base.serialize = lambda sample, **options: sample.payload
    base.deserialize = classmethod(lambda kind, data, **options: _sample(kind, data))
    return base


def _sample(kind: Any, payload: bytes) -> Any:
    made = kind.__new__(kind)
    made.payload = payload
    return made


class DdsTransport:
    """See the module."""

    def __init__(self, settings: TransportSettings) -> None:
        self._dds = require("cyclonedds.core", "bridge"), require("cyclonedds.util", "bridge")
        domain = require("cyclonedds.domain", "bridge")
        self._settings, self._framed = settings, settings.rmw == "cyclonedds"
        if settings.domain not in _DOMAINS:
            interface = LOOPBACK if settings.loopback else ""
            configuration = os.environ.get("CYCLONEDDS_URI") or CONFIGURATION.format(interface=interface)
            _DOMAINS[settings.domain] = domain.Domain(settings.domain, configuration)
        self._participant = domain.DomainParticipant(settings.domain)
        self._work = Dispatcher("dds callbacks")
        self._guid = uuid.uuid4().int & (2**63 - 1)
        self._numbers = itertools.count(1)
        self._topics: dict[tuple[str, type, bool], Any] = {}
        self._kept: list[Any] = []
        self._clients: dict[tuple[str, str], _Client] = {}
        self._lock = threading.Lock()
        self._closed = False

    def publisher(self, topic: str, kind: type[M], quality: Quality = COMMANDS) -> Callable[[M], None]:
        """See `Transport`."""
        write = self._writer(f"rt{_rooted(topic)}", kind, quality, False)
        return lambda message: write(encode(message))

    def subscribe(
        self, topic: str, kind: type[M], callback: Callable[[M], None], quality: Quality = COMMANDS
    ) -> None:
        """See `Transport`."""
        self._subscribed(topic, kind, callback, quality)

    def call(self, service: str, kind: ServiceType, request: Any, timeout: float) -> Any:
        """See `Transport`; one request of a service at a time."""
        return self._client(service, kind).call(request, timeout)

    def serve(self, service: str, kind: ServiceType, handler: Callable[[Any], Any]) -> None:
        """See `Transport`; see the module for who is answered."""
        name, framed = _rooted(service), self._framed
        write = self._writer(f"rr{name}Reply", kind.response, STREAM, framed)

        def answer(payload: bytes) -> None:
            frame, body = _unframed(payload, framed)
            try:
                response = handler(decode(kind.request, body))
            except Exception as error:  # there is no way to say so on the wire
                log.warning("The service %s failed: %s", service, error)
                return
            write(_framed(encode(response), frame))

        self._reader(
            f"rq{name}Request", kind.request, STREAM, framed, lambda p: self._work.put(partial(answer, p))
        )

    def send_goal(
        self, action: str, kind: ActionType, goal: Any, feedback: Callable[[Any], None] | None = None
    ) -> _Goal:
        """See `Transport`; one goal of an action at a time."""
        parts, name = action_parts(kind), UUID(uuid.uuid4().bytes)
        reader = None
        if feedback is not None:
            reader = self._feedback(action, parts.feedback, name, feedback)
        return _Goal(self, action, kind, name, goal, reader)

    def serve_action(
        self,
        action: str,
        kind: ActionType,
        execute: Execute,
        accept: Callable[[Any], bool] = lambda goal: True,
    ) -> None:
        """Not on this transport.

        Raises:
            TransportError: always.
        """
        raise TransportError("An action cannot be offered on the dds transport: use rosbridge or rclpy.")

    def topics(self, timeout: float) -> Mapping[str, str]:
        """See `Transport`."""
        builtin = require("cyclonedds.builtin", "bridge")
        kinds = (builtin.BuiltinTopicDcpsPublication, builtin.BuiltinTopicDcpsSubscription)
        readers = [builtin.BuiltinDataReader(self._participant, kind) for kind in kinds]
        until, found = time.monotonic() + min(timeout, 1.5), {}
        while time.monotonic() < until:
            for sample in itertools.chain.from_iterable(reader.take(100) for reader in readers):
                topic, kind = str(sample.topic_name), str(sample.type_name)
                if topic.startswith("rt/"):
                    found[topic[2:]] = kind.replace("::dds_::", "/").replace("::", "/").removesuffix("_")
            time.sleep(0.05)
        return found

    def close(self) -> None:
        """See `Transport`."""
        self._closed = True
        self._work.close()
        self._kept.clear()
        self._clients.clear()
        self._topics.clear()
        del self._participant

    def _client(self, service: str, kind: ServiceType) -> _Client:
        with self._lock:
            found = self._clients.get((service, kind.name))
            if found is None:
                found = self._clients[service, kind.name] = _Client(self, service, kind, self._framed)
            return found

    def _subscribed(self, topic: str, kind: type[M], callback: Callable[[M], None], quality: Quality) -> Any:
        key = f"{topic} {len(self._kept)}"

        def arrived(payload: bytes) -> None:
            self._work.put(partial(_read, topic, kind, payload, callback), key, quality.depth)

        return self._reader(f"rt{_rooted(topic)}", kind, quality, False, arrived)

    def _feedback(self, action: str, kind: type, goal: UUID, callback: Callable[[Any], None]) -> Any:
        def ours(message: Any) -> None:
            if message.goal_id == goal:
                callback(message.feedback)

        return self._subscribed(f"{action}/_action/feedback", kind, ours, STREAM)

    def _topic(self, name: str, kind: type, framed: bool) -> Any:
        key = (name, kind, framed)
        if key not in self._topics:
            topic = require("cyclonedds.topic", "bridge")
            raw = raw_type(kind, framed)
            self._topics[key] = topic.Topic(self._participant, name, raw)
        return self._topics[key]

    def _qos(self, quality: Quality) -> Any:
        core, util = self._dds
        policy = core.Policy
        reliable = policy.Reliability.Reliable(util.duration(milliseconds=100))
        return core.Qos(
            reliable if quality.reliable else policy.Reliability.BestEffort,
            policy.Durability.TransientLocal if quality.latched else policy.Durability.Volatile,
            policy.History.KeepLast(quality.depth),
            policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=False),
        )

    def _writer(self, name: str, kind: type, quality: Quality, framed: bool) -> Callable[[bytes], None]:
        topic = self._topic(name, kind, framed)
        writer = require("cyclonedds.pub", "bridge").DataWriter(self._participant, topic, self._qos(quality))
        self._kept.append(writer)
        core, _ = self._dds

        def write(payload: bytes) -> None:
            if self._closed:
                raise TransportError(f"The transport is closed; nothing was sent to {name}.")
            try:
                writer.write(_sample(topic.data_type, payload))
            except core.DDSException as error:
                raise TransportError(f"Nothing was sent to {name}: {error}.") from error

        return write

    def _reader(
        self, name: str, kind: type, quality: Quality, framed: bool, arrived: Callable[[bytes], None]
    ) -> Any:
        core, _ = self._dds

        class Arrivals(core.Listener):  # type: ignore[name-defined,misc]
            def on_data_available(self, reader: Any) -> None:
                while samples := reader.take(100):
                    for sample in samples:
                        payload = getattr(sample, "payload", None)
                        if payload is not None:
                            arrived(bytes(payload))

        listener = Arrivals()
        topic = self._topic(name, kind, framed)
        reader = require("cyclonedds.sub", "bridge").DataReader(
            self._participant, topic, self._qos(quality), listener
        )
        self._kept += [listener, reader]
        return reader


class _Client:
    """A service of somebody's."""

    def __init__(self, transport: DdsTransport, service: str, kind: ServiceType, framed: bool) -> None:
        name = _rooted(service)
        self._service, self._kind, self._framed = service, kind, framed
        self._guid, self._numbers = transport._guid, transport._numbers
        self._lock = threading.Lock()
        self._met = False
        self._answer: Future[bytes] | None = None
        self._number = 0
        self._write = transport._writer(f"rq{name}Request", kind.request, STREAM, framed)
        self._reader = transport._reader(f"rr{name}Reply", kind.response, STREAM, framed, self._arrived)
        self._writer = next(kept for kept in reversed(transport._kept) if hasattr(kept, "write"))

    def call(self, request: Any, timeout: float) -> Any:
        """See `Transport.call`."""
        until = time.monotonic() + timeout
        if not self._lock.acquire(timeout=timeout):
            raise TransportError(f"{self._service} is busy with another request.")
        try:
            self._wait_for_server(until)
            self._answer, self._number = Future(), next(self._numbers)
            frame = FRAME.pack(self._guid, self._number) if self._framed else b""
            self._write(_framed(encode(request), frame))
            payload = self._answer.result(max(0.0, until - time.monotonic()))
            return decode(self._kind.response, payload)
        except FutureTimeoutError:
            raise TransportError(f"{self._service} did not answer in {timeout:g} s.") from None
        except MessageError as error:
            raise TransportError(f"{self._service} answered what is no {self._kind.name}: {error}") from error
        finally:
            self._answer = None
            self._lock.release()

    def _wait_for_server(self, until: float) -> None:
        """A request that is written before its reader is known is lost, and so is an answer."""
        while not (self._writer.get_matched_subscriptions() and self._reader.get_matched_publications()):
            self._met = False
            if time.monotonic() > until:
                raise TransportError(f"Nobody offers the service {self._service}.")
            time.sleep(0.01)
        if not self._met:
            self._met = True
            time.sleep(MEETING)

    def _arrived(self, payload: bytes) -> None:
        answer = self._answer
        frame, body = _unframed(payload, self._framed)
        ours = not self._framed or frame == FRAME.pack(self._guid, self._number)
        if answer is not None and ours and not answer.done():
            answer.set_result(body)


class _Goal:
    """A goal of ours."""

    def __init__(
        self,
        transport: DdsTransport,
        action: str,
        kind: ActionType,
        name: UUID,
        goal: Any,
        feedback: Any,
    ) -> None:
        parts = action_parts(kind)
        self._feedback = feedback
        self._transport, self._action, self._name = transport, action, name
        self._done: Future[tuple[int, Any]] = Future()
        self._accepted = self._canceled = False
        self._cancel = transport._client(f"{action}/_action/cancel_goal", CANCEL)
        self._send = transport._client(f"{action}/_action/send_goal", parts.send_goal)
        self._get = transport._client(f"{action}/_action/get_result", parts.get_result)
        self._request = parts.send_goal.request(name, goal)
        self._ask = parts.get_result.request(name)
        threading.Thread(target=self._run, name=action, daemon=True).start()

    def result(self, timeout: float) -> tuple[int, Any]:
        """See `Goal`."""
        return in_time(self._done, timeout, self._action)

    def cancel(self) -> None:
        """See `Goal`; one that is not yet taken on is canceled as soon as it is."""
        self._canceled = True
        if self._accepted:
            self._say_cancel()

    def _say_cancel(self) -> None:
        self._cancel.call(CancelGoalRequest(GoalInfo(self._name)), 2.0)

    def _run(self) -> None:
        try:
            self._wait_for_feedback()
            if not self._send.call(self._request, 5.0).accepted:
                raise TransportError(f"{self._action} rejected the goal.")
            self._accepted = True
            if self._canceled:
                self._say_cancel()
            answer = self._get.call(self._ask, 24 * 3600.0)
            self._done.set_result((answer.status, answer.result))
        except TransportError as error:
            self._done.set_exception(error)

    def _wait_for_feedback(self) -> None:
        """What the server says before its reader here is known is lost."""
        until = time.monotonic() + 2.0
        while self._feedback and not self._feedback.get_matched_publications():
            if time.monotonic() > until:
                return
            time.sleep(0.01)
        if self._feedback:
            time.sleep(MEETING)


def _rooted(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def _read(topic: str, kind: type, payload: bytes, callback: Callable[[Any], None]) -> None:
    try:
        message: Any = decode(kind, payload)
    except MessageError as error:
        log.warning("Refused a message on %s: %s", topic, error)
        return
    callback(message)


def _framed(payload: bytes, frame: bytes) -> bytes:
    """The header, the frame, and the rest: 16 bytes keep every alignment."""
    return payload[: len(LITTLE)] + frame + payload[len(LITTLE) :]


def _unframed(payload: bytes, framed: bool) -> tuple[bytes, bytes]:
    """The frame, empty where there is none, and the payload without it."""
    if not framed:
        return b"", payload
    begin, end = len(LITTLE), len(LITTLE) + FRAME.size
    return payload[begin:end], payload[:begin] + payload[end:]
