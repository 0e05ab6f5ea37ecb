"""Skill cards grounded in a scene, compiled to bit masks so that a search can be fast.

A state is one integer: bit i says whether fluent i is true. Every ground call whose conditions are not
false for good becomes an `Action`; the derived predicates of `robot_skills.scene_graph` are written out
in terms of fluents. The verifier does not use this module: it replays plans on the cards themselves.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms, bind
from robot_skills.scene_graph import SceneGraph, matches
from robot_skills.skill import Skill, SkillCall

TRUE = And(())
FALSE = Or(())
_MOST_CLAUSES = 256


@dataclass(frozen=True)
class Condition:
    """A conjunction: bits that must be set, bits that must not, and clauses of which one literal must hold.

    Attributes:
        needs: mask of fluents that must be true.
        forbids: mask of fluents that must be false.
        clauses: (true, false) mask pairs; each asks that a fluent of the first is true or one of the
            second is false.
    """

    needs: int = 0
    forbids: int = 0
    clauses: tuple[tuple[int, int], ...] = ()

    def holds(self, state: int) -> bool:
        """Whether the state satisfies the condition."""
        return (
            state & self.needs == self.needs
            and not state & self.forbids
            and all(state & yes or ~state & no for yes, no in self.clauses)
        )

    @property
    def mentioned(self) -> tuple[int, int]:
        """Masks of the fluents that it asks for: (unnegated, negated)."""
        true, false = self.needs, self.forbids
        for yes, no in self.clauses:
            true, false = true | yes, false | no
        return true, false

    def denials(self) -> Iterator[Condition]:
        """The ways in which it does not hold: one of these does where it does not."""
        yield from (Condition(forbids=bit) for bit in bits_of(self.needs))
        yield from (Condition(needs=bit) for bit in bits_of(self.forbids))
        yield from (Condition(needs=no, forbids=yes) for yes, no in self.clauses)

    def joined(self, other: Condition) -> Condition:
        """Both at once."""
        clauses = tuple(dict.fromkeys(self.clauses + other.clauses))
        return Condition(self.needs | other.needs, self.forbids | other.forbids, clauses)


@dataclass(frozen=True)
class Change:
    """What an action does where a condition holds: `state & ~deletes | adds` comes after it."""

    condition: Condition
    adds: int
    deletes: int


@dataclass(frozen=True)
class Action:
    """A ground skill call, as masks: `state & ~deletes | adds` comes after it.

    Attributes:
        condition: when it can be made.
        adds, deletes: what always changes.
        when: what changes too where more holds before; every deletion comes before every addition.
        cost: what it costs to make the call.
    """

    call: SkillCall
    condition: Condition
    adds: int
    deletes: int
    when: tuple[Change, ...] = ()
    cost: float = 1.0

    def after(self, state: int) -> int:
        """The state that the effects promise."""
        adds, deletes = self.adds, self.deletes
        for change in self.when:
            if change.condition.holds(state):
                adds, deletes = adds | change.adds, deletes | change.deletes
        return state & ~deletes | adds

    @property
    def touched(self) -> tuple[int, int]:
        """Masks of all that it may make true, and of all that it may make false."""
        adds, deletes = self.adds, self.deletes
        for change in self.when:
            adds, deletes = adds | change.adds, deletes | change.deletes
        return adds, deletes

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that the action may do, each with what must hold before."""
        own = self.condition
        return (
            Change(own, self.adds, self.deletes),
            *(Change(own.joined(each.condition), each.adds, each.deletes) for each in self.when),
        )


@dataclass(frozen=True)
class GroundModel:
    """A scene and a skill library as a finite transition system.

    Attributes:
        fluents: what bit i stands for.
        initial: the scene as a state.
        actions: every call that could ever be made, those that name the table first.
        scene: the scene it was made from.
    """

    fluents: tuple[Atom, ...]
    initial: int
    actions: tuple[Action, ...]
    scene: SceneGraph
    index: Mapping[Atom, int]

    def reduce(self, formula: Formula) -> Formula:
        """The formula over fluents alone: derived predicates written out, constants folded."""
        return _reduce(formula, _Vocabulary(self.index, self.scene))

    def relevant(self, goal: Formula) -> tuple[Action, ...]:
        """The actions that can help towards a reduced goal.

        An action that makes no literal true that the goal or a helping action asks for can be left out
        of any plan, so leaving it out of the search loses none.
        """
        true, false = literals(goal, self.index)
        chosen: set[int] = set()
        grown = True
        while grown:
            grown = False
            for number, action in enumerate(self.actions):
                adds, deletes = action.touched
                if number in chosen or not (adds & true or deletes & false):
                    continue
                chosen.add(number)
                grown = True
                more_true, more_false = action.condition.mentioned
                true, false = true | more_true, false | more_false
                for change in action.when:  # to bring it about, or to keep it from happening
                    both = operator.or_(*change.condition.mentioned)
                    true, false = true | both, false | both
        return tuple(self.actions[number] for number in sorted(chosen))


def same_for_all(call: SkillCall) -> float:
    """The cost of a call where nothing is known of what it costs: one."""
    return 1.0


def ground(
    skills: Mapping[str, Skill], scene: SceneGraph, cost: Callable[[SkillCall], float] = same_for_all
) -> GroundModel:
    """Compile the skills for a scene.

    Args:
        skills: the cards.
        scene: what there is and what is so.
        cost: what making a call costs, more than 0; plans of little cost are looked for.

    Raises:
        InputError: a card's condition is too entangled to compile (over 256 clauses), or a cost is not a
            positive number.
    """
    calls = [(skill, call) for skill in skills.values() for call in skill.groundings(scene)]
    # Of plans that cost the same the search finds the one whose actions come first: what is in the way goes
    # to the table, from where it can be picked up again, rather than into a bowl.
    wide = {entity.name for entity in scene.entities if entity.kind == "table"}
    calls.sort(key=lambda pair: wide.isdisjoint(pair[1].args.values()))
    fluents = _fluents(scene, (effect for skill, call in calls for effect in skill.possible_changes(call)))
    index = {atom: number for number, atom in enumerate(fluents)}
    compiler = _Compiler(fluents, index, _Vocabulary(index, scene))
    actions = tuple(compiler.actions(calls, cost))
    initial = sum(1 << number for number, atom in enumerate(fluents) if atom in scene.facts)
    return GroundModel(fluents, initial, actions, scene, index)


@dataclass(frozen=True)
class _Compiler:
    fluents: tuple[Atom, ...]
    index: Mapping[Atom, int]
    vocabulary: _Vocabulary

    def actions(
        self, calls: Iterable[tuple[Skill, SkillCall]], cost: Callable[[SkillCall], float]
    ) -> Iterator[Action]:
        """The calls that could ever be made."""
        for skill, call in calls:
            condition = self.condition(bind(part, call.args) for part in skill.preconditions)
            if condition is None:
                continue
            price = cost(call)
            if not (math.isfinite(price) and price > 0):
                raise InputError(f"The cost of {call} is {price}; a cost is a number above 0.")
            adds, deletes = self.changes(bind(effect, call.args) for effect in skill.effects)
            yield Action(call, condition, adds, deletes, tuple(self.conditional(skill, call)), price)

    def conditional(self, skill: Skill, call: SkillCall) -> Iterator[Change]:
        """The conditional effects whose condition may hold."""
        for each in skill.when:
            condition = self.condition([bind(each.condition, call.args)])
            if condition is not None:
                yield Change(condition, *self.changes(bind(effect, call.args) for effect in each.effects))

    def condition(self, parts: Iterable[Formula]) -> Condition | None:
        """The conjunction of formulas; None when it can never hold."""
        return _condition(_reduce(And(tuple(parts)), self.vocabulary), self.index)

    def changes(self, effects: Iterable[Formula]) -> tuple[int, int]:
        """Ground effects as (adds, deletes)."""
        adds = deletes = 0
        for effect in effects:
            if isinstance(effect, Atom):
                adds |= 1 << self.index[effect]
            elif isinstance(effect, Not) and isinstance(effect.part, Atom):
                for number, atom in enumerate(self.fluents):
                    deletes |= matches(effect.part, atom) << number
        return adds, deletes & ~adds


def literals(formula: Formula, index: Mapping[Atom, int]) -> tuple[int, int]:
    """Masks of the fluents that a reduced formula mentions: (unnegated, negated)."""
    match formula:
        case Atom():
            return 1 << index[formula], 0
        case Not(part) if isinstance(part, Atom):
            return 0, 1 << index[part]
        case And(parts) | Or(parts):
            masks = [literals(part, index) for part in parts]
            yes = no = 0
            for more_yes, more_no in masks:
                yes, no = yes | more_yes, no | more_no
            return yes, no
    raise AssertionError(f"not reduced: {formula}")


@dataclass(frozen=True)
class _Vocabulary:
    index: Mapping[Atom, int]
    scene: SceneGraph

    def about(self, predicate: str, place: int, name: str) -> list[Atom]:
        """Fluents of a predicate that have the name at a place."""
        return [
            atom
            for atom in self.index
            if atom.predicate == predicate and atom.args[place : place + 1] == (name,)
        ]

    def written_out(self, atom: Atom) -> Formula:
        """An atom in terms of fluents, by the definitions in `robot_skills.scene_graph`."""
        match atom.predicate, atom.args:
            case "hand_empty", ():
                return none_of(fluent for fluent in self.index if fluent.predicate == "holding")
            case "clear", (thing,):
                return none_of(self.about("on", 1, thing))
            case "contained", (thing,):
                return Or(tuple(self.about("in", 0, thing)))
            case "accessible", (thing,):
                inside = self.about("in", 0, thing)
                reachable = tuple(Or((Not(fact), self.not_shut(fact.args[1]))) for fact in inside)
                return And((none_of(self.about("on", 1, thing)), *reachable))
            case "free", (thing,):
                wide = self.scene.entity(thing).kind == "table"
                empty = TRUE if wide else none_of(self.about("on", 1, thing))
                return And((self.not_shut(thing), empty))
            case "closed", (thing,):
                return And((Not(self.not_shut(thing)), Not(Atom("ajar", (thing,)))))
            case "different", names:
                return TRUE if len(set(names)) == len(names) else FALSE
            case _:
                return atom

    def not_shut(self, thing: str) -> Formula:
        return Atom("open", (thing,)) if "openable" in self.scene.entity(thing).tags else TRUE


def bits_of(mask: int) -> Iterator[int]:
    """Each bit that is set, as a mask of its own, the lowest first."""
    while mask:
        low = mask & -mask
        yield low
        mask ^= low


def none_of(facts: Iterable[Atom]) -> Formula:
    """The conjunction of the negations."""
    return And(tuple(Not(fact) for fact in facts))


def _fluents(scene: SceneGraph, effects: Iterable[Formula]) -> tuple[Atom, ...]:
    """What may change: facts of the scene whose predicate some effect has, and what effects add."""
    effects = tuple(dict.fromkeys(effects))
    changing = {atom.predicate for effect in effects for atom in atoms(effect)}
    found = dict.fromkeys(sorted(fact for fact in scene.facts if fact.predicate in changing))
    return tuple(found | dict.fromkeys(effect for effect in effects if isinstance(effect, Atom)))


def _reduce(formula: Formula, words: _Vocabulary, negated: bool = False) -> Formula:
    """Negation normal form over fluents, with constants folded."""
    match formula:
        case Atom():
            expanded = words.written_out(formula)
            if expanded != formula:
                return _reduce(expanded, words, negated)
            if formula in words.index:
                return Not(formula) if negated else formula
            return TRUE if (formula in words.scene.facts) != negated else FALSE
        case Not(part):
            return _reduce(part, words, not negated)
        case And(parts) | Or(parts):
            reduced = [_reduce(part, words, negated) for part in parts]
            return _join(reduced, conjunction=isinstance(formula, And) != negated)


def _join(parts: Sequence[Formula], conjunction: bool) -> Formula:
    kind, neutral, absorbing = (And, TRUE, FALSE) if conjunction else (Or, FALSE, TRUE)
    flat: list[Formula] = []
    for part in parts:
        if part == absorbing:
            return absorbing
        flat.extend(part.parts if isinstance(part, kind) else [part])
    flat = [part for part in dict.fromkeys(flat) if part != neutral]
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _condition(formula: Formula, index: Mapping[Atom, int]) -> Condition | None:
    """A reduced formula as a condition; None when it can never hold."""
    needs = forbids = 0
    clauses = []
    for yes, no in _clauses(formula, index):
        if not (yes or no):
            return None
        if yes & no:
            continue
        if yes.bit_count() + no.bit_count() == 1:
            needs, forbids = needs | yes, forbids | no
        else:
            clauses.append((yes, no))
    return None if needs & forbids else Condition(needs, forbids, tuple(dict.fromkeys(clauses)))


def _clauses(formula: Formula, index: Mapping[Atom, int]) -> list[tuple[int, int]]:
    """Conjunctive normal form of a reduced formula, as (true, false) mask pairs."""
    match formula:
        case Atom():
            return [(1 << index[formula], 0)]
        case Not(part) if isinstance(part, Atom):
            return [(0, 1 << index[part])]
        case And(parts):
            return [clause for part in parts for clause in _clauses(part, index)]
        case Or(parts):
            choices = [_clauses(part, index) for part in parts]
            combined = [(0, 0)]
            for more in choices:
                combined = [(a | c, b | d) for (a, b), (c, d) in itertools.product(combined, more)]
                if len(combined) > _MOST_CLAUSES:
                    raise InputError(f"A skill's condition is too entangled to plan with: {formula}.")
            return combined
    raise AssertionError(f"not reduced: {formula}")
