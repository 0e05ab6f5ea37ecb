"""A recipe, carried out: open the data, build the policy, train it, export it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from rich.console import Console
from torch import nn

from robot_skills.data.loader import Windows
from robot_skills.data.store import EpisodeStore
from robot_skills.library import SkillLibrary
from robot_skills.training.export import DataUsed, export
from robot_skills.training.loop import Trainer, TrainResult
from robot_skills.training.recipe import TrainRecipe


def train(recipe: TrainRecipe, folder: Path, resume: bool, command: str, console: Console) -> TrainResult:
    """Train a recipe into a folder, on a GPU where there is one.

    Args:
        recipe: what to train, on what.
        folder: made if need be; a finished run leaves a trained policy in it.
        resume: go on from the folder's checkpoint; without one, from the start.
        command: what was typed, for the card.
        console: where progress is shown.

    Raises:
        InputError: the recipe's data, policy, skill or folder is not usable.
    """
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    if recipe.skill is not None:
        SkillLibrary.open().skill(recipe.skill)
    stores = [EpisodeStore.open(path) for path in recipe.folders()]
    torch.manual_seed(recipe.seed)
    policy = recipe.policy.build()
    cast(nn.Module, policy).to("cuda" if torch.cuda.is_available() else "cpu")
    windows = Windows(stores, policy.cameras, policy.history, policy.chunk)
    training, held_out = windows.split(recipe.validation_fraction, recipe.seed)
    count = held_out.episodes if held_out is not None else 0
    console.print(
        f"{recipe.name}: {training.episodes} episodes, {len(training):,} samples; {count} episodes held out.",
        highlight=False,
        soft_wrap=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    result = Trainer(policy, recipe, training, held_out, folder, console).run(resume)
    export(folder, policy, recipe, result, [DataUsed.of(store) for store in stores], count, command)
    return result
