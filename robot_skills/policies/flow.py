"""Flow-matching policy: chunks carried from noise to data along straight lines.

Rectified flow (Liu et al. 2023, arXiv 2209.03003; Lipman et al. 2023, arXiv 2210.02747), as in pi0 (Black et
al. 2024, arXiv 2410.24164): a chunk at time t is (1 - t) noise + t clean, and the network learns its
velocity, clean - noise. Denoisers, conditions and the loss are those of `robot_skills.policies.generative`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from robot_skills.policies.generative import Answer, GenerativeConfig, GenerativePolicy
from robot_skills.policies.settings import check_choice

#: Denoisers' levels of a flow are 100 t: their features, made for the steps of a schedule, then vary over it.
LEVELS = 100
#: pi0 draws (LATEST - t) / LATEST from a beta distribution, exponents 1.5 and 1: more of the noisy times.
LATEST, EXPONENT = 0.999, 1.5


@dataclass(frozen=True)
class FlowConfig(GenerativeConfig):
    """A flow-matching policy; what every generative policy has is described there.

    Attributes:
        times: "beta" draws more of the noisy times, as pi0 does: there the modes part. Or "uniform".
        solver: euler, as pi0, or midpoint, with two passes a step.
        sampler_steps: of the solver; pi0's 10.
    """

    times: str = "beta"
    solver: str = "euler"
    sampler_steps: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("times", self.times, ("beta", "uniform"))
        check_choice("solver", self.solver, ("euler", "midpoint"))


class FlowPolicy(GenerativePolicy):
    """The denoiser says which way chunks between noise and data move."""

    config_class: ClassVar[type[Any]] = FlowConfig
    name: ClassVar[str] = "flow"
    config: FlowConfig

    def __init__(self, config: FlowConfig | None = None) -> None:
        super().__init__(config or FlowConfig())

    def corrupt(self, clean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Chunks on the way at random times, and their velocity."""
        noise = torch.randn_like(clean)
        times = torch.rand(len(clean), device=clean.device)
        if self.config.times == "beta":  # u ** (1 / a) follows the beta distribution of a and 1
            times = LATEST * (1 - times.pow(1 / EXPONENT))
        noised = torch.lerp(noise, clean, times[:, None, None])
        return noised, LEVELS * times, clean - noise

    def generate(self, answer: Answer, noise: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Follow the velocity from time 0 to 1 in equal steps."""
        steps, half = self.config.sampler_steps, 0.5 if self.config.solver == "midpoint" else 0.0
        levels = torch.arange(steps, device=noise.device) * (LEVELS / steps)
        chunk = noise
        for level in levels[:, None]:
            way = answer(chunk, level)
            if half:
                way = answer(chunk + way * (half / steps), level + half * LEVELS / steps)
            chunk = chunk + way / steps
        return chunk
