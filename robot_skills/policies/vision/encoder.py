"""What every vision encoder is, and how a map of features becomes tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.vision.config import VisionConfig


class VisionEncoder(nn.Module, ABC):
    """Images of one camera and the text to tokens.

    Attributes:
        tokens: how many an image makes.
    """

    tokens: int

    @abstractmethod
    def forward(self, pixels: Tensor, text: Tensor) -> Tensor:
        """Encode normalised pixels (B, channels, h, w) and text vectors (B, L); (B, tokens, size)."""


class MapEncoder(VisionEncoder):
    """A network that ends in a map of features: the base of convolutional encoders.

    As one token, every channel of the map says where it fires (spatial softmax, Finn et al. 2016) and how
    strongly (maximum). As a map, every cell is a token with a learned mark of its place.
    """

    def __init__(self, config: VisionConfig, channels: int, cells: tuple[int, int], size: int) -> None:
        """Make the read-out of a map of `channels` with `cells` (height, width), to tokens of `size`."""
        super().__init__()
        self.config = config
        if config.output == "token":
            self.tokens = 1
            # Unit-variance maps of 256 cells average to the centre; sharper from the start.
            self.sharpness = nn.Parameter(torch.full((channels, 1), 2.0))
            self.project = nn.Linear(3 * channels, size)
        else:
            self.tokens = config.grid**2 or cells[0] * cells[1]
            self.places = nn.Parameter(torch.randn(self.tokens, size) * 0.02)
            self.project = nn.Linear(channels, size)

    def read_out(self, maps: Tensor) -> Tensor:
        """Tokens (B, tokens, size) of a map (B, channels, height, width)."""
        if self.config.output == "map":
            if self.config.grid:
                maps = F.adaptive_avg_pool2d(maps, self.config.grid)
            cells: Tensor = self.project(maps.flatten(2).transpose(1, 2)) + self.places
            return cells
        cell_grid = grid(maps.shape[2], maps.shape[3], maps)
        maps = maps.flatten(2)
        where = (maps * self.sharpness).softmax(-1) @ cell_grid
        strength = maps.max(-1).values
        token: Tensor = self.project(torch.cat([where.flatten(1), strength], dim=1))
        return token[:, None]


def grid(height: int, width: int, like: Tensor) -> Tensor:
    """Coordinates of a map's cells in [-1, 1], (height * width, 2), x first."""
    ys = torch.linspace(-1, 1, height, dtype=like.dtype, device=like.device)
    xs = torch.linspace(-1, 1, width, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1).flatten(0, 1)


def film_layer(text_size: int, features: int) -> nn.Linear:
    """A layer that makes a scale and a shift for each of some features; at first small ones."""
    layer = nn.Linear(text_size, 2 * features)
    nn.init.normal_(layer.weight, std=0.3 / text_size**0.5)
    with torch.no_grad():
        layer.bias.zero_()
    return layer
