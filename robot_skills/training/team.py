"""The processes that train together, one a GPU: Hugging Face `accelerate` launches and joins them.

Each process learns from `batch_size` windows a step and the gradients are averaged, so that a team of n
learns as one process does from a batch n times as large: `accelerate launch --num_processes 4 -m
robot_skills.cli.main train RECIPE -o FOLDER`. One process, the main one, measures, logs and writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from robot_skills.errors import require
from robot_skills.policies.policy import Batch, Metrics, Policy

#: How long the others wait while the main process evaluates.
PATIENCE = timedelta(hours=6)


def is_main() -> bool:
    """Whether this process is alone, or the first of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


class Team:
    """This process alone; `Team.of_environment` knows of others.

    Attributes:
        rank, size: which of how many processes this one is.
        device: what it trains on.
    """

    rank, size = 0, 1

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @staticmethod
    def of_environment() -> Team:
        """The team that a launcher (`accelerate launch`, `torchrun`) has put this process in.

        Raises:
            InputError: there are several processes, and accelerate is not installed.
        """
        return Accelerated() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Team()

    @property
    def main(self) -> bool:
        """Whether this process measures, logs and writes."""
        return self.rank == 0

    def join(self, policy: Policy) -> Loss:
        """The policy's loss, whose gradient is averaged over the team."""
        return Loss(policy)

    def apart(self, loss: nn.Module) -> AbstractContextManager[Any]:
        """Inside, gradients are not averaged: for all but the last part of a batch."""
        return nullcontext()

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Numbers, averaged over the team."""
        return dict(values)

    def gather(self, state: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
        """Every process's tensors, by rank."""
        return [state]

    def wait(self) -> None:
        """Go on when all have come here."""


class Loss(nn.Module):
    """A policy's loss as a module's forward, which is what joins a team."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = policy

    def forward(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """As `Policy.loss`."""
        return self._policy.loss(name, batch)


class Accelerated(Team):
    """Several processes, joined by `accelerate`."""

    def __init__(self) -> None:
        accelerate = require("accelerate", "multi-gpu")
        utils = require("accelerate.utils", "multi-gpu")
        # A phase may leave parameters without a gradient: those of the phases before and after.
        options = [
            utils.DistributedDataParallelKwargs(find_unused_parameters=True),
            utils.InitProcessGroupKwargs(timeout=PATIENCE),
        ]
        self._accelerator: Any = accelerate.Accelerator(
            cpu=not torch.cuda.is_available(), kwargs_handlers=options
        )
        self._gather_object = utils.gather_object
        self.rank, self.size = self._accelerator.process_index, self._accelerator.num_processes
        self.device = self._accelerator.device

    def join(self, policy: Policy) -> Any:
        """The loss, wrapped so that its gradient is averaged over the processes."""
        return self._accelerator.prepare(Loss(policy))

    def apart(self, loss: nn.Module) -> AbstractContextManager[Any]:
        """Inside, each process keeps its gradient for itself."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(loss)
        return context

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Numbers that every process has, averaged."""
        summed = self._accelerator.reduce(torch.tensor(list(values.values()), device=self.device), "mean")
        return dict(zip(values, summed.tolist(), strict=True))

    def gather(self, state: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
        """Every process's tensors, by rank."""
        gathered: list[Mapping[str, Tensor]] = self._gather_object([dict(state)])
        return gathered

    def wait(self) -> None:
        """Go on when all have come here."""
        self._accelerator.wait_for_everyone()
