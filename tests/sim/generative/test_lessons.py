"""Lessons of generated tasks, which a policy of several skills learns from; tasks that policies carry out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from robot_skills.data.loader import Windows
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import Skill
from robot_skills.training.recipe import TrainRecipe
from sim.experts.demonstration import HOLD
from sim.generative.demonstrations import FIRST_SHOWN, Demonstrator, demonstrate_all
from sim.generative.goal import Clause, Goal
from sim.generative.grammar import Proposal
from sim.generative.learned import attempt_learned
from sim.generative.lessons import lessons
from sim.generative.recipe import Furniture, SceneRecipe, Thing
from sim.generative.task import Provenance, Task, make_task
from sim.tabletop.world import TabletopWorld
from tests.robot_skills.cli.experts import ExpertChunks

DATASETS = Path(__file__).parents[3] / "datasets"
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def skills() -> Mapping[str, Skill]:
    return SkillLibrary.open().skills


@pytest.fixture(scope="module")
def small() -> TabletopWorld:
    return TabletopWorld({"front": (16, 16), "wrist": (16, 16)})


def ring_and_hold() -> Task:
    clauses = (Clause("press", ("red bell",)), Clause("hold", ("green block",)))
    recipe = SceneRecipe((Thing("block", "green"),), (Furniture("bell", "red"),), ("drawer", "button"))
    return make_task(Proposal(Goal("chained", clauses), recipe), 5, Provenance("test", 0, 0))


def test_each_call_of_an_attempt_is_an_episode_with_its_own_end(
    small: TabletopWorld, skills: Mapping[str, Skill]
) -> None:
    made = lessons(small, ring_and_hold(), FIRST_SHOWN, skills)
    assert [episode.call.skill for episode in made if episode.call] == ["press", "pick"]
    assert [episode.text for episode in made] == ["red bell", "green block"]
    for number, episode in enumerate(made):
        assert episode.end[-HOLD:].all()
        assert not episode.end[:-HOLD].any()
        assert np.isfinite(episode.target).all()
        assert np.abs(episode.action).max() <= 1.0
        assert episode.images["wrist"].shape == (len(episode), 16, 16, 3)
        assert (episode.attributes["step"], episode.attributes["of"]) == (number, 2)
    # The second begins where the first ended, and the argument is where the label says.
    assert np.linalg.norm(made[1].state[0, :3] - made[0].state[-1, :3]) < 0.08
    assert np.linalg.norm(made[1].state[-1, :3] - made[1].target[-1]) < 0.06


def test_noise_moves_the_arm_and_not_the_labels(small: TabletopWorld, skills: Mapping[str, Skill]) -> None:
    clean = lessons(small, ring_and_hold(), FIRST_SHOWN, skills, noise=0.0)[0]
    noisy = lessons(small, ring_and_hold(), FIRST_SHOWN, skills, noise=0.5)[0]
    again = lessons(small, ring_and_hold(), FIRST_SHOWN, skills, noise=0.5)[0]
    np.testing.assert_array_equal(noisy.state, again.state)
    np.testing.assert_array_equal(clean.action[0], noisy.action[0])
    assert not np.allclose(clean.state[3], noisy.state[3])


def test_they_make_a_data_set_that_resumes_and_that_a_policy_can_learn_from(tmp_path: Path) -> None:
    task, maker = ring_and_hold(), Demonstrator(2, (16, 16), lessons=True)
    demonstrate_all([task], tmp_path / "data", QUIET, maker, local=True)
    store = EpisodeStore.open(tmp_path / "data")
    assert [record.call.skill for record in store.episodes if record.call] == ["press", "pick"] * 2
    assert {record.attributes["task"] for record in store.episodes} == {task.name}
    assert {skill for _, skill in zip(*Windows([store], ("front",), 2, 2).texts(), strict=True)} == {
        "press", "pick",
    }  # fmt: skip
    again = demonstrate_all([task], tmp_path / "data", QUIET, maker, local=True)
    assert len(again.episodes) == 4
    with pytest.raises(InputError, match="demonstrations of another kind"):
        demonstrate_all([task], tmp_path / "data", QUIET, Demonstrator(2, (16, 16)), local=True)


def test_a_task_is_carried_out_by_policies_and_judged_by_its_goal(
    small: TabletopWorld, skills: Mapping[str, Skill]
) -> None:
    """The scripted experts stand in for trained policies."""
    result = attempt_learned(
        small, ring_and_hold(), FIRST_SHOWN, skills, lambda name: ExpertChunks(small, skills[name])
    )
    assert result.success
    assert [outcome.call.skill for outcome in result.outcomes] == ["press", "pick"]


def test_the_curriculum_that_comes_along_is_the_recipe_of_all_skills_with_lessons() -> None:
    recipe = TrainRecipe.read(DATASETS / "train_generated.yaml")
    base = yaml.safe_load((DATASETS / "train_all.yaml").read_text())
    mine = yaml.safe_load((DATASETS / "train_generated.yaml").read_text())
    assert mine["data"] == ["out/generated/lessons", *(choice["name"] for choice in base["data"])]
    assert {key: base[key] for key in ("policy", "stages")} == {
        key: mine[key] for key in ("policy", "stages")
    }
    assert recipe.mixture is not None
    assert recipe.mixture.of == "skills"
