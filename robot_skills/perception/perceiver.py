"""The one object that looks: pictures and proprioception in, a scene graph out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robot_skills.perception.detector import Detector
from robot_skills.perception.graph import scene_graph
from robot_skills.perception.memory import Memory
from robot_skills.perception.pinhole import View
from robot_skills.perception.sighting import sightings
from robot_skills.robot import Float
from robot_skills.scene_graph import SceneGraph

#: The detector that comes with the package.
SHIPPED = Path(__file__).parents[1] / "pretrained_perception"


class Sensed(NamedTuple):
    """What the robot senses at one moment.

    Attributes:
        views: camera -> its picture and where it stands.
        state: (10,) float32, see `robot_skills.robot.STATE_NAMES`.
    """

    views: Mapping[str, View]
    state: Float


class Perceiver:
    """Looks at a table through cameras and keeps in mind what is out of sight.

    Args:
        sense: takes the pictures of the detector's cameras, and the proprioception, now.
        detector: what finds things in pictures; None: the one that comes with the package.
    """

    #: Control steps from one glance to the next while a skill is watched: a glance takes longer than a step.
    glances = 5

    def __init__(self, sense: Callable[[], Sensed], detector: Detector | None = None) -> None:
        self._sense = sense
        self._detector = detector or Detector.load(SHIPPED)
        self.memory = Memory(self._detector.config.catalogue)

    def begin_command(self) -> None:
        """Remember where everything is: `moved` is judged from here."""
        self.memory.begin_command()

    def look(self) -> SceneGraph:
        """Look once, and say what is believed now.

        Raises:
            InputError: a camera is missing, or its picture has another size than the detector's.
        """
        return self.perceive(self._sense())

    def glance(self) -> SceneGraph:
        """Look once, say what would be believed, and keep nothing of it: a picture of an arm at work.

        Raises:
            InputError: as of `look`.
        """
        return self._told(self._sense(), self.memory.copy())

    def perceive(self, sensed: Sensed) -> SceneGraph:
        """Take in what was sensed, and say what is believed now.

        Raises:
            InputError: as of `look`.
        """
        return self._told(sensed, self.memory)

    def _told(self, sensed: Sensed, memory: Memory) -> SceneGraph:
        seen = sightings(self._detector.detect(sensed.views))
        memory.update(seen, np.array(sensed.state[:3], float), float(sensed.state[-1]))
        return scene_graph(memory)

    def positions(self) -> dict[str, tuple[float, float]]:
        """Where the loose things are believed to be, x forward and y left, m."""
        things = self.memory.things
        return {thing.name: (float(thing.position[0]), float(thing.position[1])) for thing in things}
