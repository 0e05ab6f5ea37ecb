"""Scenes out of recordings of other machines and other versions of robosuite."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError, require


def repair_model(xml: str) -> str:
    """Make the MJCF of a recording loadable here: its mesh and texture files are found in this robosuite.

    A recording holds the absolute paths of the machine it was made on. Each is looked for behind its last
    folder `robosuite`; if that moved between versions, among all of robosuite's assets by its last folders.

    Raises:
        InputError: the text is not XML, or a file is nowhere to be found.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise InputError(f"The model of the recording is not XML: {error}.") from error
    for element in root.iterfind("./asset/*[@file]"):
        element.set("file", str(_here(Path(element.get("file", "")))))
    return ElementTree.tostring(root, encoding="unicode")


def with_moved_bodies(xml: str, model: Any, places: NDArray[np.float64], turns: NDArray[np.float64]) -> str:
    """Write into MJCF where its bodies are now: some tasks, Door, draw places after the model is built.

    Args:
        xml: the MJCF that the model was built from.
        model: `mujoco.MjModel`.
        places: (B, 3) `body_pos` when it was built.
        turns: (B, 4) `body_quat` when it was built.
    """
    moved = (model.body_pos != places).any(axis=1) | (model.body_quat != turns).any(axis=1)
    if not moved.any():
        return xml
    names = {model.body(int(i)).name: int(i) for i in np.flatnonzero(moved)}
    root = ElementTree.fromstring(xml)
    for body in root.iter("body"):
        if (index := names.get(body.get("name", ""))) is not None:
            for other in ("euler", "axisangle", "xyaxes", "zaxis"):
                body.attrib.pop(other, None)
            body.set("pos", " ".join(map(repr, model.body_pos[index].tolist())))
            body.set("quat", " ".join(map(repr, model.body_quat[index].tolist())))
    return ElementTree.tostring(root, encoding="unicode")


def _here(file: Path) -> Path:
    package = Path(str(require("robosuite", "robosuite").__file__)).parent
    parts = file.parts
    if "robosuite" in parts:
        last = len(parts) - 1 - parts[::-1].index("robosuite")
        if (moved := package.joinpath(*parts[last + 1 :])).exists():
            return moved
    if file.is_absolute() and file.exists():
        return file
    assets = sorted((package / "models" / "assets").rglob(file.name))
    if not assets:
        raise InputError(f"The model of the recording uses {file}, and this robosuite has no {file.name}.")
    # Of several of that name, the one whose folders agree furthest up.
    return max(assets, key=lambda found: _agreement(found, file))


def _agreement(one: Path, other: Path) -> int:
    pairs = zip(one.parts[::-1], other.parts[::-1], strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
