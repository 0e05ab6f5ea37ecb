"""Skill-It: what is badly learned, or helps what is, comes more often; a resumed run mixes as before."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from robot_skills.data.loader import Windows
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.skill import SkillCall
from robot_skills.training import recipe as recipe_module
from robot_skills.training.metrics import read_metrics
from robot_skills.training.mixing import LEAST, SkillMixing
from robot_skills.training.recipe import DataChoice, PolicyChoice, SkillIt, StageSettings, TrainRecipe
from robot_skills.training.run import train
from tests.robot_skills.training.tiny import SIZE, TinyPolicy, make_episode


@pytest.fixture(autouse=True)
def _tiny_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_module, "policy_class", lambda name: TinyPolicy)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demonstrations of "pick", whose actions are random, and of "press", whose are always the same."""
    folder = tmp_path_factory.mktemp("two") / "skills"
    with EpisodeStore.create(folder, {"front": SIZE, "wrist": SIZE}, 20.0) as store:
        for seed in range(12):
            if seed % 2:
                call, action = SkillCall("press", {"object": "button"}), np.full((12, 7), 0.3, np.float32)
                store.append(make_episode(seed, call=call, action=action))
            else:
                store.append(make_episode(seed))
    return folder


def windows(data: Path) -> Windows:
    return Windows([EpisodeStore.open(data)], ("front",), 2, 4)


def make_recipe(data: Path, mixture: SkillIt, **changes: object) -> TrainRecipe:
    fields: dict[str, object] = {
        "name": "tiny",
        "data": (str(data),),
        "policy": PolicyChoice("tiny"),
        "stages": {"policy": StageSettings(steps=40, learning_rate=0.01)},
        "mixture": mixture,
        "validation_fraction": 0.4,
        "checkpoint_every": 10,
        "check": False,
        **changes,
    }
    return TrainRecipe(**fields)  # type: ignore[arg-type]


def test_shares_are_those_of_the_formula(data: Path) -> None:
    graph = {"pick": {"pick": 1.0}, "press": {"press": 1.0, "pick": 0.5}}
    mixing = SkillMixing(SkillIt(eta=2.0, memory=2, graph=graph), windows(data), windows(data))
    assert mixing.shares() == {"pick": 0.5, "press": 0.5}
    for losses in ({"pick": 9.0, "press": 9.0}, {"pick": 1.0, "press": 0.2}, {"pick": 0.6, "press": 0.1}):
        mixing.update(losses)
    # The last two rounds: pick 1.6; press 0.3, and half of pick's.
    raw = math.exp(2 * 1.6), math.exp(2 * (0.3 + 0.8))
    assert mixing.shares()["pick"] == pytest.approx(LEAST / 2 + (1 - LEAST) * raw[0] / sum(raw))
    assert sum(mixing.shares().values()) == pytest.approx(1)


def test_a_mixture_holds_the_shares_and_no_window_of_another_skill(data: Path) -> None:
    here = windows(data)
    mixing = SkillMixing(SkillIt(eta=3.0), here, here)
    mixing.update({"pick": 0.6, "press": 0.1})
    chosen = mixing.mixture().batch(2048, seed=0, stream=1, step=0)
    pick = np.isin(chosen, here.groups("skills")["pick"]).mean()
    assert pick == pytest.approx(mixing.shares()["pick"], abs=0.002)
    alone = mixing.mixture(only="press").batch(64, seed=0, stream=1, step=0)
    assert set(alone.tolist()) <= set(here.groups("skills")["press"].tolist())


def test_training_turns_to_what_is_badly_learned(data: Path, tmp_path: Path) -> None:
    recipe = make_recipe(data, SkillIt(every=10, eta=4.0))
    train(recipe, tmp_path, False, "train", Console(quiet=True))
    shares = [row["pick"] for row in read_metrics(tmp_path) if row["group"] == "share_of"]
    assert len(shares) == 3
    assert shares[-1] > 0.7
    assert "## Shares of the skills" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("graph", ["learned", {}])
def test_a_killed_run_mixes_on_as_before(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: object
) -> None:
    settings = SkillIt(every=10, eta=2.0, graph=graph, probe_steps=5)  # type: ignore[arg-type]
    recipe = make_recipe(data, settings)
    train(recipe, tmp_path / "whole", False, "train", Console(quiet=True))
    inner, updates = TinyPolicy.loss, 0

    def loss(self, name, batch):  # type: ignore[no-untyped-def]
        nonlocal updates
        updates += self.training
        if updates == 38:
            raise KeyboardInterrupt
        return inner(self, name, batch)

    monkeypatch.setattr(TinyPolicy, "loss", loss)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "parts", False, "train", Console(quiet=True))
    monkeypatch.setattr(TinyPolicy, "loss", inner)
    train(recipe, tmp_path / "parts", True, "train", Console(quiet=True))
    assert read_metrics(tmp_path / "parts") == read_metrics(tmp_path / "whole")
    whole = load_file(tmp_path / "whole" / "model.safetensors")
    for name, value in load_file(tmp_path / "parts" / "model.safetensors").items():
        assert torch.equal(value, whole[name]), name


def test_finding_the_graph_leaves_the_training_as_it_was(data: Path, tmp_path: Path) -> None:
    never = {"every": 1000, "eta": 1.0}
    train(make_recipe(data, SkillIt(**never)), tmp_path / "given", False, "train", Console(quiet=True))  # type: ignore[arg-type]
    learned = SkillIt(**never, graph="learned", probe_steps=7)  # type: ignore[arg-type]
    train(make_recipe(data, learned), tmp_path / "learned", False, "train", Console(quiet=True))
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("given", "learned"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_mistakes_are_named(data: Path) -> None:
    here = windows(data)
    graph = {"pick": {"pull": 1.0}}
    with pytest.raises(InputError, match="name in the graph of skills 'pull'"):
        SkillMixing(SkillIt(graph=graph), here, here)
    with pytest.raises(InputError, match="no episode of 'press' is held out"):
        SkillMixing(SkillIt(), here, here.only([0, 2]))
    with pytest.raises(InputError, match="two stores or more"):
        SkillMixing(SkillIt(of="stores"), here, here)
    with pytest.raises(InputError, match="no weight and no quality"):
        dataclasses.replace(make_recipe(data, SkillIt()), data=(DataChoice(str(data), weight=2.0),))
