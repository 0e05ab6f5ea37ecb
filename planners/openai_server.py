"""Any server that speaks OpenAI's chat protocol: OpenAI itself, llama.cpp, vLLM, Ollama."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from planners.chat import INSTRUCTION, WRITING, Completion, Prompt
from planners.goal_form import GoalForm
from robot_skills.errors import InputError, UnavailableError, require
from robot_skills.logic import Formula

TIMEOUT = 60.0
_MOST_TOKENS = 256


class OpenAIServer:
    """A chat model behind HTTP, answering in a JSON schema.

    The key is read from OPENAI_API_KEY; servers of one's own mostly ask for none.

    Args:
        model: the name the server knows it by.
        base_url: such as http://localhost:8080/v1; None is OpenAI's own.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, model: str, base_url: str | None = None, timeout: float = TIMEOUT) -> None:
        self._model, self._base_url, self._timeout = model, base_url, timeout

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
        return cls(model, base_url)

    @cached_property
    def _client(self) -> Any:
        openai = require("openai", "llm")
        key = os.environ.get("OPENAI_API_KEY") or "none"
        return openai.OpenAI(base_url=self._base_url, api_key=key, timeout=self._timeout, max_retries=1)

    def complete(self, prompt: Prompt, form: GoalForm, goals: Sequence[Formula] = ()) -> Completion:
        """Write the goal of a command; see `planners.chat.ChatModel`."""
        schema = _choice(goals) if goals else form.schema()
        answer = self._ask(_messages(prompt, form, goals), schema)
        text = answer.choices[0].message.content or ""
        used = answer.usage
        return Completion(
            _read_choice(text, goals) if goals else form.from_json(text),
            text,
            used.prompt_tokens if used else 0,
            used.completion_tokens if used else 0,
        )

    def write(self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int) -> str:
        """JSON of a schema, drawn with a seed; see `planners.chat.Writer`."""
        request = f"{prompt}\nWrite one more, as JSON."
        answer = self._ask([{"role": "user", "content": request}], schema, WRITING, seed)
        return answer.choices[0].message.content or ""

    def _ask(
        self,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any],
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Any:
        """The server's answer, which holds one choice or more."""
        openai = require("openai", "llm")
        drawn = {} if seed is None else {"seed": seed}
        try:
            answer = self._client.chat.completions.create(
                model=self._model,
                messages=messages,
                temperature=temperature,
                max_tokens=_MOST_TOKENS,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "goal", "strict": True, "schema": schema},
                },
                **drawn,
            )
        except openai.APITimeoutError as error:
            raise UnavailableError(f"{self._where} did not answer within {self._timeout:g} s.") from error
        except openai.APIConnectionError as error:
            reason = error.__cause__ or error
            raise UnavailableError(f"{self._where} cannot be reached: {reason}.") from error
        except openai.APIStatusError as error:
            raise UnavailableError(
                f"{self._where} answered {error.status_code}: {_line(error.message)}."
            ) from error
        if not answer.choices:
            raise InputError(f"{self._where} answered with nothing.")
        return answer

    @property
    def _where(self) -> str:
        return f"The model server at {self._base_url or 'api.openai.com'}"


def _messages(prompt: Prompt, form: GoalForm, goals: Sequence[Formula]) -> list[dict[str, str]]:
    system = INSTRUCTION
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
