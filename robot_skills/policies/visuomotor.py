"""What policies that learn from images, proprioception and text share: inputs, normalisation, folders."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from robot_skills.errors import InputError, unknown
from robot_skills.policies.argument_map import ArgumentMap, ArgumentMapConfig, PointedLanguage
from robot_skills.policies.language import LanguageConfig, language_encoder
from robot_skills.policies.policy import Batch, Chunk, PolicyInput, Texts, to_numpy
from robot_skills.policies.registry import FORMAT_VERSION, read_config
from robot_skills.policies.settings import UNBOUNDED, check_range, check_ranges
from robot_skills.policies.vision import VisionConfig, VisionEncoder, normalise, random_shift, vision_encoder
from robot_skills.robot import ACTION_SIZE
from robot_skills.training.configuration import from_mapping, to_mapping

#: Smallest standard deviations that normalisation divides by: what hardly moves is not blown up.
STATE_FLOOR, ACTION_FLOOR, TARGET_FLOOR = 0.005, 0.05, 0.02
#: Normalised states are clipped here: beyond lies a fault, or a pose no demonstration came near.
STATE_LIMIT = 5.0
WEIGHTS, STATISTICS = "model.safetensors", "stats.safetensors"
#: Limits of actions in folders from before they were kept: the contract's.
LIMITS = {"action_low": -1.0, "action_high": 1.0}

PolicyT = TypeVar("PolicyT", bound="VisuomotorPolicy")
ConfigT = TypeVar("ConfigT")


#: Setting -> its lowest and highest value.
BOUNDS = {
    **dict.fromkeys(
        ("history", "state_size", "action_size", "target_size", "chunk", "width"), (1, UNBOUNDED)
    ),
    "image_size": (16, UNBOUNDED),
    "state_noise": (0, UNBOUNDED),
}


@dataclass(frozen=True)
class VisuomotorConfig:
    """The settings that every such policy has.

    Attributes:
        cameras: names, each with an encoder of its own; none: the policy acts on the state alone.
        shift: random shift of each camera's images in training, pixels. A wrist camera sees a pixel as
            fewer millimetres than the front one, but its image is also where the gripper will close.
        image_size: pixels of a side; 64 renders and trains fastest.
        history: H, states in `PolicyInput.history`; 1, or more where motion tells what a state does not.
        state_size: S.
        state_noise: training noise on the normalised state; .02 is about 2 mm of position.
        action_size: A.
        target_size: numbers of the training label `target`; 3 is a position.
        chunk: T; .8 s at 10 Hz.
        execute: actions played of a chunk; the probe's 4 of 8.
        width: of a context token.
        argument_map: whether the policy is shown where its argument is.
        skills: names of the skills that one policy learns together, each a learned token of the context
            (Huang et al. 2023, Skill Transformer, names the skill so); none: the policy of one skill.
    """

    cameras: tuple[str, ...] = ("front", "wrist")
    shift: tuple[int, ...] = (3, 1)
    image_size: int = 64
    history: int = 1
    state_size: int = 10
    state_noise: float = 0.02
    action_size: int = ACTION_SIZE
    target_size: int = 3
    chunk: int = 8
    execute: int = 4
    vision: VisionConfig = field(default_factory=VisionConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    argument_map: ArgumentMapConfig = field(default_factory=ArgumentMapConfig)
    width: int = 128
    skills: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.skills)) != len(self.skills):
            raise InputError(f"skills names each skill once, not {list(self.skills)}.")
        if len(set(self.cameras)) != len(self.cameras):
            raise InputError(f"cameras names each camera once, not {list(self.cameras)}.")
        if len(self.shift) != len(self.cameras):
            raise InputError(f"shift holds one number a camera ({len(self.cameras)}), not {len(self.shift)}.")
        check_ranges(self, BOUNDS)
        check_range("execute", self.execute, 1, self.chunk)
        for shift in self.shift:
            check_range("shift", shift, 0, self.image_size // 4)


class VisuomotorPolicy(nn.Module, ABC):
    """Reads a context (B, tokens, width): text, proprioceptive history, each camera's, and the skill's.

    A subclass names its config's class in `config_class` and its registered name in `name`, and offers
    `act`, `stages`, `begin_stage`, `loss` and `report`.
    """

    config_class: ClassVar[type[Any]]
    name: ClassVar[str]
    #: Of stored weights. Half precision moves the actions of one pass through a network by less than 1e-3.
    precision: ClassVar[torch.dtype] = torch.float16
    config: Any

    def __init__(self, config: VisuomotorConfig) -> None:
        super().__init__()
        self.config = config
        width, text = config.width, config.language.width
        self.language = language_encoder(config.language)
        self.argument_map: ArgumentMap | None = None
        if config.argument_map.kind != "none" and config.cameras:
            self.argument_map = ArgumentMap(config.argument_map, config.cameras, width)
            self.language = PointedLanguage(self.language, self.argument_map.words)
        channels = 3 + config.argument_map.channels
        encoders = (
            vision_encoder(config.vision, text, width, config.image_size, channels) for _ in config.cameras
        )
        self.vision = nn.ModuleDict(dict(zip(config.cameras, encoders, strict=True)))
        self.read_text = nn.Linear(text, width)
        self.read_state = nn.Sequential(
            nn.Linear(config.history * config.state_size, width), nn.GELU(), nn.Linear(width, width)
        )
        self.read_skill = nn.Embedding(len(config.skills), width) if config.skills else None
        sizes = {"state": config.state_size, "action": config.action_size, "target": config.target_size}
        for name, size in sizes.items():
            self.register_buffer(f"stats_{name}_mean", torch.zeros(size))
            self.register_buffer(f"stats_{name}_std", torch.ones(size))
        for name, value in LIMITS.items():
            self.register_buffer(f"stats_{name}", torch.full((config.action_size,), value))

    @property
    def tokens(self) -> int:
        """Tokens of the context."""
        views = sum(cast(VisionEncoder, encoder).tokens for encoder in self.vision.values())
        pointed = 0 if self.argument_map is None else self.argument_map.tokens
        return views + 2 + pointed + bool(self.config.skills)

    # What the executor asks -------------------------------------------------------------------------

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras an observation must hold."""
        return cast("tuple[str, ...]", self.config.cameras)

    @property
    def history(self) -> int:
        """H."""
        return int(self.config.history)

    @property
    def chunk(self) -> int:
        """T."""
        return int(self.config.chunk)

    @property
    def execute(self) -> int:
        """Actions played of a chunk."""
        return int(self.config.execute)

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
            skill = self.skill_indices([item.skill for item in inputs])
            actions, end, codes = self.answer(images, history, [item.text for item in inputs], skill)
        played, over = to_numpy(actions), to_numpy(end)
        picked = [None] * len(inputs) if codes is None else codes.cpu().numpy()
        return [Chunk(actions=played[i], end=over[i], codes=picked[i]) for i in range(len(inputs))]

    def answer(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """What `act` says, and the skill codes (B, N) behind it, of a policy that picks any."""
        return *self.act(images, history, text, skill), None

    @abstractmethod
    def act(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and end probabilities (B, T), for tensors as in `Batch`."""

    # Parts ------------------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> Batch:
        """The batch with its words as tensors, so that nothing is left to do but to compute."""
        text, skill = batch["text"], batch["skill"]
        return {
            **batch,
            "text": text if isinstance(text, Tensor) else self.language.tokens(text),
            "skill": self.skill_indices(skill),
        }

    def skill_indices(self, skills: Texts) -> Tensor:
        """Places of skills among those the policy knows, (B,) int64; zeros if it has but one.

        Raises:
            InputError: a skill is not among them.
        """
        if isinstance(skills, Tensor):
            return skills
        known = {name: place for place, name in enumerate(self.config.skills)}
        for name in skills if known else ():
            if name not in known:
                raise unknown("skill of this policy", name, known)
        places = [known.get(name, 0) for name in skills]
        return torch.tensor(places, device=self._buffer("action_mean").device)

    def take_statistics(self, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in the data's statistics and words, before the first phase of training."""
        names = [name for name, _ in self.named_buffers(recurse=False) if name.startswith("stats_")]
        for name in (name.removeprefix("stats_") for name in names):
            if name in statistics or name not in LIMITS:
                self._buffer(name).copy_(torch.nan_to_num(statistics[name]))
        if not isinstance(sample["text"], Tensor):
            self.language.learn_vocabulary(sample["text"])

    def context(self, pixels: Mapping[str, Tensor], state: Tensor, text: Texts, skill: Texts) -> Tensor:
        """Encode normalised pixels and states, as `augment` gives them; (B, tokens, width)."""
        language, pointed = self.language(text), list[Tensor]()
        if self.argument_map is not None and isinstance(self.language, PointedLanguage):
            pixels, pointed = self.argument_map(pixels, self.language.phrases(text, state.device))
        views = [self.vision[name](pixels[name], language) for name in self.cameras]
        told = torch.stack([self.read_text(language), self._read_history(state)], dim=1)
        named = [] if self.read_skill is None else [self.read_skill(self.skill_indices(skill))[:, None]]
        return torch.cat([told, *views, *pointed, *named], dim=1)

    def _read_history(self, state: Tensor) -> Tensor:
        """The present state and how the earlier ones differ from it, (B, H, S) to (B, width)."""
        present = state[:, -1]
        differences = state[:, :-1] - present[:, None]
        token: Tensor = self.read_state(torch.cat([present, differences.flatten(1)], dim=1))
        return token

    def augment(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Pixels and normalised states, shifted, jittered and noised in training mode."""
        config = self.config
        state = self.normalise_state(batch["history"])
        if not self.training:
            return {name: normalise(batch["images"][name]) for name in self.cameras}, state
        if config.state_noise:
            state = state + config.state_noise * torch.randn_like(state)
        pixels = {
            name: normalise(random_shift(batch["images"][name], shift), config.vision.jitter)
            for name, shift in zip(self.cameras, config.shift, strict=True)
        }
        return pixels, state

    def normalise_state(self, history: Tensor) -> Tensor:
        """States in standard deviations from their mean, clipped."""
        state = (history - self._buffer("state_mean")) / self.deviation("state", STATE_FLOOR)
        return state.clamp(-STATE_LIMIT, STATE_LIMIT)

    def normalise_actions(self, actions: Tensor) -> Tensor:
        """Actions in standard deviations from their mean."""
        return (actions - self._buffer("action_mean")) / self.deviation("action", ACTION_FLOOR)

    def restore_actions(self, actions: Tensor) -> Tensor:
        """The inverse of `normalise_actions`, within the limits of the data's action space."""
        restored = actions * self.deviation("action", ACTION_FLOOR) + self._buffer("action_mean")
        return restored.clamp(self._buffer("action_low"), self._buffer("action_high"))

    def target_loss(self, batch: Batch, predicted: Tensor) -> Tensor:
        """Mean absolute error of the training label `target`, where it is known.

        Args:
            batch: what is learned from.
            predicted: (B, n): the target, in standard deviations; and, if n is twice its size, where it is
                from the first features of the state (the gripper).
        """
        known = batch["target"].isfinite().all(dim=-1)
        where = torch.nan_to_num(batch["target"])
        deviation, mean = self.deviation("target", TARGET_FLOOR), self._buffer("target_mean")
        wanted = [(where - mean) / deviation]
        size = where.shape[1]
        if predicted.shape[1] == 2 * size:
            gripper_deviation = self.deviation("state", STATE_FLOOR)[:size]
            centre = mean - self._buffer("state_mean")[:size]
            spread = (deviation.square() + gripper_deviation.square()).sqrt()
            wanted.append((where - batch["history"][:, -1, :size] - centre) / spread)
        error = (predicted - torch.cat(wanted, dim=-1)).abs().mean(-1)
        loss: Tensor = (error * known).sum() / known.sum().clamp_min(1)
        return loss

    def deviation(self, name: str, floor: float) -> Tensor:
        """Standard deviations to divide by."""
        return self._buffer(f"{name}_std").clamp_min(floor)

    def _buffer(self, name: str) -> Tensor:
        return cast(Tensor, getattr(self, f"stats_{name}"))

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

    # Folders ----------------------------------------------------------------------------------------

    def save_pretrained(self, folder: Path, precision: torch.dtype | None = None) -> None:
        """Write config.json, model.safetensors and stats.safetensors.

        Args:
            folder: made if need be; each file is written under another name first.
            precision: of the weights; None: the policy's own. Codebooks and statistics stay as they are.
        """
        folder, precision = Path(folder), precision or self.precision
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name for name, _ in self.named_parameters()}
        weights, statistics = {}, {}
        for name, value in self.state_dict().items():
            tensor = value.detach().cpu()
            if name.startswith("stats_"):
                statistics[name.removeprefix("stats_")] = tensor.contiguous()
            else:
                weights[name] = tensor.to(precision if name in trained else tensor.dtype).contiguous()
        write_folder(folder, self.name, self.config, {WEIGHTS: weights, STATISTICS: statistics})

    @classmethod
    def from_pretrained(cls: type[PolicyT], folder: Path) -> PolicyT:
        """Read a folder, in float32 and evaluation mode.

        Raises:
            InputError: it is not one, is damaged, or of another format version.
        """
        folder = Path(folder)
        policy = cls(read_settings(folder, cls.name, cls.config_class))
        try:
            weights = load_file(folder / WEIGHTS)
            statistics = load_file(folder / STATISTICS)
            for name in LIMITS:
                statistics.setdefault(name, policy._buffer(name))
            weights |= {f"stats_{name}": value for name, value in statistics.items()}
            policy.load_state_dict(weights)
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{folder} is damaged: {reason}. Copy it again, or train it again.") from error
        return policy.eval()


def write_folder(folder: Path, name: str, config: Any, files: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write a policy's tensors and config.json, each file under another name first.

    Args:
        folder: of the policy.
        name: that it is registered under.
        config: its frozen dataclass.
        files: name of a file -> its tensors.
    """
    for file, tensors in files.items():
        new = folder / f".{file}.new"
        save_file(dict(tensors), new)
        new.replace(folder / file)
    content = {"policy": name, "format_version": FORMAT_VERSION, **to_mapping(config)}
    new = folder / ".config.json.new"
    new.write_text(json.dumps(content, indent=2) + "\n")
    new.replace(folder / "config.json")


def read_settings(folder: Path, name: str, config_class: type[ConfigT]) -> ConfigT:
    """The configuration in a policy's folder.

    Raises:
        InputError: it is not one, or of another policy or format version.
    """
    data = read_config(folder)
    if data.get("policy") != name:
        raise InputError(f"{folder} holds a policy {data.get('policy')!r}, not {name!r}.")
    settings = {key: value for key, value in data.items() if key not in ("policy", "format_version")}
    return from_mapping(config_class, settings, f"config of the policy {name!r}")
