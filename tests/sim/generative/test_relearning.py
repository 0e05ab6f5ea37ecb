"""What a search for failures found becomes demonstrations: other episodes, changed in the same way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from robot_skills.cli.main import main
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.training.recipe import FIRST_VALIDATION_SEED, TrainRecipe
from sim.experts.demonstration import demonstrate, demonstrate_task
from sim.generative.relearning import PerturbedRecipe
from sim.generative.robustness import Late, Limits, Perturbation, Search, export, search
from sim.tabletop.scene import Scene
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld

DATASETS = Path(__file__).parents[3] / "datasets"
RECIPE = "skill: press\nfailures: {failures}\nepisodes: 1\nfirst_seed: 7\nnoise: 0.0\nimage_size: [16, 16]\n"


def always(change: Perturbation, episode: int) -> bool:
    """Somebody can do it."""
    return True


@pytest.fixture
def failures(tmp_path: Path) -> Path:
    """A file of failures, as the search writes it: slippery tables, and actions that come late."""
    found = search(
        lambda change, episode: change.friction > 0.7 and change.latency < 1,
        always,
        Limits(),
        Search(population=16),
    )
    assert found.perturbation.friction <= 0.7 or found.perturbation.latency >= 1
    return export(found, "press", tmp_path / "failures")


def recipe_for(failures: Path, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(failures=failures))
    return path


def test_a_recipe_takes_the_perturbation_from_the_file_that_it_names(failures: Path, tmp_path: Path) -> None:
    recipe = PerturbedRecipe.read(recipe_for(failures, tmp_path))
    found = yaml.safe_load(failures.read_text())["perturbation"]
    assert recipe.perturbation.friction == found["friction"]
    assert recipe.perturbation.camera == tuple(found["camera"])
    assert (recipe.skill, recipe.first_seed, recipe.noise) == ("press", 7, 0.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("skill: push\nfailures: {failures}\nepisodes: 1\n", "about the skill 'press', .* about 'push'"),
        ("skill: press\nfailures: nowhere.yaml\nepisodes: 1\n", "no file of failures nowhere.yaml"),
        ("skill: press\nfailures: {here}\nepisodes: 1\n", "is no file of failures"),
        ("skill: press\nfailures: {failures}\nperturbation: {{}}\nepisodes: 1\n", "leave one of them out"),
        ("skill: press\nfailures: {failures}\nepisode: 1\n", "'episode'"),
        ("skill: press\nperturbation: {{mas: 2}}\nepisodes: 1\n", "'mas'"),
    ],
)
def test_mistakes_are_one_clear_line(failures: Path, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text.format(failures=failures, here=path))
    with pytest.raises(InputError, match=says):
        PerturbedRecipe.read(path)


def test_the_verb_collects_other_episodes_under_what_was_found(
    failures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = recipe_for(failures, tmp_path), tmp_path / "data"
    assert main(["collect", str(path), "-o", str(folder), "--local"]) == 0
    store = EpisodeStore.open(folder)
    (record,) = store.episodes
    assert record.seed is not None
    assert 7 <= record.seed < FIRST_VALIDATION_SEED
    found = PerturbedRecipe.read(path).perturbation
    scene = Scene.from_json(record.scene)
    assert scene.variation is not None
    assert scene.variation.friction == pytest.approx(found.friction)
    assert store.meta.info["recipe"]["perturbation"]["latency"] == found.latency
    # The same folder does not take demonstrations under another perturbation, nor by hand.
    data = yaml.safe_load(failures.read_text())
    data["perturbation"]["mass"] = 1.9
    failures.write_text(yaml.safe_dump(data))
    assert main(["collect", str(path), "-o", str(folder), "--local", "--episodes", "2"]) == 2
    assert "perturbation differ" in capsys.readouterr().err
    assert main(["collect", str(path), "-o", str(tmp_path / "x"), "--teleop", "keyboard"]) == 2
    assert "names no failures" in capsys.readouterr().err


def test_without_a_change_it_is_the_demonstration_that_it_was_and_late_actions_show(
    world: TabletopWorld,
) -> None:
    plain = demonstrate(world, "press", 3, 0.2)
    same = demonstrate_task(world, sample_task("press", 3), 0.2)
    late = demonstrate_task(world, sample_task("press", 3), 0.2, through=lambda world: Late(world, 2))
    assert plain.success
    np.testing.assert_array_equal(plain.state, same.state)
    np.testing.assert_array_equal(plain.action, same.action)
    # The first two steps leave the arm where it was; the label is what the expert would do all the same.
    moved = np.linalg.norm(late.state[2, :3] - late.state[0, :3])
    assert moved < 0.002 < np.linalg.norm(plain.state[2, :3] - plain.state[0, :3])
    np.testing.assert_array_equal(plain.action[0], late.action[0])


def test_the_recipes_that_come_along_load_and_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = TrainRecipe.read(DATASETS / "train_push_failures.yaml")
    collect = yaml.safe_load((DATASETS / "push_failures.yaml").read_text())
    assert train.skill == collect["skill"] == "push"
    assert "push_failures" in [choice.name for choice in train.choices()]
    assert {stage.name: stage.steps for stage in train.plan(train.policy.build())}["codes"] == 0
    assert collect["first_seed"] + 4 * collect["episodes"] + 20 <= FIRST_VALIDATION_SEED
    monkeypatch.chdir(tmp_path)
    found = search(lambda change, episode: change.mass < 1.2, always, Limits(), Search(generations=2))
    export(found, "push", tmp_path / "out" / "failures")
    recipe = PerturbedRecipe.read(DATASETS / "push_failures.yaml")
    assert recipe.perturbation == found.perturbation
    assert recipe.perturbation != Perturbation()
