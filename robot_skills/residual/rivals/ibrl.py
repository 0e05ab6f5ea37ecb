"""IBRL (Hu et al. 2024, arXiv 2311.02198) with this package's parts: the base's action or the actor's, by Q.

At every step both are proposed, and the one that the critics value more is carried out; in targets the better
one counts too. The actor answers for the whole action, as in `rlpd`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_skills.residual.config import Gate
from robot_skills.residual.control import Brain, Controller, Correct, Reach, Seen
from robot_skills.residual.replay import Batch
from robot_skills.residual.rivals.rlpd import Rlpd, RlpdSnapshot
from robot_skills.robot import Float


@dataclass(frozen=True)
class Better:
    """The base's action or another controller's, whichever the least confident critic values more.

    Attributes:
        inner: proposes the other one, told of no base.
        brain, reach: of the critics, and of actions.
        measured: inputs that are not the base's.
    """

    inner: Controller
    brain: Brain
    reach: Reach
    measured: int

    def __call__(self, seen: Seen) -> Float:
        """The action to carry out."""
        inputs = seen.inputs.copy()
        inputs[self.measured :] = 0
        x = self.brain.normalise(inputs)
        tried = np.stack([self.reach.apply(seen.base, np.zeros_like(seen.base)), self.inner(seen)])
        middle = ((self.reach.low + self.reach.high) / 2).astype(np.float32)
        values = self.brain.values(x, self.reach.scaled(tried), self.reach.distance(middle, tried)).min(0)
        chosen: Float = tried[int(np.argmax(values))]
        return chosen


class IbrlSnapshot(RlpdSnapshot):
    """As it practises, the base among its proposals."""

    def controller(self, rng: np.random.Generator | None) -> Controller:
        """As `RlpdSnapshot`, with a choice at every step."""
        inner = super().controller(rng)
        return Better(inner, self.correct.brain, self.reach, self.layout.measured)


class Ibrl(Rlpd):
    """Learns whole actions beside the base's."""

    def snapshot(self) -> IbrlSnapshot:
        """What other processes practise with."""
        correct = Correct(self.policy.brain(critics=True), self.policy.reach(), Gate())
        made = IbrlSnapshot(correct, self.config, self.policy.gripper)
        made.layout = self.policy.layout
        return made

    @torch.no_grad()
    def _targets(self, batch: Batch) -> Tensor:
        """The better of the two proposals counts; the base's action is what the transition holds of it."""
        drawn, u = self._drawn(), self.policy.actor(batch.next_inputs)
        proposed = self._proposed.view_as(batch.next_base)
        values = [self._least(batch, action, drawn) for action in (self._moved(batch.next_base, u), proposed)]
        return self._bootstrapped(batch, torch.maximum(*values))

    def view(self, batch: Batch) -> Batch:
        """As `Rlpd`, the base's next actions kept aside."""
        self._proposed = torch.minimum(torch.maximum(batch.next_base, self._low), self._high)
        return super().view(batch)
