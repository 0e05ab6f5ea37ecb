"""The training loop, one for every policy: its phases, in order, each with AdamW on a one-cycle schedule.

What is evaluated and exported are averaged weights (exponential moving average); a phase ends by taking them
over, so that the next phase builds on what was measured. A run that is killed goes on exactly where its last
checkpoint was: the order of the data is a function of seed and step, and the checkpoint holds the rest.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from torch import Tensor, nn

from robot_skills.data.loader import Windows
from robot_skills.data.order import batch_indices
from robot_skills.errors import InputError
from robot_skills.policies.policy import Policy, Stage
from robot_skills.training import checkpoint
from robot_skills.training.configuration import from_mapping, to_mapping
from robot_skills.training.feed import Feed, Order, Source, to_device
from robot_skills.training.measure import Measurer, failures
from robot_skills.training.memory import keep_freed_memory
from robot_skills.training.metrics import MetricLog
from robot_skills.training.mixing import SkillMixing
from robot_skills.training.probe import probe
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.schedule import one_cycle
from robot_skills.training.selection import Chosen, Evaluator, Selection
from robot_skills.training.step import LossWatch, StageRun, to_floats
from robot_skills.training.team import Team

#: Windows in the sample that a phase is begun with.
SAMPLE = 8192
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
        team: the processes that train together; None: this one.

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
        team: Team | None = None,
    ) -> None:
        if not isinstance(policy, nn.Module):
            raise TypeError(f"A policy to train is a torch.nn.Module, not {type(policy).__name__}.")
        self.policy = policy
        self._module = cast(nn.Module, policy)
        self._device = next(self._module.parameters()).device
        self._recipe, self._folder, self._console = recipe, folder, console
        self._team = team or Team()
        self._stages = recipe.plan(policy)
        self._selection = None
        if recipe.evaluate is not None:
            if evaluator is None:
                raise InputError("The recipe evaluates while it trains, and nothing here runs its episodes.")
            self._selection = Selection(recipe.evaluate, evaluator, folder)
        images = any(stage.images for stage in self._stages)
        self._training = Source.place(recipe.data_on_gpu, training, images, policy, self._device)
        self._held_out = None if held_out is None else self._training.of(held_out)
        self._mixing = None if recipe.mixture is None else SkillMixing(recipe.mixture, training, held_out)
        self._measure = Measurer(policy, self._held_out, self._selection, recipe.seed)
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
        if self._device.type == "cpu":
            keep_freed_memory()
        done = position.stage if position else 0
        steps = sum(stage.steps for stage in self._stages[:done]) + (position.step if position else 0)
        with self._log(steps) as log:
            for index, stage in enumerate(self._stages):
                self._begin(index, stage)
                if stage.steps and (position is None or index >= position.stage):
                    start = position.step if position and index == position.stage else None
                    self._run_stage(index, stage, start, log)
        last = self._stages[-1]
        learning = sum(self._seconds[f"{last.name}.{part}"] for part in ("data", "update"))
        return TrainResult(
            samples_per_second=last.steps * last.batch_size * self._team.size / max(learning, 1e-9),
            steps=sum(stage.steps for stage in self._stages),
            samples=sum(stage.steps * stage.batch_size for stage in self._stages) * self._team.size,
            seconds=dict(self._seconds),
            metrics=self._metrics,
            chosen=self._selection.load(self.policy) if self._selection and self._team.main else None,
        )

    def _log(self, steps: int) -> MetricLog:
        """Where numbers go: nowhere, but for the main process."""
        recipe = self._recipe
        if not self._team.main:
            return MetricLog(None, steps)
        return MetricLog(self._folder, steps, recipe.logger, recipe.name, to_mapping(recipe))

    # One phase -------------------------------------------------------------------------------------

    def _begin(self, index: int, stage: Stage) -> None:
        """Prepare the policy for a phase. A resumed run does so for every phase up to its own."""
        torch.manual_seed(self._recipe.seed * 1000 + index)
        windows = self._training.windows
        count = min(SAMPLE, len(windows))
        indices = batch_indices(len(windows), count, self._recipe.seed, 1000 + index, 0)
        sample = to_device(windows.batch(indices, images=False), self._device)
        statistics = windows.statistics()
        tensors = {name: torch.from_numpy(value).to(self._device) for name, value in statistics.items()}
        self.policy.begin_stage(stage.name, tensors, sample)
        for source in (self._training, self._held_out):
            if source is not None:
                source.begin(self.policy)
        if self._team.rank:  # each process of a team augments in its own way
            torch.manual_seed((self._recipe.seed * 1000 + index) + (self._team.rank << 32))

    def _run_stage(self, index: int, stage: Stage, start: int | None, log: MetricLog) -> None:
        title = f"{self._recipe.name}: {stage.name}"
        first = start or 0
        team = self._team
        order = Order(self._recipe.seed, index, (team.rank, team.size))
        with (
            self._training.feed(stage, order, self._recipe.workers) as feed,
            JobProgress(self._console, title, stage.steps, "samples", first) as progress,
        ):
            run = StageRun(self.policy, stage, self._recipe, feed, team)
            if start is not None:
                checkpoint.load(self._folder, self._module, run.average.weights, run.optimizer, team.rank)
            items = self._items(feed, run, first, log)
            watch = LossWatch(stage, first)
            for step in range(first, stage.steps):
                with self._timed(stage, "data"):
                    item = next(items)
                with self._timed(stage, "update"):
                    loss, metrics = run(item, step)
                    watch.add(loss)
                    if self._due(stage, step + 1, LOOK_EVERY):
                        watch.look()
                progress.advance(stage.batch_size * team.size, f"loss {watch.last:.4g}")
                self._after_step(index, step + 1, run, {"loss": loss, **metrics}, log, watch)
        run.end()

    def _items(self, feed: Feed, run: StageRun, first: int, log: MetricLog) -> Iterator[Any]:
        """What the steps from `first` on learn from; a mixture that changes does so between two of them."""
        stage, mixing = run.stage, self._mixing
        if mixing is None or stage is not self._stages[-1]:
            yield from feed.items(first, stage.steps, self._training.windows.mixture)
            return
        if first == 0 and mixing.settings.graph == "learned":
            mixing.learn(probe(mixing, self.policy, stage, self._recipe, feed, self._measure, self._team))
        before = sum(earlier.steps for earlier in self._stages[:-1])
        step = first
        while step < stage.steps:
            if mixing.due(step):
                losses = self._measure.losses(stage, run.average, mixing.held_out)
                mixing.update(self._team.mean(losses))
                log.write("held_out_loss_of", losses, before + step + 1)
                log.write("share_of", mixing.shares(), before + step + 1)
            stop = mixing.until(step, stage.steps)
            yield from feed.items(step, stop, mixing.mixture())
            step = stop

    def _after_step(
        self,
        index: int,
        done: int,
        run: StageRun,
        metrics: Mapping[str, Tensor | float],
        log: MetricLog,
        watch: LossWatch,
    ) -> None:
        """Log, measure and write a checkpoint, each when it is due."""
        stage, recipe = run.stage, self._recipe
        total = done + sum(earlier.steps for earlier in self._stages[:index])
        known = self._metrics.setdefault(stage.name, {})
        if self._due(stage, done, LOOK_EVERY):
            values = self._team.mean(to_floats(metrics))
            rate = one_cycle(done - 1, stage.steps, stage.learning_rate, recipe.warmup)
            log.write(f"train_{stage.name}", {**values, "learning_rate": rate}, total)
            known.update(values)
        if self._held_out is not None and self._due(stage, done, recipe.validate_every) and self._team.main:
            with self._timed(stage, "validation"):
                held_out = self._measure.held_out(stage, run.average)
            log.write(f"held_out_{stage.name}", held_out, total)
            known.update({f"held_out_{name}": value for name, value in held_out.items()})
        success = recipe.evaluate if stage is self._stages[-1] else None
        if success is not None and self._due(stage, done, success.every) and self._team.main:
            watch.look()
            self._evaluate(run, done, total, log)
        if self._due(stage, done, recipe.checkpoint_every):
            watch.look()  # weights that are no longer numbers are not kept
            with self._timed(stage, "checkpoint"):
                log.flush()
                self._save(index, done, run)

    def _evaluate(self, run: StageRun, done: int, total: int, log: MetricLog) -> None:
        """Measure success, and tell it."""
        with self._timed(run.stage, "evaluation"):
            report = self._measure.success(done, run.average)
        rate, episodes = report.successes / len(report.results), float(len(report.results))
        values = {"success_rate": rate, "episodes": episodes}
        log.write("evaluation", values, total, {"phase_step": done, "failures": failures(report)})
        known = self._metrics.setdefault(run.stage.name, {})
        known.update({f"validation_{name}": value for name, value in values.items()})
        self._console.print(
            f"{self._recipe.name}: step {done}: {report.headline()} on validation seeds",
            highlight=False,
            soft_wrap=True,
        )

    def _due(self, stage: Stage, done: int, every: int) -> bool:
        return done % every == 0 or done == stage.steps

    # Checkpoints and time --------------------------------------------------------------------------

    def _save(self, stage: int, step: int, run: StageRun) -> None:
        random = self._team.gather(checkpoint.random_state())
        if not self._team.main:
            return
        recipe, size = to_mapping(self._recipe), self._team.size
        mixing = None if self._mixing is None else self._mixing.to_json()
        position = checkpoint.Position(stage, step, dict(self._seconds), recipe, self._metrics, size, mixing)
        checkpoint.save(self._folder, position, self._module, run.average.weights, run.optimizer, random)

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
        if position.processes != self._team.size:
            raise InputError(
                f"The run in {self._folder} was begun by {position.processes} processes; go on with as many, "
                f"not {self._team.size}."
            )
        if self._mixing is not None and position.mixing is not None:
            self._mixing.restore(position.mixing)
        self._seconds.update(position.seconds)
        self._metrics.update({stage: dict(values) for stage, values in position.metrics.items()})
        return position

    @contextlib.contextmanager
    def _timed(self, stage: Stage, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._seconds[f"{stage.name}.{part}"] += time.perf_counter() - began
