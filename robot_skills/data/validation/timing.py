"""By how many steps the state answers the actions, and whether the gripper answers the right way round.

A displacement at step t shows in the state's change from t to t + 1, a set-point's change in that of the
state: at lag 0 an action is on the row of the state that it follows. The correlation of each number of the
action with each number of the state is taken over all episodes at every lag; the number of the state that
answers best speaks for the action's, and the peak is placed between steps by a parabola.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.meta import StoreMeta
from robot_skills.data.validation.check import Array, Finding, Summary, Track

#: Lags looked at, s; at least this many steps.
REACH_SECONDS, REACH_STEPS = 0.6, 5
#: A number of the action speaks only if some number of the state follows it this well.
SPEAKS = 0.5
#: A gripper's command and opening that are related at all.
RELATED = 0.5

#: Share of episodes that answer the other way round from which on it is not chance: an expert that closes
#: on nothing, lets go and closes again does it in 0.5 % of the tabletop's.
ODD = 0.02

GRIPPER = re.compile(r"grip|finger|jaw|claw", re.IGNORECASE)
OPENING = re.compile(r"open|width|qpos|pos", re.IGNORECASE)


@dataclass(frozen=True)
class Lag:
    """What `Response.lag` found.

    Attributes:
        steps: by which the state follows the actions; below 0 it goes before them.
        correlation: at the peak, median over the numbers that speak.
        agree, of: how many numbers of the action have their peak within a step of it, and how many speak.
    """

    steps: float
    correlation: float
    agree: int
    of: int


class Response:
    """Sums for the correlations, over all episodes; they do not grow with the data set."""

    def __init__(self, meta: StoreMeta) -> None:
        self.reach = max(REACH_STEPS, round(REACH_SECONDS * meta.control_rate))
        self._relative = np.array(meta.action.relative)
        size = (2 * self.reach + 1, meta.action.size, len(meta.state_names))
        self._sums = {name: np.zeros(size) for name in ("xy", "x", "y", "xx", "yy")}
        self._count = np.zeros((size[0], 1, 1))

    def add(self, state: NDArray[np.float32], action: NDArray[np.float32]) -> None:
        """Add an episode of finite numbers."""
        if len(state) < 4:
            return
        answer = np.diff(state.astype(np.float64), axis=0)
        cause = np.where(self._relative, action[:-1], np.diff(action.astype(np.float64), axis=0))
        for index, lag in enumerate(range(-self.reach, self.reach + 1)):
            count = len(cause) - abs(lag)
            if count < 2:
                continue
            x = cause[max(0, -lag) :][:count]
            y = answer[max(0, lag) :][:count]
            self._sums["xy"][index] += x.T @ y
            self._sums["x"][index] += x.sum(axis=0)[:, None]
            self._sums["y"][index] += y.sum(axis=0)
            self._sums["xx"][index] += (x * x).sum(axis=0)[:, None]
            self._sums["yy"][index] += (y * y).sum(axis=0)
            self._count[index] += count

    def correlations(self) -> Array:
        """(lags, A, S) from -`reach` to `reach`; 0 where one of the two does not vary."""
        count = np.maximum(self._count, 1)
        x, y = self._sums["x"] / count, self._sums["y"] / count
        spread = np.sqrt(
            np.maximum(self._sums["xx"] / count - x * x, 0) * np.maximum(self._sums["yy"] / count - y * y, 0)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            result: Array = np.where(spread > 1e-12, (self._sums["xy"] / count - x * y) / spread, 0.0)
        return result

    def lag(self) -> Lag | None:
        """The lag, or None where no number of the state follows the actions well."""
        size = np.abs(self.correlations())
        peaks, strengths = [], []
        for number in range(size.shape[1]):
            column = int(size[:, number].max(axis=0).argmax())
            curve = size[:, number, column]
            top = int(curve.argmax())
            if curve[top] < SPEAKS:
                continue
            shift = 0.0
            if 0 < top < len(curve) - 1:
                before, at, after = curve[top - 1 : top + 2]
                shift = 0.5 * (before - after) / min(before - 2 * at + after, -1e-12)
            peaks.append(top + shift - self.reach)
            strengths.append(curve[top])
        if not peaks:
            return None
        steps = float(np.median(peaks))
        agree = int((np.abs(np.array(peaks) - steps) <= 1).sum())
        return Lag(steps, float(np.median(strengths)), agree, len(peaks))


def lagging(summary: Summary, seconds: float) -> Iterator[Finding]:
    """A state that goes before its actions, or follows them later than `seconds` (and 2.5 steps)."""
    lag: Lag | None = summary.lag.lag() if summary.lag is not None else None
    if lag is None or lag.agree < lag.of / 2:
        return
    late = max(2.5, seconds * summary.meta.control_rate)
    if -0.75 <= lag.steps <= late:
        return
    what = (
        f"the state moves {-lag.steps:.1f} steps before its actions: rows of states and actions are shifted"
        if lag.steps < 0
        else f"the state follows the actions {lag.steps:.1f} steps late: delayed sensors, or shifted rows"
    )
    sure = f"correlation {lag.correlation:.2f}, {lag.agree} of {lag.of} numbers of the action agree"
    yield Finding(f"{what[0].upper()}{what[1:]} ({sure}).")


def gripper_columns(meta: StoreMeta) -> tuple[int, int] | None:
    """The numbers of state and action that are a gripper's opening and its command; None if not one each."""
    states = [index for index, name in enumerate(meta.state_names) if GRIPPER.search(name)]
    actions = [index for index, name in enumerate(meta.action.names) if GRIPPER.search(name)]
    return (states[0], actions[0]) if len(actions) == 1 and states else None


def gripper_correlation(track: Track) -> float:
    """How the gripper's opening follows its command, at the delay where it does most; NaN if one is still."""
    columns = gripper_columns(track.meta)
    if columns is None or len(track.episode) < 6:
        return float("nan")
    opening = np.asarray(track.episode.state[:, columns[0]], np.float64)
    command = np.asarray(track.episode.action[:, columns[1]], np.float64)
    best = float("nan")
    for delay in range(min(len(opening) - 4, max(4, round(0.5 * track.rate)))):
        x, y = command[: len(command) - delay], opening[delay:]
        if np.ptp(x) > 1e-6 and np.ptp(y) > 1e-6:
            value = float(np.corrcoef(x, y)[0, 1])
            best = value if not abs(best) >= abs(value) else best
    return best


def expected_sign(meta: StoreMeta) -> int:
    """The sign of that correlation, 0 where it is not known.

    -1 where an action of -1 opens and +1 closes, +1 where an opening is commanded.
    """
    columns = gripper_columns(meta)
    if columns is None or not OPENING.search(meta.state_names[columns[0]]):
        return 0
    name = meta.action.names[columns[1]]
    if name == meta.state_names[columns[0]] or re.search("open|width", name, re.IGNORECASE):
        return 1
    return -1 if (meta.action.low[columns[1]], meta.action.high[columns[1]]) == (-1.0, 1.0) else 0


def gripper_sign(summary: Summary, share: float) -> Iterator[Finding]:
    """A gripper that opens when told to close: in a share of the episodes, or in a few against the rest."""
    related = [facts for facts in summary.facts if abs(facts.gripper) >= RELATED]
    if not related:
        return
    signs = np.sign([facts.gripper for facts in related])
    wanted = expected_sign(summary.meta)
    usual = 1 if (signs > 0).mean() > 0.5 else -1
    count, odd = int((signs == usual).sum()), float((signs != usual).mean())
    if wanted and usual != wanted and odd <= 1 - share:
        opens = "opens" if wanted < 0 else "closes"
        yield Finding(
            f"The gripper {opens} where its command grows, in {count} of {len(related)} episodes that move "
            "it: its sign is probably turned round (-1 opens, +1 closes; or the action is called an opening)."
        )
        return
    if odd > 1 - share:
        yield Finding(
            f"The gripper answers its command one way in {count} and the other way in {len(related) - count} "
            "episodes: recordings of two conventions are mixed."
        )
    elif odd >= ODD:
        for facts in (facts for facts, sign in zip(related, signs, strict=True) if sign != usual):
            yield Finding(
                f"The gripper answers its command the other way round than in {count} "
                f"other episodes (correlation {facts.gripper:+.2f}).",
                None,
                facts.episode,
            )
