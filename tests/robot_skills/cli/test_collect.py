"""`robot-skills collect` on the tabletop: real demonstrations, judged and stored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from robot_skills.cli.main import main
from robot_skills.data.store import EpisodeStore
from robot_skills.library import SkillLibrary

pytest.importorskip("pybullet")


def test_demonstrations_end_up_in_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "press.yaml"
    recipe.write_text("{skill: press, episodes: 2, first_seed: 40, noise: 0.1, image_size: [32, 32]}")
    result = tmp_path / "result.json"
    arguments = ["collect", str(recipe), "-o", str(tmp_path / "data"), "--local", "--json", str(result)]
    assert main(arguments) == 0
    assert "2 demonstrations of press" in capsys.readouterr().out
    store = EpisodeStore.open(tmp_path / "data")
    assert len(store.episodes) == 2
    assert store.episodes[0].seed is not None
    assert store.episodes[0].seed >= 40
    assert store.episodes[0].call is not None
    assert store.episodes[0].call.skill == "press"
    for number in range(2):
        episode = store.read(number)
        assert episode.end[-1] == 1.0
        assert episode.end[0] == 0.0
        assert np.isfinite(episode.target).all()
        assert {name: image.shape[1:] for name, image in episode.images.items()} == {
            "front": (32, 32, 3),
            "wrist": (32, 32, 3),
        }
        assert episode.images["front"].std() > 5
    data = json.loads(result.read_text())
    assert data["episodes"] == 2
    assert data["tried"] == 2 + sum(data["failures"].values())
    assert main(arguments) == 0  # again: there are enough


def test_a_part_of_a_collection_says_how_it_was_made(tmp_path: Path) -> None:
    recipe = tmp_path / "press.yaml"
    recipe.write_text("{skill: press, episodes: 500, image_size: [16, 16]}")
    part = ["--episodes", "1", "--first-seed", "100000", "--misled", "0.5"]
    assert main(["collect", str(recipe), "-o", str(tmp_path / "data"), "--local", *part]) == 0
    store = EpisodeStore.open(tmp_path / "data")
    assert [episode.seed for episode in store.episodes] == [100_000]
    assert store.meta.info["recipe"]["misled"] == 0.5
    assert store.meta.info["command"].endswith(" ".join(part))


def test_a_trained_policy_acts_and_the_expert_labels(tmp_path: Path) -> None:
    recipe = tmp_path / "press.yaml"
    recipe.write_text("{skill: press, episodes: 1, first_seed: 40}")
    policy = str(SkillLibrary.open().weights("press"))
    assert main(["collect", str(recipe), "-o", str(tmp_path / "data"), "--local", "--policy", policy]) == 0
    store = EpisodeStore.open(tmp_path / "data")
    assert store.meta.info["recipe"]["policy"] == policy
    assert store.meta.info["command"].endswith(f"--policy {policy}")


def test_midway_things_stand_where_other_skills_have_put_them(tmp_path: Path) -> None:
    recipe = tmp_path / "place.yaml"
    recipe.write_text("{skill: place, midway: true, episodes: 3, first_seed: 40, image_size: [16, 16]}")
    assert main(["collect", str(recipe), "-o", str(tmp_path / "data"), "--local"]) == 0
    store = EpisodeStore.open(tmp_path / "data")
    assert len(store.episodes) == 3
    for number, meta in enumerate(store.episodes):
        assert meta.call is not None
        episode = store.read(number)
        assert episode.state[0, 9] < 0.06, "it holds nothing at first"
        assert episode.end[-1] == 1.0


def test_a_person_is_led_by_no_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "press.yaml"
    recipe.write_text("{skill: press, episodes: 1, policy: out/train/press}")
    assert main(["collect", str(recipe), "-o", str(tmp_path / "data"), "--teleop", "keyboard"]) == 2
    assert "a person acts from the start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{skill: press, episodes: 2, first_seed: 1000000}", "seeds for training lie in 0 to 899999"),
        ("{skill: pres, episodes: 2}", "Did you mean 'press'"),
        ("{skill: press, episodes: 2, policy: nowhere}", "nowhere"),
        ("{skill: press, episodes: 2, policy: nowhere, misled: 0.5}", "set misled: 0"),
        ("{skill: libero_object, episodes: 2, policy: nowhere}", "skills of the tabletop"),
        ("{skill: press, episode: 2}", "Did you mean 'episodes'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    assert main(["collect", str(recipe), "-o", str(tmp_path / "data")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()
