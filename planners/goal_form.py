"""The goals a command may have: well-typed literals over the things it names, as grammar and as JSON schema.

The language model writes a goal over labels, `in(A, drawer) and closed(drawer)`. The grammar admits no
label that the command does not have (the table apart), no predicate that does not suit it, and nothing
that is not a formula. `GoalForm.sound` adds what a grammar cannot say: that every thing named occurs, and
that every literal is asked for by some word of the command.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from planners import vocabulary as words
from planners.reading import Reading, Thing, listing
from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms, parse
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

NONE = "none"
MOST_LITERALS = 8
_MOST_TRIED = 2_000
_MOST_STACKED = 4
_NEGATABLE = ("open", "pressed", "holding", "in", "on")


@dataclass(frozen=True)
class GoalForm:
    """What the goal of one command may look like.

    Attributes:
        reading: the command with its things.
        scene: the scene it was given in.
    """

    reading: Reading
    scene: SceneGraph

    @cached_property
    def literals(self) -> tuple[Atom, ...]:
        """Every well-typed atom over the command's things and the table, in order of mention."""
        found: list[Atom] = []
        table = _table(self.scene)
        places = [*self.reading.things, *(place for place in table if place not in self.reading.things)]
        for thing in self.reading.things:
            label = (thing.label,)
            if "graspable" in thing.tags:
                others = [place for place in places if place.label != thing.label]
                found += [Atom("in", (thing.label, p.label)) for p in others if "container" in p.tags]
                found += [Atom("on", (thing.label, p.label)) for p in others if "support" in p.tags]
                found += [Atom("holding", label)]
                if 2 <= len(thing.names) <= _MOST_STACKED and not thing.any:
                    found.append(Atom("stacked", label))
            if "pushable" in thing.tags:
                found += [Atom("moved", (thing.label, direction)) for direction in DIRECTIONS]
            if "openable" in thing.tags:
                found += [Atom("open", label), Atom("closed", label)]
            if "pressable" in thing.tags:
                found += [Atom("pressed", label)]
        return tuple(found)

    def grammar(self, goals: Sequence[Formula] = ()) -> str:
        """A GBNF grammar of " GOAL" lines: of any well-typed goal, or of the given ones alone."""
        if goals:
            return f"root ::= ({' | '.join(_quoted(f' {goal}') for goal in goals)}) {_quoted(chr(10))}\n"
        if not self.literals:
            return f"root ::= {_quoted(f' {NONE}')} {_quoted(chr(10))}\n"
        negatable = [atom for atom in self.literals if atom.predicate in _NEGATABLE]
        rules = [
            f'root ::= " " (goal | {_quoted(NONE)}) "\\n"',
            f'goal ::= literal ((" and " literal){{0,{MOST_LITERALS - 1}}} | (" or " literal){{1,2}})',
            f"atom ::= {' | '.join(_quoted(str(atom)) for atom in self.literals)}",
        ]
        if negatable:
            rules += [
                'literal ::= atom | "not " undone',
                f"undone ::= {' | '.join(_quoted(str(atom)) for atom in negatable)}",
            ]
        else:
            rules.append("literal ::= atom")
        return "\n".join(rules) + "\n"

    def schema(self) -> dict[str, Any]:
        """A JSON schema of the same goals, for servers that take one; `from_json` reads the answer."""
        choices = [str(atom) for atom in self.literals]
        choices += [f"not {atom}" for atom in self.literals if atom.predicate in _NEGATABLE]
        return {
            "type": "object",
            "properties": {
                "possible": {"type": "boolean"},
                "join": {"type": "string", "enum": ["and", "or"]},
                "literals": {
                    "type": "array",
                    "items": {"type": "string", "enum": choices or [NONE]},
                },
            },
            "required": ["possible", "join", "literals"],
            "additionalProperties": False,
        }

    def to_json(self, goal: Formula | None) -> dict[str, Any]:
        """A goal in the form of the schema."""
        if goal is None:
            return {"possible": False, "join": "and", "literals": []}
        join = "or" if isinstance(goal, Or) else "and"
        return {"possible": True, "join": join, "literals": [str(part) for part in _parts(goal)]}

    def from_json(self, text: str) -> Formula | None:
        """Read an answer in the form of the schema; None where the model found no goal.

        Raises:
            InputError: it is not of that form, or names what the schema does not admit.
        """
        try:
            answer = json.loads(text)
            written, join, possible = list(answer["literals"]), str(answer["join"]), bool(answer["possible"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"The model's answer is not a goal: {text[:200]!r}.") from error
        if not possible or not written:
            return None
        return self.from_text(f" {join} ".join(map(str, written)))

    def from_text(self, text: str) -> Formula | None:
        """Read a goal over labels; None for "none".

        Raises:
            InputError: it is not a goal of this form.
        """
        if text.strip() == NONE:
            return None
        goal = parse(text)
        for atom in atoms(goal):
            if atom not in self.literals:
                raise InputError(
                    f"The model's goal {text.strip()!r} holds {atom}, which this scene does not admit."
                )
        return goal

    def sound(self, goal: Formula) -> bool:
        """Whether a goal uses every thing the command names, and only what its words ask for."""
        return _Soundness(self.reading).sound(goal)

    def sound_goals(self, most: int = 64) -> tuple[Formula, ...]:
        """The sound goals over the literals, at most so many; first those whose words stand together.

        Every thing takes one, two or none of the literals that the words ask for about it.
        """
        soundness = _Soundness(self.reading)
        kind = Or if "or" in self.reading.tokens else And
        shares = [
            soundness.shares(
                thing.label, [atom for atom in self.literals if atom.args[0] == thing.label], kind
            )
            for thing in self.reading.things
        ]
        tried = itertools.islice(itertools.product(*shares), _MOST_TRIED)
        joined = (_joined(tuple(itertools.chain(*chosen)), kind) for chosen in tried if any(chosen))
        return tuple(itertools.islice((goal for goal in joined if soundness.sound(goal)), most))

    def expand(self, goal: Formula) -> Formula:
        """Put the scene's things in the place of the labels; "both" and "any" become and, or."""
        labels = {thing.label: thing for thing in (*_table(self.scene), *self.reading.things)}
        expanded = _expand(goal, labels)
        flat: list[Formula] = []
        for part in _parts(expanded):
            flat.extend(_parts(part) if isinstance(expanded, And) and isinstance(part, And) else [part])
        flat = list(dict.fromkeys(flat))
        if isinstance(expanded, And):
            return And(tuple(flat)) if len(flat) > 1 else flat[0]
        return expanded


def _table(scene: SceneGraph) -> tuple[Thing, ...]:
    return tuple(
        Thing(entity.name, (entity.name,), False, entity.tags, frozenset({entity.kind}))
        for entity in scene.entities
        if entity.kind == "table"
    )


def _parts(goal: Formula) -> tuple[Formula, ...]:
    return goal.parts if isinstance(goal, And | Or) else (goal,)


def _joined(literals: tuple[Formula, ...], kind: type[And] | type[Or]) -> Formula:
    return literals[0] if len(literals) == 1 else kind(literals)


def _quoted(text: str) -> str:
    return json.dumps(text)


def _expand(goal: Formula, labels: Mapping[str, Thing]) -> Formula:
    match goal:
        case And(parts):
            return And(tuple(_expand(part, labels) for part in parts))
        case Or(parts):
            return Or(tuple(_expand(part, labels) for part in parts))
        case Not(part):
            return (
                _distributed(part, labels, negated=True)
                if isinstance(part, Atom)
                else Not(_expand(part, labels))
            )
        case Atom():
            return _distributed(goal, labels, negated=False)


def _distributed(atom: Atom, labels: Mapping[str, Thing], negated: bool) -> Formula:
    things = [labels.get(arg) for arg in atom.args]
    if atom.predicate == "stacked" and things[0] is not None:
        return _towers(things[0].names)
    names = [thing.names if thing else (arg,) for thing, arg in zip(things, atom.args, strict=True)]
    ground = [Atom(atom.predicate, chosen) for chosen in itertools.product(*names)]
    ground = [each for each in ground if len(set(each.args)) == len(each.args)]
    parts = tuple(Not(each) if negated else each for each in ground)
    if len(parts) == 1:
        return parts[0]
    return Or(parts) if any(thing is not None and thing.any for thing in things) else And(parts)


def _towers(names: Sequence[str]) -> Formula:
    towers: list[Formula] = []
    for order in itertools.permutations(names):
        layers = tuple(Atom("on", (upper, lower)) for upper, lower in itertools.pairwise(order))
        towers.append(layers[0] if len(layers) == 1 else And(layers))
    return Or(tuple(towers))


_RELATIONS = words.CUE_FORMS["into"] | words.CUE_FORMS["onto"]
_VERB_OF = {"open": "open", "closed": "close", "pressed": "press", "holding": "hold", "stacked": "stack"}
_CARRYING = words.forms(["move", "transfer", "bring", "take", "shift"])
_LOWERING = words.CUE_FORMS["put"] | words.CUE_FORMS["hold"] | words.forms(["move", "lower"])
_PLACING = _RELATIONS | {"to", "of", "off", "from"} | words.forms(["fill", "load"])


class _Soundness:
    """What the words of a command ask for, and what a goal must therefore hold."""

    def __init__(self, reading: Reading) -> None:
        self._tokens = reading.tokens
        self._known: dict[Formula, bool] = {}
        self._things = {thing.label: thing for thing in reading.things}
        self._cues = {family for family, forms in words.CUE_FORMS.items() if forms & set(self._tokens)}
        self._directions = {token for token in self._tokens if token in words.DIRECTIONS}
        self._pronoun = any(token in ("it", "them") for token in self._tokens)

    def sound(self, goal: Formula) -> bool:
        signed = _parts(goal)
        if not all(self.asked(each) for each in signed) or len(set(signed)) != len(signed):
            return False
        if len(signed) > 1 and isinstance(goal, Or) != ("or" in self._tokens):
            return False
        return self._covers(goal) and self._consistent(goal) and self._answers(signed)

    def shares(
        self, label: str, own: Sequence[Atom], kind: type[And] | type[Or]
    ) -> list[tuple[Formula, ...]]:
        """The literals, by one, two and none, that a goal may hold about a thing; the nearest words first."""
        near = sorted(own, key=lambda atom: self._distance(label, atom))
        signed: list[Formula] = [each for atom in near for each in (atom, Not(atom)) if self.asked(each)]
        pairs = [pair for pair in itertools.combinations(signed, 2) if self._consistent(kind(pair))]
        needed = bool(signed) and kind is And and not self._may_be_place(label)
        return [*((each,) for each in signed), *pairs, *([] if needed else [()])]

    def _distance(self, label: str, atom: Atom) -> int:
        """How far the words of a literal stand apart: a thing and its place, way, or verb."""
        far = len(self._tokens)
        here = [place for place, token in enumerate(self._tokens) if token == label]
        if len(atom.args) == 1:  # a verb stands before its thing
            marks, before, after = words.CUE_FORMS[_VERB_OF[atom.predicate]], 0, far
        elif atom.args[1] in self._tokens:  # a place or a way stands behind it
            marks, before, after = frozenset({atom.args[1]}), far, 0
        else:
            marks, before, after = words.CUE_FORMS["down"], 0, 0
        there = [place for place, token in enumerate(self._tokens) if token in marks]
        gaps = [b - a + after if b > a else a - b + before for a in here for b in there]
        return min(gaps, default=3 * far)

    def asked(self, signed: Formula) -> bool:
        """Whether some word of the command asks for a literal."""
        if signed not in self._known:
            self._known[signed] = self._asked(signed)
        return self._known[signed]

    def _asked(self, signed: Formula) -> bool:
        if isinstance(signed, Not):
            return self._undoing(signed.part) if isinstance(signed.part, Atom) else False
        if not isinstance(signed, Atom) or self._is_source(signed.args[0], always=False):
            return False
        cues, args = self._cues, signed.args
        if len(args) > 1 and self._is_place(args[0]) and not self._pronoun:
            return False
        match signed.predicate:
            case "in":
                return self._after_relation(args[1], ("in", "into", "inside", "within", "to")) or (
                    self._filling(args[1]) and "onto" not in cues
                )
            case "on" if "table" in args[1:]:
                lowered = self._lowers() and "table" not in self._tokens
                return lowered or self._after_relation(args[1], ("on", "onto", "upon", "to"))
            case "on":
                carried = bool(
                    words.forms(["move", "transfer", "bring", "take", "shift"]) & set(self._tokens)
                )
                onto = ("on", "onto", "upon", "atop", "over", "top of", *(["to"] * carried))
                return self._after_relation(args[1], onto)
            case "stacked":
                return "stack" in cues
            case "holding":
                return "hold" in cues and not self._is_place(args[0])
            case "moved":
                return "move" in cues and args[1] in self._directions
            case "open":
                return "open" in cues
            case "closed":
                return "close" in cues
            case "pressed":
                return "press" in cues and not self._switched_off(args[0])
        return False

    def _undoing(self, atom: Atom) -> bool:
        match atom.predicate:
            case "pressed":
                return self._switched_off(atom.args[0])
            case "in":
                return self._is_source(atom.args[1])
        return False

    def _lowers(self) -> bool:
        """Whether something is to be put down, taken off, or let go: "turn A upside down" is not that."""
        said = set(self._tokens)
        plain = words.CUE_FORMS["down"] - {"down", "off"}
        return bool(said & plain or (said & {"down", "off"} and said & _LOWERING))

    def _switched_off(self, label: str) -> bool:
        """Whether the command says "turn A off", "turn off A" or "deactivate A"."""
        text = f" {' '.join(self._tokens)} "
        if words.forms(["unpress", "deactivate"]) & set(self._tokens):
            return True
        verbs = words.forms(["turn", "switch", "put", "light"])
        return any(f" {verb} {label} off " in text or f" {verb} off {label} " in text for verb in verbs)

    def _after_relation(self, label: str, relations: Sequence[str]) -> bool:
        """Whether the label, or a pronoun that may stand for it, follows one of the words."""
        stands = {label, "it", "them"} if self._pronoun else {label}
        stands |= {"there", "here"}
        for place, token in enumerate(self._tokens[2:], start=2):  # "in B or C"
            if token == label and self._tokens[place - 1] == "or":
                stands.add(self._tokens[place - 2])
        # "open the drawer and put the ball inside": nothing follows, and any place named before is meant.
        stands |= {"", ",", "and", "then"} if relations[0] == "in" else set()
        triples = zip(["", *self._tokens], self._tokens, [*self._tokens[1:], ""], strict=False)
        return any(
            after in stands and (before in relations or f"{earlier} {before}" in relations)
            for earlier, before, after in triples
        )

    def _is_place(self, label: str) -> bool:
        """Whether the label only ever follows a word such as "on"."""
        places = [place for place, token in enumerate(self._tokens) if token == label]
        before = {self._tokens[place - 1] if place else "" for place in places}
        return before <= _RELATIONS

    def _may_be_place(self, label: str) -> bool:
        """Whether the label, or a pronoun for it, follows a word such as "on"; or nothing does."""
        pairs = zip(self._tokens, self._tokens[1:], strict=False)
        places = {after for before, after in pairs if before in _PLACING}
        return label in places or self._pronoun or self._is_source(label) or not places

    def _filling(self, label: str) -> bool:
        pairs = zip(self._tokens, self._tokens[1:], strict=False)
        return any(before in words.forms(["fill", "load"]) and after == label for before, after in pairs)

    def _covers(self, goal: Formula) -> bool:
        used = {arg for atom in atoms(goal) for arg in atom.args}
        return all(label in used or self._is_source(label) for label in self._things)

    def _is_source(self, label: str, always: bool = True) -> bool:
        """Whether a thing is only where something comes from: "off A", "from A", "out of A"."""
        if not always and "stack" in self._cues:  # "make a tower out of A"
            return False
        places = [place for place, token in enumerate(self._tokens) if token == label]
        return all(
            self._tokens[place - 1] in ("off", "from")
            or (self._tokens[place - 1] == "of" and self._tokens[place - 2] in ("out", "off"))
            for place in places
        )

    def _consistent(self, goal: Formula) -> bool:
        """Whether no thing is to be in two places, and no fixture both open and closed."""
        if isinstance(goal, Or):
            return True
        seen: set[tuple[str, str]] = set()
        if sum(isinstance(part, Atom) and part.predicate == "holding" for part in _parts(goal)) > 1:
            return False
        for part in _parts(goal):
            if isinstance(part, Atom):
                family = {"in": "where", "on": "where", "holding": "where", "stacked": "where"}
                family |= {"open": "door", "closed": "door"}
                key = (family.get(part.predicate, part.predicate), part.args[0])
                if key in seen:
                    return False
                seen.add(key)
        supports = {(a.args[1], a.args[0]) for a in atoms(goal) if a.predicate == "on"}
        return not any(atom.args in supports for atom in atoms(goal) if atom.predicate == "on")

    def _answers(self, signed: Sequence[Formula]) -> bool:
        """Whether each verb that cannot be undone by what follows has its literal."""
        found = {atom.predicate for part in signed for atom in atoms(part)}
        openable = any("openable" in thing.tags for thing in self._things.values())
        pressable = any("pressable" in thing.tags for thing in self._things.values())
        wants = [
            (openable and "close" in self._cues, {"closed", "open"}),
            (openable and self._opens(), {"open", "closed"}),
            (pressable and "press" in self._cues, {"pressed"}),
            (bool(self._directions) and self._pushes(), {"moved"}),
        ]
        return all(predicates & found for wanted, predicates in wants if wanted)

    def _opens(self) -> bool:
        return bool(words.forms(["open"]) & set(self._tokens))

    def _pushes(self) -> bool:
        verbs = words.CUE_FORMS["move"] - words.CUE_FORMS["put"]
        return bool(verbs & set(self._tokens))


def refusal_for(reading: Reading) -> tuple[str | None, str | None]:
    """Why no sound goal was found, as (refusal, question): one of the two is None."""
    tokens, named = set(reading.tokens), [name for thing in reading.things for name in thing.names]
    loose = [thing for thing in reading.things if "pushable" in thing.tags]
    misfit = _misfit(reading)
    if misfit is not None:
        return misfit, None
    if loose and tokens & words.CUE_FORMS["move"] and not tokens & set(words.DIRECTIONS):
        return None, f"Which way should the {listing(loose[0].names)} go: {listing(DIRECTIONS, 'or')}?"
    if loose and tokens & words.forms(words.PUT_VERBS) and len(reading.things) == len(loose):
        return None, f"Where should the {listing(loose[0].names)} go?"
    if not named:
        return "I found nothing in that to act on; name a thing in the scene and what to do with it.", None
    about = f" with the {listing(dict.fromkeys(named))}"
    return f"I do not know what to do{about}; I pick, place, push, open, close and press.", None


def _misfit(reading: Reading) -> str | None:
    """What a thing cannot be: a place to stand on or lie in, graspable, openable."""
    tokens = ["", "", *reading.tokens]
    things = {thing.label: thing for thing in reading.things}
    for place, token in enumerate(tokens):
        if token not in things:
            continue
        shown, tags, before = listing(things[token].names), things[token].tags, tokens[place - 2 : place]
        on = before[1] in words.CUE_FORMS["onto"] or before == ["top", "of"]
        if on and not {"support", "pressable"} & tags:
            return f"Nothing can stand on the {shown}."
        if before[1] in words.CUE_FORMS["into"] and "container" not in tags:
            return f"Nothing can lie in the {shown}."
        if (before == ["pick", "up"] or before[1] in words.CUE_FORMS["hold"]) and "graspable" not in tags:
            return f"I cannot hold the {shown}."
        if before[1] in words.CUE_FORMS["open"] | words.CUE_FORMS["close"] and "openable" not in tags:
            return f"I cannot {before[1]} the {shown}."
    return None
