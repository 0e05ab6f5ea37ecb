"""The policy `residual`: a frozen base whose actions are corrected a little at every control step.

    x  = features of what the base saw, its last states, its coming actions, place in the chunk, end
    u  = tanh(network(x)) in [-1, 1]                        exactly 0 before anything is learned
    a  = clip(a_base + bound * u)

The base is asked for chunks as often as it would be by itself. The correction is made when an action is
played (`Chunk.at`), from the state by then and the features that the base had when it was asked.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.policy import Batch, Chunk, Metrics, Policy, PolicyInput, Stage, to_numpy
from robot_skills.policies.visuomotor import (
    LIMITS,
    STATISTICS,
    WEIGHTS,
    read_settings,
    write_folder,
)
from robot_skills.residual.base import (
    BASE,
    context_size,
    contexts,
    fresh,
    read_base,
    visuomotor,
    with_base,
)
from robot_skills.residual.config import ResidualConfig
from robot_skills.residual.control import LIMIT, Brain, Controller, Correct, Reach, Seen
from robot_skills.residual.networks import Actor, Critics
from robot_skills.robot import OSC_POSE, ActionSpace, Float

#: The buffer that says how far practice falls short of the base; folders of before had none.
SHORTFALL = "shortfall"
#: Smallest standard deviation that an input is divided by: half a millimetre, where it is a position.
FLOOR = 5e-4
#: Buffers that go to `stats.safetensors`.
KEPT_APART = ("inputs_mean", "inputs_std", "inputs_turn", "action_low", "action_high", "bound")


@dataclass(frozen=True)
class Layout:
    """Where things are among the D inputs.

    Attributes:
        features, states, coming: how many numbers each has; the place in the chunk and the end follow.
    """

    features: int
    states: int
    coming: int

    @property
    def size(self) -> int:
        """D."""
        return self.features + self.states + self.coming + 2

    @property
    def measured(self) -> int:
        """The first so many inputs are normalised; actions, place and end are about 1 as they are."""
        return self.features + self.states


class ResidualPolicy(nn.Module):
    """A base and its correction. One phase, "correction", imitates what a correction can of demonstrations.

    Args:
        config: what is added.
        base: a trained policy; None: a fresh one, by `config.base`.

    Attributes:
        controller: what decides at each step; None: the correction as its folder would play it.
    """

    name: ClassVar[str] = "residual"
    config: ResidualConfig

    def __init__(self, config: ResidualConfig | None = None, base: Policy | None = None) -> None:
        super().__init__()
        config = config or ResidualConfig()
        self.base = base if base is not None else fresh(config.base)
        # Nothing ever has a gradient from the base. It is not told so (`requires_grad`): attention would take
        # another path through PyTorch, and its last bits would be others than the base's by itself.
        self.config = config = with_base(config, self.base)
        seen = context_size(self.base) if config.features else 0
        self.layout = Layout(
            features=min(config.features, seen),
            states=min(config.states, self.base.history) * config.state_size,
            coming=min(config.coming, self.base.chunk) * config.action_size,
        )
        generator = torch.Generator().manual_seed(config.seed)
        drawn = torch.randn(seen, self.layout.features, generator=generator) / max(seen, 1) ** 0.5
        self.register_buffer("projection", drawn)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            sizes = self.layout.size, config.action_size, config.width
            self.actor = Actor(*sizes)
            told = None if config.base_told else self.layout.measured
            self.critics = Critics(*sizes, config.heads, told=told)
        self.register_buffer("inputs_mean", torch.zeros(self.layout.size))
        self.register_buffer("inputs_std", torch.ones(self.layout.size))
        self.register_buffer("inputs_turn", torch.eye(self.layout.measured))
        for name, value in LIMITS.items():
            limit = getattr(self.base, f"stats_{name}", torch.full((config.action_size,), value))
            self.register_buffer(name, limit.detach().clone().float())
        self.register_buffer("bound", torch.zeros(config.action_size))
        #: Share of the base's success that practice falls short of (`Gate.wary`).
        self.register_buffer(SHORTFALL, torch.zeros(()))
        names = OSC_POSE.names if config.action_size == OSC_POSE.size else None
        names = names or (*(f"action.{i}" for i in range(config.action_size - 1)), "gripper")
        low, high = (tuple(self.get_buffer(name).tolist()) for name in LIMITS)
        self.take_space(ActionSpace(names, (False,) * config.action_size, low, high), named=False)
        self.controller: Controller | None = None
        self._made: tuple[int, Correct] | None = None

    def take_space(self, space: ActionSpace, named: bool = True) -> None:
        """Take limits from a robot's action space, where they are known, and bounds by the actions' names.

        Args:
            space: of the robot.
            named: whether its names are the robot's, and not made up.

        Raises:
            InputError: its actions are of another size, or `bounds` names a number that it does not have.
        """
        config = self.config
        if space.size != config.action_size:
            raise InputError(
                f"The policy gives actions of {config.action_size} numbers; the robot takes {space.size}."
            )
        for name in config.bounds if named else ():
            if name not in space.names:
                raise InputError(f"bounds names {name!r}; an action holds {', '.join(space.names)}.")
        self.space = space
        #: (A,) which of an action's numbers are the gripper.
        self.gripper = np.array([name == "gripper" for name in space.names])
        for buffer, limits in (("action_low", space.low), ("action_high", space.high)):
            limit = torch.tensor(limits, dtype=torch.float32)
            self.get_buffer(buffer).copy_(torch.where(limit.isfinite(), limit, self.get_buffer(buffer)))
        shares = [config.bound_of(name) for name in space.names]
        half = (self.get_buffer("action_high") - self.get_buffer("action_low")) / 2
        self.get_buffer("bound").copy_(torch.tensor(shares) * half)

    # What the executor asks -------------------------------------------------------------------------

    @property
    def cameras(self) -> tuple[str, ...]:
        """The base's."""
        return self.base.cameras

    @property
    def history(self) -> int:
        """The base's H."""
        return self.base.history

    @property
    def chunk(self) -> int:
        """The base's T."""
        return self.base.chunk

    @property
    def execute(self) -> int:
        """How many actions of a chunk are played: as many as the base has it."""
        return self.base.execute

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        """The base's chunks, each with the correction that is made as it is played."""
        with contexts(self.base) as seen:
            chunks = self.base.predict(inputs)
        features = np.zeros((len(inputs), 0), np.float32)
        if self.layout.features and chunks:
            features = to_numpy(self._features(torch.cat([context.flatten(1) for context in seen])))
        controller = self.controller or self._current()
        return [
            Chunk(
                chunk.actions,
                chunk.end,
                Correction(chunk, controller, features[row], self.layout, self.reach(), chunk.correction),
                chunk.codes,
            )
            for row, chunk in enumerate(chunks)
        ]

    def correct(self) -> Correct:
        """The correction as it stands, in arrays."""
        gate = self.config.gate
        doubt = gate.doubt + gate.wary * float(self.get_buffer(SHORTFALL))
        return Correct(self.brain(), self.reach(), dataclasses.replace(gate, doubt=doubt))

    def _current(self) -> Correct:
        """The same, made anew only where a number has changed since."""
        numbers = [*self.actor.parameters(), *self.critics.parameters(), *self.buffers(recurse=False)]
        version = sum(number._version for number in numbers)
        if self._made is None or self._made[0] != version:
            self._made = version, self.correct()
        return self._made[1]

    def brain(self, critics: bool = False) -> Brain:
        """Actor and critics as arrays; without critics where nothing is gated and nobody asks for them."""
        parts: list[tuple[str, nn.Module]] = [("actor.", self.actor)]
        if critics or self.config.gate.kind != "none":
            parts.append(("critics.", self.critics))
        arrays = {
            f"{part}{name}": to_numpy(value).copy()
            for part, module in parts
            for name, value in module.state_dict().items()
        }
        mean, std, turn = (to_numpy(self.get_buffer(f"inputs_{name}")) for name in ("mean", "std", "turn"))
        return Brain.of(arrays, mean, std, turn, self.critics.norm, self.config.base_told)

    def reach(self) -> Reach:
        """What an action may be."""
        low, high, bound = (
            to_numpy(self.get_buffer(name)) for name in ("action_low", "action_high", "bound")
        )
        return Reach(low, high, bound, self.config.limits)

    def take_statistics(self, inputs: Float) -> None:
        """Normalise by what was seen in practice so far, raw inputs (N, D), and whiten it.

        A millimetre between hand and object decides, and is little beside the decimetres that both move: in
        directions in which inputs hardly vary they are made larger, at most by 1 / `whitening` (ZCA, Bell and
        Sejnowski 1997).
        """
        count = self.layout.measured
        seen = torch.from_numpy(np.ascontiguousarray(inputs[:, :count])).double()
        mean, std = seen.mean(0), seen.std(0).clamp_min(FLOOR)
        self.get_buffer("inputs_mean")[:count], self.get_buffer("inputs_std")[:count] = mean, std
        scaled = (seen - mean) / std
        values, vectors = torch.linalg.eigh(scaled.T @ scaled / len(scaled))
        sizes = values.clamp_min(0).sqrt().clamp_min(self.config.whitening)
        turn = vectors @ (vectors / sizes).T if self.config.whitening < 1 else torch.eye(count)
        self.get_buffer("inputs_turn").copy_(turn)

    # Imitating -----------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        """The correction alone; the base stays as it is."""
        return (Stage("correction", 2000, 64, 1e-3),)

    def prepare(self, batch: Batch) -> Batch:
        """As the base."""
        return visuomotor(self.base).prepare(batch)

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in the statistics of the states."""
        if name != "correction":
            raise ValueError(f"The phase of ResidualPolicy is correction, not {name!r}.")
        first, count = self.layout.features, self.layout.states
        for part, floor in (("mean", None), ("std", FLOOR)):
            value = statistics[f"state_{part}"].repeat(count // self.config.state_size)
            value = value if floor is None else value.clamp_min(floor)
            self.get_buffer(f"inputs_{part}")[first : first + count] = value

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """Squared error, in bounds, to what the demonstrations add to the base (Res-HIL's regression)."""
        base = visuomotor(self.base)
        skill, history = base.skill_indices(batch["skill"]), batch["history"]
        with torch.no_grad(), contexts(self.base) as seen:
            actions, end = base.act(batch["images"], history, batch["text"], skill)
        low, high = self.get_buffer("action_low"), self.get_buffer("action_high")
        coming = (2 * actions[:, : self.layout.coming // self.config.action_size] - low - high) / (high - low)
        parts = [history[:, -(self.layout.states // self.config.state_size) :].flatten(1), coming.flatten(1)]
        if self.layout.features:
            parts.insert(0, self._features(seen[0].flatten(1)))
        inputs = torch.cat([*parts, torch.zeros_like(end[:, :1]), end[:, :1]], dim=1)
        x = (inputs - self.get_buffer("inputs_mean")) / self.get_buffer("inputs_std")
        measured = x[:, : self.layout.measured] @ self.get_buffer("inputs_turn")
        x = torch.cat([measured, x[:, self.layout.measured :]], dim=1).clamp(-LIMIT, LIMIT)
        bound = self.get_buffer("bound").clamp_min(1e-6)
        wanted = (batch["actions"][:, 0] - actions[:, 0]) / bound
        error = F.mse_loss(self.actor(x), wanted.clamp(-1, 1))
        return error, {"error": error.detach(), "out_of_reach": (wanted.abs() > 1).float().mean().detach()}

    def report(self) -> dict[str, Any]:
        """What was added to what."""
        return {
            "base": str(self.config.base["policy"]),
            "inputs": dataclasses.asdict(self.layout),
            "bound": [round(float(value), 4) for value in self.get_buffer("bound")],
            "parameters": sum(p.numel() for part in (self.actor, self.critics) for p in part.parameters()),
        }

    def train(self, mode: bool = True) -> ResidualPolicy:
        """Training mode for what is added; the base acts as it always does."""
        super().train(mode)
        if isinstance(self.base, nn.Module):
            self.base.eval()
        return self

    # Folders -------------------------------------------------------------------------------------------

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json, model.safetensors and stats.safetensors: base and correction in one folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        own = {name: value for name, value in self.state_dict().items() if not name.startswith(BASE)}
        files = {
            WEIGHTS: {name: value for name, value in own.items() if name not in KEPT_APART},
            STATISTICS: {name: own[name] for name in KEPT_APART},
        }
        with tempfile.TemporaryDirectory(dir=folder, prefix=".base.") as scratch:
            self.base.save_pretrained(Path(scratch))
            config = dataclasses.replace(
                self.config, base=json.loads((Path(scratch) / "config.json").read_text())
            )
            for file, tensors in files.items():
                if (Path(scratch) / file).is_file():
                    found = load_file(Path(scratch) / file)
                    tensors |= {f"{BASE}{name}": value for name, value in found.items()}
        # Copies: safetensors refuses tensors that share memory.
        copies = {
            file: {name: value.detach().cpu().clone() for name, value in tensors.items()}
            for file, tensors in files.items()
        }
        write_folder(folder, self.name, config, copies)

    @classmethod
    def from_pretrained(cls, folder: Path) -> ResidualPolicy:
        """Read a folder, in evaluation mode.

        Raises:
            InputError: it is not one, is damaged, or of another format version.
        """
        folder = Path(folder)
        config = read_settings(folder, cls.name, ResidualConfig)
        try:
            files = {file: load_file(folder / file) for file in (WEIGHTS, STATISTICS)}
            policy = cls(config, read_base(config, files))
            own = {
                name: value
                for tensors in files.values()
                for name, value in tensors.items()
                if not name.startswith(BASE)
            }
            own.setdefault(SHORTFALL, torch.zeros(()))
            missing, unknown = policy.load_state_dict(own, strict=False)
            if unknown or any(not name.startswith(BASE) for name in missing):
                raise KeyError([*unknown, *missing][0])
        except (OSError, SafetensorError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{folder} is damaged: {reason}. Copy it again, or refine it again.") from error
        return policy.eval()

    # Parts ---------------------------------------------------------------------------------------------

    def _features(self, context: Tensor) -> Tensor:
        """Contexts (B, n) to what the correction sees of them (B, F)."""
        return context.float() @ self.get_buffer("projection")


@dataclass(frozen=True)
class Correction:
    """What is made of one chunk of the base.

    Attributes:
        chunk: the base's.
        controller: decides.
        features: (F,) of what the base saw.
        layout, reach: of the inputs and of the actions.
        inner: the base's own correction, where the base is one that has it.
    """

    chunk: Chunk
    controller: Controller
    features: Float
    layout: Layout
    reach: Reach
    inner: Any = None

    def __call__(self, index: int, history: Float) -> Float:
        """The action (A,) to play at a step of the chunk; see `robot_skills.policies.policy.Correction`."""
        actions = self.chunk.actions
        base = actions[index] if self.inner is None else self.inner(index, history)
        count = self.layout.coming // actions.shape[1]
        ahead = np.minimum(np.arange(index, index + count), len(actions) - 1)
        coming = self.reach.scaled(np.concatenate([base[None], actions[ahead[1:]]]))
        states = history[-(self.layout.states // history.shape[1]) :]
        place = np.array([index / len(actions), self.chunk.end[index]], np.float32)
        inputs = np.concatenate([self.features, states.ravel(), coming.ravel(), place]).astype(np.float32)
        return self.controller(Seen(inputs, base, history[-1, :3]))
