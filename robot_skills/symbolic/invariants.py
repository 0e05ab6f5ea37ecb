"""Sets of fluents of which at most one is ever true: a thing is in one place, a hand holds one thing.

They are not told but proved, from the actions, by induction over a plan's length. A goal that asks for two of
such a set is impossible, which is seen here at once where a search would have to look at every state.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from robot_skills.logic import And, Atom, Formula
from robot_skills.symbolic.model import GroundModel


def exclusive_pair(goal: Formula, model: GroundModel) -> tuple[Atom, Atom] | None:
    """Two atoms of a conjunction that are never true together; None when no set is known that holds two."""
    wanted = [part for part in goal.parts if isinstance(part, Atom)] if isinstance(goal, And) else []
    wanted = [atom for atom in wanted if atom in model.index]
    for one, other in itertools.combinations(wanted, 2):
        if any(_at_most_one(group, model) for group in _groups(one, other, model.fluents)):
            return one, other
    return None


def _groups(one: Atom, other: Atom, fluents: Sequence[Atom]) -> Iterator[int]:
    """Candidate sets that hold both atoms, as masks: of one predicate, or about one thing."""
    if one.predicate == other.predicate:
        yield _mask(fluents, lambda atom: atom.predicate == one.predicate)
    if one.args[:1] == other.args[:1]:
        about = {atom.predicate for atom in fluents if atom.args[:1] == one.args[:1]}
        both = {one.predicate, other.predicate}
        for count in range(len(about - both), -1, -1):
            for more in itertools.combinations(sorted(about - both), count):
                yield _about(one.args[0], both | set(more), fluents)


def _about(thing: str, predicates: set[str], fluents: Sequence[Atom]) -> int:
    return _mask(fluents, lambda atom: atom.args[:1] == (thing,) and atom.predicate in predicates)


def _mask(fluents: Sequence[Atom], belongs: Callable[[Atom], bool]) -> int:
    return sum(1 << number for number, atom in enumerate(fluents) if belongs(atom))


def _at_most_one(group: int, model: GroundModel) -> bool:
    """Whether one at most holds at first, and no action that finds one at most leaves more."""
    if (model.initial & group).bit_count() > 1:
        return False
    for action in model.actions:
        added = action.touched[0] & group
        if not added:
            continue
        # What else of the group may still be true afterwards: nothing, if the action needs a member and
        # takes it away, since that was then the only one. Of what comes about under a condition, additions
        # are counted as though they always did, deletions as though they never did.
        moves = action.condition.needs & action.deletes & group
        left = 0 if moves else group & ~added & ~action.deletes & ~action.condition.forbids
        if added.bit_count() > 1 or left:
            return False
    return True


def exclusive_sets(model: GroundModel) -> tuple[int, ...]:
    """Masks of fluents of which at most one is ever true: what the hand holds, and where each thing is."""
    things = dict.fromkeys(atom.args[0] for atom in model.fluents if atom.predicate == "holding")
    places = {"holding", "in", "on"}
    held = _mask(model.fluents, lambda atom: atom.predicate == "holding")
    groups = (held, *(_about(thing, places, model.fluents) for thing in things))
    return tuple(group for group in groups if _at_most_one(group, model))
