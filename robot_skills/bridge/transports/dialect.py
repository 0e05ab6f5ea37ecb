"""What rosbridge servers of ROS 1 and of ROS 2 write differently: names of types, and the parts of a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from robot_skills.bridge.json_codec import from_json, to_json

M = TypeVar("M")

#: Field of ours -> ROS 1's. It has no field of the names without one, and refuses messages that hold them.
ROS1_FIELDS: Mapping[str, str] = {
    "sec": "secs",
    "nanosec": "nsecs",
    **dict.fromkeys(("multi_dof_trajectory", "component_path_tolerance", "component_goal_tolerance"), ""),
}


@dataclass(frozen=True)
class Dialect:
    """How one of them writes; names of types are ours, as ROS 2 has them, on this side."""

    ros: Literal[1, 2]

    def name(self, ours: str) -> str:
        """The name of a type: "std_msgs/msg/Bool", or "std_msgs/Bool" for ROS 1."""
        package, _, name = ours.split("/")
        return ours if self.ros == 2 else f"{package}/{name}"

    @staticmethod
    def message_name(theirs: str) -> str:
        """The inverse, for messages."""
        package, _, name = theirs.partition("/")
        return theirs if "/" in name else f"{package}/msg/{name}"

    def write(self, message: Any) -> dict[str, Any]:
        """The plain values of a message."""
        return to_json(message, self._fields)

    def read(self, cls: type[M], data: Any) -> M:
        """The message of plain values.

        Raises:
            MessageError: naming the field whose value is not of its type.
        """
        return from_json(cls, data, names=self._fields)

    @property
    def _fields(self) -> Mapping[str, str]:
        return ROS1_FIELDS if self.ros == 1 else {}
