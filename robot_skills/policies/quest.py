"""QueST, quantized skill transformer (Mete et al. 2024, arXiv 2407.15840).

Phase "codes": an autoencoder of chunks, whose encoder (causal convolutions over time, some of stride 2, then
a causal transformer) makes one code of every few steps by finite scalar quantization, and whose decoder is a
causal transformer with a query for each step, attending to the codes. Phase "policy": a causal transformer
over the context and the codes before says the next code (cross entropy). A prediction draws the codes one
after another and decodes them; nothing corrects them.

What differs from the paper and its release (`pairlab/QueST`): a convolution's window ends at the last step it
stands for (the release's ends at its first, so that no code sees the last `downsample - 1` actions); features
are normalised at each step, not over the whole chunk, which told every code of all actions; the end signal
and the training label `target` are read from the prior's output at the start token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.baseline import BaselineConfig, BaselinePolicy, check_heads
from robot_skills.policies.policy import Batch, Metrics, Stage, Texts
from robot_skills.policies.sampling import keyed_uniform, pick
from robot_skills.policies.settings import UNBOUNDED, check_range, check_ranges
from robot_skills.policies.star.fsq import FiniteScalarQuantizer
from robot_skills.policies.star.quantizer import perplexity
from robot_skills.policies.transformer import Seen, Stack, sinusoids

#: Setting -> its lowest and highest value.
AUTOENCODER_BOUNDS = dict.fromkeys(
    ("downsample", "width", "heads", "encoder_layers", "decoder_layers"), (1, UNBOUNDED)
)
#: As `AUTOENCODER_BOUNDS`.
BOUNDS = {
    **dict.fromkeys(("layers", "codes_steps", "top_codes"), (1, UNBOUNDED)),
    **dict.fromkeys(("temperature", "seed"), (0, UNBOUNDED)),
}


@dataclass(frozen=True)
class QuestCodesConfig:
    """QueST's codes.

    Attributes:
        grid: values of each number of a code; [8, 5, 5, 5] name 1000 codes, the paper's.
        downsample: steps a code stands for, a power of 2; 4 was best in the paper.
        width, heads: of encoder and decoder; the paper's width is 256.
        encoder_layers, decoder_layers: of the transformers, the paper's.
        dropout: the paper's.
    """

    grid: tuple[int, ...] = (8, 5, 5, 5)
    downsample: int = 4
    width: int = 64
    heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_ranges(self, AUTOENCODER_BOUNDS, "codes.")
        check_range("codes.dropout", self.dropout, 0, 0.9)
        check_heads("codes.width", self.width, self.heads)
        if not self.grid or min(self.grid) < 3:
            raise InputError(f"codes.grid holds numbers of at least 3 values, not {list(self.grid)}.")
        if self.downsample & (self.downsample - 1):
            raise InputError(f"codes.downsample is a power of 2, not {self.downsample}.")


@dataclass(frozen=True)
class QuestConfig(BaselineConfig):
    """QueST; what every baseline has is described there.

    Attributes:
        chunk, execute: the paper's are 32 and 8 steps at 20 Hz; 16 are as long at 10 Hz.
        codes: of action chunks.
        layers: of the prior; the paper has 6, of width 384.
        temperature, top_codes: at which codes are drawn, and of how many likeliest, the paper's; a
            temperature of 0 picks the likeliest.
        seed: of predictions' draws, which are otherwise a function of the states seen.
        codes_steps: of the phase "codes".
    """

    chunk: int = 16
    execute: int = 8
    codes: QuestCodesConfig = field(default_factory=QuestCodesConfig)
    layers: int = 3
    temperature: float = 1.0
    top_codes: int = 5
    seed: int = 0
    codes_steps: int = 3000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, BOUNDS)
        if self.chunk % self.codes.downsample:
            raise InputError(f"codes.downsample ({self.codes.downsample}) divides the chunk ({self.chunk}).")


class QuestPolicy(BaselinePolicy):
    """Phase "codes", without images, then phase "policy"."""

    config_class: ClassVar[type[Any]] = QuestConfig
    name: ClassVar[str] = "quest"
    precision: ClassVar[torch.dtype] = torch.float32  # rounding must not tip the choice of a code
    config: QuestConfig
    code_use: Tensor  # (3,): codes used, their perplexity, reconstruction

    def __init__(self, config: QuestConfig | None = None) -> None:
        config = config or QuestConfig()
        super().__init__(config, config.width)
        self.autoencoder = SkillAutoencoder(config.codes, config.chunk, config.action_size)
        self.prior = CodePrior(config, self.tokens)
        self.end = nn.Linear(config.width, config.chunk)
        self.register_buffer("code_use", torch.zeros(3))

    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""
        config = self.config
        context = self.see(images, history, text, skill)
        chance = keyed_uniform(history, config.seed, self.autoencoder.length)
        codes, summary = self.prior.draw(context, chance, config.temperature, config.top_codes)
        return self.restore_actions(self.autoencoder.decode(codes)), self.end(summary).sigmoid()

    def stages(self) -> tuple[Stage, ...]:
        """Codes first, from actions alone; then everything else."""
        config = self.config
        codes = Stage("codes", config.codes_steps, 256, config.learning_rate, images=False)
        return codes, self.policy_stage()

    @torch.no_grad()
    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in statistics and words; note how the codes came out."""
        super().begin_stage(name, statistics, sample)
        if name == "policy":
            self.autoencoder.eval()
            chunks = self.normalise_actions(sample["actions"])
            codes = self.autoencoder.encode(chunks)
            use = self.autoencoder.use(codes)
            error = F.l1_loss(self.autoencoder.decode(codes), chunks)
            self.code_use.copy_(torch.stack([(use > 0).sum().float(), perplexity(use), error]))
        self.requires_grad_(name == "policy")
        self.autoencoder.requires_grad_(name == "codes")

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """The loss of a phase; augmentation in training mode only.

        In evaluation mode the policy's own, likeliest codes are decoded as well, to log their error.
        """
        self.check_stage(name)
        actions = self.normalise_actions(batch["actions"])
        if name == "codes":
            return self.autoencoder.loss(actions)
        self.autoencoder.eval()  # codes stay as they are, whatever mode the policy is in
        codes = self.autoencoder.encode(actions)
        context, _ = self.see_batch(batch)
        logits, summary = self.prior(context, codes)
        code = F.cross_entropy(logits.flatten(0, 1), codes.flatten())
        parts = {"code": code, "code_accuracy": (logits.argmax(-1) == codes).float().mean()}
        if not self.training:
            picked, _ = self.prior.draw(context, codes, 0.0, None)
            parts["action"] = F.l1_loss(self.autoencoder.decode(picked), actions)
        return self.with_signals(code, parts, batch, summary, self.end(summary))

    def report(self) -> dict[str, Any]:
        """Sizes, words, and how the codes serve the training chunks."""
        used, spread, error = self.code_use.tolist()
        return super().report() | {
            "codes": self.autoencoder.codes,
            "codes_per_chunk": self.autoencoder.length,
            "codes_used": int(used),
            "code_perplexity": spread,
            "reconstruction": error,
        }


class SkillAutoencoder(nn.Module):
    """Normalised chunks (B, T, A) to codes (B, L), L = T / downsample, and back."""

    steps: Tensor
    places: Tensor

    def __init__(self, config: QuestCodesConfig, chunk: int, action_size: int) -> None:
        super().__init__()
        self.length, self.codes = chunk // config.downsample, math.prod(config.grid)
        width, halvings = config.width, config.downsample.bit_length() - 1
        self.read = nn.Linear(action_size, width)
        # The release's kernels and strides: 5, 3, 3 and 2, 2, 1 at a fourth of the steps.
        layers = zip([5] + [3] * halvings, [2] * halvings + [1], strict=True)
        self.convolutions = nn.Sequential(*(_CausalConvolution(width, k, s) for k, s in layers))
        self.encoder = Stack(width, config.encoder_layers, config.heads, config.dropout)
        self.quantizer = FiniteScalarQuantizer(config.grid, width)
        self.decoder = Stack(width, config.decoder_layers, config.heads, config.dropout, memory=True)
        self.out = nn.Linear(width, action_size)
        self.register_buffer("places", sinusoids(self.length, width), persistent=False)
        self.register_buffer("steps", sinusoids(chunk, width), persistent=False)

    def loss(self, chunks: Tensor) -> tuple[Tensor, Metrics]:
        """Mean absolute error of the reconstruction."""
        quantized = self.quantizer(self._latents(chunks).flatten(0, 1))
        vectors = quantized.vectors.view(len(chunks), self.length, -1)
        loss = F.l1_loss(self._decode(vectors), chunks)
        use = self.use(self.quantizer.pack(quantized.indices))
        return loss, {"reconstruction": loss.detach(), "perplexity": perplexity(use)}

    def use(self, codes: Tensor) -> Tensor:
        """Share of some codes on each of the K, (K,). One-hot rows would take K times their memory."""
        flat = codes.flatten()
        counts = torch.zeros(self.codes, device=flat.device)
        return counts.index_add_(0, flat, torch.ones_like(flat, dtype=counts.dtype)) / len(flat)

    @torch.no_grad()
    def encode(self, chunks: Tensor) -> Tensor:
        """Codes (B, L) int64, each below `codes`."""
        indices = self.quantizer(self._latents(chunks).flatten(0, 1)).indices
        return self.quantizer.pack(indices).view(len(chunks), self.length)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Chunks (B, T, A) of codes (B, L)."""
        vectors = self.quantizer.look_up(self.quantizer.unpack(codes.flatten()))
        return self._decode(vectors.view(*codes.shape, -1))

    def _latents(self, chunks: Tensor) -> Tensor:
        """(B, L, width): each sees the steps it stands for and those before."""
        hidden = self.convolutions(self.read(chunks).transpose(1, 2)).transpose(1, 2)
        latents: Tensor = self.encoder(hidden + self.places, causal=True)
        return latents

    def _decode(self, vectors: Tensor) -> Tensor:
        queries = self.steps.expand(len(vectors), -1, -1)
        chunk: Tensor = self.out(self.decoder(queries, causal=True, memory=vectors + self.places))
        return chunk


class _CausalConvolution(nn.Module):
    """(B, width, N) to (B, width, N / stride): of each `stride` steps and those before."""

    def __init__(self, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.before = kernel - stride
        self.convolution = nn.Conv1d(width, width, kernel, stride)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        convolved = self.convolution(F.pad(x, (self.before, 0)))
        return F.mish(self.norm(convolved.transpose(1, 2)).transpose(1, 2))


class CodePrior(nn.Module):
    """Contexts (B, C, width) and codes so far to the next code."""

    positions: Tensor

    def __init__(self, config: QuestConfig, context: int) -> None:
        super().__init__()
        length, codes = config.chunk // config.codes.downsample, math.prod(config.codes.grid)
        self.start = codes  # the token that asks for the first code
        self.embeddings = nn.Embedding(codes + 1, config.width)
        nn.init.normal_(self.embeddings.weight, std=0.5)
        self.places = nn.Parameter(torch.randn(context, config.width) * 0.02)
        self.stack = Stack(config.width, config.layers, config.heads, config.dropout)
        self.head = nn.Linear(config.width, codes)
        self.drop = nn.Dropout(config.dropout)
        self.register_buffer("positions", sinusoids(length, config.width), persistent=False)

    def forward(self, context: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, L, K) of each of the codes (B, L) given those before, and a summary (B, width)."""
        tokens = self.drop(self._begin(context, codes[:, :-1]))
        hidden = self.stack(tokens, causal=True)[:, context.shape[1] :]
        return self.head(hidden), hidden[:, 0]

    @torch.no_grad()
    def draw(
        self, context: Tensor, chance: Tensor, temperature: float, top: int | None
    ) -> tuple[Tensor, Tensor]:
        """Codes (B, L), each drawn given those before it by its chance (B, L), and the summary (B, width)."""
        none = torch.empty(len(context), 0, dtype=torch.int64, device=context.device)
        hidden, seen = self.stack.extend(self._begin(context, none))
        summary, picked = hidden[:, -1], list[Tensor]()
        for place in range(len(self.positions)):
            if place:
                hidden, seen = self._follow(picked[-1], place, seen)
            picked.append(pick(self.head(hidden[:, -1]), chance[:, place], temperature, top))
        return torch.stack(picked, dim=1), summary

    def _begin(self, context: Tensor, codes: Tensor) -> Tensor:
        """Context, start token and codes (B, n) as tokens (B, C + 1 + n, width)."""
        start = torch.full((len(context), 1), self.start, device=context.device)
        embedded = self.embeddings(torch.cat([start, codes], dim=1)) + self.positions[: codes.shape[1] + 1]
        return torch.cat([context + self.places, embedded], dim=1)

    def _follow(self, code: Tensor, place: int, seen: list[Seen]) -> tuple[Tensor, list[Seen]]:
        return self.stack.extend((self.embeddings(code) + self.positions[place])[:, None], seen)
