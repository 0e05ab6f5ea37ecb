"""What has come in from the arm and its cameras, and who sees all that comes in and goes out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from robot_skills.bridge.controller import Command
from robot_skills.bridge.images import fit, picture
from robot_skills.bridge.inputs import ArmState, Inputs, Refusals, StateReader
from robot_skills.bridge.messages import BoolMessage, CompressedImage, JointState
from robot_skills.bridge.messages import Image as ImageMessage
from robot_skills.bridge.schema import MessageError
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transport import SENSORS, STATES, STREAM, Transport
from robot_skills.errors import JobError
from robot_skills.robot import Image

#: Joint states that are remembered: 1 s of them at the fastest rate.
REMEMBERED = 500


class Watcher(Protocol):
    """Sees all that comes in and goes out; a recording is one."""

    def message(self, topic: str, message: Any) -> None:
        """A message that came in."""

    def command(self, command: Command) -> None:
        """A command that goes out, or would."""

    def event(self, kind: str, text: str) -> None:
        """A rule that begins to act, a stop, a resume."""


class Nobody:
    """Sees nothing."""

    def message(self, topic: str, message: Any) -> None:
        """See `Watcher`."""

    def command(self, command: Command) -> None:
        """See `Watcher`."""

    def event(self, kind: str, text: str) -> None:
        """See `Watcher`."""


class Senses:
    """What has come in, kept by the transport's thread and read by the others.

    Args:
        settings: topics, joints, cameras.
        transport: subscribed to.
        arrived: called after each joint state that is right.
        watcher: sees every message.
    """

    def __init__(
        self, settings: ArmSettings, transport: Transport, arrived: Callable[[], None], watcher: Watcher
    ) -> None:
        self._settings, self._arrived, self._watcher = settings, arrived, watcher
        self.refusals = Refusals()
        self._reader = StateReader(settings, self.refusals)
        self._lock = threading.Lock()
        self._inputs = Inputs()
        self._pictures: dict[str, tuple[float, Image]] = {}
        self._states: deque[ArmState] = deque(maxlen=REMEMBERED)
        transport.subscribe(settings.joint_states, JointState, self._joint_state, STATES)
        for name, camera in settings.cameras.items():
            kind: type[Any] = ImageMessage if camera.kind == "raw" else CompressedImage
            transport.subscribe(camera.topic, kind, partial(self._image, name), SENSORS)
        safety = settings.safety
        if safety.emergency_stop:
            transport.subscribe(safety.emergency_stop, BoolMessage, self._emergency_stop, STREAM)
        if safety.dead_man:
            transport.subscribe(safety.dead_man, BoolMessage, self._dead_man, STREAM)

    @property
    def inputs(self) -> Inputs:
        """Everything that has come in."""
        return self._inputs

    def together(self, names: Sequence[str], now: float) -> tuple[ArmState, dict[str, Image]]:
        """The latest picture of each camera, and the arm as it was when the oldest of them was taken.

        A policy that learned from states and pictures of one moment is not to see a hand that has moved on
        and a picture where it has not. Without pictures, or stamps, the state is the latest.

        Raises:
            JobError: one is too old, or none has come.
        """
        with self._lock:
            for name in names:
                age = now - self._inputs.cameras.get(name, -np.inf)
                if age > self._settings.cameras[name].max_age:
                    since = f"for {age:.2f} s" if np.isfinite(age) else "yet"
                    raise JobError(f"The camera {name!r} has sent no image {since}.")
            taken = min((self._pictures[name][0] for name in names), default=0.0)
            states = [state for state in self._states if state.stamp and taken]
            state = min(states, key=lambda s: abs(s.stamp - taken)) if states else self._inputs.state
            if state is None:
                raise JobError(f"No joint states come on {self._settings.joint_states}.")
            return state, {name: self._pictures[name][1] for name in names}

    def _joint_state(self, message: JointState) -> None:
        now = time.monotonic()
        self._watcher.message(self._settings.joint_states, message)
        state = self._reader.read(message, now, time.time())
        with self._lock:
            if state is None:
                self._inputs = replace(self._inputs, state=self._reader.opening(message, self._inputs.state))
                return
            self._inputs = replace(self._inputs, state=state)
            self._states.append(state)
        self._arrived()

    def _image(self, name: str, message: ImageMessage | CompressedImage) -> None:
        camera = self._settings.cameras[name]
        self._watcher.message(camera.topic, message)
        try:
            seen = fit(picture(message), camera.size)
        except MessageError as error:
            self.refusals.add(f"image of {name}", str(error))
            return
        with self._lock:
            self._pictures[name] = message.header.stamp.seconds, seen
            cameras = {**self._inputs.cameras, name: time.monotonic()}
            self._inputs = replace(self._inputs, cameras=cameras)

    def _emergency_stop(self, message: BoolMessage) -> None:
        self._watcher.message(self._settings.safety.emergency_stop, message)
        with self._lock:
            self._inputs = replace(self._inputs, emergency_stop=message.data)

    def _dead_man(self, message: BoolMessage) -> None:
        self._watcher.message(self._settings.safety.dead_man, message)
        held = time.monotonic() if message.data else -np.inf
        with self._lock:
            self._inputs = replace(self._inputs, dead_man=held)
