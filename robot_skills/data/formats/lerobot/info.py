"""`meta/info.json` of a LeRobotDataset: versions, paths and features, and what they are in native terms.

Source: LeRobot 0.3.3 (v2.1) and 0.4.4 (v3.0), `datasets/utils.py` and `datasets/lerobot_dataset.py`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from robot_skills.data.formats.border import border, wrong
from robot_skills.data.formats.layout import fits_float32
from robot_skills.data.meta import Feature, StoreMeta
from robot_skills.errors import InputError
from robot_skills.robot import ActionSpace

INFO = "meta/info.json"
STATE, ACTION, DONE, SUCCESS = "observation.state", "action", "next.done", "next.success"
IMAGES = "observation.images."
#: Columns that every data set has; they say where a row belongs.
STRUCTURE = ("timestamp", "frame_index", "episode_index", "index", "task_index")
#: LeRobot's own tolerance, s: of the time between rows, and between a row and its video frame.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Info:
    """What `meta/info.json` says.

    Attributes:
        path: of the data set.
        version: 2 or 3, the layout.
        fps: frames a second, Hz.
        features: column or video -> its description.
        raw: all of it.
    """

    path: Path
    version: int
    fps: float
    features: Mapping[str, Mapping[str, Any]]
    raw: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Info:
        """Read and check it.

        Raises:
            DataError: it is missing, damaged, or of a version that is not read.
        """
        if not (path / INFO).is_file():
            raise wrong(path, "missing", f"There is no {INFO}.")
        with border(path, INFO):
            raw = json.loads((path / INFO).read_bytes())
            version = re.fullmatch(r"v?(\d+)\.(\d+)", str(raw["codebase_version"]).strip())
            if version is None or int(version[1]) not in (2, 3):
                raise InputError(
                    f"{path} is a LeRobotDataset {raw['codebase_version']}; v2.0, v2.1 and v3.0 are read. "
                    "LeRobot's own scripts convert older ones."
                )
            features = {str(key): dict(value) for key, value in raw["features"].items()}
            for key, value in features.items():
                if not isinstance(value["dtype"], str) or min(map(int, value["shape"]), default=1) < 0:
                    raise ValueError(f"the feature {key} has no type, or no shape")
            fps = float(raw["fps"])
            if not (math.isfinite(fps) and fps > 0):
                raise ValueError(f"fps is above 0, not {fps}")
            if int(raw["total_episodes"]) < 0 or int(raw["total_frames"]) < 0:
                raise ValueError("a total is below 0")
            return cls(path, int(version[1]), fps, features, raw)

    def file(self, kind: str, **numbers: Any) -> str:
        """The path of a file within the data set.

        Args:
            kind: "data_path" or "video_path".
            numbers: what the path is made from.

        Raises:
            DataError: the pattern is damaged, or leads outside the data set.
        """
        with border(self.path, f"{kind} in {INFO}"):
            found = PurePosixPath(str(self.raw[kind]).format(**numbers))
            if found.is_absolute() or ".." in found.parts:
                raise ValueError(f"{found} lies outside the data set")
            return str(found)

    def videos(self) -> tuple[str, ...]:
        """Features that are videos and can be cameras."""
        return tuple(key for key, value in self.features.items() if value["dtype"] == "video")


@dataclass(frozen=True)
class Columns:
    """Which feature of a LeRobotDataset is which array of the store.

    Attributes:
        cameras: camera -> feature.
        arrays: "state", "action", "end", "target" or an extra -> feature; what is missing is not there.
        derived: features written for LeRobot's users, made from what the store holds.
        texts: features of text.
    """

    cameras: Mapping[str, str]
    arrays: Mapping[str, str]
    derived: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"cameras": dict(self.cameras), "arrays": dict(self.arrays), "derived": list(self.derived)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Columns:
        """The inverse of `to_json`."""
        return cls(dict(data["cameras"]), dict(data["arrays"]), tuple(data["derived"]))


def names_of(value: Mapping[str, Any], size: int, stem: str) -> tuple[str, ...]:
    """One name for each number: LeRobot's are a list, a list in a list, or a dictionary of either kind."""
    names: Any = value.get("names")
    if isinstance(names, Mapping):
        if all(isinstance(place, int) for place in names.values()):  # {"x": 0, "y": 1}
            names = sorted(names, key=lambda name: int(names[name]))
        else:  # {"motors": ["x", "y"]}
            names = list(names.values())
    flat = tuple(_flatten(names or ()))
    if len(flat) == size and len(set(flat)) == size:
        return flat
    return tuple(f"{stem}.{index}" for index in range(size))


def _flatten(names: Any) -> Iterable[str]:
    if isinstance(names, (list, tuple)):
        for name in names:
            yield from _flatten(name)
    else:
        yield str(names)


def size_of(value: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width of an image feature; None: it is not an RGB image."""
    shape = tuple(int(size) for size in value["shape"])
    described = {**(value.get("video_info") or {}), **(value.get("info") or {})}
    if len(shape) != 3 or described.get("video.is_depth_map") or described.get("is_depth_map"):
        return None
    names: Any = value.get("names") or [""]
    first = isinstance(names, (list, tuple)) and str(names[0]).startswith("channel")
    height, width, channels = (*shape[1:], shape[0]) if first or (shape[2] != 3 == shape[0]) else shape
    return (height, width) if channels == 3 and min(height, width) > 0 else None


def native_terms(info: Info) -> tuple[StoreMeta, Columns, tuple[str, ...]]:
    """Read the features of anybody's data set in native terms.

    Returns:
        The description, which feature is which array, and what the store cannot hold.

    Raises:
        DataError: there is no action, or a feature's description makes no sense.
    """
    with border(info.path, f"the features in {INFO}"):
        return _native_terms(info)


def _native_terms(info: Info) -> tuple[StoreMeta, Columns, tuple[str, ...]]:
    cameras: dict[str, str] = {}
    sizes: dict[str, tuple[int, int]] = {}
    arrays: dict[str, str] = {}
    extras: dict[str, Feature] = {}
    texts, lost = [], []
    for key, value in info.features.items():
        shape, dtype = tuple(int(size) for size in value["shape"]), value["dtype"]
        if dtype in ("image", "video"):
            size = size_of(value)
            if size is None:
                lost.append(f"{key}: {dtype} {shape} that is not RGB (depth, or another channel count)")
                continue
            name = key if _plain(key) in sizes else _plain(key)
            cameras[name], sizes[name] = key, size
        elif dtype == "string":
            texts.append(key)
        elif key not in STRUCTURE:
            feature = _feature(dtype, shape)
            if feature is None:
                lost.append(f"{key}: {dtype} are not numbers that the store holds")
            elif key in (STATE, ACTION):
                arrays["state" if key == STATE else "action"] = key
                if not fits_float32(np.dtype(feature.dtype)):  # the exact numbers travel along
                    name = key if key == STATE else "action.float64"
                    arrays[name], extras[name] = key, feature
            else:
                name = f"{key}.column" if key in ("state", "end", "target") else _safe(key)
                arrays[name] = key
                extras[name] = feature if shape != (1,) else Feature(feature.dtype)
    if "action" not in arrays:
        raise wrong(info.path, "missing", "There is no feature 'action'.")
    state = _width(info.features[STATE]) if "state" in arrays else 0
    action = info.features[ACTION]
    source = {
        "format": "lerobot",
        **{key: value for key, value in info.raw.items() if key not in ("data_path", "video_path")},
    }
    meta = StoreMeta(
        cameras=sizes,
        control_rate=info.fps,
        state_names=names_of(info.features[STATE], state, "state") if state else (),
        # LeRobot's robots are driven by the positions that their joints shall go to.
        action=ActionSpace.unlimited(names_of(action, _width(action), "action"), relative=False),
        extras=extras,
        info={"source": source},
    )
    return meta, Columns(cameras, arrays, (), tuple(texts)), tuple(lost)


def _width(value: Mapping[str, Any]) -> int:
    return math.prod(int(size) for size in value["shape"])


def _plain(key: str) -> str:
    """A camera's name: the feature's without the part that all of them share."""
    return _safe(key.removeprefix(IMAGES).removeprefix("observation."))


def _safe(key: str) -> str:
    """A name that the store takes."""
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", key).lstrip(".-") or "_"


def _feature(dtype: str, shape: tuple[int, ...]) -> Feature | None:
    try:
        return Feature(np.dtype(dtype).newbyteorder("<").str, shape)
    except (TypeError, InputError):
        return None
