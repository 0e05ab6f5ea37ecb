"""What an arm and its cameras say: sensor_msgs."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_skills.bridge.messages.standard import Header
from robot_skills.bridge.schema import U8, U32, Bool, Bytes, F64s, F64x9, F64x12, Text, Texts, message


@message("sensor_msgs/msg/JointState")
@dataclass(frozen=True)
class JointState:
    """Joints by name; velocity and effort may be empty."""

    header: Header = field(default_factory=Header)
    name: Texts = ()
    position: F64s = ()
    velocity: F64s = ()
    effort: F64s = ()


@message("sensor_msgs/msg/Image")
@dataclass(frozen=True)
class Image:
    """An uncompressed picture."""

    header: Header = field(default_factory=Header)
    height: U32 = 0
    width: U32 = 0
    encoding: Text = ""
    is_bigendian: U8 = 0
    step: U32 = 0
    data: Bytes = b""


@message("sensor_msgs/msg/CompressedImage")
@dataclass(frozen=True)
class CompressedImage:
    """A picture as a JPEG or PNG file."""

    header: Header = field(default_factory=Header)
    format: Text = ""
    data: Bytes = b""


@message("sensor_msgs/msg/RegionOfInterest")
@dataclass(frozen=True)
class RegionOfInterest:
    """A part of a picture."""

    x_offset: U32 = 0
    y_offset: U32 = 0
    height: U32 = 0
    width: U32 = 0
    do_rectify: Bool = False


@message("sensor_msgs/msg/CameraInfo")
@dataclass(frozen=True)
class CameraInfo:
    """A camera's calibration."""

    header: Header = field(default_factory=Header)
    height: U32 = 0
    width: U32 = 0
    distortion_model: Text = ""
    d: F64s = ()
    k: F64x9 = (0.0,) * 9
    r: F64x9 = (0.0,) * 9
    p: F64x12 = (0.0,) * 12
    binning_x: U32 = 0
    binning_y: U32 = 0
    roi: RegionOfInterest = field(default_factory=RegionOfInterest)
