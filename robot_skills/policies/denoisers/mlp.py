"""A residual MLP over the whole chunk: the cheapest denoiser."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.denoisers.denoiser import Denoiser, LevelEncoder
from robot_skills.policies.linear import Linear


class MlpDenoiser(Denoiser):
    """The chunk is one vector; level and flattened context are added before each of the residual blocks."""

    def __init__(self, chunk: int, size: int, tokens: int, width: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.context = nn.Sequential(Linear(tokens * width, hidden), nn.GELU(), Linear(hidden, hidden))
        self.level = LevelEncoder(hidden, hidden, nn.GELU())
        self.enter = Linear(chunk * size, hidden)
        self.blocks = nn.ModuleList(_Block(hidden) for _ in range(blocks))
        self.leave = nn.Sequential(nn.LayerNorm(hidden), Linear(hidden, chunk * size))

    def condition(self, context: Tensor) -> Tensor:
        """(B, hidden)."""
        conditions: Tensor = self.context(context.flatten(1))
        return conditions

    def forward(self, noised: Tensor, levels: Tensor, conditions: Tensor) -> Tensor:
        """Answer for noised chunks (B, T, n)."""
        given = conditions + self.level(levels)
        hidden = self.enter(noised.flatten(1)) + given
        for block in self.blocks:
            hidden = block(hidden, given)
        answer: Tensor = self.leave(hidden)
        return answer.view_as(noised)


class _Block(nn.Module):
    """A residual block that is nothing at first."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.widen, self.narrow = Linear(hidden, 2 * hidden), Linear(2 * hidden, hidden)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, hidden: Tensor, given: Tensor) -> Tensor:
        change: Tensor = self.narrow(F.gelu(self.widen(self.norm(hidden) + given)))
        return hidden + change
