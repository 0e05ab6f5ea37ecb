"""What policies that make chunks of actions out of noise share: denoisers, conditions, noise, loss.

The chunk and the end signal are one sequence (T, A + 1) in [-1, 1]. The noise that a prediction begins with
(and goes on with) is a function of what the policy is given, so that the same observation gives the same
chunk, alone or in a batch.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.conditions import SKILL, Conditions, ConditionsConfig
from robot_skills.policies.denoisers.denoiser import Denoiser
from robot_skills.policies.denoisers.mlp import MlpDenoiser
from robot_skills.policies.denoisers.transformer import TransformerConfig, TransformerDenoiser
from robot_skills.policies.denoisers.unet import UNetConfig, UNetDenoiser
from robot_skills.policies.policy import Batch, Metrics, Stage, Texts
from robot_skills.policies.settings import UNBOUNDED, check_choice, check_ranges
from robot_skills.policies.vision import normalise
from robot_skills.policies.visuomotor import VisuomotorConfig, VisuomotorPolicy
from robot_skills.robot import ACTION_SIZE

DENOISERS = ("mlp", "unet", "transformer")
#: Setting -> its lowest and highest value.
BOUNDS = {
    **dict.fromkeys(
        ("hidden", "blocks", "noise_draws", "sampler_steps", "steps", "batch_size"), (1, UNBOUNDED)
    ),
    **dict.fromkeys(("target_weight", "learning_rate"), (0, UNBOUNDED)),
}
#: The denoiser's answer for noised chunks (B, T, n) and a level (1,), guidance and all.
Answer: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class GenerativeConfig(VisuomotorConfig):
    """What such policies have; what every visuomotor policy has is described there.

    Attributes:
        history: two states, as in Diffusion Policy, tell where things are moving.
        chunk, execute: 16 and 8, as in Diffusion Policy.
        denoiser: mlp, unet or transformer. The MLP is the fastest, and what Push-T was learned with.
        hidden, blocks: of the MLP. 256 and 4 make a policy of about the size of STAR.
        unet, transformer: the other denoisers.
        conditions: what a prediction can be asked for.
        sampler_steps: passes of the denoiser in a prediction.
        noise_draws: noised chunks that are learned from for each sample; Diffusion Policy's 1. Next to
            encoding images the MLP costs little (4 take 5 % longer than 1, with two cameras of 64 px on
            one core); for the U-Net 4 take twice as long, for the transformer nearly three times.
        target_weight: of the loss on the training label `target`.
        seed: of the noise of predictions.
        steps, batch_size, learning_rate: of the training, if the recipe does not say.
    """

    history: int = 2
    chunk: int = 16
    execute: int = 8
    denoiser: str = "mlp"
    hidden: int = 256
    blocks: int = 4
    unet: UNetConfig = field(default_factory=UNetConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    conditions: ConditionsConfig = field(default_factory=ConditionsConfig)
    sampler_steps: int = 16
    noise_draws: int = 4
    target_weight: float = 0.5
    seed: int = 0
    steps: int = 20_000
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, BOUNDS)
        check_choice("denoiser", self.denoiser, DENOISERS)
        names = self.conditions.names
        if SKILL in names and not self.skills:
            raise InputError('The condition "skill" needs the names of the skills in `skills`.')
        constrained = [name for name in names if name.startswith("constraint:")]
        if constrained and self.action_size != ACTION_SIZE:
            raise InputError(
                f"{constrained[0]} is known of actions of {ACTION_SIZE} numbers (translation, rotation, "
                f"gripper), not {self.action_size}."
            )


class GenerativePolicy(VisuomotorPolicy):
    """One phase, "policy": a denoiser learns from the data's chunks, given their context.

    A subclass says how chunks are noised (`corrupt`) and how they are made (`generate`).
    """

    precision: ClassVar[torch.dtype] = torch.float32  # many passes add up what half precision loses
    config: Any

    def __init__(self, config: GenerativeConfig) -> None:
        super().__init__(config)
        if SKILL in config.conditions.names:
            self.read_skill = None  # it is a condition, and told nowhere else
        size = self.tokens * config.width
        self.target = nn.Linear(size, config.target_size * (2 if config.target_size == 3 else 1))
        self.conditions = Conditions(config.conditions, len(config.skills), size, config.width)
        self.denoiser = _denoiser(config, self.tokens + len(config.conditions.names))

    @property
    def tokens(self) -> int:
        """Tokens of the context, without those of conditions."""
        return super().tokens - (SKILL in self.config.conditions.names)

    @abstractmethod
    def corrupt(self, clean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Noised chunks, levels (B,) and the wanted answers, for chunks (B, T, n) in [-1, 1]."""

    @abstractmethod
    def generate(self, answer: Answer, noise: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Chunks (B, T, n) out of noise; what more noise it takes comes from each row's generator."""

    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""
        config = self.config
        pixels = {name: normalise(images[name]) for name in self.cameras}
        context = self.context(pixels, self.normalise_state(history), text, skill)
        generators = [noise_generator(row, config.seed) for row in history.detach().cpu()]
        shape = (config.chunk, config.action_size + 1)
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
        answer = self._answer(context, self.skill_indices(skill))
        chunk = self.generate(answer, noise.to(context.device), generators)
        return self.restore(chunk[..., :-1]), ((chunk[..., -1] + 1) / 2).clamp(0, 1)

    def _answer(self, context: Tensor, skill: Tensor) -> Answer:
        """The guided denoiser for some contexts: all of its passes in one batch."""
        passes = self.conditions.passes()
        if self.config.conditions.names:
            values = self.conditions.asked(skill)
            given = torch.tensor([given for _, given in passes], device=context.device)
            told = [
                torch.cat([context, self.conditions(values, row.expand_as(values))], dim=1) for row in given
            ]
            context = torch.cat(told)
        conditions = self.denoiser.condition(context)
        if len(passes) == 1:
            return lambda chunk, level: self.denoiser(chunk, level, conditions)
        weights = torch.tensor([weight for weight, _ in passes], device=context.device).view(-1, 1, 1, 1)

        def guided(chunk: Tensor, level: Tensor) -> Tensor:
            answers = self.denoiser(chunk.repeat(len(passes), 1, 1), level, conditions)
            mixed: Tensor = (answers.view(len(passes), *chunk.shape) * weights).sum(0)
            return mixed

        return guided

    def stages(self) -> tuple[Stage, ...]:
        """All of it at once."""
        return (Stage("policy", self.config.steps, self.config.batch_size, self.config.learning_rate),)

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in statistics, words and the usual pace."""
        self.take_statistics(statistics, sample)
        if self.conditions.pace is not None:
            self.conditions.pace.start(sample["to_go"])

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """Squared error of the denoiser's answers; augmentation in training mode only."""
        config = self.config
        pixels, state = self.augment(batch)
        context = self.context(pixels, state, batch["text"], batch["skill"])
        flat = context.flatten(1)
        losses = {"target": self.target_loss(batch, self.target(flat))}
        if config.conditions.names:
            skill = self.skill_indices(batch["skill"])
            values, losses["pace"] = self.conditions.observe(flat, batch["actions"], skill, batch["to_go"])
            context = torch.cat([context, self.conditions(values, self.conditions.drop(values))], dim=1)
        end = batch["end"][..., None] * 2 - 1
        clean = torch.cat([self.scale(batch["actions"]), end], dim=-1).repeat(config.noise_draws, 1, 1)
        noised, levels, wanted = self.corrupt(clean)
        conditions = self.denoiser.condition(context)
        conditions = conditions.repeat(config.noise_draws, *[1] * (conditions.dim() - 1))
        losses["denoising"] = F.mse_loss(self.denoiser(noised, levels, conditions), wanted)
        loss = losses["denoising"] + config.target_weight * losses["target"] + losses.get("pace", 0)
        return loss, {key: value.detach() for key, value in losses.items()}

    def scale(self, actions: Tensor) -> Tensor:
        """Actions to [-1, 1], by the limits of the data's action space."""
        low, high = self._buffer("action_low"), self._buffer("action_high")
        return (actions - low) / (high - low).clamp_min(1e-6) * 2 - 1

    def restore(self, scaled: Tensor) -> Tensor:
        """The inverse of `scale`, within the limits."""
        low, high = self._buffer("action_low"), self._buffer("action_high")
        return (scaled.clamp(-1, 1) + 1) / 2 * (high - low) + low

    def report(self) -> dict[str, Any]:
        """Sizes, and what can be asked for."""
        counted = {name: sum(p.numel() for p in part.parameters()) for name, part in self.named_children()}
        return {
            "parameters": sum(counted.values()),
            "parameters_of": counted,
            "denoiser": self.config.denoiser,
            "conditions": list(self.config.conditions.names),
            "words": self.language.words(),
        }


def _denoiser(config: GenerativeConfig, tokens: int) -> Denoiser:
    size, width = config.action_size + 1, config.width
    if config.denoiser == "unet":
        return UNetDenoiser(size, tokens, width, config.unet)
    if config.denoiser == "transformer":
        return TransformerDenoiser(config.chunk, size, tokens, width, config.transformer)
    return MlpDenoiser(config.chunk, size, tokens, width, config.hidden, config.blocks)


def noise_generator(history: Tensor, seed: int) -> torch.Generator:
    """A generator whose noise is a function of the state history (H, S), on the CPU, and a seed."""
    key = zlib.crc32(history.to(torch.float32).contiguous().numpy().tobytes(), seed)
    return torch.Generator().manual_seed(key)
