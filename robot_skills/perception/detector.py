"""A small convolutional network that finds things in pictures of calibrated cameras.

The pictures lie side by side in one input. Every fourth pixel there is a cell with, for each group of kinds,
a heat (the middle of such a thing is here: Zhou et al. 2019, "Objects as points") and what the thing is like.
Beside the colours the network is told where each cell's ray meets the table, how large a pixel is there and
how the ray leans, so that it need not learn where the cameras are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.perception.catalogue import PLACES, Catalogue
from robot_skills.perception.close_look import CloseLook, windows
from robot_skills.perception.pinhole import Pinhole, View
from robot_skills.policies.vision.pixels import normalise
from robot_skills.policies.visuomotor import WEIGHTS, read_settings, write_folder

#: Pixels to a cell's side.
STRIDE = 4
NAME = "tabletop_detector"
#: The file of the network for closer looks.
CLOSE = "close_look.safetensors"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class DetectorConfig:
    """What is detected, in which pictures, by how large a network.

    Attributes:
        catalogue: what there is.
        cameras: name of a camera -> side of its square picture in px, and the rows of it that are looked at,
            first and last + 1.
        channels: of the layers at a half, a quarter, an eighth and a sixteenth of the picture's size.
        head: channels of the last layer but one.
        close: channels of the network for closer looks.
        threshold: least heat of what is reported.
    """

    catalogue: Catalogue
    cameras: Mapping[str, tuple[int, int, int]]
    channels: tuple[int, int, int, int] = (16, 32, 64, 96)
    head: int = 48
    close: tuple[int, int, int] = (24, 48, 64)
    threshold: float = 0.35

    def __post_init__(self) -> None:
        for name, (side, top, bottom) in self.cameras.items():
            if not 0 <= top < bottom <= side or side % 16 or (bottom - top) % 16:
                raise InputError(
                    f"The camera {name!r} has a side and rows that 16 divides, 0 <= top < bottom <= side; "
                    f"not {side}, {top} and {bottom}."
                )
        if not self.cameras or not 0 < self.threshold < 1:
            raise InputError("A detector has a camera, and a threshold between 0 and 1.")

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the pictures side by side, px."""
        sizes = self.cameras.values()
        return max(bottom - top for _, top, bottom in sizes), sum(side for side, _, _ in sizes)

    @property
    def starts(self) -> Mapping[str, int]:
        """Camera -> its first column on the canvas, px."""
        starts, column = {}, 0
        for name, (side, _, _) in self.cameras.items():
            starts[name] = column
            column += side
        return starts

    @property
    def features(self) -> tuple[tuple[str, int], ...]:
        """What is said of a thing of each group, and in how many channels."""
        return (
            ("kind", max(map(len, self.catalogue.groups))),
            ("colour", len(self.catalogue.colours)),
            ("place", len(PLACES)),
            ("size", 1),
            ("offset", 2),
            ("height", 1),
            ("share", 1),
            ("lit", 1),
        )

    def named(self, features: Tensor, axis: int = 0) -> dict[str, Tensor]:
        """Features (F along the axis) by name."""
        parts = torch.split(features, [size for _, size in self.features], axis)
        return dict(zip((name for name, _ in self.features), parts, strict=True))


class DetectorNetwork(nn.Module):
    """Canvas to cells: heats (B, groups, h, w) as logits, and features (B, groups, F, h, w)."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = config.channels
        self.groups = len(config.catalogue.groups)
        self.stem = nn.Sequential(_layer(3, half, 5, 2), _layer(half, quarter, 3, 2))
        self.join = _layer(quarter + RAY_FEATURES, quarter)
        self.down = nn.Sequential(_layer(quarter, eighth, 3, 2), _layer(eighth, eighth))
        self.deep = nn.Sequential(
            _layer(eighth, sixteenth, 3, 2), _layer(sixteenth, sixteenth), _layer(sixteenth, sixteenth)
        )
        self.from_deep, self.up = nn.Conv2d(sixteenth, eighth, 1), _layer(eighth, eighth)
        self.from_down, self.out = nn.Conv2d(eighth, quarter, 1), _layer(quarter, quarter)
        count = sum(size for _, size in config.features)
        self.head = nn.Sequential(
            _layer(quarter, config.head), nn.Conv2d(config.head, self.groups * (1 + count), 1)
        )
        last = self.head[1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(last.bias[: self.groups], -4.0)  # there is something in few cells

    def forward(self, pixels: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
        """Look at canvases.

        Args:
            pixels: (B, 3, 4h, 4w), as `normalise` makes them.
            rays: (B, RAY_FEATURES, h, w).
        """
        fine = self.join(torch.cat([self.stem(pixels), rays], 1))
        middle = self.down(fine)
        middle = self.up(middle + F.interpolate(self.from_deep(self.deep(middle)), scale_factor=2.0))
        out = self.head(self.out(fine + F.interpolate(self.from_down(middle), scale_factor=2.0)))
        heats, features = out.split([self.groups, out.shape[1] - self.groups], 1)
        return heats, features.unflatten(1, (self.groups, -1))


def _layer(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def channels_last(network: DetectorNetwork) -> DetectorNetwork:
    """The network with its weights laid out as the processor's convolutions like them."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


#: Of a cell: x and y where its ray meets the table, the size of a pixel there, and how far the ray goes in x
#: and y for each metre that it falls.
RAY_FEATURES = 5


def ray_features(camera: Pinhole) -> NDArray[np.float32]:
    """What the network is told of a camera's cells, (RAY_FEATURES, h, w), each about -2 to 2."""
    height, width = camera.size
    v, u = np.mgrid[STRIDE / 2 : height : STRIDE, STRIDE / 2 : width : STRIDE]
    rays = camera.rays(np.stack([u, v], -1))
    fall = np.maximum(-rays[..., 2], 0.05)  # rays that rise meet no table
    reach = camera.eye[2] / fall
    points = camera.eye + reach[..., None] * rays
    features: NDArray[np.float32] = np.stack(
        [
            np.clip((points[..., 0] - 0.5) / 0.25, -3, 3),
            np.clip(points[..., 1] / 0.25, -3, 3),
            np.log(reach / camera.focal / 0.004),
            np.clip(rays[..., 0] / fall, -3, 3),
            np.clip(rays[..., 1] / fall, -3, 3),
        ]
    ).astype(np.float32)  # fmt: skip
    return features


@dataclass(frozen=True)
class Detection:
    """Something that was found in a picture.

    Attributes:
        camera: whose picture.
        score: heat, 0 to 1.
        group: see `Catalogue.groups`.
        kinds: probability of each kind of the group.
        colours: probability of each colour; of furniture, without meaning.
        places: probability of each of `PLACES`; of loose things only.
        large: probability that it is large.
        eye: (3,) m, where the camera is.
        ray: (3,) the direction from there to its middle or its handle.
        height: of that above the table, m, by the looks of it.
        share: how far it is open, 0 to 1; of what opens.
        lit: probability that its lamp is lit; of what has one.
    """

    camera: str
    score: float
    group: int
    kinds: Array
    colours: Array
    places: Array
    large: float
    eye: Array
    ray: Array
    height: float
    share: float
    lit: float

    def at(self, height: float) -> Array:
        """Where its ray is at a height above the table in m, (3,)."""
        point: Array = self.eye + (height - self.eye[2]) / self.ray[2] * self.ray
        return point


@dataclass
class Detector:
    """A network and what its numbers mean.

    Attributes:
        config: what is detected.
        network: for whole pictures, in evaluation mode.
        close: for closer looks at graspable things.
    """

    config: DetectorConfig
    network: DetectorNetwork = field(repr=False)
    close: CloseLook = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> Detector:
        """Read a folder.

        Raises:
            InputError: it is not one, is damaged, or of another format version.
        """
        config = read_settings(folder, NAME, DetectorConfig)
        network, close = DetectorNetwork(config), close_look(config)
        try:
            network.load_state_dict(load_file(folder / WEIGHTS))
            close.load_state_dict(load_file(folder / CLOSE))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{folder} is damaged: {reason}. Copy it again, or train it again.") from error
        return cls(config, channels_last(network.eval()), close.eval())

    def save(self, folder: Path) -> None:
        """Write config.json, model.safetensors and close_look.safetensors, weights in half precision."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {WEIGHTS: halved(self.network), CLOSE: halved(self.close)}
        write_folder(folder, NAME, self.config, files)

    def detect(self, views: Mapping[str, View]) -> list[Detection]:
        """Everything that is found in the pictures of the cameras, the surest first.

        Raises:
            InputError: a camera is missing, or a picture has another size.
        """
        canvas, rays = compose(self.config, views)
        with torch.inference_mode():
            pixels = normalise(torch.from_numpy(canvas)[None].permute(0, 3, 1, 2))
            heats, features = self.network(
                pixels.contiguous(memory_format=torch.channels_last), torch.from_numpy(rays)[None]
            )
            found = [
                detection
                for group in range(self.network.groups)
                for detection in self._peaks(heats[0, group].sigmoid(), features[0, group], group, views)
            ]
            closer = (
                self._closer([each for each in found if each.camera == name], view)
                for name, view in views.items()
            )
            return sorted(itertools.chain(*closer), key=lambda each: -each.score)

    def _closer(self, found: Sequence[Detection], view: View) -> list[Detection]:
        """What one picture shows, with what a closer look says of kinds and sizes taken into account."""
        near = [each for each in found if each.group == LOOSE]
        if not near:
            return list(found)
        shown = view.camera.project(np.stack([each.at(each.height) for each in near]))
        logits, sizes = self.close(windows(view.image, shown[:, :2], view.camera.focal / shown[:, 2]))
        kinds, large = logits.softmax(1).double().numpy(), sizes.sigmoid().double().numpy()
        closer = [
            replace(each, kinds=_both(each.kinds, kind), large=float(_both(_two(each.large), _two(size))[1]))
            for each, kind, size in zip(near, kinds, large, strict=True)
        ]
        return [*closer, *(each for each in found if each.group != LOOSE)]

    def _peaks(
        self, heats: Tensor, features: Tensor, group: int, views: Mapping[str, View]
    ) -> list[Detection]:
        """The peaks of a group, one at most for each colour (each kind, of furniture) within two cells."""
        named = self.config.named(features)
        likely = named["kind" if group == FIXED else "colour"]
        apart = heats * (likely == likely.amax(0))
        peak = F.max_pool2d(apart[None], 5, 1, 2)[0] == apart
        cells = (peak & (apart > self.config.threshold)).any(0).nonzero().tolist()
        return [
            detection
            for row, column in cells
            if (detection := self._read(heats, named, group, (row, column), views)) is not None
        ]

    def _read(
        self,
        heats: Tensor,
        named: Mapping[str, Tensor],
        group: int,
        cell: tuple[int, int],
        views: Mapping[str, View],
    ) -> Detection | None:
        row, column = cell
        camera, start = max(
            ((name, at) for name, at in self.config.starts.items() if at <= column * STRIDE),
            key=lambda pair: pair[1],
        )
        at: dict[str, Any] = {name: value[:, row, column] for name, value in named.items()}
        pixel = (
            np.array([column * STRIDE - start, row * STRIDE], float) + STRIDE * at["offset"].double().numpy()
        )
        kinds = at["kind"][: len(self.config.catalogue.groups[group])]
        pinhole = views[camera].camera
        ray = pinhole.rays(pixel)
        if ray[2] > -0.05:  # it rises: there is no table where it goes
            return None
        return Detection(
            camera=camera,
            score=float(heats[row, column]),
            group=group,
            kinds=kinds.softmax(0).double().numpy(),
            colours=at["colour"].softmax(0).double().numpy(),
            places=at["place"].softmax(0).double().numpy(),
            large=float(at["size"].sigmoid()),
            eye=pinhole.eye,
            ray=ray,
            height=float(at["height"]) * HEIGHT_SCALE,
            share=float(at["share"]),
            lit=float(at["lit"].sigmoid()),
        )


#: The groups of graspable things and of furniture, and the unit of heights, m.
LOOSE, FIXED, HEIGHT_SCALE = 0, 2, 0.1


def _both(one: Array, other: Array) -> Array:
    """Probabilities of two witnesses together."""
    product = one * other + 1e-9
    both: Array = product / product.sum()
    return both


def _two(chance: float) -> Array:
    return np.array([1 - chance, chance])


def close_look(config: DetectorConfig) -> CloseLook:
    """The network for closer looks, not trained."""
    return CloseLook(len(config.catalogue.groups[LOOSE]), config.close)


def halved(network: nn.Module) -> dict[str, Tensor]:
    """Weights in half precision; counts as they are."""
    return {
        name: value.detach().half().contiguous() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }


def compose(
    config: DetectorConfig, views: Mapping[str, View]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Pictures side by side, (H, W, 3), and what the network is told of their cells, (RAY_FEATURES, h, w).

    Raises:
        InputError: a camera is missing, or a picture has another size.
    """
    height, width = config.canvas
    canvas = np.full((height, width, 3), 128, np.uint8)
    rays = np.zeros((RAY_FEATURES, height // STRIDE, width // STRIDE), np.float32)
    for name, (side, top, bottom) in config.cameras.items():
        if name not in views:
            raise InputError(
                f"The detector looks through the cameras {', '.join(config.cameras)}: no {name}."
            )
        size = views[name].camera.size
        if size != (bottom - top, side):
            raise InputError(f"The picture of {name} is {size}; the detector takes {(bottom - top, side)}.")
        start = config.starts[name]
        canvas[: bottom - top, start : start + side] = views[name].image
        cells = slice(start // STRIDE, (start + side) // STRIDE)
        rays[:, : (bottom - top) // STRIDE, cells] = ray_features(views[name].camera)
    return canvas, rays
