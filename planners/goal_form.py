"""The goals a command may have: well-typed literals over the things it names, as grammar and as JSON schema.

The language model writes a goal over labels, `in(A, drawer) and closed(drawer)`. The grammar admits no
label that the command does not have (the table apart), no predicate that does not suit it or that no word
asks for, and nothing that is not a formula. `GoalForm.sound` adds what a grammar cannot say: that every
thing named occurs, and that every clause of the command is answered.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from planners import vocabulary as words
from planners.answers import listing
from planners.reading import Reading, Thing
from planners.soundness import Soundness, clauses, parts_of
from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms, parse
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

NONE = "none"
MOST_LITERALS = 8
_MOST_TRIED = 2_000
_MOST_STACKED = 4


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

    @cached_property
    def soundness(self) -> Soundness:
        """What the words of the command ask for."""
        return Soundness(self.reading, self.literals)

    def grammar(self, goals: Sequence[Formula] = ()) -> str:
        """A GBNF grammar of " GOAL" lines: literals that the words ask for, or the given goals alone."""
        end = _quoted("\n")
        if goals:
            return f"root ::= ({' | '.join(_quoted(f' {goal}') for goal in goals)}) {end}\n"
        if not self.soundness.wanted:
            return f"root ::= {_quoted(f' {NONE}')} {end}\n"
        return (
            f'root ::= " " goal {end}\n'
            f'goal ::= literal ((" and " literal){{0,{MOST_LITERALS - 1}}} | (" or " literal){{1,2}})\n'
            f"literal ::= {' | '.join(_quoted(str(each)) for each in self.soundness.wanted)}\n"
        )

    def schema(self) -> dict[str, Any]:
        """A JSON schema of the same goals, for servers that take one; `from_json` reads the answer."""
        choices = [str(each) for each in self.soundness.wanted]
        return {
            "type": "object",
            "properties": {
                "possible": {"type": "boolean"},
                "join": {"type": "string", "enum": ["and", "or"]},
                "literals": {"type": "array", "items": {"type": "string", "enum": choices or [NONE]}},
            },
            "required": ["possible", "join", "literals"],
            "additionalProperties": False,
        }

    def to_json(self, goal: Formula | None) -> dict[str, Any]:
        """A goal in the form of the schema."""
        if goal is None:
            return {"possible": False, "join": "and", "literals": []}
        join = "or" if isinstance(goal, Or) else "and"
        return {"possible": True, "join": join, "literals": [str(part) for part in parts_of(goal)]}

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
        """Whether a goal answers the whole command, and holds only what its words ask for."""
        return self.soundness.sound(goal)

    def sound_goals(self, most: int = 64) -> tuple[Formula, ...]:
        """The sound goals over the literals; at most so many."""
        return tuple(itertools.islice(self.soundness.goals(_MOST_TRIED), most))

    def expand(self, goal: Formula) -> Formula:
        """Put the scene's things in the place of the labels; "both" and "any" become and, or."""
        labels = {thing.label: thing for thing in (*_table(self.scene), *self.reading.things)}
        expanded = _expand(goal, labels)
        flat: list[Formula] = []
        for part in parts_of(expanded):
            flat.extend(parts_of(part) if isinstance(expanded, And) and isinstance(part, And) else [part])
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
    loose = [thing is not None and thing.any for thing in things]
    each = itertools.product(*((None,) if free else own for free, own in zip(loose, names, strict=True)))
    parts = [part for fixed in each if (part := _choice(atom, fixed, names, negated)) is not None]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _choice(
    atom: Atom, fixed: Sequence[str | None], names: Sequence[Sequence[str]], negated: bool
) -> Formula | None:
    """An atom with some things fixed and any of the others; None where no two different ones are left."""
    ways = itertools.product(*(own if one is None else (one,) for one, own in zip(fixed, names, strict=True)))
    ground = [Atom(atom.predicate, chosen) for chosen in ways if len(set(chosen)) == len(chosen)]
    parts = tuple(Not(each) if negated else each for each in ground)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Or(parts)


def _towers(names: Sequence[str]) -> Formula:
    towers: list[Formula] = []
    for order in itertools.permutations(names):
        layers = tuple(Atom("on", (upper, lower)) for upper, lower in itertools.pairwise(order))
        towers.append(layers[0] if len(layers) == 1 else And(layers))
    return Or(tuple(towers))


def refusal_for(form: GoalForm) -> tuple[str | None, str | None]:
    """Why no sound goal was found, as (refusal, question): one of the two is None."""
    reading, unclear = form.reading, form.soundness.unclear
    named = [name for thing in reading.things for name in thing.names]
    misfit = _misfit(reading)
    if misfit is not None:
        return misfit, None
    lacking, going = unsaid(reading)
    if lacking == "direction":
        return None, f"Which way should the {listing(going)} go: {listing(DIRECTIONS, 'or')}?"
    if lacking == "place":
        return None, f"Where should the {listing(going)} go?"
    if not named:
        return "I found nothing in that to act on; name a thing in the scene and what to do with it.", None
    if unclear is not None and len(clauses(reading)) > 1:
        return f"I do not know how to do this part of it: {unclear!r}.", None
    about = f" with the {listing(dict.fromkeys(named))}"
    return f"I do not know what to do{about}; I pick, place, push, open, close and press.", None


def unsaid(reading: Reading) -> tuple[Literal["direction", "place"] | None, tuple[str, ...]]:
    """Whether a command leaves out which way, or where to, and what should go there."""
    tokens = set(reading.tokens)
    loose = [thing for thing in reading.things if "pushable" in thing.tags]
    if loose and tokens & words.CUE_FORMS["move"] and not tokens & set(words.DIRECTIONS):
        return "direction", loose[0].names
    if loose and tokens & words.forms(words.PUT_VERBS) and len(reading.things) == len(loose):
        return "place", loose[0].names
    return None, ()


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
