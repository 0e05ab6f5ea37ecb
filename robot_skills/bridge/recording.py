"""Recordings: everything that came in and went out, as a bag of ROS 2 (rosbag2, MCAP), and its reader.

    every topic that the arm listens to, as it came
    /robot_skills/command   trajectory_msgs/JointTrajectory   what was sent, or would have been
    /robot_skills/action    std_msgs/Float64MultiArray        (7,) the action of a control step
    /robot_skills/state     std_msgs/Float64MultiArray        (S,) what the policy saw of the arm at that step
    /robot_skills/event     std_msgs/String                   JSON: what the safety chain did
    /robot_skills/plan      std_msgs/String                   JSON: a command, its goal and its steps
    /robot_skills/skill     std_msgs/String                   JSON: a skill that begins, and how it ended
    /robot_skills/codes     std_msgs/String                   JSON: the skill codes of a chunk

`ros2 bag play` plays it, Foxglove shows it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from robot_skills.bridge.cdr import decode, encode
from robot_skills.bridge.controller import Command
from robot_skills.bridge.messages import Float64MultiArray, String
from robot_skills.bridge.outputs import trajectory
from robot_skills.bridge.schema import definition, message_class, ros_name
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transports.dispatch import Dispatcher
from robot_skills.errors import InputError, require
from robot_skills.execution import Step
from robot_skills.logic import Formula
from robot_skills.policies.policy import Chunk
from robot_skills.skill import Outcome, SkillCall

log = logging.getLogger(__name__)

COMMAND, ACTION, STATE, EVENT, PLAN, SKILL, CODES = (
    f"/robot_skills/{name}" for name in ("command", "action", "state", "event", "plan", "skill", "codes")
)
METADATA = "metadata.yaml"
#: So many messages of a topic wait for a slow disk; then the oldest are dropped, and counted.
WAITING = 2000


@dataclass(frozen=True)
class Recorded:
    """A message of a recording.

    Attributes:
        time: when it was recorded, seconds since the epoch.
    """

    topic: str
    time: float
    message: Any


class Recorder:
    """Writes a recording; a `Watcher` of the arm. Close it, or use a `with` statement.

    Args:
        folder: of the bag; it must not exist.
        settings: of the arm.

    Raises:
        InputError: the folder exists, or mcap is not installed.
    """

    def __init__(self, folder: Path, settings: ArmSettings) -> None:
        if folder.exists():
            raise InputError(f"{folder} exists: name a new folder for the recording.")
        writer = require("mcap.writer", "bridge")
        folder.mkdir(parents=True)
        self._folder, self._file = folder, folder / f"{folder.name}_0.mcap"
        self._names = tuple(joint.name for joint in settings.joints)
        self._period = 1.0 / settings.controller.rate
        self._writer = writer.Writer(str(self._file), compression=writer.CompressionType.LZ4)
        self._writer.start(profile="ros2", library="robot-skills")
        self._channels: dict[str, int] = {}
        self._kinds: dict[str, type] = {}
        self._counts: dict[str, int] = {}
        self._given = 0
        self._times: list[int] = []
        self._lock = threading.Lock()
        self._work = Dispatcher("recorder")

    def message(self, topic: str, message: Any) -> None:
        """See `Watcher`."""
        self.write(topic, message)

    def command(self, command: Command) -> None:
        """See `Watcher`."""
        self.write(COMMAND, trajectory(self._names, command, self._period))

    def event(self, kind: str, text: str) -> None:
        """See `Watcher`."""
        self._note(EVENT, kind=kind, text=text)

    def step(self, step: Step) -> None:
        """A control step of a skill."""
        self.write(STATE, Float64MultiArray(data=tuple(map(float, step.observation.state))))
        self.write(ACTION, Float64MultiArray(data=tuple(map(float, step.action))))

    def chunk(self, chunk: Chunk) -> None:
        """A chunk whose actions come next."""
        if chunk.codes is not None:
            self._note(CODES, codes=chunk.codes.tolist())

    def plan(self, command: str, goal: Formula | None, plan: Sequence[SkillCall]) -> None:
        """The steps of a command, before they are carried out."""
        self._note(PLAN, command=command, goal=str(goal), plan=[call.to_json() for call in plan])

    def begin(self, call: SkillCall, text: str) -> None:
        """A skill begins; `text` is what its policy is told."""
        self._note(SKILL, begins=call.to_json(), text=text)

    def end(self, outcome: Outcome) -> None:
        """It has ended."""
        self._note(SKILL, ended=outcome.to_json())

    def write(self, topic: str, message: Any) -> None:
        """Record a message, now; the writing is done on a thread of the recorder's."""
        now = time.time_ns()
        self._given += 1
        self._work.put(lambda: self._write(topic, message, now), topic, WAITING)

    def close(self) -> None:
        """Write what waits, and the metadata that rosbag2 reads."""
        done = threading.Event()
        self._work.put(done.set)
        done.wait(10.0)
        self._work.close()
        with self._lock:
            self._writer.finish()
        if dropped := self._given - sum(self._counts.values()):
            log.warning("The disk was too slow: %d messages are not in %s.", dropped, self._folder)
        (self._folder / METADATA).write_text(yaml.safe_dump(self._metadata(), sort_keys=False))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _note(self, topic: str, **said: Any) -> None:
        self.write(topic, String(json.dumps(said)))

    def _write(self, topic: str, message: Any, now: int) -> None:
        with self._lock:
            if topic not in self._channels:
                self._open(topic, type(message))
            self._writer.add_message(self._channels[topic], now, encode(message), now, self._counts[topic])
            self._counts[topic] += 1
            self._times = [min([*self._times[:1], now]), now]

    def _open(self, topic: str, kind: type) -> None:
        schema = self._writer.register_schema(ros_name(kind), "ros2msg", definition(kind).encode())
        self._channels[topic] = self._writer.register_channel(
            topic, "cdr", schema, {"offered_qos_profiles": ""}
        )
        self._kinds[topic], self._counts[topic] = kind, 0

    def _metadata(self) -> dict[str, Any]:
        """As rosbag2 writes it, version 9 (Jazzy)."""
        begin, end = self._times or [0, 0]
        span = {
            "duration": {"nanoseconds": end - begin},
            "starting_time": {"nanoseconds_since_epoch": begin},
        }
        topics = [
            {
                "topic_metadata": {
                    "name": topic,
                    "type": ros_name(kind),
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [],
                    "type_description_hash": "",
                },
                "message_count": self._counts[topic],
            }
            for topic, kind in self._kinds.items()
        ]
        total = sum(self._counts.values())
        return {
            "rosbag2_bagfile_information": {
                "version": 9,
                "storage_identifier": "mcap",
                **span,
                "message_count": total,
                "topics_with_message_count": topics,
                "compression_format": "",
                "compression_mode": "",
                "relative_file_paths": [self._file.name],
                "files": [{"path": self._file.name, **span, "message_count": total}],
                "custom_data": None,
                "ros_distro": "jazzy",
            }
        }


class Watchers:
    """Several watchers as one."""

    def __init__(self, *watchers: Any) -> None:
        self._watchers = watchers

    def message(self, topic: str, message: Any) -> None:
        """See `Watcher`."""
        for watcher in self._watchers:
            watcher.message(topic, message)

    def command(self, command: Command) -> None:
        """See `Watcher`."""
        for watcher in self._watchers:
            watcher.command(command)

    def event(self, kind: str, text: str) -> None:
        """See `Watcher`."""
        for watcher in self._watchers:
            watcher.event(kind, text)


def read(path: Path | str, topics: set[str] | None = None) -> Iterator[Recorded]:
    """The messages of a recording in the order of their times; those of types unknown here are passed over.

    Args:
        path: the folder of the bag, or its MCAP file.
        topics: only these.

    Raises:
        InputError: there is no recording, or it is damaged.
    """
    reader = require("mcap.reader", "bridge")
    path = Path(path)
    files = sorted(path.glob("*.mcap")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise InputError(f"There is no recording at {path}.")
    for file in files:
        with file.open("rb") as stream:
            try:
                found = reader.make_reader(stream, validate_crcs=True)
                for schema, channel, item in found.iter_messages(list(topics) if topics else None):
                    kind = _known(schema.name) if schema and channel.message_encoding == "cdr" else None
                    if kind is not None:
                        yield Recorded(channel.topic, 1e-9 * item.log_time, decode(kind, item.data))
            except Exception as error:  # of damaged bytes the package raises whatever it stumbles over
                raise InputError(f"{file} is damaged: {type(error).__name__}: {error}") from error


def _known(name: str) -> type | None:
    try:
        return message_class(name)
    except InputError:
        return None
