"""Pixels as the encoders take them, and their augmentation in training."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: What `normalise` subtracts and divides by, in units of a pixel's value.
CENTRE, SPREAD = 128.0, 64.0


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


class TowerPixels(nn.Module):
    """What `normalise` made, (B, 3, h, w), in the size, mean and deviation that a tower was trained with.

    Args:
        visual: an open_clip image tower.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.side: int = visual.image_size if isinstance(visual.image_size, int) else visual.image_size[0]
        mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (visual.image_mean, visual.image_std))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels for the tower, (B, 3, side, side)."""
        x = ((pixels * SPREAD + CENTRE) / 255 - self.mean) / self.deviation
        if x.shape[-1] != self.side:
            x = F.interpolate(x, size=(self.side, self.side), mode="bilinear", align_corners=False)
        return x
