"""Vision encoder: a small convnet a camera, told by language what to look for, and its augmentation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.settings import check_range


@dataclass(frozen=True)
class VisionConfig:
    """The convnet of one camera; every camera has its own.

    Attributes:
        channels: of each layer. (16, 32, 32) picks one of four cubes by colour from 64 px images
            (feasibility probe), and the first layer, at the highest resolution, costs the most.
        strides: of each layer. Halving twice leaves a 16 x 16 map: 4 px cells whose spatial softmax still
            locates within a pixel.
        kernels: of each layer; a wider first one sees an edge with its surroundings.
        groups: of group normalisation (batch statistics would differ between training and the robot).
        jitter: largest relative change of brightness and contrast in training.
    """

    channels: tuple[int, ...] = (16, 32, 32)
    strides: tuple[int, ...] = (2, 2, 1)
    kernels: tuple[int, ...] = (5, 3, 3)
    groups: int = 4
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not len(self.channels) == len(self.strides) == len(self.kernels) > 0:
            raise InputError(
                "vision.channels, strides and kernels are lists of one length, one item a layer, "
                f"not {len(self.channels)}, {len(self.strides)} and {len(self.kernels)} long."
            )
        check_range("vision.groups", self.groups, 1)
        check_range("vision.jitter", self.jitter, 0, 0.9)
        for channels in self.channels:
            if channels % self.groups or channels < 1:
                raise InputError(f"{channels} vision channels do not split into {self.groups} groups.")
        for name in ("strides", "kernels"):
            for value in getattr(self, name):
                check_range(f"vision.{name}", value, 1)


class VisionEncoder(nn.Module):
    """Images of one camera (B, 3, h, w) and text vectors (B, L) to tokens (B, size).

    Each layer: convolution, group normalisation, FiLM from the text (Perez et al. 2018), ReLU. At the end
    every channel says where it fires (spatial softmax, Finn et al. 2016) and how strongly (maximum).
    """

    def __init__(self, config: VisionConfig, text_size: int, size: int) -> None:
        super().__init__()
        self.config = config
        inputs = (3, *config.channels[:-1])
        layers = zip(inputs, config.channels, config.kernels, config.strides, strict=True)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False) for i, o, kernel, stride in layers
        )
        self.films = nn.Linear(text_size, 2 * sum(config.channels))
        nn.init.normal_(self.films.weight, std=0.3 / text_size**0.5)
        with torch.no_grad():
            self.films.bias.zero_()
        # Unit-variance maps of 256 cells average to the centre; sharper from the start.
        self.sharpness = nn.Parameter(torch.full((config.channels[-1], 1), 2.0))
        self.project = nn.Linear(3 * config.channels[-1], size)

    def forward(self, pixels: Tensor, text: Tensor) -> Tensor:
        """Encode normalised pixels, as `normalise` makes them."""
        films = self.films(text).split([2 * c for c in self.config.channels], dim=1)
        x = pixels
        for convolution, film in zip(self.convolutions, films, strict=True):
            x = F.relu_(_norm_film(convolution(x), film, self.config.groups))
        maps = x.flatten(2)
        where = (maps * self.sharpness).softmax(-1) @ _grid(x.shape[2], x.shape[3], x)
        strength = maps.max(-1).values
        token: Tensor = self.project(torch.cat([where.flatten(1), strength], dim=1))
        return token


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


def _grid(height: int, width: int, like: Tensor) -> Tensor:
    """Coordinates of a map's cells in [-1, 1], (height * width, 2), x first."""
    ys = torch.linspace(-1, 1, height, dtype=like.dtype, device=like.device)
    xs = torch.linspace(-1, 1, width, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1).flatten(0, 1)


def normalise(images: Tensor, jitter: float = 0.0) -> Tensor:
    """Pixels (B, 3, h, w) uint8 to float32 in about [-2, 2].

    Args:
        images: uint8.
        jitter: each image's contrast and brightness is changed by up to this share.
    """
    pixels = images.float()
    if not jitter:
        return pixels.mul_(1 / 64).sub_(2)
    contrast, brightness = torch.empty(2, images.shape[0], 1, 1, 1, device=images.device).uniform_(
        -jitter, jitter
    )
    return pixels.mul_((1 + contrast) / 64).add_(2 * (brightness - contrast - 1))


def random_shift(images: Tensor, pixels: int) -> Tensor:
    """Shift each image (B, 3, h, w) by up to `pixels` in both directions, repeating its border.

    Kostrikov et al. 2020 (DrQ). All windows of the padded images are one view; indexing copies the
    chosen ones.
    """
    if pixels == 0:
        return images
    batch, _, height, width = images.shape
    down, right = torch.randint(2 * pixels + 1, (2, batch), device=images.device)
    windows = _pad(_pad(images, 2, pixels), 3, pixels).unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(batch, device=images.device), :, down, right]  # of (B, 3, 2p+1, 2p+1, h, w)


def _pad(images: Tensor, axis: int, pixels: int) -> Tensor:
    # `F.pad` repeats borders of floats only, and gathering rows by index takes far longer.
    first, last = images.narrow(axis, 0, 1), images.narrow(axis, -1, 1)
    shape = list(images.shape)
    shape[axis] = pixels
    return torch.cat([first.expand(shape), images, last.expand(shape)], axis)
