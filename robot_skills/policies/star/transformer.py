"""The trunk: a small pre-norm transformer that predicts a sequence of codes from a context."""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.linear import Linear

#: Keys and values of the tokens a block has seen, each (B, heads, tokens, width / heads).
Seen: TypeAlias = tuple[Tensor, Tensor]


class Block(nn.Module):
    """Self-attention and a feed-forward layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = Linear(width, 3 * width), Linear(width, width)
        self.mlp = nn.Sequential(Linear(width, 4 * width), nn.GELU(), Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor | None, seen: Seen | None) -> tuple[Tensor, Seen]:
        """Tokens (B, N, width), attending to those seen before and, as the mask allows, to each other."""
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if seen is not None:
            k, v = torch.cat([seen[0], k], dim=2), torch.cat([seen[1], v], dim=2)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.mlp(self.norm_mlp(x)), (k, v)


class Trunk(nn.Module):
    """Context tokens, a start token, then the codes: each code is predicted from all before it.

    Context tokens see each other, codes see the context and the codes before them, and nothing sees a
    later code. Each place of the sequence has a head and embeddings of its own, which is how the trunk knows
    level and time: next to the blocks they weigh little.

    Args:
        context: C, number of context tokens.
        length: N, codes of a sequence: the levels of the first segment, coarse to fine, then the next's.
        codes: K, of each place.
        width, layers, heads: of the blocks.
        autoregressive: whether a code is told to those after it; if not, every head reads the start token,
            and codes are independent given the context.
        gist: whether the start token begins as a linear map of all context tokens, rather than as zeros that
            have to attend to them first.
    """

    visible: Tensor

    def __init__(
        self,
        context: int,
        length: int,
        codes: int,
        width: int,
        layers: int,
        heads: int,
        autoregressive: bool = True,
        gist: bool = False,
    ) -> None:
        super().__init__()
        self.length, self.codes, self.autoregressive = length, codes, autoregressive
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.places = nn.Parameter(torch.randn(context + 1, width) * 0.02)
        self.gist = Linear(context * width, width) if gist else None
        if autoregressive:
            self.embeddings = nn.Embedding(length * codes, width)
            nn.init.normal_(self.embeddings.weight, std=0.5)
        self.heads = nn.ModuleList(Linear(width, codes) for _ in range(length))
        order = torch.arange(context + length)
        visible = (order[None] <= order[:, None]) | (order[None] < context)
        visible[:context, context:] = False
        self.register_buffer("visible", visible, persistent=False)

    def read(self, context: Tensor, codes: Tensor) -> tuple[Tensor, list[Tensor], list[Seen]]:
        """Predict every code from the true ones before it.

        Args:
            context: (B, C, width).
            codes: (B, N) int64, or (B, n) with n < N codes known so far.

        Returns:
            The summary of the context (B, width), which no code has touched; logits (B, K) of the first
            codes, as many as are known and one more, at most N, or all N where codes are independent; and
            what each block has seen.
        """
        known = codes[:, : self.length - 1] if self.autoregressive else codes[:, :0]
        start = context.new_zeros(len(context), 1, context.shape[2])
        if self.gist is not None:
            start = self.gist(context.flatten(1))[:, None]
        x = torch.cat([context, start], dim=1) + self.places
        if known.shape[1]:
            x = torch.cat([x, self.embed(known)], dim=1)
        tokens = x.shape[1]
        seen = []
        for block in self.blocks:
            x, keys = block(x, self.visible[:tokens, :tokens], None)
            seen.append(keys)
        hidden = self.norm(x[:, context.shape[1] :])
        if not self.autoregressive:
            return hidden[:, 0], [head(hidden[:, 0]) for head in self.heads], seen
        logits = [head(hidden[:, i]) for i, head in enumerate(self.heads) if i < hidden.shape[1]]
        return hidden[:, 0], logits, seen

    def follow(self, code: Tensor, place: int, seen: list[Seen]) -> tuple[Tensor, list[Seen]]:
        """Logits (B, K) of the code after `place`, whose code (B,) was just picked."""
        x = self.embed(code[:, None], place)
        after = []
        for block, before in zip(self.blocks, seen, strict=True):
            x, keys = block(x, None, before)
            after.append(keys)
        return self.heads[place + 1](self.norm(x[:, 0])), after

    def embed(self, codes: Tensor, place: int = 0) -> Tensor:
        """Embeddings of codes (B, n) of the n places from `place` on; (B, n, width)."""
        offsets = self.codes * torch.arange(place, place + codes.shape[1], device=codes.device)
        embedded: Tensor = self.embeddings(codes + offsets)
        return embedded

    def context_seen(self, seen: list[Seen], context: int) -> list[Seen]:
        """What was seen of the context and the start token alone, out of the gradient."""
        return [(k[:, :, : context + 1].detach(), v[:, :, : context + 1].detach()) for k, v in seen]
