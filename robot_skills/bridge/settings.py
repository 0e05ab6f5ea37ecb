"""An arm behind ROS: its joints, limits, topics, controller, cameras, and what must never happen.

A YAML file; `base: franka` begins with a ready-made one (`robot_skills/bridge/arms/*.yaml`) and changes what
the file says. Lists are replaced whole, mappings are merged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robot_skills.errors import InputError, unknown
from robot_skills.training.configuration import from_mapping, read_yaml

#: The ready-made arms.
ARMS = Path(__file__).parent / "arms"


@dataclass(frozen=True)
class TransportSettings:
    """How ROS is reached.

    Attributes:
        kind: a registered transport.
        url: of the rosbridge server.
        ros: of the rosbridge server, 1 or 2.
        cbor: pictures come from it as CBOR. False for a rosbridge_suite of ROS 2 before 2.0 (October 2024),
            which sends none as that, and says nothing.
        domain: ROS_DOMAIN_ID, for the transports that speak DDS.
        rmw: the middleware on the other side, which decides how services are framed on DDS.
        loopback: speak to this machine only.
    """

    kind: str = "rosbridge"
    url: str = "ws://127.0.0.1:9090"
    ros: Literal[1, 2] = 2
    cbor: bool = True
    domain: int = 0
    rmw: Literal["fastrtps", "cyclonedds"] = "fastrtps"
    loopback: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.domain <= 232:
            raise InputError(f"domain is 0 to 232, not {self.domain}.")
        if self.ros == 1 and self.kind != "rosbridge":
            raise InputError(f"ROS 1 is reached through rosbridge, not {self.kind}.")


@dataclass(frozen=True)
class JointSettings:
    """A joint and its limits: rad (m for a slide), /s, /s², /s³; effort in N m (N).

    Attributes:
        effort: a reported effort beyond this stops the arm; null where none is reported.
    """

    name: str
    lower: float
    upper: float
    velocity: float
    acceleration: float
    jerk: float
    effort: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lower) and math.isfinite(self.upper) and self.lower < self.upper):
            raise InputError(f"The joint {self.name!r} needs finite limits with lower below upper.")
        for name in ("velocity", "acceleration", "jerk", "effort"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} of the joint {self.name!r} is a number above 0, not {value}.")


@dataclass(frozen=True)
class ControllerSettings:
    """What takes the commands.

    Attributes:
        kind: joint_trajectory, a stream of short trajectories, each with its own stop at the end;
            follow_joint_trajectory, the same as goals of an action; position, numbers without a stop
            (Float64MultiArray); servo_jog and servo_twist, velocities for MoveIt Servo.
        name: of the topic or action.
        rate: commands a second, 50 to 500 Hz.
        horizon: ticks that a command covers before its way to rest begins. A command that is late by less
            does not make the arm brake; one that never comes, so much later.
        frame: of a twist.
    """

    kind: Literal["joint_trajectory", "follow_joint_trajectory", "position", "servo_jog", "servo_twist"]
    name: str
    rate: float = 100.0
    horizon: int = 3
    frame: str = ""

    def __post_init__(self) -> None:
        if not 50.0 <= self.rate <= 500.0:
            raise InputError(f"rate is 50 to 500 Hz, not {self.rate:g}.")
        if not 1 <= self.horizon <= 50 or self.horizon / self.rate > 0.2:
            raise InputError(f"horizon is 1 tick or more, and at most 0.2 s, not {self.horizon}.")


@dataclass(frozen=True)
class GripperSettings:
    """What opens and closes.

    Attributes:
        kind: gripper_command and parallel_gripper_command are actions, position a Float64MultiArray.
        name: of the action or topic.
        joints: whose positions, times `scale`, add up to the opening in m.
        open, closed: what is commanded, in the gripper's own unit.
        effort: the largest, N.
    """

    kind: Literal["gripper_command", "parallel_gripper_command", "position"]
    name: str
    joints: tuple[str, ...]
    open: float
    closed: float
    scale: float = 1.0
    effort: float = 20.0

    def __post_init__(self) -> None:
        if not self.joints:
            raise InputError("joints of the gripper names at least one joint.")


@dataclass(frozen=True)
class CameraSettings:
    """A camera and what the policy is given of it.

    Attributes:
        topic: of its images.
        kind: raw is sensor_msgs/Image, compressed CompressedImage.
        size: (height, width) in pixels that a policy sees; other sizes are cropped to this shape and scaled.
        max_age: an image older than this is as good as none, s.
    """

    topic: str
    kind: Literal["raw", "compressed"] = "raw"
    size: tuple[int, int] = (64, 64)
    max_age: float = 0.3

    def __post_init__(self) -> None:
        if min(self.size) < 1 or not self.max_age > 0:
            raise InputError("A camera's size is in pixels, 1 or more, and its max_age above 0 s.")


@dataclass(frozen=True)
class KinematicsSettings:
    """The arm's shape.

    Attributes:
        urdf: a file beside the configuration, or the topic it is published on (`/robot_description`).
        tool: the link whose pose is the state and is moved by actions.
        posture: joints where a redundant arm likes to be; the middle of the range where empty.
        leash: the commanded tool stays this close to the measured one, m an axis.
        capsules: link -> (x1, y1, z1, x2, y2, z2, radius) in the link's frame, m: its shape, for
            self-collision.
    """

    urdf: str
    tool: str
    posture: tuple[float, ...] = ()
    leash: float = 0.06
    capsules: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for link, numbers in self.capsules.items():
            if len(numbers) != 7 or not numbers[6] > 0:
                raise InputError(f"The capsule of {link!r} is x1 y1 z1 x2 y2 z2 radius, not {numbers}.")


@dataclass(frozen=True)
class SafetySettings:
    """What the safety chain watches; see `robot_skills/bridge/safety`.

    Attributes:
        workspace_low, workspace_high: corners of the box that the tool stays in, m, base frame.
        joint_margin: kept to the joints' own limits, rad.
        clearance: between two capsules that are not neighbours, m.
        tool_speed: of the tool, m/s. 0.25 is the reduced speed of ISO 10218-1.
        state_age: joint states older than this stop the arm, s.
        camera_age: and images, where a skill looks at them, s.
        following: how far a joint may be from where it was told to be, rad.
        emergency_stop: topic (std_msgs/Bool) that stops the arm while true; "" for none.
        dead_man: topic (std_msgs/Bool) that must keep saying true; "" for none.
        dead_man_age: how long one such message lasts, s.
        stop_service, resume_service: names of std_srvs/Trigger services that are offered.
        first_speed: share of the speed limits at first.
        first_seconds: for how long after each start.
    """

    workspace_low: tuple[float, float, float]
    workspace_high: tuple[float, float, float]
    joint_margin: float = 0.02
    clearance: float = 0.02
    tool_speed: float = 0.25
    state_age: float = 0.1
    camera_age: float = 0.5
    following: float = 0.3
    emergency_stop: str = "/emergency_stop"
    dead_man: str = ""
    dead_man_age: float = 0.3
    stop_service: str = "/robot_skills/stop"
    resume_service: str = "/robot_skills/resume"
    first_speed: float = 0.25
    first_seconds: float = 2.0

    def __post_init__(self) -> None:
        pairs = zip(self.workspace_low, self.workspace_high, strict=True)
        if not all(math.isfinite(low) and math.isfinite(high) and low < high for low, high in pairs):
            raise InputError("workspace_low lies below workspace_high, on every axis.")
        for name in ("tool_speed", "state_age", "camera_age", "following", "dead_man_age"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} is a number above 0, not {getattr(self, name)}.")
        if not 0 < self.first_speed <= 1 or not self.first_seconds >= 0:
            raise InputError("first_speed is above 0 and at most 1, first_seconds 0 or more.")
        if self.joint_margin < 0 or self.clearance < 0:
            raise InputError("joint_margin and clearance are 0 or more.")


@dataclass(frozen=True)
class ArmSettings:
    """An arm behind ROS.

    Attributes:
        joint_states: topic.
        scene: topic (std_msgs/String) where somebody who perceives says what is there: a scene graph in JSON.
        control_rate: actions a second, Hz.
        learned_rate: actions a second that the policies learned at, Hz: a skill may take as much longer as
            `control_rate` is below it.
        reach: share of a control step in which an action's target is to be reached; small is eager.
    """

    name: str
    joints: tuple[JointSettings, ...]
    controller: ControllerSettings
    kinematics: KinematicsSettings
    safety: SafetySettings
    transport: TransportSettings = field(default_factory=TransportSettings)
    gripper: GripperSettings | None = None
    cameras: Mapping[str, CameraSettings] = field(default_factory=dict)
    joint_states: str = "/joint_states"
    scene: str = "/robot_skills/scene"
    control_rate: float = 10.0
    learned_rate: float = 10.0
    reach: float = 1.0

    def __post_init__(self) -> None:
        names = [joint.name for joint in self.joints]
        if not names or len(set(names)) != len(names):
            raise InputError("joints lists at least one joint, each name once.")
        posture = self.kinematics.posture
        if posture and len(posture) != len(names):
            raise InputError(f"posture holds a number for each of {len(names)} joints, not {len(posture)}.")
        if not 0.1 <= self.reach <= 1.0:
            raise InputError(f"reach is a share of a control step, 0.1 to 1, not {self.reach:g}.")
        if not 1.0 <= self.control_rate <= self.controller.rate:
            raise InputError(f"control_rate is 1 Hz up to the controller's rate, not {self.control_rate:g}.")
        if not 0 < self.learned_rate < math.inf:
            raise InputError(f"learned_rate is a number above 0, Hz, not {self.learned_rate:g}.")

    @classmethod
    def read(cls, path: Path | str) -> ArmSettings:
        """Read a file, or a ready-made arm by its name.

        Raises:
            InputError: naming the file and the key that is wrong.
        """
        path = Path(path)
        if not path.suffix and not path.exists():
            path = ready_made(str(path))
        return from_mapping(cls, _merged(path), str(path))


def ready_made(name: str) -> Path:
    """The file of a ready-made arm.

    Raises:
        InputError: there is none of this name.
    """
    found = {path.stem: path for path in ARMS.glob("*.yaml")}
    if name not in found:
        raise unknown("arm", name, found)
    return found[name]


def _merged(path: Path) -> dict[str, Any]:
    """The file's own values over those of its base; a relative path of a URDF is made absolute."""
    data = read_yaml(path, "arm configuration")
    base = data.pop("base", None)
    kinematics = data.get("kinematics")
    if isinstance(kinematics, dict) and isinstance(kinematics.get("urdf"), str):
        urdf = kinematics["urdf"]
        if not urdf.startswith("/"):
            kinematics["urdf"] = str((path.parent / urdf).resolve())
    if base is None:
        return data
    if not isinstance(base, str):
        raise InputError(f"{path}: base names a ready-made arm, not {base!r}.")
    return _over(_merged(ready_made(base)), data)


def _over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
