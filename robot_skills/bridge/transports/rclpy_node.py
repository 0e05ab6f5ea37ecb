"""ROS 2 by a node of its own client library, where ROS is installed (`source /opt/ros/DISTRO/setup.bash`)."""

from __future__ import annotations

import array
import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from robot_skills.bridge.schema import ActionType, ServiceType, fields_of, ros_name
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import (
    ABORTED,
    CANCELED,
    COMMANDS,
    MEETING,
    SUCCEEDED,
    Execute,
    Quality,
    TransportError,
    in_time,
)
from robot_skills.bridge.transports.dispatch import Dispatcher
from robot_skills.errors import InputError

log = logging.getLogger(__name__)

M = TypeVar("M")

#: How long is waited for an action's server, and for a goal's end, s.
PATIENCE, LONGEST = 5.0, 24 * 3600.0


def ros_class(name: str) -> Any:
    """The class of pkg/msg/Name, pkg/srv/Name or pkg/action/Name.

    Raises:
        InputError: this installation has no such interface.
    """
    package, kind, rest = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), rest)
    except (ImportError, AttributeError) as error:
        raise InputError(f"This installation of ROS has no {name}: install the package {package}.") from error


def to_ros(message: Any, target: Any) -> Any:
    """Fill a message of rclpy's from one of ours; returns it."""
    for field in fields_of(type(message)):
        value = getattr(message, field.name)
        if field.is_bytes:
            value = list(value) if field.count else array.array("B", value)
        elif not isinstance(field.kind, str):
            cls = ros_class(ros_name(field.kind))
            many = field.count is not None
            value = [to_ros(item, cls()) for item in value] if many else to_ros(value, cls())
        elif field.count is not None:
            value = list(value)
        setattr(target, field.name, value)
    return target


def from_ros(cls: type[M], message: Any) -> M:
    """A message of ours from one of rclpy's."""
    values: list[Any] = []
    for field in fields_of(cls):
        value = getattr(message, field.name)
        if field.is_bytes:
            value = bytes(value)
        elif not isinstance(field.kind, str):
            kind = field.kind
            many = field.count is not None
            value = tuple(from_ros(kind, item) for item in value) if many else from_ros(kind, value)
        elif field.count is not None:
            value = tuple(value.tolist() if hasattr(value, "tolist") else value)
        values.append(value)
    return cls(*values)


class RclpyTransport:
    """See the module."""

    def __init__(self, settings: TransportSettings) -> None:
        if settings.loopback:
            os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        try:
            self._rclpy: Any = importlib.import_module("rclpy")
        except ImportError as error:
            raise InputError(
                "There is no rclpy here: source ROS's setup file, or use the transport rosbridge or dds."
            ) from error
        self._qos, self._action = (importlib.import_module(f"rclpy.{part}") for part in ("qos", "action"))
        groups = importlib.import_module("rclpy.callback_groups")
        self._context = self._rclpy.Context()
        self._rclpy.init(context=self._context, domain_id=settings.domain)
        self._node = self._rclpy.create_node("robot_skills_bridge", context=self._context)
        self._group = groups.ReentrantCallbackGroup()
        self._executors = importlib.import_module("rclpy.executors")
        self._work = Dispatcher("rclpy callbacks")
        self._clients: dict[str, Any] = {}
        self._met: set[str] = set()
        self._closed = False
        self._running: list[tuple[Any, Any, threading.Thread]] = []
        # Topics and answers on an executor of one thread, which is the fast one; what is offered, and may
        # take long, on a node of its own.
        self._executor = self._executors.SingleThreadedExecutor(context=self._context)
        self._start(self._node, self._executor)
        self._serving: Any = None

    def publisher(self, topic: str, kind: type[M], quality: Quality = COMMANDS) -> Callable[[M], None]:
        """See `Transport`."""
        cls = ros_class(ros_name(kind))
        made = self._node.create_publisher(cls, topic, self._profile(quality))

        def publish(message: M) -> None:
            if self._closed:
                raise TransportError(f"The transport is closed; nothing was sent to {topic}.")
            made.publish(to_ros(message, cls()))

        return publish

    def subscribe(
        self, topic: str, kind: type[M], callback: Callable[[M], None], quality: Quality = COMMANDS
    ) -> None:
        """See `Transport`."""
        key = f"{topic} {len(list(self._node.subscriptions))}"

        def arrived(message: Any) -> None:
            self._work.put(partial(_read, kind, message, callback), key, quality.depth)

        self._node.create_subscription(
            ros_class(ros_name(kind)),
            topic,
            arrived,
            self._profile(quality),
            callback_group=self._group,
        )

    def call(self, service: str, kind: ServiceType, request: Any, timeout: float) -> Any:
        """See `Transport`."""
        cls = ros_class(kind.name)
        if service not in self._clients:
            self._clients[service] = self._node.create_client(cls, service, callback_group=self._group)
        client = self._clients[service]
        if not client.wait_for_service(timeout):
            raise TransportError(f"Nobody offers the service {service}.")
        self._meet(service)
        future = client.call_async(to_ros(request, cls.Request()))
        return from_ros(kind.response, _wait(future, timeout, service))

    def serve(self, service: str, kind: ServiceType, handler: Callable[[Any], Any]) -> None:
        """See `Transport`."""
        cls = ros_class(kind.name)

        def answer(request: Any, response: Any) -> Any:
            try:
                return to_ros(handler(from_ros(kind.request, request)), response)
            except Exception:
                log.exception("The service %s failed.", service)
                return response

        self._server().create_service(cls, service, answer, callback_group=self._group)

    def send_goal(
        self, action: str, kind: ActionType, goal: Any, feedback: Callable[[Any], None] | None = None
    ) -> _Goal:
        """See `Transport`."""
        cls = ros_class(kind.name)
        if action not in self._clients:
            self._clients[action] = self._action.ActionClient(
                self._node, cls, action, callback_group=self._group
            )

        def told(message: Any) -> None:
            if feedback is not None:
                self._work.put(partial(_read, kind.feedback, message.feedback, feedback))

        meet = partial(self._meet, action)
        task = self._executor.create_task
        return _Goal(self._clients[action], action, kind, to_ros(goal, cls.Goal()), told, meet, task)

    def serve_action(
        self,
        action: str,
        kind: ActionType,
        execute: Execute,
        accept: Callable[[Any], bool] = lambda goal: True,
    ) -> None:
        """See `Transport`."""
        cls = ros_class(kind.name)
        answers = self._action

        def carry_out(goal: Any) -> Any:
            served = _Served(goal, kind, cls)
            try:
                status, result = execute(served)
            except Exception:
                log.exception("The action %s failed.", action)
                status, result = ABORTED, kind.result()
            {SUCCEEDED: goal.succeed, CANCELED: goal.canceled}.get(status, goal.abort)()
            return to_ros(result, cls.Result())

        def judge(goal: Any) -> Any:
            good = accept(from_ros(kind.goal, goal))
            return answers.GoalResponse.ACCEPT if good else answers.GoalResponse.REJECT

        answers.ActionServer(
            self._server(), cls, action, carry_out, goal_callback=judge,
            cancel_callback=lambda goal: answers.CancelResponse.ACCEPT, callback_group=self._group,
        )  # fmt: skip

    def topics(self, timeout: float) -> Mapping[str, str]:
        """See `Transport`."""
        return {name: kinds[0] for name, kinds in self._node.get_topic_names_and_types() if kinds}

    def close(self) -> None:
        """See `Transport`."""
        self._closed = True
        self._work.close()
        for node, executor, thread in self._running:
            executor.shutdown(1.0)
            thread.join(2.0)
            node.destroy_node()
        self._rclpy.shutdown(context=self._context)

    def _profile(self, quality: Quality) -> Any:
        qos = self._qos
        return qos.QoSProfile(
            depth=quality.depth,
            reliability=qos.ReliabilityPolicy.RELIABLE
            if quality.reliable
            else qos.ReliabilityPolicy.BEST_EFFORT,
            durability=qos.DurabilityPolicy.TRANSIENT_LOCAL
            if quality.latched
            else qos.DurabilityPolicy.VOLATILE,
        )

    def _meet(self, name: str) -> None:
        """Let who offers this find us too, before the first request."""
        if name not in self._met:
            time.sleep(MEETING)
            self._met.add(name)

    def _server(self) -> Any:
        """The node of what is offered."""
        if self._serving is None:
            self._serving = self._rclpy.create_node("robot_skills_services", context=self._context)
            self._start(self._serving, self._executors.MultiThreadedExecutor(4, context=self._context))
        return self._serving

    def _start(self, node: Any, executor: Any) -> None:
        executor.add_node(node)
        thread = threading.Thread(target=self._spin, args=(executor,), name="rclpy", daemon=True)
        thread.start()
        self._running.append((node, executor, thread))

    def _spin(self, executor: Any) -> None:
        try:
            executor.spin()
        except self._executors.ExternalShutdownException:
            pass
        except Exception:
            if not self._closed:
                log.exception("The node ended.")


class _Goal:
    """A goal of ours.

    What is asked is asked by the executor's own thread, which also takes the answers: rclpy's ActionClient
    notes a request after it has sent it, and drops an answer that another thread takes in between.
    """

    def __init__(
        self,
        client: Any,
        action: str,
        kind: ActionType,
        goal: Any,
        told: Callable[[Any], None],
        meet: Callable[[], None],
        task: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._client, self._action, self._kind, self._meet = client, action, kind, meet
        self._task = task
        self._handle: Any = None
        self._canceled = False
        self._done: Future[tuple[int, Any]] = Future()
        threading.Thread(target=self._run, args=(goal, told), name=action, daemon=True).start()

    def result(self, timeout: float) -> tuple[int, Any]:
        """See `Goal`."""
        return in_time(self._done, timeout, self._action)

    def cancel(self) -> None:
        """See `Goal`; one that is not yet taken on is canceled as soon as it is."""
        self._canceled = True
        if self._handle is not None:
            self._task(self._handle.cancel_goal_async)

    def _ask(self, ask: Callable[[], Any], timeout: float) -> Any:
        return _wait(_wait(self._task(ask), PATIENCE, self._action), timeout, self._action)

    def _run(self, goal: Any, told: Callable[[Any], None]) -> None:
        try:
            if not self._client.wait_for_server(PATIENCE):
                raise TransportError(f"Nobody offers the action {self._action}.")
            self._meet()
            self._handle = self._ask(lambda: self._client.send_goal_async(goal, told), PATIENCE)
            if not self._handle.accepted:
                raise TransportError(f"{self._action} rejected the goal.")
            if self._canceled:
                self._task(self._handle.cancel_goal_async)
            answer = self._ask(self._handle.get_result_async, LONGEST)
            self._done.set_result((int(answer.status), from_ros(self._kind.result, answer.result)))
        except TransportError as error:
            self._done.set_exception(error)


class _Served:
    """A goal of somebody's."""

    def __init__(self, goal: Any, kind: ActionType, cls: Any) -> None:
        self._goal, self._kind, self._cls = goal, kind, cls
        self.request: Any = from_ros(kind.goal, goal.request)

    @property
    def canceled(self) -> bool:
        """See `ServedGoal`."""
        return bool(self._goal.is_cancel_requested)

    def feedback(self, message: Any) -> None:
        """See `ServedGoal`."""
        self._goal.publish_feedback(to_ros(message, self._cls.Feedback()))


def _wait(future: Any, timeout: float, name: str) -> Any:
    """The result of one of rclpy's futures."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout):
        future.cancel()
        raise TransportError(f"{name} did not answer in {timeout:g} s.")
    try:
        return future.result()
    except Exception as error:
        raise TransportError(f"{name} failed: {error}") from error


def _read(kind: type, message: Any, callback: Callable[[Any], None]) -> None:
    callback(from_ros(kind, message))
