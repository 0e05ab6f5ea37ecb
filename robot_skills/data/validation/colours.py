"""A guess at whether red and blue are swapped. Each piece of evidence says how much it is worth.

Nothing in an image says in which order its channels were stored. Three things tell, in falling order:

1. Another episode of the same camera: an episode whose mean colour is that of the others mirrored was
   recorded in another order. Sure, unless the scene itself changed its colours.
2. Language: in episodes whose text names something red there is more red than in those that name something
   blue. Sure with enough episodes of each; needs texts that name both colours.
3. Photographs of rooms and hands hold more orange and brown (wood, skin, cardboard, lamplight) than sky
   blue, which is what these become when the channels are swapped. Weak: blue tablecloths exist. Looked at in
   pictures with many different colours only; drawings and plain renderings follow no such rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.validation.check import Finding

#: Pixels looked at, a side, about.
GRID = 32
#: Episodes that name a colour before the language tells anything.
NAMED = 8
#: Share of different colours (of 4 bits a channel) among the coloured pixels looked at in a photograph.
PHOTOGRAPH = 0.1


class Colours(NamedTuple):
    """Of some frames.

    Attributes:
        mean: (3,) of the channels, 0 to 1.
        red, blue: share of pixels that are clearly so.
        warm, cold: share of pixels that are orange to brown, and sky blue: each the other, mirrored.
        variety: different colours, as a share of the coloured pixels.
    """

    mean: NDArray[np.float64]
    red: float
    blue: float
    warm: float
    cold: float
    variety: float

    @classmethod
    def mean_of(cls, parts: Sequence[Colours]) -> Colours:
        """The average."""
        shares = np.mean([part[1:] for part in parts], axis=0)
        return cls(np.mean([part.mean for part in parts], axis=0), *(float(share) for share in shares))


def look(frame: NDArray[np.uint8]) -> Colours:
    """Count the colours of one (H, W, 3) frame."""
    height, width = frame.shape[:2]
    pixels = frame[:: max(1, height // GRID), :: max(1, width // GRID)].reshape(-1, 3).T.astype(np.int16)
    high, low = np.maximum.reduce(pixels), np.minimum.reduce(pixels)
    coloured = (high - low > 40) & (high > 60)
    red, green, blue = some = pixels[:, coloured]
    wide = high[coloured] - low[coloured]
    total = max(pixels.shape[1], 1)
    # Hue: red within 20 degrees, orange and brown 15 to 45, and their mirror images about green.
    mid = (green - low[coloured]) / np.maximum(wide, 1)
    codes = np.array([256, 16, 1]) @ (some >> 4)
    return Colours(
        pixels.mean(axis=1) / 255,
        float(((red == high[coloured]) & (np.abs(green - blue) < wide / 3)).sum() / total),
        float(((blue == high[coloured]) & (np.abs(green - red) < wide / 3)).sum() / total),
        float(((red > blue) & (red >= green) & (mid > 0.25) & (mid < 0.75)).sum() / total),
        float(((blue > red) & (blue >= green) & (mid > 0.25) & (mid < 0.75)).sum() / total),
        len(np.unique(codes)) / len(codes) if len(codes) > 0.02 * total else 0.0,
    )


def odd_episodes(seen: Sequence[tuple[int, Colours]], camera: str, ratio: float) -> Iterator[Finding]:
    """Episodes whose mean colour is that of the others, mirrored.

    Args:
        seen: (episode, its colours) of one camera.
        camera: its name.
        ratio: how many times nearer the mirror image must be.
    """
    if len(seen) < 4:
        return
    tint = np.array([colours.mean[0] - colours.mean[2] for _, colours in seen])
    usual = float(np.median(tint))
    noise = float(np.median(np.abs(tint - usual))) + 1e-3
    if abs(usual) < 6 * noise:  # as many are mirrored as are not, or the picture is grey
        return
    for (episode, _), value in zip(seen, tint, strict=True):
        if abs(value - usual) > ratio * abs(value + usual) and abs(value + usual) < 4 * noise:
            yield Finding(
                f"Red and blue of {camera} look swapped in this episode: its tint is that of the others "
                "mirrored (sure, unless the scene was changed).",
                0,
                episode,
            )


def against_language(seen: Sequence[tuple[str, Colours]], camera: str, deviations: float) -> Finding | None:
    """More blue where the text names something red, and the other way round.

    Args:
        seen: (text, colours) of each episode.
        camera: its name.
        deviations: standard errors by which the difference must have the wrong sign.
    """
    named: dict[str, list[float]] = {"red": [], "blue": []}
    for text, colours in seen:
        words = set(re.findall(r"[a-z]+", text.lower()))
        if len(words & {"red", "blue"}) == 1:
            named["red" if "red" in words else "blue"].append(colours.red - colours.blue)
    if min(map(len, named.values())) < NAMED:
        return None
    red, blue = (np.array(named[name]) for name in ("red", "blue"))
    error = float(np.sqrt(red.var(ddof=1) / len(red) + blue.var(ddof=1) / len(blue))) + 1e-9
    difference = float(red.mean() - blue.mean()) / error
    if difference > -deviations:
        return None
    return Finding(
        f"Red and blue of {camera} look swapped: episodes that name something red show more blue, and the "
        f"other way round ({-difference:.0f} standard errors, {len(red)} and {len(blue)} episodes: sure)."
    )


def cold_photographs(seen: Sequence[Colours], camera: str, share: float) -> Finding | None:
    """Photographs with far more sky blue than orange and brown."""
    if not seen:
        return None
    mean = Colours.mean_of(seen)
    if mean.variety < PHOTOGRAPH or mean.warm + mean.cold < 0.04:
        return None
    cold = mean.cold / (mean.warm + mean.cold)
    if cold < share:
        return None
    return Finding(
        f"Red and blue of {camera} may be swapped: {cold:.0%} of what is orange or sky blue is sky blue, "
        "and rooms are the other way round (a guess: look at it with `data view`)."
    )
