"""This project's training and inference, timed on demand: the same questions as in `lerobot_policies.py`.

python own_policies.py DATA POLICY SETTINGS THREADS: DATA is an episode store, POLICY the name of a registered
policy, SETTINGS a JSON object of its config.

What runs is the trainer itself, from one call of the policy's loss to a later one, so that whatever a step
does is in the figure: waiting for data, update, averaged weights, log. Between two figures it is held there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console

from robot_skills import __version__
from robot_skills.data.loader import Windows
from robot_skills.data.store import EpisodeStore
from robot_skills.execution import ChunkQueue, LocalChunks
from robot_skills.policies.policy import Batch, Policy, PolicyInput
from robot_skills.robot import Observation
from robot_skills.training.loop import Trainer
from robot_skills.training.recipe import PolicyChoice, StageSettings, TrainRecipe
from robot_skills.training.run import sizes

#: More steps than are ever timed: checkpoints are no part of the figures, for neither project.
ENDLESS = 10_000_000
#: Seconds after which what the loader prepares ahead is ready.
QUIET = 0.3


class OtherBatchError(Exception):
    """The next question is about another size of batches: the trainer has to be made anew."""


class MemorySwitch:
    """Windows whose batches come from the data, or are one batch that is in memory."""

    def __init__(self, windows: Windows) -> None:
        self.windows, self.loading = windows, True
        self._kept: Batch | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.windows, name)

    def batch(self, indices: Any, images: bool = True, buffers: Any = None) -> Batch:
        """As `Windows.batch`, or the batch that is kept."""
        if self._kept is None or self.loading or not images or len(self._kept["actions"]) != len(indices):
            given = self.windows.batch(indices, images, buffers)
            if images and (self._kept is None or len(self._kept["actions"]) != len(indices)):
                self._kept = self.windows.batch(indices, images)
            return given
        return self._kept


class Turnstile:
    """Lets the trainer through to the policy's loss for as many steps as are asked for.

    Args:
        policy: what is trained and acts.
        windows: what it learns from.
        answer: is told what was measured.
    """

    def __init__(
        self, policy: Policy, windows: MemorySwitch, answer: Callable[[dict[str, Any]], None]
    ) -> None:
        self.policy, self.windows, self.answer = policy, windows, answer
        self.size: int = 0  # of the batches that the trainer makes
        self._loss = policy.loss
        self._left = 0
        self._began: float | None = None
        self.question: dict[str, Any] | None = None
        policy.loss = self.loss  # type: ignore[method-assign]

    def loss(self, name: str, batch: Batch) -> Any:
        """The policy's loss, once there is a question about training."""
        if self._left == 0:
            if self._began is not None:
                self.answer({"seconds": time.perf_counter() - self._began})
                self._began = None
            self._open()
        self._left -= 1
        return self._loss(name, batch)

    def next_question(self) -> dict[str, Any]:
        """The next question about training; others are answered on the way.

        Raises:
            EOFError: there are no more questions.
        """
        while self.question is None:
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            asked = json.loads(line)
            if asked["ask"] == "train":
                self.question = asked
            elif asked["ask"] == "act":
                self.answer(act(self.policy, asked["chunks"]))
            else:
                module = cast(torch.nn.Module, self.policy)
                size = sum(parameter.numel() for parameter in module.parameters())
                self.answer({"parameters": size, "version": __version__})
        return self.question

    def _open(self) -> None:
        asked = self.next_question()
        if asked["batch"] != self.size:
            raise OtherBatchError
        self.question = None
        self.windows.loading, self._left = asked["loading"], asked["steps"]
        time.sleep(QUIET)
        self._began = time.perf_counter()


def act(policy: Policy, chunks: int) -> dict[str, float]:
    """Median seconds of a call that computes a chunk, and the mean over the actions that are played of it."""
    config = policy.config
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (config.image_size, config.image_size, 3), np.uint8)
    source = LocalChunks(policy)
    cast(torch.nn.Module, policy).eval()
    first, each = [], []
    for _ in range(chunks):
        queue, spent = ChunkQueue(source, lead=0), []
        for step in range(policy.execute):
            began = time.perf_counter()
            if queue.wants(step):
                state = np.zeros(config.state_size, np.float32)
                seen = Observation(dict.fromkeys(policy.cameras, image), state, 0.0)
                given = PolicyInput(seen, np.repeat(state[None], policy.history, axis=0), "")
                queue.ask(step, given)
            queue.at(step, lambda pending: pending.result())
            spent.append(time.perf_counter() - began)
        first.append(spent[0])
        each.append(sum(spent) / len(spent))
    cast(torch.nn.Module, policy).train()
    return {"chunk": float(np.median(first)), "action": float(np.median(each))}


def main() -> None:
    """Answer questions until there are none."""
    answers, sys.stdout = sys.stdout, sys.stderr
    data, name, settings, threads = sys.argv[1:]
    recipe = TrainRecipe("timed", (data,), PolicyChoice(name, json.loads(settings)), checkpoint_every=ENDLESS)
    torch.set_num_threads(int(threads))
    torch.manual_seed(recipe.seed)
    store = EpisodeStore.open(Path(data))
    policy = recipe.policy.build(sizes(store, recipe))
    windows = MemorySwitch(Windows([store], policy.cameras, policy.history, policy.chunk))
    gate = Turnstile(policy, windows, lambda found: print(json.dumps(found), file=answers, flush=True))
    with contextlib.suppress(EOFError):
        while True:
            train(policy, windows, gate, recipe)


def train(policy: Policy, windows: MemorySwitch, gate: Turnstile, recipe: TrainRecipe) -> None:
    """Train with batches of the size that is asked about, until another one is.

    Raises:
        EOFError: there are no more questions.
    """
    gate.size = gate.next_question()["batch"]
    (stage,) = policy.stages()
    stages = {stage.name: StageSettings(steps=ENDLESS, batch_size=gate.size)}
    with tempfile.TemporaryDirectory() as scratch, contextlib.suppress(OtherBatchError):
        chosen = dataclasses.replace(recipe, stages=stages)
        console = Console(quiet=True)
        Trainer(policy, chosen, cast(Windows, windows), None, Path(scratch), console).run()


if __name__ == "__main__":
    main()
