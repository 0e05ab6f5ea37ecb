"""What a denoiser is asked, whatever it is made of."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

#: Sine and cosine features of a level.
FREQUENCIES = 32


class Denoiser(nn.Module, ABC):
    """Noised chunks (B, T, n), their levels and their contexts to answers (B, T, n).

    What the answer means (the noise, the chunk, a velocity) is the policy's affair.
    """

    @abstractmethod
    def condition(self, context: Tensor) -> Tensor:
        """What every pass over a chunk needs of its context (B, tokens, width); the batch comes first.

        Made once a prediction, and once a sample in training, however many noised chunks it is given with.
        """

    @abstractmethod
    def forward(self, noised: Tensor, levels: Tensor, conditions: Tensor) -> Tensor:
        """Answer for noised chunks.

        Args:
            noised: (B, T, n).
            levels: (B,) noise levels, or (1,) if all have the same; features tell 1 of 1,000 apart.
            conditions: as `condition` gives them, (B, ...).
        """


class LevelEncoder(nn.Module):
    """Levels (B,) to (B, size): sines and cosines of periods 2 pi to 2,000 pi, and an MLP."""

    frequencies: Tensor

    def __init__(self, hidden: int, size: int, activation: nn.Module) -> None:
        super().__init__()
        scale = math.log(1000) / (FREQUENCIES - 1)
        frequencies = torch.exp(-scale * torch.arange(FREQUENCIES))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * FREQUENCIES, hidden), activation, nn.Linear(hidden, size))

    def forward(self, levels: Tensor) -> Tensor:
        """Encode levels, whole or not."""
        angles = levels[:, None] * self.frequencies
        encoded: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return encoded
