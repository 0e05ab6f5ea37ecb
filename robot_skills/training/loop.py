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

from robot_skills.data.loader import Windows
from robot_skills.data.order import batch_indices
from robot_skills.errors import InputError
from robot_skills.policies.policy import Policy, Stage
from robot_skills.training import checkpoint
from robot_skills.training.average import Average
from robot_skills.training.configuration import from_mapping, to_mapping
from robot_skills.training.feed import DeviceFeed, Feed, HostFeed, gather, place_data, to_device
from robot_skills.training.metrics import MetricLog
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.schedule import one_cycle
from robot_skills.training.selection import Chosen, Evaluator, Selection
from robot_skills.training.step import LossWatch, StageRun, to_floats

#: Windows in the sample that a phase is begun with, and on which the held-out loss is taken.
SAMPLE, HELD_OUT = 8192, 1024
#: Steps between two looks at the loss and the metrics: looking waits for the device.
LOOK_EVERY = 10


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
        chosen: the weights that were kept, and how they did on validation seeds, if that was measured.
    """

    steps: int
    samples: int
    samples_per_second: float
    seconds: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, float]]
    chosen: Chosen | None = None


class Trainer:
    """One run of a recipe: give it the parts, then call `run`.

    Args:
        policy: a fresh one, on the device to train on; trained in place.
        recipe: how.
        training: windows to learn from.
        held_out: windows to see over-fitting with.
        folder: where the checkpoint and the logs go.
        console: where progress is shown.
        evaluator: what runs episodes, for recipes that evaluate while they train.

    Raises:
        InputError: the recipe evaluates, and there is no evaluator.
    """

    def __init__(
        self,
        policy: Policy,
        recipe: TrainRecipe,
        training: Windows,
        held_out: Windows | None,
        folder: Path,
        console: Console,
        evaluator: Evaluator | None = None,
    ) -> None:
        if not isinstance(policy, nn.Module):
            raise TypeError(f"A policy to train is a torch.nn.Module, not {type(policy).__name__}.")
        self.policy = policy
        self._module = cast(nn.Module, policy)
        self._device = next(self._module.parameters()).device
        self._recipe, self._training, self._held_out = recipe, training, held_out
        self._folder, self._console = folder, console
        self._stages = recipe.plan(policy)
        self._selection = None
        if recipe.evaluate is not None:
            if evaluator is None:
                raise InputError("The recipe evaluates while it trains, and nothing here runs its episodes.")
            self._selection = Selection(recipe.evaluate, evaluator, folder)
        images = any(stage.images for stage in self._stages)
        self._resident = place_data(recipe.data_on_gpu, training, images, policy, self._device)
        self._resident_held_out = (
            None if self._resident is None or held_out is None else self._resident.of(held_out)
        )
        self._seconds: dict[str, float] = defaultdict(float)
        self._metrics: dict[str, dict[str, float]] = {}

    def run(self, resume: bool = False) -> TrainResult:
        """Train all phases, or what is left of them, and leave the weights to keep in the policy.

        They are averaged weights: the last ones, or those that did best on the recipe's validation seeds.

        Args:
            resume: go on from the folder's checkpoint; without one, from the start.

        Raises:
            InputError: the checkpoint is of another recipe, or the folder has one and `resume` is False.
        """
        position = self._read_position(resume)
        done = position.stage if position else 0
        steps = sum(stage.steps for stage in self._stages[:done]) + (position.step if position else 0)
        recipe = self._recipe
        with MetricLog(self._folder, steps, recipe.logger, recipe.name, to_mapping(recipe)) as log:
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
            chosen=self._selection.load(self.policy) if self._selection is not None else None,
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
        for resident in (self._resident, self._resident_held_out):
            if resident is not None:
                resident.prepare(cast(Any, self.policy).prepare)

    def _feed(self, index: int, stage: Stage) -> Feed:
        seed = self._recipe.seed
        if self._resident is not None:
            return DeviceFeed(self._resident, stage, seed, index)
        return HostFeed(self._training, stage, self._device, seed, index, self._recipe.workers)

    def _run_stage(self, index: int, stage: Stage, start: int | None, log: MetricLog) -> None:
        title = f"{self._recipe.name}: {stage.name}"
        first = start or 0
        with (
            self._feed(index, stage) as feed,
            JobProgress(self._console, title, stage.steps, "samples", first) as progress,
        ):
            run = StageRun(self.policy, stage, self._recipe, feed)
            if start is not None:
                checkpoint.load(self._folder, self._module, run.average.weights, run.optimizer)
            items, watch = feed.items(first, stage.steps), LossWatch(stage, first)
            for step in range(first, stage.steps):
                with self._timed(stage, "data"):
                    item = next(items)
                with self._timed(stage, "update"):
                    loss, metrics = run(item, step)
                    watch.add(loss)
                    if self._due(stage, step + 1, LOOK_EVERY):
                        watch.look()
                progress.advance(stage.batch_size, f"loss {watch.last:.4g}")
                self._after_step(index, step + 1, run, {"loss": loss, **metrics}, log, watch)
        run.end()

    def _after_step(
        self,
        index: int,
        done: int,
        run: StageRun,
        metrics: Mapping[str, Tensor | float],
        log: MetricLog,
        watch: LossWatch,
    ) -> None:
        """Log, take the held-out loss and write a checkpoint, each when it is due."""
        stage = run.stage
        total = done + sum(earlier.steps for earlier in self._stages[:index])
        known = self._metrics.setdefault(stage.name, {})
        if self._due(stage, done, LOOK_EVERY):
            values = to_floats(metrics)
            rate = one_cycle(done - 1, stage.steps, stage.learning_rate, self._recipe.warmup)
            log.write(f"train_{stage.name}", {**values, "learning_rate": rate}, total)
            known.update(values)
        if self._held_out is not None and self._due(stage, done, self._recipe.validate_every):
            with self._timed(stage, "validation"):
                held_out = self._validate(stage, run.average)
            log.write(f"held_out_{stage.name}", held_out, total)
            known.update({f"held_out_{name}": value for name, value in held_out.items()})
        evaluated = self._recipe.evaluate
        if evaluated is not None and stage is self._stages[-1] and self._due(stage, done, evaluated.every):
            watch.look()
            with self._timed(stage, "evaluation"):
                success, failures = self._evaluate(done, run.average)
            log.write("evaluation", success, total, {"phase_step": done, "failures": failures})
            known.update({f"validation_{name}": value for name, value in success.items()})
        if self._due(stage, done, self._recipe.checkpoint_every):
            watch.look()  # weights that are no longer numbers are not kept
            with self._timed(stage, "checkpoint"):
                log.flush()
                self._save(index, done, run)

    def _due(self, stage: Stage, done: int, every: int) -> bool:
        return done % every == 0 or done == stage.steps

    def _validate(self, stage: Stage, average: Average) -> dict[str, float]:
        """Loss of the averaged weights on held-out windows, in evaluation mode and float32."""
        windows = cast(Windows, self._held_out)
        indices = np.linspace(0, len(windows) - 1, min(HELD_OUT, len(windows))).astype(np.int64)
        totals: dict[str, float] = defaultdict(float)
        devices = [self._device] if self._device.type == "cuda" else []
        with average.swapped(), torch.random.fork_rng(devices), torch.no_grad():
            torch.manual_seed(self._recipe.seed)
            self._module.eval()
            for part in np.array_split(indices, math.ceil(len(indices) / stage.batch_size)):
                batch = gather(windows, self._resident_held_out, part, stage.images, self._device)
                loss, metrics = self.policy.loss(stage.name, batch)
                for name, value in to_floats({"loss": loss, **metrics}).items():
                    totals[name] += value * len(part) / len(indices)
            self._module.train()
        return dict(totals)

    def _evaluate(self, step: int, average: Average) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Success of the averaged weights on validation seeds, and the episodes that failed."""
        assert self._selection is not None, "made for recipes that evaluate"
        devices = [self._device] if self._device.type == "cuda" else []
        with average.swapped(), torch.random.fork_rng(devices):
            self._module.eval()
            report = self._selection.evaluate(self.policy, step)
            self._module.train()
        self._console.print(
            f"{self._recipe.name}: step {step}: {report.headline()} on validation seeds",
            highlight=False,
            soft_wrap=True,
        )
        failures = [
            {"seed": one.seed, "call": one.call, "status": one.status, "reason": one.reason}
            for one in report.results
            if not one.success
        ]
        rate = report.successes / len(report.results)
        return {"success_rate": rate, "episodes": float(len(report.results))}, failures

    # Checkpoints and time --------------------------------------------------------------------------

    def _save(self, stage: int, step: int, run: StageRun) -> None:
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
        # Read as a recipe, so that a setting that came after the run was begun has its default.
        begun = to_mapping(from_mapping(TrainRecipe, position.recipe, str(self._folder)))
        changed = sorted(key for key in recipe if recipe[key] != begun[key])
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
