"""Pixels as the encoders take them, and their augmentation in training."""

from __future__ import annotations

import torch
from torch import Tensor

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
