"""A recording as episodes to learn from: one for each skill that ran to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_skills.bridge.images import fit, picture
from robot_skills.bridge.recording import ACTION, SKILL, STATE, Recorded, read
from robot_skills.bridge.settings import ArmSettings
from robot_skills.data.episode import Episode
from robot_skills.data.meta import StoreMeta
from robot_skills.errors import InputError
from robot_skills.robot import Image
from robot_skills.skill import SkillCall, Status

#: Steps at the end of a success that carry end = 1, as demonstrations have.
END = 4


def store_meta(settings: ArmSettings) -> StoreMeta:
    """What the episodes of an arm's recordings share."""
    return StoreMeta(
        cameras={name: camera.size for name, camera in settings.cameras.items()},
        control_rate=settings.control_rate,
    )


def episodes(path: Path | str, settings: ArmSettings) -> Iterator[Episode]:
    """The episodes of a recording.

    Args:
        path: of the recording.
        settings: of the arm it is of: its cameras and their topics.

    Raises:
        InputError: it is no recording, or a skill has steps before there was an image of every camera.
    """
    topics = {camera.topic: name for name, camera in settings.cameras.items()}
    latest: dict[str, Recorded] = {}
    making: _Making | None = None
    for item in read(path, {*topics, ACTION, STATE, SKILL}):
        if item.topic in topics:
            latest[topics[item.topic]] = item
        elif item.topic == SKILL:
            said = json.loads(item.message.data)
            if "begins" in said:
                making = _Making(said, settings)
            elif making is not None and len(making):
                yield making.finish(said["ended"])
                making = None
        elif making is not None:
            making.add(item, latest, str(path))


class _Making:
    """An episode while its steps are read."""

    def __init__(self, said: Mapping[str, Any], settings: ArmSettings) -> None:
        self._call, self._text = SkillCall.from_json(said["begins"]), str(said["text"])
        self._settings = settings
        self._images: dict[str, list[Image]] = {name: [] for name in settings.cameras}
        self._states: list[Any] = []
        self._actions: list[Any] = []

    def __len__(self) -> int:
        return len(self._actions)

    def add(self, item: Recorded, latest: Mapping[str, Recorded], where: str) -> None:
        """A state, with the pictures that the policy saw beside it, or the action after it."""
        values = np.array(item.message.data, np.float32)
        if item.topic == ACTION:
            self._actions.append(values)
            return
        if missing := [name for name in self._images if name not in latest]:
            raise InputError(f"{where} has no image of {', '.join(missing)} before its first step.")
        self._states.append(values)
        for name, images in self._images.items():
            images.append(fit(picture(latest[name].message), self._settings.cameras[name].size))

    def finish(self, ended: Mapping[str, Any]) -> Episode:
        """The episode."""
        size = min(len(self._states), len(self._actions))
        end = np.zeros(size, np.float32)
        if ended["status"] == Status.SUCCEEDED.value:
            end[-END:] = 1.0
        return Episode(
            images={name: np.stack(images[:size]) for name, images in self._images.items()},
            state=np.stack(self._states[:size]),
            action=np.stack(self._actions[:size]),
            end=end,
            target=np.full((size, 3), np.nan, np.float32),
            text=self._text,
            call=self._call,
            expert=f"recording of {self._settings.name}",
            outcome=str(ended["status"]),
        )
