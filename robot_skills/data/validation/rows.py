"""Checks on the numbers of one episode."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from robot_skills.data.validation.check import Finding, Track, runs

#: Extra features that hold the moment of each row, s.
TIME = re.compile(r"(.*[._/])?(timestamps?|times?|stamps?)")


def empty(track: Track, least: float) -> Iterator[Finding]:
    """Fewer than `least` steps."""
    if len(track.episode) < least:
        yield Finding(f"It has {len(track.episode)} steps; an episode has at least {least:g}.")


def lengths(track: Track, _: float) -> Iterator[Finding]:
    """Arrays of different length."""
    length = len(track.episode)
    for name in track.meta.arrays():
        rows = track.episode.rows(name)
        if rows.shape[0] != length:
            yield Finding(f"{name} has {rows.shape[0]} rows, the state {length}.", min(rows.shape[0], length))


def not_finite(track: Track, _: float) -> Iterator[Finding]:
    """NaN or infinity in state, action or end; infinity in the target, whose NaN means unknown."""
    for name in ("state", "action", "end", "target"):
        rows = np.asarray(track.episode.rows(name))
        bad = np.isinf(rows) if name == "target" else ~np.isfinite(rows)
        if bad.any():
            places = np.argwhere(bad)
            frames = len(np.unique(places[:, 0]))
            names = track.meta.core()[name].names
            where = f" {names[places[0, 1]]!r}" if names else ""
            value = rows[tuple(places[0])]
            yield Finding(f"{name}{where} is {value} ({frames} of {len(rows)} steps).", int(places[0, 0]))


def outside_limits(track: Track, margin: float) -> Iterator[Finding]:
    """Actions further outside their limits than a share of the width between them."""
    space, action = track.meta.action, np.asarray(track.episode.action, np.float64)
    low, high = np.array(space.low), np.array(space.high)
    slack = margin * np.where(np.isfinite(high - low), high - low, 0)
    outside = (action < low - slack) | (action > high + slack)
    for column in np.flatnonzero(outside.any(axis=0)):
        frames = np.flatnonzero(outside[:, column])
        worst = action[frames, column][np.abs(action[frames, column]).argmax()]
        yield Finding(
            f"action {space.names[column]!r} is {worst:g}, outside {low[column]:g} to {high[column]:g}, "
            f"at {len(frames)} of {len(action)} steps.",
            int(frames[0]),
        )


def time_gaps(track: Track, allowed: float) -> Iterator[Finding]:
    """Moments that go back, or differ from the control period by more than a share of it."""
    period = 1 / track.rate
    for name, feature in track.meta.extras.items():
        if not TIME.fullmatch(name) or np.prod(feature.shape) != 1 or len(track.episode) < 2:
            continue
        times = np.asarray(track.episode.extras[name], np.float64).reshape(-1)
        gaps = np.diff(times)
        back = np.flatnonzero(~(gaps > 0))
        if len(back):
            yield Finding(f"{name} does not increase: {gaps[back[0]]:+.4g} s in a step.", int(back[0]) + 1)
            continue
        if not 0.1 * period < np.median(gaps) < 10 * period:
            yield Finding(
                f"{name} is not in seconds, or the rate is not {track.rate:g} Hz: "
                f"a step takes {np.median(gaps):.4g}.",
                0,
            )
            continue
        wrong = np.flatnonzero(np.abs(gaps - period) > allowed * period)
        if len(wrong):
            worst = gaps[wrong][np.abs(gaps[wrong] - period).argmax()]
            yield Finding(
                f"{name}: {len(wrong)} of {len(gaps)} steps do not take {period:.4g} s; the worst takes "
                f"{worst:.4g} s.",
                int(wrong[0]) + 1,
            )


def frozen_state(track: Track, seconds: float) -> Iterator[Finding]:
    """A state that is repeated to the last bit while the commands go on changing or moving."""
    state, action = track.episode.state, track.episode.action
    if len(state) < 2 or not (track.span or np.ptp(action, axis=0).any()):
        return
    same = (np.diff(state, axis=0) == 0).all(axis=1)
    relative = np.array(track.meta.action.relative)
    moving = (np.abs(action[:-1][:, relative]) > 0.05).any(axis=1)
    moving |= (np.diff(action[:, ~relative], axis=0) != 0).any(axis=1)
    for start, stop in runs(same & moving):
        if stop - start >= max(3, seconds * track.rate):
            yield Finding(
                f"The state stays the same for {(stop - start) / track.rate:.2g} s while actions go on.",
                start,
            )
            return


def idle(track: Track, seconds: float) -> Iterator[Finding]:
    """No motion for a while at the beginning or the end."""
    still = track.still()
    if still.all():
        if len(still) >= seconds * track.rate:
            yield Finding(f"Nothing moves in the whole episode of {len(track.episode)} steps.", 0)
        return
    moving = np.flatnonzero(~still)
    before, after = int(moving[0]), len(still) - 1 - int(moving[-1])
    if before >= seconds * track.rate:
        yield Finding(f"Nothing moves in the first {before / track.rate:.1f} s: cut them.", 0)
    if after >= seconds * track.rate:
        start = len(still) - after
        yield Finding(f"Nothing moves in the last {after / track.rate:.1f} s: cut them.", start)


def copied_action(track: Track, share: float) -> Iterator[Finding]:
    """Set-points that are the state of the same step, to the last bit."""
    held = [index for index, relative in enumerate(track.meta.action.relative) if not relative]
    if len(track.episode) < 3 or not held:
        return
    for column in held:
        values = track.episode.action[:, column]
        if np.ptp(values) == 0:
            continue
        equal = (np.asarray(track.episode.state) == values[:, None]).mean(axis=0)
        if equal.max(initial=0) >= share:
            yield Finding(
                f"action {track.meta.action.names[column]!r} is state "
                f"{track.meta.state_names[int(equal.argmax())]!r} of the same step: it commands to stay.",
                0,
            )
            return


def no_text(track: Track, _: float) -> Iterator[Finding]:
    """No language argument."""
    if not track.episode.text.strip():
        yield Finding("It has no text.")
