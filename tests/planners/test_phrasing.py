"""The commands that the reader learns from: deterministic, feasible, in the grammar, and right."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest

from planners.compact import (
    CANNOT,
    PLAIN,
    WORDED,
    Ask,
    Goal,
    Group,
    Literal,
    Refuse,
    literal,
    spans,
)
from planners.forms import resolve, same
from planners.forms_grammar import grammar
from planners.phrasing.author import Author
from planners.phrasing.conditions import draw_condition, draw_joined
from planners.phrasing.families.comparisons import tower_by_size
from planners.phrasing.families.conditionals import about_it, condition, each_if
from planners.phrasing.families.exclusions import but_not
from planners.phrasing.families.retrievals import UNREACHABLE
from planners.phrasing.groups import Speaker
from planners.phrasing.meaning import composed, feasible
from planners.phrasing.noise import MARK, noisy
from planners.phrasing.scenes import TAGS, sample_scene
from planners.phrasing.templates import choose, fill, phrases, slots
from planners.phrasing.triples import FAMILIES, Triple, scene_triples, write, write_triples
from planners.reader import sound
from robot_skills.logic import Atom
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.search import Verdict, search
from sim.tabletop import oracle
from tests.planners.conftest import make_scene
from tests.planners.gbnf import Grammar

SIZES = make_scene(
    ("small red block", "large red block", "green block", "yellow ball", "blue ball", "white bowl")
)


@cache
def triples() -> list[Triple]:
    return write_triples(seed=5, scenes=60, each=10) + write_triples(
        seed=6, scenes=20, each=10, held_out=True
    )


def test_the_same_seed_gives_the_same_commands() -> None:
    again = write_triples(seed=5, scenes=6, each=10)
    assert [(each.command, each.answer) for each in again] == [
        (each.command, each.answer) for each in triples()[:60]
    ]
    assert [each.command for each in write_triples(seed=8, scenes=1, each=10)] != [
        each.command for each in again[:10]
    ]


def test_other_processes_write_the_same_commands() -> None:
    """The order of a set, which differs with the process's hash seed, decides nothing."""
    program = (
        "import random\n"
        "from planners.phrasing.scenes import sample_scene\n"
        "from planners.phrasing.triples import scene_triples\n"
        "for number in (3, 87):\n"
        "    rng = random.Random(f'500:{number}:False')\n"
        "    for triple in scene_triples(rng, sample_scene(rng), 20):\n"
        "        print(triple.command, triple.form)\n"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "3")
    ]
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 40


def test_hardly_a_command_is_written_twice() -> None:
    commands = [each.command for each in triples() if isinstance(each.answer, Goal)]
    assert len(set(commands)) > 0.97 * len(commands)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_written(family: str) -> None:
    rng = random.Random(family)
    for _ in range(300):
        triple = write(Author(sample_scene(rng), rng), family)
        if triple is not None:
            assert triple.family == family
            return
    pytest.fail(f"no command of the family {family} in 300 tries")


def test_forms_come_to_their_answers_and_pass_the_reader_s_checks() -> None:
    for each in triples():
        found = resolve(each.form, each.scene)
        assert same(found, each.answer), each
        assert sound(found, each.scene), each


def test_answers_of_scenes_names_are_forms_too() -> None:
    for each in triples():
        assert resolve(str(each.answer), each.scene) == each.answer, each


def test_what_a_refusal_is_about_is_said_in_the_command() -> None:
    worded = [t for t in triples() if isinstance(t.answer, Refuse) and t.answer.reason in WORDED]
    assert len(worded) > 15
    for each in worded:
        assert isinstance(each.answer, Refuse)
        assert each.answer.about in spans(each.command), each
        assert MARK not in each.command


def test_forms_are_in_the_grammar_of_their_scene() -> None:
    for each in triples()[::2]:
        written = Grammar(grammar(each.scene, each.command))
        assert written.admits(f" {each.form}\n"), (each.command, each.form)
        assert not written.admits(" in(red banana, drawer)\n")
        assert not written.admits(" there(red block)\n")


def test_goals_can_be_reached_by_the_skills(skills: Mapping[str, Skill]) -> None:
    """The rules that the author goes by agree with a search over the skills' cards."""
    goals = [
        t
        for t in triples()
        if isinstance(t.answer, Goal) and t.answer.literals and t.family not in ("condition", *UNREACHABLE)
    ]
    tried = 0
    for each in goals[:: max(1, len(goals) // 40)]:
        assert isinstance(each.answer, Goal)
        if any(not item.positive for item in each.answer.literals) or "any" in str(each.answer):
            continue  # no skill takes a press back; of a choice one way may be barred
        if "elsewhere" in str(each.answer):
            continue  # nor anything out of a bowl
        result = search(ground(skills, each.scene), each.answer.formula(), budget=20_000)
        assert result.verdict is not Verdict.IMPOSSIBLE, (each.command, str(each.answer))
        tried += 1
    assert tried > 20


def test_questions_name_things_that_fit_the_same_words() -> None:
    rng = random.Random(4)
    written = [write(Author(sample_scene(rng), rng), "ambiguous") for _ in range(200)]
    asked = [each for each in written if each is not None]
    assert len(asked) > 50
    for each in asked:
        assert isinstance(each.answer, Ask)
        things = [each.scene.entity(name) for name in each.answer.options]
        sides = [
            {e.kind for e in things},
            *({e.attributes.get(k) for e in things} for k in ("colour", "size")),
        ]
        alike = any(len(side) == 1 and None not in side for side in sides)
        assert len(things) > 1, each
        assert alike, each


def test_later_steps_take_back_earlier_ones() -> None:
    put, shut = literal("in", "red ball", "drawer"), literal("closed", "drawer")
    assert composed([literal("open", "drawer"), put, shut]) == (put, shut)
    assert composed([literal("holding", "red ball"), put]) == (put,)
    assert composed([put, literal("open", "drawer")]) == (put, literal("open", "drawer"))
    both = Literal("in", (Group(("red ball", "blue ball")), Group(("drawer",))))
    assert composed([both, literal("holding", "red ball")]) is None


def test_what_cannot_be_is_told_from_what_can() -> None:
    scene = make_scene(
        ("red block", "green block", "blue block", "red ball", "white bowl"),
        ["in(red ball, white bowl)", "on(red block, green block)"],
    )
    assert feasible([literal("in", "red ball", "white bowl")], scene)
    assert feasible([literal("on", "blue block", "green block")], scene)
    assert not feasible([literal("holding", "red ball")], scene)
    assert not feasible([literal("holding", "red block"), literal("holding", "blue block")], scene)
    circle = [literal("on", "red block", "blue block"), literal("on", "blue block", "red block")]
    assert not feasible(circle, scene)
    crowd = [literal("on", "red block", "blue block"), literal("on", "green block", "blue block")]
    assert not feasible(crowd, scene)


@pytest.mark.parametrize(
    ("group", "never"),
    [
        (Group(("small red block",)), {"large", "big", "bigger", "biggest", "green", "ball"}),
        (Group(("yellow ball",)), {"blue", "red", "block", "cube"}),
        (Group(("yellow ball", "blue ball")), {"red", "block", "cube"}),
        (Group(("yellow ball", "blue ball"), 1), {"red", "both", "all", "block"}),
    ],
)
def test_references_use_no_word_that_does_not_fit(group: Group, never: set[str]) -> None:
    shown = set()
    for number in range(150):
        words = Speaker(SIZES, random.Random(number)).group(group)
        assert words is not None
        shown.add(words)
        exceptions = (
            r"\b(but|except\w*|bar|save|minus|than|not|no|isn't|aren't|\w+'s not|excluding|apart|aside|non|"
            r"leaving|besides|without)\b"
        )
        if not re.search(exceptions, words):
            assert not never & set(re.findall(r"[a-z]+", words)), words
    assert len(shown) > 40


def test_comparisons_need_to_know_the_sizes() -> None:
    """Of three blocks only two have a size: none is the smallest, but one red block is the smaller one."""
    said = [Speaker(SIZES, random.Random(number)).one("small red block") for number in range(300)]
    compared = [words for words in said if re.search(r"smallest|littlest|tiniest|teeniest", words)]
    assert compared
    red = "|".join(phrases("words")["red"].training + phrases("words")["red"].held_out)
    assert all(re.search(red, words) for words in compared)


@pytest.mark.parametrize(
    ("facts", "holds"),
    [(["open(drawer)", "open(door)", "pressed(button)"], True), ([], False)],
)
def test_conditions_are_looked_up(facts: list[str], holds: bool) -> None:
    scene = make_scene(("red block", "blue ball"), facts)
    drawn = [draw_condition(Speaker(scene, random.Random(number))) for number in range(80)]
    on_fixtures = [each for each in drawn if each is not None and each.section in ("open", "pressed")]
    denied = [each for each in drawn if each is not None and each.section in ("closed", "unpressed")]
    assert on_fixtures
    assert denied
    assert {each.true for each in on_fixtures} == {holds}
    assert {each.true for each in denied} == {not holds}
    assert on_fixtures[0].denied().denied() == on_fixtures[0]


def test_joined_conditions_are_denied_after_de_morgan() -> None:
    seen = set()
    for number in range(200):
        rng = random.Random(number)
        drawn = draw_joined(Speaker(sample_scene(rng), rng))
        if drawn is None:
            continue
        one, other = (part.true for part in drawn.parts)
        assert drawn.true is ((one and other) if drawn.every else (one or other))
        assert drawn.denied().true is not drawn.true
        assert drawn.denied().denied() == replace(drawn, parts=drawn.denied().denied().parts)
        seen.add((drawn.every, drawn.true))
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("family", "facts", "never"),
    [
        ("nothing on", ["on(red block, green block)"], {"holding", "in"}),
        ("not shut", [], {"closed"}),
        ("then shut", [], {"open"}),
        ("neither", [], {"holding", "open", "closed"}),
    ],
)
def test_a_family_asks_for_nothing_else(family: str, facts: list[str], never: set[str]) -> None:
    scene = make_scene(("red block", "green block", "blue ball", "yellow ball", "white bowl"), facts)
    author = Author(scene, random.Random(9))
    goals = [t.answer for _ in range(150) if (t := write(author, family)) and isinstance(t.answer, Goal)]
    assert len(goals) > 20
    assert not never & {item.predicate for goal in goals for item in goal.literals}


def test_what_is_left_out_is_not_in_the_goal() -> None:
    """Read from the words: the one colour after "but not" or "except" is that of no thing in the goal."""
    author = Author(make_scene(("red block", "green block", "blue block", "white bowl")), random.Random(10))
    read = 0
    for _ in range(800):
        text, answer = but_not(author) or ("", None)
        left = re.search(r"(?:but not|except|only not|just not) the (red|green|blue) one$", text)
        if left:
            assert left[1] not in str(answer), text
            read += 1
    assert read > 5


def test_towers_by_size_stand_as_they_are_told_to() -> None:
    scene = make_scene(("small red block", "medium green block", "large blue block", "white bowl"))
    author = Author(scene, random.Random(11))
    said = [each for _ in range(60) if (each := tower_by_size(author))]
    up = "on(medium green block, large blue block) and on(small red block, medium green block)"
    down = "on(medium green block, small red block) and on(large blue block, medium green block)"
    assert {str(answer) for _, answer in said} == {up, down}
    for text, answer in said:
        if "biggest at the bottom" in text or "smallest on top" in text:
            assert str(answer) == up, text


FIXTURE_STATE = re.compile(
    r"\b(drawer|door) (?:is|has been|was) (?:still |already )?(open|opened|closed|shut)\b"
)


def test_two_conditions_decide_each_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many things are to be done as conditions hold, read from the words by themselves."""
    monkeypatch.setattr("planners.phrasing.nouns._SAID_USUALLY", 1.0)
    author = Author(make_scene(("red block", "blue ball", "white bowl"), ["open(drawer)"]), random.Random(5))
    read = 0
    for _ in range(4_000):
        text, answer = each_if(author) or ("", None)
        states = FIXTURE_STATE.findall(text)
        if len(states) == 2 and states[0][0] != states[1][0] and re.match("(if|in case|when) ", text):
            so = [(fixture == "drawer") == (state in ("open", "opened")) for fixture, state in states]
            always = not re.search(r"(if|in case|when|that) .*(if|in case|when|that) ", text)
            assert isinstance(answer, Goal)
            assert always or len(answer.literals) == sum(so), text
            read += 1
    assert read


def test_it_is_what_the_condition_speaks_of() -> None:
    author = Author(
        make_scene(("red block", "blue ball", "white bowl"), ["holding(blue ball)"]), random.Random(6)
    )
    held = re.compile(r"if you('re| are) holding something,? (?!.*(otherwise|else|if|\bor\b|not\b|nothing))")
    written = [each for _ in range(4_000) if (each := about_it(author)) and held.match(each[0])]
    assert written
    for text, answer in written:
        assert isinstance(answer, Goal), text
        assert answer.literals[0].groups[0].names == ("blue ball",), text


PLAIN_CONDITION = re.compile(
    r"(if|when|in case|whenever|provided|assuming|as long as) (the |that )?(drawer|door|hatch|gate|panel) "
    r"is (already |still |wide )?open,? (?!.*(\bif\b|other|else|not|but|\bor\b|\band\b))"
)


def test_a_condition_decides_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws in a scene where the drawer is shut and in one where it is open."""
    monkeypatch.setattr("planners.phrasing.nouns._SAID_USUALLY", 1.0)
    answers = []
    for facts in ([], ["open(drawer)", "open(door)", "pressed(button)"]):
        author = Author(make_scene(("red block", "blue ball", "white bowl"), facts), random.Random(3))
        written = [each for _ in range(1_500) if (each := condition(author))]
        plain = [answer for text, answer in written if PLAIN_CONDITION.match(text)]
        answers += [(bool(facts), isinstance(answer, Goal) and bool(answer.literals)) for answer in plain]
    assert {so for so, _ in answers} == {True, False}
    assert all(so == acts for so, acts in answers)


def test_held_out_constructions_are_never_drawn_for_training() -> None:
    frames = phrases("frames")["imp"]
    assert len(frames.held_out) > 10
    assert not set(frames.held_out) & set(frames.training)
    rng = random.Random(0)
    for section in phrases("in").values():
        for _ in range(50):
            drawn = section.draw(rng)
            assert any(re.fullmatch(_loose(line), drawn) for line in section.training), drawn


def _loose(line: str) -> str:
    """A construction as a pattern: any of its choices."""
    while (match := re.search(r"\[([^\[\]]*)\]", line)) is not None:
        line = line[: match.start()] + "\x00" + line[match.end() :]
    return re.sub(r"(\\\x00|\x00)", ".*", re.escape(line)).replace(r"\ .*\ ", ".*").replace(r"\ .*", ".*")


def test_slots_and_choices() -> None:
    assert slots("put X in Y, X2 too") == ["X", "Y", "X2"]
    assert fill("put X in Y", {"X": "it", "Y": "the bowl"}) == "put it in the bowl"
    assert {choose("a [b|c [d|e]]", random.Random(n)) for n in range(60)} == {"a b", "a c d", "a c e"}


def test_slips_spare_the_words_that_are_quoted() -> None:
    marked = f"please pick up the {MARK}purple umbrella{MARK} and put everything else into the drawer"
    texts = {noisy(marked, random.Random(number)) for number in range(300)}
    assert len(texts) > 60
    assert all(f"{MARK}purple umbrella{MARK}" in text for text in texts)


def test_kinds_are_those_of_the_tabletop() -> None:
    assert {kind: oracle.TAGS[kind] for kind in TAGS} == TAGS
    scene = sample_scene(random.Random(1))
    static = {fact for fact in scene.facts if fact.predicate == "fits"}
    assert static == set(oracle.fitting(scene.entities))


def test_scenes_are_sound() -> None:
    for number in range(200):
        scene = sample_scene(random.Random(number))
        names = [entity.name for entity in scene.entities]
        assert len(set(names)) == len(names)
        for entity in scene.tagged("graspable"):
            assert len(places(scene, entity.name)) == 1
        for fact in scene.facts:
            if fact.predicate in ("in", "on") and scene.entity(fact.args[0]).kind != "bowl":
                assert Atom("fits", (fact.args[0], fact.predicate, fact.args[1])) in scene.facts


def places(scene: SceneGraph, name: str) -> list[Atom]:
    return [f for f in scene.facts if f.predicate in ("in", "on", "holding") and f.args[0] == name]


def test_refusals_have_known_reasons() -> None:
    reasons = {t.answer.reason for t in triples() if isinstance(t.answer, Refuse)}
    assert reasons == {*PLAIN, *WORDED, CANNOT}


def test_a_scene_is_spoken_of_as_often_as_asked() -> None:
    rng = random.Random(2)
    scene = sample_scene(rng)
    assert [t.scene for t in scene_triples(rng, scene, 7)] == [scene] * 7
