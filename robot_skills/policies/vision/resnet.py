"""ResNet-18 with group normalisation in place of batch statistics, all of it or its first stages."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.vision.config import VisionConfig
from robot_skills.policies.vision.encoder import MapEncoder, film_layer

#: Channels of a group, as Diffusion Policy replaces batch normalisation (Chi et al. 2023).
GROUP = 16


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016); FiLM follows the second normalisation."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = _norm(outputs)
        self.convolution2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = _norm(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), _norm(outputs))

    def forward(self, x: Tensor, film: Tensor | None) -> Tensor:
        """Maps (B, inputs, h, w) and a scale and shift (B, 2 outputs) to (B, outputs, h', w')."""
        y = F.relu_(self.norm1(self.convolution1(x)))
        y = self.norm2(self.convolution2(y))
        if film is not None:
            scale, shift = film[..., None, None].chunk(2, dim=1)
            y = torch.addcmul(y + shift, y, scale)
        return F.relu_(y + self.shortcut(x))


class ResNetEncoder(MapEncoder):
    """The layers of torchvision's ResNet-18, in channels_last memory, and a read-out of the last map."""

    def __init__(
        self, config: VisionConfig, text_size: int, size: int, image_size: int, channels: int = 3
    ) -> None:
        first = config.size
        widths = [first * 2**stage for stage in range(config.stages)]
        cells = -(-image_size // 4)  # two halvings that round up, then one a stage
        for _ in widths[1:]:
            cells = -(-cells // 2)
        super().__init__(config, widths[-1], (cells, cells), size)
        self.stem = nn.Conv2d(channels, first, 7, 2, 3, bias=False)
        self.norm = _norm(first)
        self.blocks = nn.ModuleList()
        before = first
        for stage, width in enumerate(widths):
            self.blocks.append(BasicBlock(before, width, 1 if stage == 0 else 2))
            self.blocks.append(BasicBlock(width, width, 1))
            before = width
        self._splits = [2 * width for width in widths for _ in range(2)]
        self.films = film_layer(text_size, sum(self._splits) // 2) if config.film else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: Tensor, text: Tensor) -> Tensor:
        """Encode normalised pixels, as `normalise` makes them."""
        x = pixels.contiguous(memory_format=torch.channels_last)
        x = F.max_pool2d(F.relu_(self.norm(self.stem(x))), 3, 2, 1)
        films = [None] * len(self.blocks) if self.films is None else self.films(text).split(self._splits, 1)
        for block, film in zip(self.blocks, films, strict=True):
            x = block(x, film)
        return self.read_out(x)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // GROUP, channels)
