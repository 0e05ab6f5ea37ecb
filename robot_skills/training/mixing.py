"""Which skills to learn from next: Skill-It (Chen et al. 2023, arXiv 2307.14430, algorithm 1).

Every so many steps the shares of the skills are set anew, to where the held-out losses are high, or can be
lowered by learning something that helps there: p_i is proportional to exp(eta * sum over the last rounds and
over skills j of A_ij * L_j), where A_ij says how much learning skill i lowers the loss L_j.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.loader import Windows
from robot_skills.data.order import Index, Mixture
from robot_skills.errors import InputError, unknown
from robot_skills.training.recipe import SkillIt

#: No skill's share is below this part of an equal share: a loss that is never looked at cannot rise again.
LEAST = 0.1


@dataclass(frozen=True)
class MixingState:
    """What a checkpoint keeps.

    Attributes:
        rounds: the losses of the last rounds, newest last: skill -> loss.
        graph: A: skill -> skill -> how much learning the first helps the second.
    """

    rounds: Sequence[Mapping[str, float]]
    graph: Mapping[str, Mapping[str, float]]


class SkillMixing:
    """The shares of the skills, or of the data sets.

    Args:
        settings: the recipe's `mixture`.
        training: windows to learn from.
        held_out: windows that losses are taken on.

    Attributes:
        names: of the skills.
        held_out: skill -> its held-out windows.

    Raises:
        InputError: there is but one skill, one has no held-out episode, or the graph names another.
    """

    def __init__(self, settings: SkillIt, training: Windows, held_out: Windows | None) -> None:
        self.settings, self._count = settings, len(training)
        self._training = training.groups(settings.of)
        self.names = sorted(self._training)
        if len(self.names) < 2:
            raise InputError(f"mixture weighs two {settings.of} or more; the data has {self.names}.")
        self.held_out: dict[str, Index] = {} if held_out is None else held_out.groups(settings.of)
        for name in self.names:
            if name not in self.held_out:
                raise InputError(
                    f"mixture looks at held-out losses, and no episode of {name!r} is held out: raise "
                    "validation_fraction."
                )
        given = {} if settings.graph == "learned" else settings.graph
        for name in {*given, *(other for row in given.values() for other in row)}:
            if name not in self.names:
                raise unknown(f"name in the graph of {settings.of}", name, self.names)
        # Without a graph each skill helps itself alone.
        own = {name: {name: 1.0} for name in self.names}
        self.state = MixingState([], {name: dict(given[name]) for name in given} if given else own)

    def due(self, step: int) -> bool:
        """Whether the shares are set anew before step number `step`."""
        return step > 0 and step % self.settings.every == 0

    def until(self, step: int, stop: int) -> int:
        """Up to which step they then stay, at most `stop`."""
        return min(stop, (step // self.settings.every + 1) * self.settings.every)

    def learn(self, drops: Mapping[str, Mapping[str, float]]) -> None:
        """Take a graph: skill learned from -> skill -> relative drop of its loss; what rises is no edge."""
        graph = {name: {other: max(drop, 0.0) for other, drop in row.items()} for name, row in drops.items()}
        self.state = MixingState(self.state.rounds, graph)

    def update(self, losses: Mapping[str, float]) -> None:
        """Take in the held-out losses of another round."""
        rounds = [*self.state.rounds, dict(losses)][-self.settings.memory :]
        self.state = MixingState(rounds, self.state.graph)

    def shares(self) -> dict[str, float]:
        """How often each skill comes; all alike before the first round."""
        graph = self.state.graph
        effects = np.array(
            [
                sum(
                    graph.get(name, {}).get(other, 0.0) * loss
                    for losses in self.state.rounds
                    for other, loss in losses.items()
                )
                for name in self.names
            ]
        )
        raw: NDArray[np.float64] = np.exp(self.settings.eta * (effects - effects.max()))
        floor = LEAST / len(self.names)
        shares = floor + (1 - LEAST) * raw / raw.sum()
        return dict(zip(self.names, shares.tolist(), strict=True))

    def mixture(self, only: str | None = None) -> Mixture:
        """The windows with these shares, or of one skill only."""
        shares = self.shares() if only is None else {only: 1.0}
        return Mixture(self._count, [self._training[name] for name in shares], list(shares.values()))

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"rounds": list(self.state.rounds), "graph": dict(self.state.graph)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `to_json`."""
        self.state = MixingState(state["rounds"], state["graph"])
