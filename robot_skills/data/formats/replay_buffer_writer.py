"""Writing replay buffers; see `replay_buffer` for their layout."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import WriteOptions, Written, whole
from robot_skills.data.formats.description import OWN, Description, crc, episode_line
from robot_skills.data.formats.layout import Naming, lay_out, pieces
from robot_skills.data.formats.replay_buffer import ENDS, LINE_ENDS, LINES, NAME
from robot_skills.data.formats.zarr_v2_writer import ArrayWriter, FolderWriter, ZipWriter
from robot_skills.data.meta import StoreMeta

#: As diffusion policy compresses.
COMPRESSOR = {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2, "blocksize": 0}
#: Images of an episode that are in memory at a time.
BLOCK = 64

#: One flat group.
NAMING = Naming(
    camera=lambda camera: f"data/{camera}",
    key=lambda key: f"data/{key}",
    extra=lambda name: f"data/{name.removesuffix('.float64')}",
    own=lambda stem: f"data/{OWN}.{stem.replace('/', '.')}",
    action="data/action",
)


class ReplayBufferWriter:
    """The arrays of a replay buffer that is being written."""

    def __init__(self, meta: StoreMeta, path: Path, compress: bool) -> None:
        self.meta, self.layout = meta, lay_out(meta, NAMING, {})
        self._source: dict[str, Any] = {}
        source = meta.info.get("source")
        if isinstance(source, dict) and source.get("format") == NAME:
            self._source = source
        self._compressor = COMPRESSOR if compress else None
        self._writer = ZipWriter(path) if path.suffix == ".zip" else FolderWriter(path)
        self._arrays: dict[str, ArrayWriter] = {}
        for camera, place in self.layout.cameras.items():
            self._open(place, self._image_dtype(camera), (*meta.cameras[camera], 3))
        for place, width in self.layout.state:
            self._open(place, "<f4", (width,))
        for name, place in self.layout.extras.items():
            self._open(place, meta.extras[name].dtype, meta.extras[name].shape)
        self._open(self.layout.action, "<f4", (meta.action.size,))
        self._open(str(self.layout.end), "<f4", ())
        self._open(str(self.layout.target), "<f4", (3,))
        for place, dtype in ((ENDS, "<i8"), (LINES, "|u1"), (LINE_ENDS, "<i8")):
            self._open(place, dtype, ())
        self._frames = self._episodes = self._line_end = 0

    def _image_dtype(self, camera: str) -> str:
        """As the buffer had it that the data came from; else bytes."""
        dtypes = self._source.get("image_dtypes")
        dtype = dtypes.get(camera) if isinstance(dtypes, dict) else None
        return dtype if dtype in ("<f4", "<f8") else "|u1"

    def _open(self, place: str, dtype: str, shape: tuple[int, ...]) -> None:
        self._arrays[place] = ArrayWriter(self._writer, place, dtype, shape, self._compressor)

    def append(self, episode: Episode) -> None:
        """Add an episode."""
        sums = {}
        for camera, place in self.layout.cameras.items():
            sums[camera] = 0
            for start in range(0, len(episode), BLOCK):
                block = np.asarray(episode.images[camera][start : start + BLOCK])
                sums[camera] = crc(block, sums[camera])
                self._arrays[place].append(block)
        for place, rows in pieces(episode, self.layout):
            self._arrays[place].append(rows)
        line = np.frombuffer(episode_line(episode, sums, frozenset()).encode(), np.uint8)
        self._episodes, self._frames = self._episodes + 1, self._frames + len(episode)
        self._line_end += len(line)
        self._arrays[LINES].append(line)
        self._arrays[ENDS].append(np.array([self._frames]))
        self._arrays[LINE_ENDS].append(np.array([self._line_end]))

    def close(self) -> None:
        """Write what is held back, and the descriptions."""
        for array in self._arrays.values():
            array.close()
        kept = self._source.get("attributes")
        own = json.loads(Description(self.meta, self.layout, self._episodes).to_text())
        attributes = {**(kept if isinstance(kept, dict) else {}), OWN: own}
        self._writer.put(".zattrs", json.dumps(attributes, indent=4).encode())
        for group in ("", "data/", "meta/"):
            self._writer.put(f"{group}.zgroup", b'{\n    "zarr_format": 2\n}')
        self._writer.close()


def write(meta: StoreMeta, episodes: Iterable[Episode], path: Path, options: WriteOptions) -> Written:
    """Write a replay buffer: a zip file if the path ends in ".zip", else a folder.

    Raises:
        InputError: `path` exists, or an episode does not fit `meta`.
    """
    written = Written()
    with whole(path) as temporary:
        writer = ReplayBufferWriter(meta, temporary, options.compress)
        for episode in episodes:
            episode.check(meta)
            writer.append(episode)
            written.episodes, written.frames = written.episodes + 1, written.frames + len(episode)
        writer.close()
    return written
