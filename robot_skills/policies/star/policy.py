"""The STAR policy: images, proprioception and language to skill codes, and codes to corrected actions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.language import language_encoder
from robot_skills.policies.policy import Batch, Chunk, PolicyInput, Stage, to_numpy
from robot_skills.policies.registry import read_config
from robot_skills.policies.star.config import StarConfig
from robot_skills.policies.star.tokenizer import ChunkTokenizer
from robot_skills.policies.star.transformer import Seen, Trunk
from robot_skills.policies.vision import VisionEncoder, normalise, random_shift
from robot_skills.robot import ACTION_SIZE

#: Smallest standard deviations that normalisation divides by: what hardly moves is not blown up.
STATE_FLOOR, ACTION_FLOOR, TARGET_FLOOR = 0.005, 0.05, 0.02
#: Normalised states are clipped here: beyond lies a fault, or a pose no demonstration came near.
STATE_LIMIT = 5.0
WEIGHTS, STATISTICS = "model.safetensors", "stats.safetensors"


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


class StarPolicy(nn.Module):
    """Stage "codes" learns skill codes of action chunks; stage "policy" learns to compose and correct them.

    An action chunk is decoder(codes) + offset(features, codes). The codes are picked coarse to fine by a
    transformer and keep the modes of the demonstrations apart; the offset is continuous, sees the codes that
    were picked, and carries the precision.
    """

    code_use: Tensor

    def __init__(self, config: StarConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StarConfig()
        width, text = config.width, config.language.width
        self.tokenizer = ChunkTokenizer(config.codes, config.chunk, ACTION_SIZE)
        self.language = language_encoder(config.language)
        self.vision = nn.ModuleDict(
            {name: VisionEncoder(config.vision, text, width) for name in config.cameras}
        )
        self.read_text = nn.Linear(text, width)
        self.read_state = nn.Sequential(
            nn.Linear(config.history * config.state_size, width), nn.GELU(), nn.Linear(width, width)
        )
        tokens = len(config.cameras) + 2
        self.trunk = Trunk(
            tokens, config.codes.levels, config.codes.codes, width, config.layers, config.heads
        )
        # Straight from the encoders as well: what the trunk mixes, the offset also needs unmixed.
        self.fuse = nn.Sequential(nn.Linear((tokens + 1) * width, config.feature), nn.GELU())
        self.target = nn.Linear(config.feature, 6)
        self.offset = OffsetHead(config)
        for name, size in (("state", config.state_size), ("action", ACTION_SIZE), ("target", 3)):
            self.register_buffer(f"stats_{name}_mean", torch.zeros(size))
            self.register_buffer(f"stats_{name}_std", torch.ones(size))
        levels = config.codes.levels
        self.register_buffer("code_use", torch.zeros(levels, 3))  # used, perplexity, reconstruction
        self.register_buffer("code_joint", torch.tensor(0))
        self._generator = torch.Generator().manual_seed(config.seed)

    # What the executor asks -------------------------------------------------------------------------

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras an observation must hold."""
        return self.config.cameras

    @property
    def history(self) -> int:
        """H."""
        return self.config.history

    @property
    def chunk(self) -> int:
        """T."""
        return self.config.chunk

    @property
    def execute(self) -> int:
        """Actions played of a chunk."""
        return self.config.execute

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        """One chunk for each input.

        Raises:
            InputError: an observation lacks a camera, or has images or states of another size.
        """
        if not inputs:
            return []
        device = self._buffer("action_mean").device
        images = {name: self._images(name, inputs).to(device) for name in self.cameras}
        history = self._histories(inputs).to(device)
        with torch.inference_mode():
            actions, end = self.act(images, history, [item.text for item in inputs])
        played, over = to_numpy(actions), to_numpy(end)
        return [Chunk(actions=played[i], end=over[i]) for i in range(len(inputs))]

    def act(self, images: Mapping[str, Tensor], history: Tensor, text: list[str]) -> tuple[Tensor, Tensor]:
        """Actions (B, T, 7) in [-1, 1] and end probabilities (B, T), for tensors as in `Batch`."""
        pixels = {name: normalise(images[name]) for name in self.cameras}
        reading = self._read(pixels, self._normalise_state(history), text, None)
        codes = self._pick(reading, self.config.temperature, self._generator)
        chunk, end_logits = self._compose(reading.features, codes)
        actions = chunk * self._deviation("action", ACTION_FLOOR) + self._buffer("action_mean")
        return actions.clamp(-1, 1), end_logits.sigmoid()

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
            statistics: {state, action, target}_{mean, std}.
            sample: a large batch; its images are not looked at.
        """
        self._check_stage(name)
        for key in ("state_mean", "state_std", "action_mean", "action_std", "target_mean", "target_std"):
            self._buffer(key).copy_(torch.nan_to_num(statistics[key]))
        self.language.learn_vocabulary(sample["text"])
        chunks = self._normalise_actions(sample["actions"])
        if name == "codes":
            self.tokenizer.start(chunks)
        else:
            report = self.tokenizer.report(chunks)
            rows = [report.used, report.perplexity, report.reconstruction]
            self.code_use.copy_(torch.tensor(rows).T)
            cast(Tensor, self.code_joint).fill_(report.joint)
        self.requires_grad_(name == "policy")
        self.tokenizer.requires_grad_(name == "codes")

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a stage; augmentation and sampled codes in training mode only."""
        self._check_stage(name)
        actions = self._normalise_actions(batch["actions"])
        if name == "codes":
            return self.tokenizer.loss(actions)
        self.tokenizer.eval()  # codes stay as they are, whatever mode the policy is in
        codes = self.tokenizer.encode(actions)
        pixels, state = self._augment(batch)
        reading = self._read(pixels, state, batch["text"], codes)
        losses = self._losses(batch, actions, codes, reading)
        weights = self.config
        loss = (
            weights.action_weight * losses["action"]
            + weights.code_weight * losses["code"]
            + weights.target_weight * losses["target"]
            + weights.end_weight * losses["end"]
        )
        metrics = {key: value.item() for key, value in losses.items()}
        for level, (logits, code) in enumerate(zip(reading.logits, codes.unbind(1), strict=True), start=1):
            metrics[f"code_{level}_accuracy"] = (logits.argmax(-1) == code).float().mean().item()
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
            "target": self._target_loss(batch, reading.features),
            "end": teacher * self._end_loss(true_end, over) + student * self._end_loss(own_end, over),
        }

    def _end_loss(self, logits: Tensor, over: Tensor) -> Tensor:
        weight = logits.new_tensor(self.config.end_positive_weight)
        return F.binary_cross_entropy_with_logits(logits, over, pos_weight=weight)

    def _target_loss(self, batch: Batch, features: Tensor) -> Tensor:
        """Mean absolute error of where the argument is, absolute and from the gripper, where it is known."""
        known = batch["target"].isfinite().all(dim=-1)
        where = torch.nan_to_num(batch["target"])
        deviation = self._deviation("target", TARGET_FLOOR)
        gripper_deviation = self._deviation("state", STATE_FLOOR)[:3]
        absolute = (where - self._buffer("target_mean")) / deviation
        gripper = batch["history"][:, -1, :3]
        centre = self._buffer("target_mean") - self._buffer("state_mean")[:3]
        relative = (where - gripper - centre) / (deviation.square() + gripper_deviation.square()).sqrt()
        error = (self.target(features) - torch.cat([absolute, relative], dim=-1)).abs().mean(-1)
        loss: Tensor = (error * known).sum() / known.sum().clamp_min(1)
        return loss

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

    # Folders ----------------------------------------------------------------------------------------

    def save_pretrained(self, folder: Path, precision: torch.dtype = torch.float16) -> None:
        """Write config.json, model.safetensors and stats.safetensors.

        Args:
            folder: made if need be; each file is written under another name first.
            precision: of the weights. Half precision moves actions by less than 1e-3; codebooks and
                statistics stay as they are.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name for name, _ in self.named_parameters()}
        weights, statistics = {}, {}
        for name, value in self.state_dict().items():
            tensor = value.detach().cpu()
            if name.startswith("stats_"):
                statistics[name.removeprefix("stats_")] = tensor.contiguous()
            else:
                weights[name] = tensor.to(precision if name in trained else tensor.dtype).contiguous()
        for file, tensors in ((WEIGHTS, weights), (STATISTICS, statistics)):
            new = folder / f".{file}.new"
            save_file(tensors, new)
            new.replace(folder / file)
        new = folder / ".config.json.new"
        new.write_text(json.dumps(self.config.to_json(), indent=2) + "\n")
        new.replace(folder / "config.json")

    @classmethod
    def from_pretrained(cls, folder: Path) -> StarPolicy:
        """Read a folder, in float32 and evaluation mode.

        Raises:
            InputError: it is not one, is damaged, or of another format version.
        """
        folder = Path(folder)
        data = read_config(folder)
        if data.get("policy") != "star":
            raise InputError(f"{folder} holds a policy {data.get('policy')!r}, not 'star'.")
        policy = cls(StarConfig.from_json(data))
        try:
            weights = load_file(folder / WEIGHTS)
            statistics = load_file(folder / STATISTICS)
            weights |= {f"stats_{name}": value for name, value in statistics.items()}
            policy.load_state_dict(weights)
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{folder} is damaged: {reason}. Copy it again, or train it again.") from error
        return policy.eval()

    # Parts ------------------------------------------------------------------------------------------

    def _read(
        self, pixels: Mapping[str, Tensor], state: Tensor, text: list[str], codes: Tensor | None
    ) -> Reading:
        """Encode a context and predict codes: all levels given true codes, or the first without."""
        language = self.language(text)
        views = [self.vision[name](pixels[name], language) for name in self.cameras]
        context = torch.stack([self.read_text(language), self._read_history(state), *views], dim=1)
        if codes is None:
            codes = torch.empty(len(context), 0, dtype=torch.int64, device=context.device)
        summary, logits, seen = self.trunk.read(context, codes)
        features = self.fuse(torch.cat([context.flatten(1), summary], dim=1))
        return Reading(features, logits, self.trunk.context_seen(seen, context.shape[1]))

    def _read_history(self, state: Tensor) -> Tensor:
        """The present state and how the earlier ones differ from it, (B, H, S) to (B, width)."""
        present = state[:, -1]
        differences = state[:, :-1] - present[:, None]
        token: Tensor = self.read_state(torch.cat([present, differences.flatten(1)], dim=1))
        return token

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
        """Normalised actions (B, T, 7) and end logits (B, T) for codes (B, D)."""
        offset, end = self.offset(features, codes)
        return self.tokenizer.decode(codes) + offset, end

    def _augment(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Pixels and normalised states, shifted, jittered and noised in training mode."""
        config = self.config
        state = self._normalise_state(batch["history"])
        if not self.training:
            return {name: normalise(batch["images"][name]) for name in self.cameras}, state
        if config.state_noise:
            state = state + config.state_noise * torch.randn_like(state)
        pixels = {
            name: normalise(random_shift(batch["images"][name], shift), config.vision.jitter)
            for name, shift in zip(self.cameras, config.shift, strict=True)
        }
        return pixels, state

    def _images(self, camera: str, inputs: Sequence[PolicyInput]) -> Tensor:
        size, arrays = self.config.image_size, []
        for item in inputs:
            image = item.observation.images.get(camera)
            if image is None:
                seen = ", ".join(item.observation.images) or "no camera"
                raise InputError(f"The policy needs the camera {camera!r}; the observation holds {seen}.")
            if image.shape != (size, size, 3) or image.dtype != np.uint8:
                raise InputError(
                    f"The policy was trained on ({size}, {size}, 3) uint8 images; camera {camera!r} gives "
                    f"{image.shape} {image.dtype}."
                )
            arrays.append(image)
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()

    def _histories(self, inputs: Sequence[PolicyInput]) -> Tensor:
        expected = (self.config.history, self.config.state_size)
        for item in inputs:
            if item.history.shape != expected:
                raise InputError(f"The policy takes a history of shape {expected}, not {item.history.shape}.")
        return torch.from_numpy(np.stack([item.history for item in inputs]).astype(np.float32))

    def _normalise_state(self, history: Tensor) -> Tensor:
        state = (history - self._buffer("state_mean")) / self._deviation("state", STATE_FLOOR)
        return state.clamp(-STATE_LIMIT, STATE_LIMIT)

    def _normalise_actions(self, actions: Tensor) -> Tensor:
        return (actions - self._buffer("action_mean")) / self._deviation("action", ACTION_FLOOR)

    def _buffer(self, name: str) -> Tensor:
        return cast(Tensor, getattr(self, f"stats_{name}"))

    def _deviation(self, name: str, floor: float) -> Tensor:
        return self._buffer(f"{name}_std").clamp_min(floor)

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
        self.out = nn.Linear(width, config.chunk * (ACTION_SIZE + 1))
        with torch.no_grad():
            self.out.weight.mul_(0.1)  # at first the codes speak alone
            self.out.bias.zero_()

    def forward(self, features: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Offset (B, T, 7) and end logits (B, T)."""
        config = self.config
        places = config.codes.codes * torch.arange(config.codes.levels, device=codes.device)
        code = self.embeddings(codes + places).sum(1)
        out = self.out(self.layers(torch.cat([features, code], dim=1)))
        out = out.view(len(codes), config.chunk, ACTION_SIZE + 1)
        return out[..., :ACTION_SIZE], out[..., ACTION_SIZE]
