"""Time, plain values and geometry: builtin_interfaces, std_msgs, geometry_msgs."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_skills.bridge.schema import F64, I32, U32, Bool, F64s, Text, message


@message("builtin_interfaces/msg/Time")
@dataclass(frozen=True)
class Time:
    """Seconds since the epoch, in two parts."""

    sec: I32 = 0
    nanosec: U32 = 0

    @classmethod
    def from_seconds(cls, seconds: float) -> Time:
        """Split seconds; rounded to a nanosecond."""
        total = round(seconds * 1e9)
        return cls(total // 1_000_000_000, total % 1_000_000_000)

    @property
    def seconds(self) -> float:
        """Put together again."""
        return self.sec + 1e-9 * self.nanosec


@message("builtin_interfaces/msg/Duration")
@dataclass(frozen=True)
class Duration:
    """A span of time, in two parts."""

    sec: I32 = 0
    nanosec: U32 = 0

    @classmethod
    def from_seconds(cls, seconds: float) -> Duration:
        """Split seconds; rounded to a nanosecond."""
        total = round(seconds * 1e9)
        return cls(total // 1_000_000_000, total % 1_000_000_000)

    @property
    def seconds(self) -> float:
        """Put together again."""
        return self.sec + 1e-9 * self.nanosec


@message("std_msgs/msg/Header")
@dataclass(frozen=True)
class Header:
    """When, and in which frame."""

    stamp: Time = field(default_factory=Time)
    frame_id: Text = ""


@message("std_msgs/msg/Bool")
@dataclass(frozen=True)
class BoolMessage:
    """A truth value: e-stop, dead man's switch."""

    data: Bool = False


@message("std_msgs/msg/String")
@dataclass(frozen=True)
class String:
    """A text."""

    data: Text = ""


@message("std_msgs/msg/MultiArrayDimension")
@dataclass(frozen=True)
class MultiArrayDimension:
    """A dimension of an array."""

    label: Text = ""
    size: U32 = 0
    stride: U32 = 0


@message("std_msgs/msg/MultiArrayLayout")
@dataclass(frozen=True)
class MultiArrayLayout:
    """How an array is laid out."""

    dim: tuple[MultiArrayDimension, ...] = ()
    data_offset: U32 = 0


@message("std_msgs/msg/Float64MultiArray")
@dataclass(frozen=True)
class Float64MultiArray:
    """What position controllers take: a number a joint, in the order of their configuration."""

    layout: MultiArrayLayout = field(default_factory=MultiArrayLayout)
    data: F64s = ()


@message("geometry_msgs/msg/Vector3")
@dataclass(frozen=True)
class Vector3:
    """Three numbers."""

    x: F64 = 0.0
    y: F64 = 0.0
    z: F64 = 0.0


@message("geometry_msgs/msg/Quaternion")
@dataclass(frozen=True)
class Quaternion:
    """A rotation."""

    x: F64 = 0.0
    y: F64 = 0.0
    z: F64 = 0.0
    w: F64 = 1.0


@message("geometry_msgs/msg/Transform")
@dataclass(frozen=True)
class Transform:
    """A pose of one frame in another."""

    translation: Vector3 = field(default_factory=Vector3)
    rotation: Quaternion = field(default_factory=Quaternion)


@message("geometry_msgs/msg/Twist")
@dataclass(frozen=True)
class Twist:
    """Linear (m/s) and angular (rad/s) velocity."""

    linear: Vector3 = field(default_factory=Vector3)
    angular: Vector3 = field(default_factory=Vector3)


@message("geometry_msgs/msg/TwistStamped")
@dataclass(frozen=True)
class TwistStamped:
    """A twist with its moment and frame, as MoveIt Servo takes it."""

    header: Header = field(default_factory=Header)
    twist: Twist = field(default_factory=Twist)
