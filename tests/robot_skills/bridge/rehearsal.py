"""An arm that does what it is told, on the in-memory transport: what the bridge's tests drive."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from robot_skills.bridge.follower import Follower
from robot_skills.bridge.messages import (
    BoolMessage,
    Float64MultiArray,
    Header,
    Image,
    JointState,
    JointTrajectory,
    Time,
)
from robot_skills.bridge.settings import ArmSettings, TransportSettings
from robot_skills.bridge.transport import COMMANDS, SENSORS, Transport
from robot_skills.bridge.transports.memory import MemoryTransport

URDF = Path(__file__).parents[3] / "sim" / "tabletop" / "assets" / "panda.urdf"
_domains = itertools.count(1000)


def new_domain() -> TransportSettings:
    """A graph of one's own."""
    return TransportSettings(kind="memory", domain=next(_domains) % 200)


#: The real arm's limits: rad/s, rad/s², and a cautious jerk, rad/s³.
SPEEDS, ACCELERATIONS, JERK = (2.175,) * 4 + (2.61,) * 3, (15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0), 600.0


def panda(**safety: object) -> ArmSettings:
    """A Panda with a real one's limits, its URDF read from the file; `safety` changes its safety settings."""
    read = ArmSettings.read("tabletop")
    joints = tuple(
        dataclasses.replace(joint, velocity=speed, acceleration=acceleration, jerk=JERK)
        for joint, speed, acceleration in zip(read.joints, SPEEDS, ACCELERATIONS, strict=True)
    )
    return dataclasses.replace(
        read,
        joints=joints,
        control_rate=5.0,
        reach=1.0,
        controller=dataclasses.replace(read.controller, rate=100.0, horizon=3),
        kinematics=dataclasses.replace(read.kinematics, urdf=str(URDF)),
        safety=dataclasses.replace(read.safety, **safety),  # type: ignore[arg-type]
    )


#: Seconds that a busy machine may hold up anything, where that is not what is tested.
PATIENCE = 3.0


def patient(settings: ArmSettings, **safety: float) -> ArmSettings:
    """An arm whose watchdog waits, but for the `safety` settings that are tested."""
    calm = {"state_age": PATIENCE, "camera_age": PATIENCE, "following": 2.0, **safety}
    cameras = {
        name: dataclasses.replace(camera, max_age=PATIENCE) for name, camera in settings.cameras.items()
    }
    watch = dataclasses.replace(settings.safety, **calm)  # type: ignore[arg-type]
    return dataclasses.replace(settings, safety=watch, cameras=cameras)


def patient_file(path: Path, **safety: float) -> Path:
    """The same for the simulated arm, as a configuration."""
    arm = patient(ArmSettings.read("tabletop"), **safety)
    cameras = {
        name: {"topic": camera.topic, "size": list(camera.size), "max_age": camera.max_age}
        for name, camera in arm.cameras.items()
    }
    watch = {name: getattr(arm.safety, name) for name in ("state_age", "camera_age", "following")}
    path.write_text(yaml.safe_dump({"base": "tabletop", "safety": watch, "cameras": cameras}))
    return path


def wait_for(what: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether it came true."""
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(what())


def joint_state(
    settings: ArmSettings, position: np.ndarray, stamp: float = 0.0, /, **changes: object
) -> JointState:
    """What an arm at a position says."""
    names = tuple(joint.name for joint in settings.joints)
    fingers = settings.gripper.joints if settings.gripper else ()
    values = (*map(float, position), *(0.02 for _ in fingers))
    said = JointState(Header(Time.from_seconds(stamp)), (*names, *fingers), values)
    return dataclasses.replace(said, **changes)  # type: ignore[arg-type]


class PerfectArm:
    """Follows trajectories by cubics between their points, as ros2_control does, and remembers where it was.

    Its clock is the machine's; it says its state `rate` times a second, with pictures every so many times.
    """

    def __init__(
        self, settings: ArmSettings, transport: Transport, rate: float = 100.0, every: int = 1
    ) -> None:
        self.settings, self.transport, self._every = settings, transport, every
        self.commands: list[JointTrajectory] = []
        self.grips: list[float] = []
        self.history: list[tuple[float, np.ndarray]] = []
        self.frozen = self.silent = False
        self.sag = 0.0  # how far below what it was told each joint stands, rad
        names = [joint.name for joint in settings.joints]
        self._follower = Follower(names, np.array(settings.kinematics.posture))
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._rate = rate
        self._say = transport.publisher(settings.joint_states, JointState, COMMANDS)
        self._images = [
            transport.publisher(camera.topic, Image, SENSORS) for camera in settings.cameras.values()
        ]
        self.emergency_stop = transport.publisher(settings.safety.emergency_stop, BoolMessage, COMMANDS)
        transport.subscribe(settings.controller.name, JointTrajectory, self._take, COMMANDS)
        if settings.gripper is not None:
            transport.subscribe(settings.gripper.name, Float64MultiArray, self._grip, COMMANDS)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def position(self) -> np.ndarray:
        return self._at(time.monotonic())[0]

    def speeds(self, since: float = 0.0) -> np.ndarray:
        """Largest joint speed between two states, for each pair of them since a time."""
        kept = [(when, where) for when, where in self.history if when >= since]
        return np.array(
            [np.abs(b - a).max() / (t - s) for (s, a), (t, b) in itertools.pairwise(kept) if t > s]
        )

    def rests(self) -> bool:
        """Whether it comes to rest, and stays there for 0.3 s."""

        def still() -> bool:
            since, seen = time.monotonic(), len(self.history)
            time.sleep(0.3)
            return len(self.history) > seen + 2 and self.speeds(since).max() < 1e-6

        return wait_for(still)

    def close(self) -> None:
        self._over.set()
        self._thread.join(2.0)
        self.transport.close()

    def _take(self, message: JointTrajectory) -> None:
        now = time.monotonic()
        self.commands.append(message)
        if self.frozen:
            return
        with self._lock:
            assert self._follower.take(message, now) == ""

    def _grip(self, message: Float64MultiArray) -> None:
        self.grips.append(message.data[0])

    def _at(self, now: float) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            return self._follower.at(now)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            now = time.monotonic()
            where, _ = self._at(now)
            self.history.append((now, where))
            if not self.silent:
                self._say(joint_state(self.settings, where - self.sag, time.time()))
                if len(self.history) % self._every == 0:
                    self._say_pictures()
            due += 1.0 / self._rate
            self._over.wait(max(0.0, due - time.monotonic()))

    def _say_pictures(self) -> None:
        for camera, publish in zip(self.settings.cameras.values(), self._images, strict=True):
            height, width = camera.size
            stamp = Header(Time.from_seconds(time.time()))
            grey = bytes([128]) * (3 * height * width)
            publish(Image(stamp, height, width, "rgb8", 0, 3 * width, grey))


def rehearse(settings: ArmSettings) -> tuple[PerfectArm, MemoryTransport]:
    """An arm on a graph of its own, and a transport to reach it."""
    domain = new_domain()
    return PerfectArm(settings, MemoryTransport(domain)), MemoryTransport(domain)
