"""A training that begins with the weights of another, and what does not fit."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from robot_skills.errors import InputError
from robot_skills.policies.registry import load_policy
from robot_skills.training.configuration import from_mapping
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.run import train
from tests.robot_skills.training.tiny import make_store


def recipe(data: Path, **changes: object) -> TrainRecipe:
    settings: dict[str, object] = {
        "name": "still",
        "data": [str(data)],
        "policy": {
            "name": "star",
            "config": {"cameras": [], "shift": [], "image_size": 64, "width": 16, "feature": 16},
        },
        "stages": {"codes": {"steps": 3, "batch_size": 16}, "policy": {"steps": 2, "batch_size": 8}},
        "check": False,
        "logger": [],
    }
    return from_mapping(TrainRecipe, {**settings, **changes}, "test")


def run(made: TrainRecipe, folder: Path) -> Path:
    train(made, folder, False, "robot-skills train", Console(file=io.StringIO()))
    return folder


def test_training_goes_on_from_other_weights_and_leaves_a_passed_phase_alone(tmp_path: Path) -> None:
    data = make_store(tmp_path / "data")
    first = run(recipe(data), tmp_path / "first")
    stages = {"codes": {"steps": 0}, "policy": {"steps": 1, "batch_size": 8, "learning_rate": 1e-9}}
    second = run(recipe(data, start_from=str(first), stages=stages, ema_decay=0.0), tmp_path / "second")
    before, after = load_policy(first).state_dict(), load_policy(second).state_dict()
    assert torch.equal(before["tokenizer.quantizer.codebooks"], after["tokenizer.quantizer.codebooks"])
    for name, value in before.items():
        if value.is_floating_point() and "code_use" not in name:
            assert torch.allclose(value, after[name], atol=2e-3), name
    fresh = load_policy(run(recipe(data, seed=1), tmp_path / "fresh")).state_dict()
    assert not torch.allclose(before["fuse.0.weight"], fresh["fuse.0.weight"], atol=2e-3)


def test_what_does_not_fit_is_said_in_one_line(tmp_path: Path) -> None:
    data = make_store(tmp_path / "data")
    first = run(recipe(data), tmp_path / "first")
    wider = {
        "name": "star",
        "config": {"cameras": [], "shift": [], "image_size": 64, "width": 32, "feature": 16},
    }
    with pytest.raises(InputError, match="does not fit the recipe's policy"):
        run(recipe(data, start_from=str(first), policy=wider), tmp_path / "wider")
    other = {"name": "bc", "config": {"cameras": [], "shift": [], "image_size": 64}}
    with pytest.raises(InputError, match="another policy"):
        run(
            recipe(data, start_from=str(first), policy=other, stages={"policy": {"steps": 1}}),
            tmp_path / "other",
        )
    with pytest.raises(InputError, match="no config"):
        run(recipe(data, start_from=str(tmp_path / "nowhere")), tmp_path / "nothing")
