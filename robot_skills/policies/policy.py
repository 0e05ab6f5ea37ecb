"""What every policy offers: to act, to be trained, to be saved as a folder.

Shapes: B batch, H proprioceptive history, S state features, T chunk length, h w image size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_skills.robot import Float, Observation


@dataclass(frozen=True)
class PolicyInput:
    """What a policy is given to act on.

    Attributes:
        observation: the present, with every camera the policy names.
        history: (H, S) float32, states at the last H control steps, oldest first, the present last; at
            the start of an episode the first state is repeated.
        text: the language argument.
        skill: name of the skill that is called; what a policy of one skill does not look at.
    """

    observation: Observation
    history: Float
    text: str
    skill: str = ""


class Correction(Protocol):
    """What is made of a chunk's actions as they are played, from what the robot senses by then."""

    def __call__(self, index: int, history: Float) -> Float:
        """The action (A,) to play at a step of the chunk; asked once, at that step.

        Args:
            index: of the step in the chunk.
            history: (H, S) float32, states at the last H control steps, the present last.
        """


@dataclass(frozen=True)
class Chunk:
    """What a policy answers.

    Attributes:
        actions: (T, 7) float32 in [-1, 1]; the first is for the moment of the observation.
        end: (T,) float32, the probability that the skill is over at that step.
        correction: of a policy that looks again at every step; None plays the actions as they are.
        codes: (N,) int64, the skill codes that were picked; None of a policy without.
    """

    actions: Float
    end: Float
    correction: Correction | None = None
    codes: NDArray[np.int64] | None = None

    def at(self, index: int, history: Float) -> Float:
        """The action (A,) to play at one of its steps, given the states (H, S) up to then."""
        return self.actions[index] if self.correction is None else self.correction(index, history)


#: What a phase of training logs: 0-d tensors, detached, so that nobody waits for the device; or numbers.
Metrics: TypeAlias = Mapping[str, Tensor | float]
#: Texts, or the tensors that a policy's `prepare` made of them.
Texts: TypeAlias = list[str] | Tensor


class Batch(TypedDict):
    """What a policy learns from."""

    images: dict[str, Tensor]  # camera -> (B, 3, h, w) uint8
    history: Tensor  # (B, H, S) float32
    actions: Tensor  # (B, T, 7) float32; after the episode's end: zero motion, gripper held
    end: Tensor  # (B, T) float32, 1 where the skill is over
    text: Texts  # B language arguments
    skill: Texts  # B names of skills
    target: (
        Tensor  # (B, 3) float32, where the argument is (simulator state, a training label only); NaN: unknown
    )
    to_go: Tensor  # (B,) float32, control steps left in the demonstration, a training label only


@dataclass(frozen=True)
class Stage:
    """A phase of training: `parameters(name)` are optimised on `loss(name, batch)`.

    Attributes:
        images: whether its loss looks at images; if not, the loader leaves them out.
        learning_rate: peak of a one-cycle schedule.
    """

    name: str
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-4
    images: bool = True


class Policy(Protocol):
    """A policy; implementations are `torch.nn.Module`s built from one frozen-dataclass config."""

    config: Any

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras that `PolicyInput.observation` must hold."""

    @property
    def history(self) -> int:
        """H, the number of states in `PolicyInput.history`."""

    @property
    def chunk(self) -> int:
        """T, the number of actions in a chunk."""

    @property
    def execute(self) -> int:
        """How many actions of a chunk the executor plays before the next chunk takes over."""

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        """One chunk for each input; deterministic unless the config asks for sampling."""

    def stages(self) -> tuple[Stage, ...]:
        """Phases of training, in order."""

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Called once before a phase, with the data's statistics and a large sample without images."""

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """The scalar to minimise in a phase, and what to log (called in training mode)."""

    def report(self) -> dict[str, Any]:
        """What a reader of the card should know after training (code use per level, ...)."""

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json, model.safetensors and stats.safetensors."""

    @classmethod
    def from_pretrained(cls, folder: Path) -> Policy:
        """Read such a folder.

        Raises:
            InputError: it is not one, or of another format version.
        """


def to_numpy(tensor: Tensor) -> Float:
    """A float32 array that shares nothing with autograd."""
    array: Float = tensor.detach().to("cpu", torch.float32).numpy().astype(np.float32, copy=False)
    return array
