"""Diffusion policy (Chi et al. 2023, arXiv 2303.04137): chunks of actions denoised from noise.

Denoisers, conditions and the loss are those of `robot_skills.policies.generative`; the noise schedule and
the samplers are those of `diffusers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from robot_skills.errors import require
from robot_skills.policies.generative import Answer, GenerativeConfig, GenerativePolicy
from robot_skills.policies.settings import check_choice, check_range

#: name -> class in `diffusers`, of samplers that share the training schedule.
SAMPLERS = {"ddpm": "DDPMScheduler", "ddim": "DDIMScheduler", "dpm": "DPMSolverMultistepScheduler"}


@dataclass(frozen=True)
class DiffusionConfig(GenerativeConfig):
    """A diffusion policy; what every generative policy has is described there.

    Attributes:
        noise_steps: of the training schedule (squared cosine), 100 as in the paper.
        sampler: ddpm, ddim or dpm.
        sampler_steps: denoising steps of a prediction; 16 as the paper's real robots.
        prediction: what the network says of a noised chunk: the noise in it ("epsilon"), the chunk
            ("sample"), or "v_prediction" (Salimans and Ho 2022).
    """

    noise_steps: int = 100
    sampler: str = "ddim"
    sampler_steps: int = 16
    prediction: str = "epsilon"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("noise_steps", self.noise_steps, 1)
        check_range("sampler_steps", self.sampler_steps, 1, self.noise_steps)
        check_choice("sampler", self.sampler, tuple(SAMPLERS))
        check_choice("prediction", self.prediction, ("epsilon", "sample", "v_prediction"))


class DiffusionPolicy(GenerativePolicy):
    """The denoiser says what `prediction` names of chunks between noise and data."""

    config_class: ClassVar[type[Any]] = DiffusionConfig
    name: ClassVar[str] = "diffusion"
    config: DiffusionConfig
    signal: Tensor
    spread: Tensor

    def __init__(self, config: DiffusionConfig | None = None) -> None:
        config = config or DiffusionConfig()
        super().__init__(config)
        # Kept on the policy's device: the schedulers move theirs there at every call.
        kept = scheduler("ddpm", config).alphas_cumprod.clone()
        self.register_buffer("signal", kept.sqrt(), persistent=False)
        self.register_buffer("spread", (1 - kept).sqrt(), persistent=False)

    def corrupt(self, clean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Noised chunks at random levels of the schedule, and what the denoiser should say of them."""
        noise = torch.randn_like(clean)
        levels = torch.randint(self.config.noise_steps, (len(clean),), device=clean.device)
        signal, spread = self.signal[levels][:, None, None], self.spread[levels][:, None, None]
        noised = signal * clean + spread * noise
        if self.config.prediction == "v_prediction":
            return noised, levels, signal * noise - spread * clean
        return noised, levels, noise if self.config.prediction == "epsilon" else clean

    def generate(self, answer: Answer, noise: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Denoise along the sampler's steps; DDPM adds noise on the way, each row its own."""
        sampler = scheduler(self.config.sampler, self.config)
        sampler.set_timesteps(self.config.sampler_steps)
        options = {"generator": generators} if self.config.sampler == "ddpm" else {}
        chunk, levels = noise, sampler.timesteps.to(noise.device)
        for place, level in enumerate(sampler.timesteps):
            said = answer(chunk, levels[place : place + 1])
            chunk = sampler.step(said, level, chunk, **options).prev_sample
        return chunk


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
