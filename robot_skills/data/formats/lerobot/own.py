"""What our own exports say beside what LeRobot reads: everything of the native store, and checksums.

meta/robot_skills.json              StoreMeta, which feature is which array, CRC-32 of every file
meta/robot_skills_episodes.jsonl    call, scene, seed, expert, outcome, attributes of each episode
meta/robot_skills_texts/SHA256.txt  long texts among the attributes, each once
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robot_skills.data.episode import Episode, EpisodeRecord
from robot_skills.data.formats.base import DataError, Problem
from robot_skills.data.formats.border import border, wrong
from robot_skills.data.formats.lerobot.info import Columns
from robot_skills.data.meta import StoreMeta

OWN, EPISODES, TEXTS = "meta/robot_skills.json", "meta/robot_skills_episodes.jsonl", "meta/robot_skills_texts"
VERSION = 1
#: As in the native store: longer attributes lie in files of their own.
LONG_TEXT, TEXT_KEY = 4096, "$text"
BLOCK = 2**20


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def _seal(data: Mapping[str, Any]) -> int:
    """CRC-32 of a description, however it is spaced."""
    return zlib.crc32(json.dumps(data, sort_keys=True).encode())


@dataclass
class Own:
    """Our own description of a data set.

    Attributes:
        root: of the data set.
        files: path -> CRC-32.
        offsets: where each episode's line starts.
    """

    root: Path
    meta: StoreMeta
    columns: Columns
    files: Mapping[str, int]
    offsets: list[int]
    _checked: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, root: Path) -> Own | None:
        """Read it; None: the data set is somebody else's.

        Raises:
            DataError: it is damaged, or the files are not those that were written.
        """
        if not (root / OWN).is_file():
            return None
        with border(root, OWN):
            data = json.loads((root / OWN).read_bytes())
            seal = data.pop("crc32")
            if seal != _seal(data):
                raise ValueError("its checksum is wrong")
            if data["format_version"] != VERSION:
                raise ValueError(f"it has the version {data['format_version']}, and {VERSION} is read")
            meta, columns = StoreMeta.from_json(data["meta"]), Columns.from_json(data["columns"])
            own = cls(root, meta, columns, dict(data["files"]), [])
        for name in own.files:
            if name.startswith("meta/") and not name.startswith(TEXTS):
                own.check(name)
        with border(root, EPISODES):
            own.offsets.append(0)
            with (root / EPISODES).open("rb") as file:
                own.offsets.extend(file.tell() for _ in iter(file.readline, b""))
        return own

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def check(self, name: str, episode: int | None = None) -> None:
        """Compare a file with its checksum, once.

        Raises:
            DataError: it is missing, or not what was written.
        """
        if name in self._checked:
            return
        if name not in self.files or not (self.root / name).is_file():
            raise wrong(self.root, "missing", f"There is no {name}.", episode)
        with border(self.root, name, episode):
            same = checksum(self.root / name) == self.files[name]
        if not same:
            message = (
                f"{name} is not what was exported: copy the data set again; if it was changed on purpose, "
                f"remove {OWN} to read it as anybody's LeRobotDataset."
            )
            raise DataError(Problem("checksum", message, episode), self.root)
        self._checked.add(name)

    def fields(self, episode: int, length: int) -> dict[str, Any]:
        """The fields of an `Episode` beside its arrays.

        Raises:
            DataError: they are damaged.
        """
        with border(self.root, EPISODES, episode):
            with (self.root / EPISODES).open("rb") as file:
                file.seek(self.offsets[episode])
                data = json.loads(file.readline())
            if data["length"] != length:
                raise ValueError(f"the line says {data['length']} steps, the list of episodes {length}")
            record = EpisodeRecord.from_json({"episode": episode, "start": 0, **data})
            attributes = {key: self._resolve(value, episode) for key, value in record.attributes.items()}
        names = ("text", "call", "scene", "seed", "expert", "outcome")
        return {**{name: getattr(record, name) for name in names}, "attributes": attributes}

    def _resolve(self, value: Any, episode: int) -> Any:
        if not isinstance(value, dict) or set(value) != {TEXT_KEY}:
            return value
        name = f"{TEXTS}/{value[TEXT_KEY]}.txt"
        self.check(name, episode)
        return (self.root / name).read_bytes().decode()


def write_line(episode: Episode, root: Path) -> None:
    """Append an episode's line; long texts go into files of their own, each once."""
    data = episode.to_json()
    for key, value in data["attributes"].items():
        if isinstance(value, str) and len(value) > LONG_TEXT:
            name = hashlib.sha256(value.encode()).hexdigest()
            path = root / TEXTS / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value.encode())
            data["attributes"][key] = {TEXT_KEY: name}
    with (root / EPISODES).open("a") as file:
        file.write(json.dumps(data) + "\n")


def write(meta: StoreMeta, columns: Columns, root: Path) -> None:
    """Write `meta/robot_skills.json`; every other file of the data set is there already."""
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    data = {
        "format": "robot_skills.lerobot",
        "format_version": VERSION,
        "meta": meta.to_json(),
        "columns": columns.to_json(),
        "files": {name: checksum(root / name) for name in names},
    }
    data = json.loads(json.dumps(data))
    (root / OWN).write_text(json.dumps({**data, "crc32": _seal(data)}, indent=1) + "\n")
