"""What a model server was asked is told by the verbs: against recorded answers, from planning to the JSON."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from planners import proposer
from planners.openai_server import CACHE, PRICES
from planners.response_cache import ServerAnswer, Usage
from robot_skills.cli.main import main
from tests.planners.test_openai_server import ANSWER, Recorded, recorded, streamed  # noqa: F401  (a fixture)
from tests.planners.test_planner import letters
from tests.robot_skills.cli.test_talk import SCENE
from tests.robot_skills.small_policy import make_library

pytest.importorskip("openai")
pytest.importorskip("pybullet")
COMMAND = "put the red block in the drawer"
COUNTED = {"requests": 1, "cached": 0, "prompt_tokens": 120, "tokens": 20}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(proposer, "sentence_embedding", lambda: letters)
    monkeypatch.delenv(CACHE, raising=False)
    monkeypatch.delenv(PRICES, raising=False)
    (tmp_path / "scene.yaml").write_text(SCENE)
    return str(tmp_path / "scene.yaml")


def told(verb: list[str], server: Recorded, scene: str, code: int) -> Any:
    file = Path(scene).with_name("result.json")
    options = ["--planner", "openai", "--model", "m", "--base-url", server.url, "--scene", scene]
    assert main([*verb, *options, "--json", str(file)]) == code
    return json.loads(file.read_text())["usage"]


@pytest.mark.parametrize(
    ("prices", "dollars", "shown"),
    [
        (None, None, "Model server: 1 request, 120 tokens read, 20 written\n"),
        ("0.5,2", 0.0001, "Model server: 1 request, 120 tokens read, 20 written, $0.000100\n"),
    ],
)
def test_plan_tells_tokens_and_what_they_cost(
    recorded: Recorded,  # noqa: F811
    scene: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prices: str | None,
    dollars: float | None,
    shown: str,
) -> None:
    if prices is not None:
        monkeypatch.setenv(PRICES, prices)
    recorded.answers = [(200, streamed(ANSWER))]
    assert told(["plan", COMMAND], recorded, scene, 0) == {**COUNTED, "dollars": dollars}
    assert shown in capsys.readouterr().out


def test_what_is_kept_or_needs_no_model_costs_nothing(
    recorded: Recorded,  # noqa: F811
    scene: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    recorded.answers = [(200, streamed(ANSWER))]
    assert told(["plan", COMMAND], recorded, scene, 0)["requests"] == 1
    again = told(["plan", COMMAND], recorded, scene, 0)
    assert (again["requests"], again["cached"], again["tokens"]) == (0, 1, 0)
    assert "Model server: 0 requests; 1 kept from before" in capsys.readouterr().out
    refused = told(["plan", "put the banana in the drawer"], recorded, scene, 2)
    assert (refused["requests"], refused["cached"]) == (0, 0)


def test_run_and_a_conversation_tell_it_too(
    recorded: Recorded,  # noqa: F811
    scene: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The small policies look at 16 pixels and cannot do it; the server was asked all the same."""
    library = make_library(tmp_path / "lib", ("press", "open", "pick", "place", "close"))
    recorded.answers = [(200, streamed(ANSWER))] * 3
    run = ["run", "--local", "--library", str(library)]
    assert told([*run, COMMAND], recorded, scene, 1) == {**COUNTED, "dollars": None}
    assert "Model server: 1 request," in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{COMMAND}\nleave it\n{COMMAND}\nleave it\nbye\n"))
    usage = told(run, recorded, scene, 0)
    assert (usage["requests"], usage["prompt_tokens"], usage["tokens"]) == (2, 240, 40)
    assert "Model server: 2 requests, 240 tokens read, 40 written" in capsys.readouterr().out


def test_a_server_that_does_not_count_is_said_not_to() -> None:
    usage = Usage()
    usage.count(ServerAnswer("{}"))
    assert str(usage) == "Model server: 1 request, tokens not counted by it"
