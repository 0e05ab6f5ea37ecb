"""What decides at a control step, in NumPy: fast for one state, picklable, the same in every process.

A controller is asked once at every control step and answers with the action to carry out. Controllers wrap
each other: `Explore` adds noise to a correction, `Record` remembers what was seen and done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_skills.residual.config import Gate, Limits
from robot_skills.residual.networks import EPSILON, FARTHEST
from robot_skills.robot import Float

#: Normalised inputs are clipped here: beyond lies what practice never came near.
LIMIT = 10.0
#: Which keys of a policy's state a `Brain` is made of.
ACTOR, CRITICS = "actor.", "critics."


@dataclass(frozen=True)
class Seen:
    """What there is to decide on at a control step.

    Attributes:
        inputs: (D,) raw: features of the base's context, its last states, its coming actions (as shares of
            half their range), where in the chunk this is, and the probability that the skill is over.
        base: (A,) the base's action, in units of the action space.
        position: (3,) of the hand, m; the first three numbers of the state.
    """

    inputs: Float
    base: Float
    position: Float


class Controller(Protocol):
    """Decides."""

    def __call__(self, seen: Seen) -> Float:
        """The action (A,) to carry out, within the limits of the action space."""


@dataclass(frozen=True)
class Reach:
    """What an action may be, and how far from the base's.

    Attributes:
        low, high: (A,) of the action space.
        bound: (A,) of the correction, in units of the action space.
        limits: workspace and speed.
    """

    low: Float
    high: Float
    bound: Float
    limits: Limits

    def apply(self, base: Float, u: Float) -> Float:
        """The base's action with a correction u (..., A), in bounds; the very same where u is 0."""
        moved = np.where(u == 0, base, base + u * self.bound)
        return np.clip(moved, self.low, self.high).astype(np.float32)

    def distance(self, base: Float, action: Float) -> Float:
        """The correction, in bounds, between a base's action and the one carried out."""
        safe = np.where(self.bound > 0, self.bound, 1)
        apart: Float = np.where(self.bound > 0, action - base, 0) / safe
        return apart.astype(np.float32)

    def scaled(self, action: Float) -> Float:
        """Actions as shares of half their range, from its middle."""
        shares: Float = (2 * action - self.low - self.high) / (self.high - self.low)
        return shares.astype(np.float32)

    def keep(self, action: Float, position: Float) -> Float:
        """The action within workspace and speed."""
        limits = self.limits
        if limits.low is None and limits.speed >= 1:
            return action
        kept = action.copy()
        kept[:3] = np.clip(kept[:3], -limits.speed, limits.speed)
        if limits.low is not None and limits.high is not None:
            kept[:3][(position <= limits.low) & (kept[:3] < 0)] = 0
            kept[:3][(position >= limits.high) & (kept[:3] > 0)] = 0
        return kept


@dataclass(frozen=True)
class Brain:
    """Actor and critics as arrays, by the names of their parameters.

    Attributes:
        mean, std: (D,) of the inputs.
        turn: (M, M) that whitens the first M of them.
        actor, critics: parameter -> array; no critics: nothing is gated.
        norm: whether the critics have layer norm.
        base_told: whether they are told of the base (`ResidualConfig`).
    """

    mean: Float
    std: Float
    turn: Float
    actor: Mapping[str, Float]
    critics: Mapping[str, Float]
    norm: bool = True
    base_told: bool = True

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, Float],
        mean: Float,
        std: Float,
        turn: Float,
        norm: bool = True,
        base_told: bool = True,
    ) -> Brain:
        """Of a policy's parameters by name."""
        parts = {
            part: {name.removeprefix(part): value for name, value in arrays.items() if name.startswith(part)}
            for part in (ACTOR, CRITICS)
        }
        return cls(mean, std, turn, parts[ACTOR], parts[CRITICS], norm, base_told)

    def normalise(self, inputs: Float) -> Float:
        """Inputs (..., D) in standard deviations from their mean, whitened."""
        x, count = (inputs - self.mean) / self.std, len(self.turn)
        x = np.concatenate([x[..., :count] @ self.turn, x[..., count:]], axis=-1)
        return np.clip(x, -LIMIT, LIMIT).astype(np.float32)

    def correction(self, x: Float) -> Float:
        """The actor's u (A,) for normalised inputs (D,)."""
        weights = self.actor
        hidden = _activate(weights["first.weight"] @ x + weights["first.bias"])
        hidden = _activate(weights["second.weight"] @ hidden + weights["second.bias"])
        u: Float = np.tanh(weights["last.weight"] @ hidden + weights["last.bias"])
        return u

    def values(self, x: Float, actions: Float, distances: Float) -> Float:
        """The critics' values (H, N) of actions (N, A) in one state (D,)."""
        weights = self.critics
        seen = x if self.base_told else x[: len(self.turn)]
        given = [np.broadcast_to(seen, (len(actions), len(seen))), actions]
        if self.base_told:
            given.append(np.clip(distances, -FARTHEST, FARTHEST))
        told = np.concatenate(given, axis=1)
        hidden = _activate(told @ weights["first_weight"] + weights["first_bias"], self.norm)
        hidden = _activate(hidden @ weights["second_weight"] + weights["second_bias"], self.norm)
        values: Float = (hidden @ weights["last_weight"] + weights["last_bias"])[..., 0]
        return values


def _activate(x: Float, norm: bool = True) -> Float:
    """Layer norm over the last dimension and ReLU, as in `robot_skills.residual.networks`."""
    if norm:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + np.float32(EPSILON))
    return np.maximum(x, 0)


@dataclass(frozen=True)
class Correct:
    """The base's action with the actor's correction, where the critics trust it."""

    brain: Brain
    reach: Reach
    gate: Gate

    def __call__(self, seen: Seen) -> Float:
        """The action to carry out."""
        return self.act(seen, np.zeros_like(seen.base))

    def act(self, seen: Seen, noise: Float) -> Float:
        """The same with noise (A,), in bounds, on what is done."""
        x = self.brain.normalise(seen.inputs)
        u = self.brain.correction(x)
        if self.gate.kind != "none" and u.any():
            u = self._trusted(seen, x, u)
        return self.reach.keep(self.reach.apply(seen.base, np.clip(u + noise, -1, 1)), seen.position)

    def _trusted(self, seen: Seen, x: Float, u: Float) -> Float:
        """The correction to play, by the lower bound of its advantage over the base."""
        tried = np.stack([np.zeros_like(u), u, *self._scatter(x, u)])
        actions = self.reach.apply(seen.base, tried)
        distances = self.reach.distance(seen.base, actions)
        values = self.brain.values(x, self.reach.scaled(actions), distances)
        advantage = values - values[:, :1]
        trusted = advantage.mean(0) - self.gate.doubt * advantage.std(0) - self.gate.margin
        trusted[0] = 0
        chosen: Float = tried[int(np.argmax(trusted))]
        return chosen

    def _scatter(self, x: Float, u: Float) -> Float:
        """Further candidates of "best", (N - 2, A); the same inputs give the same."""
        if self.gate.kind != "best" or self.gate.candidates <= 2:
            return np.empty((0, len(u)), np.float32)
        rng = np.random.default_rng(np.frombuffer(x.tobytes(), np.uint32))
        drawn = rng.normal(0, self.gate.spread, (self.gate.candidates - 2, len(u)))
        return np.clip(u + drawn, -1, 1).astype(np.float32)


@dataclass
class Explore:
    """A correction with noise that stays for some steps (an Ornstein-Uhlenbeck process).

    Attributes:
        correct: what is explored around.
        sigma: (A,) standard deviation, in bounds.
        memory: correlation of a step's noise with the next one's.
        rng: of this episode.
    """

    correct: Correct
    sigma: Float
    memory: float
    rng: np.random.Generator
    _noise: Float | None = None

    def __call__(self, seen: Seen) -> Float:
        """The action to carry out."""
        fresh = self.rng.normal(size=len(self.sigma)).astype(np.float32) * self.sigma
        keep = np.float32(self.memory)
        last = fresh if self._noise is None else keep * self._noise + np.sqrt(1 - keep * keep) * fresh
        self._noise = last
        return self.correct.act(seen, last)


class Record:
    """Remembers what a controller saw and did."""

    def __init__(self, inner: Controller) -> None:
        self._inner = inner
        self.rows: list[tuple[Float, Float, Float]] = []

    def __call__(self, seen: Seen) -> Float:
        """The inner controller's action."""
        action = self._inner(seen)
        self.rows.append((seen.inputs, seen.base, action))
        return action
