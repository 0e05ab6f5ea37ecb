"""What each process of a team runs: trains three times, and the main one leaves what came out.

python -m torch.distributed.run --nproc-per-node 2 tests/robot_skills/training/team_run.py DATA FOLDER
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch
from rich.console import Console

from robot_skills.training import recipe as recipe_module
from robot_skills.training.recipe import PolicyChoice, StageSettings, TrainRecipe
from robot_skills.training.run import train
from tests.robot_skills.training.tiny import TinyPolicy


class StoppedError(Exception):
    """What stands for a kill, in every process at the same step."""


def recipe(data: Path, noise: float, batch_size: int, accumulate: int = 1) -> TrainRecipe:
    """Twelve steps of each phase."""
    settings = StageSettings(steps=12, batch_size=batch_size)
    return TrainRecipe(
        name="tiny",
        data=(str(data),),
        policy=PolicyChoice("tiny", {"noise": noise}),
        stages={"codes": settings, "policy": settings},
        checkpoint_every=5,
        validation_fraction=0.2,
        threads=1,
        accumulate=accumulate,
    )


def main(data: Path, folder: Path) -> None:
    """Without noise, as a larger batch would; with noise, whole; and stopped, and resumed."""
    torch.set_num_threads(1)
    recipe_module.policy_class = lambda name: TinyPolicy
    console = Console(quiet=True)
    for accumulate in (1, 2):
        train(recipe(data, 0.0, 8, accumulate), folder / f"plain{accumulate}", False, "train", console)
    noisy = recipe(data, 0.5, 8)
    train(noisy, folder / "whole", False, "train", console)
    inner, updates = TinyPolicy.loss, 0

    def loss(self, name, batch):  # type: ignore[no-untyped-def]
        nonlocal updates
        updates += self.training
        if updates == 19:
            raise StoppedError
        return inner(self, name, batch)

    TinyPolicy.loss = loss  # type: ignore[method-assign]
    try:
        train(noisy, folder / "parts", False, "train", console)
    except StoppedError:
        TinyPolicy.loss = inner  # type: ignore[method-assign]
    train(dataclasses.replace(noisy), folder / "parts", True, "train", console)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
