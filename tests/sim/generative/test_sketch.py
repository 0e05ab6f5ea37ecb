"""What a language model proposes: all it can write is well-typed, and passes the same gates as the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from robot_skills.cli.main import main
from robot_skills.errors import InputError
from sim.generative.gates import Strictness
from sim.generative.generation import generate, read_records, read_tasks
from sim.generative.novelty import Archive
from sim.generative.schema import check_schema
from sim.generative.sketch import SketchProposer, clauses, gbnf, prompt, read, realise, schema, sketch_of
from sim.generative.task import Provenance, make_task
from tests.sim.generative.test_diversity import bag_of_words

LIGHT = Strictness(scenes=1, initial=20, random=1, trials=4, solved=0.2, replays=1)


class Canned:
    """A writer with fixed answers, by the number of the proposal."""

    name = "canned"

    def __init__(self, *answers: str) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def write(self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int) -> str:
        self.asked.append(prompt)
        return self._answers[seed % 1_000 % len(self._answers)]


def test_every_clause_alone_makes_a_task_that_its_sketch_says_again() -> None:
    for number, clause in enumerate(clauses()):
        proposal = realise([clause], np.random.default_rng([3, number]))
        check_schema(make_task(proposal, number, Provenance("test", 0, number)))
        assert sketch_of(proposal.goal) == clause


def test_a_kind_of_furniture_is_the_same_piece_throughout() -> None:
    sketch = ("put ball in box", "put block in box", "close box")
    proposal = realise(sketch, np.random.default_rng(0))
    assert proposal.goal.family == "lidded"
    assert len({place for clause in proposal.goal.clauses[:2] for place in clause.places}) == 1
    assert proposal.goal.clauses[2].things == proposal.goal.clauses[0].places
    assert sketch_of(proposal.goal) == "; ".join(sketch)


def test_what_is_said_twice_of_one_thing_is_asked_for_once() -> None:
    rng = np.random.default_rng(0)
    assert sketch_of(realise(("press button",) * 4, rng).goal) == "press button"
    assert realise(("press button",) * 4, rng).goal.family == "single"
    twice = ("put ball in box", "put ball in box")
    assert sketch_of(realise(twice, rng).goal) == "; ".join(twice)  # two balls


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (" put ball in box; fly away\n", "clause 'fly away' is none that this world admits"),
        ('{"clauses": "open door"}', "none that this world admits"),
        ('{"steps": []}', "no list of clauses"),
        ("; ".join(["open door"] * 5), "1 to 4 clauses"),
    ],
)
def test_what_is_no_sketch_is_refused(written: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written)


def test_opposites_and_more_than_the_table_holds_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="opens and closes the door"):
        realise(("open door", "close door"), rng)
    with pytest.raises(InputError, match="asks for too much"):
        realise(("open box", "open chest", "open gate", "open lever"), rng)


def test_grammar_and_schema_hold_the_same_clauses_and_the_prompt_says_what_is_rare() -> None:
    assert all(json.dumps(clause) in gbnf() for clause in clauses())
    assert schema()["properties"]["clauses"]["items"]["enum"] == list(clauses())
    archive = Archive(bag_of_words)
    for number, text in enumerate(("open gate", "press bell", "put block in basket")):
        task = make_task(realise([text], np.random.default_rng(number)), number, Provenance("t", 0, 0))
        assert archive.admit(task) is None
    said = prompt(archive, 0, 0)
    assert "Task: put block in basket\n" in said
    assert said.endswith("Task:")
    rare = said.split("Rarely used so far: ")[1].split(".")[0].split(", ")
    assert not {"gate", "bell", "basket"} & set(rare)


def test_a_models_tasks_pass_the_gates_and_its_slips_fall_at_the_first(tmp_path: Path) -> None:
    model = Canned(
        " press bell\n", '{"clauses": ["open door", "close door"]}', " open knob; push ball left\n"
    )
    result = generate(
        2, tmp_path / "out", bag_of_words, Console(quiet=True),
        local=True, proposer=SketchProposer(model), strictness=LIGHT,
    )  # fmt: skip
    assert result.funnel.accepted == 2
    records = read_records(tmp_path / "out")
    assert records[1].gate == "schema"
    assert "opens and closes" in records[1].reason
    tasks = read_tasks(tmp_path / "out")
    assert {task.provenance.proposer for task in tasks} == {"canned"}
    assert {sketch_of(task.goal) for task in tasks} == {"press bell", "open knob; push ball left"}


def test_options_of_a_model_do_not_go_with_the_grammar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "-o", str(tmp_path / "x"), "--local", "--model", "some"]) == 2
    assert "go with --proposer embedded or openai" in capsys.readouterr().err
    assert main(["generate", "-o", str(tmp_path / "x"), "--local", "--proposer", "oracle"]) == 2
    assert "Unknown planner 'oracle'" in capsys.readouterr().err
