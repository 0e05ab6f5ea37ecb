"""ROS messages as frozen dataclasses: what their fields are, read from the annotations once.

A field's annotation carries its ROS type: `F64s = Annotated[tuple[float, ...], "float64[]"]`. From this
table come both codecs, the text of a definition, and the conversion to a native node's messages.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar

from robot_skills.errors import InputError, unknown

M = TypeVar("M")

Bool: TypeAlias = Annotated[bool, "bool"]
U8: TypeAlias = Annotated[int, "uint8"]
I8: TypeAlias = Annotated[int, "int8"]
I32: TypeAlias = Annotated[int, "int32"]
U16: TypeAlias = Annotated[int, "uint16"]
U32: TypeAlias = Annotated[int, "uint32"]
F32: TypeAlias = Annotated[float, "float32"]
F64: TypeAlias = Annotated[float, "float64"]
Text: TypeAlias = Annotated[str, "string"]
Bytes: TypeAlias = Annotated[bytes, "uint8[]"]
Uuid: TypeAlias = Annotated[bytes, "uint8[16]"]
I32s: TypeAlias = Annotated[tuple[int, ...], "int32[]"]
F64s: TypeAlias = Annotated[tuple[float, ...], "float64[]"]
F64x9: TypeAlias = Annotated[tuple[float, ...], "float64[9]"]
F64x12: TypeAlias = Annotated[tuple[float, ...], "float64[12]"]
Texts: TypeAlias = Annotated[tuple[str, ...], "string[]"]

#: ROS's name of a primitive -> (code of `struct`, size in bytes). A string has neither.
PRIMITIVES = {
    "bool": ("?", 1), "uint8": ("B", 1), "int8": ("b", 1), "uint16": ("H", 2), "int16": ("h", 2),
    "uint32": ("I", 4), "int32": ("i", 4), "uint64": ("Q", 8), "int64": ("q", 8),
    "float32": ("f", 4), "float64": ("d", 8),
}  # fmt: skip
STRING = "string"
#: Range of the whole numbers.
RANGES = {
    f"{sign}int{bits}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("u", "")
    for bits in (8, 16, 32, 64)
}


class MessageError(ValueError):
    """A message that does not hold what its type says; the text names the field."""


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        kind: a primitive's name, "string", or the dataclass of a nested message.
        count: None for one value, 0 for a sequence, n for an array of n.
    """

    name: str
    kind: str | type
    count: int | None

    @property
    def ros_type(self) -> str:
        """As a message definition writes it: "float64[]"."""
        name = self.kind if isinstance(self.kind, str) else _short(ros_name(self.kind))
        return name + {None: "", 0: "[]"}.get(self.count, f"[{self.count}]")

    @property
    def is_bytes(self) -> bool:
        """Whether the value is `bytes`: uint8 sequences and arrays are."""
        return self.kind == "uint8" and self.count is not None


@dataclass(frozen=True)
class ServiceType:
    """A service: its name, as "std_srvs/srv/Trigger", and its two messages."""

    name: str
    request: type
    response: type


@dataclass(frozen=True)
class ActionType:
    """An action: its name, as "test_msgs/action/Fibonacci", and its three messages."""

    name: str
    goal: type
    result: type
    feedback: type


@dataclass(frozen=True)
class ActionParts:
    """What an action is made of on the wire: two services and the message of its feedback."""

    send_goal: ServiceType
    get_result: ServiceType
    feedback: type


_MESSAGES: dict[str, type] = {}
_NAMES: dict[type, str] = {}
_FIELDS: dict[type, tuple[Field, ...]] = {}


def message(name: str) -> Callable[[type[M]], type[M]]:
    """Register a frozen dataclass as the message of a ROS type."""

    def register(cls: type[M]) -> type[M]:
        _MESSAGES[name], _NAMES[cls] = cls, name
        return cls

    return register


@cache
def action_parts(kind: ActionType) -> ActionParts:
    """The services and messages of an action, as rosidl makes them."""
    from robot_skills.bridge.messages import UUID, Time

    def part(suffix: str, **members: Any) -> type:
        name = f"{kind.name}_{suffix}"
        return message(name)(
            dataclasses.make_dataclass(name.rpartition("/")[2], members.items(), frozen=True)
        )

    return ActionParts(
        ServiceType(
            f"{kind.name}_SendGoal",
            part("SendGoal_Request", goal_id=UUID, goal=kind.goal),
            part("SendGoal_Response", accepted=Bool, stamp=Time),
        ),
        ServiceType(
            f"{kind.name}_GetResult",
            part("GetResult_Request", goal_id=UUID),
            part("GetResult_Response", status=I8, result=kind.result),
        ),
        part("FeedbackMessage", goal_id=UUID, feedback=kind.feedback),
    )


def ros_name(cls: type) -> str:
    """The ROS type of a message class, as "sensor_msgs/msg/JointState"."""
    return _NAMES[cls]


def message_class(name: str) -> type:
    """The class of a ROS type; "sensor_msgs/JointState", as ROS 1 and rosbridge write it, is one too.

    Raises:
        InputError: it is not among the messages the bridge speaks.
    """
    package, _, rest = name.partition("/")
    full = name if "/" in rest else f"{package}/msg/{rest}"
    if full not in _MESSAGES:
        raise unknown("message type", name, _MESSAGES)
    return _MESSAGES[full]


def fields_of(cls: type) -> tuple[Field, ...]:
    """The fields of a message class, in the order of the wire."""
    if cls in _FIELDS:
        return _FIELDS[cls]
    if cls not in _NAMES:
        raise InputError(f"{cls.__name__} is not a registered message.")
    hints = typing.get_type_hints(cls, include_extras=True)
    _FIELDS[cls] = tuple(_field(field.name, hints[field.name]) for field in dataclasses.fields(cls))
    return _FIELDS[cls]


def definition(cls: type) -> str:
    """The text of a message definition with everything it nests, as rosbag2 stores it ("ros2msg")."""
    order: list[type] = []

    def visit(kind: type) -> None:
        for field in fields_of(kind):
            if not isinstance(field.kind, str) and field.kind not in order:
                order.append(field.kind)
                visit(field.kind)

    visit(cls)
    parts = [_lines(cls)]
    parts += [f"MSG: {_short(ros_name(kind))}\n{_lines(kind)}" for kind in order if kind is not cls]
    return f"{'=' * 80}\n".join(parts)


def _lines(cls: type) -> str:
    return "".join(f"{field.ros_type} {field.name}\n" for field in fields_of(cls))


def _short(name: str) -> str:
    """package/Name, as definitions write nested types."""
    return name.replace("/msg/", "/")


def _field(name: str, hint: Any) -> Field:
    if typing.get_origin(hint) is Annotated:
        text: str = typing.get_args(hint)[1]
        kind, bracket, count = text.partition("[")
        if not bracket:
            return Field(name, kind, None)
        return Field(name, kind, int(count.rstrip("]") or 0))
    if typing.get_origin(hint) is tuple:
        return Field(name, typing.get_args(hint)[0], 0)
    return Field(name, hint, None)
