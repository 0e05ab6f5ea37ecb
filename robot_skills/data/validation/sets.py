"""Checks over the episodes of a data set."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from robot_skills.data.statistics import SMALLEST_STD
from robot_skills.data.validation.check import Array, EpisodeFacts, Finding, Summary

#: Columns of a rotation matrix, whose numbers reach from -1 to 1 whatever the data set.
ROTATION = re.compile(r".*\br[1-3][1-3]")
ANGLE = re.compile(r"joint|qpos|theta|angle|yaw|pitch|roll|shoulder|elbow|wrist", re.IGNORECASE)
DEGREES = re.compile(r"deg", re.IGNORECASE)
POSITION = re.compile(r"(ee|eef|tcp|tool|end_effector)[._/ ]?(pos(ition)?[._/ ]?)?[xyz0-2]", re.IGNORECASE)
TURN = 2 * np.pi
#: Episodes from which on a length can be odd.
MANY = 8


def no_episodes(summary: Summary, _: float) -> Iterator[Finding]:
    """A data set without episodes."""
    if summary.episodes == 0:
        yield Finding("The data set holds no episodes.")


def constant(summary: Summary, spread: float) -> Iterator[Finding]:
    """Numbers that never change.

    A displacement that is always 0 is one that the task does not use, and an action that is always at a
    limit may be meant so: a gripper that stays closed. `inspect` shows both.
    """
    if not summary.facts or sum(facts.length for facts in summary.facts) < 3:
        return
    low, high = summary.low(), summary.high()
    states = len(summary.meta.state_names)
    for index in np.flatnonzero(high - low <= spread * np.maximum(np.abs(low), np.abs(high))):
        action = index - states
        space = summary.meta.action
        unused = action >= 0 and space.relative[action] and low[index] == 0
        if unused or (action >= 0 and low[index] in (space.low[action], space.high[action])):
            continue
        yield Finding(f"{summary.names[index]} is {low[index]:g} at every step.")


def saturated(summary: Summary, share: float) -> Iterator[Finding]:
    """Displacements that lie at a limit most of the time (a gripper of two positions is meant to)."""
    if not summary.facts:
        return
    frames = sum(facts.length for facts in summary.facts)
    limited = np.sum([facts.limited for facts in summary.facts], axis=0) / frames
    levels = np.any([facts.levels for facts in summary.facts], axis=0)
    for index in np.flatnonzero((limited >= share) & levels & np.array(summary.meta.action.relative)):
        yield Finding(
            f"action {summary.meta.action.names[index]!r} lies at a limit at {limited[index]:.0%} of the "
            "steps: it was clipped, or its scale is wrong."
        )


def odd_lengths(summary: Summary, ratio: float) -> Iterator[Finding]:
    """Episodes many times longer or shorter than the median."""
    if len(summary.facts) < MANY:
        return
    lengths = np.array([facts.length for facts in summary.facts])
    median = float(np.median(lengths))
    for facts in summary.facts:
        if facts.length * ratio < median or facts.length > ratio * median:
            word = "short" if facts.length < median else "long"
            yield Finding(
                f"It is {word}: {facts.length} steps, where the median is {median:g}.", None, facts.episode
            )


def duplicates(summary: Summary, _: float) -> Iterator[Finding]:
    """Episodes whose states and actions are those of an earlier one, to the bit."""
    first: dict[str, EpisodeFacts] = {}
    for facts in summary.facts:
        if (known := first.setdefault(facts.digest, facts)) is not facts:
            yield Finding(f"States and actions are those of episode {known.episode}.", None, facts.episode)


def near_duplicates(summary: Summary, distance: float) -> Iterator[Finding]:
    """Episodes whose every state and action is close to that of an earlier one of about the same length.

    Close: at none of the steps looked at, in none of the numbers, further apart than `distance` times that
    number's standard deviation over the data set.
    """
    if len(summary.facts) < 2:
        return
    rows = np.stack([facts.samples for facts in summary.facts])
    spread = np.maximum(rows.reshape(-1, rows.shape[2]).std(axis=0), SMALLEST_STD)
    rows = (rows / spread).reshape(len(rows), -1)
    # Near ones are neighbours along any direction; along the one of greatest spread there are fewest others.
    weights = rows.var(axis=0)
    along = rows @ (weights / max(float(np.linalg.norm(weights)), 1e-12))
    order = np.argsort(along, kind="stable")
    reach = distance * np.sqrt(rows.shape[1])
    seen: dict[int, int] = {}
    for place, index in enumerate(order):
        for other in order[place + 1 :]:
            if along[other] - along[index] > reach:
                break
            early, late = sorted((int(index), int(other)))
            alike = summary.facts[early].digest == summary.facts[late].digest
            if not alike and float(np.abs(rows[index] - rows[other]).max()) <= distance:
                seen[late] = min(seen.get(late, early), early)
    for late, early in sorted(seen.items()):
        yield Finding(
            f"It is nearly the same as episode {summary.facts[early].episode}.",
            None,
            summary.facts[late].episode,
        )


def same_seed(summary: Summary, _: float) -> Iterator[Finding]:
    """Episodes of one seed, text and expert."""
    first: dict[tuple[int, str, str], EpisodeFacts] = {}
    for facts in summary.facts:
        if facts.seed is None:
            continue
        known = first.setdefault((facts.seed, facts.text, facts.expert), facts)
        if known is not facts and known.digest != facts.digest:
            message = f"It has the seed {facts.seed}, text and expert of episode {known.episode}."
            yield Finding(message, None, facts.episode)


def outliers(summary: Summary, deviations: float) -> Iterator[Finding]:
    """Numbers that normalising would make very large."""
    frames = sum(facts.length for facts in summary.facts)
    if frames < 100:
        return
    rows = np.concatenate([facts.samples for facts in summary.facts])
    # Quantiles, not moments: one number of 1e9 is no outlier by the deviation that it makes itself.
    low, middle, high = np.quantile(rows, (0.02, 0.5, 0.98), axis=0)
    spread = np.maximum((high - low) / 4, SMALLEST_STD)
    worst: dict[int, tuple[float, EpisodeFacts, int, float]] = {}
    for facts in summary.facts:
        for values, places in ((facts.low, facts.low_at), (facts.high, facts.high_at)):
            far = np.abs(values - middle) / spread
            for index in np.flatnonzero((far > deviations) & (high > low)):
                if index not in worst or far[index] > worst[index][0]:
                    worst[index] = (float(far[index]), facts, int(places[index]), float(values[index]))
    for index, (far_off, facts, frame, value) in sorted(worst.items()):
        yield Finding(
            f"{summary.names[index]} is {value:g}, {far_off:.0f} standard deviations from its median "
            f"{middle[index]:g}.",
            frame,
            facts.episode,
        )


def jumps(summary: Summary, share: float) -> Iterator[Finding]:
    """A state that goes a share of its range in one step, and many times further than it otherwise does."""
    if not summary.facts:
        return
    states = len(summary.meta.state_names)
    names = summary.meta.state_names
    scale = (summary.high() - summary.low())[:states]
    scale[[bool(ROTATION.fullmatch(name)) for name in names]] = 2.0
    usual = np.median([facts.step for facts in summary.facts], axis=0)
    for facts in summary.facts:
        far = facts.step_max > np.maximum(share * scale, 4 * usual)
        for index in np.flatnonzero(far & (scale > 0)):
            size, frame = float(facts.step_max[index]), int(facts.step_at[index])
            wraps = (
                any(abs(size - turn) < 0.05 * turn for turn in (TURN, 360.0)) and scale[index] >= 0.9 * size
            )
            what = "wraps round" if wraps else "jumps"
            yield Finding(
                f"state {names[index]!r} {what} by {size:.3g} in one step; it usually changes by less than "
                f"{usual[index]:.3g}.",
                frame,
                facts.episode,
            )
            break  # one a step is enough: the others jump with it


def units(summary: Summary, _: float) -> Iterator[Finding]:
    """Degrees, millimetres, and displacements in metres, by how far the numbers reach."""
    if not summary.facts:
        return
    low, high = summary.low(), summary.high()
    largest = np.maximum(np.abs(low), np.abs(high))
    meta, states = summary.meta, len(summary.meta.state_names)
    for index, name in enumerate((*meta.state_names, *meta.action.names)):
        if ANGLE.search(name) and not DEGREES.search(name) and largest[index] > 2 * TURN:
            yield Finding(
                f"{summary.names[index]} reaches {largest[index]:.4g}: degrees (or per cent), where radians "
                "are expected."
            )
        elif POSITION.fullmatch(name) and largest[index] > 10:
            yield Finding(f"{summary.names[index]} reaches {largest[index]:.4g}: millimetres, not metres?")
    limits = np.isfinite(np.subtract(meta.action.high, meta.action.low)) & np.array(meta.action.relative)
    used = limits & (largest[states:] > 0)
    if used.any():
        share = float((largest[states:][used] / np.maximum(np.abs(meta.action.high), 1e-9)[used]).max())
        if share < 0.1:
            yield Finding(
                f"No displacement goes beyond {share:.1%} of its limit: metres or radians, where shares "
                "of the limit are expected?"
            )


def rotations(summary: Summary, tolerance: float) -> Iterator[Finding]:
    """Two columns of a rotation matrix that are not of length 1, or not at right angles."""
    names = list(summary.meta.state_names)
    wanted = [f"ee.r{row}{column}" for column in (1, 2) for row in (1, 2, 3)]
    if not all(name in names for name in wanted):
        return
    columns = [names.index(name) for name in wanted]
    for facts in summary.facts:
        first, second = np.split(facts.samples[:, columns], 2, axis=1)
        norms = np.linalg.norm([first, second], axis=2)
        error = np.maximum(np.abs(norms - 1).max(axis=0), np.abs((first * second).sum(axis=1)))
        if error.max() > tolerance:
            yield Finding(
                f"The rotation (ee.r11 to ee.r32) is none: its columns have the lengths {norms[0].max():.3g} "
                f"and {norms[1].max():.3g}.",
                None,
                facts.episode,
            )


def never_ends(summary: Summary, _: float) -> Iterator[Finding]:
    """Episodes in which the end is never marked, where others have it."""
    marked = [facts.ends for facts in summary.facts]
    if summary.facts and not any(marked):
        yield Finding("No episode marks its end: a policy would never learn that it is over.")
        return
    for facts in summary.facts:
        if not facts.ends:
            yield Finding("Its end is not marked.", None, facts.episode)


def statistics(summary: Summary, tolerance: float) -> Iterator[Finding]:
    """Statistics that the data set carries and that its numbers do not have."""
    for name, stored in summary.stored.items():
        if name not in summary.moments:
            continue
        found = described(summary.moments[name])
        width = np.maximum(found["max"] - found["min"], 1e-6 + 1e-4 * np.abs(found["mean"]))
        for key in ("mean", "std", "min", "max"):
            if key not in stored:
                continue
            given = np.asarray(stored[key], np.float64).reshape(-1)
            if given.shape != found[key].shape:
                yield Finding(f"The stored {key} of {name} has {len(given)} numbers, not {len(found[key])}.")
                continue
            off = np.abs(given - found[key]) / width
            off[~np.isfinite(given)] = np.inf
            if off.max(initial=0) > tolerance:
                index = int(off.argmax())
                yield Finding(
                    f"The stored {key} of {name}, number {index}, is {given[index]:.5g}; the data's is "
                    f"{found[key][index]:.5g}."
                )


def described(moments: Array) -> dict[str, Array]:
    """Mean, std, min and max from (5, K) count, sum, sum of squares, least and greatest."""
    count = np.maximum(moments[0], 1)
    mean = moments[1] / count
    std = np.sqrt(np.maximum(moments[2] / count - mean * mean, 0))
    return {"mean": mean, "std": std, "min": moments[3], "max": moments[4]}
