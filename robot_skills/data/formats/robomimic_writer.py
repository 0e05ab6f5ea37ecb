"""Writing robomimic's HDF5 files, and LIBERO's; see `robomimic_source` for their layout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import Format, WriteOptions, Written, whole
from robot_skills.data.formats.description import OWN, Description, crc, episode_line
from robot_skills.data.formats.hdf5 import attribute
from robot_skills.data.formats.hdf5_probe import PROBER
from robot_skills.data.formats.layout import PART, Naming, lay_out, pieces
from robot_skills.data.formats.robomimic_source import (
    CONVENTION,
    DERIVED,
    KNOWN,
    UPSIDE_DOWN,
    Flavour,
    RobomimicSource,
)
from robot_skills.data.meta import StoreMeta
from robot_skills.errors import require

#: Bytes that are written at a time.
BLOCK_BYTES = 2**24
#: robomimic's number for an environment behind Gym's interface, the least that it can be told.
GYM_TYPE = 2
#: The formats whose `env_args` say the same.
FAMILY = ("robomimic", "libero")
#: A place of somebody else's file that can be given back: not a group of the layout, nor ours.
PLACE = re.compile(rf"(?!{OWN}(/|$)|obs$)")
NEXT_OBS = "next_obs: derived from obs; after an episode's last step the last observation is repeated"
REWARDS = "rewards and dones: made from the outcome and the end, the store has none"


class RobomimicWriter:
    """A file that is being written.

    Args:
        file: of h5py, open for writing.
    """

    def __init__(self, meta: StoreMeta, file: Any, flavour: Flavour, options: WriteOptions) -> None:
        self.meta, self._file, self._flavour, self._options = meta, file, flavour, options
        self._h5py = require("h5py", "data")
        source = _mapping(meta.info, "source")
        self._environment = _mapping(source, "env_args") if source.get("format") in FAMILY else {}
        self._source = source if source.get("format") == flavour.name else {}
        places = _mapping(self._source, "places").items()
        known = {stem: place for stem, place in places if isinstance(place, str) and PLACE.match(place)}
        self.layout = lay_out(meta, _naming(flavour), known)
        self._attributes = _mapping(self._source, "attributes")
        usual = UPSIDE_DOWN if flavour.upside_down else ""
        self._upside_down = self._attributes.get(CONVENTION, usual) == UPSIDE_DOWN
        self._masks: dict[str, list[int]] = {name: [] for name in _names(self._source.get("filter_keys"))}
        self._texts: list[str] = []
        self.episodes = self.frames = 0
        file.create_group("data")

    def append(self, episode: Episode) -> None:
        """Add a demonstration."""
        demo = self._file["data"].create_group(f"demo_{self.episodes}")
        sums = {camera: self._images(demo, camera, episode) for camera in self.layout.cameras}
        for place, rows in pieces(episode, self.layout):
            self._array(demo, place, rows.dtype, rows.shape)[...] = rows
        taken = self.layout.extras.values()
        if "rewards" not in taken:
            rewards = episode.end if episode.outcome == "succeeded" else np.zeros(len(episode))
            demo["rewards"] = np.asarray(rewards, np.float64)
        if "dones" not in taken:
            demo["dones"] = np.asarray(episode.end > 0, np.int64)
        self._next_observations(demo)
        self._describe(demo, episode, sums)
        self.episodes, self.frames = self.episodes + 1, self.frames + len(episode)

    def _images(self, demo: Any, camera: str, episode: Episode) -> int:
        """Write the images of a camera; returns their checksum."""
        rows, total = episode.images[camera], 0
        array = self._array(demo, self.layout.cameras[camera], np.dtype(np.uint8), rows.shape)
        step = max(1, BLOCK_BYTES // max(1, int(np.prod(rows.shape[1:]))))
        for start in range(0, len(episode), step):
            block = np.asarray(rows[start : start + step])
            total = crc(block, total)
            array[start : start + step] = block[:, ::-1] if self._upside_down else block
        return total

    def _array(self, demo: Any, place: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        if not self._options.compress or 0 in shape:
            return demo.create_dataset(place, shape, dtype)
        rows = 1 if len(shape) > 2 else min(shape[0], 1024)  # a frame a chunk: random access reads no other
        return demo.create_dataset(
            place, shape, dtype, chunks=(rows, *shape[1:]), compression="gzip", shuffle=True
        )

    def _next_observations(self, demo: Any) -> None:
        """`next_obs` as views of `obs`, one step later; the last step's is its own."""
        for key, array in demo["obs"].items() if "obs" in demo else ():
            if not isinstance(array, self._h5py.Dataset):
                continue
            name, length = f"next_obs/{key}", len(array)
            if array.size == 0:
                demo.create_dataset(name, array.shape, array.dtype)
                continue
            layout = self._h5py.VirtualLayout(array.shape, array.dtype)
            source = self._h5py.VirtualSource(".", array.name, array.shape, array.dtype)
            if length > 1:
                layout[: length - 1] = source[1:]
            layout[length - 1 :] = source[length - 1 :]
            demo.create_virtual_dataset(name, layout)

    def _describe(self, demo: Any, episode: Episode, sums: dict[str, int]) -> None:
        """The attributes of a demonstration."""
        elsewhere = set()
        for name, value in episode.to_json()["attributes"].items():
            stored = attribute(value) if PART.fullmatch(name) and name not in DERIVED else None
            if stored is not None:
                demo.attrs[name] = stored
                elsewhere.add(name)
        demo.attrs["num_samples"] = len(episode)
        if "ep_meta" not in elsewhere and episode.text:
            demo.attrs["ep_meta"] = json.dumps({"lang": episode.text})
        state = episode.extras.get("sim.state")
        if self._flavour.name == "libero" and state is not None and "init_state" not in elsewhere:
            demo.attrs["init_state"] = state[0]
        demo.attrs[OWN] = episode_line(episode, sums, frozenset(elsewhere))
        for name in _names(episode.attributes.get("filter_keys")):
            self._masks.setdefault(name, []).append(self.episodes)
        if episode.text not in self._texts and len(self._texts) < 2:
            self._texts.append(episode.text)

    def close(self) -> list[str]:
        """Write what describes the file as a whole; returns what could not be carried."""
        data, kept = self._file["data"], dict(self._attributes)
        lost = [NEXT_OBS]
        if not {"next.reward", "next.done"} <= set(self.meta.extras):
            lost.append(REWARDS)
        if self._flavour.name == "libero":
            lost += self._describe_task(kept)
        for name, value in kept.items():
            stored = attribute(value)
            if stored is not None and PART.fullmatch(name):
                data.attrs[name] = stored
        data.attrs["total"] = self.frames
        data.attrs["env_args"] = json.dumps(self._environment or self._unknown_environment())
        data.attrs[OWN] = Description(self.meta, self.layout, self.episodes).to_text()
        for name, episodes in self._masks.items():
            demos = [f"demo_{index}".encode() for index in episodes]
            self._file[f"mask/{name}"] = np.array(demos, "S") if demos else np.zeros(0, "S1")
        return lost

    def _unknown_environment(self) -> dict[str, Any]:
        """The `env_args` of data that no known environment made; robomimic needs all three keys."""
        kwargs = {"control_freq": self.meta.control_rate}
        return {"env_name": "unknown", "type": GYM_TYPE, "env_kwargs": kwargs}

    def _describe_task(self, kept: dict[str, Any]) -> list[str]:
        """Fill in what LIBERO says of its one task; returns what could not be carried."""
        text = self._texts[0] if self._texts else ""
        info = {"problem_name": "unknown", "domain_name": "robosuite", "language_instruction": text}
        kept.setdefault("problem_info", json.dumps(info))
        kept[CONVENTION] = UPSIDE_DOWN if self._upside_down else kept.get(CONVENTION, "opencv")
        kept["num_demos"] = self.episodes
        kept.setdefault("env_name", "unknown")
        missing = [name for name in ("bddl_file_name", "bddl_file_content") if name not in kept]
        lost = [f"{' and '.join(missing)}: no BDDL file is known"] if missing else []
        if len(self._texts) > 1:
            lost.append(
                "language: LIBERO has one instruction a file, problem_info holds that of the first episode; "
                "each episode's own lies in ep_meta"
            )
        return lost


def _naming(flavour: Flavour) -> Naming:
    places = {**{name: place for place, name in KNOWN.items()}, "action.float64": "actions"}

    def extra(name: str) -> str:
        if name in places:
            return places[name]
        if name.startswith("observation."):
            return f"obs/{name.removeprefix('observation.')}"
        return f"{OWN}/{name}"

    return Naming(
        camera=lambda camera: f"obs/{camera}{flavour.image}",
        key=lambda key: f"obs/{key}",
        extra=extra,
        own=lambda stem: f"{OWN}/{stem}",
        action="actions",
        reserved=frozenset({"next_obs"}),
    )


def _mapping(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _names(value: Any) -> list[str]:
    """The names in a list of them that HDF5 can have as an array's name."""
    found = value if isinstance(value, list) else []
    return list(dict.fromkeys(name for name in found if isinstance(name, str) and PART.fullmatch(name)))


def write_file(
    meta: StoreMeta, episodes: Iterable[Episode], path: Path, options: WriteOptions, flavour: Flavour
) -> Written:
    """Write a file.

    Raises:
        InputError: `path` exists, or an episode does not fit `meta`.
    """
    h5py = require("h5py", "data")
    written = Written()
    with whole(path) as temporary, h5py.File(temporary, "w") as file:
        writer = RobomimicWriter(meta, file, flavour, options)
        for episode in episodes:
            episode.check(meta)
            writer.append(episode)
        for line in writer.close():
            written.lost(line)
        written.episodes, written.frames = writer.episodes, writer.frames
    PROBER.trust(path)
    return written


def format_of(flavour: Flavour, recognise: Callable[[Path], bool]) -> Format:
    """The format that a flavour of these files is."""
    return Format(
        name=flavour.name,
        title=flavour.title,
        recognise=recognise,
        open=lambda path: RobomimicSource(path, flavour),
        write=lambda meta, episodes, path, options: write_file(meta, episodes, path, options, flavour),
    )
