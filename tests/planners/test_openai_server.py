"""The back end against recorded answers, played by an HTTP server of the test's own; a live peer is in
`test_language_models`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from planners.chat import Prompt
from planners.examples import ExampleBank, bank
from planners.goal_form import GoalForm
from planners.openai_server import CACHE, PRICES, OpenAIServer
from planners.proposer import LanguageModelProposer
from planners.reading import read_command
from planners.response_cache import ResponseCache
from robot_skills.errors import InputError
from robot_skills.logic import parse
from robot_skills.skill import Skill
from tests.planners.conftest import make_scene
from tests.planners.test_planner import letters

pytest.importorskip("openai")
SCENE = make_scene(("red block", "green block"))
FORM = GoalForm(read_command("put the red block in the drawer", SCENE), SCENE)
PROMPT = Prompt(FORM.reading.text, [])
ANSWER = '{"possible": true, "join": "and", "literals": ["in(A, drawer)"]}'
USAGE = {"prompt_tokens": 120, "completion_tokens": 20, "total_tokens": 140}


def piece(delta: dict[str, Any] | None, usage: dict[str, int] | None = None) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": None}]
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return f"data: {json.dumps({**body, 'usage': usage})}\n\n"


def streamed(text: str) -> str:
    """As OpenAI, llama.cpp and vLLM stream an answer: in pieces, the usage last."""
    parts = [text[start : start + 7] for start in range(0, len(text), 7)]
    return "".join(piece({"content": part}) for part in parts) + piece(None, USAGE) + "data: [DONE]\n\n"


def called(text: str) -> str:
    """An answer as the arguments of a tool."""
    function = [{"index": 0, "id": "c", "type": "function", "function": {"name": "goal", "arguments": ""}}]
    parts = [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in (text[:9], text[9:])]
    told = [piece({"tool_calls": function}), *map(piece, parts)]
    return "".join(told) + piece(None, USAGE) + "data: [DONE]\n\n"


class Recorded:
    """A server that gives recorded answers one after another: (status, body), or a trickle without an end."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = []
        self.requests: list[dict[str, Any]] = []
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append(json.loads(body))
                status, text = outer.answers.pop(0)
                self.send_response(status)
                kind = "text/event-stream" if status == 200 else "application/json"
                self.send_header("Content-Type", kind)
                self.send_header("Connection", "close")
                self.end_headers()
                if text == "trickle":
                    while not outer.over.wait(0.02):
                        self.wfile.write(piece({"content": " "}).encode())
                        self.wfile.flush()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    server = Recorded()
    yield server
    server.close()


def test_a_streamed_answer_is_put_together_and_counted(recorded: Recorded) -> None:
    recorded.answers = [(200, streamed(ANSWER))]
    model = OpenAIServer("m", recorded.url, prices=(0.5, 2.0))
    answer = model.complete(PROMPT, FORM)
    assert answer.goal == parse("in(A, drawer)")
    assert (answer.prompt_tokens, answer.tokens) == (120, 20)
    assert (model.usage.requests, model.usage.prompt_tokens, model.usage.tokens) == (1, 120, 20)
    assert model.usage.dollars == pytest.approx((120 * 0.5 + 20 * 2.0) / 1e6)
    (request,) = recorded.requests
    assert request["stream"]
    assert request["response_format"]["json_schema"]["schema"] == FORM.schema()


def test_a_model_behind_a_server_is_told_of_the_cards(
    recorded: Recorded, skills: Mapping[str, Skill]
) -> None:
    recorded.answers = [(200, streamed(ANSWER))]
    examples = ExampleBank(letters, bank())
    proposer = LanguageModelProposer(OpenAIServer("m", recorded.url), examples, skills=skills)
    assert str(proposer.propose("put the red block in the drawer", SCENE).goal) == "in(red block, drawer)"
    system, *shown = recorded.requests[0]["messages"]
    for card in skills.values():
        assert f"{card.name}({', '.join(card.parameters)}): {card.summary}" in system["content"]
    assert shown[-1] == {"role": "user", "content": "put A in drawer"}


def test_a_server_without_schemas_is_asked_to_call_a_tool(recorded: Recorded) -> None:
    refused = json.dumps({"error": {"message": "response_format json_schema is not supported"}})
    recorded.answers = [(400, refused), (200, called(ANSWER)), (200, called(ANSWER))]
    model = OpenAIServer("m", recorded.url)
    for _ in range(2):
        assert model.complete(PROMPT, FORM).goal == parse("in(A, drawer)")
    assert ["tools" in request for request in recorded.requests] == [False, True, True]
    assert recorded.requests[1]["tools"][0]["function"]["parameters"] == FORM.schema()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_fails_for_the_moment_is_asked_again(recorded: Recorded, status: int) -> None:
    recorded.answers = [(status, "{}"), (200, streamed(ANSWER))]
    assert OpenAIServer("m", recorded.url).complete(PROMPT, FORM).goal == parse("in(A, drawer)")
    assert len(recorded.requests) == 2


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([(500, "{}")] * 2, "answered 500"),
        ([(401, '{"error": {"message": "bad key"}}')], "answered 401"),
        ([(400, '{"error": {"message": "no such model"}}')] * 2, "answered 400"),
        ([(200, streamed("no JSON at all"))], "not a goal"),
        (
            [(200, streamed('{"possible": true, "join": "and", "literals": ["open(door)"]}'))],
            "does not admit",
        ),
        ([(200, "data: [DONE]\n\n")], "answered with nothing"),
        ([(200, "trickle")], "did not answer within 0.3 s"),
    ],
)
def test_failures_are_one_clear_line(recorded: Recorded, answers: list[tuple[int, str]], says: str) -> None:
    recorded.answers = list(answers)
    with pytest.raises(InputError, match=says) as caught:
        OpenAIServer(
            "m", recorded.url, timeout=0.3 if answers[0][1] == "trickle" else 20.0, retries=1
        ).complete(PROMPT, FORM)
    assert "\n" not in str(caught.value)


def test_kept_answers_are_not_asked_for_again(recorded: Recorded, tmp_path: Path) -> None:
    recorded.answers = [(200, streamed(ANSWER)), (200, streamed('{"cut off')), (200, streamed(ANSWER))]
    for cached in (0, 1):
        model = OpenAIServer("m", recorded.url, cache=ResponseCache(tmp_path / "kept"))
        assert model.complete(PROMPT, FORM).goal == parse("in(A, drawer)")
        assert (model.usage.cached, len(recorded.requests)) == (cached, 1)
    other = Prompt("another command", [])
    with pytest.raises(InputError, match="not a goal"):
        model.complete(other, FORM)
    assert model.complete(other, FORM).goal == parse("in(A, drawer)"), "what was cut off was not kept"
    for file in (tmp_path / "kept").iterdir():
        file.write_text("{broken")
    recorded.answers = [(200, streamed(ANSWER))]
    assert model.complete(PROMPT, FORM).goal == parse("in(A, drawer)")


def test_the_environment_names_folder_and_prices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path))
    monkeypatch.setenv(PRICES, "0.15,0.6")
    assert OpenAIServer.from_options("m", "http://localhost:1/v1").usage.prices == (0.15, 0.6)
    for wrong in ("1", "a,b", "-1,2", "nan,1"):
        monkeypatch.setenv(PRICES, wrong)
        with pytest.raises(InputError, match="two prices"):
            OpenAIServer.from_options("m", "http://localhost:1/v1")
