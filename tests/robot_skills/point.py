"""A point in space that is a `Robot`: it moves as it is told and remembers what it was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robot_skills.robot import TRANSLATION_SCALE, Float, Observation, RobotSpec


class Point:
    """Its position is the sum of its actions; its pictures show how many there were."""

    def __init__(self, rate: float = 10.0, cameras: Mapping[str, int] | None = None) -> None:
        cameras = cameras or {"front": 4, "wrist": 4}
        self.spec = RobotSpec("point", {name: (size, size) for name, size in cameras.items()}, rate)
        self.position = np.zeros(3)
        self.actions: list[Float] = []
        self.looks: list[tuple[str, ...]] = []
        self.stops = 0

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        names = tuple(self.spec.cameras if cameras is None else cameras)
        self.looks.append(names)
        state = np.zeros(10, np.float32)
        state[:3] = self.position
        images = {name: np.full((*self.spec.cameras[name], 3), len(self.actions), np.uint8) for name in names}
        return Observation(images, state, len(self.actions) / self.spec.control_rate)

    def act(self, action: Float) -> None:
        self.actions.append(action)
        self.position += TRANSLATION_SCALE * action[:3]

    def stop(self) -> None:
        self.stops += 1
