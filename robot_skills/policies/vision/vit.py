"""A small vision transformer: patches of the image attend to each other and to what was said."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.vision.config import VisionConfig
from robot_skills.policies.vision.encoder import VisionEncoder


class Layer(nn.Module):
    """Self-attention and a feed-forward layer, each behind a normalisation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, N, width)."""
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.out(attended)
        fed: Tensor = x + self.mlp(self.norm_mlp(x))
        return fed


class PatchEncoder(VisionEncoder):
    """A class token, the text as a token if it is to be seen, and a token a patch (Dosovitskiy et al. 2021).

    The class token is the image's one token; as a map, every patch is one.
    """

    def __init__(
        self, config: VisionConfig, text_size: int, size: int, image_size: int, channels: int = 3
    ) -> None:
        super().__init__()
        width, side = config.size, image_size // config.patch
        if image_size % config.patch:
            fitting = ", ".join(str(n) for n in range(4, image_size // 2 + 1) if image_size % n == 0)
            raise InputError(f"vision.patch divides {image_size} px images: {fitting}; not {config.patch}.")
        self.config = config
        self.tokens = 1 if config.output == "token" else side**2
        self.patches = nn.Conv2d(channels, width, config.patch, config.patch)
        self.places = nn.Parameter(torch.randn(side**2, width) * 0.02)
        self.start = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.told = nn.Linear(text_size, width) if config.film else None
        self.layers = nn.ModuleList(Layer(width, config.heads) for _ in range(config.layers))
        self.norm, self.project = nn.LayerNorm(width), nn.Linear(width, size)

    def forward(self, pixels: Tensor, text: Tensor) -> Tensor:
        """Encode normalised pixels, as `normalise` makes them."""
        patches = self.patches(pixels).flatten(2).transpose(1, 2) + self.places
        before = [self.start.expand(len(pixels), -1, -1)]
        if self.told is not None:
            before.append(self.told(text)[:, None])
        x = torch.cat([*before, patches], dim=1)
        for layer in self.layers:
            x = layer(x)
        kept = x[:, :1] if self.config.output == "token" else x[:, len(before) :]
        tokens: Tensor = self.project(self.norm(kept))
        return tokens
