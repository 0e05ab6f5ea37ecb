"""The fine-tuned reader: the model itself reads a command in its scene, under the grammar of that scene.

It translates what the words say into the language of `planners.forms`; which things that means, and whether a
condition is so, is looked up in the scene. The answer is checked before anything else sees it (`sound`): a
goal must be consistent, what it calls impossible must be so, a question must leave a choice. A refusal that
fails, or that the model is not sure of, is read again as a goal: a small model refuses what it has no words
for. Where a check fails, the reader of rules is asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from planners.answers import QuestionError, RefusalError, absent, listing
from planners.compact import (
    CANNOT,
    Answer,
    Ask,
    Goal,
    Refuse,
    describe,
    normalised,
    parse_literal,
    prompt,
    words_of,
)
from planners.embedded import bundled_weights, idle_processors, start_server
from planners.forms import resolve
from planners.forms_grammar import grammar
from planners.phrases import tokenise
from planners.references import find_references
from planners.soundness import consistent
from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Or, atoms
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

ADAPTER = Path(__file__).with_name("reader.gguf")
_CONTEXT, _MOST_TOKENS = 2048, 160
FIXTURES = ("drawer", "door", "button")
#: Longer commands than the model was tuned on are left to the rules.
LONGEST = 600
#: Refusals of less than this probability are read again as goals, but for what guards somebody.
SURE = 0.7
GUARDED = ("hazard", "injection", "forbidden")


@dataclass(frozen=True)
class Written:
    """What the model wrote, and how many tokens it read and wrote.

    Attributes:
        sure: probability of its first token, which tells a goal, a question and a refusal apart.
    """

    text: str
    prompt_tokens: int
    tokens: int
    sure: float = 1.0


class AnswerModel(Protocol):
    """Writes an answer in the language of `planners.forms`."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    def write(self, command: str, scene: SceneGraph, goal: bool = False) -> Written:
        """The answer to a command in a scene; or what goal it would be, if it had to be one."""
        ...


class TunedModel:
    """The embedded model with the adapter that `planners.finetune` made.

    Args:
        adapter: a LoRA in GGUF; None: the model as it comes, for comparison.
        threads: for llama.cpp; by default as many as there are idle processors.
    """

    def __init__(self, adapter: Path | None = ADAPTER, threads: int | None = None) -> None:
        self._adapter, self._threads = adapter, threads or idle_processors()

    @property
    def name(self) -> str:
        """The model and the adapter, for reports."""
        tuned = f" with {self._adapter.name}" if self._adapter else ""
        return f"embedded {bundled_weights().stem}{tuned}"

    @cached_property
    def _server(self) -> Any:
        return start_server(bundled_weights(), self._threads, _CONTEXT, self._adapter)

    def write(self, command: str, scene: SceneGraph, goal: bool = False) -> Written:
        """Decode greedily under the scene's grammar.

        Raises:
            InputError: llama.cpp failed, or there is no adapter.
        """
        answer = self._server.handle_completions(
            {
                "prompt": describe(scene) + prompt(command),
                "grammar": grammar(scene, command, goal),
                "n_probs": 1,
                "n_predict": _MOST_TOKENS,
                "temperature": 0.0,
                "cache_prompt": True,
            }
        )
        if "choices" not in answer:
            raise InputError(f"The embedded model failed: {answer.get('message', answer)}.")
        usage, choice = answer["usage"], answer["choices"][0]
        sure = math.exp(choice["logprobs"]["content"][0]["logprob"])
        text = str(choice["text"]).strip()
        return Written(text, usage["prompt_tokens"], usage["completion_tokens"], sure)


@cache
def tuned_model() -> TunedModel | None:
    """The reader that comes with the package, loaded once a process; None where there is no adapter."""
    return TunedModel() if ADAPTER.is_file() else None


def read(model: AnswerModel, command: str, scene: SceneGraph) -> tuple[Answer | None, Written | None]:
    """What a command asks for, and what the model wrote; no answer where the checks admit none.

    Raises:
        InputError: the model cannot be reached.
    """
    if not words_of(command) or len(normalised(command)) > LONGEST:
        return None, None
    written = model.write(command, scene)
    answer = _checked(written, command, scene)
    if _doubtful(written, answer, scene):
        again = model.write(command, scene, goal=True)
        goal = _checked(again, command, scene)
        if isinstance(goal, Goal) and not scene.holds(goal.formula()):
            return goal, again
    return answer, written


def _checked(written: Written, command: str, scene: SceneGraph) -> Answer | None:
    """What was written comes to; None where the checks do not admit it."""
    try:
        answer = settled(resolve(written.text, scene))
    except InputError:  # cut off at the most tokens, or a name that reads as an answer's marks do
        return None
    good = sound(answer, scene) and not strays(answer, command, scene) and not overlooked(answer, scene)
    return answer if good else None


def _doubtful(written: Written, answer: Answer | None, scene: SceneGraph) -> bool:
    """Whether a refusal was written that does not hold, or that the model was not sure of.

    What is called missing and is there is often refused for a wrong reason, and rightly: rules see to that.
    """
    reason, _, about = written.text.removeprefix("refuse: ").partition(" ")
    if not written.text.startswith("refuse: ") or reason in GUARDED:
        return False
    if answer is None:
        return reason == CANNOT or not overlooked(Refuse(reason, about), scene)
    return written.sure < SURE


def settled(answer: Answer) -> Answer:
    """An answer without what is only taken on the way: in the hand, and then put down or built upon."""
    if not isinstance(answer, Goal):
        return answer
    kept = []
    for number, item in enumerate(answer.literals):
        later = {
            atom
            for other in answer.literals[number + 1 :]
            if other.positive and other.predicate in ("in", "on") and not any(g.pick for g in other.groups)
            for atom in atoms(other.formula())
        }
        taken = item.groups[0].names if item.positive and item.predicate == "holding" else ()
        if not (len(taken) == 1 and any(taken[0] in atom.args for atom in later)):
            kept.append(item)
    return Goal(tuple(kept))


def unfitting(written: Written, command: str, scene: SceneGraph) -> Goal | None:
    """The goal that the model wrote, where nothing is wrong with it but that a thing does not fit somewhere.

    No plan reaches it, and the planner says why; that is a better answer than what a worse reading finds.
    """
    try:
        answer = settled(resolve(written.text, scene))
    except InputError:
        return None
    if not isinstance(answer, Goal) or strays(answer, command, scene) or not _consistent(answer.formula()):
        return None
    barred = [atom for atom in atoms(answer.formula()) if not possible(atom, scene)]
    return answer if barred and all(_sensible(atom, scene) for atom in barred) else None


def _sensible(atom: Atom, scene: SceneGraph) -> bool:
    """Whether something that can be grasped is to be in a container, or on what carries things."""
    if atom.predicate not in ("in", "on") or atom.args[0] == atom.args[1]:
        return False
    thing, place = map(scene.entity, atom.args)
    carries = "container" if atom.predicate == "in" else "support"
    return "graspable" in thing.tags and carries in place.tags


def overlooked(answer: Answer, scene: SceneGraph) -> bool:
    """Whether an answer calls missing what is there by its words alone: "two of the blocks", "the cube"."""
    if not isinstance(answer, Refuse) or answer.reason != "missing":
        return False
    tokens = tokenise(answer.about, scene)
    try:
        found = find_references(tokens, scene)
    except QuestionError as question:  # several fit
        return question.span == (0, len(tokens))
    except RefusalError:
        return False
    return len(found) == 1 and (found[0].start, found[0].end) == (0, len(tokens))


def strays(answer: Answer, command: str, scene: SceneGraph) -> bool:
    """Whether a goal is about one fixture where the command names another, which is not there."""
    if not isinstance(answer, Goal):
        return False
    said = words_of(command)
    missing = {*FIXTURES} & {*said} - {entity.kind for entity in scene.entities}
    about = {name for atom in atoms(answer.formula()) for name in atom.args}
    turned_to = {each.kind for each in scene.entities if each.name in about} & {*FIXTURES} - {*said}
    return bool(missing and turned_to)


def sound(answer: Answer, scene: SceneGraph) -> bool:
    """Whether an answer can be right: what can be told of it without reading the command."""
    match answer:
        case Goal(literals):
            whole = all(possible(atom, scene) for item in literals for atom in atoms(item.formula()))
            return whole and _consistent(answer.formula())
        case Ask(options):
            return len(set(options)) == len(options) > 1
        case Refuse(reason, about) if reason == CANNOT:
            return not all(possible(atom, scene) for atom in atoms(parse_literal(about).formula()))
    return True


def _consistent(goal: Formula) -> bool:
    if isinstance(goal, And):
        certain = tuple(part for part in goal.parts if not isinstance(part, And | Or))
        return consistent(And(certain)) and len(set(goal.parts)) == len(goal.parts)
    return True


def possible(atom: Atom, scene: SceneGraph) -> bool:
    """Whether an atom is well typed: the static rules of the world allow it. Names are the scene's."""
    match atom.predicate, atom.args:
        case (("in" | "on"), (thing, place)):
            return Atom("fits", (thing, atom.predicate, place)) in scene.facts
        case _, (thing, *_):
            tag = {
                "holding": "graspable", "open": "openable", "closed": "openable", "pressed": "pressable",
                "moved": "pushable",
            }  # fmt: skip
            return tag.get(atom.predicate, "") in scene.entity(thing).tags
    return False


def question_for(options: Sequence[str], scene: SceneGraph) -> str:
    """A question with its options, in words."""
    if set(options) <= set(DIRECTIONS):
        return f"Which way should it go: {listing(options, 'or')}?"
    if "table" in options and not any("graspable" in scene.entity(name).tags for name in options):
        return f"Where should it go: {listing(options, 'or')}?"
    return f"Which do you mean: {listing(options, 'or')}?"


def refusal_for(refusal: Refuse, scene: SceneGraph) -> str:
    """Why not, in words, with the names of what it is about."""
    about = refusal.about
    match refusal.reason:
        case "missing":
            return absent(scene, about)
        case "place":
            return f"I know no place {about!r}; I put things in containers and on supports."
        case "skill":
            return f"No skill of mine can {about!r}; I pick, place, push, open, close and press."
        case "forbidden":
            return "That says only what not to do, so I leave everything as it is."
        case "hazard":
            return "I will not do that: somebody or something could come to harm."
        case "injection":
            return "I take commands about the things in this scene, and nothing that changes how I work."
        case "chat":
            return "That is no command; I move things, open and close, push and press."
    return _impossible(about, scene)


_VERBS = {"holding": "hold", "open": "open", "closed": "close", "pressed": "press", "moved": "push"}


def _impossible(about: str, scene: SceneGraph) -> str:
    predicate, _, inside = about.rstrip(")").partition("(")
    thing, *place = inside.split(", ")
    match predicate:
        case "in" | "on" if thing == place[0]:
            return f"The {thing} cannot be {predicate} itself."
        case "in" | "on":
            fits = {"in": "container", "on": "support"}[predicate] in scene.entity(place[0]).tags
            if fits or "graspable" not in scene.entity(thing).tags:
                return f"The {thing} does not go {predicate} the {place[0]}."
            return f"Nothing can {'lie' if predicate == 'in' else 'stand'} {predicate} the {place[0]}."
    return f"I cannot {_VERBS[predicate]} the {thing}."
