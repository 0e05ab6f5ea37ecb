"""The image tower of an open_clip model, frozen or tuned with the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.clip import load_clip
from robot_skills.policies.vision.config import VisionConfig
from robot_skills.policies.vision.encoder import MapEncoder
from robot_skills.policies.vision.pixels import TowerPixels


class TowerEncoder(MapEncoder):
    """open_clip's features, as one embedding or as the map before pooling, and a linear projection.

    A frozen tower is not among the parameters or the weights that are saved, follows the policy to its
    device, and stays in evaluation mode.
    """

    def __init__(
        self, config: VisionConfig, text_size: int, size: int, image_size: int, channels: int = 3
    ) -> None:
        if channels != 3:
            raise InputError(
                "A pre-trained tower sees red, green and blue only: set argument_map.channel false."
            )
        tower = load_clip(config.model, config.pretrained).visual
        pixels = TowerPixels(tower)
        blank = torch.zeros(1, 3, pixels.side, pixels.side)
        with torch.no_grad():
            maps, pooled = _maps(tower, blank), _pooled(tower, blank)
        super().__init__(config, maps.shape[1], (maps.shape[2], maps.shape[3]), size)
        self.pixels = pixels
        if config.output == "token":
            del self.sharpness  # the tower pools by itself
            self.project = nn.Linear(pooled.shape[-1], size)
        self.tower: nn.Module | None = tower if config.tune else None
        self._frozen: list[Any] = [] if config.tune else [tower.requires_grad_(False)]  # a list hides it

    def forward(self, pixels: Tensor, text: Tensor) -> Tensor:
        """Encode normalised pixels, as `normalise` makes them; the text is not looked at."""
        x = self.pixels(pixels)
        pooled = self.config.output == "token"
        see: Callable[[Any, Tensor], Tensor] = _pooled if pooled else _maps
        if self.tower is not None:
            features = see(self.tower, x)
        else:
            with torch.no_grad():
                features = see(self._frozen[0], x)
        return self.project(features)[:, None] if pooled else self.read_out(features)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TowerEncoder:
        """As in `nn.Module`: moves the hidden tower as well."""
        for tower in self._frozen:
            tower._apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _pooled(tower: Any, pixels: Tensor) -> Tensor:
    """The embedding (B, features), of unit variance: CLIP's features differ in length from model to model."""
    out = tower(pixels)
    features: Tensor = nn.functional.normalize(out[0] if isinstance(out, tuple) else out, dim=-1)
    scaled: Tensor = features * features.shape[-1] ** 0.5
    return scaled


def _maps(tower: Any, pixels: Tensor) -> Tensor:
    """The last map before pooling, (B, channels, height, width)."""
    out = tower.forward_intermediates(
        pixels, indices=1, normalize_intermediates=True, intermediates_only=True
    )
    maps: Tensor = out["image_intermediates"][-1]
    return maps
