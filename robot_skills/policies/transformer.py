"""A small pre-norm transformer: blocks with or without a memory to attend to, causal or not, and positions.

B batch, N tokens, M tokens of a memory.
"""

from __future__ import annotations

import math
from typing import TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.linear import Linear

#: Keys and values of the tokens a block has seen, each (B, heads, tokens, width / heads).
Seen: TypeAlias = tuple[Tensor, Tensor]


class Block(nn.Module):
    """Self-attention, attention to a memory if there is one, and a feed-forward layer.

    Each begins with a layer norm and is added to what it was given (Xiong et al. 2020), so that it learns
    without a long warm-up.

    Args:
        width, heads: of the tokens and the attention.
        dropout: share of attention weights, and of what each part adds, left out in training.
        memory: whether the block attends to a memory.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, memory: bool = False) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = Linear(width, 3 * width), Linear(width, width)
        self.mlp = nn.Sequential(Linear(width, 4 * width), nn.GELU(), Linear(4 * width, width))
        self.drop = nn.Dropout(dropout)
        if memory:
            self.norm_memory = nn.LayerNorm(width)
            self.ask, self.tell = Linear(width, width), Linear(width, 2 * width)
            self.answer = Linear(width, width)

    def forward(self, x: Tensor, causal: bool = False, memory: Tensor | None = None) -> Tensor:
        """Tokens (B, N, width), each seeing those up to itself, or all; and a memory (B, M, width)."""
        return self.extend(x, causal, memory)[0]

    def extend(
        self, x: Tensor, causal: bool = False, memory: Tensor | None = None, seen: Seen | None = None
    ) -> tuple[Tensor, Seen]:
        """The same for tokens that follow on those seen before; also what has been seen then.

        With `seen`, `causal` is for one token at a time: all of them see whatever was before.
        """
        q, k, v = self._split(self.qkv(self.norm_attention(x)), 3)
        if seen is not None:
            k, v = torch.cat([seen[0], k], dim=2), torch.cat([seen[1], v], dim=2)
        x = x + self.drop(self.out(self._attend(q, k, v, causal and seen is None)))
        if memory is not None:
            (asked,) = self._split(self.ask(self.norm_memory(x)), 1)
            told, value = self._split(self.tell(memory), 2)
            x = x + self.drop(self.answer(self._attend(asked, told, value, False)))
        return x + self.drop(self.mlp(self.norm_mlp(x))), (k, v)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, N, parts * width) to `parts` times (B, heads, N, width / heads)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)
        return attended.transpose(1, 2).flatten(2)


class Stack(nn.Module):
    """Blocks one after another, and a layer norm at the end; arguments as of `Block`."""

    def __init__(
        self, width: int, layers: int, heads: int, dropout: float = 0.0, memory: bool = False
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, dropout, memory) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, causal: bool = False, memory: Tensor | None = None) -> Tensor:
        """Tokens (B, N, width) to as many; see `Block.forward`."""
        for block in self.blocks:
            x = block(x, causal, memory)
        out: Tensor = self.norm(x)
        return out

    def extend(self, x: Tensor, seen: list[Seen] | None = None) -> tuple[Tensor, list[Seen]]:
        """The next tokens of a causal sequence, and what each block has seen after them.

        Args:
            x: (B, N, width); one token a call once there is something `seen`.
            seen: what the call before returned; None at the start.
        """
        after = []
        for i, block in enumerate(self.blocks):
            x, keys = cast(Block, block).extend(x, True, None, None if seen is None else seen[i])
            after.append(keys)
        return self.norm(x), after


def sinusoids(count: int, width: int) -> Tensor:
    """Fixed positions (count, width): sines, then cosines, of geometric wavelengths (Vaswani et al. 2017)."""
    half = (width + 1) // 2
    rates = torch.exp(-math.log(10_000) * torch.arange(half) / max(half, 1))
    angles = torch.arange(count)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]
