"""Diffusion policy's replay buffer: every array concatenated over time, in zarr's second format.

    data/action, data/state, data/img, ...   (N, ...)   any arrays
    meta/episode_ends                        (E,) int   N after each episode

A folder, or a zip file of one. The format has no place for a control rate, language, limits or success;
in those that we write these lie in the root's attributes (`robot_skills`) and in `meta/robot_skills_json`,
which other readers pass over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.data.formats.border import border, wrong
from robot_skills.data.formats.description import OWN, Description, EpisodeLine
from robot_skills.data.formats.layout import Layout, assemble, choose_state, fits_float32, names_of
from robot_skills.data.formats.rows import LazyRows
from robot_skills.data.formats.zarr_v2 import Keys, ZarrArray, open_keys, read_json
from robot_skills.data.meta import Feature, StoreMeta
from robot_skills.errors import InputError
from robot_skills.robot import ActionSpace

NAME = "zarr"
ENDS = "meta/episode_ends"
LINES, LINE_ENDS = f"meta/{OWN}_json", f"meta/{OWN}_json_ends"
#: The format does not say how fast its steps follow each other; diffusion policy's own data run at 10 Hz.
ASSUMED_RATE = 10.0

#: Push-T's replay (Chi et al. 2023) is known by its arrays; positions are pixels of a 512 px square.
PUSHT_ARRAYS = {"state": (5,), "action": (2,), "keypoint": (9, 2), "n_contacts": (1,)}
PUSHT_STATE = ("agent.x", "agent.y", "block.x", "block.y", "block.angle")
PUSHT_ACTION = ActionSpace(("x", "y"), (False, False), (0.0, 0.0), (512.0, 512.0))


class CameraRows(LazyRows):
    """(n, H, W, 3) uint8 of one episode, decoded as they are asked for.

    Replay buffers often hold images as floating-point numbers from 0 to 255.
    """

    def __init__(self, array: ZarrArray, start: int, stop: int, episode: int) -> None:
        self._array, self._start, self._episode = array, start, episode
        self.shape, self.dtype = (stop - start, *array.shape[1:]), np.dtype(np.uint8)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """The rows from `start` up to `stop`.

        Raises:
            DataError: they are missing or damaged, or are no bytes.
        """
        found = self._array.rows(self._start + start, self._start + stop, self._episode)
        if found.dtype == np.uint8:
            return found
        if not integral(found):
            message = f"{self._array.name} holds numbers that are not whole or not in 0 to 255."
            raise wrong(self._array.keys.path, "image", message, self._episode)
        return found.astype(np.uint8)


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
        if OWN in attributes or LINES in self._arrays:
            with border(path, "its description (.zattrs)"):
                own = Description.from_text(json.dumps(attributes[OWN]))
                self.meta, self._layout = own.meta, own.layout
                if own.episodes != len(self._ends):
                    raise ValueError(f"{own.episodes} episodes were written, and {len(self._ends)} are there")
                if gone := [name for name in (LINES, LINE_ENDS) if name not in self._arrays]:
                    raise ValueError(f"{gone[0]}, which holds what is known of each episode, is missing")
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
            episode = assemble(
                self.meta,
                self._layout,
                stop - start,
                rows,
                lambda place: CameraRows(self._array(place), start, stop, index),
                {"text": ""} if (line := self._line(index, stop - start)) is None else line.fields,
            )
            return episode if line is None else line.verify(episode, self.path, index)

    def _line(self, index: int, length: int) -> EpisodeLine | None:
        if LINES not in self._arrays:
            return None
        ends = self._array(LINE_ENDS).rows(max(0, index - 1), index + 1, index)
        line = self._array(LINES).rows(int(ends[0]) if index else 0, int(ends[-1]), index)
        return EpisodeLine.read(line.tobytes(), length, {})


def _width(array: ZarrArray) -> int:
    return array.shape[1] if len(array.shape) > 1 else 1


def _set_points(size: int) -> ActionSpace:
    """An action of which nothing is said: replay buffers mostly hold positions to go to."""
    return ActionSpace.unlimited([f"action.{index}" for index in range(size)], relative=False)
