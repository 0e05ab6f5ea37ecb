"""A recipe, carried out: open the data, build the policy, train it, export it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from rich.console import Console
from torch import nn

from robot_skills.data.loader import Windows, state_names, target_size
from robot_skills.data.reuse.quality import read_scores, weights_of
from robot_skills.data.store import EpisodeStore
from robot_skills.data.validation.run import check_before_training
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.policies.policy import Policy
from robot_skills.policies.registry import load_policy
from robot_skills.training.export import DataUsed, export
from robot_skills.training.loop import Trainer, TrainResult
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.report import write_report
from robot_skills.training.selection import Evaluator
from robot_skills.training.team import Team


def train(
    recipe: TrainRecipe,
    folder: Path,
    resume: bool,
    command: str,
    console: Console,
    evaluator: Evaluator | None = None,
) -> TrainResult:
    """Train a recipe into a folder, on a GPU where there is one, or with the team it was launched in.

    Args:
        recipe: what to train, on what.
        folder: made if need be; a finished run leaves a trained policy in it.
        resume: go on from the folder's checkpoint; without one, from the start.
        command: what was typed, for the card.
        console: where progress is shown.
        evaluator: what runs episodes, for recipes that evaluate while they train.

    Raises:
        InputError: the recipe's data, policy, skill or folder is not usable.
    """
    team = Team.of_environment()
    if not team.main:
        console = Console(quiet=True)
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    if recipe.skill is not None:
        SkillLibrary.open().skill(recipe.skill)
    stores = [EpisodeStore.open(path) for path in recipe.folders()]
    torch.manual_seed(recipe.seed)
    policy = recipe.policy.build(sizes(stores[0], recipe))
    if recipe.start_from is not None:
        take_weights(policy, Path(recipe.start_from))
    cast(nn.Module, policy).to(team.device)
    windows = windows_of(recipe, stores, policy)
    training, held_out = windows.split(recipe.validation_fraction, recipe.seed)
    if recipe.check and not resume and team.main:
        refuse_faults(stores, console)
    count = held_out.episodes if held_out is not None else 0
    console.print(
        f"{recipe.name}: {training.episodes} episodes, {len(training):,} samples; {count} episodes held out.",
        highlight=False,
        soft_wrap=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    result = Trainer(policy, recipe, training, held_out, folder, console, evaluator, team).run(resume)
    if team.main:
        export(folder, policy, recipe, result, [DataUsed.of(store) for store in stores], count, command)
        write_report(folder)
    team.wait()
    return result


def windows_of(recipe: TrainRecipe, stores: Sequence[EpisodeStore], policy: Policy) -> Windows:
    """What a recipe has a policy learn from."""
    windows = Windows(
        stores,
        policy.cameras,
        policy.history,
        policy.chunk,
        recipe.state,
        recipe.target,
        recipe.weights(),
        [
            weights_of(read_scores(store).tolist(), choice.quality) if choice.quality else None
            for store, choice in zip(stores, recipe.choices(), strict=True)
        ],
    )
    return windows.without(recipe.without)


def take_weights(policy: Policy, folder: Path) -> None:
    """Give a fresh policy the weights of a trained folder.

    Raises:
        InputError: the folder holds no trained policy, or one of another kind or size.
    """
    trained = load_policy(folder)
    if type(trained) is not type(policy):
        raise InputError(
            f"start_from: {folder} holds another policy than the recipe's: {type(trained).__name__}."
        )
    try:
        cast(nn.Module, policy).load_state_dict(cast(nn.Module, trained).state_dict())
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"start_from: {folder} does not fit the recipe's policy: {reason}") from error


def refuse_faults(stores: Sequence[EpisodeStore], console: Console) -> None:
    """Look data sets through before hours are spent on them; warnings are counted on the console.

    Raises:
        InputError: they hold something that is not fit to train on.
    """
    problems = check_before_training(stores)
    errors = [problem for problem in problems if problem.severity == "error"]
    more = "robot-skills data validate FOLDER lists everything"
    if errors:
        others = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
        folders = ", ".join(str(store.folder) for store in stores)
        raise InputError(
            f"{folders} is not fit to train on: {errors[0]}{others} {more}; `check: false` in the recipe "
            "trains all the same."
        )
    if problems:
        kinds = ", ".join(sorted({problem.kind for problem in problems}))
        console.print(f"{len(problems)} warnings about the data ({kinds}): {more}.", soft_wrap=True)


def sizes(store: EpisodeStore, recipe: TrainRecipe) -> dict[str, int]:
    """What a data set and the recipe's choice of features say of a policy's sizes.

    Raises:
        InputError: the recipe names a feature that the data set does not have.
    """
    found = {
        "state_size": len(state_names(store.meta, recipe.state)),
        "action_size": store.meta.action.size,
        "target_size": target_size(store.meta, recipe.target),
    }
    pixels = {size for camera in store.meta.cameras.values() for size in camera}
    return found | ({"image_size": pixels.pop()} if len(pixels) == 1 else {})
