"""What a training step costs, and what each way to do it is worth: STAR and ACT at their own sizes.

Every way does the same steps on the same random data (two 64 px cameras). The ways take turns, and a ratio is
the median over the rounds, each against the plain step of the same round. On a CPU figures are processor time
of one thread, so that a busy machine counts little; on a GPU they are wall time with the device waited for.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from report import write_report
from torch import nn

from robot_skills.data.episode import Episode
from robot_skills.data.loader import Windows
from robot_skills.data.meta import StoreMeta
from robot_skills.data.store import EpisodeStore
from robot_skills.policies.policy import Policy, Stage
from robot_skills.training.feed import Order, Source
from robot_skills.training.recipe import PolicyChoice, TrainRecipe
from robot_skills.training.step import CompiledLoss, StageRun
from robot_skills.training.team import Team

SIZE, EPISODES, LENGTH = 64, 16, 64
COLOURS = ("red", "green", "blue", "yellow")


@dataclass(frozen=True)
class Way:
    """A way to do a step: what of the recipe differs, and whether the weights lie channels-last."""

    changes: dict[str, Any]
    channels_last: bool = False
    before: bool = False


PLAIN = "eager, float32"
ON_CPU = {
    PLAIN: Way({}),
    "waiting for the loss, averages one by one (before)": Way({}, before=True),
    "weights channels-last": Way({}, channels_last=True),
    "torch.compile": Way({"step": "compile"}),
    "bfloat16": Way({"precision": "bfloat16"}),
    "data gathered by the trainer": Way({"data_on_gpu": True}),
    "accumulate 2": Way({"accumulate": 2}),
}
ON_GPU = {
    PLAIN: Way({"data_on_gpu": True}),
    "waiting for the loss, averages one by one (before)": Way({"data_on_gpu": False}, before=True),
    "data on the host": Way({"data_on_gpu": False}),
    "weights channels-last": Way({"data_on_gpu": True}, channels_last=True),
    "torch.compile": Way({"data_on_gpu": True, "step": "compile"}),
    "CUDA graph": Way({"data_on_gpu": True, "step": "graph"}),
    "CUDA graph, bfloat16": Way({"data_on_gpu": True, "step": "graph", "precision": "bfloat16"}),
}


def demonstrations(folder: Path) -> EpisodeStore:
    """Random images and motions: what is learned does not matter here."""
    random = np.random.default_rng(0)
    cameras = {"front": (SIZE, SIZE), "wrist": (SIZE, SIZE)}
    with EpisodeStore.create_from(folder, StoreMeta(cameras, 10.0)) as store:
        for number in range(EPISODES):
            store.append(
                Episode(
                    images={
                        name: random.integers(0, 256, (LENGTH, SIZE, SIZE, 3), dtype=np.uint8)
                        for name in cameras
                    },
                    state=random.normal(size=(LENGTH, 10)).astype(np.float32),
                    action=random.uniform(-1, 1, (LENGTH, 7)).astype(np.float32),
                    end=np.r_[np.zeros(LENGTH - 1), 1].astype(np.float32),
                    target=random.normal(size=(LENGTH, 3)).astype(np.float32),
                    text=f"{COLOURS[number % 4]} block",
                )
            )
    return EpisodeStore.open(folder)


class Stepper:
    """One way, ready to step."""

    def __init__(self, name: str, way: Way, store: EpisodeStore, device: torch.device) -> None:
        torch.manual_seed(0)
        recipe = replace(TrainRecipe(name, (str(store.folder),), PolicyChoice(name)), **way.changes)
        policy: Policy = recipe.policy.build()
        module = cast(nn.Module, policy).to(device)
        if way.channels_last:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        windows = Windows([store], policy.cameras, policy.history, policy.chunk)
        known = {key: torch.from_numpy(value).to(device) for key, value in windows.statistics().items()}
        sample = windows.batch(np.arange(len(windows)), images=False)
        for stage in policy.stages():
            policy.begin_stage(stage.name, known, _on(sample, device))
        source = Source.place(recipe.data_on_gpu, windows, True, policy, device)
        source.begin(policy)
        self.stage: Stage = replace(policy.stages()[-1], steps=100_000)
        self._feed = source.feed(self.stage, Order(0, 0), 1)
        self._run = StageRun(policy, self.stage, recipe, self._feed, Team())
        self._items = self._feed.items(0, self.stage.steps, windows.mixture)
        self._steps = count()
        if way.before:
            self._run.average.update = _one_by_one(self._run, module)  # type: ignore[method-assign]
        self._wait = way.before

    def __call__(self) -> None:
        """Do one step."""
        loss, _ = self._run(next(self._items), next(self._steps))
        if self._wait:
            loss.item()

    @property
    def gave_up(self) -> bool:
        """Whether its loss did not compile."""
        return isinstance(self._run.loss, CompiledLoss) and not self._run.loss.compiled

    def close(self) -> None:
        """End the threads that prepare batches."""
        self._feed.__exit__()


def _one_by_one(run: StageRun, module: nn.Module) -> Callable[[Any], None]:
    """The moving average as it was: a kernel for each parameter."""

    @torch.no_grad()
    def update(share: float) -> None:
        for name, value in module.named_parameters():
            run.average.weights[name].lerp_(value, share)

    return update


def _on(batch: Any, device: torch.device) -> Any:
    return {key: value.to(device) if hasattr(value, "to") else value for key, value in batch.items()}


def timed(step: Stepper, steps: int, device: torch.device) -> float:
    """Seconds a step."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = clock()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (clock() - began) / steps


def measure(
    name: str, ways: dict[str, Way], store: EpisodeStore, rounds: int, steps: int
) -> list[tuple[str, str, str, str, str]]:
    """A row for each way: seconds to get going, milliseconds a step, samples a second, and the ratio."""
    device = Team().device
    steppers, first = {}, {}
    for label, way in ways.items():
        steppers[label] = Stepper(name, way, store, device)
        began = time.perf_counter()
        timed(steppers[label], 5, device)
        first[label] = time.perf_counter() - began
    found: dict[str, list[float]] = {label: [] for label in ways}
    labels = list(ways)
    for turn in range(rounds):
        # Who comes after whom changes from round to round: the first finds the caches as others left them.
        for label in np.random.default_rng(turn).permutation(labels):
            found[label].append(timed(steppers[label], steps, device))
    rows = []
    for label, seconds in found.items():
        stepper, middle = steppers[label], statistics.median(seconds)
        stepper.close()
        ratio = statistics.median(plain / own for plain, own in zip(found[PLAIN], seconds, strict=True))
        told = f"{label} (does not compile)" if stepper.gave_up else label
        figures = (f"{first[label]:.1f}", f"{1000 * middle:.1f}", f"{stepper.stage.batch_size / middle:.0f}")
        rows.append((name, told, *figures, f"{ratio:.2f}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", nargs="+", default=["star", "act"])
    parser.add_argument(
        "--ways", nargs="+", help="only ways that contain one of these words, and the plain one"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="of each way in each round")
    args = parser.parse_args()
    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    ways = {
        label: way
        for label, way in (ON_GPU if gpu else ON_CPU).items()
        if label == PLAIN or not args.ways or any(word in label for word in args.ways)
    }
    with tempfile.TemporaryDirectory() as folder:
        store = demonstrations(Path(folder) / "random")
        rows = [row for name in args.policies for row in measure(name, ways, store, args.rounds, args.steps)]
    note = (
        "The ratio is how many times faster than the plain step of the same round, the median over "
        f"{args.rounds} rounds. Figures are "
        + (f"wall time on {torch.cuda.get_device_name()}." if gpu else "processor time of one thread.")
        + " The first five steps include compiling and capturing."
    )
    header = ("policy", "way", "first five steps, s", "ms a step", "samples/s", "ratio")
    write_report(f"training_speed{'_gpu' if gpu else ''}", "What a training step costs", header, rows, note)


if __name__ == "__main__":
    main()
