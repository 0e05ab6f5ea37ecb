"""From a command to a goal formula: the words are looked up, the language model writes the goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from planners.chat import ChatModel, Completion, Prompt
from planners.examples import ExampleBank, bank
from planners.goal_form import GoalForm, refusal_for
from planners.reading import read_command
from robot_skills.embedding import sentence_embedding
from robot_skills.logic import Formula
from robot_skills.scene_graph import SceneGraph

SHOWN = 8


@dataclass(frozen=True)
class Proposal:
    """A goal, or why there is none.

    Attributes:
        goal: over the scene's names; None with a refusal or a question.
        refused: why the command cannot be a goal.
        question: what has to be asked first.
        proposer: what proposed it, for reports.
        first: what the model wrote unaided by the soundness checks; None when it was not asked.
        choices: how many goals were left to choose from when the first would not do; 0 when it did.
        prompt_tokens: how many tokens the model read.
        tokens: how many it wrote.
    """

    goal: Formula | None
    refused: str | None = None
    question: str | None = None
    proposer: str = ""
    first: str | None = None
    choices: int = 0
    prompt_tokens: int = 0
    tokens: int = 0


class GoalProposer(Protocol):
    """Turns a command into a goal for a scene."""

    def propose(self, command: str, scene: SceneGraph) -> Proposal:
        """Propose a goal, refuse, or ask."""
        ...


class LanguageModelProposer:
    """A language model under a grammar, shown the examples most like the command.

    The model first writes any goal of literals that the command's words ask for. When that goal leaves out
    a thing that was named or a clause of the command, the model chooses again, from the goals that leave out
    nothing; where there are none, the command is refused or asked back.

    Args:
        model: the back end.
        examples: the bank to show examples from; the package's own by default.
        shown: how many examples the prompt holds.
    """

    def __init__(self, model: ChatModel, examples: ExampleBank | None = None, shown: int = SHOWN) -> None:
        self._model, self._shown = model, shown
        self._examples = examples or ExampleBank(sentence_embedding(), bank())

    def propose(self, command: str, scene: SceneGraph) -> Proposal:
        """Propose a goal, refuse, or ask.

        Raises:
            InputError: the model cannot be reached.
        """
        reading = read_command(command, scene)
        if reading.refused or reading.question:
            return Proposal(None, reading.refused, reading.question, self._model.name)
        form = GoalForm(reading, scene)
        goals = form.sound_goals()
        if not goals:
            refused, question = refusal_for(form)
            return Proposal(None, refused, question, self._model.name)
        prompt = Prompt(reading.text, self._examples.nearest(reading, self._shown)[::-1])
        first = self._model.complete(prompt, form)
        if first.goal is not None and form.sound(first.goal):
            return self._proposal(form.expand(first.goal), first.text, [first])
        if len(goals) == 1:
            return self._proposal(form.expand(goals[0]), first.text, [first], 1)
        again = self._model.complete(prompt, form, goals)
        assert again.goal is not None, "the model chose from a list of goals"
        return self._proposal(form.expand(again.goal), first.text, [first, again], len(goals))

    def _proposal(
        self, goal: Formula, first: str, completions: Sequence[Completion], choices: int = 0
    ) -> Proposal:
        return Proposal(
            goal,
            proposer=self._model.name,
            first=first,
            choices=choices,
            prompt_tokens=sum(each.prompt_tokens for each in completions),
            tokens=sum(each.tokens for each in completions),
        )
