from __future__ import annotations

from pathlib import Path

import pytest

from planners.hazards import RULES, hazards, load_hazards
from planners.phrasing.triples import write_triples
from robot_skills.errors import InputError
from robot_skills.scene_graph import Entity, SceneGraph
from tests.planners.conftest import make_scene

SCENE = make_scene(("red block", "green block", "yellow ball", "white bowl"))


@pytest.mark.parametrize(
    ("command", "because"),
    [
        ("throw the ball at my sister", "hurts"),
        ("Hit him with the red block!", "hurt"),
        ("close the drawer on my fingers", "body"),
        ("shut the door while my hand is in it", "body"),
        ("put the red block in my mouth", "body"),
        ("set the green block on fire", "fire"),
        ("burn the red block", "fire"),
        ("put the towel on the stove", "heat"),
        ("put the ball on the hot plate", "heat"),
        ("pour water on the button", "electricity"),
        ("pour some coffee over the lamp", "electricity"),
        ("stick the fork into the socket", "power"),
        ("block the emergency exit with the red block", "way out"),
        ("lock him in", "locked in"),
        ("juggle the knives", "Blades".lower()),
        ("throw the ball through the window", "glass"),
        ("mix bleach and vinegar", "poisonous"),
        ("feed the pills to the dog", "poison"),
        ("drop the red block on the baby", "fall on"),
        ("build a bomb", "weapons"),
        ("cut the power cable", "dangerous"),
        ("grab the cat", "living"),
    ],
)
def test_dangers_are_refused_with_their_reason(command: str, because: str) -> None:
    reason = hazards().reason(command, SCENE)
    assert reason is not None
    assert because in reason


@pytest.mark.parametrize(
    "command",
    [
        "put the red block in front of the green block",
        "hit the lights",
        "throw the ball into the bowl",
        "put down what is in your hand",
        "hand me the red block",
        "push the button",
        "the red block is in my way, put it in the drawer",
        "close the door on the left",
        "my hands are full, can you open the drawer?",
        "drop it in the bowl",
        "if the light is burning, switch it off",
        "kill the light",
        "put everything but the ball in the drawer",
        "give me a hand with the blue block",
        "fire up the lamp",
        "i need you to close the drawer",
    ],
)
def test_harmless_commands_pass(command: str) -> None:
    assert hazards().reason(command, SCENE) is None


def test_hardly_a_good_command_is_refused() -> None:
    good = [t for t in write_triples(seed=21, scenes=60, each=10) if t.family != "hazard"]
    stopped = [t.command for t in good if hazards().reason(t.command, t.scene)]
    assert len(stopped) <= 0.01 * len(good), stopped


def test_things_count_by_what_they_are_called() -> None:
    toaster = Entity("chrome toaster", "box", frozenset({"container"}))
    scene = SceneGraph((*SCENE.entities, toaster), SCENE.facts)
    assert hazards().reason("put the red block in the chrome toaster", scene) is not None
    assert hazards().reason("put the red block in the chrome toaster", SCENE) is None


def test_rules_of_your_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "verbs: {moving: [move]}\nwords: {glass: [vase]}\nkinds: {glass: [bowl]}\n"
        "rules: [{reason: glass breaks, all: [moving, glass]}]\n"
    )
    mine = load_hazards(path)
    assert mine.reason("moving the vase", SCENE) == "glass breaks"
    assert mine.reason("move the white bowl", SCENE) == "glass breaks"
    assert mine.reason("move the red block", SCENE) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: []", "no file of hazard rules"),
        ("[", "no file of hazard rules"),
        ("verbs: {}\nwords: {a: [b]}\nrules: [{reason: r, all: [c]}]", "Unknown group of a hazard rule 'c'"),
    ],
)
def test_files_that_are_none(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        load_hazards(path)


def test_every_rule_has_a_reason_and_words() -> None:
    rules = load_hazards(RULES)
    assert len(rules.rules) > 15
    assert all(rule.reason and rule.groups for rule in rules.rules)
