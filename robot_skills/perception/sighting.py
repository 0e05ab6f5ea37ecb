"""What one look shows of a thing: the detections of all cameras that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_skills.perception.detector import FIXED, Detection

Array = NDArray[np.float64]

#: Two cameras' detections of one colour are of one thing when their rays come this close to each other at one
#: of these heights, m: what each camera makes of the height may be wrong.
SAME, HEIGHTS = 0.03, np.linspace(0.0, 0.32, 33)
#: Probabilities are not taken to be smaller.
LEAST = 0.02


@dataclass(frozen=True)
class Sighting:
    """A thing as it is seen now, by one camera or more.

    Attributes:
        detections: of the thing, at most one of each camera.
    """

    detections: tuple[Detection, ...]

    @property
    def group(self) -> int:
        """See `Catalogue.groups`."""
        return self.detections[0].group

    @property
    def score(self) -> float:
        """Of the camera that is surest."""
        return max(each.score for each in self.detections)

    @property
    def kinds(self) -> Array:
        """Log probability of each kind of the group."""
        return self._mean("kinds")

    @property
    def colours(self) -> Array:
        """Log probability of each colour."""
        return self._mean("colours")

    @property
    def places(self) -> Array:
        """Log probability of each of `PLACES`."""
        return self._mean("places")

    @property
    def sizes(self) -> Array:
        """Log probability of small and of large."""
        large = float(np.average([each.large for each in self.detections], weights=self._scores))
        logs: Array = np.log(np.clip([1 - large, large], LEAST, 1.0))
        return logs

    @property
    def share(self) -> float:
        """How far it is open, 0 to 1."""
        return float(
            np.clip(np.average([each.share for each in self.detections], weights=self._scores), 0, 1)
        )

    @property
    def lit(self) -> float:
        """Probability that its lamp is lit."""
        return float(np.average([each.lit for each in self.detections], weights=self._scores))

    @property
    def position(self) -> Array:
        """Where it is by the looks of its height, (3,) m."""
        return self.at(float(np.average([each.height for each in self.detections], weights=self._scores)))

    @property
    def height(self) -> float:
        """Above the table by the looks of it, m."""
        return float(self.position[2])

    def at(self, height: float) -> Array:
        """Where it is if its middle is at a height in m, (3,)."""
        points = [each.at(height) for each in self.detections]
        mean: Array = np.average(points, axis=0, weights=self._scores)
        return mean

    def parting(self, height: float) -> float:
        """How far the cameras' rays are apart at a height in m: 0 where they meet, and of a single one."""
        points = np.array([each.at(height) for each in self.detections])
        return float(np.linalg.norm(np.ptp(points[:, :2], axis=0)))

    @property
    def _scores(self) -> list[float]:
        return [each.score for each in self.detections]

    def _mean(self, name: str) -> Array:
        values = np.array([getattr(each, name) for each in self.detections])
        logs: Array = np.log(np.clip(np.average(values, axis=0, weights=self._scores), LEAST, 1.0))
        return logs


def sightings(detections: Sequence[Detection]) -> list[Sighting]:
    """Put together what several cameras see of one thing, the surest first."""
    found: list[list[Detection]] = []
    for detection in sorted(detections, key=lambda each: -each.score):
        near = [
            (_distance(detection, group[0]), number)
            for number, group in enumerate(found)
            if all(each.camera != detection.camera for each in group) and _alike(detection, group[0])
        ]
        if near and min(near)[0] < SAME:
            found[min(near)[1]].append(detection)
        else:
            found.append([detection])
    return [Sighting(tuple(group)) for group in found]


def _alike(one: Detection, other: Detection) -> bool:
    if one.group != other.group:
        return False
    if one.group == FIXED:
        return int(one.kinds.argmax()) == int(other.kinds.argmax())
    return int(one.colours.argmax()) == int(other.colours.argmax())


def _distance(one: Detection, other: Detection) -> float:
    """How close the rays come to each other, m."""
    return min(float(np.linalg.norm(one.at(height) - other.at(height))) for height in HEIGHTS)
