"""Lloyd's algorithm, to start a codebook with."""

from __future__ import annotations

import torch
from torch import Tensor


def k_means(vectors: Tensor, codes: int, iterations: int) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm from k-means++ seeds (Arthur and Vassilvitskii 2007).

    Args:
        vectors: (N, m); N may be smaller than `codes`.
        codes: K.
        iterations: of Lloyd's algorithm.

    Returns:
        Centres (K, m), and the share of vectors each has (K,).
    """
    centres = vectors[torch.randint(len(vectors), (1,))]
    distance = (vectors - centres).square().sum(-1)
    for _ in range(codes - 1):
        seed = torch.multinomial(distance + 1e-9, 1)
        centres = torch.cat([centres, vectors[seed]])
        distance = torch.minimum(distance, (vectors - centres[-1]).square().sum(-1))
    for _ in range(iterations):
        index = torch.cdist(vectors, centres).argmin(-1)
        count = torch.bincount(index, minlength=codes)
        total = torch.zeros_like(centres).index_add_(0, index, vectors)
        centres = torch.where((count > 0)[:, None], total / count.clamp_min(1)[:, None], centres)
    index = torch.cdist(vectors, centres).argmin(-1)
    return centres, torch.bincount(index, minlength=codes) / len(vectors)
