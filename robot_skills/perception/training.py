"""Training of the detector on labelled pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from robot_skills.errors import InputError
from robot_skills.perception.detector import (
    HEIGHT_SCALE,
    STRIDE,
    DetectorConfig,
    DetectorNetwork,
    channels_last,
    compose,
)
from robot_skills.perception.pinhole import Pinhole, View
from robot_skills.policies.vision.pixels import normalise

#: Columns of a label: see `sim.tabletop.labels.Labelled`.
KIND, COLOUR, SIZE, PLACE, U, V, Z, SHARE, LIT, SURE = 0, 1, 2, 3, 4, 5, 8, 9, 10, 11
#: Cells around a thing's own in which its heat fades, and how fast, in cells.
AROUND, SIGMA = 2, 0.7


@dataclass(frozen=True)
class DetectorTraining:
    """How long, and with what.

    Attributes:
        steps: of the optimizer.
        batch: looks, each of all cameras.
        learning_rate: at its top; it rises over the first 5 % of the steps and falls to 0 over the rest.
        jitter: of brightness and contrast.
        weights: of the losses beside the heat's, which has 1.
        seed: of weights and batches.
    """

    steps: int = 4500
    batch: int = 16
    learning_rate: float = 3e-3
    jitter: float = 0.12
    weights: Mapping[str, float] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or not self.learning_rate > 0:
            raise InputError("A training has steps, a batch and a learning rate above 0.")


#: Of the losses: a share or a height that is off by little matters more than its size in a mean.
WEIGHTS = {
    "kind": 1.0,
    "colour": 0.5,
    "place": 0.5,
    "size": 0.3,
    "offset": 1.0,
    "height": 1.0,
    "share": 3.0,
    "lit": 0.3,
}


class Looks(NamedTuple):
    """Labelled looks of all cameras, N of them.

    Attributes:
        images: (N, H, W, 3) uint8, canvases.
        rays: (N, RAY_FEATURES, h, w) float16.
        things: (N, M, 12) float32, u on the canvas.
    """

    images: NDArray[np.uint8]
    rays: NDArray[np.float16]
    things: NDArray[np.float32]


def looks(config: DetectorConfig, albums: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> Looks:
    """Put the pictures of the cameras side by side.

    Args:
        config: of the detector.
        albums: camera -> arrays as `sim.experts.sightings.album` writes them, N pictures each.
    """
    shown = [
        {
            name: View(
                album["images"][i].astype(np.uint8, copy=False),
                Pinhole(
                    album["eye"][i],
                    album["rotation"][i],
                    float(album["focal"][i]),
                    (float(album["centre"][i, 0]), float(album["centre"][i, 1])),
                    (album["images"].shape[1], album["images"].shape[2]),
                ),
            )
            for name, album in albums.items()
        }
        for i in range(len(next(iter(albums.values()))["images"]))
    ]
    composed = [compose(config, views) for views in shown]
    things = []
    for name in config.cameras:
        rows = np.array(albums[name]["things"], np.float32)
        rows[..., U] += config.starts[name]
        things.append(rows)
    return Looks(
        np.stack([canvas for canvas, _ in composed]),
        np.stack([rays for _, rays in composed]).astype(np.float16),
        np.concatenate(things, 1),
    )


class Trainer:
    """One network and its looks.

    Args:
        config: of the detector.
        data: what it learns from.
        training: how.
        network: to go on with; None: a new one.
    """

    def __init__(
        self,
        config: DetectorConfig,
        data: Looks,
        training: DetectorTraining,
        network: DetectorNetwork | None = None,
    ) -> None:
        torch.manual_seed(training.seed)
        self.config, self.data, self.training = config, data, training
        self.network = channels_last(DetectorNetwork(config) if network is None else network)
        self._weights = {**WEIGHTS, **(training.weights or {})}

    def run(self) -> Iterator[dict[str, float]]:
        """Train; yields the mean losses of every hundred steps."""
        training = self.training
        rng = np.random.default_rng([training.seed, 5])
        optimizer = torch.optim.AdamW(self.network.parameters(), training.learning_rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.learning_rate, total_steps=training.steps + 1, pct_start=0.05
        )
        began, sums = time.monotonic(), dict[str, float]()
        self.network.train()
        for step in range(training.steps):
            lost = self._losses(rng.integers(len(self.data.images), size=training.batch))
            total = torch.stack([self._weights.get(name, 1.0) * value for name, value in lost.items()]).sum()
            optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            for name, value in lost.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / 100
            if (step + 1) % 100 == 0:
                yield {"step": step + 1, "seconds": time.monotonic() - began, **sums}
                sums.clear()
        self.network.eval()

    def _losses(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        pixels = torch.from_numpy(self.data.images[rows]).permute(0, 3, 1, 2)
        rays = torch.from_numpy(self.data.rays[rows].astype(np.float32))
        pixels = normalise(pixels, self.training.jitter).contiguous(memory_format=torch.channels_last)
        heats, features = self.network(pixels, rays)
        things = torch.from_numpy(self.data.things[rows])
        return {
            "heat": heat_loss(self.config, heats, things),
            **feature_losses(self.config, features, things),
        }


def heat_loss(config: DetectorConfig, heats: Tensor, things: Tensor) -> Tensor:
    """Focal loss of Zhou et al. 2019 with powers 2 and 4, per thing.

    Args:
        config: of the detector.
        heats: (B, groups, h, w) logits.
        things: (B, M, 12); where a thing is not surely seen, its group's heats are left open.
    """
    height, width = heats.shape[-2:]
    target, weight = torch.zeros(heats.shape), torch.ones(heats.shape)
    group_of, _ = kinds_in_groups(config)
    steps = torch.arange(-AROUND, AROUND + 1)
    offsets = torch.cartesian_prod(steps, steps)
    faded = torch.exp(-(offsets**2).sum(1) / (2 * SIGMA**2))
    image, place = (things[..., SURE] >= 0).nonzero(as_tuple=True)
    rows = things[image, place]
    cells = torch.stack([rows[:, V], rows[:, U]], 1).div(STRIDE).long()[:, None] + offsets
    inside = ((cells >= 0) & (cells < torch.tensor([height, width]))).all(-1)
    sure = rows[:, SURE] > 0
    for known in (True, False):
        keep = inside & (sure == known)[:, None]
        which, around = keep.nonzero(as_tuple=True)
        y, x = cells[which, around].unbind(1)
        group = group_of[rows[which, KIND].long()]
        if known:
            flat = ((image[which] * heats.shape[1] + group) * height + y) * width + x
            target.view(-1).scatter_reduce_(0, flat, faded[around], "amax")
        else:
            weight[image[which], group, y, x] = 0.0
    positive = target > 0.999
    likely = heats.sigmoid().clamp(1e-4, 1 - 1e-4)
    found = -((1 - likely) ** 2) * likely.log() * positive
    empty = -((1 - target) ** 4) * likely**2 * (1 - likely).log() * ~positive * weight
    return (found + empty).sum() / positive.sum().clamp(min=1)


def feature_losses(config: DetectorConfig, features: Tensor, things: Tensor) -> dict[str, Tensor]:
    """Of each feature, the mean over the things that have it, at their cells.

    Args:
        config: of the detector.
        features: (B, groups, F, h, w).
        things: (B, M, 12).
    """
    height, width = features.shape[-2:]
    image, place = (things[..., SURE] > 0).nonzero(as_tuple=True)
    rows = things[image, place]
    group_of, place_of = kinds_in_groups(config)
    position = torch.stack([rows[:, U], rows[:, V]], 1) / STRIDE
    cell = position.long()
    column, row = cell[:, 0].clamp(max=width - 1), cell[:, 1].clamp(max=height - 1)
    kind = rows[:, KIND].long()
    at = features[image, group_of[kind], :, row, column]
    named = config.named(at, 1)
    return {
        "kind": _class_loss(named["kind"], place_of[kind]),
        "colour": _class_loss(named["colour"], rows[:, COLOUR].long()),
        "place": _class_loss(named["place"], rows[:, PLACE].long()),
        "size": _chance_loss(named["size"], rows[:, SIZE]),
        "offset": (named["offset"] - (position - cell)).abs().sum(1).mean(),
        "height": (named["height"][:, 0] - rows[:, Z] / HEIGHT_SCALE).abs().mean(),
        "share": _distance(named["share"], rows[:, SHARE]),
        "lit": _chance_loss(named["lit"], rows[:, LIT]),
    }


def kinds_in_groups(config: DetectorConfig) -> tuple[Tensor, Tensor]:
    """Of each kind its group, and its place among the kinds of the group; int64."""
    pairs = [(group, at) for group, kinds in enumerate(config.catalogue.groups) for at in range(len(kinds))]
    groups, places = torch.tensor(pairs).unbind(1)
    return groups, places


def _class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    return F.cross_entropy(logits, classes, ignore_index=-1, reduction="sum") / (classes >= 0).sum().clamp(
        min=1
    )


def _chance_loss(logits: Tensor, true: Tensor) -> Tensor:
    known = true >= 0
    lost = F.binary_cross_entropy_with_logits(logits[known, 0], true[known], reduction="sum")
    return lost / known.sum().clamp(min=1)


def _distance(values: Tensor, true: Tensor) -> Tensor:
    known = true >= 0
    return (values[known, 0] - true[known]).abs().sum() / known.sum().clamp(min=1)
