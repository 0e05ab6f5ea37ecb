"""Is what the configuration names on the graph? A list of findings, each with what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_skills.bridge.description import read_urdf
from robot_skills.bridge.images import picture
from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.messages import BoolMessage, CompressedImage, Image, JointState
from robot_skills.bridge.outputs import MESSAGES
from robot_skills.bridge.schema import MessageError, ros_name
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transport import SENSORS, STREAM, Transport, TransportError, open_transport
from robot_skills.errors import InputError, JobError


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        ok: None where it could not be looked at.
        found: what is there.
        advice: what to do if it is not as it should be.
    """

    name: str
    ok: bool | None
    found: str
    advice: str = ""


def examine(settings: ArmSettings, seconds: float = 2.0) -> Iterator[Finding]:
    """Look at everything, each as soon as it is known; nothing is sent to the arm.

    Args:
        settings: what should be there.
        seconds: how long is listened for messages.
    """
    try:
        transport = open_transport(settings.transport)
    except (TransportError, InputError) as error:
        yield Finding(
            "transport", False, str(error), "Start the rosbridge server, or name another transport."
        )
        return
    try:
        yield Finding("transport", True, f"{settings.transport.kind} is connected")
        heard = _listen(settings, transport, seconds)
        yield from _joints(settings, heard[settings.joint_states], seconds)
        yield _kinematics(settings, transport, seconds)
        for name, camera in settings.cameras.items():
            yield _camera(name, camera.topic, camera.size, heard[camera.topic], seconds)
        yield from _topics(settings, transport, seconds)
        yield from _safety(settings, heard)
    finally:
        transport.close()


def _listen(settings: ArmSettings, transport: Transport, seconds: float) -> dict[str, list[Any]]:
    """Topic -> the messages of some seconds."""
    wanted: list[tuple[str, type[Any]]] = [(settings.joint_states, JointState)]
    wanted += [
        (camera.topic, Image if camera.kind == "raw" else CompressedImage)
        for camera in settings.cameras.values()
    ]
    switches = (settings.safety.emergency_stop, settings.safety.dead_man)
    wanted += [(topic, BoolMessage) for topic in switches if topic]
    heard: dict[str, list[Any]] = {topic: [] for topic, _ in wanted}
    for topic, kind in wanted:
        keep: Callable[[Any], None] = heard[topic].append
        transport.subscribe(topic, kind, keep, SENSORS if kind in (Image, CompressedImage) else STREAM)
    time.sleep(seconds)
    return heard


def _joints(settings: ArmSettings, states: list[JointState], seconds: float) -> Iterator[Finding]:
    topic, names = settings.joint_states, [joint.name for joint in settings.joints]
    whole = [state for state in states if set(names) <= set(state.name)]
    if not whole:
        seen = sorted({name for state in states for name in state.name})
        found = f"{topic}: {len(states)} messages, of the joints {', '.join(seen) or '(none)'}"
        missing = ", ".join(name for name in names if name not in seen)
        yield Finding(
            "joint states", False, found, f"Not among them: {missing}. Correct joints: or the topic."
        )
        return
    rate = len(whole) / seconds
    need = 2.0 / settings.safety.state_age
    yield Finding(
        "joint states", rate >= need, f"{topic}: {rate:.0f} Hz",
        f"state_age of {settings.safety.state_age:g} s needs {need:.0f} Hz, or more patience.",
    )  # fmt: skip
    last = whole[-1]
    values = np.array([last.position[last.name.index(name)] for name in names])
    wrong = [
        f"{joint.name} at {value:.2f} is not in {joint.lower:g} .. {joint.upper:g}"
        for joint, value in zip(settings.joints, values, strict=True)
        if not joint.lower <= value <= joint.upper
    ]
    yield Finding("joint limits", not wrong, "; ".join(wrong) or "every joint is within its limits",
                  "Move the arm there by hand, or correct the limits.")  # fmt: skip
    clock = abs(last.header.stamp.seconds - time.time())
    ok = clock < 1.0 or not last.header.stamp.seconds
    yield Finding("clock", ok, f"stamps are {clock:.2f} s from this machine's clock",
                  "Have chrony or ntp set both clocks: older stamps are refused.")  # fmt: skip
    if settings.gripper is not None:
        fingers = settings.gripper.joints
        missing = ", ".join(name for name in fingers if all(name not in state.name for state in states))
        yield Finding("gripper", not missing, f"joints: {', '.join(fingers)}",
                      f"Nobody reports {missing}: correct joints: of gripper:.")  # fmt: skip


def _kinematics(settings: ArmSettings, transport: Transport, seconds: float) -> Finding:
    try:
        kinematics = Kinematics(settings, read_urdf(settings, transport, seconds))
    except (InputError, JobError) as error:
        return Finding("kinematics", False, str(error), "kinematics: urdf: FILE, and the names in it.")
    x, y, z = kinematics.tool(kinematics.posture)[0]
    return Finding("kinematics", True, f"the tool is at {x:.2f} {y:.2f} {z:.2f} m in its posture")


def _camera(name: str, topic: str, size: tuple[int, int], images: list[Any], seconds: float) -> Finding:
    title = f"camera {name}"
    if not images:
        return Finding(title, False, f"no image came on {topic}", "Start the camera, or correct its topic.")
    try:
        height, width = picture(images[-1]).shape[:2]
    except (MessageError, InputError) as error:
        return Finding(title, False, str(error), "Have it send rgb8, or a JPEG.")
    found = f"{topic}: {len(images) / seconds:.0f} Hz, {height} x {width}"
    ok = height >= size[0] and width >= size[1]
    return Finding(title, ok, found, f"Policies see {size[0]} x {size[1]}: it would be enlarged.")


def _topics(settings: ArmSettings, transport: Transport, seconds: float) -> Iterator[Finding]:
    """Whether what takes commands is there, where the transport knows."""
    controller = settings.controller
    try:
        known = transport.topics(seconds)
    except TransportError as error:
        yield Finding("controller", None, str(error), f"See for yourself: ros2 topic info {controller.name}")
        return
    if controller.kind not in MESSAGES:
        action = f"{controller.name}/_action/status"
        yield Finding("controller", action in known, controller.name, "No such action: start the controller.")
        return
    wanted = ros_name(MESSAGES[controller.kind])
    found = known.get(controller.name)
    yield Finding(
        "controller", found == wanted, f"{controller.name}: {found or 'is not there'}",
        f"It should take {wanted}: start or activate the controller, or correct its name.",
    )  # fmt: skip


def _safety(settings: ArmSettings, heard: dict[str, list[Any]]) -> Iterator[Finding]:
    """The switches: an emergency stop that is silent may be fine, a dead man's switch is not."""
    stop, held = settings.safety.emergency_stop, settings.safety.dead_man
    if stop:
        said = [message.data for message in heard[stop]]
        state = "says stop" if said and said[-1] else ("is released" if said else "is silent")
        yield Finding("emergency stop", not (said and said[-1]), f"{stop} {state}", "Release it.")
    if held:
        yield Finding("dead man's switch", bool(heard[held]), f"{held}: {len(heard[held])} messages",
                      "Start the node that reads the switch.")  # fmt: skip
