"""robomimic's HDF5 files, and those made like them: MimicGen's, robosuite's, Isaac Lab Mimic's, LIBERO's.

    data                 attributes  total, env_args (JSON: env_name, type, env_kwargs)
    data/demo_0          attributes  num_samples, model_file (MJCF), ...
        actions, states, rewards, dones   (N, ...)
        obs/KEY, next_obs/KEY             (N, ...)   images uint8 (N, H, W, 3)
    mask/NAME            names of the demonstrations under a filter key

The files that we write hold the native description besides (see `description`). `next_obs` in them is a
virtual array, `obs` one step later, which takes no space.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import DataError
from robot_skills.data.formats.border import border, wrong
from robot_skills.data.formats.controllers import action_space
from robot_skills.data.formats.description import OWN, Description, EpisodeLine
from robot_skills.data.formats.hdf5 import Hdf5File, Hdf5Images
from robot_skills.data.formats.layout import Layout, assemble, choose_state, fits_float32, last_step, names_of
from robot_skills.data.meta import IMAGES, NAME, Feature, StoreMeta
from robot_skills.errors import InputError

#: Places of a demonstration -> our names.
KNOWN = {"states": "sim.state", "rewards": "next.reward", "dones": "next.done"}
#: robosuite's default, where a file does not say.
ASSUMED_RATE = 20.0
CONVENTION, UPSIDE_DOWN = "macros_image_convention", "opengl"
#: Attributes that are not kept as such: they are derived, or ours.
DERIVED = ("num_samples", OWN)


@dataclass(frozen=True)
class Flavour:
    """What two formats of this layout differ in.

    Attributes:
        name, title: as of `Format`.
        image: what a camera's observation is called, behind the camera's name.
        upside_down: whether images lie as OpenGL draws them, lowest row first, where a file does not say.
    """

    name: str
    title: str
    image: str
    upside_down: bool


class RobomimicSource:
    """A file, read demonstration by demonstration.

    Attributes:
        filter_keys: name -> numbers of the episodes under it.

    Raises:
        DataError: it is damaged, or holds no demonstrations.
    """

    def __init__(self, path: Path, flavour: Flavour) -> None:
        self.path, self._flavour = path, flavour
        self._lost: list[str] = []
        self._file = Hdf5File(path)
        with border(path, "its description"):
            self._data = self._file.attributes("data")
            self._demos = sorted(self._file.children("data"), key=_number)
            masks = {name: self._mask(name) for name in self._file.children("mask")}
        if not self._demos:
            raise wrong(path, "missing", "There are no demonstrations: the group 'data' is missing or empty.")
        self.filter_keys = {
            name: tuple(index for index, demo in enumerate(self._demos) if demo in names)
            for name, names in masks.items()
        }
        convention = self._data.get(CONVENTION, UPSIDE_DOWN if flavour.upside_down else "opencv")
        self._upside_down = convention == UPSIDE_DOWN
        with border(path, "its description"):
            first = self._file.attributes(f"data/{self._demos[0]}")
            self._own = OWN in self._data or OWN in first
            if self._own:
                own = Description.from_text(self._data[OWN])
                self.meta, self._layout = own.meta, own.layout
                if own.episodes != len(self._demos):
                    raise ValueError(
                        f"{own.episodes} episodes were written, and {len(self._demos)} are there"
                    )
            else:
                self._env_args = _json_object(self._data.get("env_args"))
                self.meta, self._layout = self._infer_from_first()

    @property
    def not_carried(self) -> tuple[str, ...]:
        """Arrays that are not one row a step, or no numbers; the last of `next_obs`."""
        return tuple(self._lost)

    def __len__(self) -> int:
        return len(self._demos)

    def _mask(self, name: str) -> set[str]:
        found = self._file.find(f"mask/{name}")[()]
        return {value.decode() if isinstance(value, bytes) else str(value) for value in found.tolist()}

    # What somebody else's file holds ------------------------------------------------------------------

    def _infer_from_first(self) -> tuple[StoreMeta, Layout]:
        """From the first demonstration that can be read; a damaged one shows when it is."""
        faults = []
        for index in range(len(self._demos)):
            found = self._try_to_infer(index)
            if not isinstance(found, InputError):
                return found
            faults.append(found)
        raise faults[0]

    def _try_to_infer(self, index: int) -> tuple[StoreMeta, Layout] | InputError:
        try:
            with border(self.path, f"data/{self._demos[index]}", index):
                return self._infer(index)
        except InputError as error:
            return error

    def _infer(self, index: int) -> tuple[StoreMeta, Layout]:
        features = self._features(index)
        if "actions" not in features or len(features["actions"].shape) != 1:
            raise wrong(self.path, "missing", "There are no (N, A) actions.", index)
        cameras = {
            place: feature.shape[:2]
            for place, feature in features.items()
            if place.startswith("obs/") and _is_camera(feature)
        }
        widths = {
            place.removeprefix("obs/"): int(np.prod(feature.shape))
            for place, feature in features.items()
            if place.startswith("obs/") and feature.dtype[1] == "f" and len(feature.shape) <= 1
        }
        parts = [(key, widths[key]) for key in choose_state(widths)]
        extras: dict[str, str] = {}
        for place, feature in features.items():
            core = place == "actions" or place.removeprefix("obs/") in dict(parts)
            if place not in cameras and not (core and fits_float32(np.dtype(feature.dtype))):
                self._name_extra(place, extras)
        names = {self._camera(place): place for place in cameras}
        layout = Layout(names, tuple((f"obs/{key}", width) for key, width in parts), "actions", extras)
        size = features["actions"].shape[0]
        meta = StoreMeta(
            cameras={name: (cameras[place][0], cameras[place][1]) for name, place in names.items()},
            control_rate=self._control_rate(),
            state_names=names_of(parts),
            action=action_space(self._env_args, size, self._all_actions),
            extras={name: features[place] for name, place in extras.items()},
            info={"source": self._source(layout)},
        )
        return meta, layout

    def _features(self, index: int) -> dict[str, Feature]:
        """The arrays of a demonstration that have a row of numbers for each step."""
        demo = f"data/{self._demos[index]}"
        length, found = self._length(index), {}
        for place, array in self._file.arrays(demo):
            if place.startswith("next_obs/"):
                self._lose(
                    "next_obs: it follows from obs, but for the observation after an episode's last step"
                )
            elif array.dtype.kind not in "biuf" or not array.shape or array.shape[0] != length:
                self._lose(f"{place}: {array.dtype} {array.shape} is not a row of numbers for each step")
            else:
                found[place] = Feature.of(array)
        return found

    def _name_extra(self, place: str, extras: dict[str, str]) -> None:
        """Name a feature: `observation.KEY`, one of `KNOWN`, `action.float64`, or `demo.` and its place."""
        name = KNOWN.get(place) or f"demo.{place.replace('/', '.')}"
        if place == "actions":
            name = "action.float64"
        elif place.startswith("obs/"):
            name = f"observation.{place.removeprefix('obs/').replace('/', '.')}"
        if NAME.fullmatch(name) and name not in extras:
            extras[name] = place
        else:
            self._lose(f"{place}: there is no name for it")

    def _lose(self, line: str) -> None:
        if line not in self._lost:
            self._lost.append(line)

    def _camera(self, place: str) -> str:
        key = place.removeprefix("obs/")
        return next((key.removesuffix(end) for end in ("_image", "_rgb") if key.endswith(end)), key)

    def _control_rate(self) -> float:
        kwargs = self._env_args.get("env_kwargs")
        rate = kwargs.get("control_freq") if isinstance(kwargs, Mapping) else None
        return float(rate) if isinstance(rate, (int, float)) and 0 < rate < 1e6 else ASSUMED_RATE

    def _all_actions(self) -> Iterator[NDArray[Any]]:
        for demo in self._demos:
            try:
                with border(self.path, f"data/{demo}/actions"):
                    rows = np.asarray(self._file.find(f"data/{demo}/actions")[()])
            except DataError:
                continue  # shows when the demonstration is read
            yield rows

    def _source(self, layout: Layout) -> dict[str, Any]:
        """What the file says of itself, for `info`."""
        data = {name: value for name, value in self._data.items() if name not in ("total", OWN)}
        if self._env_args:
            del data["env_args"]
        said = "control_freq" in (self._env_args.get("env_kwargs") or {})
        places = {**{IMAGES + name: place for name, place in layout.cameras.items()}, **layout.extras}
        return {
            "format": self._flavour.name,
            "env_args": self._env_args,
            "attributes": data,
            "filter_keys": sorted(self.filter_keys),
            "places": places,
            "assumed": [] if said else [f"control rate {ASSUMED_RATE:g} Hz"],
        }

    # Episodes -----------------------------------------------------------------------------------------

    def _length(self, index: int) -> int:
        """N: what `num_samples` says, and the actions have.

        Raises:
            DataError: they disagree, or are missing.
        """
        demo = f"data/{self._demos[index]}"
        actions = self._file.find(f"{demo}/actions")
        shape = getattr(actions, "shape", None)
        if not shape:
            raise wrong(self.path, "missing", f"There is no array {demo}/actions.", index)
        said = self._file.attributes(demo).get("num_samples", shape[0])
        if said != shape[0]:
            message = f"{demo} has {shape[0]} actions, and its num_samples is {said}."
            raise wrong(self.path, "length", message, index)
        if shape[0] == 0:
            raise wrong(self.path, "empty", "It has no steps.", index)
        return int(shape[0])

    def read(self, index: int) -> Episode:
        """One demonstration; its images are read as they are asked for.

        Raises:
            DataError: it is damaged, or holds something else than the others.
        """
        if not 0 <= index < len(self):
            raise InputError(f"{self.path} has the episodes 0 to {len(self) - 1}, not {index}.")
        demo = f"data/{self._demos[index]}"
        with border(self.path, demo, index):
            length, attributes = self._length(index), self._file.attributes(demo)
            line = EpisodeLine.read(attributes[OWN], length, attributes) if self._own else None
            episode = assemble(
                self.meta,
                self._layout,
                length,
                lambda place: self._rows(demo, place, length, index),
                lambda place: self._images(demo, place, length, index),
                {"text": ""} if line is None else line.fields,
            )
            if line is None:
                episode = self._described(episode, index, attributes)
            else:
                episode = line.verify(episode, self.path, index)
            return self._under_masks(episode, index)

    def _rows(self, demo: str, place: str, length: int, index: int) -> NDArray[Any]:
        """(N, ...) the rows of an array; a feature's are of its own type."""
        for name, other in self._layout.extras.items():
            if place == other:
                return self._file.rows(f"{demo}/{place}", self.meta.extras[name], length, index)
        array = self._file.find(f"{demo}/{place}")
        shape = getattr(array, "shape", None)
        if not shape:
            raise wrong(self.path, "missing", f"There is no array {demo}/{place}.", index)
        if shape[0] != length or array.dtype.kind not in "biuf":
            message = f"{demo}/{place} should be {length} rows of numbers, not {array.dtype} {shape}."
            raise wrong(self.path, "length", message, index)
        return np.asarray(array[()])

    def _images(self, demo: str, place: str, length: int, index: int) -> Hdf5Images:
        camera = next(name for name, other in self._layout.cameras.items() if other == place)
        size = self.meta.cameras[camera]
        return Hdf5Images(self._file, f"{demo}/{place}", size, length, index, self._upside_down)

    def _described(self, episode: Episode, index: int, attributes: Mapping[str, Any]) -> Episode:
        """With what somebody else's file says of the demonstration."""
        kept = {name: value for name, value in attributes.items() if name not in DERIVED}
        outcome, seed = _outcome(episode, attributes), attributes.get("seed")
        return replace(
            episode,
            text=_language(attributes) or _language(self._data),
            seed=seed if type(seed) is int and seed >= 0 else None,
            outcome=outcome,
            end=last_step(len(episode)) if outcome != "failed" else np.zeros(len(episode), np.float32),
            attributes={**kept, "demo": self._demos[index]},
        )

    def _under_masks(self, episode: Episode, index: int) -> Episode:
        """With the filter keys that it is under, if the file has any."""
        keys = sorted(name for name, episodes in self.filter_keys.items() if index in episodes)
        known = episode.attributes.get("filter_keys", [])
        if not keys or (isinstance(known, list) and set(map(str, known)) == set(keys)):
            return episode
        return replace(episode, attributes={**episode.attributes, "filter_keys": keys})


def _number(demo: str) -> tuple[int, str]:
    """`demo_10` comes after `demo_9`; what has no number, at the end."""
    number = demo.rpartition("_")[2]
    return (int(number) if number.isdecimal() and len(number) < 19 else 2**62, demo)


def _is_camera(feature: Feature) -> bool:
    return feature.dtype == "|u1" and len(feature.shape) == 3 and feature.shape[2] == 3


def _json_object(text: Any) -> dict[str, Any]:
    """The object that a text holds; empty if it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _language(attributes: Mapping[str, Any]) -> str:
    """What was to be done: robocasa's `ep_meta`, LIBERO's `problem_info`, or an attribute that says so."""
    for text in (
        *(attributes.get(name) for name in ("language_instruction", "lang", "language")),
        _json_object(attributes.get("ep_meta")).get("lang"),
        _json_object(attributes.get("problem_info")).get("language_instruction"),
    ):
        found = " ".join(text) if isinstance(text, list) and all(isinstance(t, str) for t in text) else text
        if isinstance(found, str) and found.strip('" '):
            return found.strip('" ')
    return ""


def _outcome(episode: Episode, attributes: Mapping[str, Any]) -> str:
    """By the mark that Isaac Lab sets, else by the rewards: one above 0 is a success."""
    success = attributes.get("success")
    if isinstance(success, (bool, int)):
        return "succeeded" if success else "failed"
    rewards = episode.extras.get("next.reward")
    return "succeeded" if rewards is not None and bool((rewards > 0).any()) else "unknown"
