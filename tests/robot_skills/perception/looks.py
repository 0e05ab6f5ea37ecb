"""Sightings that are made up: what a perfect detector would report of a thing at a place."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from robot_skills.perception.catalogue import PLACES
from robot_skills.perception.detector import Detection
from robot_skills.perception.sighting import Sighting
from sim.tabletop.catalogue import TABLETOP

EYE = np.array([1.04, -0.01, 0.98])


def detection(
    kind: str,
    position: ArrayLike,
    colour: str = "red",
    size: str = "large",
    place: str = "table",
    *,
    share: float = 0.0,
    lit: float = 0.0,
    score: float = 0.9,
    camera: str = "front",
    eye: ArrayLike = EYE,
) -> Detection:
    """A detection that is sure of everything; but for the place, where that is "any"."""
    group = TABLETOP.group(kind)
    kinds, colours = TABLETOP.groups[group], TABLETOP.colours
    ray = np.asarray(position, float) - np.asarray(eye, float)
    return Detection(
        camera=camera,
        score=score,
        group=group,
        kinds=np.array([float(each == kind) for each in kinds]),
        colours=np.array([float(each == colour) for each in colours]),
        places=np.array([float(place in (each, "any")) for each in PLACES]),
        large=float(size == "large"),
        eye=np.asarray(eye, float),
        ray=ray / np.linalg.norm(ray),
        height=float(np.asarray(position)[2]),
        share=share,
        lit=lit,
    )


def sighting(kind: str, position: ArrayLike, *words: str, **numbers: float) -> Sighting:
    """A sighting of one camera."""
    return Sighting((detection(kind, position, *words, **numbers),))
