"""The transformer of Diffusion Policy (Chi et al. 2023, arXiv 2303.04137, its time-series variant).

A pre-norm decoder: the actions' tokens attend to each other and, by cross-attention, to the context's tokens
and one token of the noise level. The context's keys and values, of all layers, are computed once a
prediction; the level's at every pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.denoisers.denoiser import Denoiser, LevelEncoder
from robot_skills.policies.linear import Linear
from robot_skills.policies.settings import check_range


@dataclass(frozen=True)
class TransformerConfig:
    """A transformer over the actions of a chunk.

    Attributes:
        width, layers, heads: 128, 4 and 4 make a policy of about the size of STAR; the paper's are 256, 8
            and 4.
        dropout: of what each branch adds. The paper drops .3, of attention too, in nets eight times as
            large; none by default, as nothing else here has any.
        causal: whether an action attends only to those before it, as in the authors' code. The first one is
            then denoised without regard to the others, and they may choose differently: a quarter of the
            chunks of the toy in tests/robot_skills/policies/two_ways.py go both ways, and none without.
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    dropout: float = 0.0
    causal: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads"):
            check_range(f"transformer.{name}", getattr(self, name), 1)
        check_range("transformer.dropout", self.dropout, 0, 0.9)
        if self.width % self.heads:
            raise InputError(f"transformer.width {self.width} is not divisible by {self.heads} heads.")


class TransformerDenoiser(Denoiser):
    """A token an action; the context's tokens are remembered as keys and values."""

    def __init__(self, chunk: int, size: int, tokens: int, width: int, config: TransformerConfig) -> None:
        super().__init__()
        own, self.heads = config.width, config.heads
        self.enter = Linear(size, own)
        self.read = Linear(width, own)
        self.places = nn.Parameter(torch.randn(chunk, own) * 0.02)
        self.context_places = nn.Parameter(torch.randn(tokens, own) * 0.02)
        self.level = LevelEncoder(own, own, nn.Mish())
        self.encode = nn.Sequential(Linear(own, 4 * own), nn.Mish(), Linear(4 * own, own))
        self.remember = Linear(own, config.layers * 2 * own)
        self.layers = nn.ModuleList(_Layer(own, config) for _ in range(config.layers))
        self.leave = nn.Sequential(nn.LayerNorm(own), Linear(own, size))

    def condition(self, context: Tensor) -> Tensor:
        """Keys and values of the context's tokens, (B, tokens, layers x 2 x width)."""
        seen: Tensor = self.remember(self.encode(self.read(context) + self.context_places))
        return seen

    def forward(self, noised: Tensor, levels: Tensor, conditions: Tensor) -> Tensor:
        """Answer for noised chunks (B, T, n)."""
        batch = len(noised)
        level = self.remember(self.encode(self.level(levels)[:, None])).expand(batch, -1, -1)
        seen = torch.cat([level, conditions], dim=1)
        heads = seen.view(batch, seen.shape[1], len(self.layers), 2, self.heads, -1)
        x = self.enter(noised) + self.places
        for layer, (keys, values) in zip(self.layers, heads.permute(2, 3, 0, 4, 1, 5).unbind(0), strict=True):
            x = layer(x, keys, values)
        answer: Tensor = self.leave(x)
        return answer


class _Layer(nn.Module):
    """Self-attention, cross-attention to keys and values, and a feed-forward net."""

    def __init__(self, width: int, config: TransformerConfig) -> None:
        super().__init__()
        self.heads, self.causal = config.heads, config.causal
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out = Linear(width, 3 * width), Linear(width, width)
        self.query, self.cross_out = Linear(width, width), Linear(width, width)
        self.mlp = nn.Sequential(Linear(width, 4 * width), nn.GELU(), Linear(4 * width, width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Tokens (B, T, width); keys and values (B, heads, S, width / heads)."""
        batch, tokens, width = x.shape
        before_self, before_cross, before_mlp = self.norms
        qkv = self.qkv(before_self(x)).view(batch, tokens, 3, self.heads, -1)
        own_query, own_keys, own_values = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(own_query, own_keys, own_values, is_causal=self.causal)
        x = x + self.dropout(self.out(seen.transpose(1, 2).reshape(batch, tokens, width)))
        query = self.query(before_cross(x)).view(batch, tokens, self.heads, -1).transpose(1, 2)
        seen = F.scaled_dot_product_attention(query, keys, values)
        x = x + self.dropout(self.cross_out(seen.transpose(1, 2).reshape(batch, tokens, width)))
        out: Tensor = x + self.dropout(self.mlp(before_mlp(x)))
        return out
