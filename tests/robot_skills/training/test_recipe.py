"""Recipes: those that come along load, and a mistake in one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.training.configuration import from_mapping, to_mapping
from robot_skills.training.recipe import CollectRecipe, Evaluation, PolicyChoice, SkillIt, TrainRecipe

DATASETS = Path(__file__).parents[3] / "datasets"
SKILLS = sorted(SkillLibrary.open().skills)

GOOD = """
name: pick
data: [blocks]
policy: {name: star}
stages:
  policy: {steps: 50, learning_rate: 1e-3}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("skill", SKILLS)
def test_the_recipes_that_come_along_load(skill: str) -> None:
    collect = CollectRecipe.read(DATASETS / f"tabletop_{skill}.yaml")
    train = TrainRecipe.read(DATASETS / f"train_{skill}.yaml")
    assert (collect.skill, train.skill) == (skill, skill)
    assert all(name == skill or name.rstrip("0123456789") == f"{skill}_" for name in train.data)
    stages = {stage.name: stage for stage in train.plan(train.policy.build())}
    assert stages["policy"].steps == (train.stages["policy"].steps or stages["policy"].steps)


def test_recipes_that_come_along_stay_among_the_training_seeds() -> None:
    for skill in SKILLS:
        recipe = CollectRecipe.read(DATASETS / f"tabletop_{skill}.yaml")
        assert recipe.first_seed + 4 * recipe.episodes + 20 <= 900_000


def test_a_recipe_is_read_and_written(tmp_path: Path) -> None:
    recipe = TrainRecipe.read(write(tmp_path, GOOD))
    assert recipe.stages["policy"].learning_rate == 1e-3  # YAML reads 1e-3 as text
    assert recipe.stages["policy"].batch_size is None
    assert from_mapping(TrainRecipe, to_mapping(recipe), "again") == recipe


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "sed: 3\n", r"Unknown key \(in .*recipe.yaml\) 'sed'; valid: .*Did you mean 'seed'"),
        (GOOD.replace("steps", "stepps"), r"recipe.yaml: stages.policy\) 'stepps'.*Did you mean 'steps'"),
        (
            GOOD.replace("50", "many"),
            r"recipe.yaml: stages.policy: steps should be a whole number, not 'many'",
        ),
        (GOOD.replace("50", "-1"), r"recipe.yaml: stages.policy: steps is 0 or more, not -1"),
        (GOOD.replace("[blocks]", "blocks"), r"recipe.yaml: data should be a list, not 'blocks'"),
        (GOOD + "ema_decay: 2\n", r"recipe.yaml: ema_decay lies in 0 to 1, not 2.0"),
        (GOOD.replace("name: pick\n", ""), r"recipe.yaml lacks the key 'name'"),
        ("pick", r"is not a training recipe: it holds no `key: value` lines"),
        ("a: [1", r"recipe.yaml is not YAML: .*line 1"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        TrainRecipe.read(write(tmp_path, text))


def test_what_a_recipe_names_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "train_pick.yaml").write_text(GOOD)
    with pytest.raises(InputError, match=r"Unknown training recipe 'datasets/train_pik.yaml'.*Did you mean"):
        TrainRecipe.read("datasets/train_pik.yaml")
    with pytest.raises(InputError, match="There is no training recipe nowhere/train"):
        TrainRecipe.read("nowhere/train.yaml")
    recipe = TrainRecipe.read("datasets/train_pick.yaml")
    with pytest.raises(InputError, match="neither blocks nor out/data/blocks exists: collect it first"):
        recipe.folders()
    (tmp_path / "out" / "data" / "blocks").mkdir(parents=True)
    with pytest.raises(
        InputError, match=r"blocks is not an episode store: convert it first \(robot-skills data"
    ):
        recipe.folders()
    (tmp_path / "out" / "data" / "blocks" / "meta.json").write_text("{}")
    assert recipe.folders() == [Path("out/data/blocks")]
    with pytest.raises(InputError, match=r"Unknown stage 'polish'; valid: codes, policy"):
        from_mapping(TrainRecipe, {**to_mapping(recipe), "stages": {"polish": {}}}, "x").plan(
            PolicyChoice("star").build()
        )
    with pytest.raises(InputError, match=r"Unknown policy 'starr'.*Did you mean 'star'"):
        PolicyChoice("starr").build()
    with pytest.raises(InputError, match=r"config of the policy 'star'\) 'chunks'.*Did you mean 'chunk'"):
        PolicyChoice("star", {"chunks": 8}).build()


def test_only_training_seeds_are_collected() -> None:
    for seed in (-1, 900_000, 1_000_000):
        with pytest.raises(InputError, match="seeds for training lie in 0 to 899999"):
            CollectRecipe("pick", 10, first_seed=seed)


HOW = """
data_on_gpu: yes
step: graph
precision: auto
accumulate: 2
evaluate: {every: 1000, episodes: 20}
logger: [wandb]
mixture: {every: 100, graph: {pick: {place: 0.5}}}
"""


def test_how_it_is_trained_reads_from_yaml_and_back(tmp_path: Path) -> None:
    recipe = TrainRecipe.read(write(tmp_path, GOOD + HOW))
    assert (recipe.data_on_gpu, recipe.step, recipe.precision, recipe.accumulate) == (
        True,
        "graph",
        "auto",
        2,
    )
    assert recipe.evaluate == Evaluation(every=1000, episodes=20)
    assert recipe.mixture == SkillIt(every=100, graph={"pick": {"place": 0.5}})
    assert from_mapping(TrainRecipe, to_mapping(recipe), "again") == recipe
    for wrong, told in (
        ("step: fast", "step"),
        ("precision: float16", "precision"),
        ("evaluate: {every: 0}", "every is above 0"),
        ("mixture: {graph: guessed, every: 5}", "graph"),
        ("accumulate: 0", "accumulate is above 0"),
    ):
        with pytest.raises(InputError, match=told):
            TrainRecipe.read(write(tmp_path, GOOD + wrong))
