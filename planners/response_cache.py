"""Answers of model servers, kept: no request is asked, or paid for, twice; and what all of it took."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_skills.data.files import write_text


@dataclass(frozen=True)
class ServerAnswer:
    """What a server answered.

    Attributes:
        text: JSON of the schema that was asked for, if the server kept to it.
        prompt_tokens, tokens: read and written, as the server counts them; 0 where it does not say.
    """

    text: str
    prompt_tokens: int = 0
    tokens: int = 0


@dataclass
class Usage:
    """What was asked so far.

    Attributes:
        prices: US dollars for a million tokens read, and written.
        requests: that went to the server.
        cached: that were answered without it.
        prompt_tokens, tokens: read and written by the server.
    """

    prices: tuple[float, float] = (0.0, 0.0)
    requests: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    tokens: int = 0

    @property
    def dollars(self) -> float:
        """What it cost at these prices."""
        return (self.prompt_tokens * self.prices[0] + self.tokens * self.prices[1]) / 1e6

    def __str__(self) -> str:
        asked = f"Model server: {self.requests} request{'s' * (self.requests != 1)}"
        if self.requests:
            counted = f"{self.prompt_tokens:,} tokens read, {self.tokens:,} written"
            asked += f", {counted if self.prompt_tokens or self.tokens else 'tokens not counted by it'}"
        cost = f", ${self.dollars:.6f}" if any(self.prices) else ""
        return f"{asked}{cost}{f'; {self.cached} kept from before' if self.cached else ''}"

    def to_json(self) -> dict[str, Any]:
        """The form used in results; `dollars` is None where no prices are given."""
        told = {name: getattr(self, name) for name in ("requests", "cached", "prompt_tokens", "tokens")}
        return {**told, "dollars": round(self.dollars, 9) if any(self.prices) else None}

    def count(self, answer: ServerAnswer) -> None:
        """Add an answer of the server."""
        self.requests += 1
        self.prompt_tokens += answer.prompt_tokens
        self.tokens += answer.tokens


class ResponseCache:
    """A folder of answers, a file for each request; a file that cannot be read counts as none.

    Args:
        folder: made when the first answer is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, request: Mapping[str, Any]) -> ServerAnswer | None:
        """The answer to a request, if it is kept."""
        try:
            kept = json.loads(self._path(request).read_text())
            return ServerAnswer(str(kept["text"]), int(kept["prompt_tokens"]), int(kept["tokens"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, request: Mapping[str, Any], answer: ServerAnswer) -> None:
        """Keep an answer."""
        kept = {"text": answer.text, "prompt_tokens": answer.prompt_tokens, "tokens": answer.tokens}
        path = self._path(request)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"request": request, **kept}, indent=1, ensure_ascii=False))

    def _path(self, request: Mapping[str, Any]) -> Path:
        text = json.dumps(request, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
