"""What a foreign file that this project wrote says of itself, beside what its format has names for.

It is JSON in ASCII: the store's description and layout once, a line for each episode. Other readers pass
over it. Checksums (CRC-32, of the native arrays' bytes and of the lines) find a file that changed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode, EpisodeRecord, Rows
from robot_skills.data.formats.border import wrong
from robot_skills.data.formats.layout import Layout
from robot_skills.data.formats.rows import LazyRows
from robot_skills.data.meta import IMAGES, StoreMeta

#: The key of our own description in a foreign file: a name nobody else uses.
OWN = "robot_skills"
CHANGED = "changed since it was written: the checksum differs. Copy the data set again."


@dataclass(frozen=True)
class Description:
    """What is said of the data set as a whole.

    Attributes:
        episodes: how many were written.
    """

    meta: StoreMeta
    layout: Layout
    episodes: int

    def to_text(self) -> str:
        """As JSON in ASCII."""
        data = {"meta": self.meta.to_json(), "layout": self.layout.to_json(), "episodes": self.episodes}
        return json.dumps({"content": data, "crc": _crc_json(data)})

    @classmethod
    def from_text(cls, text: str | bytes) -> Description:
        """The inverse of `to_text`.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, IndexError: it is damaged.
        """
        data = json.loads(text)
        if _crc_json(data["content"]) != data["crc"]:
            raise ValueError("it changed since it was written: the checksum differs")
        content = data["content"]
        meta, layout = StoreMeta.from_json(content["meta"]), Layout.from_json(content["layout"])
        layout.check(meta)
        return cls(meta, layout, int(content["episodes"]))


def episode_line(episode: Episode, image_crc: Mapping[str, int], elsewhere: frozenset[str]) -> str:
    """What is written of an episode beside its arrays, as JSON in ASCII.

    Args:
        episode: as it was written.
        image_crc: camera -> `crc` of its images.
        elsewhere: attributes that the format itself has a place for.
    """
    data = episode.to_json()
    names = ("state", "action", "end", "target", *episode.extras)
    arrays = {name: crc(np.asarray(episode.rows(name))) for name in names}
    sums = {**arrays, **{IMAGES + name: value for name, value in image_crc.items()}, "": _crc_json(data)}
    data["attributes"] = {
        name: data["attributes"][name] for name in data["attributes"] if name not in elsewhere
    }
    return json.dumps({"episode": data, "elsewhere": sorted(elsewhere), "crc": sums})


@dataclass(frozen=True)
class EpisodeLine:
    """A line of `episode_line`, read back.

    Attributes:
        fields: of the `Episode`.
        crc: array -> checksum.
    """

    fields: Mapping[str, Any]
    crc: Mapping[str, int]

    @classmethod
    def read(cls, text: str | bytes, length: int, attributes: Mapping[str, Any]) -> EpisodeLine:
        """Read a line.

        Args:
            text: the line.
            length: N, by the arrays.
            attributes: those that lay elsewhere, among others.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is damaged, or of another length.
        """
        data = json.loads(text)
        episode, sums = dict(data["episode"]), dict(data["crc"])
        if episode["length"] != length:
            raise ValueError(f"its description says {episode['length']} steps, its arrays {length}")
        elsewhere = {name: attributes[name] for name in data["elsewhere"]}
        episode["attributes"] = {**episode["attributes"], **elsewhere}
        if _crc_json(episode) != sums.pop("", None):
            raise ValueError("it changed since it was written: the checksum differs")
        record = EpisodeRecord.from_json({"episode": 0, "start": 0, **episode})
        names = ("text", "call", "scene", "seed", "expert", "outcome", "attributes")
        return cls({name: getattr(record, name) for name in names}, sums)

    def verify(self, episode: Episode, path: Path, index: int) -> Episode:
        """Compare the checksums; those of images are compared when they have been read front to back.

        Raises:
            DataError: an array changed.
        """
        for name, expected in self.crc.items():
            if not name.startswith(IMAGES) and crc(episode.rows(name)) != expected:
                raise wrong(path, "checksum", f"{name} {CHANGED}", index)
        images = {
            camera: CheckedRows(rows, self.crc[IMAGES + camera], path, f"images of {camera}", index)
            for camera, rows in episode.images.items()
        }
        return replace(episode, images=images)


class CheckedRows(LazyRows):
    """Rows whose checksum is compared once they have been read front to back."""

    def __init__(self, rows: Rows, expected: int, path: Path, what: str, episode: int) -> None:
        self._rows, self._expected = rows, expected
        self._path, self._what, self._episode = path, what, episode
        self.shape, self.dtype = rows.shape, rows.dtype
        self._next = self._crc = 0

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """The rows from `start` up to `stop`.

        Raises:
            DataError: they are damaged; or these were the last ones, and the checksum differs.
        """
        found = self._rows[start:stop]
        if start == 0:
            self._next = self._crc = 0
        if start == self._next:
            self._crc, self._next = crc(found, self._crc), stop
            if stop == len(self) and self._crc != self._expected:
                raise wrong(self._path, "checksum", f"The {self._what} {CHANGED}", self._episode)
        return found


def crc(rows: NDArray[Any], start: int = 0) -> int:
    """CRC-32 of an array's bytes in C order, going on from `start`."""
    return zlib.crc32(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data, start)


def _crc_json(data: Any) -> int:
    """CRC-32 of JSON, however it is spaced and ordered."""
    return zlib.crc32(json.dumps(data, sort_keys=True).encode())
