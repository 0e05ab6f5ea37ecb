"""The arm's shape, as a file or a topic describes it."""

from __future__ import annotations

import threading
from pathlib import Path

from robot_skills.bridge.messages import String
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transport import LATCHED, Transport
from robot_skills.errors import InputError, JobError


def read_urdf(settings: ArmSettings, transport: Transport, patience: float) -> str:
    """The arm's description, from its file or from the topic it is published on.

    Raises:
        InputError: the file cannot be read.
        JobError: nothing is published.
    """
    place = settings.kinematics.urdf
    if place.endswith((".urdf", ".xml")):
        try:
            return Path(place).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The URDF {place} cannot be read: {error}.") from error
    came = threading.Event()
    texts: list[str] = []

    def keep(message: String) -> None:
        texts.append(message.data)
        came.set()

    transport.subscribe(place, String, keep, LATCHED)
    if not came.wait(patience):
        raise JobError(f"No URDF came on {place} in {patience:g} s: name a file in kinematics: urdf.")
    return texts[-1]
