"""Multi-sensory features of every step: pictures and proprioception fused into one vector.

BUDS (Zhu et al. 2022, arXiv 2109.13841, section III-A) learns them with a variational autoencoder that fuses
the modalities by a product of experts and reconstructs each. Two choices here:

- "vae": the same on pictures averaged down to 16 x 16, so that perceptrons do and one core needs a minute;
- "pca": principal components of the same small pictures beside the proprioception; seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from robot_skills.data.segmentation.traces import Array, Trace
from robot_skills.policies.settings import check_choice, check_range

#: Pixels of a side of the small pictures.
SIDE = 16
#: Rows that principal components are computed from.
SAMPLE = 4000
#: Called now and then with what share of the work is done.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class FeatureConfig:
    """How steps are described.

    Attributes:
        kind: "vae" or "pca".
        size: of a feature; 32 as in the paper.
        steps: of the autoencoder's training.
        batch_size: of the same; 128 as in the paper.
        learning_rate: of the same; 1e-3 as in the paper.
        divergence: weight of the Kullback-Leibler term.
        proprioception: weight of the state's reconstruction against a camera's ("vae"), or of its share in
            the feature's variance ("pca").
        seed: of weights and batches.
    """

    kind: str = "vae"
    size: int = 32
    steps: int = 1500
    batch_size: int = 128
    learning_rate: float = 1e-3
    divergence: float = 0.005
    proprioception: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("kind of features", self.kind, ("vae", "pca"))
        for name in ("size", "steps", "batch_size"):
            check_range(f"features.{name}", getattr(self, name), 1)
        for name in ("learning_rate", "divergence", "proprioception"):
            check_range(f"features.{name}", getattr(self, name), 0)


def thumbnails(trace: Trace, side: int = SIDE) -> NDArray[np.uint8]:
    """Every camera's pictures averaged down, (N, cameras, side * side * 3) uint8."""
    cameras = []
    for pictures in trace.images.values():
        count, height, width = pictures.shape[:3]
        tall, wide = max(1, height // side), max(1, width // side)
        rows, columns = min(side, height), min(side, width)
        cropped = np.asarray(pictures)[:, : rows * tall, : columns * wide]
        blocks = cropped.reshape(count, rows, tall, columns, wide, 3)
        small = blocks.mean((2, 4), dtype=np.float32).astype(np.uint8)
        padded = np.zeros((count, side, side, 3), np.uint8)
        padded[:, :rows, :columns] = small
        cameras.append(padded.reshape(count, -1))
    if not cameras:
        return np.zeros((len(trace), 0, side * side * 3), np.uint8)
    return np.stack(cameras, axis=1)


def standardised(rows: Array, floor: float = 1e-3) -> Array:
    """Zero mean and unit variance in every column; what hardly moves is not blown up."""
    out: Array = ((rows - rows.mean(0)) / np.maximum(rows.std(0), floor)).astype(np.float32)
    return out


def features(
    recordings: Sequence[Trace], config: FeatureConfig, progress: Progress = lambda share: None
) -> list[Array]:
    """One (N, size) float32 array a recording; each number of them has about unit variance over all.

    Args:
        recordings: all of them; the features are fitted on them.
        config: which features.
        progress: called with the share of the work that is done.
    """
    pictures = np.concatenate([thumbnails(trace) for trace in recordings])
    state = standardised(np.concatenate([trace.state for trace in recordings]))
    progress(0.2)
    if config.kind == "pca":
        found = _components(pictures, state, config)
    else:
        found = _autoencode(pictures, state, config, progress)
    progress(1.0)
    ends = np.cumsum([len(trace) for trace in recordings])[:-1]
    return [np.ascontiguousarray(part) for part in np.split(found, ends)]


def _components(pictures: NDArray[np.uint8], state: Array, config: FeatureConfig) -> Array:
    """Each modality's principal components, scaled to one total variance each, (N, up to size) float32."""
    rng = np.random.default_rng(config.seed)
    rows = rng.permutation(len(state))[:SAMPLE]
    share = max(1, config.size // (pictures.shape[1] + 1))
    parts = [config.proprioception**0.5 * state / state.shape[1] ** 0.5]
    for camera in range(pictures.shape[1]):
        sample = pictures[rows, camera].astype(np.float32)
        mean = sample.mean(0)
        _, spread, axes = np.linalg.svd(sample - mean, full_matrices=False)
        scale = float(np.sqrt((spread**2).sum() / len(rows))) or 1.0
        parts.append(np.concatenate([
            (block.astype(np.float32) - mean) @ axes[:share].T / scale
            for block in np.array_split(pictures[:, camera], 1 + len(pictures) // SAMPLE)
        ]))  # fmt: skip
    found = np.concatenate(parts, axis=1)
    scaled: Array = (found * found.shape[1] ** 0.5).astype(np.float32)
    return scaled


class MultisensoryAutoencoder(nn.Module):
    """A variational autoencoder of several modalities, fused by a product of experts.

    Args:
        sizes: of the modalities.
        latent: size of the code.
        width: of the one hidden layer of each encoder and decoder.
    """

    def __init__(self, sizes: Sequence[int], latent: int, width: int = 128) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, 2 * latent)) for size in sizes
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, size)) for size in sizes
        )

    def encode(self, modalities: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and variance (B, latent) of the product of every modality's Gaussian and the prior N(0, 1)."""
        experts = [
            encoder(rows).chunk(2, dim=1) for encoder, rows in zip(self.encoders, modalities, strict=True)
        ]
        precisions = [(-logarithm.clamp(-8, 8)).exp() for _, logarithm in experts]
        total = 1 + torch.stack(precisions).sum(0)
        weighted = [mean * precision for (mean, _), precision in zip(experts, precisions, strict=True)]
        return torch.stack(weighted).sum(0) / total, 1 / total

    def loss(self, modalities: Sequence[Tensor], weights: Sequence[float], divergence: float) -> Tensor:
        """Weighted mean square errors of the reconstructions, and the divergence from the prior."""
        mean, variance = self.encode(modalities)
        code = mean + variance.sqrt() * torch.randn_like(mean)
        errors = [
            weight * F.mse_loss(decoder(code), rows)
            for decoder, rows, weight in zip(self.decoders, modalities, weights, strict=True)
        ]
        divergences = 0.5 * (mean.square() + variance - variance.log() - 1).sum(1).mean()
        return torch.stack(errors).sum() + divergence * divergences


def _autoencode(
    pictures: NDArray[np.uint8], state: Array, config: FeatureConfig, progress: Progress
) -> Array:
    """Train the autoencoder on all rows, and encode them, (N, size) float32."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    cameras = pictures.shape[1]
    model = MultisensoryAutoencoder([pictures.shape[2]] * cameras + [state.shape[1]], config.size)
    weights = [1.0] * cameras + [config.proprioception]
    optimiser = torch.optim.Adam(model.parameters(), config.learning_rate)
    pixel_mean, pixel_std = _moments(pictures)

    def modalities(rows: NDArray[np.int64]) -> list[Tensor]:
        small = (pictures[rows].astype(np.float32) - pixel_mean) / pixel_std
        return [torch.from_numpy(part) for part in (*small.swapaxes(0, 1), state[rows])]

    for step in range(config.steps):
        loss = model.loss(
            modalities(rng.integers(0, len(state), config.batch_size)), weights, config.divergence
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 50 == 0:
            progress(0.2 + 0.75 * step / config.steps)
    with torch.inference_mode():
        blocks = np.array_split(np.arange(len(state)), 1 + len(state) // SAMPLE)
        codes = [model.encode(modalities(rows))[0].numpy() for rows in blocks]
    return standardised(np.concatenate(codes), 0.1)


def _moments(pictures: NDArray[np.uint8]) -> tuple[Array, float]:
    """Mean of each pixel (cameras, P), and one deviation for all."""
    sample = pictures[:: max(1, len(pictures) // SAMPLE)].astype(np.float32)
    mean = sample.mean(0)
    return mean, max(float((sample - mean).std()), 1.0) if sample.size else 1.0
