"""A small convnet, told by language what to look for."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.vision.config import VisionConfig
from robot_skills.policies.vision.encoder import MapEncoder, film_layer


class ConvEncoder(MapEncoder):
    """Each layer: convolution, group normalisation, FiLM from the text (Perez et al. 2018), ReLU."""

    def __init__(
        self, config: VisionConfig, text_size: int, size: int, image_size: int, channels: int = 3
    ) -> None:
        for kernel, stride in zip(config.kernels, config.strides, strict=True):
            image_size = (image_size + 2 * (kernel // 2) - kernel) // stride + 1
        super().__init__(config, config.channels[-1], (image_size, image_size), size)
        inputs = (channels, *config.channels[:-1])
        layers = zip(inputs, config.channels, config.kernels, config.strides, strict=True)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False) for i, o, kernel, stride in layers
        )
        features = sum(config.channels)
        self.films = film_layer(text_size, features) if config.film else None
        self.norms = nn.ModuleList(
            nn.GroupNorm(config.groups, width) for width in config.channels if not config.film
        )

    def forward(self, pixels: Tensor, text: Tensor) -> Tensor:
        """Encode normalised pixels, as `normalise` makes them."""
        x = pixels
        if self.films is None:
            for convolution, norm in zip(self.convolutions, self.norms, strict=True):
                x = F.relu_(norm(convolution(x)))
            return self.read_out(x)
        films = self.films(text).split([2 * c for c in self.config.channels], dim=1)
        for convolution, film in zip(self.convolutions, films, strict=True):
            x = F.relu_(_norm_film(convolution(x), film, self.config.groups))
        return self.read_out(x)


def _norm_film(x: Tensor, film: Tensor, groups: int) -> Tensor:
    """Group normalisation with a scale and shift for each sample, (B, C, h, w) and (B, 2C).

    The batch is folded into the channels, so that one fused kernel does both: half the memory traffic of
    normalising first and modulating after.
    """
    batch, channels = x.shape[:2]
    scale, shift = film.chunk(2, dim=1)
    folded = x.reshape(1, batch * channels, *x.shape[2:])
    out = F.group_norm(folded, batch * groups, (1 + scale).flatten(), shift.flatten())
    return out.view(x.shape)
