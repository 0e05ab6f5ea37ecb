"""The STAR policy: images, proprioception and language to skill codes, and codes to corrected actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.policy import Batch, Metrics, Stage, Texts
from robot_skills.policies.star.config import StarConfig
from robot_skills.policies.star.tokenizer import ChunkTokenizer
from robot_skills.policies.star.transformer import Seen, Trunk
from robot_skills.policies.vision import normalise
from robot_skills.policies.visuomotor import VisuomotorPolicy


@dataclass(frozen=True)
class Reading:
    """What the trunk made of a batch.

    Attributes:
        features: (B, feature), for the offset and the target.
        logits: (B, K) of each level predicted so far.
        seen: of each block, to predict the next level with.
    """

    features: Tensor
    logits: list[Tensor]
    seen: list[Seen]


class StarPolicy(VisuomotorPolicy):
    """Stage "codes" learns skill codes of action chunks; stage "policy" learns to compose and correct them.

    An action chunk is decoder(codes) + offset(features, codes). The codes are picked coarse to fine by a
    transformer and keep the modes of the demonstrations apart; the offset is continuous, sees the codes that
    were picked, and carries the precision.
    """

    config_class: ClassVar[type[Any]] = StarConfig
    name: ClassVar[str] = "star"
    config: StarConfig
    code_use: Tensor

    def __init__(self, config: StarConfig | None = None) -> None:
        config = config or StarConfig()
        super().__init__(config)
        width, tokens = config.width, self.tokens
        self.tokenizer = ChunkTokenizer(config.codes, config.chunk, config.action_size)
        self.trunk = Trunk(
            tokens, config.codes.levels, config.codes.codes, width, config.layers, config.heads
        )
        # Straight from the encoders as well: what the trunk mixes, the offset also needs unmixed.
        self.fuse = nn.Sequential(nn.Linear((tokens + 1) * width, config.feature), nn.GELU())
        # A position, in the frame of the base and from the gripper; any other label as it is.
        self.target = nn.Linear(config.feature, config.target_size * (2 if config.target_size == 3 else 1))
        self.offset = OffsetHead(config)
        levels = config.codes.levels
        self.register_buffer("code_use", torch.zeros(levels, 3))  # used, perplexity, reconstruction
        self.register_buffer("code_joint", torch.tensor(0))
        self._generator = torch.Generator().manual_seed(config.seed)

    # What the executor asks -------------------------------------------------------------------------

    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""
        pixels = {name: normalise(images[name]) for name in self.cameras}
        reading = self._read(pixels, self.normalise_state(history), text, skill, None)
        codes = self._pick(reading, self.config.temperature, self._generator)
        chunk, end_logits = self._compose(reading.features, codes)
        return self.restore_actions(chunk), end_logits.sigmoid()

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
        chunks = self.normalise_actions(sample["actions"])
        if name == "codes":
            self.tokenizer.start(chunks)
        else:
            report = self.tokenizer.report(chunks)
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
            return self.tokenizer.loss(actions)
        self.tokenizer.eval()  # codes stay as they are, whatever mode the policy is in
        codes = self.tokenizer.encode(actions)
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
        for level, (logits, code) in enumerate(zip(reading.logits, codes.unbind(1), strict=True), start=1):
            metrics[f"code_{level}_accuracy"] = (logits.argmax(-1) == code).float().mean()
        return loss, metrics

    def _losses(self, batch: Batch, actions: Tensor, codes: Tensor, reading: Reading) -> dict[str, Tensor]:
        """Every part of the policy's loss, unweighted, and some parts of parts that are only logged."""
        config = self.config
        smoothing = config.code_smoothing if self.training else 0.0
        per_level = [
            F.cross_entropy(logits, code, label_smoothing=smoothing)
            for logits, code in zip(reading.logits, codes.unbind(1), strict=True)
        ]
        sampled = self.training and config.own_codes == "sample"
        own = self._pick(reading, 1.0 if sampled else 0.0, None)
        teacher, student = config.teacher_forcing, 1 - config.teacher_forcing
        true_chunk, true_end = self._compose(reading.features, codes)
        own_chunk, own_end = self._compose(reading.features, own)
        true_action, own_action = F.l1_loss(true_chunk, actions), F.l1_loss(own_chunk, actions)
        over = batch["end"]
        return {
            "action": teacher * true_action + student * own_action,
            "action_true_codes": true_action,
            "action_own_codes": own_action,
            "code": torch.stack(per_level).mean(),
            "target": self.target_loss(batch, self.target(reading.features)),
            "end": teacher * self._end_loss(true_end, over) + student * self._end_loss(own_end, over),
        }

    def _end_loss(self, logits: Tensor, over: Tensor) -> Tensor:
        weight = logits.new_tensor(self.config.end_positive_weight)
        return F.binary_cross_entropy_with_logits(logits, over, pos_weight=weight)

    def report(self) -> dict[str, Any]:
        """Sizes, and how the codes serve the training chunks, level by level."""
        counted = {name: sum(p.numel() for p in part.parameters()) for name, part in self.named_children()}
        used, perplexities, errors = self.code_use.T.tolist()
        return {
            "parameters": sum(counted.values()),
            "parameters_of": counted,
            "estimator": self.config.codes.estimator,
            "codes_per_level": self.config.codes.codes,
            "codes_used": [int(count) for count in used],
            "code_perplexity": perplexities,
            "code_sequences_used": int(cast(Tensor, self.code_joint)),
            "reconstruction_by_levels": errors,
            "words": self.language.words(),
        }

    # Parts ------------------------------------------------------------------------------------------

    def _read(
        self,
        pixels: Mapping[str, Tensor],
        state: Tensor,
        text: Texts,
        skill: Texts,
        codes: Tensor | None,
    ) -> Reading:
        """Encode a context and predict codes: all levels given true codes, or the first without."""
        context = self.context(pixels, state, text, skill)
        if codes is None:
            codes = torch.empty(len(context), 0, dtype=torch.int64, device=context.device)
        summary, logits, seen = self.trunk.read(context, codes)
        features = self.fuse(torch.cat([context.flatten(1), summary], dim=1))
        return Reading(features, logits, self.trunk.context_seen(seen, context.shape[1]))

    @torch.no_grad()
    def _pick(self, reading: Reading, temperature: float, generator: torch.Generator | None) -> Tensor:
        """Pick codes (B, D) coarse to fine, each given those picked before."""
        logits, seen = reading.logits[0], reading.seen
        picked: list[Tensor] = []
        for level in range(self.config.codes.levels):
            if level:
                logits, seen = self.trunk.follow(picked[-1], level - 1, seen)
            if temperature == 0:
                picked.append(logits.argmax(-1))
                continue
            shares = (logits / temperature).softmax(-1)
            if generator is not None:
                shares = shares.to(generator.device)
            picked.append(torch.multinomial(shares, 1, generator=generator)[:, 0].to(logits.device))
        return torch.stack(picked, dim=1)

    def _compose(self, features: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised actions (B, T, A) and end logits (B, T) for codes (B, D)."""
        offset, end = self.offset(features, codes)
        return self.tokenizer.decode(codes) + offset, end

    def _check_stage(self, name: str) -> None:
        if name not in ("codes", "policy"):
            raise ValueError(f"The stages of StarPolicy are codes and policy, not {name!r}.")


class OffsetHead(nn.Module):
    """Features (B, feature) and hard codes (B, D) to an offset of the chunk and the end's logits."""

    def __init__(self, config: StarConfig) -> None:
        super().__init__()
        self.config = config
        codes, width = config.codes, config.offset_width
        self.embeddings = nn.Embedding(codes.levels * codes.codes, config.feature)
        nn.init.normal_(self.embeddings.weight, std=0.3)
        self.layers = nn.Sequential(
            nn.Linear(2 * config.feature, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.out = nn.Linear(width, config.chunk * (config.action_size + 1))
        with torch.no_grad():
            self.out.weight.mul_(0.1)  # at first the codes speak alone
            self.out.bias.zero_()

    def forward(self, features: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Offset (B, T, A) and end logits (B, T)."""
        config, size = self.config, self.config.action_size
        places = config.codes.codes * torch.arange(config.codes.levels, device=codes.device)
        code = self.embeddings(codes + places).sum(1)
        out = self.out(self.layers(torch.cat([features, code], dim=1)))
        out = out.view(len(codes), config.chunk, size + 1)
        return out[..., :size], out[..., size]
