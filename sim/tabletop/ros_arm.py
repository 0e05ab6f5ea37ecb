"""The tabletop behind the ROS interfaces of a real arm, in real time: controllers, gripper, cameras, stop.

in    trajectories of the joints or their positions, positions of the gripper
      /sim_arm/stop (std_srvs/Trigger)
      /sim_arm/task (std_msgs/String): {"skill": "pick", "seed": 7} begins an episode
      /sim_arm/fault (std_msgs/String): {"kind": "delay", "seconds": 0.2}, see `Fault`
out   joint states at 60 Hz, cameras at 15 Hz, /robot_description
      /sim_arm/report (std_msgs/String): the task, and whether its goal is reached (simulator state)
      /robot_skills/scene (std_msgs/String): the scene graph, read from the simulator's state
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from robot_skills.bridge.follower import Follower
from robot_skills.bridge.messages import (
    CameraInfo,
    Duration,
    Float64MultiArray,
    Header,
    Image,
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    String,
    Time,
    Trigger,
    TriggerResponse,
)
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transport import COMMANDS, LATCHED, SENSORS, STREAM, Transport
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.training.configuration import from_mapping
from sim.tabletop import arm as panda
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import Scene
from sim.tabletop.tasks import Task, sample_task
from sim.tabletop.world import TIME_STEP, Array, TabletopWorld

log = logging.getLogger(__name__)

#: Physics steps between two joint states (60 Hz), two images of a camera (15 Hz) and two reports (6 Hz).
STATE_STEPS, IMAGE_STEPS, REPORT_STEPS = 2, 4, 20
#: So far behind the clock, time stands still instead of being made up for, s.
BEHIND = 0.2


@dataclass(frozen=True)
class Fault:
    """What goes wrong, on demand.

    Attributes:
        kind: delay every command by `seconds`; drop a `share` of the commands; stuck: `joint` does not move;
            dead_camera: `camera` sends nothing; silent: no joint states; none: all is well again.
    """

    kind: Literal["none", "delay", "drop", "stuck", "dead_camera", "silent"] = "none"
    seconds: float = 0.0
    share: float = 0.0
    joint: str = ""
    camera: str = ""


class SimulatedArm:
    """Runs a world in real time behind a transport.

    Args:
        world: with any scene in it; its cameras are those that are sent.
        settings: names of the topics and joints.
        transport: open.
        fault: what goes wrong from the beginning.
        seed: of what is dropped.
    """

    def __init__(
        self,
        world: TabletopWorld,
        settings: ArmSettings,
        transport: Transport,
        *,
        fault: Fault | None = None,
        seed: int = 0,
    ) -> None:
        self._world, self._settings = world, settings
        self._names = tuple(joint.name for joint in settings.joints)
        self._fingers = settings.gripper.joints if settings.gripper else ()
        self._follower = Follower(self._names, world.arm.joints)
        self._rng = np.random.default_rng(seed)
        self._fault = fault or Fault()
        self._task: Task | None = None
        self._library = SkillLibrary.open()
        self._orders: deque[tuple[float, Callable[[], None]]] = deque()
        self._lock = threading.Lock()
        self._steps, self._header = 0, Header()
        self._publish(transport)
        self._subscribe(transport)

    def begin(self, skill: str, seed: int) -> None:
        """Begin the episode of a skill that belongs to a seed."""
        self._task = sample_task(skill, seed)
        self._task.start(self._world)
        self._follower.hold(self._world.arm.joints)

    def load(self, scene: Scene) -> None:
        """Begin with a scene, without a task."""
        self._task = None
        self._world.reset(scene)
        self._follower.hold(self._world.arm.joints)

    def run(self, over: threading.Event) -> None:
        """Until the event is set."""
        due = time.monotonic()
        while not over.is_set():
            now = time.monotonic()
            if now - due > BEHIND:
                due = now
            if now < due:
                over.wait(due - now)
                continue
            self.step(now)
            due += TIME_STEP

    def step(self, now: float) -> None:
        """One physics step, and what is said after it."""
        with self._lock:
            orders = [order for when, order in self._orders if when <= now]
            self._orders = deque(item for item in self._orders if item[0] > now)
        for order in orders:
            order()
        self._drive(now)
        self._world.substep()
        self._steps += 1
        # One stamp for all that is sensed after this step, however long the pictures take.
        self._header = Header(Time.from_seconds(time.time()))
        if self._fault.kind != "silent" and self._steps % STATE_STEPS == 0:
            self._say_state()
        if self._steps % IMAGE_STEPS == 0:
            self._say_images()
        if self._steps % REPORT_STEPS == 0:
            self._say_report()

    def _publish(self, transport: Transport) -> None:
        settings = self._settings
        self._states = transport.publisher(settings.joint_states, JointState, STREAM)
        self._images = {
            name: transport.publisher(camera.topic, Image, SENSORS)
            for name, camera in settings.cameras.items()
        }
        self._infos = {
            name: transport.publisher(camera.topic.rpartition("/")[0] + "/camera_info", CameraInfo, SENSORS)
            for name, camera in settings.cameras.items()
        }
        self._reports = transport.publisher("/sim_arm/report", String, STREAM)
        self._scenes = transport.publisher(settings.scene, String, STREAM)
        if settings.kinematics.urdf.startswith("/") and not settings.kinematics.urdf.endswith(".urdf"):
            transport.publisher(settings.kinematics.urdf, String, LATCHED)(String(panda.URDF.read_text()))

    def _subscribe(self, transport: Transport) -> None:
        controller = self._settings.controller
        if controller.kind == "joint_trajectory":
            transport.subscribe(controller.name, JointTrajectory, self._on_trajectory, COMMANDS)
        elif controller.kind == "position":
            transport.subscribe(controller.name, Float64MultiArray, self._on_positions, COMMANDS)
        else:
            raise InputError(f"The simulated arm has no controller of the kind {controller.kind}.")
        if self._settings.gripper is not None:
            transport.subscribe(self._settings.gripper.name, Float64MultiArray, self._on_grip, COMMANDS)
        transport.subscribe("/sim_arm/task", String, self._on_task, STREAM)
        transport.subscribe("/sim_arm/fault", String, self._on_fault, STREAM)
        transport.serve("/sim_arm/stop", Trigger, self._on_stop)

    def _drive(self, now: float) -> None:
        position = self._follower.at(now)[0].copy()
        if self._fault.kind == "stuck" and self._fault.joint in self._names:
            stuck = self._names.index(self._fault.joint)
            position[stuck] = self._measured()[stuck]
        self._world.arm.servo(position)

    def _measured(self) -> Array:
        """Positions of the arm's joints, (7,) rad."""
        return np.array(self._world.arm.sensors()[0][: len(self._names)])

    def _say_state(self) -> None:
        names = (*self._names, *self._fingers)
        position, velocity, effort = (values[: len(names)] for values in self._world.arm.sensors())
        self._states(JointState(self._header, names, position, velocity, effort))

    def _say_images(self) -> None:
        for name, publish in self._images.items():
            if self._fault.kind == "dead_camera" and self._fault.camera == name:
                continue
            height, width = self._settings.cameras[name].size
            picture = self._world.render(name, height, width)
            header = self._header
            publish(Image(header, height, width, "rgb8", 0, 3 * width, picture.tobytes()))
            self._infos[name](CameraInfo(header, height, width, "plumb_bob"))

    def _say_report(self) -> None:
        graph = scene_graph(self._world.state())
        report: dict[str, Any] = {"task": None, "fault": self._fault.kind}
        if self._task is not None:
            skill = self._library.skill(self._task.skill)
            reached = graph.holds(skill.goal(self._task.call))
            report["task"] = {"skill": self._task.skill, "seed": self._task.seed}
            report |= {"call": str(self._task.call), "reached": reached}
        self._reports(String(json.dumps(report)))
        self._scenes(String(json.dumps(graph.to_json())))

    def _order(self, work: Callable[[], None], *, command: bool = False) -> None:
        """Have the thread that runs the world do something; commands suffer the faults."""
        when, fault = time.monotonic(), self._fault
        if command and fault.kind == "drop" and self._rng.random() < fault.share:
            return
        if command and fault.kind == "delay":
            when += fault.seconds
        with self._lock:
            self._orders.append((when, work))

    def _on_trajectory(self, message: JointTrajectory) -> None:
        def take() -> None:
            if refused := self._follower.take(message, time.monotonic()):
                log.warning("Refused a trajectory: %s", refused)

        self._order(take, command=True)

    def _on_positions(self, message: Float64MultiArray) -> None:
        seconds = Duration.from_seconds(1.0 / self._settings.controller.rate)
        point = JointTrajectoryPoint(message.data, time_from_start=seconds)
        self._on_trajectory(JointTrajectory(Header(), self._names, (point,)))

    def _on_grip(self, message: Float64MultiArray) -> None:
        gripper = self._settings.gripper
        if gripper is None or len(message.data) != 1:
            log.warning("Refused a command of the gripper: one number is wanted.")
            return
        closed = abs(message.data[0] - gripper.closed) < abs(message.data[0] - gripper.open)

        def grip() -> None:
            self._world.arm.grip = 1.0 if closed else -1.0

        self._order(grip, command=True)

    def _on_stop(self, request: Any) -> TriggerResponse:
        self._order(lambda: self._follower.hold(self._measured()))
        return TriggerResponse(True, "the arm holds")

    def _on_task(self, message: String) -> None:
        try:
            data = json.loads(message.data)
            skill, seed = str(data["skill"]), int(data["seed"])
            self._library.skill(skill)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("Refused a task: %s", error)
            return
        self._order(lambda: self.begin(skill, seed))

    def _on_fault(self, message: String) -> None:
        try:
            self._fault = from_mapping(Fault, json.loads(message.data), "fault")
        except (ValueError, TypeError) as error:
            log.warning("Refused a fault: %s", error)
            return
        log.warning("From now on: %s", self._fault)
