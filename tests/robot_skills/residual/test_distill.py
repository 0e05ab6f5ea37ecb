"""Refined roll-outs become demonstrations, and a recipe that makes one network of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.policies.registry import load_policy
from robot_skills.residual.distill import Distiller, check_seeds, load_refined, open_store, recipe
from robot_skills.residual.practice import Practice
from robot_skills.training.configuration import from_mapping
from robot_skills.training.recipe import TrainRecipe
from tests.robot_skills.residual.toy import REFINE, SPACE, Arena, Deadly


@pytest.fixture
def refined(base: Path, tmp_path: Path) -> Path:
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    policy.actor.last.bias.data.fill_(0.3)
    policy.save_pretrained(tmp_path / "refined")
    return tmp_path / "refined"


def test_successes_are_recorded_as_they_were_played(refined: Path, tmp_path: Path) -> None:
    attempt, arena, policy = Distiller(str(refined), Deadly())(), Arena(), load_refined(refined)
    kept, lost = 0, 0
    with open_store(tmp_path / "store", policy, arena, {}) as store:
        for seed in range(20):
            result, made = arena.play(policy, seed), attempt(seed)
            assert result.success == (made.episode is not None)
            if made.episode is None:
                lost += 1
                assert made.reason
                continue
            kept += 1
            assert np.array_equal(made.episode.action, np.stack(arena.world.actions))
            assert len(made.episode) == result.steps
            assert made.episode.end[-1] == 1
            assert made.episode.text == "there"
            store.append(made.episode)
    assert kept
    assert lost
    assert len(store.episodes) == kept


def test_one_network_learns_from_both(refined: Path, base: Path, tmp_path: Path) -> None:
    (refined / "training.json").write_text(json.dumps({"base": str(base)}))
    with pytest.raises(InputError, match="write a training recipe"):
        recipe(refined, tmp_path / "store", 100)
    known = {"name": "toy", "data": ["demonstrations"], "policy": {"name": "bc", "config": {}}}
    (base / "training.json").write_text(json.dumps({"recipe": known}))
    made = from_mapping(TrainRecipe, recipe(refined, tmp_path / "store", 100), "recipe")
    (base / "training.json").unlink()
    assert made.data == ("demonstrations", str(tmp_path / "store"))
    assert made.start_from == str(base)
    assert made.stages["policy"].steps == 100


def test_what_is_not_refined_is_refused(base: Path) -> None:
    assert load_policy(base) is not None
    with pytest.raises(InputError, match="no refined policy"):
        load_refined(base)
    with pytest.raises(InputError, match="900000"):
        check_seeds(899_999, 2)
