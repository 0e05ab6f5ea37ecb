"""The skill library: what it lists, what it loads, and what may be added to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from robot_skills.errors import InputError
from robot_skills.library import CARD, PRETRAINED, SkillLibrary
from robot_skills.skill import Skill
from tests.robot_skills.small_policy import age, make_library, save_policy


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
