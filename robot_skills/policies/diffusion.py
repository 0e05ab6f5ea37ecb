"""Diffusion policy (Chi et al. 2023, arXiv 2303.04137): chunks of actions denoised from noise.

The chunk and the end signal are one vector, (T, A + 1), that a residual MLP denoises given the context; the
schedulers are those of `diffusers`. The noise that a prediction begins with is a function of what the policy
is given, so that the same observation gives the same chunk, alone or in a batch.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import require
from robot_skills.policies.policy import Batch, Metrics, Stage, Texts
from robot_skills.policies.settings import UNBOUNDED, check_choice, check_range, check_ranges
from robot_skills.policies.vision import normalise
from robot_skills.policies.visuomotor import VisuomotorConfig, VisuomotorPolicy

#: name -> class in `diffusers`, of samplers that share the training schedule.
SAMPLERS = {"ddpm": "DDPMScheduler", "ddim": "DDIMScheduler", "dpm": "DPMSolverMultistepScheduler"}
#: Sine and cosine features of the noise level.
FREQUENCIES = 32
#: Setting -> its lowest and highest value.
BOUNDS = {
    **dict.fromkeys(
        ("hidden", "blocks", "noise_steps", "noise_draws", "steps", "batch_size"), (1, UNBOUNDED)
    ),
    **dict.fromkeys(("target_weight", "learning_rate"), (0, UNBOUNDED)),
}


@dataclass(frozen=True)
class DiffusionConfig(VisuomotorConfig):
    """A diffusion policy; what every visuomotor policy has is described there.

    Attributes:
        history: two states, as in the paper, tell where things are moving.
        chunk, execute: 16 and 8, as in the paper.
        hidden, blocks: of the residual MLP that denoises.
        noise_steps: of the training schedule (squared cosine), 100 as in the paper.
        sampler: ddpm, ddim or dpm.
        sampler_steps: denoising steps of a prediction.
        prediction: what the network says of a noised chunk: the noise in it ("epsilon"), the chunk
            ("sample"), or "v_prediction" (Salimans and Ho 2022).
        noise_draws: noised chunks that are learned from for each sample: next to encoding an image,
            denoising costs little.
        target_weight: of the loss on the training label `target`.
        seed: of the noise that predictions begin with.
        steps, batch_size, learning_rate: of the training, if the recipe does not say.
    """

    history: int = 2
    chunk: int = 16
    execute: int = 8
    hidden: int = 512
    blocks: int = 4
    noise_steps: int = 100
    sampler: str = "ddim"
    sampler_steps: int = 16
    prediction: str = "epsilon"
    noise_draws: int = 4
    target_weight: float = 0.5
    seed: int = 0
    steps: int = 20_000
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, BOUNDS)
        check_range("sampler_steps", self.sampler_steps, 1, self.noise_steps)
        check_choice("sampler", self.sampler, tuple(SAMPLERS))
        check_choice("prediction", self.prediction, ("epsilon", "sample", "v_prediction"))


class DiffusionPolicy(VisuomotorPolicy):
    """One phase, "policy": the network learns to denoise the data's chunks given their context."""

    config_class: ClassVar[type[Any]] = DiffusionConfig
    name: ClassVar[str] = "diffusion"
    precision: ClassVar[torch.dtype] = torch.float32  # many passes add up what half precision loses
    config: DiffusionConfig

    def __init__(self, config: DiffusionConfig | None = None) -> None:
        config = config or DiffusionConfig()
        super().__init__(config)
        size = self.tokens * config.width
        self.target = nn.Linear(size, config.target_size * (2 if config.target_size == 3 else 1))
        self.denoiser = Denoiser(config.chunk * (config.action_size + 1), size, config.hidden, config.blocks)
        self.schedule = scheduler("ddpm", config)

    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""
        config = self.config
        pixels = {name: normalise(images[name]) for name in self.cameras}
        context = self.context(pixels, self.normalise_state(history), text, skill).flatten(1)
        noise = [first_noise(row, config.seed, config.chunk * (config.action_size + 1)) for row in history]
        chunk = torch.stack(noise).to(context.device).view(len(noise), config.chunk, config.action_size + 1)
        sampler = scheduler(config.sampler, config)
        sampler.set_timesteps(config.sampler_steps)
        generator = torch.Generator(context.device).manual_seed(config.seed)
        options = {"generator": generator} if config.sampler == "ddpm" else {}
        conditions = self.denoiser.condition(context)
        for level in sampler.timesteps:
            levels = level.expand(len(chunk)).to(context.device)
            answer = self.denoiser(chunk.flatten(1), levels, conditions).view_as(chunk)
            chunk = sampler.step(answer, level, chunk, **options).prev_sample
        return self.restore(chunk[..., :-1]), ((chunk[..., -1] + 1) / 2).clamp(0, 1)

    def stages(self) -> tuple[Stage, ...]:
        """All of it at once."""
        return (Stage("policy", self.config.steps, self.config.batch_size, self.config.learning_rate),)

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in statistics and words."""
        self.take_statistics(statistics, sample)

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """Squared error of what the network says of noised chunks; augmentation in training mode only."""
        config = self.config
        pixels, state = self.augment(batch)
        context = self.context(pixels, state, batch["text"], batch["skill"]).flatten(1)
        end = batch["end"][..., None] * 2 - 1
        clean = torch.cat([self.scale(batch["actions"]), end], dim=-1).flatten(1)
        clean = clean.repeat(config.noise_draws, 1)
        noise = torch.randn_like(clean)
        levels = torch.randint(config.noise_steps, (len(clean),), device=clean.device)
        noised = self.schedule.add_noise(clean, noise, levels)
        wanted = {"epsilon": noise, "sample": clean}.get(config.prediction)
        if wanted is None:
            wanted = self.schedule.get_velocity(clean, noise, levels)
        conditions = self.denoiser.condition(context).repeat(config.noise_draws, 1)
        denoising = F.mse_loss(self.denoiser(noised, levels, conditions), wanted)
        target = self.target_loss(batch, self.target(context))
        loss = denoising + config.target_weight * target
        return loss, {"denoising": denoising.detach(), "target": target.detach()}

    def scale(self, actions: Tensor) -> Tensor:
        """Actions to [-1, 1], by the limits of the data's action space."""
        low, high = self._buffer("action_low"), self._buffer("action_high")
        return (actions - low) / (high - low).clamp_min(1e-6) * 2 - 1

    def restore(self, scaled: Tensor) -> Tensor:
        """The inverse of `scale`, within the limits."""
        low, high = self._buffer("action_low"), self._buffer("action_high")
        return (scaled.clamp(-1, 1) + 1) / 2 * (high - low) + low

    def report(self) -> dict[str, Any]:
        """Sizes."""
        counted = {name: sum(p.numel() for p in part.parameters()) for name, part in self.named_children()}
        return {
            "parameters": sum(counted.values()),
            "parameters_of": counted,
            "words": self.language.words(),
        }


class Denoiser(nn.Module):
    """Noised vectors (B, n), their noise levels (B,) and conditions (B, hidden) to (B, n)."""

    def __init__(self, size: int, context: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.condition = nn.Sequential(nn.Linear(context, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.level = nn.Sequential(nn.Linear(2 * FREQUENCIES, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.enter = nn.Linear(size, hidden)
        self.blocks = nn.ModuleList(_Block(hidden) for _ in range(blocks))
        self.leave = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, size))

    def forward(self, noised: Tensor, levels: Tensor, conditions: Tensor) -> Tensor:
        """Say what `DiffusionConfig.prediction` names; `conditions` come from `self.condition`."""
        scale = math.log(1000) / (FREQUENCIES - 1)
        frequencies = torch.exp(-scale * torch.arange(FREQUENCIES, device=noised.device))
        angles = levels[:, None] * frequencies
        given = conditions + self.level(torch.cat([angles.sin(), angles.cos()], dim=1))
        hidden = self.enter(noised) + given
        for block in self.blocks:
            hidden = block(hidden, given)
        answer: Tensor = self.leave(hidden)
        return answer


class _Block(nn.Module):
    """A residual block that is nothing at first."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.widen, self.narrow = nn.Linear(hidden, 2 * hidden), nn.Linear(2 * hidden, hidden)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, hidden: Tensor, given: Tensor) -> Tensor:
        change: Tensor = self.narrow(F.gelu(self.widen(self.norm(hidden) + given)))
        return hidden + change


def scheduler(name: str, config: DiffusionConfig) -> Any:
    """The `diffusers` scheduler of a sampler on the config's training schedule.

    Raises:
        InputError: diffusers is not installed.
    """
    schedulers = require("diffusers.schedulers", "diffusion")
    options: dict[str, Any] = {
        "num_train_timesteps": config.noise_steps,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": config.prediction,
    }
    # Clean chunks lie in [-1, 1]. The solver has no option for that but thresholding, at a quantile of 1.
    if name == "dpm":
        options |= {"thresholding": True, "dynamic_thresholding_ratio": 1.0, "sample_max_value": 1.0}
    else:
        options["clip_sample"] = True
    return getattr(schedulers, SAMPLERS[name])(**options)


def first_noise(history: Tensor, seed: int, size: int) -> Tensor:
    """Noise (n,) that is a function of the state history (H, S) and a seed."""
    key = zlib.crc32(history.detach().to("cpu", torch.float32).contiguous().numpy().tobytes(), seed)
    return torch.randn(size, generator=torch.Generator().manual_seed(key))
