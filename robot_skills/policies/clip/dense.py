"""What an open_clip vision transformer says of every patch of an image."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor


def image_features(visual: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors of images and of their patches, in the space of texts.

    Args:
        visual: open_clip's `VisionTransformer`.
        pixels: (B, 3, h, w), as the tower takes them.

    Returns:
        (B, E) of the pooled token; (B, patches, E), each patch read as the pooled token is (Zhou et al. 2022,
        MaskCLIP, without its change of the last layer: this tower is trained to be read so).
    """
    hidden = visual.ln_post(visual.transformer(visual._embeds(pixels)))
    features = F.normalize(hidden @ visual.proj, dim=-1)
    return features[:, 0], features[:, 1:]
