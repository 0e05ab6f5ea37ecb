"""The averaged weights, which are what is evaluated and exported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of a module's parameters. Buffers are not averaged.

    The decay warms up, (1 + n) / (10 + n) after n updates, so that the first weights are soon forgotten.

    Attributes:
        weights: name of a parameter -> its average.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        named = dict(module.named_parameters())
        # The parameters themselves: their memory may be another's later (`Module.to`, joining a team).
        self._own: list[Tensor] = list(named.values())
        self.weights = {name: value.detach().clone() for name, value in named.items()}

    def share(self, updates: int) -> float:
        """What the weights after `updates` updates count for."""
        return 1 - min(self._decay, (1 + updates) / (10 + updates))

    @torch.no_grad()
    def update(self, share: float | Tensor) -> None:
        """Take in the present weights, in a handful of kernels however many parameters there are.

        Args:
            share: what they count for; a 0-d tensor where a captured graph reads it anew each time.
        """
        averages = list(self.weights.values())
        if not isinstance(share, Tensor):
            torch._foreach_lerp_(averages, self._own, share)
            return
        change = torch._foreach_sub(self._own, averages)
        torch._foreach_mul_(change, share)
        torch._foreach_add_(averages, change)

    @torch.no_grad()
    def apply(self) -> None:
        """Give the module the averaged weights."""
        torch._foreach_copy_(self._own, list(self.weights.values()))

    @contextlib.contextmanager
    def swapped(self) -> Iterator[None]:
        """The module has the averaged weights inside, and its own again after."""
        own = [value.detach().clone() for value in self._own]
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._own, own)
