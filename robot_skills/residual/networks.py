"""Actor and critics: two hidden layers with layer norm, all heads of the critics in one pass.

Shapes: B batch, D inputs, A action, H heads, W width. The actor answers in bounds: u in [-1, 1] for each
number of an action. The critics are told of an action twice, as it is and as its distance from the base's in
bounds: next to the base's action a correction of a few percent would hardly be heard ("structural scale
mismatch" of DAWN, arXiv 2602.10539).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Added to variances in layer norm, here and in `robot_skills.residual.control`.
EPSILON = 1e-5
#: Distances from the base, in bounds, are cut off here for the critics: demonstrations may be far off.
FARTHEST = 3.0


def normalise(x: Tensor) -> Tensor:
    """Layer norm over the last dimension, without a scale or an offset: the next layer has both."""
    return F.layer_norm(x, x.shape[-1:], eps=EPSILON)


class Actor(nn.Module):
    """Inputs (B, D) to corrections u (B, A) in [-1, 1]; all of them exactly 0 at first."""

    def __init__(self, inputs: int, actions: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, actions)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The corrections."""
        x = F.relu(normalise(self.first(x)))
        x = F.relu(normalise(self.second(x)))
        u: Tensor = self.last(x).tanh()
        return u


class Critics(nn.Module):
    """Inputs (B, D), actions (B, A) and their distance from the base's (B, A) to values (H, B).

    Args:
        inputs: D.
        actions: A.
        width: W.
        heads: H. They share nothing but their inputs.
        norm: whether there is layer norm.
        told: how many of the inputs they are told of, the first ones, and not of distances; None: of all.
    """

    def __init__(
        self, inputs: int, actions: int, width: int, heads: int, norm: bool = True, told: int | None = None
    ) -> None:
        super().__init__()
        self.heads, self.width, self.norm, self.told = heads, width, norm, told
        size = inputs + 2 * actions if told is None else told + actions
        self.first_weight = nn.Parameter(_uniform((heads, size, width), size))
        self.first_bias = nn.Parameter(_uniform((heads, 1, width), size))
        self.second_weight = nn.Parameter(_uniform((heads, width, width), width))
        self.second_bias = nn.Parameter(_uniform((heads, 1, width), width))
        self.last_weight = nn.Parameter(_uniform((heads, width, 1), width))
        self.last_bias = nn.Parameter(torch.zeros(heads, 1, 1))

    def forward(self, x: Tensor, action: Tensor, distance: Tensor, some: Tensor | None = None) -> Tensor:
        """The values (H, B) of every head, or of some (h,).

        Inputs, actions and distances are (B, ...), the same for all heads, or (h, B, ...), each head's own.
        """
        parts = tuple(self.parameters())
        first, first_bias, second, second_bias, last, last_bias = (
            parts if some is None else [part[some] for part in parts]
        )
        shape = (len(first), action.shape[-2], -1)
        given = [x, action, distance.clamp(-FARTHEST, FARTHEST)]
        given = given if self.told is None else [x[..., : self.told], action]
        told = torch.cat([part.expand(shape) for part in given], dim=-1)
        hidden = self._activate(torch.baddbmm(first_bias, told, first))
        hidden = self._activate(torch.baddbmm(second_bias, hidden, second))
        return torch.baddbmm(last_bias, hidden, last).squeeze(-1)

    def _activate(self, x: Tensor) -> Tensor:
        return F.relu(normalise(x) if self.norm else x)


def _uniform(shape: tuple[int, ...], inputs: int) -> Tensor:
    """Weights as `nn.Linear` draws them, for every head anew."""
    drawn: Tensor = (torch.rand(shape) * 2 - 1) / inputs**0.5
    return drawn
