"""Talk around commands, hints instead of commands, and slips: none of them changes what is meant."""

from __future__ import annotations

import random
import re

import pytest

from planners.compact import Goal, Refuse, literal
from planners.phrasing.author import Author
from planners.phrasing.families.refusals import forbidden
from planners.phrasing.families.steps import single, talked, too_far
from planners.phrasing.groups import Speaker
from planners.phrasing.noise import MARK, noisy
from planners.phrasing.scenes import sample_scene
from planners.phrasing.talk import Talker
from planners.phrasing.templates import phrases
from planners.vocabulary import KIND_OF
from tests.planners.conftest import make_scene

THINGS = (
    "red block",
    "blue block",
    "small green cylinder",
    "large green cylinder",
    "blue ball",
    "white bowl",
)
WRITTEN = 400


def singles(facts: list[str]) -> list[tuple[str, str]]:
    """Commands of one step about one scene, each with its answer."""
    author = Author(make_scene(THINGS, facts), random.Random(7))
    written = []
    for _ in range(4 * WRITTEN):
        author.forget()
        drawn = single(author)
        if drawn is not None:
            written.append((drawn[0], str(drawn[1])))
    return written


def test_talk_mentions_nothing_of_a_scene() -> None:
    shy = {"can", "light", "tin", "gate", "tray", "column", "switch", "drum", "log", "bench", "counter"}
    for section, lines in phrases("talk").items():
        for line in lines.training + lines.held_out:
            named = set(re.findall(r"[a-z]+", line)) & set(KIND_OF) - shy
            assert section == "of_things" or not named, line


@pytest.mark.parametrize("seed", range(5))
def test_a_command_stands_whole_within_its_talk(seed: int) -> None:
    command = f"take the {MARK}purple umbrella{MARK} off the shelf and put it in the bowl"
    talker = Talker(random.Random(seed))
    for _ in range(100):
        text = talker.around(command, pointing=False)
        assert f"{MARK}purple umbrella{MARK}" in text
        assert re.search(".*?".join(map(re.escape, command.split())), text), text


def test_before_a_command_that_points_back_no_thing_is_mentioned() -> None:
    talker = Talker(random.Random(1))
    before = set(phrases("talk")["before"].training)
    for _ in range(300):
        lead, _, _ = talker.around("put it down", pointing=True).partition("put it down")
        assert not lead or lead.strip() in before or not lead.strip(), lead


def test_there_are_thousands_of_stories() -> None:
    talker = Talker(random.Random(2))
    assert len({talker.line("story") for _ in range(2_000)}) > 1_500


def hinted(kind: str, text: str) -> bool:
    """Whether a text is one of the hints at opening or closing something."""
    lines = phrases(kind)["hint"]
    return any(
        re.fullmatch(re.escape(line).replace("F", "[a-z' -]+"), text)
        for line in lines.training + lines.held_out
    )


def test_complaints_are_about_what_is_not_so_yet() -> None:
    """Of an open drawer it is never complained that it is shut, and the other way round."""
    for facts, so in ((["open(drawer)", "open(door)"], "closed"), ([], "open")):
        written = [(text, meant) for text, meant in singles(facts) if meant.startswith(("open(", "closed("))]
        complaints = [meant for text, meant in written if hinted(so, text)]
        assert len(complaints) > 10
        assert all(meant.startswith(so) and "any" not in meant for meant in complaints)


@pytest.mark.parametrize(
    ("way", "there"),
    [
        ("left", "right"),
        ("right", "left"),
        ("forward", "back|close|near"),
        ("back", "forward|ahead|away|front"),
    ],
)
def test_too_far_one_way_means_the_other(way: str, there: str) -> None:
    author = Author(make_scene(THINGS), random.Random(way))
    told = []
    for _ in range(60):
        author.forget()
        told.append(too_far(author, literal("moved", "red block", way)))
    assert len(set(told)) > 40
    assert all(re.search(rf"\b({there})\b", text) for text in told)


def test_only_cylinders_are_tall() -> None:
    scene = make_scene(("small green cylinder", "large green cylinder", "small red block", "large red block"))
    said = {
        name: [Speaker(scene, random.Random(number)).one(name) for number in range(250)]
        for name in ("large green cylinder", "large red block", "small green cylinder")
    }
    tall, short = re.compile(r"\b(tall|taller|tallest)\b"), re.compile(r"\b(short|shorter|shortest)\b")
    assert any(map(tall.search, said["large green cylinder"]))
    assert any(map(short.search, said["small green cylinder"]))
    assert not any(map(short.search, said["large green cylinder"]))
    assert not any(tall.search(words) or short.search(words) for words in said["large red block"])


def test_a_twin_is_named_after_its_twin() -> None:
    scene = make_scene(("small red block", "large red block", "blue block", "white bowl"))
    found = {"twin": 0, "sibling": 0}
    for number in range(1_500):
        speaker = Speaker(scene, random.Random(number))
        assert not re.search(r"\bits ", speaker.one("small red block"))
        twin = speaker.one("large red block")
        found["twin"] += twin.startswith("its ")
        assert not re.match(r"its (small|little|tiny)", twin)
        sibling = speaker.one("blue block")
        found["sibling"] += sibling.startswith("its ")
    assert all(found.values())


def test_what_is_said_of_other_things_names_none_of_the_goal() -> None:
    rng = random.Random(3)
    written = [talked(Author(sample_scene(rng), rng)) for _ in range(WRITTEN)]
    assert sum(each is not None for each in written) > WRITTEN // 20
    assert all(isinstance(each[1], Goal) and each[1].literals for each in written if each)


def test_what_asks_for_its_opposite_is_not_merely_forbidden() -> None:
    rng = random.Random(4)
    written = [each for _ in range(WRITTEN) if (each := forbidden(Author(sample_scene(rng), rng)))]
    assert len(written) > WRITTEN // 2
    for text, answer in written:
        assert answer == Refuse("forbidden")
        assert not re.search(
            r"(don't|do not|never|not to) (leave|keep) .* (open|closed|shut|on|off)$", text
        ), text


def test_slips_are_many_and_leave_most_commands_readable() -> None:
    command = "please put the yellow cylinder in the drawer and then close the door"
    texts = [noisy(command, random.Random(number)) for number in range(WRITTEN)]
    clean = [text for text in texts if text.rstrip(" .,!?x") == command]
    assert WRITTEN // 3 < len(clean) < WRITTEN
    assert len(set(texts)) > WRITTEN // 4
    assert any(" 2 " in noisy("move it to the left", random.Random(number)) for number in range(WRITTEN))
