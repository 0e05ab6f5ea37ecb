"""Checks on the images of one episode; they are read once, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.validation.check import Finding, Track, runs
from robot_skills.data.validation.colours import Colours, look

#: Bytes of images held at once, at most (one frame if it is larger).
BLOCK_BYTES = 32 << 20
#: Rows and columns that are looked at, about: enough for means; what stands out is looked at in full.
GRID = 32
#: Frames of an episode whose colours are counted.
COLOUR_FRAMES = 3


@dataclass(frozen=True)
class Film:
    """What was seen of one camera in one episode.

    Attributes:
        camera: its name.
        track: the numbers beside it.
        light: (N,) mean of the image, 0 to 255.
        spread: (N,) standard deviation over the image, of the channel that varies most.
        change: (N - 1,) mean absolute difference to the frame before; 0 only where it is the same to the bit.
        first: the first frame, for comparing cameras.
        colours: of a few frames.
    """

    camera: str
    track: Track
    light: NDArray[np.float32]
    spread: NDArray[np.float32]
    change: NDArray[np.float32]
    first: NDArray[np.uint8]
    colours: Colours


def watch(camera: str, rows: Any, track: Track) -> Film:
    """Read a camera's (N, H, W, 3) rows once, front to back."""
    count, height, width = rows.shape[:3]
    block = max(1, min(256, BLOCK_BYTES // (height * width * 3)))
    looked = {int(place) for place in np.linspace(0, count - 1, COLOUR_FRAMES).round()}
    lights, spreads, changes = [], [], []
    colours: list[Colours] = []
    first = last = None
    for start in range(0, count, block):
        frames = np.asarray(rows[start : start + block])
        small = frames[:, :: max(1, height // GRID), :: max(1, width // GRID)]
        # Channels apart and pixels in a row: NumPy reduces long rows many times faster than short ones.
        values = np.moveaxis(small, 3, 1).reshape(len(small), 3, -1).astype(np.float32)
        lights.append(values.mean(axis=(1, 2)))
        spreads.append(_spread(values, frames))
        if last is not None:
            changes.append(_change(np.concatenate([last[None], frames[:1]]), 1))
        changes.append(_change(frames, max(1, min(height, width) // GRID)))
        colours.extend(
            look(frames[place - start]) for place in looked if start <= place < start + len(frames)
        )
        first = frames[0].copy() if first is None else first
        last = frames[-1].copy()
    assert first is not None, "an episode of no steps is not watched"
    return Film(
        camera,
        track,
        np.concatenate(lights),
        np.concatenate(spreads),
        np.concatenate(changes),
        first,
        Colours.mean_of(colours),
    )


def black(film: Film, light: float) -> Iterator[Finding]:
    """Frames whose mean is at most `light`, and that hold nothing."""
    yield from _dark_or_flat(film, (film.light <= light) & (film.spread <= light), "black")


def uniform(film: Film, spread: float) -> Iterator[Finding]:
    """Frames of one colour that are not black."""
    dark = (film.light <= 4) & (film.spread <= 4)
    yield from _dark_or_flat(film, (film.spread <= spread) & ~dark, "of one colour")


def frozen(film: Film, seconds: float) -> Iterator[Finding]:
    """The same frame to the bit for a while in which the state goes somewhere else."""
    yield from _stuck(film, film.change == 0, seconds, "is frozen")


def nearly_frozen(film: Film, seconds: float) -> Iterator[Finding]:
    """Frames that hardly differ (a codec's noise on a frozen picture) while the state goes somewhere else."""
    if len(film.change) == 0:
        return
    usual = float(np.median(film.change[film.change > 0])) if film.change.any() else 0.0
    slow = (film.change > 0) & (film.change < min(0.1, 0.1 * usual))
    # A run of bit-equal frames is the check before this one.
    yield from _stuck(film, slow | (film.change == 0), seconds, "hardly changes", slow)


def repeated(film: Film, share: float) -> Iterator[Finding]:
    """Many frames that are the one before: the camera is slower than the control rate."""
    moving = ~film.track.still()
    same = (film.change == 0) & moving
    longest = max((stop - start for start, stop in runs(same)), default=0)
    if same.sum() < 6 or longest >= moving.sum() / 2:  # too few to tell; or frozen, the check above
        return
    found = float(same.sum() / moving.sum())
    if found >= share:
        yield Finding(
            f"{found:.0%} of the images of {film.camera} repeat the one before while the robot moves: it "
            f"gives about {film.track.rate * (1 - found):.3g} of {film.track.rate:g} frames a second.",
            int(same.argmax()) + 1,
        )


def same_camera(films: list[Film], _: float) -> Iterator[Finding]:
    """Two cameras with the same picture."""
    for index, film in enumerate(films):
        for other in films[:index]:
            if (
                film.first.shape == other.first.shape
                and (film.first == other.first).all()
                and np.array_equal(film.light, other.light)
                and film.spread[0] > 2
            ):
                yield Finding(f"Cameras {other.camera} and {film.camera} show the same images.", 0)


def _dark_or_flat(film: Film, flags: NDArray[np.bool_], what: str) -> Iterator[Finding]:
    if flags.any():
        count = int(flags.sum())
        yield Finding(
            f"{count} of {len(flags)} images of {film.camera} are {what}.", int(np.flatnonzero(flags)[0])
        )


def _stuck(
    film: Film,
    flags: NDArray[np.bool_],
    seconds: float,
    what: str,
    needed: NDArray[np.bool_] | None = None,
) -> Iterator[Finding]:
    state, span, rate = film.track.episode.state, film.track.span, film.track.rate
    for start, stop in runs(flags):
        moved = float(np.linalg.norm(state[min(stop, len(state) - 1)] - state[start]))
        if needed is not None and needed[start:stop].mean() < 0.5:
            continue
        if stop - start >= max(3, seconds * rate) and span > 0 and moved > 0.1 * span:
            yield Finding(
                f"The image of {film.camera} {what} for {(stop - start) / rate:.2g} s while the robot moves.",
                start,
            )
            return


def _spread(values: NDArray[np.float32], frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    mean = values.mean(axis=2)
    square = np.einsum("ncp,ncp->nc", values, values) / values.shape[2]
    spread: NDArray[np.float32] = np.sqrt(np.maximum(square - mean * mean, 0)).max(axis=1)
    for index in np.flatnonzero(spread < 8):  # perhaps something small between the pixels looked at
        spread[index] = frames[index].std(axis=(0, 1)).max()
    return spread


def _change(frames: NDArray[np.uint8], stride: int) -> NDArray[np.float32]:
    small = frames[:, ::stride, ::stride].reshape(len(frames), -1).astype(np.int16)
    change: NDArray[np.float32] = np.abs(small[1:] - small[:-1]).mean(axis=1, dtype=np.float32)
    for index in np.flatnonzero(change == 0):  # 0 is to mean equal to the bit
        if not np.array_equal(frames[index], frames[index + 1]):
            change[index] = np.finfo(np.float32).tiny
    return change
