"""Vision encoders: each camera's images, and what was said, to the tokens that a policy reads."""

from __future__ import annotations

from collections.abc import Callable

from robot_skills.policies.vision.cnn import ConvEncoder
from robot_skills.policies.vision.config import VisionConfig
from robot_skills.policies.vision.encoder import VisionEncoder
from robot_skills.policies.vision.pixels import normalise, random_shift
from robot_skills.policies.vision.resnet import ResNetEncoder
from robot_skills.policies.vision.tower import TowerEncoder
from robot_skills.policies.vision.vit import PatchEncoder

_ENCODERS: dict[str, Callable[[VisionConfig, int, int, int, int], VisionEncoder]] = {
    "cnn": ConvEncoder,
    "resnet18": ResNetEncoder,
    "vit": PatchEncoder,
    "open_clip": TowerEncoder,
}


def vision_encoder(
    config: VisionConfig, text_size: int, size: int, image_size: int, channels: int = 3
) -> VisionEncoder:
    """The encoder that a configuration asks for.

    Args:
        config: which, and how large.
        text_size: L, of the text's vector.
        size: of a token.
        image_size: pixels of a side.
        channels: of the pixels; more than three where maps are laid over the image.

    Raises:
        InputError: the images do not fit the encoder, or its weights cannot be loaded.
    """
    return _ENCODERS[config.kind](config, text_size, size, image_size, channels)


__all__ = ["VisionConfig", "VisionEncoder", "normalise", "random_shift", "vision_encoder"]
