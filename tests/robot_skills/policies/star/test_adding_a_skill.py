"""Recipes that add a skill to a trained folder: trained, killed, gone on with, used from a library."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.library import CARD, SkillLibrary
from robot_skills.policies.registry import load_policy
from robot_skills.policies.star.star_lora import StarLoraPolicy
from robot_skills.skill import SkillCall
from robot_skills.training.configuration import from_mapping
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.run import train
from tests.robot_skills.training.tiny import make_episode

torch.set_num_threads(1)
SMALL = {
    "cameras": ["front"], "shift": [1], "width": 16, "layers": 1, "heads": 2, "feature": 16,
    "offset_width": 16, "codes": {"codes": 4, "latent": 4, "width": 16},
    "language": {"width": 16, "layers": 1, "vocabulary": 64},
    "vision": {"channels": [4, 8], "strides": [2, 2], "kernels": [5, 3]},
}  # fmt: skip


def make_store(folder: Path, skill: str, first_seed: int) -> str:
    with EpisodeStore.create(folder, {"front": (16, 16)}, 20.0) as store:
        for seed in range(first_seed, first_seed + 6):
            images = np.random.default_rng(seed).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
            call = SkillCall(skill, {"object": f"block {seed}"})
            store.append(make_episode(seed, 12, images={"front": images}, call=call))
    return str(folder)


def recipe(name: str, data: list[str], policy: dict[str, object], **changes: object) -> TrainRecipe:
    steps = {"steps": 6, "batch_size": 8}
    stages = ("adapter",) if policy["name"] == "star_lora" else ("codes", "policy")
    fields = {
        "name": name, "data": data, "policy": policy, "stages": dict.fromkeys(stages, steps),
        "check": False, "checkpoint_every": 1, "validate_every": 3, **changes,
    }  # fmt: skip
    return from_mapping(TrainRecipe, fields, name)


def run(given: TrainRecipe, folder: Path, resume: bool = False) -> Path:
    train(given, folder, resume, "as typed", Console(file=io.StringIO()))
    return folder


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("data")
    return {
        skill: make_store(folder / skill, skill, 10 * place)
        for place, skill in enumerate(("pick", "place", "push"))
    }


@pytest.fixture(scope="module")
def base(stores: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    policy = {"name": "star", "config": {**SMALL, "skills": ["pick", "place"]}}
    together = recipe("two", [stores["pick"], stores["place"]], policy)
    return run(together, tmp_path_factory.mktemp("two"))


def test_a_recipe_adds_a_skill_and_is_killed_and_goes_on(
    stores: dict[str, str], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {"name": "star_lora", "base": str(base), "config": {"adds": ["push"], "rank": 2}}
    adding = recipe("three", [stores["push"]], policy, skill="push")
    whole = run(adding, tmp_path / "whole")
    inner, done = StarLoraPolicy.loss, []

    def loss(self, name, batch):  # type: ignore[no-untyped-def]
        done.append(1)
        if len(done) == 4:
            raise KeyboardInterrupt
        return inner(self, name, batch)

    with monkeypatch.context() as patch:
        patch.setattr(StarLoraPolicy, "loss", loss)
        with pytest.raises(KeyboardInterrupt):
            run(adding, tmp_path / "killed")
    killed = run(adding, tmp_path / "killed", resume=True)
    one, two = (load_file(folder / "model.safetensors") for folder in (whole, killed))
    assert all(torch.equal(one[name], two[name]) for name in one)

    before = load_file(base / "model.safetensors")
    for name, value in before.items():
        assert name == "language.token_ids" or torch.equal(one[name], value), name
    statistics = (load_file(folder / "stats.safetensors") for folder in (base, whole))
    old, new = statistics
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert any(value.abs().sum() > 0 for name, value in one.items() if ".up." in name)
    assert (whole / CARD).is_file()  # so that `robot-skills eval` takes it as it is

    library = SkillLibrary.open(tmp_path / "library", new=True)
    library.add_shared(whole, ["pick", "place", "push"], "three")
    library = SkillLibrary.open(library.folder)
    assert library.policy("push") is library.policy("pick")
    assert isinstance(load_policy(whole), StarLoraPolicy)


def test_a_base_is_for_policies_that_take_one(stores: dict[str, str], base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'star' is not built on another"):
        run(
            recipe("x", [stores["push"]], {"name": "star", "base": str(base), "config": SMALL}),
            tmp_path / "x",
        )
    policy = {"name": "star_lora", "base": str(base), "config": {"adds": ["push"], "chunk": 4}}
    with pytest.raises(InputError, match="chunk is 8 in"):
        run(recipe("x", [stores["push"]], policy), tmp_path / "x")
    policy = {"name": "star_lora", "base": str(tmp_path / "nowhere"), "config": {"adds": ["push"]}}
    with pytest.raises(InputError, match=r"no config\.json"):
        run(recipe("x", [stores["push"]], policy), tmp_path / "x")
