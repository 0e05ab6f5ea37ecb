"""VQ-BeT, behaviour transformer over residual VQ codes (Lee et al. 2024, arXiv 2403.03181).

Phase "codes": a residual VQ autoencoder of chunks. Phase "policy": a causal transformer reads the context and
an action query; from the query's output one head says every level's code at once (focal loss), another an
offset for each code of each level. A chunk is decoder(codes picked) + the offsets of those codes, summed.

What differs from the paper and its releases: the present context alone, without past images and without
queries for past chunks; the codebooks start on k-means and dead codes are revived (`star/`), the straight-
through estimator and the moving averages are the paper's; the loss weights, see `VQBeTConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.baseline import BaselineConfig, BaselinePolicy
from robot_skills.policies.policy import Batch, Metrics, Stage, Texts
from robot_skills.policies.sampling import keyed_uniform, pick
from robot_skills.policies.settings import UNBOUNDED, check_choice, check_ranges
from robot_skills.policies.star.config import CodesConfig
from robot_skills.policies.star.tokenizer import ChunkTokenizer, mlp
from robot_skills.policies.transformer import Stack

#: Setting -> its lowest and highest value.
BOUNDS = {
    **dict.fromkeys(("layers", "head_width", "codes_steps"), (1, UNBOUNDED)),
    **dict.fromkeys(
        ("focal_power", "offset_weight", "code_weight", "fine_code_weight", "temperature", "seed"),
        (0, UNBOUNDED),
    ),
}


def _codes() -> CodesConfig:
    """The paper's codes: two levels of 16, straight-through, every chunk decoded from both levels."""
    return CodesConfig(levels=2, codes=16, latent=64, estimator="ste", level_dropout=0.0)


@dataclass(frozen=True)
class VQBeTConfig(BaselineConfig):
    """VQ-BeT; what every baseline has is described there.

    Attributes:
        codes: two levels of 16, the paper's.
        layers: of the transformer; LeRobot's port has 8 of width 512.
        head_width: of the two hidden layers of each head; the paper's code has 1024.
        focal_power: gamma of the focal loss, the paper's.
        offset_weight, code_weight, fine_code_weight: of the offset's mean absolute error, of the first
            level's focal loss, and of each further level's. LeRobot has 10,000 : 5 : .5, QueST's
            comparison 100 : 1 : .5; only their ratios count, since the norm of gradients is clipped and
            Adam scales them. The offset at 1 keeps the loss on `target` where the other policies have it.
        offset_codes: which codes the offset is learned for: "drawn" from the model, as in the paper's code,
            or "true", the data's own. A demonstration that went another way than the code drawn teaches
            that code's offset its own way, so that of two ways the rarer is lost.
        temperature: at which codes are drawn, in training and in predictions, LeRobot's; 0: the likeliest.
        seed: of predictions' draws, which are otherwise a function of the states seen.
        codes_steps: of the phase "codes".
    """

    codes: CodesConfig = field(default_factory=_codes)
    layers: int = 3
    head_width: int = 256
    focal_power: float = 2.0
    offset_weight: float = 1.0
    code_weight: float = 0.01
    fine_code_weight: float = 0.005
    offset_codes: str = "drawn"
    temperature: float = 0.1
    seed: int = 0
    codes_steps: int = 3000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, BOUNDS)
        check_choice("offset_codes", self.offset_codes, ("drawn", "true"))


class VQBeTPolicy(BaselinePolicy):
    """Phase "codes", without images, then phase "policy"."""

    config_class: ClassVar[type[Any]] = VQBeTConfig
    name: ClassVar[str] = "vqbet"
    precision: ClassVar[torch.dtype] = torch.float32  # rounding must not tip the choice of a code
    config: VQBeTConfig
    code_use: Tensor  # (D, 3): used, perplexity, reconstruction
    code_joint: Tensor  # distinct sequences of codes

    def __init__(self, config: VQBeTConfig | None = None) -> None:
        config = config or VQBeTConfig()
        super().__init__(config, config.width)
        codes, width = config.codes, config.width
        self.tokenizer = ChunkTokenizer(codes, config.chunk, config.action_size)
        self.query = nn.Parameter(torch.randn(1, width) * 0.02)
        self.places = nn.Parameter(torch.randn(self.tokens + 1, width) * 0.02)
        self.trunk = Stack(width, config.layers, config.heads, config.dropout)
        self.code_head = mlp(width, config.head_width, codes.levels * codes.codes)
        offsets = codes.levels * codes.codes * config.chunk * config.action_size
        self.offset_head = mlp(width, config.head_width, offsets)
        self.end = nn.Linear(width, config.chunk)
        self._shape = (codes.levels, codes.codes)
        self.register_buffer("code_use", torch.zeros(codes.levels, 3))
        self.register_buffer("code_joint", torch.tensor(0))

    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""
        features = self.read(self.see(images, history, text, skill))
        chance = keyed_uniform(history, self.config.seed, self.config.codes.levels)
        picked = pick(self.code_logits(features), chance, self.config.temperature)
        return self.restore_actions(self.compose(features, picked)), self.end(features).sigmoid()

    def stages(self) -> tuple[Stage, ...]:
        """Codes first, from actions alone; then everything else."""
        config = self.config
        codes = Stage("codes", config.codes_steps, 1024, config.learning_rate, images=False)
        return codes, self.policy_stage()

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in statistics and words; start the codebooks on the data, or note how they came out."""
        super().begin_stage(name, statistics, sample)
        chunks = self.normalise_actions(sample["actions"])
        if name == "codes":
            self.tokenizer.start(chunks)
        else:
            report = self.tokenizer.report(chunks)
            rows = [report.used, report.perplexity, report.reconstruction]
            self.code_use.copy_(torch.tensor(rows).T)
            self.code_joint.fill_(report.joint)
        self.requires_grad_(name == "policy")
        self.tokenizer.requires_grad_(name == "codes")

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """The loss of a phase; augmentation and drawn codes in training mode only."""
        self.check_stage(name)
        actions, config = self.normalise_actions(batch["actions"]), self.config
        if name == "codes":
            return self.tokenizer.loss(actions)
        self.tokenizer.eval()  # codes stay as they are, whatever mode the policy is in
        codes = self.tokenizer.encode(actions)
        context, _ = self.see_batch(batch)
        features = self.read(context)
        logits = self.code_logits(features)
        chance = torch.rand(codes.shape, device=codes.device)
        picked = pick(logits.detach(), chance, config.temperature if self.training else 0.0)
        if self.training and config.offset_codes == "true":
            picked = codes
        offset = F.l1_loss(self.compose(features, picked), actions)
        per_level = focal_loss(logits, codes, config.focal_power)
        coarse, fine = per_level[0], per_level[1:].sum()
        code = config.code_weight * coarse + config.fine_code_weight * fine
        parts = {"action": offset}
        right = (logits.argmax(-1) == codes).float().mean(0)
        for level in range(config.codes.levels):
            parts |= {f"code_{level + 1}": per_level[level], f"code_{level + 1}_accuracy": right[level]}
        loss = config.offset_weight * offset + code
        return self.with_signals(loss, parts, batch, features, self.end(features))

    def read(self, context: Tensor) -> Tensor:
        """Features (B, width): what the action query gathers from a context (B, tokens, width)."""
        query = self.query.expand(len(context), -1, -1)
        tokens: Tensor = self.trunk(torch.cat([context, query], dim=1) + self.places, causal=True)
        return tokens[:, -1]

    def code_logits(self, features: Tensor) -> Tensor:
        """Logits (B, D, K) of every level's code."""
        logits: Tensor = self.code_head(features).view(len(features), *self._shape)
        return logits

    def compose(self, features: Tensor, picked: Tensor) -> Tensor:
        """Normalised actions (B, T, A) for codes (B, D)."""
        chunk: Tensor = self.tokenizer.decode(picked)
        offsets: Tensor = self.offset_head(features).view(len(picked), *self._shape, -1)
        chosen = offsets.gather(2, picked[..., None, None].expand(-1, -1, 1, offsets.shape[-1]))
        corrected: Tensor = chunk + chosen.sum((1, 2)).view_as(chunk)
        return corrected

    def report(self) -> dict[str, Any]:
        """Sizes, words, and how the codes serve the training chunks, level by level."""
        used, perplexities, errors = self.code_use.T.tolist()
        return super().report() | {
            "codes_per_level": self.config.codes.codes,
            "codes_used": [int(count) for count in used],
            "code_perplexity": perplexities,
            "code_sequences_used": int(self.code_joint),
            "reconstruction_by_levels": errors,
        }


def focal_loss(logits: Tensor, codes: Tensor, power: float) -> Tensor:
    """Focal loss of each level, (D,): the mean of -(1 - p)^power log p, p the code's own probability.

    Lin et al. 2017, arXiv 1708.02002; with a power of 0, cross entropy.

    Args:
        logits: (B, D, K).
        codes: (B, D) int64, the true ones.
        power: gamma; the higher, the less is learned from what is known.
    """
    log_likelihood = logits.log_softmax(-1).gather(-1, codes[..., None])[..., 0]
    return -((1 - log_likelihood.exp()).clamp_min(0) ** power * log_likelihood).mean(0)
