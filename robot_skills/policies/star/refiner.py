"""Refiners: what is added to the decoded codes, so that a chunk is as precise as its demonstrations.

Each sees the features of the context and the codes that were picked. B batch, T chunk length, A action size.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.linear import Linear
from robot_skills.policies.star.config import StarConfig

#: Noised residuals learned from for each sample: next to encoding an image they cost little.
DRAWS = 4
#: Sine and cosine features of the time of a flow, of periods 2, 1, 1/2, ...
FREQUENCIES = 8


class Refiner(nn.Module, ABC):
    """Features (B, feature), codes (B, N) and their decoded chunk to the chunk and the end's logits.

    Attributes:
        noises: normal numbers a sample is given to refine with; 0: none.
    """

    noises: int = 0

    def __init__(self, config: StarConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = nn.Embedding(config.places * config.codes.codes, config.feature)
        nn.init.normal_(self.embeddings.weight, std=0.3)
        flat = config.chunk * config.action_size
        self.sight = Linear(flat, config.feature) if config.sees_chunk else None

    def forward(self, features: Tensor, codes: Tensor, rough: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The chunk (B, T, A) and end logits (B, T).

        Args:
            features: (B, feature).
            codes: (B, N) int64.
            rough: (B, T, A), what the codes decode to.
            noise: (B, `noises`), normal.
        """
        condition = self.condition(features, codes, rough)
        return self.refine(condition, rough, noise), self.end(condition)

    def loss(self, features: Tensor, codes: Tensor, rough: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """How far from the actions (B, T, A) it is, a scalar to minimise; and end logits (B, T)."""
        condition = self.condition(features, codes, rough)
        noise = torch.randn(len(codes), self.noises, device=actions.device)
        return F.l1_loss(self.refine(condition, rough, noise), actions), self.end(condition)

    def condition(self, features: Tensor, codes: Tensor, rough: Tensor) -> Tensor:
        """Features and codes, or what they decode to as well, as one vector (B, width)."""
        places = self.config.codes.codes * torch.arange(codes.shape[1], device=codes.device)
        code = self.embeddings(codes + places).sum(1)
        if self.sight is not None:
            code = code + self.sight(rough.flatten(1))
        return self.mix(torch.cat([features, code], dim=1))

    @abstractmethod
    def mix(self, given: Tensor) -> Tensor:
        """Features beside code embeddings (B, 2 * feature) to (B, width)."""

    @abstractmethod
    def refine(self, condition: Tensor, rough: Tensor, noise: Tensor) -> Tensor:
        """The chunk (B, T, A)."""

    @abstractmethod
    def end(self, condition: Tensor) -> Tensor:
        """Logits (B, T) of the skill being over."""


class OffsetHead(Refiner):
    """One offset for each code sequence and context, the L1 median of what the data hold there."""

    def __init__(self, config: StarConfig) -> None:
        super().__init__(config)
        width = config.offset_width
        self.layers = nn.Sequential(
            Linear(2 * config.feature, width), nn.GELU(), Linear(width, width), nn.GELU()
        )
        self.out = Linear(width, config.chunk * (config.action_size + 1))
        with torch.no_grad():
            self.out.weight.mul_(0.1)  # at first the codes speak alone
            self.out.bias.zero_()

    def mix(self, given: Tensor) -> Tensor:
        """Offsets and end logits together, (B, T * (A + 1))."""
        mixed: Tensor = self.out(self.layers(given))
        return mixed

    def refine(self, condition: Tensor, rough: Tensor, noise: Tensor) -> Tensor:
        """The decoded chunk and the offset."""
        return rough + condition.view(*rough.shape[:2], -1)[..., :-1]

    def end(self, condition: Tensor) -> Tensor:
        """The last of each step's numbers."""
        return condition.view(len(condition), self.config.chunk, -1)[..., -1]


class CodesAlone(Refiner):
    """No refinement: the chunk is what the codes decode to, which says what the codes are worth."""

    def __init__(self, config: StarConfig) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(Linear(2 * config.feature, config.offset_width), nn.GELU())
        self.over = Linear(config.offset_width, config.chunk)

    def mix(self, given: Tensor) -> Tensor:
        """(B, offset_width)."""
        mixed: Tensor = self.layers(given)
        return mixed

    def refine(self, condition: Tensor, rough: Tensor, noise: Tensor) -> Tensor:
        """The decoded chunk as it is."""
        return rough

    def end(self, condition: Tensor) -> Tensor:
        """From features and codes, as in the other refiners."""
        logits: Tensor = self.over(condition)
        return logits


class FlowHead(Refiner):
    """A rectified flow from noise around the decoded chunk to the actions (Liu et al. 2022, 2209.03003).

    The residual x1 = actions - decoded and x0 = s n, n normal, are joined by straight lines
    x_t = (1 - t) x0 + t x1. The head learns x1 given x_t, t, features and codes, by squared error, which also
    says the velocity (x1 - x_t) / (1 - t); learning the velocity itself, noise and all, is far slower. A
    chunk is the decoded one and the end of `flow_steps` Euler steps. Unlike an offset it keeps apart what the
    data hold for one code and context.
    """

    def __init__(self, config: StarConfig) -> None:
        super().__init__(config)
        width = config.offset_width
        self.noises = config.chunk * config.action_size
        self.layers = Linear(2 * config.feature, width)
        self.enter, self.time = Linear(self.noises, width), Linear(2 * FREQUENCIES, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.GELU(), Linear(width, width)) for _ in range(2)
        )
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.GELU(), Linear(width, self.noises))
        self.over = nn.Sequential(nn.GELU(), Linear(width, config.chunk))

    def mix(self, given: Tensor) -> Tensor:
        """(B, offset_width)."""
        mixed: Tensor = self.layers(given)
        return mixed

    def loss(self, features: Tensor, codes: Tensor, rough: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error of the flow's end at times and noises drawn anew; and end logits (B, T)."""
        condition = self.condition(features, codes, rough)
        residual = (actions - rough).flatten(1)[:, None].expand(-1, DRAWS, -1)
        noise = self.config.flow_noise * torch.randn_like(residual)
        time = torch.rand(len(codes), DRAWS, 1, device=actions.device)
        found = self.find(torch.lerp(noise, residual, time), time, condition[:, None])
        return F.mse_loss(found, residual), self.end(condition)

    def refine(self, condition: Tensor, rough: Tensor, noise: Tensor) -> Tensor:
        """Follow the flow from the noise."""
        x, steps = self.config.flow_noise * noise[:, None], self.config.flow_steps
        for step in range(steps):
            time = x.new_full((1, 1, 1), step / steps)
            # Velocity (x1 - x) / (1 - t) over a time 1 / steps.
            x = x + (self.find(x, time, condition[:, None]) - x) / (steps - step)
        return rough + x.view_as(rough)

    def find(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Where the flow of x (B, draws, T * A) at times (B, draws, 1) ends; conditions are (B, 1, width)."""
        rates = math.pi * 2 ** torch.arange(FREQUENCIES, device=x.device)
        angles = time * rates
        given = condition + self.time(torch.cat([angles.sin(), angles.cos()], dim=-1))
        hidden = self.enter(x) + given
        for block in self.blocks:
            hidden = hidden + block(hidden) + given
        end: Tensor = self.leave(hidden)
        return end

    def end(self, condition: Tensor) -> Tensor:
        """From features and codes alone."""
        logits: Tensor = self.over(condition)
        return logits


#: Name in `StarConfig.refiner` -> class.
REFINERS: dict[str, type[Refiner]] = {"offset": OffsetHead, "flow": FlowHead, "none": CodesAlone}
