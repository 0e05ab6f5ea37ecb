"""What is in front of an arm, for a planner: as perception says on a topic, or as a person told."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Protocol

import yaml

from robot_skills.bridge.messages import String
from robot_skills.bridge.transport import STREAM, Transport
from robot_skills.errors import InputError, JobError
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, Skill, Status

log = logging.getLogger(__name__)

#: So long a scene is waited for, s.
PATIENCE = 5.0


class Scenes(Protocol):
    """Where a planner's scene graph comes from."""

    def look(self) -> SceneGraph:
        """The scene as it is now.

        Raises:
            JobError: nobody says.
        """

    def learn(self, skill: Skill, outcome: Outcome) -> None:
        """Hear what came of a skill."""


class PerceivedScenes:
    """The scene graphs of a topic.

    Args:
        transport: open.
        topic: of std_msgs/String, with `SceneGraph.to_json` as its text.
        patience: seconds to wait for one.
    """

    def __init__(self, transport: Transport, topic: str, patience: float = PATIENCE) -> None:
        self._topic, self._patience = topic, patience
        self._graph: SceneGraph | None = None
        self._count, self._said = 0, threading.Condition()
        transport.subscribe(topic, String, self._take, STREAM)

    def look(self) -> SceneGraph:
        """See `Scenes`; the second one from now on, since the next may have been looked at before."""
        with self._said:
            wanted = self._count + 2
            if not self._said.wait_for(lambda: self._count >= wanted, self._patience):
                raise JobError(
                    f"No scene came on {self._topic} in {self._patience:g} s: start what perceives, or say "
                    "what is there in a file (--scene)."
                )
            assert self._graph is not None
            return self._graph

    def learn(self, skill: Skill, outcome: Outcome) -> None:
        """See `Scenes`: it is seen, and need not be believed."""

    def _take(self, message: String) -> None:
        try:
            graph = SceneGraph.from_json(json.loads(message.data))
        except (ValueError, RecursionError) as error:
            log.warning("Refused a scene on %s: %s", self._topic, error)
            return
        with self._said:
            self._graph = graph
            self._count += 1
            self._said.notify_all()


class ToldScenes:
    """A scene that a person described; what skills say that they did is believed.

    Args:
        path: a YAML or JSON file, as `SceneGraph.to_json` makes it; its source is "told", whatever it says.

    Raises:
        InputError: it is no scene.
    """

    def __init__(self, path: Path) -> None:
        try:
            data = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"{path} cannot be read as a scene: {error}".replace("\n", " ")) from error
        try:
            told = {"facts": [], **data, "source": "told"} if isinstance(data, dict) else data
            self._graph = SceneGraph.from_json(told)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def look(self) -> SceneGraph:
        """See `Scenes`."""
        return self._graph

    def learn(self, skill: Skill, outcome: Outcome) -> None:
        """See `Scenes`: the skill's effects, where it succeeded."""
        if outcome.status is Status.SUCCEEDED:
            self._graph = skill.after(outcome.call, self._graph)
