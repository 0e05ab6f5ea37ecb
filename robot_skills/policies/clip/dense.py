"""What an open_clip image tower says of every part of an image."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from robot_skills.errors import InputError


def image_features(visual: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors of images, (B, E), and `patch_features`."""
    if hasattr(visual, "layer1"):
        maps = visual.layer1(visual.stem(pixels))
        pooled = visual.attnpool(visual.layer4(visual.layer3(visual.layer2(maps))))
        return F.normalize(pooled, dim=-1), _cells(maps)
    hidden = visual.ln_post(visual.transformer(visual._embeds(pixels)))
    features = F.normalize(hidden @ visual.proj, dim=-1)
    return features[:, 0], features[:, 1:]


def patch_features(visual: Any, pixels: Tensor) -> Tensor:
    """Unit vectors of the parts of images, (B, patches, E), in the space of texts.

    Of a vision transformer each patch is read as the pooled token is (Zhou et al. 2022, MaskCLIP, without its
    change of the last layer). Of a ResNet the cells of the first stage, a quarter of the image's side each
    way, are read as they are: their channels are as many as the texts', and a tower that is trained to be
    read so sees edges there that later stages have averaged away.

    Args:
        visual: open_clip's `VisionTransformer` or `ModifiedResNet`.
        pixels: (B, 3, h, w), as the tower takes them.
    """
    if hasattr(visual, "layer1"):
        return _cells(visual.layer1(visual.stem(pixels)))
    return image_features(visual, pixels)[1]


def patch_grid(visual: Any) -> tuple[int, int]:
    """Rows and columns of the patches.

    Raises:
        InputError: the tower has no patches in the space of the texts.
    """
    if hasattr(visual, "_embeds"):
        rows, columns = visual.grid_size
        return rows, columns
    stage = getattr(visual, "layer1", None)
    if stage is None or stage[-1].bn3.num_features != visual.output_dim:
        raise InputError("The patches of this model are not in the space of its texts.")
    return visual.image_size // 4, visual.image_size // 4


def _cells(maps: Tensor) -> Tensor:
    return F.normalize(maps.flatten(2).transpose(1, 2), dim=-1)
