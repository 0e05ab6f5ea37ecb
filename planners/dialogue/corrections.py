"""A goal with something else in it: "the green one", "in the bowl", "to the left", "both" after a command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from planners import vocabulary as words
from planners.answers import RefusalError, listing
from planners.dialogue.queries import InGoal, Query, conjoined, relation_to
from planners.phrases import Phrase, find_phrases, tokenise
from planners.reader import possible
from planners.references import described
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms, bind
from robot_skills.scene_graph import DIRECTIONS, Entity, SceneGraph

_CONTRAST = re.compile(
    r"not (?:the |in |on |to )?.+?(?:, but |, | but )(?P<new>.+)|(?P<old>.+?),? (?:and )?not .+"
)
_TO = words.CUE_FORMS["into"] | words.CUE_FORMS["onto"] | {"to"}


def corrected(goal: Formula, text: str, scene: SceneGraph) -> Formula | Query | None:
    """A goal after a correction.

    Args:
        goal: what was asked for before.
        text: the correction without its "no" and "I meant".
        scene: as it is now.

    Returns:
        The new goal; a question where the correction fits more than one thing; None where it is no
        correction of this goal.
    """
    contrast = _CONTRAST.fullmatch(text)
    if contrast:
        text = contrast["new"] or contrast["old"]
    tokens = tokenise(text, scene)
    ways = [words.DIRECTION_OF[token] for token in tokens if token in words.DIRECTION_OF]
    if ways and any(atom.predicate == "moved" for atom in atoms(goal)):
        return bind(goal, dict.fromkeys(DIRECTIONS, ways[-1]))
    try:
        phrases = find_phrases(tokens, scene)
    except RefusalError:
        return None
    if len(phrases) != 1:
        return None
    (phrase,) = phrases
    placed = phrase.start > 0 and bool(_TO & set(tokens[: phrase.start]))
    if not placed and not set(tokens[: phrase.start]) <= words.COURTESY | {"do", "with", "and", ","}:
        return None
    return _replaced(goal, phrase, scene, placed)


@dataclass(frozen=True)
class _Part:
    """A name in a goal: `place` where it is where something goes."""

    name: str
    place: bool


def _replaced(goal: Formula, phrase: Phrase, scene: SceneGraph, placed: bool) -> Formula | Query | None:
    for part in _parts(goal, scene, placed):
        old = scene.entity(part.name)
        kinds = [phrase.kind] if phrase.kind else [old.kind, None]
        for kind in kinds:
            fitting = [name for name in _fitting(phrase, kind, scene) if _admits(goal, part, name, scene)]
            if not fitting:
                continue
            if phrase.every or phrase.plural or phrase.number == len(fitting):
                return conjoined([_put(goal, part, name, scene) for name in fitting])
            left = [name for name in fitting if name != part.name]
            if len(left) == 1:
                return _put(goal, part, left[0], scene)
            if len(left) > 1 and not part.place:
                question = f"Which do you mean: {listing(left, 'or')}?"
                return Query(question, tuple(left), InGoal(goal, part.name))
    return None


def _parts(goal: Formula, scene: SceneGraph, placed: bool) -> Iterator[_Part]:
    """The names of a goal that may be replaced: what is handled first, unless a place is spoken of."""
    found = list(atoms(goal))
    handled = [_Part(name, False) for name in dict.fromkeys(atom.args[0] for atom in found)]
    places = [_Part(a.args[1], True) for a in found if a.predicate in ("in", "on")]
    yield from dict.fromkeys([*reversed(places)] if placed else [*handled, *places])


def _fitting(phrase: Phrase, kind: str | None, scene: SceneGraph) -> Iterator[str]:
    for entity in scene.entities:
        if kind in (None, entity.kind, entity.name) and set(phrase.adjectives) <= described(entity):
            yield entity.name


def _admits(goal: Formula, part: _Part, name: str, scene: SceneGraph) -> bool:
    if part.place:
        things = [a.args[0] for a in atoms(goal) if a.args[1:] == (part.name,)]
        return all(relation_to(thing, name, scene) for thing in things)
    changed = bind(goal, {part.name: name})
    return all(len(set(a.args)) == len(a.args) and possible(a, scene) for a in atoms(changed))


def _put(goal: Formula, part: _Part, name: str, scene: SceneGraph) -> Formula:
    """The goal with a name in another's place; what goes somewhere else goes "in" or "on" it as it fits."""
    if not part.place:
        return bind(goal, {part.name: name})
    match goal:
        case Atom(("in" | "on"), (thing, place)) if place == part.name:
            return Atom(relation_to(thing, name, scene) or goal.predicate, (thing, name))
        case Atom():
            return goal
        case Not(inner):
            return Not(_put(inner, part, name, scene))
        case And(parts):
            return And(tuple(_put(each, part, name, scene) for each in parts))
        case Or(parts):
            return Or(tuple(_put(each, part, name, scene) for each in parts))


def entity_of(text: str, scene: SceneGraph) -> Entity | None:
    """The one thing that a noun phrase means; None when it means none, or more."""
    tokens = tokenise(text, scene)
    try:
        phrases = find_phrases(tokens, scene)
    except RefusalError:
        return None
    if len(phrases) != 1 or phrases[0].end - phrases[0].start < len(tokens):
        return None
    found = [name for name in _fitting(phrases[0], phrases[0].kind, scene)]
    return scene.entity(found[0]) if len(found) == 1 else None
