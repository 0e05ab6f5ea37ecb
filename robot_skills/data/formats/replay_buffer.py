"""Diffusion policy's replay buffer: every array concatenated over time, in zarr's second format.

    data/action, data/state, data/img, ...   (N, ...)   any arrays
    meta/episode_ends                        (E,) int   N after each episode

A folder, or a zip file of one. The format has no place for a control rate, language, limits or success;
in the files that we write these lie in the root's attributes (`robot_skills`) and in
`meta/robot_skills_json`, which other readers pass over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import Format, WriteOptions, Written, whole
from robot_skills.data.formats.border import border, wrong
from robot_skills.data.formats.layout import (
    OWN,
    Layout,
    Naming,
    choose_state,
    episode_fields,
    episode_line,
    fits_float32,
    last_step,
    lay_out,
    names_of,
    own_description,
    read_description,
)
from robot_skills.data.formats.zarr_v2 import (
    ArrayWriter,
    FolderWriter,
    Keys,
    ZarrArray,
    ZipKeys,
    ZipWriter,
    open_keys,
    read_json,
)
from robot_skills.data.meta import Feature, StoreMeta
from robot_skills.errors import InputError
from robot_skills.robot import ActionSpace, Image

NAME = "zarr"
ENDS = "meta/episode_ends"
LINES, LINE_ENDS = f"meta/{OWN}_json", f"meta/{OWN}_json_ends"
#: The format does not say how fast its steps follow each other; diffusion policy's own data run at 10 Hz.
ASSUMED_RATE = 10.0
#: As diffusion policy compresses.
COMPRESSOR = {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2, "blocksize": 0}
#: Rows of an episode that are read and written at a time.
BLOCK = 64

#: Push-T's replay (Chi et al. 2023) is known by its arrays; positions are pixels of a 512 px square.
PUSHT_ARRAYS = {"state": (5,), "action": (2,), "keypoint": (9, 2), "n_contacts": (1,)}
PUSHT_STATE = ("agent.x", "agent.y", "block.x", "block.y", "block.angle")
PUSHT_ACTION = ActionSpace(("x", "y"), (False, False), (0.0, 0.0), (512.0, 512.0))


class CameraRows:
    """(n, H, W, 3) uint8 of one episode, decoded as they are asked for.

    Replay buffers often hold images as floating-point numbers from 0 to 255.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, array: ZarrArray, start: int, stop: int, episode: int) -> None:
        self._array, self._start, self._stop, self._episode = array, start, stop, episode
        self.shape = (stop - start, *array.shape[1:])

    def __getitem__(self, rows: Any) -> Image:
        start, stop, step = rows.indices(len(self))
        found = self._array.rows(self._start + start, self._start + stop, self._episode)[::step]
        if found.dtype == np.uint8:
            return found
        if not integral(found):
            message = f"{self._array.name} holds numbers that are not whole or not in 0 to 255."
            raise wrong(self._array.keys.path, "image", message, self._episode)
        return found.astype(np.uint8)

    def __len__(self) -> int:
        return self.shape[0]


def integral(rows: NDArray[Any]) -> bool:
    """Whether every number is a whole one from 0 to 255."""
    with np.errstate(invalid="ignore"):
        whole = rows.astype(np.uint8)
    return bool((whole == rows).all())


class ReplayBufferSource:
    """A replay buffer, read episode by episode.

    Raises:
        DataError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with border(path, "the list of its arrays"):
            self._keys: Keys = open_keys(path)
            names = self._keys.names()
        self._arrays = {
            name.removesuffix("/.zarray"): ZarrArray(self._keys, name.removesuffix("/.zarray"))
            for name in sorted(names)
            if name.endswith("/.zarray") and name.startswith(("data/", "meta/"))
        }
        ends = self._array(ENDS)
        with border(path, ENDS):
            if len(ends.shape) != 1 or ends.dtype.kind not in "iu":
                raise ValueError(f"it should be a list of whole numbers, not {ends.dtype} {ends.shape}")
            self._ends = ends.rows(0, ends.shape[0]).astype(np.int64)
        self._lost: list[str] = []
        self._check_lengths()
        attributes = read_json(self._keys, ".zattrs")
        if OWN in attributes:
            with border(path, "its description (.zattrs)"):
                self.meta, self._layout = read_description(json.dumps(attributes[OWN]))
        else:
            self.meta, self._layout = self._infer(attributes)

    @property
    def not_carried(self) -> tuple[str, ...]:
        """Arrays that hold no numbers."""
        return tuple(self._lost)

    def __len__(self) -> int:
        return len(self._ends)

    def _array(self, name: str) -> ZarrArray:
        if name not in self._arrays:
            raise wrong(self.path, "missing", f"There is no array {name!r}.")
        return self._arrays[name]

    def _check_lengths(self) -> None:
        """Check that the ends go up and that every array has the rows they count.

        Raises:
            DataError: no array could be trusted if not.
        """
        rows = int(self._ends[-1]) if len(self._ends) else 0
        down = np.flatnonzero(np.diff(self._ends, prepend=0) < 0)
        if len(down):
            message = f"{ENDS} goes down: {self._ends[down[0]]} follows {self._ends[down[0] - 1]}."
            raise wrong(self.path, "length", message, int(down[0]))
        for name, array in self._arrays.items():
            found = array.shape[0] if array.shape else 0
            if name.startswith("data/") and found != rows:
                message = f"{name} has {found} rows; {ENDS} counts {rows}."
                raise wrong(self.path, "length", message)

    # What somebody else's file holds ------------------------------------------------------------------

    def _infer(self, attributes: Mapping[str, Any]) -> tuple[StoreMeta, Layout]:
        arrays = {
            name.removeprefix("data/"): array
            for name, array in self._arrays.items()
            if name.startswith("data/") and self._holds_numbers(name, array)
        }
        action = self._array("data/action")
        if len(action.shape) != 2 or "action" not in arrays:
            message = f"data/action should be (N, A) numbers, not {action.dtype} {action.shape}."
            raise wrong(self.path, "shape", message)
        cameras = {name: array for name, array in arrays.items() if self._is_camera(array)}
        pusht = {name: array.shape[1:] for name, array in arrays.items() if name != "img"} == PUSHT_ARRAYS
        keys = self._state_keys({name: array for name, array in arrays.items() if name not in cameras})
        parts = [(key, _width(arrays[key])) for key in keys]
        extras = {
            f"{name}.float64" if name in ("state", "action") else name: array
            for name, array in arrays.items()
            if name not in (*cameras, *keys, "action")
            or (name not in cameras and not fits_float32(array.dtype))
        }
        places = {name: f"data/{array.name.removeprefix('data/')}" for name, array in extras.items()}
        source = {
            "format": NAME,
            "attributes": dict(attributes),
            "assumed": [f"control rate {ASSUMED_RATE:g} Hz"],
            "image_dtypes": {name: array.dtype.str for name, array in cameras.items()},
        }
        meta = StoreMeta(
            cameras={name: (array.shape[1], array.shape[2]) for name, array in cameras.items()},
            control_rate=ASSUMED_RATE,
            state_names=PUSHT_STATE if pusht else names_of(parts),
            action=PUSHT_ACTION if pusht else _set_points(action.shape[1]),
            extras={name: Feature.of(array) for name, array in extras.items()},
            info={"source": source},
        )
        return meta, Layout(
            {name: f"data/{name}" for name in cameras},
            tuple((f"data/{key}", width) for key, width in parts),
            "data/action",
            places,
        )

    def _holds_numbers(self, name: str, array: ZarrArray) -> bool:
        if array.dtype.kind in "biuf":
            return True
        self._lost.append(f"{name}: {array.dtype} are not numbers")
        return False

    def _is_camera(self, array: ZarrArray) -> bool:
        """Whether it holds images: by its shape, and, unless it holds bytes, by its first ones."""
        if len(array.shape) != 4 or array.shape[3] != 3 or 0 in array.shape:
            return False
        return array.dtype == np.uint8 or (array.dtype.kind in "iuf" and integral(array[:1]))

    def _state_keys(self, arrays: Mapping[str, ZarrArray]) -> tuple[str, ...]:
        """`state`, if there is one; else what `choose_state` chooses of the rows of numbers."""
        if "state" in arrays and len(arrays["state"].shape) <= 2:
            return ("state",)
        widths = {
            name: _width(array)
            for name, array in arrays.items()
            if name != "action" and len(array.shape) <= 2 and array.dtype.kind == "f"
        }
        return choose_state(widths)

    # Episodes -----------------------------------------------------------------------------------------

    def read(self, index: int) -> Episode:
        """One episode; its images are decoded as they are asked for.

        Raises:
            DataError: a chunk is missing or damaged, or the episode has no steps.
        """
        if not 0 <= index < len(self):
            raise InputError(f"{self.path} has the episodes 0 to {len(self) - 1}, not {index}.")
        start, stop = (int(self._ends[index - 1]) if index else 0), int(self._ends[index])
        if stop == start:
            raise wrong(self.path, "empty", "It has no steps.", index)

        def rows(place: str) -> NDArray[Any]:
            return self._array(place).rows(start, stop, index)

        with border(self.path, "its arrays", index):
            length, layout = stop - start, self._layout
            parts = [rows(place).reshape(length, -1).astype(np.float32) for place, _ in layout.state]
            state = np.concatenate([np.zeros((length, 0), np.float32), *parts], axis=1)
            return Episode(
                images={
                    camera: CameraRows(self._array(place), start, stop, index)
                    for camera, place in layout.cameras.items()
                },
                state=state,
                action=rows(layout.action).astype(np.float32),
                end=last_step(length) if layout.end is None else rows(layout.end),
                target=np.full((length, 3), np.nan, np.float32)
                if layout.target is None
                else rows(layout.target),
                extras={name: rows(place) for name, place in layout.extras.items()},
                **self._fields(index, length),
            )

    def _fields(self, index: int, length: int) -> dict[str, Any]:
        if LINES not in self._arrays:
            return {"text": "", "expert": "unknown"}
        ends = self._array(LINE_ENDS).rows(max(0, index - 1), index + 1, index)
        line = self._array(LINES).rows(int(ends[0]) if index else 0, int(ends[-1]), index)
        return episode_fields(line.tobytes(), length)


def _width(array: ZarrArray) -> int:
    return array.shape[1] if len(array.shape) > 1 else 1


def _set_points(size: int) -> ActionSpace:
    """An action of which nothing is said: replay buffers mostly hold positions to go to."""
    return ActionSpace.unlimited([f"action.{index}" for index in range(size)], relative=False)


# Writing ---------------------------------------------------------------------------------------------


def naming() -> Naming:
    """Places of a replay buffer: one flat group."""
    return Naming(
        camera=lambda camera: f"data/{camera}",
        key=lambda key: f"data/{key}",
        extra=lambda name: f"data/{name.removesuffix('.float64')}",
        own=lambda stem: f"data/{OWN}.{stem.replace('/', '.')}",
        action="data/action",
    )


class _Buffer:
    """The arrays of a replay buffer that is being written."""

    def __init__(self, meta: StoreMeta, path: Path, compress: bool) -> None:
        self.meta, self.layout = meta, lay_out(meta, naming(), {})
        self._compressor = COMPRESSOR if compress else None
        self._writer = ZipWriter(path) if path.suffix == ".zip" else FolderWriter(path)
        self._arrays: dict[str, ArrayWriter] = {}
        dtypes = (meta.info.get("source") or {}).get("image_dtypes", {})
        for camera, place in self.layout.cameras.items():
            dtype = dtypes.get(camera, "|u1") if isinstance(dtypes, dict) else "|u1"
            self._open(place, dtype if dtype in ("<f4", "<f8") else "|u1", (*meta.cameras[camera], 3))
        for place, width in self.layout.state:
            self._open(place, "<f4", (width,))
        for name, place in self.layout.extras.items():
            self._open(place, meta.extras[name].dtype, meta.extras[name].shape)
        self._open(self.layout.action, "<f4", (meta.action.size,))
        self._open(str(self.layout.end), "<f4", ())
        self._open(str(self.layout.target), "<f4", (3,))
        for place, dtype in ((ENDS, "<i8"), (LINES, "|u1"), (LINE_ENDS, "<i8")):
            self._open(place, dtype, ())
        self._end = self._line_end = 0

    def _open(self, place: str, dtype: str, shape: tuple[int, ...]) -> None:
        self._arrays[place] = ArrayWriter(self._writer, place, dtype, shape, self._compressor)

    def append(self, episode: Episode) -> None:
        for camera, place in self.layout.cameras.items():
            for start in range(0, len(episode), BLOCK):
                self._arrays[place].append(np.asarray(episode.images[camera][start : start + BLOCK]))
        column = 0
        for place, width in self.layout.state:
            self._arrays[place].append(episode.state[:, column : column + width])
            column += width
        for name, place in self.layout.extras.items():
            self._arrays[place].append(np.asarray(episode.extras[name]))
        for place, rows in (
            (self.layout.action, episode.action),
            (str(self.layout.end), episode.end),
            (str(self.layout.target), episode.target),
        ):
            self._arrays[place].append(rows)
        line = np.frombuffer(episode_line(episode).encode(), np.uint8)
        self._end, self._line_end = self._end + len(episode), self._line_end + len(line)
        self._arrays[LINES].append(line)
        self._arrays[ENDS].append(np.array([self._end]))
        self._arrays[LINE_ENDS].append(np.array([self._line_end]))

    def close(self) -> None:
        for array in self._arrays.values():
            array.close()
        source = self.meta.info.get("source")
        kept = source.get("attributes") if isinstance(source, dict) and source.get("format") == NAME else None
        attributes = {
            **(kept if isinstance(kept, dict) else {}),
            OWN: json.loads(own_description(self.meta, self.layout)),
        }
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
        buffer = _Buffer(meta, temporary, options.compress)
        for episode in episodes:
            episode.check(meta)
            buffer.append(episode)
            written.episodes, written.frames = written.episodes + 1, written.frames + len(episode)
        buffer.close()
    return written


def recognise(path: Path) -> bool:
    """Whether there is a `meta/episode_ends` of zarr."""
    if path.is_dir():
        return (path / ENDS / ".zarray").is_file()
    if not (path.is_file() and path.suffix == ".zip"):
        return False
    try:
        return ZipKeys(path).get(f"{ENDS}/.zarray") is not None
    except Exception:  # whatever it is, it is none of ours
        return False


FORMAT = Format(
    name=NAME,
    title="replay buffer of diffusion policy (zarr)",
    recognise=recognise,
    open=ReplayBufferSource,
    write=write,
)
