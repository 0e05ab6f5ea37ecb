"""Language models behind one protocol, by name.

A back end is a class with `from_options` and `complete`, registered below or, by other packages, under the
entry-point group `robot_skills.planners`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol, cast

from planners.examples import Example
from planners.goal_form import GoalForm
from robot_skills.errors import InputError, unknown
from robot_skills.logic import Formula
from robot_skills.skill import Skill

GROUP = "robot_skills.planners"
_OURS = {
    "embedded": "planners.embedded:EmbeddedModel",
    "openai": "planners.openai_server:OpenAIServer",
}

INSTRUCTION = (
    "A robot arm is given a command. Write what must be true when it is done, as a goal: literals joined by "
    "'and'. "
    "in(A, B): A lies in B. on(A, B): A stands on B. holding(A). stacked(A): the things A form one tower. "
    "open(A), closed(A), pressed(A). moved(A, left): A was pushed that way. Letters stand for objects or "
    "groups of objects. What is done and then undone is left out."
)


@dataclass(frozen=True)
class Prompt:
    """What the model is asked: the goal of a reduced command, with examples, the most alike last.

    Attributes:
        skills: what the arm can do, from the cards (`describe_skills`); for models that read instructions.
    """

    command: str
    examples: Sequence[Example]
    skills: str = ""


@dataclass(frozen=True)
class Completion:
    """What the model answered.

    Attributes:
        goal: over labels; None when the model said that there is none.
        text: the answer as it was written.
        prompt_tokens: how long the prompt was.
        tokens: how long the answer was.
    """

    goal: Formula | None
    text: str
    prompt_tokens: int
    tokens: int


def describe_skills(skills: Mapping[str, Skill]) -> str:
    """What an arm can do, a line a skill: "pick(object): Grasp an object. Then: holding(object)"."""
    return "\n".join(
        f"{card.name}({', '.join(card.parameters)}): {card.summary} Then: {card.success}"
        for card in skills.values()
    )


class ChatModel(Protocol):
    """A language model that writes goals of a given form."""

    @property
    def name(self) -> str:
        """The back end and the model, for reports."""
        ...

    @classmethod
    def from_options(cls, model: str | None, base_url: str | None) -> ChatModel:
        """Build it from command-line options.

        Raises:
            InputError: an option is missing, or of no use to this back end.
        """
        ...

    def complete(self, prompt: Prompt, form: GoalForm, goals: Sequence[Formula] = ()) -> Completion:
        """Write the goal of a command.

        Args:
            prompt: the command and the examples.
            form: what a goal may look like; the answer is of this form.
            goals: when given, the answer is one of these.

        Raises:
            InputError: the model cannot be reached, or does not answer as asked.
        """
        ...


#: Temperature of writing, where answers are to differ from each other.
WRITING = 1.0


class Writer(Protocol):
    """A language model that writes within bounds: proposals, rather than the goal of a command."""

    @property
    def name(self) -> str:
        """The back end and the model, for reports."""
        ...

    def write(
        self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int, temperature: float = WRITING
    ) -> str:
        """Continue a prompt: a line of the grammar or JSON of the schema, whichever the back end takes.

        Args:
            prompt: examples first, as plain text.
            grammar: GBNF.
            schema: JSON schema of the same.
            seed: of the draws.
            temperature: of the draws; at 0 the same is written whatever the seed.

        Raises:
            InputError: the model cannot be reached, or does not answer.
        """
        ...


def writer(name: str, model: str | None = None, base_url: str | None = None) -> Writer:
    """Build a back end that writes, by name.

    Raises:
        InputError: no back end is called that, its options do not suit it, or it only writes goals.
    """
    found: object = chat_model(name, model, base_url)
    if not hasattr(found, "write"):
        raise InputError(
            f"The planner {name!r} writes goals of commands only; embedded and openai write tasks."
        )
    return cast(Writer, found)


def backends() -> tuple[str, ...]:
    """The names of the back ends there are."""
    return tuple(dict.fromkeys([*_OURS, *(point.name for point in entry_points(group=GROUP))]))


def chat_model(name: str, model: str | None = None, base_url: str | None = None) -> ChatModel:
    """Build a back end by name.

    Raises:
        InputError: no back end is called that, or its options do not suit it.
    """
    for point in entry_points(group=GROUP):
        if point.name == name:
            theirs: type[ChatModel] = point.load()
            return theirs.from_options(model, base_url)
    if name not in _OURS:
        raise unknown("planner", name, backends())
    module, _, attribute = _OURS[name].partition(":")
    ours: type[ChatModel] = getattr(importlib.import_module(module), attribute)
    return ours.from_options(model, base_url)
