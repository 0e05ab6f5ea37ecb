"""Which network looks at a camera's images, and with which sizes."""

from __future__ import annotations

from dataclasses import dataclass

from robot_skills.errors import InputError
from robot_skills.policies.settings import check_choice, check_range, check_ranges

KINDS = ("cnn", "resnet18", "vit", "open_clip")
#: Of the first stage of a ResNet-18 (He et al. 2016); of a ViT that 64 px images fill (64 patches of 8 px).
WIDTHS = {"resnet18": 64, "vit": 128}


@dataclass(frozen=True)
class VisionConfig:
    """The encoder of one camera; every camera has its own. A setting that its kind does not use is ignored.

    Attributes:
        kind: "cnn" is a few convolutions, the cheapest; "resnet18" the encoder of ACT and Diffusion Policy,
            with group normalisation; "vit" a small vision transformer; "open_clip" the image tower of a
            pre-trained model.
        output: "token": the image as one token; "map": the map of features as one token a cell, for
            policies that attend to places, such as ACT.
        film: whether the text scales and shifts the features within the network (Perez et al. 2018; a ViT
            sees it as a token), so that it looks for what it was told. The frozen tower cannot.
        jitter: largest relative change of brightness and contrast in training.
        channels, strides, kernels: of each layer of the cnn. (16, 32, 32) picks one of four cubes by colour
            from 64 px images (feasibility probe), and the first layer, at the highest resolution, costs
            the most. Halving twice leaves a 16 x 16 map: 4 px cells whose spatial softmax still locates
            within a pixel. A wider first kernel sees an edge with its surroundings.
        groups: of the cnn's group normalisation (batch statistics would differ between training and the
            robot). A ResNet's groups hold 16 channels each, as in Diffusion Policy.
        width: channels of the ResNet's first stage, or of the ViT's tokens; 0: 64 and 128.
        stages: of the ResNet that are kept, 1 to 4. Each halves the map: of 64 px, four leave 2 x 2 cells,
            three 4 x 4, two 8 x 8, and the later a stage, the more of the weights it holds.
        patch: px of a side of the ViT's patches, a divisor of the image's side.
        layers, heads: of the ViT.
        grid: the map is averaged to grid x grid cells; 0: as the network leaves it. Of the kinds but "vit".
        model, pretrained: open_clip's model name, and a tag (downloaded) or a checkpoint's path. The name
            "tabletop" is the small CLIP that comes with the package.
        tune: whether the tower learns with the policy and is saved with it; if not, it comes from its tag or
            path again.
    """

    kind: str = "cnn"
    output: str = "token"
    film: bool = True
    jitter: float = 0.1
    channels: tuple[int, ...] = (16, 32, 32)
    strides: tuple[int, ...] = (2, 2, 1)
    kernels: tuple[int, ...] = (5, 3, 3)
    groups: int = 4
    width: int = 0
    stages: int = 4
    patch: int = 8
    layers: int = 4
    heads: int = 4
    grid: int = 0
    model: str = ""
    pretrained: str = ""
    tune: bool = False

    def __post_init__(self) -> None:
        check_choice("kind of vision encoder", self.kind, KINDS)
        check_choice("output of a vision encoder", self.output, ("token", "map"))
        bounds = {"jitter": (0, 0.9), "stages": (1, 4), "grid": (0, 64), "width": (0, 4096)}
        ones = dict.fromkeys(("groups", "patch", "layers", "heads"), (1, float("inf")))
        check_ranges(self, {**bounds, **ones}, "vision.")
        if (self.kind == "open_clip") != bool(self.model):
            raise InputError('vision.model goes with vision.kind "open_clip", and that kind needs it.')
        self._check_cnn()
        if self.kind == "vit" and self.size % self.heads:
            raise InputError(f"Vision width {self.size} is not divisible by {self.heads} heads.")
        if self.kind == "resnet18" and self.size % 16:
            raise InputError(f"vision.width of a ResNet is a multiple of 16, not {self.size}.")

    @property
    def size(self) -> int:
        """`width`, or what it stands for."""
        return self.width or WIDTHS.get(self.kind, 0)

    def _check_cnn(self) -> None:
        if not len(self.channels) == len(self.strides) == len(self.kernels) > 0:
            raise InputError(
                "vision.channels, strides and kernels are lists of one length, one item a layer, "
                f"not {len(self.channels)}, {len(self.strides)} and {len(self.kernels)} long."
            )
        for channels in self.channels:
            if channels % self.groups or channels < 1:
                raise InputError(f"{channels} vision channels do not split into {self.groups} groups.")
        for name in ("strides", "kernels"):
            for value in getattr(self, name):
                check_range(f"vision.{name}", value, 1)
