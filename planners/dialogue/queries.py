"""Questions that a command leaves open, and answers to them: "the red one", "both", "2", "the left one"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from planners import vocabulary as words
from planners.answers import QuestionError, RefusalError, listing
from planners.compact import Ask
from planners.dialogue.interjections import plain
from planners.forms import resolve
from planners.goal_form import unsaid
from planners.phrases import find_phrases, tokenise
from planners.proposer import Proposal
from planners.reading import read_command
from planners.references import described, find_references
from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, bind
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

#: Where things stand, x forward and y left as the robot sees it, in metres.
Positions: TypeAlias = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class InWords:
    """A command with a gap: the answer's words go between `before` and `after`."""

    before: str
    after: str = ""


@dataclass(frozen=True)
class InGoal:
    """A goal in which the answer takes the place of a name."""

    goal: Formula
    name: str


@dataclass(frozen=True)
class Query:
    """A question to the person.

    Attributes:
        text: the question.
        options: what could be meant: names of things, of places, or directions.
        gap: where the answer belongs.
        about: what is asked for: "thing", "place" or "direction".
        many: how many things it must be; 0 for one or several.
    """

    text: str
    options: tuple[str, ...]
    gap: InWords | InGoal
    about: str = "thing"
    many: int = 0


class Decline(Exception):  # noqa: N818  (it is an answer, not an error)
    """The person wants none of the options: the command is dropped."""


def query(command: str, scene: SceneGraph, question: str, proposal: Proposal | None) -> Query | None:
    """What a planner's question leaves open, and where; None when that cannot be told.

    Args:
        command: as it was planned.
        scene: that it was planned for.
        question: as the planner put it.
        proposal: of the planner; a fine-tuned reader's holds its options.
    """
    tokens = tokenise(command, scene)
    try:
        find_references(tokens, scene)
    except RefusalError:
        return None
    except QuestionError as error:
        if not error.options:
            return None
        start, end = error.span
        gap = InWords(" ".join(tokens[:start]), " ".join(tokens[end:]))
        many = next((words.NUMBERS[token] for token in tokens[start:end] if token in words.NUMBERS), 0)
        return Query(question, error.options, gap, many=many)
    options = _written(proposal, scene)
    lacking, going = unsaid(read_command(command, scene))
    if lacking == "direction" or (options and set(options) <= set(DIRECTIONS)):
        return Query(question, options or DIRECTIONS, InWords(" ".join(tokens)), "direction")
    if lacking == "place":
        places = options or tuple(_places(going, scene))
        return Query(question, places, InWords(" ".join(tokens)), "place") if places else None
    return _phrase_gap(question, options, tokens, scene)


def _written(proposal: Proposal | None, scene: SceneGraph) -> tuple[str, ...]:
    """The options of what a fine-tuned reader wrote."""
    try:
        answer = resolve(proposal.first, scene) if proposal and proposal.first else None
    except InputError:
        return ()
    return answer.options if isinstance(answer, Ask) else ()


def _places(things: Sequence[str], scene: SceneGraph) -> list[str]:
    """Where all of the things can go, the table last."""
    fitting = [
        entity.name
        for entity in scene.entities
        if all(relation_to(thing, entity.name, scene) for thing in things)
    ]
    return sorted(fitting, key=lambda name: scene.entity(name).kind == "table")


def relation_to(thing: str, place: str, scene: SceneGraph) -> str | None:
    """How the thing fits the place, "in" or "on"; None when it does not."""
    fits = (each for each in ("in", "on") if Atom("fits", (thing, each, place)) in scene.facts)
    return next(fits, None)


def _phrase_gap(question: str, options: Sequence[str], tokens: list[str], scene: SceneGraph) -> Query | None:
    """The phrase that all of a reader's options fit."""
    named = {name for name in options if any(name == each.name for each in scene.entities)}
    if not named:
        return None
    for phrase in find_phrases(tokens, scene):
        fitting = {e.name for e in scene.entities if phrase.kind in (e.kind, e.name, None)}
        if named <= fitting and not phrase.found:
            gap = InWords(" ".join(tokens[: phrase.start]), " ".join(tokens[phrase.end :]))
            return Query(question, tuple(options), gap)
    return None


_OF_THEM = "(?: of (?:them|these|those|the two))?"
_DECLINED = re.compile(
    "(?:no|none|neither|nothing|never ?mind|forget (?:it|that)|cancel|stop|leave it|not any)"
    f"{_OF_THEM}(?: please)?"
)
_ANY = re.compile(
    "(?:any|either|whichever|whatever|you (?:choose|decide|pick)|up to you|surprise me"
    "|(?:it )?does(?:n't| not) matter|i (?:don't|do not) (?:care|mind))"
    f"(?: one)?{_OF_THEM}(?: will do| is fine| works)?(?: please)?"
)
_ALL = re.compile(
    r"(?:both|all|everything|the lot|each)(?: of)?(?: (?:them|these|those|it|the \w+))?(?: please)?"
)
_ORDINALS = {
    word: number
    for line in (
        "first second third fourth fifth sixth seventh eighth",
        "1st 2nd 3rd 4th 5th 6th 7th 8th",
        "one two three four five six seven eight",
        "1 2 3 4 5 6 7 8 9 10 11 12",
    )
    for number, word in enumerate(line.split(), start=1)
}
_SIDES = {"left": (1, max), "leftmost": (1, max), "right": (1, min), "rightmost": (1, min),
          "far": (0, max), "farthest": (0, max), "furthest": (0, max), "back": (0, max),
          "near": (0, min), "nearest": (0, min), "closest": (0, min), "front": (0, min)}  # fmt: skip
_FILLERS = words.word_set(
    """
    the a an that this one ones thing things object on in into onto to at of it is with please i mean meant
    want you should go put take pick i'd like let's say number option uh um er well yes yeah ok okay just side
    hand more and
    """
)


def answered(line: str, asked: Query, scene: SceneGraph, positions: Positions | None) -> tuple[str, ...]:
    """Which of the options an answer means; one, several, or none when it is no answer.

    Raises:
        Decline: none of them is wanted.
    """
    text = plain(line)
    if _DECLINED.fullmatch(text):
        raise Decline
    if _ANY.fullmatch(text):
        return asked.options[: asked.many or 1]
    if asked.about == "thing" and _ALL.fullmatch(text) and (len(asked.options) == 2 or "both" not in text):
        return asked.options if asked.many in (0, len(asked.options)) else ()
    if asked.about == "direction":
        said = {words.DIRECTION_OF.get(token, token) for token in text.split()}
        return tuple(option for option in asked.options if option in said)
    denied = re.fullmatch(r"not (?:the |in the |on the )?(.+)", text)
    if denied:
        gone = _meant(denied[1], asked, scene, positions)
        left = tuple(option for option in asked.options if option not in gone)
        return left if gone and len(left) == max(1, asked.many) else ()
    parts = re.split(r",? and |, ", text) if asked.about == "thing" else [text]
    found = [_meant(part, asked, scene, positions) for part in parts]
    if any(len(each) != 1 for each in found):
        return ()
    chosen = tuple(dict.fromkeys(name for each in found for name in each))
    return chosen if asked.many in (0, len(chosen)) else ()


def _meant(text: str, asked: Query, scene: SceneGraph, positions: Positions | None) -> tuple[str, ...]:
    """The options that a part of an answer fits."""
    tokens = [words.corrected(token, _own(asked.options)) for token in text.split()]
    content = [token for token in tokens if token not in _FILLERS]
    if not content:
        content = [token for token in tokens if token in ("one",) and len(tokens) == 1]
    if len(content) == 1 and (place := _ordinal(content[0], len(asked.options))) is not None:
        return asked.options[place : place + 1]
    if not content:
        return ()
    sides = [token for token in content if token in _SIDES]
    rest = [token for token in content if token not in _SIDES]
    fitting = tuple(option for option in asked.options if _fits(rest, option, scene))
    if len(fitting) < 2 or not sides:
        return fitting if not sides or rest else ()
    if positions is None or any(option not in positions for option in fitting):
        return ()
    axis, most = _SIDES[sides[0]]
    return (most(fitting, key=lambda option: positions[option][axis]),)


def _own(options: Sequence[str]) -> frozenset[str]:
    return frozenset(word for option in options for word in option.lower().split())


def _ordinal(token: str, count: int) -> int | None:
    if token == "last":
        return count - 1
    number = _ORDINALS.get(token, 0)
    return number - 1 if 1 <= number <= count else None


def _fits(tokens: Sequence[str], option: str, scene: SceneGraph) -> bool:
    entity = scene.entity(option)
    known = described(entity) | {entity.kind}
    return all(words.ADJECTIVE_OF.get(t, words.KIND_OF.get(t, t)) in known for t in tokens)


def completed(asked: Query, chosen: Sequence[str], scene: SceneGraph) -> str | Formula | None:
    """The command in words, or the goal, with the answer in its gap; None when no words say it safely."""
    if isinstance(asked.gap, InGoal):
        return conjoined([bind(asked.gap.goal, {asked.gap.name: name}) for name in chosen])
    if asked.about == "direction":
        said = chosen[0]
    else:
        if not all(readable(name, scene) for name in chosen):
            return None
        said = listing([f"the {name}" for name in chosen])
        if asked.about == "place":
            said = f"{'in' if 'container' in scene.entity(chosen[0]).tags else 'on'} {said}"
    return " ".join(filter(None, (asked.gap.before, said, asked.gap.after)))


def conjoined(goals: Sequence[Formula]) -> Formula:
    """All of some goals, flat; each part once."""
    parts = [part for goal in goals for part in (goal.parts if isinstance(goal, And) else (goal,))]
    parts = list(dict.fromkeys(parts))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def readable(name: str, scene: SceneGraph) -> bool:
    """Whether "the NAME" means this thing and says nothing besides: a name may hold any words at all."""
    tokens = tokenise(f"the {name}", scene)
    try:
        phrases = find_references(tokens, scene)
    except (RefusalError, QuestionError):
        return False
    whole = len(phrases) == 1 and phrases[0].start == 0 and phrases[0].end == len(tokens)
    return whole and [entity.name for entity in phrases[0].found] == [name]
