"""RLPD (Ball et al. 2023, arXiv 2302.02948) with this package's parts: no base, demonstrations in batches.

The actor answers for the whole action. What it has of RLPD are symmetric sampling, layer norm and critics in
numbers; of this package TD3's actor, n-step targets and noise that stays, so that the base is what differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_skills.residual.config import ResidualConfig
from robot_skills.residual.control import Controller, Seen
from robot_skills.residual.learner import Learner, Snapshot
from robot_skills.residual.policy import Layout
from robot_skills.residual.replay import Batch
from robot_skills.robot import Float


def whole_action(config: ResidualConfig) -> ResidualConfig:
    """Bounds that let a correction of no action at all be any action."""
    return replace(config, bound=1.0, gripper_bound=1.0, turn_bound=1.0, bounds={})


@dataclass(frozen=True)
class WithoutBase:
    """A controller that is told of no base.

    Attributes:
        inner: decides.
        layout: of the inputs: the base's coming actions and its place in a chunk are put out.
        middle: (A,) of the action space, from which actions are reached.
    """

    inner: Controller
    layout: Layout
    middle: Float

    def __call__(self, seen: Seen) -> Float:
        """The action to carry out."""
        inputs = seen.inputs.copy()
        inputs[self.layout.measured :] = 0
        return self.inner(Seen(inputs, self.middle, seen.position))


class RlpdSnapshot(Snapshot):
    """As it practises, without a base."""

    layout: Layout

    def controller(self, rng: np.random.Generator | None) -> Controller:
        """Explore as everybody here does, in shares of the whole action; without a generator, not at all."""
        reach = self.reach
        middle = ((reach.low + reach.high) / 2).astype(np.float32)
        return WithoutBase(super().controller(rng), self.layout, middle)


class Rlpd(Learner):
    """Learns whole actions; the policy's bounds are those of `whole_action`."""

    def snapshot(self) -> RlpdSnapshot:
        """What other processes practise with."""
        made = RlpdSnapshot(self.policy.correct(), self.config, self.policy.gripper)
        made.layout = self.policy.layout
        return made

    def view(self, batch: Batch) -> Batch:
        """Transitions without what the base would have done."""
        measured, middle = self.policy.layout.measured, (self._low + self._high) / 2
        inputs, following = batch.inputs.clone(), batch.next_inputs.clone()
        inputs[:, measured:], following[:, measured:] = 0, 0
        base = middle.expand_as(batch.base)
        return batch._replace(inputs=inputs, next_inputs=following, base=base, next_base=base)
