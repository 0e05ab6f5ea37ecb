"""The temporal U-Net of Diffusion Policy (Chi et al. 2023, arXiv 2303.04137, its CNN variant).

Residual blocks of two convolutions over time (each with group normalisation and Mish), FiLM from level and
context in between, halved lengths on the way down and skip connections on the way up: as in the authors'
code, each joins before the length is doubled, so that the one of the full length is left out.

Two deviations: a linear layer may shorten the flattened context first, which keeps a small net small; and
the FiLM of every block is one linear layer whose share of the context is computed once a prediction, which
changes the time it takes and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.denoisers.denoiser import Denoiser, LevelEncoder
from robot_skills.policies.linear import Conv1d, DoublingConv1d, Linear
from robot_skills.policies.settings import check_range


@dataclass(frozen=True)
class UNetConfig:
    """A temporal U-Net.

    Attributes:
        channels: of each level; between two levels the length is halved. (64, 128) makes a policy of about
            the size of STAR; in the authors' code they are (256, 512, 1024).
        kernel: of the convolutions, odd; 5 as in the paper.
        groups: of group normalisation; 8 as in the paper.
        level: numbers that encode the noise level; the paper's 128.
        context: numbers that the flattened context is shortened to; 0: left as it is, as in the paper.
    """

    channels: tuple[int, ...] = (64, 128)
    kernel: int = 5
    groups: int = 8
    level: int = 128
    context: int = 128

    def __post_init__(self) -> None:
        if not self.channels:
            raise InputError("unet.channels holds one number a level, at least one.")
        for name in ("kernel", "groups", "level"):
            check_range(f"unet.{name}", getattr(self, name), 1)
        check_range("unet.context", self.context, 0)
        if self.kernel % 2 == 0:
            raise InputError(f"unet.kernel is odd, so that lengths stay, not {self.kernel}.")
        for channels in self.channels:
            if channels < 1 or channels % self.groups:
                raise InputError(f"{channels} U-Net channels do not split into {self.groups} groups.")


class UNetDenoiser(Denoiser):
    """A chunk is a sequence; lengths that halving does not divide are padded with zeros inside."""

    def __init__(self, size: int, tokens: int, width: int, config: UNetConfig) -> None:
        super().__init__()
        channels, kernel, groups = config.channels, config.kernel, config.groups
        self.multiple = 2 ** (len(channels) - 1)

        def pair(start: int, end: int) -> nn.ModuleList:
            return nn.ModuleList([_Block(start, end, kernel, groups), _Block(end, end, kernel, groups)])

        self.down = nn.ModuleList(pair(start, end) for start, end in pairwise((size, *channels)))
        self.shrink = nn.ModuleList([*(Conv1d(c, c, 3, 2, 1) for c in channels[:-1]), nn.Identity()])
        self.middle = pair(channels[-1], channels[-1])
        rising = list(pairwise(reversed(channels)))
        self.up = nn.ModuleList(pair(2 * start, end) for start, end in rising)
        self.grow = nn.ModuleList(DoublingConv1d(end, end) for _, end in rising)
        self.leave = nn.Sequential(
            _Convolution(channels[0], channels[0], kernel, groups), Conv1d(channels[0], size, 1)
        )
        context = config.context or tokens * width
        self.shorten = Linear(tokens * width, context) if config.context else nn.Identity()
        self.level = LevelEncoder(4 * config.level, config.level, nn.Mish())
        blocks = [block for part in (*self.down, self.middle, *self.up) for block in part]
        self.films = [2 * block.channels for block in blocks]
        self.film_context = Linear(context, sum(self.films))
        self.film_level = Linear(config.level, sum(self.films), bias=False)

    def condition(self, context: Tensor) -> Tensor:
        """The context's share of every block's FiLM, (B, 2 channels of all blocks)."""
        films: Tensor = self.film_context(F.mish(self.shorten(context.flatten(1))))
        return films

    def forward(self, noised: Tensor, levels: Tensor, conditions: Tensor) -> Tensor:
        """Answer for noised chunks (B, T, n)."""
        given = conditions + self.film_level(F.mish(self.level(levels)))
        films = iter(given[..., None].split(self.films, dim=1))
        length = noised.shape[1]
        x = F.pad(noised.transpose(1, 2), (0, -length % self.multiple))
        passed: list[Tensor] = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            passed.append(_through(blocks, x, films))
            x = shrink(passed[-1])
        x = _through(self.middle, x, films)
        for blocks, grow in zip(self.up, self.grow, strict=True):
            x = grow(_through(blocks, torch.cat([x, passed.pop()], dim=1), films))
        answer: Tensor = self.leave(x)
        return answer[..., :length].transpose(1, 2)


class _Convolution(nn.Sequential):
    """A convolution that keeps the length, group normalisation, Mish."""

    def __init__(self, start: int, end: int, kernel: int, groups: int) -> None:
        super().__init__(
            Conv1d(start, end, kernel, padding=kernel // 2), nn.GroupNorm(groups, end), nn.Mish()
        )


class _Block(nn.Module):
    """Two convolutions with FiLM (Perez et al. 2018) in between, beside a straight way."""

    def __init__(self, start: int, end: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.channels = end
        self.first = _Convolution(start, end, kernel, groups)
        self.second = _Convolution(end, end, kernel, groups)
        self.straight = nn.Identity() if start == end else Conv1d(start, end, 1)

    def forward(self, x: Tensor, film: Tensor) -> Tensor:
        """Sequences (B, start, T) and scales and shifts (B, 2 end, 1) to (B, end, T)."""
        scale, shift = film.chunk(2, dim=1)
        out: Tensor = self.second(torch.addcmul(shift, scale, self.first(x))) + self.straight(x)
        return out


def _through(blocks: nn.Module, x: Tensor, films: Iterator[Tensor]) -> Tensor:
    """Blocks one after another, each with the next FiLM."""
    for block in blocks.children():
        x = block(x, next(films))
    return x
