"""A picture of a segmentation: a band a recording, segments coloured by cluster under the signals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.segmentation.gripper import speeds
from robot_skills.data.segmentation.scores import Truth
from robot_skills.data.segmentation.segments import Segment
from robot_skills.data.segmentation.traces import Trace
from robot_skills.errors import require

#: Pixels of a band's height, the gap between bands, and the margin on the left for its number.
BAND, GAP, MARGIN, FOOT = 46, 10, 34, 22
WIDTH = 1000
#: Tableau's ten and their light tints: told apart by most eyes.
PALETTE = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#edc948", "#76b7b2", "#ff9da7", "#9c755f",
    "#bab0ac", "#a0cbe8", "#ffbe7d", "#8cd17d", "#d4a6c8", "#f1ce63", "#86bcb6", "#fabfd2", "#d7b5a6",
)  # fmt: skip
INK, TRUE = "#222222", "#000000"


def plot(
    path: Path,
    recordings: Sequence[Trace],
    segments: Sequence[Segment],
    truths: Sequence[Truth] | None = None,
    most: int = 12,
) -> None:
    """Draw the first recordings of a segmentation as a PNG.

    The dark line is the hand's speed, the light one the gripper's command; black ticks above and below a
    band are true boundaries, where they are known.

    Args:
        path: of the picture.
        recordings: what was cut.
        segments: of all of them.
        truths: of all of them, or None.
        most: how many to draw.

    Raises:
        InputError: Pillow is missing.
    """
    image_module = require("PIL.Image", "video")
    draw_module = require("PIL.ImageDraw", "video")
    shown = list(recordings[:most])
    height = GAP + len(shown) * (BAND + GAP) + FOOT
    picture = image_module.new("RGB", (WIDTH, height), "white")
    pen: Any = draw_module.Draw(picture)
    longest = max(len(trace) for trace in shown)
    scale = (WIDTH - MARGIN - GAP) / longest
    for number, trace in enumerate(shown):
        top = GAP + number * (BAND + GAP)
        pen.text((4, top + BAND // 2 - 6), str(number), fill=INK)
        for part in (part for part in segments if part.recording == number):
            box = (MARGIN + part.start * scale, top, MARGIN + part.stop * scale - 2, top + BAND)
            pen.rectangle(box, fill=PALETTE[part.cluster % len(PALETTE)])
            pen.text((box[0] + 3, top + 2), str(part.cluster), fill=INK)
        if trace.gripper is not None:
            _line(pen, trace.action[:, trace.gripper], top, scale, "#ffffff")
        _line(pen, speeds(trace), top, scale, INK)
        for row in truths[number].boundaries if truths is not None else ():
            x = MARGIN + row * scale - 1
            for low, high in ((top - 7, top + 5), (top + BAND - 5, top + BAND + 7)):
                pen.line((x, low, x, high), fill=TRUE, width=3)
    foot = height - FOOT + 4
    for second in range(0, int(longest / shown[0].rate) + 1, 2):
        pen.text((MARGIN + second * shown[0].rate * scale, foot), f"{second} s", fill=INK)
    temporary = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(temporary, format="PNG")
    temporary.replace(path)


def _line(pen: Any, values: NDArray[Any], top: int, scale: float, colour: str) -> None:
    """A signal over its band, from its lowest value to its highest."""
    low, high = float(np.min(values)), float(np.max(values))
    shares = (values - low) / (high - low) if high > low else np.zeros(len(values))
    points = [
        (MARGIN + (step + 0.5) * scale, top + BAND - 4 - float(share) * (BAND - 18))
        for step, share in enumerate(shares)
    ]
    pen.line(points, fill=colour, width=2)
