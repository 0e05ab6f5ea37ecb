"""The training loop, one for every policy: its phases, in order, each with AdamW on a one-cycle schedule.

What is evaluated and exported are averaged weights (exponential moving average); a phase ends by taking them
over, so that the next phase builds on what was measured. A run that is killed goes on exactly where its last
checkpoint was: the order of the data is a function of seed and step, and the checkpoint holds the rest.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from robot_skills.data.loader import Loader, Windows
from robot_skills.data.order import batch_indices
from robot_skills.errors import InputError
from robot_skills.policies.policy import Batch, Metrics, Policy, Stage
from robot_skills.training import checkpoint
from robot_skills.training.configuration import to_mapping
from robot_skills.training.metrics import MetricLog
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import TrainRecipe

#: Windows in the sample that a phase is begun with, and on which the held-out loss is taken.
SAMPLE, HELD_OUT = 8192, 1024
#: The learning rate begins at the peak over 25 and ends at the peak over 10,000 (Smith and Topin 2018).
FIRST_RATE, LAST_RATE = 1 / 25, 1e-4


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    Attributes:
        steps: of all phases.
        samples: windows seen, of all phases.
        samples_per_second: windows learned from, over the time for data and updates, in the last phase.
        seconds: wall time by phase and what it was spent on: waiting for data, updates, held-out loss
            ("validation"), checkpoints.
        metrics: phase -> last training and held-out numbers.
    """

    steps: int
    samples: int
    samples_per_second: float
    seconds: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, float]]


class Trainer:
    """One run of a recipe: give it the parts, then call `run`.

    Args:
        policy: a fresh one, on the device to train on; trained in place.
        recipe: how.
        training: windows to learn from.
        held_out: windows to see over-fitting with.
        folder: where the checkpoint and the TensorBoard logs go.
        console: where progress is shown.
    """

    def __init__(
        self,
        policy: Policy,
        recipe: TrainRecipe,
        training: Windows,
        held_out: Windows | None,
        folder: Path,
        console: Console,
    ) -> None:
        if not isinstance(policy, nn.Module):
            raise TypeError(f"A policy to train is a torch.nn.Module, not {type(policy).__name__}.")
        self.policy = policy
        self._module = cast(nn.Module, policy)
        self._device = next(self._module.parameters()).device
        self._recipe, self._training, self._held_out = recipe, training, held_out
        self._folder, self._console = folder, console
        self._stages = recipe.plan(policy)
        self._seconds: dict[str, float] = defaultdict(float)
        self._metrics: dict[str, dict[str, float]] = {}

    def run(self, resume: bool = False) -> TrainResult:
        """Train all phases, or what is left of them, and leave the averaged weights in the policy.

        Args:
            resume: go on from the folder's checkpoint; without one, from the start.

        Raises:
            InputError: the checkpoint is of another recipe, or the folder has one and `resume` is False.
        """
        position = self._read_position(resume)
        done = position.stage if position else 0
        steps = sum(stage.steps for stage in self._stages[:done]) + (position.step if position else 0)
        with MetricLog(self._folder / "logs", steps) as log:
            for index, stage in enumerate(self._stages):
                self._begin(index, stage)
                if position is None or index >= position.stage:
                    start = position.step if position and index == position.stage else None
                    self._run_stage(index, stage, start, log)
        last = self._stages[-1]
        learning = sum(self._seconds[f"{last.name}.{part}"] for part in ("data", "update"))
        return TrainResult(
            samples_per_second=last.steps * last.batch_size / max(learning, 1e-9),
            steps=sum(stage.steps for stage in self._stages),
            samples=sum(stage.steps * stage.batch_size for stage in self._stages),
            seconds=dict(self._seconds),
            metrics=self._metrics,
        )

    # One phase -------------------------------------------------------------------------------------

    def _begin(self, index: int, stage: Stage) -> None:
        """Prepare the policy for a phase. A resumed run does so for every phase up to its own."""
        torch.manual_seed(self._recipe.seed * 1000 + index)
        count = min(SAMPLE, len(self._training))
        indices = batch_indices(len(self._training), count, self._recipe.seed, 1000 + index, 0)
        sample = to_device(self._training.batch(indices, images=False), self._device)
        statistics = self._training.statistics()
        tensors = {name: torch.from_numpy(value).to(self._device) for name, value in statistics.items()}
        self.policy.begin_stage(stage.name, tensors, sample)

    def _run_stage(self, index: int, stage: Stage, start: int | None, log: MetricLog) -> None:
        parameters = [parameter for parameter in self._module.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=stage.learning_rate, weight_decay=stage.weight_decay, fused=True
        )
        average = Average(self._module, self._recipe.ema_decay)
        if start is not None:
            checkpoint.load(self._folder, self._module, average.weights, optimizer)
        run = _StageRun(stage, optimizer, parameters, average, self._recipe)
        before = sum(earlier.steps for earlier in self._stages[:index])
        title = f"{self._recipe.name}: {stage.name}"
        loader = Loader(
            self._training,
            stage.batch_size,
            self._recipe.seed,
            stream=index,
            start=start or 0,
            stop=stage.steps,
            images=stage.images,
            workers=self._recipe.workers,
        )
        with loader, JobProgress(self._console, title, stage.steps, "samples", start or 0) as progress:
            batches = iter(loader)
            for step in range(start or 0, stage.steps):
                with self._timed(stage, "data"):
                    batch = to_device(next(batches), self._device)
                with self._timed(stage, "update"):
                    loss, metrics = run.update(self.policy, batch, step)
                progress.advance(stage.batch_size, f"loss {loss:.4g}")
                self._after_step(index, step + 1, run, {"loss": loss, **metrics}, log, before)
        average.apply(self._module)

    def _after_step(
        self, index: int, done: int, run: _StageRun, given: Metrics, log: MetricLog, before: int
    ) -> None:
        """Log, take the held-out loss and write a checkpoint, each when it is due."""
        stage, last = run.stage, done == run.stage.steps
        if done % 10 == 0 or last:
            metrics = {name: float(value) for name, value in given.items()}
            rate = one_cycle(done - 1, stage.steps, stage.learning_rate, self._recipe.warmup)
            log.write(f"train_{stage.name}", {**metrics, "learning_rate": rate}, before + done)
            self._metrics.setdefault(stage.name, {}).update(metrics)
        if self._held_out is not None and (done % self._recipe.validate_every == 0 or last):
            with self._timed(stage, "validation"):
                held_out = self._validate(stage, run.average)
            log.write(f"held_out_{stage.name}", held_out, before + done)
            known = self._metrics.setdefault(stage.name, {})
            known.update({f"held_out_{name}": value for name, value in held_out.items()})
        if done % self._recipe.checkpoint_every == 0 or last:
            with self._timed(stage, "checkpoint"):
                log.flush()
                self._save(index, done, run)

    def _validate(self, stage: Stage, average: Average) -> dict[str, float]:
        """Loss of the averaged weights on held-out windows, in evaluation mode."""
        windows = cast(Windows, self._held_out)
        indices = np.linspace(0, len(windows) - 1, min(HELD_OUT, len(windows))).astype(np.int64)
        totals: dict[str, float] = defaultdict(float)
        devices = [self._device] if self._device.type == "cuda" else []
        with average.swapped(self._module), torch.random.fork_rng(devices), torch.no_grad():
            torch.manual_seed(self._recipe.seed)
            self._module.eval()
            for part in np.array_split(indices, math.ceil(len(indices) / stage.batch_size)):
                batch = to_device(windows.batch(part, stage.images), self._device)
                loss, metrics = self.policy.loss(stage.name, batch)
                for name, value in {"loss": loss, **metrics}.items():
                    totals[name] += float(value) * len(part) / len(indices)
            self._module.train()
        return dict(totals)

    # Checkpoints and time --------------------------------------------------------------------------

    def _save(self, stage: int, step: int, run: _StageRun) -> None:
        position = checkpoint.Position(
            stage, step, dict(self._seconds), to_mapping(self._recipe), self._metrics
        )
        checkpoint.save(self._folder, position, self._module, run.average.weights, run.optimizer)

    def _read_position(self, resume: bool) -> checkpoint.Position | None:
        position = checkpoint.read_position(self._folder)
        if position is None:
            return None
        if not resume:
            raise InputError(
                f"{self._folder} holds a run already: go on with --resume, or name another folder."
            )
        recipe = to_mapping(self._recipe)
        changed = sorted(key for key in recipe if recipe[key] != position.recipe.get(key))
        if changed:
            raise InputError(
                f"The run in {self._folder} was begun with another recipe ({', '.join(changed)} differ); "
                "train in another folder."
            )
        self._seconds.update(position.seconds)
        self._metrics.update({stage: dict(values) for stage, values in position.metrics.items()})
        return position

    @contextlib.contextmanager
    def _timed(self, stage: Stage, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._seconds[f"{stage.name}.{part}"] += time.perf_counter() - began


class Average:
    """Exponential moving average of a module's parameters. Buffers are not averaged.

    The decay warms up, (1 + n) / (10 + n) after n updates, so that the first weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self.weights = {name: value.detach().clone() for name, value in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, updates: int) -> None:
        """Take in the weights after `updates` updates."""
        decay = min(self._decay, (1 + updates) / (10 + updates))
        for name, value in module.named_parameters():
            self.weights[name].lerp_(value, 1 - decay)

    @torch.no_grad()
    def apply(self, module: nn.Module) -> None:
        """Give the module the averaged weights."""
        for name, value in module.named_parameters():
            value.copy_(self.weights[name])

    @contextlib.contextmanager
    def swapped(self, module: nn.Module) -> Iterator[None]:
        """The module has the averaged weights inside, and its own again after."""
        own = {name: value.detach().clone() for name, value in module.named_parameters()}
        self.apply(module)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in module.named_parameters():
                    value.copy_(own[name])


@dataclass(frozen=True)
class _StageRun:
    """What one phase optimises with."""

    stage: Stage
    optimizer: torch.optim.Optimizer
    parameters: list[nn.Parameter]
    average: Average
    recipe: TrainRecipe

    def update(self, policy: Policy, batch: Batch, step: int) -> tuple[float, Metrics]:
        """One step of the optimizer; returns the loss and what the policy logs."""
        for group in self.optimizer.param_groups:
            group["lr"] = one_cycle(step, self.stage.steps, self.stage.learning_rate, self.recipe.warmup)
        module = cast(nn.Module, policy)
        module.train()
        loss, metrics = policy.loss(self.stage.name, batch)
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"The loss of stage {self.stage.name!r} is {value} at step {step + 1}: "
                f"lower its learning_rate (now {self.stage.learning_rate:g})."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, self.recipe.gradient_clip)
        self.optimizer.step()
        self.average.update(module, step + 1)
        return value, metrics


def one_cycle(step: int, steps: int, peak: float, warmup: float) -> float:
    """Learning rate at a step: cosine up to `peak` over `warmup * steps` steps, cosine down after."""
    rise = warmup * steps
    if step < rise:
        low, share = peak * FIRST_RATE, 1 - step / rise
    else:
        low, share = peak * LAST_RATE, (step - rise) / max(steps - 1 - rise, 1)
    return low + (peak - low) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device."""
    if device.type == "cpu":
        return batch
    moved: dict[str, Any] = {
        key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for key, value in batch.items()
    }
    moved["images"] = {name: value.to(device, non_blocking=True) for name, value in batch["images"].items()}
    return cast(Batch, moved)
