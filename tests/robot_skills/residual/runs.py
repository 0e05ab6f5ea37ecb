"""Runs of practice on the toy."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from robot_skills.residual.arena import ArenaFactory
from robot_skills.residual.checkpoint import CHECKPOINT, read_checkpoint
from robot_skills.residual.config import RefineConfig
from robot_skills.residual.demonstrations import read_demonstrations
from robot_skills.residual.learner import Learner
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.practice import Practice
from robot_skills.residual.refine import Refiner
from robot_skills.training.metrics import read_metrics
from tests.robot_skills.residual.toy import REFINE, SPACE, Deadly


def refine(
    folder: Path,
    base: Path,
    demonstrations: Path | None,
    config: RefineConfig = REFINE,
    resume: bool = False,
    workers: int = 0,
    arena: ArenaFactory | None = None,
    prepare: Callable[[Refiner], None] | None = None,
) -> ResidualPolicy:
    """Practise in this process (no workers) or in others; returns the policy that is left."""
    practice = Practice(str(base), config.policy, arena or Deadly())
    policy = practice.policy(SPACE)
    shown = [] if demonstrations is None else read_demonstrations(policy, demonstrations, 0)
    console = Console(file=io.StringIO())
    refiner = Refiner(
        Learner(policy, config.learner, config.seed),
        config, practice, shown, folder, console, max(workers, 1), local=workers == 0,
    )  # fmt: skip
    if prepare is not None:
        prepare(refiner)
    refiner.run(resume)
    return policy


def end_of(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Position, tensors and curves of a finished run, without the time that it took."""
    told, tensors = read_checkpoint(folder / CHECKPOINT)
    told["position"].pop("seconds")
    rows = {(row["step"], row["group"]): row for row in read_metrics(folder)}
    return told["position"], tensors, list(rows.values())


def assert_same(one: Path, other: Path) -> None:
    """Two runs came to the same, bit for bit."""
    (position, tensors, rows), (also, others, curves) = end_of(one), end_of(other)
    assert position == also
    assert rows == curves
    assert set(tensors) == set(others)
    for name, value in tensors.items():
        assert torch.equal(value, others[name]), name


def short(**changes: Any) -> RefineConfig:
    """A run of a few episodes."""
    return dataclasses.replace(REFINE, **changes)
