"""From a command to a goal formula.

Hazard rules come first. Then the fine-tuned model reads the command in its scene (`reader`), where there is
one. What fails its checks, what the rules know more of, and everything where there is none, goes to the
reader of rules: the words are looked up, and the language model writes the goal over letters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from planners import reader as tuned
from planners.chat import ChatModel, Completion, Prompt, describe_skills
from planners.compact import Answer, Ask, Goal, Refuse, normalised
from planners.embedded import EmbeddedModel
from planners.examples import ExampleBank, bank
from planners.goal_form import GoalForm, refusal_for
from planners.hazards import Hazards, hazards
from planners.reader import AnswerModel, Written, read, tuned_model, unfitting
from planners.reading import read_command
from planners.response_cache import Usage
from planners.soundness import parts_of
from planners.vocabulary import TURNS
from robot_skills.embedding import sentence_embedding
from robot_skills.logic import Formula, atoms
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill

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
    """Hazard rules, then the fine-tuned reader, then the reader of rules.

    To the reader of rules belongs a language model under a grammar, shown the examples most like the command.
    It first writes any goal of literals that the command's words ask for. When that goal leaves out
    a thing that was named or a clause of the command, the model chooses again, from the goals that leave out
    nothing; where there are none, the command is refused or asked back.

    Args:
        model: the back end.
        examples: the bank to show examples from; the package's own by default.
        shown: how many examples the prompt holds.
        reader: the fine-tuned model, or "rules" for none; by default the package's own, where it has one and
            `model` is its base.
        dangers: what is refused before anything is read.
        skills: the cards, which models behind a server are told of.
    """

    def __init__(
        self,
        model: ChatModel,
        examples: ExampleBank | None = None,
        shown: int = SHOWN,
        reader: AnswerModel | Literal["rules"] | None = None,
        dangers: Hazards | None = None,
        skills: Mapping[str, Skill] | None = None,
    ) -> None:
        self._skills = describe_skills(skills or {})
        self._model, self._shown, self._dangers = model, shown, dangers or hazards()
        self._examples = examples or ExampleBank(sentence_embedding(), bank())
        own = tuned_model() if isinstance(model, EmbeddedModel) and model.bundled else None
        self._reader = None if reader == "rules" else reader or own

    @property
    def usage(self) -> Usage | None:
        """What a model behind a server was asked so far; None for one in this process."""
        found = getattr(self._model, "usage", None)
        return found if isinstance(found, Usage) else None

    def propose(self, command: str, scene: SceneGraph) -> Proposal:
        """Propose a goal, refuse, or ask.

        Raises:
            InputError: the model cannot be reached.
        """
        danger = self._dangers.reason(command, scene)
        if danger is not None:
            return Proposal(None, f"I will not do that: {danger}.", proposer="hazard rules")
        if self._reader is None:
            return self._by_rules(command, scene)
        answer, written = read(self._reader, command, scene)
        if written is None:
            return self._by_rules(command, scene)
        if answer is None:
            ruled = self._by_rules(command, scene)
            barred = None if _possible(ruled.goal, scene) else unfitting(written, command, scene)
            return answered(barred, written, scene, self._reader.name) if barred else ruled
        if follows_rules(command) and falls_short(answer, command, scene):
            return self._by_rules(command, scene)
        return answered(answer, written, scene, self._reader.name)

    def _by_rules(self, command: str, scene: SceneGraph) -> Proposal:
        reading = read_command(command, scene)
        if reading.refused or reading.question:
            return Proposal(None, reading.refused, reading.question, self._model.name)
        form = GoalForm(reading, scene)
        goals = form.sound_goals()
        if not goals:
            refused, question = refusal_for(form)
            return Proposal(None, refused, question, self._model.name)
        prompt = Prompt(reading.text, self._examples.nearest(reading, self._shown)[::-1], self._skills)
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


def follows_rules(command: str) -> bool:
    """Whether a command holds no word that turns the meaning of others, which the rules do not follow."""
    return not TURNS & set(re.findall(r"[a-z']+", normalised(command)))


def falls_short(answer: Answer, command: str, scene: SceneGraph) -> bool:
    """Whether the rules know more than an answer of the model.

    They find a goal where it asks, or misses something; or one that says more than its own, of a fixture.
    What is missing somewhere ("the ball in the bowl", and it is not in there) they do not look for.
    """
    if isinstance(answer, Refuse) and " in the " in answer.about:
        return False
    reading = read_command(command, scene)
    if reading.refused or reading.question:
        return False
    form = GoalForm(reading, scene)
    goals = form.sound_goals(1 if not isinstance(answer, Goal) else SHOWN)
    if not isinstance(answer, Goal):
        return bool(goals) and (isinstance(answer, Ask) or answer.reason == "missing")
    said = set(parts_of(answer.formula()))
    more = [set(parts_of(form.expand(goal))) for goal in goals]
    return any(said < parts and all(map(_of_fixture, parts - said)) for parts in more)


def _possible(goal: Formula | None, scene: SceneGraph) -> bool:
    """Whether there is a goal, and all in it is well typed."""
    return goal is not None and all(tuned.possible(atom, scene) for atom in atoms(goal))


def _of_fixture(part: Formula) -> bool:
    return all(atom.predicate in ("open", "closed", "pressed") for atom in atoms(part))


def answered(answer: Answer, written: Written, scene: SceneGraph, name: str) -> Proposal:
    """A proposal of what a reader answered, in words."""
    goal = answer.formula() if isinstance(answer, Goal) else None
    question = tuned.question_for(answer.options, scene) if isinstance(answer, Ask) else None
    refused = None if isinstance(answer, Goal | Ask) else tuned.refusal_for(answer, scene)
    return Proposal(goal, refused, question, name, written.text, 0, written.prompt_tokens, written.tokens)
