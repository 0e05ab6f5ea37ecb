"""What the words of a command ask for: the check that a proposed goal says no less and no more.

The reduced command is cut into clauses: "open drawer | put A in it | close it". A clause asks for a literal
when it names the thing, or a pronoun may stand for it, and holds the verb, the relation or the direction.
A later clause about the same thing takes back an earlier one: what was opened and closed is closed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from planners import vocabulary as words
from planners.reading import Reading, Thing
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms

_BREAKS = frozenset({",", "and", "then", "but", "before", "after", "once", "while", "when"})
_INTO = ("in", "into", "inside", "within", "to")
_ONTO = ("on", "onto", "upon", "atop", "over", "top of")
_RELATIONS = frozenset(_INTO) | frozenset(_ONTO) | {"top of", "of"}
_ORIGINS = frozenset({"off", "from", "out of", "off of"})
_PRONOUNS = frozenset({"it", "them", "there", "here"})
_CARRYING = words.forms(["move", "transfer", "bring", "take", "shift"])
_LOWERING = words.CUE_FORMS["put"] | words.CUE_FORMS["hold"] | words.forms(["move", "lower"])
_SWITCHING = words.forms(["turn", "switch"])
_FILLING = words.forms(["fill", "load"])
#: Every verb that asks for something.
VERBS = frozenset().union(
    *(
        words.CUE_FORMS[family]
        for family in ("open", "close", "press", "hold", "move", "put", "stack", "down")
    )
) | words.forms(["remove", "empty", "lower"])
#: Literals of one family are about the same side of a thing: it is in one place, and open or closed.
_FAMILY = {
    "in": "place", "on": "place", "holding": "place", "stacked": "place", "open": "door", "closed": "door",
}  # fmt: skip


def parts_of(goal: Formula) -> tuple[Formula, ...]:
    """The parts of a conjunction or disjunction, or the formula alone."""
    return goal.parts if isinstance(goal, And | Or) else (goal,)


@dataclass(frozen=True)
class Clause:
    """A stretch of a command with one verb.

    Attributes:
        tokens: its words.
        verbs: its verbs, or those of the clause before when it has none: "put A in B and C in D".
        before: the labels that earlier clauses name, which its pronouns may stand for.
        labels: the labels of the command.
    """

    tokens: tuple[str, ...]
    verbs: frozenset[str]
    before: frozenset[str]
    labels: frozenset[str]

    @cached_property
    def named(self) -> frozenset[str]:
        """The labels in the clause."""
        return self.labels & set(self.tokens)

    @cached_property
    def subjects(self) -> frozenset[str]:
        """The labels that the clause is about: not where something goes to or comes from."""
        own = {token for place, token in enumerate(self.tokens) if token in self.labels and self._free(place)}
        loose = any(token in ("it", "them") and self._free(place) for place, token in enumerate(self.tokens))
        return frozenset(own | (self.before if loose or not self.named else frozenset()))

    @cached_property
    def sources(self) -> frozenset[str]:
        """The labels that something comes from: "off A", "out of A"."""
        return frozenset(
            token
            for place, token in enumerate(self.tokens)
            if token in self.labels and self._relation(place) in _ORIGINS and not self._free(place)
        )

    def said(self, family: str) -> bool:
        """Whether a verb of the family is in the clause, or carries over from the one before."""
        return bool(words.CUE_FORMS[family] & (self.verbs | set(self.tokens)))

    def leads(self, label: str, relations: Sequence[str]) -> bool:
        """Whether one of the relations leads to the label, or to a pronoun that may stand for it."""
        for place, token in enumerate(self.tokens):
            stands = token == label or (label in self.before and token in _PRONOUNS)
            while stands and self.tokens[place - 1 : place] == ("or",):  # "in B or C"
                place -= 2
            if stands and self._relation(place) in relations:
                return True
        # "put A inside": nothing follows, and any place named before is meant.
        adverb = label in self.before and self.tokens[-1:] and self.tokens[-1] in relations
        return bool(adverb and relations[0] == "in")

    def _relation(self, place: int) -> str:
        """The word before a place, with the one before that where it takes two."""
        one = self.tokens[place - 1] if place > 0 else ""
        two = self.tokens[place - 2] if place > 1 else ""
        return f"{two} {one}" if one == "of" else one

    def _free(self, place: int) -> bool:
        """Whether what stands here is not where something goes to or comes from."""
        relation = self._relation(place)
        if relation in ("out of", "from") and self.said("stack"):  # "make a tower out of A"
            return True
        if relation in ("on", "off") and _SWITCHING & set(self.tokens):  # "turn on A"
            return True
        if self.tokens[max(0, place - 2) : place] == ("on", "to") and self.said("hold"):  # "hold on to A"
            return True
        return relation not in _RELATIONS | _ORIGINS

    def lowers(self) -> bool:
        """Whether something is put down, taken off, let go: "turn A upside down" is not that."""
        said = set(self.tokens)
        plain = words.CUE_FORMS["down"] - {"down", "off"}
        return "table" not in said and bool(said & plain or (said & {"down", "off"} and said & _LOWERING))

    def switches_off(self) -> bool:
        """Whether the clause turns something off."""
        said = set(self.tokens)
        return bool(said & words.forms(["unpress", "deactivate"])) or (
            "off" in said and bool(said & _SWITCHING)
        )

    def asks(self, signed: Formula) -> bool:
        """Whether the clause asks for a literal."""
        if isinstance(signed, Not):
            return isinstance(signed.part, Atom) and self._undoes(signed.part)
        if not isinstance(signed, Atom) or signed.args[0] not in self.subjects:
            return False
        match signed.predicate, signed.args:
            case "in", (_, place):
                filled = _FILLING & set(self.tokens) and place in self.named
                return bool(filled) or self.leads(place, _INTO)
            case "on", (_, "table"):
                return self.lowers() or self.leads("table", (*_ONTO, "to"))
            case "on", (_, place):
                return self.leads(place, (*_ONTO, "to") if _CARRYING & self.verbs else _ONTO)
            case "moved", (_, direction):
                return self.said("move") and direction in self.tokens
            case "pressed", _:
                return self.said("press") and not self.switches_off()
            case predicate, _:
                return self.said(
                    {"holding": "hold", "closed": "close", "stacked": "stack"}.get(predicate, predicate)
                )

    def _undoes(self, atom: Atom) -> bool:
        if atom.predicate == "pressed":
            return atom.args[0] in self.subjects and self.switches_off()
        return atom.predicate == "in" and atom.args[0] in self.subjects and atom.args[1] in self.sources


def clauses(reading: Reading) -> tuple[Clause, ...]:
    """Cut a reduced command into clauses."""
    labels = frozenset(thing.label for thing in reading.things)
    pieces = [
        tuple(group)
        for breaks, group in itertools.groupby(reading.tokens, key=lambda token: token in _BREAKS)
        if not breaks
    ]
    found: list[Clause] = []
    verbs: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()
    for piece in pieces:
        own = VERBS & set(piece)
        verbs = own or verbs
        clause = Clause(piece, verbs, before, labels)
        found.append(clause)
        before |= clause.named - clause.sources
    return tuple(found)


class Soundness:
    """Which literals the words ask for, and whether a goal answers to all of them.

    Args:
        reading: the command.
        literals: every well-typed atom over its things.
    """

    def __init__(self, reading: Reading, literals: Sequence[Atom]) -> None:
        self._things: Mapping[str, Thing] = {thing.label: thing for thing in reading.things}
        self._clauses = clauses(reading)
        self._either = "or" in reading.tokens
        signed: list[Formula] = [each for atom in literals for each in (atom, Not(atom))]
        self._asked: dict[Formula, list[int]] = {
            each: numbers
            for each in signed
            if (numbers := [n for n, clause in enumerate(self._clauses) if clause.asks(each)])
        }
        self._taken_back = set() if self._either else set(self._superseded())

    @cached_property
    def unclear(self) -> str | None:
        """The first clause that has a verb and asks for nothing, in its words: no goal answers to it."""
        for number, clause in enumerate(self._clauses):
            acts = VERBS & set(clause.tokens)
            if acts and not any(number in numbers for numbers in self._asked.values()):
                return " ".join(clause.tokens)
        return None

    @cached_property
    def wanted(self) -> tuple[Formula, ...]:
        """The literals that a goal may hold, in order of the things they are about."""
        return tuple(each for each in self._asked if each not in self._taken_back)

    def _superseded(self) -> Iterator[Formula]:
        for one, other in itertools.permutations(self._asked, 2):
            if _side(one) == _side(other) and self._asked[one][-1] < self._asked[other][0]:
                clause = self._clauses[self._asked[other][0]]
                if next(atoms(other)).args[0] in clause.named or self._alone(other):
                    yield one

    def _alone(self, signed: Formula) -> bool:
        """Whether a pronoun can stand for no other thing in the literal."""
        atom = next(atoms(signed))
        rivals = {
            next(atoms(each)).args[0]
            for each, numbers in self._asked.items()
            if next(atoms(each)).predicate == atom.predicate and set(numbers) & set(self._asked[signed])
        }
        return len(rivals) == 1

    def sound(self, goal: Formula) -> bool:
        """Whether a goal holds only what is asked for, speaks of every thing, and answers every clause."""
        signed = parts_of(goal)
        if self.unclear is not None:
            return False
        if not set(signed) <= set(self.wanted) or len(set(signed)) != len(signed):
            return False
        if len(signed) > 1 and isinstance(goal, Or) != self._either:
            return False
        return self._covers(goal) and consistent(goal) and self._answers(set(signed))

    def goals(self, most_tried: int) -> Iterator[Formula]:
        """The sound goals, looked for among so many."""
        kind = Or if self._either else And
        shares = [self._shares(label, kind) for label in self._things]
        for chosen in itertools.islice(itertools.product(*shares), most_tried):
            signed = tuple(itertools.chain(*chosen))
            goal = signed[0] if len(signed) == 1 else kind(signed)
            if signed and self.sound(goal):
                yield goal

    def _shares(self, label: str, kind: type[And] | type[Or]) -> list[tuple[Formula, ...]]:
        """The literals, by one, two and none, that a goal may hold about a thing; the latest words first."""
        own = [each for each in self.wanted if next(atoms(each)).args[0] == label]
        own.sort(key=lambda each: -self._asked[each][-1])
        pairs = [pair for pair in itertools.combinations(own, 2) if consistent(kind(pair))]
        return [*((each,) for each in own), *pairs, ()]

    def _covers(self, goal: Formula) -> bool:
        used = {arg for atom in atoms(goal) for arg in atom.args}
        used |= {arg for each in self._taken_back for atom in atoms(each) for arg in atom.args}
        used |= {label for clause in self._clauses for label in clause.sources}
        return all(label in used for label in self._things)

    def _answers(self, signed: set[Formula]) -> bool:
        """Whether every clause that asks for something gets one of the things it asks for."""
        for number in range(len(self._clauses)):
            asked = {each for each, numbers in self._asked.items() if number in numbers}
            if asked and not asked & (signed | self._taken_back):
                return False
        return True


def consistent(goal: Formula) -> bool:
    """Whether no thing is to be in two places, no fixture both open and closed, one thing at most held."""
    if isinstance(goal, Or):
        return True
    sides = [_side(part) for part in parts_of(goal) if isinstance(part, Atom)]
    held = sum(isinstance(part, Atom) and part.predicate == "holding" for part in parts_of(goal))
    stands = {atom.args for atom in atoms(goal) if atom.predicate == "on"}
    return held <= 1 and len(set(sides)) == len(sides) and not any((b, a) in stands for a, b in stands)


def _side(signed: Formula) -> tuple[str, ...]:
    atom = next(atoms(signed))
    if atom.predicate in _FAMILY:
        return _FAMILY[atom.predicate], atom.args[0]
    return atom.predicate, *atom.args
