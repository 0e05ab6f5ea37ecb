"""A latent space of skills: sub-trajectories that do the same thing at the same stage lie close together.

The skill space of SAILOR (Nasiriany et al., CoRL 2022, arXiv 2210.11435): a variational autoencoder of
sub-trajectories, whose latents must also tell how far apart in time two sub-trajectories of one episode are
(temporal predictability). The autoencoder alone groups equal motions; the time gap makes the latent hold what
changes as a task goes on, pictures included. Here: an MLP over ten flattened steps where SAILOR has an LSTM
over images of every step, two pictures a sub-trajectory, and a signed gap; small enough for one core.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from robot_skills.data.reuse.subtrajectories import Index, Scaling, SubTrajectories, common_cameras
from robot_skills.errors import InputError
from robot_skills.policies.settings import check_range
from robot_skills.robot import Float
from robot_skills.training.progress import JobProgress

#: Windows, or pictures, that go through the network at a time when nothing is learned.
BLOCK = 1024
#: Normalised states and actions are clipped here: beyond lies a fault.
LIMIT = 5.0


@dataclass(frozen=True)
class SkillSpaceConfig:
    """A skill space and how it is learned.

    Attributes:
        length: L, steps of a sub-trajectory; SAILOR's 10.
        latent: numbers of a latent.
        width: of the hidden layers.
        pictures: how many of the L steps are looked at, spread evenly.
        image_size: pixels of a side that pictures are averaged down to.
        image_feature: numbers that a picture comes to.
        gap: steps at which the time gap counts as 1; longer ones are cut off there. SAILOR's is 50.
        gap_weight: of the loss on the time gap, against the reconstruction's 1.
        kl_weight: of the divergence from the standard normal; low, as a space to measure distances in needs
            to be smooth and not to be sampled from.
        steps, batch_size, learning_rate: of the optimisation; the batch counts pairs of sub-trajectories.
        seed: of the initial weights, the batches and the latents' noise.
    """

    length: int = 10
    latent: int = 16
    width: int = 256
    pictures: int = 2
    image_size: int = 32
    image_feature: int = 32
    gap: int = 50
    gap_weight: float = 1.0
    kl_weight: float = 1e-3
    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("length", self.length, 2)
        check_range("image_size", self.image_size, 8)
        for name in ("latent", "width", "image_feature", "gap", "steps", "batch_size"):
            check_range(name, getattr(self, name), 1)
        check_range("pictures", self.pictures, 0, self.length)
        for name in ("gap_weight", "kl_weight", "learning_rate", "seed"):
            check_range(name, getattr(self, name), 0)


@dataclass(frozen=True)
class _Sample:
    """Windows as tensors: motion (B, L * (S + A)); pictures, a camera each, (B * P, 3, s, s)."""

    motion: Tensor
    pictures: tuple[Tensor, ...]


class SkillSpace(nn.Module):
    """Encoder, decoder and the predictor of the time gap."""

    def __init__(
        self, config: SkillSpaceConfig, features: int, cameras: Sequence[str], scaling: Scaling
    ) -> None:
        super().__init__()
        self.config, self.scaling = config, scaling
        self.cameras = tuple(cameras) if config.pictures else ()
        width, motion = config.width, config.length * features
        seen = len(self.cameras) * config.pictures * config.image_feature
        self.vision = nn.ModuleList(_convnet(config) for _ in self.cameras)
        self.encoder = _mlp(motion + seen, width, 2 * config.latent)
        self.decoder = _mlp(config.latent, width, motion)
        self.gap = _mlp(2 * config.latent, width // 2, 1)

    def embed(self, subtrajectories: SubTrajectories) -> Float:
        """(N, latent) means of the posteriors of all sub-trajectories of a store."""
        with one_thread():
            features = [self._features(subtrajectories, i) for i in range(len(self.cameras))]
        parts: list[Tensor] = []
        with one_thread(), torch.inference_mode():
            for start in range(0, len(subtrajectories), BLOCK):
                indices = np.arange(start, min(start + BLOCK, len(subtrajectories)))
                rows = self._pictured(subtrajectories.rows(indices))
                seen = [feature[rows].flatten(1) for feature in features]
                motion = self._motion(subtrajectories, indices)
                parts.append(self.encoder(torch.cat([motion, *seen], dim=1)).chunk(2, dim=1)[0])
        latents: Float = torch.cat(parts).numpy()
        return latents

    def loss(self, first: _Sample, second: _Sample, gap: Tensor) -> dict[str, Tensor]:
        """Reconstruction, divergence and time gap of pairs, `gap` (B,) later the second."""
        config = self.config
        motion = torch.cat([first.motion, second.motion])
        pairs = zip(first.pictures, second.pictures, strict=True)
        mean, log_variance = self._encode(motion, [torch.cat(pair) for pair in pairs])
        latent = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        one, two = latent.chunk(2)
        scaled = (gap / config.gap).clamp(-1, 1)
        return {
            "reconstruction": F.mse_loss(self.decoder(latent), motion),
            "divergence": divergence.sum(1).mean(),
            "gap": F.mse_loss(self.gap(torch.cat([one, two], dim=1))[:, 0], scaled),
        }

    def sample(self, subtrajectories: SubTrajectories, indices: Index) -> _Sample:
        """Gather windows of a store."""
        rows = self._pictured(subtrajectories.rows(indices)).reshape(-1)
        pictures = tuple(self._pixels(subtrajectories, camera, rows) for camera in self.cameras)
        return _Sample(self._motion(subtrajectories, indices), pictures)

    def _encode(self, motion: Tensor, pictures: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        seen = [net(pixels).view(len(motion), -1) for net, pixels in zip(self.vision, pictures, strict=True)]
        mean, log_variance = self.encoder(torch.cat([motion, *seen], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)

    def _motion(self, subtrajectories: SubTrajectories, indices: Index) -> Tensor:
        return torch.from_numpy(motions(subtrajectories, indices, self.scaling))

    def _pictured(self, rows: Index) -> Index:
        """Of (B, L) rows the (B, P) that are looked at."""
        steps = np.linspace(0, self.config.length - 1, self.config.pictures).round().astype(np.int64)
        return rows[:, steps]

    def _pixels(self, subtrajectories: SubTrajectories, camera: str, rows: Index) -> Tensor:
        images = torch.from_numpy(subtrajectories.store.images(camera)[rows]).permute(0, 3, 1, 2)
        return F.adaptive_avg_pool2d(images.float(), self.config.image_size).div_(64).sub_(2)

    def _features(self, subtrajectories: SubTrajectories, camera: int) -> Tensor:
        """(rows of the store, image_feature): every picture goes through the convnet once."""
        parts: list[Tensor] = []
        with torch.inference_mode():
            for start in range(0, subtrajectories.store.frames, BLOCK):
                rows = np.arange(start, min(start + BLOCK, subtrajectories.store.frames))
                pixels = self._pixels(subtrajectories, self.cameras[camera], rows)
                parts.append(self.vision[camera](pixels))
        return torch.cat(parts)


def motions(subtrajectories: SubTrajectories, indices: Index, scaling: Scaling) -> Float:
    """(B, L * (S + A)) normalised states and actions of sub-trajectories, flattened."""
    rows, store = subtrajectories.rows(indices), subtrajectories.store
    both = [scaling.state(store.state[rows]), scaling.action(store.action[rows])]
    flat: Float = np.concatenate(both, axis=2).reshape(len(indices), -1).clip(-LIMIT, LIMIT)
    return flat


def learn_skill_space(
    sets: Sequence[SubTrajectories], config: SkillSpaceConfig, console: Console | None = None
) -> SkillSpace:
    """Learn a space from the sub-trajectories of some stores; each counts once, whatever its store.

    The same for the same seed and data: one thread does it, which is also the fastest for nets this small.

    Args:
        sets: of `config.length` steps each.
        config: how.
        console: where progress is shown.

    Raises:
        InputError: the stores do not fit together.
    """
    stores = [part.store for part in sets]
    if any(part.length != config.length for part in sets):
        raise InputError(f"The sub-trajectories have {config.length} steps, as the skill space says.")
    cameras = common_cameras(stores)
    features = len(stores[0].meta.state_names) + stores[0].meta.action.size
    rng = np.random.default_rng(config.seed)
    ends = np.cumsum([len(part) for part in sets])
    with (
        one_thread(),
        torch.random.fork_rng(devices=[]),
        JobProgress(console or Console(quiet=True), "skill space", config.steps, "pairs") as progress,
    ):
        torch.manual_seed(config.seed)
        space = SkillSpace(config, features, cameras, Scaling.of(stores))
        optimizer = torch.optim.AdamW(space.parameters(), lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
        for _ in range(config.steps):
            first, second, gap = _pairs(space, sets, ends, rng)
            losses = space.loss(first, second, gap)
            loss = (
                losses["reconstruction"]
                + config.kl_weight * losses["divergence"]
                + config.gap_weight * losses["gap"]
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            progress.advance(
                config.batch_size, f"reconstruction {losses['reconstruction']:.3f}, gap {losses['gap']:.4f}"
            )
    return space.eval()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread inside: sums in another order would be other numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _pairs(
    space: SkillSpace, sets: Sequence[SubTrajectories], ends: Index, rng: np.random.Generator
) -> tuple[_Sample, _Sample, Tensor]:
    """A batch of pairs, each of one episode, and how many steps later the second begins."""
    places = rng.integers(0, ends[-1], space.config.batch_size)
    which = np.searchsorted(ends, places, side="right")
    firsts, seconds, gaps = [], [], []
    for number in np.unique(which):
        part = sets[number]
        here = places[which == number] - (ends[number] - len(part))
        low = np.searchsorted(part.episode, part.episode[here], side="left")
        high = np.searchsorted(part.episode, part.episode[here], side="right")
        there = rng.integers(low, high)
        firsts.append(space.sample(part, here))
        seconds.append(space.sample(part, there))
        gaps.append(torch.from_numpy((part.start[there] - part.start[here]).astype(np.float32)))
    return _joined(firsts), _joined(seconds), torch.cat(gaps)


def _joined(samples: Sequence[_Sample]) -> _Sample:
    cameras = zip(*(sample.pictures for sample in samples), strict=True)
    return _Sample(
        torch.cat([sample.motion for sample in samples]), tuple(torch.cat(camera) for camera in cameras)
    )


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs)
    )


def _convnet(config: SkillSpaceConfig) -> nn.Sequential:
    """A picture to `image_feature` numbers: three halvings, then everything that is left."""
    side = config.image_size
    for _ in range(3):
        side = (side + 1) // 2
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Flatten()),
        nn.Linear(16 * side * side, config.image_feature),
    )
