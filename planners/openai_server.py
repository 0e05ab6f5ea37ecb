"""Any server that speaks OpenAI's chat protocol: OpenAI itself, llama.cpp, vLLM, Ollama."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from planners.chat import INSTRUCTION, WRITING, Completion, Prompt
from planners.goal_form import GoalForm
from planners.response_cache import ResponseCache, ServerAnswer, Usage
from robot_skills.errors import InputError, UnavailableError, require
from robot_skills.logic import Formula

TIMEOUT = 60.0
#: How often a request is sent again that failed for the moment (overload, a lost connection), each time after
#: a longer pause; the client of OpenAI draws the pauses.
RETRIES = 3
#: A folder to keep answers in, and dollars for a million tokens read and written ("0.15,0.6").
CACHE, PRICES = "ROBOT_SKILLS_LLM_CACHE", "ROBOT_SKILLS_LLM_PRICES"
_MOST_TOKENS = 256
_TOOL = "goal"


class OpenAIServer:
    """A chat model behind HTTP, answering in a JSON schema, or by a tool where it knows no schemas.

    The key is read from OPENAI_API_KEY; servers of one's own mostly ask for none. Answers are streamed, so
    that one that never ends is cut off in time.

    Args:
        model: the name the server knows it by.
        base_url: such as http://localhost:8080/v1; None is OpenAI's own.
        timeout: seconds to wait for an answer, from its first word to its last.
        retries: how often a request is sent again that failed for the moment.
        cache: of answers.
        prices: US dollars for a million tokens read, and written.

    Attributes:
        usage: what was asked so far.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        cache: ResponseCache | None = None,
        prices: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._model, self._base_url, self._timeout = model, base_url, timeout
        self._retries, self._cache = retries, cache
        self._tools = False  # whether the server turned out to know tools, and no schemas
        self.usage = Usage(prices)

    @property
    def name(self) -> str:
        """The back end and the model, for reports."""
        return f"openai {self._model}"

    @classmethod
    def from_options(cls, model: str | None, base_url: str | None) -> OpenAIServer:
        """Build it from command-line options.

        Raises:
            InputError: the model is not named, or there is neither an address nor a key.
        """
        if model is None:
            raise InputError("--planner openai needs --model, the name the server knows the model by.")
        if base_url is None and not os.environ.get("OPENAI_API_KEY"):
            raise InputError("--planner openai needs --base-url, or a key in OPENAI_API_KEY.")
        if base_url is not None and not base_url.startswith(("http://", "https://")):
            raise InputError(f"--base-url is an address such as http://localhost:8080/v1, not {base_url!r}.")
        folder = os.environ.get(CACHE)
        cache = ResponseCache(Path(folder)) if folder else None
        return cls(model, base_url, cache=cache, prices=_prices(os.environ.get(PRICES, "")))

    @cached_property
    def _client(self) -> Any:
        openai = require("openai", "llm")
        key = os.environ.get("OPENAI_API_KEY") or "none"
        return openai.OpenAI(
            base_url=self._base_url, api_key=key, timeout=self._timeout, max_retries=self._retries
        )

    def complete(self, prompt: Prompt, form: GoalForm, goals: Sequence[Formula] = ()) -> Completion:
        """Write the goal of a command; see `planners.chat.ChatModel`."""
        schema = _choice(goals) if goals else form.schema()
        answer = self._ask(_messages(prompt, form, goals), schema)
        goal = _read_choice(answer.text, goals) if goals else form.from_json(answer.text)
        return Completion(goal, answer.text, answer.prompt_tokens, answer.tokens)

    def write(
        self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int, temperature: float = WRITING
    ) -> str:
        """JSON of a schema, drawn with a seed; see `planners.chat.Writer`."""
        request = f"{prompt}\nWrite one more, as JSON."
        return self._ask([{"role": "user", "content": request}], schema, temperature, seed).text

    def _ask(
        self,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any],
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> ServerAnswer:
        """The answer, kept or the server's."""
        request: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "temperature": temperature,
            "max_tokens": _MOST_TOKENS,
            "schema": schema,
            **({} if seed is None else {"seed": seed}),
        }
        key = {"server": self._base_url, **request}
        kept = self._cache.get(key) if self._cache else None
        if kept is not None:
            self.usage.cached += 1
            return kept
        answer = self._sent(request)
        self.usage.count(answer)
        if self._cache and _is_json(answer.text):
            self._cache.put(key, answer)
        return answer

    def _sent(self, request: Mapping[str, Any]) -> ServerAnswer:
        """What the server answers, asked in the form that it knows."""
        openai = require("openai", "llm")
        try:
            try:
                return self._streamed(_worded(request, self._tools))
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                if self._tools:
                    raise
                answer = self._streamed(_worded(request, tools=True))
                self._tools = True
                return answer
        except openai.APITimeoutError as error:
            raise self._late() from error
        except openai.APIConnectionError as error:
            reason = error.__cause__ or error
            raise UnavailableError(f"{self._where} cannot be reached: {reason}.") from error
        except openai.APIStatusError as error:
            raise UnavailableError(
                f"{self._where} answered {error.status_code}: {_line(error.message)}."
            ) from error

    def _streamed(self, request: Mapping[str, Any]) -> ServerAnswer:
        """Put an answer together from its pieces; one that takes too long is given up."""
        until, text, used = time.monotonic() + self._timeout, "", None
        with self._client.chat.completions.create(**request) as pieces:
            for piece in pieces:
                used = piece.usage or used
                for choice in piece.choices[:1]:
                    calls = choice.delta.tool_calls or ()
                    text += choice.delta.content or ""
                    text += "".join(call.function.arguments or "" for call in calls if call.function)
                if time.monotonic() > until:
                    raise self._late()
        if not text:
            raise InputError(f"{self._where} answered with nothing.")
        return ServerAnswer(text, used.prompt_tokens if used else 0, used.completion_tokens if used else 0)

    def _late(self) -> UnavailableError:
        return UnavailableError(f"{self._where} did not answer within {self._timeout:g} s.")

    @property
    def _where(self) -> str:
        return f"The model server at {self._base_url or 'api.openai.com'}"


def _worded(request: Mapping[str, Any], tools: bool) -> dict[str, Any]:
    """A request in OpenAI's protocol: with a schema for the answer, or a tool that has to be called."""
    asked = {key: value for key, value in request.items() if key != "schema"}
    asked |= {"stream": True, "stream_options": {"include_usage": True}}
    schema = request["schema"]
    if tools:
        function = {"name": _TOOL, "description": "Takes the answer.", "parameters": schema}
        choice = {"type": "function", "function": {"name": _TOOL}}
        return {**asked, "tools": [{"type": "function", "function": function}], "tool_choice": choice}
    wanted = {"name": _TOOL, "strict": True, "schema": schema}
    return {**asked, "response_format": {"type": "json_schema", "json_schema": wanted}}


def _is_json(text: str) -> bool:
    """Whether an answer is whole: one that was cut off is not kept."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _prices(text: str) -> tuple[float, float]:
    """Two prices out of "0.15,0.6"; none cost nothing.

    Raises:
        InputError: it is not two numbers, 0 or more.
    """
    try:
        read, written = map(float, text.split(",")) if text else (0.0, 0.0)
    except ValueError:
        read = written = -1.0
    if not (read >= 0 and written >= 0):
        raise InputError(f"{PRICES} holds two prices for a million tokens, such as 0.15,0.6, not {text!r}.")
    return read, written


def _messages(prompt: Prompt, form: GoalForm, goals: Sequence[Formula]) -> list[dict[str, str]]:
    system = f"{INSTRUCTION}\nThe arm's skills:\n{prompt.skills}" if prompt.skills else INSTRUCTION
    if goals:
        system += " Choose one of these goals: " + "; ".join(map(str, goals)) + "."
    messages = [{"role": "system", "content": system}]
    for example in prompt.examples:
        shown = {"goal": str(example.goal or "none")} if goals else form.to_json(example.goal)
        messages += [
            {"role": "user", "content": example.command},
            {"role": "assistant", "content": json.dumps(shown)},
        ]
    return [*messages, {"role": "user", "content": prompt.command}]


def _choice(goals: Sequence[Formula]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"goal": {"type": "string", "enum": [str(goal) for goal in goals]}},
        "required": ["goal"],
        "additionalProperties": False,
    }


def _read_choice(text: str, goals: Sequence[Formula]) -> Formula:
    try:
        chosen = str(json.loads(text)["goal"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"The model's answer is not a goal: {text[:200]!r}.") from error
    for goal in goals:
        if str(goal) == chosen:
            return goal
    raise InputError(f"The model's answer {chosen!r} is none of the goals it was given.")


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
