"""The STAR policy: images, proprioception and language to skill codes, and codes to corrected actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.linear import Linear
from robot_skills.policies.policy import Batch, Metrics, PolicyInput, Stage, Texts
from robot_skills.policies.sampling import keyed_uniform, pick
from robot_skills.policies.star.config import StarConfig
from robot_skills.policies.star.refiner import REFINERS
from robot_skills.policies.star.tokenizer import ChunkTokenizer
from robot_skills.policies.star.transformer import Seen, Trunk
from robot_skills.policies.vision import normalise
from robot_skills.policies.visuomotor import VisuomotorPolicy


@dataclass(frozen=True)
class Reading:
    """What the trunk made of a batch.

    Attributes:
        features: (B, feature), for the refiner and the target.
        logits: (B, K) of each code predicted so far.
        seen: of each block, to predict the next code with.
    """

    features: Tensor
    logits: list[Tensor]
    seen: list[Seen]


class StarPolicy(VisuomotorPolicy):
    """Stage "codes" learns skill codes of action chunks; stage "policy" learns to compose and correct them.

    An action chunk is decoder(codes), refined given features and codes. The codes are picked one after
    another by a transformer, segment by segment and coarse to fine, and keep the modes of the demonstrations
    apart; the refiner is continuous, sees the codes that were picked, and carries the precision.
    """

    config_class: ClassVar[type[Any]] = StarConfig
    name: ClassVar[str] = "star"
    config: StarConfig
    code_use: Tensor

    def __init__(self, config: StarConfig | None = None) -> None:
        config = config or StarConfig()
        super().__init__(config)
        width, tokens = config.width, self.tokens
        self.tokenizer = ChunkTokenizer(config.codes, config.chunk // config.segments, config.action_size)
        self.trunk = Trunk(
            tokens,
            config.places,
            config.codes.codes,
            width,
            config.layers,
            config.heads,
            config.autoregressive,
            config.gist,
        )
        # Straight from the encoders as well: what the trunk mixes, the refiner also needs unmixed.
        self.fuse = nn.Sequential(Linear((tokens + 1) * width, config.feature), nn.GELU())
        # A position, in the frame of the base and from the gripper; any other label as it is.
        self.target = nn.Linear(config.feature, config.target_size * (2 if config.target_size == 3 else 1))
        self.offset = REFINERS[config.refiner](config)
        levels = config.codes.levels
        self.register_buffer("code_use", torch.zeros(levels, 3))  # used, perplexity, reconstruction
        self.register_buffer("code_joint", torch.tensor(0))

    # What the executor asks -------------------------------------------------------------------------

    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""
        actions, end, _ = self.answer(images, history, text, skill)
        return actions, end

    def answer(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `VisuomotorPolicy.answer`."""
        pixels = {name: normalise(images[name]) for name in self.cameras}
        reading = self._read(pixels, self.normalise_state(history), text, skill, None)
        chunk, end_logits, codes = self._play(reading, history)
        return self.restore_actions(chunk), end_logits.sigmoid(), codes

    def certainty(self, inputs: Sequence[PolicyInput]) -> list[float]:
        """How probable the likeliest codes of each input's chunk are to the model itself, in (0, 1].

        Raises:
            InputError: an observation lacks a camera, or has images or states of another size.
        """
        device = self._buffer("action_mean").device
        pixels = {name: normalise(self._images(name, inputs).to(device)) for name in self.cameras}
        state = self.normalise_state(self._histories(inputs).to(device))
        text = [item.text for item in inputs]
        with torch.inference_mode():
            skill = self.skill_indices([item.skill for item in inputs])
            codes = self._pick(self._read(pixels, state, text, skill, None), None, 0.0)
            logits = self._read(pixels, state, text, skill, codes).logits
            logs = [F.log_softmax(each, -1).gather(1, code[:, None]) for each, code in zip(
                logits, codes.unbind(1), strict=True)]  # fmt: skip
            chances: list[float] = torch.cat(logs, 1).sum(1).exp().tolist()
        return chances

    # What the trainer asks --------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        """Codes first, from actions alone; then everything else."""
        config = self.config
        return (
            Stage("codes", config.codes_steps, 1024, config.learning_rate, images=False),
            Stage("policy", config.policy_steps, config.batch_size, config.learning_rate),
        )

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in statistics and words; start the codebooks on the data, or note how they came out.

        Args:
            name: of the stage.
            statistics: as `robot_skills.data.loader.Windows.statistics` gives them.
            sample: a large batch; its images are not looked at.
        """
        self._check_stage(name)
        self.take_statistics(statistics, sample)
        segments = self._segments(self.normalise_actions(sample["actions"]))
        if name == "codes":
            self.tokenizer.start(segments)
        else:
            report = self.tokenizer.report(segments)
            rows = [report.used, report.perplexity, report.reconstruction]
            self.code_use.copy_(torch.tensor(rows).T)
            cast(Tensor, self.code_joint).fill_(report.joint)
        self.requires_grad_(name == "policy")
        self.tokenizer.requires_grad_(name == "codes")

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """The loss of a stage; augmentation and sampled codes in training mode only."""
        self._check_stage(name)
        actions = self.normalise_actions(batch["actions"])
        if name == "codes":
            return self.tokenizer.loss(self._segments(actions))
        self.tokenizer.eval()  # codes stay as they are, whatever mode the policy is in
        codes = self.encode(actions)
        pixels, state = self.augment(batch)
        reading = self._read(pixels, state, batch["text"], batch["skill"], codes)
        losses = self._losses(batch, actions, codes, reading)
        weights = self.config
        loss = (
            weights.action_weight * losses["action"]
            + weights.code_weight * losses["code"]
            + weights.target_weight * losses["target"]
            + weights.end_weight * losses["end"]
        )
        metrics = {key: value.detach() for key, value in losses.items()}
        for place, (logits, code) in enumerate(zip(reading.logits, codes.unbind(1), strict=True), start=1):
            metrics[f"code_{place}_accuracy"] = (logits.argmax(-1) == code).float().mean()
        if not self.training:
            chunk, _, _ = self._play(reading, batch["history"])
            metrics["chunk_error"] = F.l1_loss(chunk, actions)
        return loss, metrics

    def _losses(self, batch: Batch, actions: Tensor, codes: Tensor, reading: Reading) -> dict[str, Tensor]:
        """Every part of the policy's loss, unweighted, and some parts of parts that are only logged."""
        config = self.config
        smoothing = config.code_smoothing if self.training else 0.0
        per_place = [
            F.cross_entropy(logits, code, label_smoothing=smoothing)
            for logits, code in zip(reading.logits, codes.unbind(1), strict=True)
        ]
        sampled = self.training and config.own_codes == "sample"
        chance = torch.rand(codes.shape, device=codes.device) if sampled else None
        own = self._pick(reading, chance, 1.0)
        teacher, student = config.teacher_forcing, 1 - config.teacher_forcing
        true_action, true_end = self.offset.loss(reading.features, codes, self.decode(codes), actions)
        own_action, own_end = self.offset.loss(reading.features, own, self.decode(own), actions)
        over = batch["end"]
        return {
            "action": teacher * true_action + student * own_action,
            "action_true_codes": true_action,
            "action_own_codes": own_action,
            "code": torch.stack(per_place).mean(),
            "target": self.target_loss(batch, self.target(reading.features)),
            "end": teacher * self._end_loss(true_end, over) + student * self._end_loss(own_end, over),
        }

    def _end_loss(self, logits: Tensor, over: Tensor) -> Tensor:
        weight = 1 + (self.config.end_positive_weight - 1) * over
        return F.binary_cross_entropy_with_logits(logits, over, weight=weight)

    def report(self) -> dict[str, Any]:
        """Sizes, and how the codes serve the training chunks, level by level."""
        counted = {name: sum(p.numel() for p in part.parameters()) for name, part in self.named_children()}
        used, perplexities, errors = self.code_use.T.tolist()
        return {
            "parameters": sum(counted.values()),
            "parameters_of": counted,
            "refiner": self.config.refiner,
            "segments": self.config.segments,
            "estimator": self.config.codes.estimator,
            "codes_per_level": self.config.codes.codes,
            "codes_used": [int(count) for count in used],
            "code_perplexity": perplexities,
            "code_sequences_used": int(cast(Tensor, self.code_joint)),
            "reconstruction_by_levels": errors,
            "words": self.language.words(),
        }

    # Parts ------------------------------------------------------------------------------------------

    def encode(self, chunks: Tensor) -> Tensor:
        """Codes (B, N) int64 of normalised chunks (B, T, A): segment by segment, coarse to fine."""
        return self.tokenizer.encode(self._segments(chunks)).view(len(chunks), -1)

    def decode(self, codes: Tensor) -> Tensor:
        """Normalised chunks (B, T, A) of codes (B, N), out of the gradient."""
        segments = self.tokenizer.decode(codes.reshape(-1, self.config.codes.levels))
        return segments.reshape(len(codes), self.config.chunk, -1)

    def _segments(self, chunks: Tensor) -> Tensor:
        """Chunks (B, T, A) as B times `segments` parts of equal length."""
        return chunks.reshape(-1, self.config.chunk // self.config.segments, chunks.shape[2])

    def _read(
        self,
        pixels: Mapping[str, Tensor],
        state: Tensor,
        text: Texts,
        skill: Texts,
        codes: Tensor | None,
    ) -> Reading:
        """Encode a context and predict codes: all of them given true codes, or the first without."""
        context = self.context(pixels, state, text, skill)
        if codes is None:
            codes = torch.empty(len(context), 0, dtype=torch.int64, device=context.device)
        summary, logits, seen = self.trunk.read(context, codes)
        features = self.fuse(torch.cat([context.flatten(1), summary], dim=1))
        return Reading(features, logits, self.trunk.context_seen(seen, context.shape[1]))

    def _play(self, reading: Reading, history: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised actions (B, T, A), end logits (B, T), codes (B, N); chance hangs on the states."""
        config, noises = self.config, self.offset.noises
        sampled = config.places if config.temperature else 0
        chance = history.new_zeros(len(history), 0)
        if sampled + noises:
            chance = keyed_uniform(history, config.seed, sampled + noises)
        codes = self._pick(
            reading, chance[:, :sampled] if sampled else None, config.temperature, config.top_k, config.top_p
        )
        noise = 2**0.5 * torch.erfinv(2 * chance[:, sampled:] - 1)  # the normal quantile of the chance
        chunk, end = self.offset(reading.features, codes, self.decode(codes), noise)
        return chunk, end, codes

    @torch.no_grad()
    def _pick(
        self,
        reading: Reading,
        chance: Tensor | None,
        temperature: float,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> Tensor:
        """Pick codes (B, N) one after another, each given those before.

        Args:
            reading: of the context.
            chance: (B, N) in (0, 1); None: the likeliest codes, whatever the temperature.
            temperature: of sampling.
            top_k: as in `StarConfig`.
            top_p: as in `StarConfig`.
        """
        logits, seen = reading.logits[0], reading.seen
        picked: list[Tensor] = []
        for place in range(self.config.places):
            if place and self.config.autoregressive:
                logits, seen = self.trunk.follow(picked[-1], place - 1, seen)
            elif place:
                logits = reading.logits[place]
            if chance is None:
                picked.append(logits.argmax(-1))
            else:
                picked.append(pick(logits, chance[:, place], temperature, top_k or None, top_p))
        return torch.stack(picked, dim=1)

    def _check_stage(self, name: str) -> None:
        if name not in ("codes", "policy"):
            raise ValueError(f"The stages of StarPolicy are codes and policy, not {name!r}.")
