"""A second, closer look at each graspable thing: of which kind and size it is.

Things are eight pixels wide, and what tells a block from a cylinder is how single pixels are shaded. A
network for whole pictures would learn that slowly; this one sees nothing but a window around a thing, as
large on the table wherever the camera stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from robot_skills.policies.vision.pixels import CENTRE, SPREAD
from robot_skills.robot import Image

#: Pixels of the window's side, and what it covers at the thing's distance, m.
SIDE, COVERS = 20, 0.11
Array = NDArray[np.float64]


class CloseLook(nn.Module):
    """Windows to logits of kinds (N, kinds) and of being large (N,)."""

    def __init__(self, kinds: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = channels
        self.kinds = kinds
        self.layers = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(second, third, 3, 2, 1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(third * (SIDE // 4) ** 2, 64),
            nn.ReLU(inplace=True),
            nn.Linear(64, kinds + 1),
        )

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Look at windows (N, 3, SIDE, SIDE), as `windows` cuts them."""
        out = self.layers(windows)
        return out[:, : self.kinds], out[:, self.kinds]


def windows(image: Image, pixels: Array, scales: Array) -> Tensor:
    """Windows around pixels of a picture, (N, 3, SIDE, SIDE), normalised.

    Args:
        image: (H, W, 3) uint8.
        pixels: (N, 2) u and v of their middles.
        scales: (N,) how many pixels a metre is there.
    """
    height, width = image.shape[:2]
    step = (torch.arange(SIDE, dtype=torch.float32) + 0.5) / SIDE - 0.5
    reach = torch.from_numpy(np.asarray(scales, np.float32) * COVERS)[:, None]
    centres = torch.from_numpy(np.asarray(pixels, np.float32))
    across, down = centres[:, :1] + reach * step, centres[:, 1:] + reach * step
    grid = torch.stack(
        [
            (2 * across / width - 1)[:, None, :].expand(-1, SIDE, -1),
            (2 * down / height - 1)[:, :, None].expand(-1, -1, SIDE),
        ],
        -1,
    )
    picture = (torch.from_numpy(image).permute(2, 0, 1)[None].float() - CENTRE) / SPREAD
    return F.grid_sample(
        picture.expand(len(grid), -1, -1, -1), grid, padding_mode="border", align_corners=False
    )


class CloseTrainer:
    """Learns kinds and sizes from windows that were cut at labels.

    Args:
        network: to be trained.
        shown: (N, 3, SIDE, SIDE) float16.
        kinds: (N,) int64.
        large: (N,) float32.
    """

    def __init__(self, network: CloseLook, shown: Tensor, kinds: Tensor, large: Tensor) -> None:
        self.network, self._data = network, (shown, kinds, large)

    def run(
        self, steps: int, batch: int = 128, rate: float = 2e-3, seed: int = 0
    ) -> Iterator[dict[str, float]]:
        """Train; yields the mean losses of every hundred steps, and the share of kinds that were right."""
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.AdamW(self.network.parameters(), rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
        shown, kinds, large = self._data
        sums = torch.zeros(3)
        for step in range(steps):
            rows = torch.randint(len(shown), (batch,), generator=generator)
            logits, sizes = self.network(_varied(shown[rows].float(), generator))
            kind = F.cross_entropy(logits, kinds[rows])
            size = F.binary_cross_entropy_with_logits(sizes, large[rows])
            optimizer.zero_grad(set_to_none=True)
            (kind + 0.5 * size).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            right = (logits.argmax(1) == kinds[rows]).float().mean()
            sums += torch.stack([kind, size, right]).detach() / 100
            if (step + 1) % 100 == 0:
                yield {"step": step + 1, **dict(zip(("kind", "size", "right"), sums.tolist(), strict=True))}
                sums.zero_()


def _varied(shown: Tensor, generator: torch.Generator) -> Tensor:
    """Windows (N, 3, SIDE, SIDE) as other things would look: other colours, mirrored, a pixel aside."""
    gain = 1 + 0.4 * (torch.rand(len(shown), 3, 1, 1, generator=generator) - 0.5)
    shown = shown[:, torch.randperm(3, generator=generator)] * gain
    down, aside = torch.randint(-1, 2, (2,), generator=generator).tolist()
    shown = shown.roll((down, aside), (2, 3))
    mirrored = torch.rand(len(shown), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], shown.flip(3), shown)


def labelled_windows(
    images: Sequence[Image],
    things: NDArray[np.float32],
    depths: NDArray[np.float64],
    focal: NDArray[np.float64],
    graspable: int,
    rng: np.random.Generator,
    repeats: int = 2,
    off: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Windows at the labels of a camera's pictures, each cut some times a little off.

    Args:
        images: N pictures of the camera.
        things: (N, M, 12), see `sim.tabletop.labels.Labelled`.
        depths: (N, M) m, how far away each thing is.
        focal: (N,) px.
        graspable: kinds below this number are looked at.
        rng: draws how far off.
        repeats: how often each is cut.
        off: deviation of its middle, px, and ten times that of the logarithm of its size.

    Returns:
        Windows (K, 3, SIDE, SIDE) float16, kinds (K,) int64, large (K,) float32.
    """
    cut, kinds, large = [], [], []
    for image, rows, away, length in zip(images, things, depths, focal, strict=True):
        wanted = (rows[:, 11] > 0) & (rows[:, 0] >= 0) & (rows[:, 0] < graspable)
        chosen = np.repeat(np.flatnonzero(wanted), repeats)
        if not len(chosen):
            continue
        pixels = rows[chosen, 4:6] + rng.normal(0, off, (len(chosen), 2))
        scales = length / away[chosen] * np.exp(rng.normal(0, 0.1 * off, len(chosen)))
        cut.append(windows(image, pixels, scales).half())
        kinds.append(torch.from_numpy(rows[chosen, 0]).long())
        large.append(torch.from_numpy(rows[chosen, 2]))
    return torch.cat(cut), torch.cat(kinds), torch.cat(large)
