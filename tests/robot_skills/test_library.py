"""The skill library: what it lists, what it loads, and what may be added to it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from robot_skills.errors import InputError
from robot_skills.library import CARD, POINTER, PRETRAINED, SkillLibrary
from robot_skills.policies.policy import PolicyInput
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.robot import Observation
from robot_skills.skill import Skill
from tests.robot_skills.small_policy import CONFIG, age, make_library, save_policy


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_packaged_library_has_the_six_skills() -> None:
    library = SkillLibrary.open()
    assert sorted(library.skills) == ["close", "open", "pick", "place", "press", "push"]
    assert library.folder == PRETRAINED
    for name, skill in library.skills.items():
        assert Skill.from_json(skill.to_json()) == skill
        assert skill.name == name


def test_a_skill_is_loaded_once_and_when_it_is_used(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib", ("push",)))
    assert [name for name in library.skills if library.trained(name)] == ["push"]
    policy = library.policy("push")
    assert policy is library.policy("push")
    assert policy.cameras == ("front",)


def test_a_card_without_weights_is_known_and_cannot_be_used(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    assert library.skill("pick").name == "pick"
    with pytest.raises(InputError, match=r"'pick' .* is not trained.*skills add FOLDER --name pick"):
        library.policy("pick")


def test_unknown_skills_get_a_suggestion(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    for use in (library.skill, library.trained, library.weights, library.policy):
        with pytest.raises(InputError, match=r"Unknown skill 'palce'.*Did you mean 'place'"):
            use("palce")


def test_weights_of_another_format_version_are_refused(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib", ("push",)))
    age(library.folder / "push")
    with pytest.raises(InputError, match="format version 99"):
        library.policy("push")


def with_(**changes: object) -> str:
    """The card of `pick`, changed."""
    return yaml.safe_dump({**SkillLibrary.open().skill("pick").to_json(), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no `key: value` lines"),
        ("- a list", "holds no `key: value` lines"),
        ("name: [", "is not YAML"),
        ("name: pick\nsumary: x", "sumary"),
        ("name: pick", "lacks the key"),
        (with_(parameters=3), "not a skill card"),
        (with_(timeout="soon"), "not a skill card"),
        (with_(preconditions=["hand_empty("]), "Not a formula"),
        (with_(name="lift"), "carry that name"),
    ],
)
def test_a_damaged_card_is_named(tmp_path: Path, text: str, message: str) -> None:
    folder = make_library(tmp_path / "lib")
    (folder / "pick" / CARD).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        SkillLibrary.open(folder)
    assert str(folder / "pick" / CARD) in str(caught.value)


def test_a_folder_that_is_no_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no skill library at"):
        SkillLibrary.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not a skill library"):
        SkillLibrary.open(tmp_path)


def test_adding_keeps_the_card_and_leaves_other_files_behind(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    source = save_policy(tmp_path / "push")
    (source / "README.md").write_text("# push\n")
    (source / "events.log").write_text("much")
    before = (library.folder / "push" / CARD).read_bytes()
    assert library.add(source).name == "push"
    again = SkillLibrary.open(library.folder)
    assert again.trained("push")
    assert again.policy("push").cameras == ("front",)
    assert (library.folder / "push" / CARD).read_bytes() == before
    names = {path.name for path in (library.folder / "push").iterdir()}
    assert names == {CARD, "config.json", "model.safetensors", "stats.safetensors", "README.md"}
    assert not list(library.folder.glob(".*"))


def test_a_new_skill_brings_its_card(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    source = save_policy(tmp_path / "trained")
    card = {**library.skill("push").to_json(), "name": "shove"}
    (source / CARD).write_text(yaml.safe_dump(card))
    with pytest.raises(InputError, match="card of 'shove', not of 'poke'"):
        library.add(source, "poke")
    assert library.add(source).name == "shove"
    assert SkillLibrary.open(library.folder).skill("shove").summary == library.skill("push").summary


def test_a_new_library_takes_the_packaged_cards(tmp_path: Path) -> None:
    library = SkillLibrary.open(tmp_path / "mine", new=True)
    assert library.add(save_policy(tmp_path / "run 7"), "press").name == "press"
    mine = SkillLibrary.open(tmp_path / "mine")
    assert list(mine.skills) == ["press"]
    assert mine.skill("press") == SkillLibrary.open().skill("press")


def test_a_trained_skill_is_replaced_only_by_force(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib", ("push",)))
    source, before = save_policy(tmp_path / "push", seed=1), contents(library.folder)
    with pytest.raises(InputError, match="--force"):
        library.add(source)
    assert contents(library.folder) == before
    library.add(source, force=True)
    after = contents(library.folder)
    assert after["push/model.safetensors"] != before["push/model.safetensors"]
    assert after.keys() == before.keys()


def test_what_is_not_trained_cannot_be_added(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    before = contents(library.folder)
    empty, headless, old, nameless = (tmp_path / name for name in ("empty", "headless", "old", "nameless"))
    empty.mkdir()
    for folder in (headless, old, nameless):
        save_policy(folder)
    (headless / "model.safetensors").unlink()
    age(old)
    cases = {
        tmp_path / "missing": "no folder",
        empty: "no config.json",
        headless: "no model.safetensors",
        old: "format version 99",
    }
    for folder, message in cases.items():
        with pytest.raises(InputError, match=message):
            library.add(folder, "push")
    with pytest.raises(InputError, match="no skill 'nameless' to take the card from"):
        library.add(nameless)
    assert contents(library.folder) == before
    assert not list(library.folder.glob(".*"))


def test_a_damaged_configuration_is_bad_input(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib", ("push",)))
    for text in ("{", json.dumps({"format_version": 1, "policy": "stra"})):
        (library.folder / "push" / "config.json").write_text(text)
        with pytest.raises(InputError, match=r"not JSON|Unknown policy 'stra'"):
            library.policy("push")


def save_shared(folder: Path, skills: tuple[str, ...] = ("pick", "push"), seed: int = 0) -> Path:
    """Write a policy of several skills that was never trained."""
    torch.manual_seed(seed)
    StarPolicy(dataclasses.replace(CONFIG, skills=skills)).save_pretrained(folder)
    (folder / "README.md").write_text("# both\n")
    return folder


def test_skills_share_one_policy(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib", ("press",)))
    source = save_shared(tmp_path / "both")
    assert [skill.name for skill in library.add_shared(source, ["pick", "push"])] == ["pick", "push"]
    again = SkillLibrary.open(library.folder)
    assert sorted(again.skills) == ["close", "open", "pick", "place", "press", "push"]
    assert again.policy("pick") is again.policy("push")
    assert again.policy("press") is not again.policy("pick")
    assert again.weights("push") == library.folder / "both" == again.home("pick")
    assert not again.trained("place")
    assert {path.name for path in (library.folder / "pick").iterdir()} == {CARD, POINTER}
    moved = tmp_path / "elsewhere"
    library.folder.rename(moved)
    assert SkillLibrary.open(moved).weights("pick") == moved / "both"
    assert not list(moved.glob(".*"))


def test_a_shared_policy_is_told_which_skill_it_is(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    library.add_shared(save_shared(tmp_path / "both"), ["pick", "push"])
    policy = SkillLibrary.open(library.folder).policy("pick")
    seen = Observation({"front": np.zeros((16, 16, 3), np.uint8)}, np.zeros(10, np.float32), 0.0)
    given = PolicyInput(seen, np.zeros((1, 10), np.float32), "red cube")
    chunks = policy.predict([dataclasses.replace(given, skill=name) for name in ("pick", "push")])
    assert not np.array_equal(chunks[0].actions, chunks[1].actions)
    with pytest.raises(InputError, match="Unknown skill of this policy 'place'"):
        policy.predict([dataclasses.replace(given, skill="place")])


def test_a_shared_skill_can_get_weights_of_its_own_again(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    library.add_shared(save_shared(tmp_path / "both"), ["pick", "push"])
    library = SkillLibrary.open(library.folder)
    source = save_policy(tmp_path / "push")
    with pytest.raises(InputError, match="--force"):
        library.add(source)
    library.add(source, force=True)
    again = SkillLibrary.open(library.folder)
    assert again.weights("push") == library.folder / "push"
    assert again.weights("pick") == library.folder / "both"


def test_what_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib", ("press",)))
    source = save_shared(tmp_path / "both", ("pick", "press", "twirl"))
    before = contents(library.folder)
    for skills, name, message in (
        (["pick", "push"], None, "Unknown skill of the policy in .*'push'; valid: pick, press, twirl"),
        (["pick", "press"], None, "trained 'press' already; --force"),
        (["twirl"], None, "no skill 'twirl' to take the card from"),
        (["pick"], "place", "cannot be the name"),
        (["pick"], "../out", "cannot be the name"),
    ):
        with pytest.raises(InputError, match=message):
            library.add_shared(source, skills, name)
    assert contents(library.folder) == before
    library.add_shared(source, ["pick"])
    with pytest.raises(InputError, match="is there already"):
        library.add_shared(save_shared(tmp_path / "more" / "both"), ["push"])
    trap = save_policy(tmp_path / "trap")
    (trap / CARD).write_text(yaml.safe_dump({**library.skill("pick").to_json(), "name": "both"}))
    with pytest.raises(InputError, match="is no skill"):
        library.add(trap)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folder: ../nowhere", "names a folder"),
        ("folder: 3", "names a folder"),
        ("weights: ../both", "names a folder"),
        ("folder: ../old", "shares the policy in .*old, which knows but one skill"),
    ],
)
def test_a_pointer_that_leads_nowhere_is_named(tmp_path: Path, text: str, message: str) -> None:
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    save_policy(library.folder / "old")
    (library.folder / "pick" / POINTER).write_text(text + "\n")
    with pytest.raises(InputError, match=message):
        library.weights("pick")
