"""What is measured of a policy while it trains: losses on held-out windows, success on validation seeds."""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from robot_skills.data.order import Index
from robot_skills.policies.policy import Policy, Stage
from robot_skills.training.average import Average
from robot_skills.training.evaluation import EvalReport
from robot_skills.training.feed import Source
from robot_skills.training.selection import Selection
from robot_skills.training.step import to_floats

#: Windows on which the held-out loss is taken, and that of each skill.
HELD_OUT, HELD_OUT_A_SKILL = 1024, 256


class Measurer:
    """Measures averaged weights in evaluation mode and float32, and leaves the training as it was.

    Args:
        policy: what trains.
        held_out: windows of episodes that are not learned from.
        selection: evaluates and keeps weights, where the recipe says so.
        seed: of what a loss draws by chance.
    """

    def __init__(
        self, policy: Policy, held_out: Source | None, selection: Selection | None, seed: int
    ) -> None:
        self._policy, self._module = policy, cast(nn.Module, policy)
        self._held_out, self._selection, self._seed = held_out, selection, seed
        device = next(self._module.parameters()).device
        self._devices = [device] if device.type == "cuda" else []

    def held_out(self, stage: Stage, average: Average) -> dict[str, float]:
        """A phase's loss, and what it logs, on held-out windows; empty if there are none."""
        if self._held_out is None:
            return {}
        count = len(self._held_out.windows)
        indices = np.linspace(0, count - 1, min(HELD_OUT, count)).astype(np.int64)
        with self._average(average):
            return self._loss(stage, self._held_out, indices)

    def losses(self, stage: Stage, average: Average, groups: dict[str, Index]) -> dict[str, float]:
        """A phase's loss on each group of held-out windows.

        Args:
            stage: the phase.
            average: the weights.
            groups: name -> window numbers.
        """
        assert self._held_out is not None, "groups of held-out windows"
        found = {}
        for name, windows in groups.items():
            places = np.linspace(0, len(windows) - 1, min(HELD_OUT_A_SKILL, len(windows)))
            with self._average(average):
                found[name] = self._loss(stage, self._held_out, windows[places.astype(np.int64)])["loss"]
        return found

    def success(self, step: int, average: Average) -> EvalReport:
        """Success on validation seeds; the weights are kept if they are the ones to keep."""
        assert self._selection is not None, "made for recipes that evaluate"
        with self._average(average):
            return self._selection.evaluate(self._policy, step)

    def _loss(self, stage: Stage, source: Source, indices: Index) -> dict[str, float]:
        totals: dict[str, float] = defaultdict(float)
        torch.manual_seed(self._seed)
        for part in np.array_split(indices, math.ceil(len(indices) / stage.batch_size)):
            loss, metrics = self._policy.loss(stage.name, source.batch(part, stage.images))
            for name, value in to_floats({"loss": loss, **metrics}).items():
                totals[name] += value * len(part) / len(indices)
        return dict(totals)

    @contextlib.contextmanager
    def _average(self, average: Average) -> Iterator[None]:
        """The averaged weights in evaluation mode; random numbers drawn inside are not missed after."""
        with average.swapped(), torch.random.fork_rng(self._devices), torch.no_grad():
            self._module.eval()
            yield
            self._module.train()


def failures(report: EvalReport) -> list[dict[str, Any]]:
    """The episodes that failed, for the run's own file."""
    return [
        {"seed": one.seed, "call": one.call, "status": one.status, "reason": one.reason}
        for one in report.results
        if not one.success
    ]
