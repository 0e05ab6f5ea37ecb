"""SBD: boundaries where an unconditional action model is surprised (Deng et al. 2025, arXiv 2503.10684).

A model that is told no goal learns to predict the next action from what it sees and what was done before.
Inside a skill that goes well; where the demonstrator turns to something else its error jumps.

The model here is small: a perceptron on the last states, the last actions and small pictures, with a mixture
of Gaussians for the next actions. Each half of the recordings is predicted by a model of the other half, so
that what was learned by heart does not hide a boundary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robot_skills.data.segmentation.features import Progress, standardised
from robot_skills.data.segmentation.segments import merge_short
from robot_skills.data.segmentation.traces import Array, Trace
from robot_skills.policies.settings import check_range

#: Smallest deviation that the model may claim, in deviations of the actions: a step that is repeated exactly
#: would else be infinitely likely.
FLOOR = 0.05


@dataclass(frozen=True)
class SbdConfig:
    """The model, and when its error is a boundary.

    Attributes:
        history: states and actions that the model sees.
        ahead: actions that it predicts; its error at a step is the mean over them.
        mixtures: Gaussians: a goal not told leaves several ways to go on.
        width: of the two hidden layers.
        steps: of training, for each half.
        batch_size: of training.
        learning_rate: of training.
        gap: a boundary is where the error, in units of its deviation, exceeds its mean since the last
            boundary by more (the paper's rule).
        shortest: two boundaries are at least so far apart, s.
        seed: of weights and batches.
    """

    history: int = 4
    ahead: int = 1
    mixtures: int = 4
    width: int = 256
    steps: int = 600
    batch_size: int = 256
    learning_rate: float = 1e-3
    gap: float = 0.8
    shortest: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("history", "ahead", "mixtures", "width", "steps", "batch_size"):
            check_range(f"sbd.{name}", getattr(self, name), 1)
        for name in ("learning_rate", "gap", "shortest"):
            check_range(f"sbd.{name}", getattr(self, name), 0)


class ActionModel(nn.Module):
    """Inputs (B, I) to a mixture of diagonal Gaussians over actions (B, A).

    Args:
        inputs: I.
        actions: A.
        config: its size.
    """

    def __init__(self, inputs: int, actions: int, config: SbdConfig) -> None:
        super().__init__()
        self._shape = (config.mixtures, actions)
        width = config.width
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, config.mixtures * (1 + 2 * actions)),
        )  # fmt: skip

    def error(self, inputs: Tensor, actions: Tensor) -> Tensor:
        """Negative log likelihood of the actions, (B,)."""
        count, size = self._shape
        logits, means, deviations = self.layers(inputs).split([count, count * size, count * size], dim=1)
        means, deviations = means.view(-1, count, size), deviations.view(-1, count, size)
        scale = nn.functional.softplus(deviations) + FLOOR
        each = (
            -0.5 * ((actions[:, None] - means) / scale).square() - scale.log() - 0.5 * math.log(2 * math.pi)
        )
        likely: Tensor = -torch.logsumexp(logits.log_softmax(1) + each.sum(2), dim=1)
        return likely


def cut(errors: Array, trace: Trace, config: SbdConfig) -> list[int]:
    """The rows before which a recording is cut, given the model's errors (N,) in deviations."""
    cuts, start, least = [], 0, trace.steps(config.shortest)
    for step in range(1, len(errors)):
        if step - start >= least and errors[step] - errors[start + 1 : step].mean() > config.gap:
            cuts.append(step)
            start = step
    return merge_short(cuts, trace, config.shortest)


def surprise(
    recordings: Sequence[Trace],
    rows: Sequence[Array],
    config: SbdConfig,
    progress: Progress = lambda share: None,
) -> list[Array]:
    """The action model's error at each step of each recording, (N,); over all, mean 0 and deviation 1.

    Args:
        recordings: at least two, so that each half is predicted by a model of the other.
        rows: (N, D) what is seen at each step, besides the states and actions before it.
        config: of the model.
        progress: called with the share of the work that is done.
    """
    inputs, targets, place = _samples(recordings, rows, config)
    errors = np.zeros(len(inputs), np.float32)
    half = place % 2 if place.max(initial=0) > 0 else place
    for number, side in enumerate(np.unique(half)):
        learned = half != side if len(np.unique(half)) > 1 else half == side

        def done(share: float, number: int = number) -> None:
            progress((number + share) / 2)

        model = _fit(inputs[learned], targets[learned], config, done)
        with torch.inference_mode():
            here = half == side
            errors[here] = model.error(
                torch.from_numpy(inputs[here]), torch.from_numpy(targets[here])
            ).numpy()
    progress(1.0)
    scaled = ((errors - errors.mean()) / max(float(errors.std()), 1e-6)).astype(np.float32)
    return np.split(scaled, np.cumsum([len(trace) for trace in recordings])[:-1])


def _samples(
    recordings: Sequence[Trace], rows: Sequence[Array], config: SbdConfig
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Inputs (M, I), actions to predict (M, A * ahead), and the recording of each row."""
    state = standardised(np.concatenate([trace.state for trace in recordings]))
    action = standardised(np.concatenate([trace.action for trace in recordings]), 0.05)
    seen = np.concatenate(list(rows))
    lengths = [len(trace) for trace in recordings]
    first = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
    last = first + np.repeat(lengths, lengths) - 1
    now = np.arange(len(state))
    past = [np.maximum(now - back, first) for back in range(config.history)]
    done = [np.maximum(now - back, first) for back in range(1, config.history + 1)]
    known = [(now - back >= first)[:, None] for back in range(1, config.history + 1)]
    parts = [seen, *(state[row] for row in past)]
    parts += [action[row] * there for row, there in zip(done, known, strict=True)]
    targets = np.concatenate([action[np.minimum(now + step, last)] for step in range(config.ahead)], axis=1)
    inputs = np.concatenate(parts, axis=1).astype(np.float32)
    return inputs, targets.astype(np.float32), np.repeat(np.arange(len(lengths)), lengths)


def _fit(inputs: Array, targets: Array, config: SbdConfig, progress: Progress) -> ActionModel:
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = ActionModel(inputs.shape[1], targets.shape[1], config)
    optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=max(2, config.steps)
    )
    for step in range(config.steps):
        chosen = rng.integers(0, len(inputs), config.batch_size)
        loss = model.error(torch.from_numpy(inputs[chosen]), torch.from_numpy(targets[chosen])).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            progress(step / config.steps)
    return model.eval()
