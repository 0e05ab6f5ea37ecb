"""Low-rank adapters on a frozen network, several beside each other, mixed anew for each sample.

LoRA (Hu et al. 2021, arXiv 2106.09685) adds B A to a frozen weight W0. Of several adapters a sample takes
W0 + sum_i a_i B_i A_i with weights a_i of its own: skills composed in parameter space, as in PSEC (Liu et al.
2025, arXiv 2502.05932, equation 4). Where all its weights are 0, a sample gets what W0 gives, to the bit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.linear import Linear, linear


class Mixture:
    """What share each sample has of each adapter; every adapted layer of a network reads the same one.

    Attributes:
        weights: (B, n), or None: the network as it was.
    """

    weights: Tensor | None = None


class AdaptedLinear(nn.Linear):
    """A linear layer, its weights under the names they had, with `count` adapters that are nothing at first.

    Args:
        base: the layer; its parameters are taken over.
        mixture: of the network.
        count: n.
        rank: of each adapter.
    """

    def __init__(self, base: nn.Linear, mixture: Mixture, count: int, rank: int) -> None:
        nn.Module.__init__(self)  # the parameters come from the base
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias
        self._mixture, self._rank = mixture, rank
        self._product = linear if isinstance(base, Linear) else F.linear  # to the bit what the base does
        scale = base.in_features**-0.5
        self.down = nn.ParameterList(torch.randn(rank, base.in_features) * scale for _ in range(count))
        self.up = nn.ParameterList(torch.zeros(base.out_features, rank) for _ in range(count))

    def forward(self, input: Tensor) -> Tensor:
        """(B, ..., in) to (B, ..., out)."""
        out, weights = self._product(input, self.weight, self.bias), self._mixture.weights
        if weights is None:
            return out
        shares = weights[..., None].expand(-1, -1, self._rank).flatten(1)
        shares = shares.view(len(input), *(1,) * (input.ndim - 2), -1)
        down, up = torch.cat(list(self.down)), torch.cat(list(self.up), dim=1)
        return out + F.linear(F.linear(input, down) * shares, up)


class GrownEmbedding(nn.Embedding):
    """An embedding with rows added below those it had.

    Args:
        base: the embedding; its weight is taken over.
        count: rows to add.
    """

    def __init__(self, base: nn.Embedding, count: int) -> None:
        super().__init__(base.num_embeddings, base.embedding_dim, _weight=base.weight.detach())
        self.weight = base.weight
        self.added = nn.ParameterList(torch.zeros(1, base.embedding_dim) for _ in range(count))

    def forward(self, indices: Tensor) -> Tensor:
        """Rows (..., width) of indices below the old number and the added one together."""
        return F.embedding(indices, torch.cat([self.weight, *self.added]))


class RelearnedEmbedding(nn.Embedding):
    """An embedding of which the rows from `first` on, but the last, are learned anew beside the old ones.

    Args:
        base: the embedding; its weight is taken over.
    """

    first: Tensor

    def __init__(self, base: nn.Embedding) -> None:
        super().__init__(base.num_embeddings, base.embedding_dim, _weight=base.weight.detach())
        self.weight = base.weight
        self.fresh = nn.Parameter(base.weight.detach().clone())
        self.register_buffer("first", torch.tensor(base.num_embeddings))

    def rows(self) -> Tensor:
        """All rows as they count, (rows, width)."""
        places = torch.arange(self.num_embeddings, device=self.weight.device)[:, None]
        new = (places >= self.first) & (places < self.num_embeddings - 1)
        return torch.where(new, self.fresh, self.weight)

    def forward(self, indices: Tensor) -> Tensor:
        """Rows (..., width) of indices."""
        return F.embedding(indices, self.rows())


def adapt(module: nn.Module, mixture: Mixture, count: int, rank: int) -> nn.Module:
    """The module with adapters on every linear layer in it; layers of other classes are left alone."""
    if type(module) in (nn.Linear, Linear):
        assert isinstance(module, nn.Linear)
        return AdaptedLinear(module, mixture, count, rank)
    for name, child in module.named_children():
        setattr(module, name, adapt(child, mixture, count, rank))
    return module
