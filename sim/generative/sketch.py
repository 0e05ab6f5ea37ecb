"""Goals as a language model writes them: short clauses of a closed language, `put ball in box; close box`.

The model chooses among clauses that the world admits, under a grammar or a JSON schema, so that all it can
write is well-typed. Colours, scenes and words are made here. What it proposes goes through the same gates as
anything.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from robot_skills.errors import InputError
from robot_skills.scene_graph import DIRECTIONS
from sim.generative.goal import Clause, Goal
from sim.generative.grammar import SUPPORTING, Draft, NoRoomError, Proposal
from sim.generative.novelty import Archive
from sim.generative.recipe import Relation
from sim.tabletop.furnishings import LIGHTS
from sim.tabletop.scene import GRASPABLE

CONTAINING = ("bowl", "basket", "bin", "box", "chest", "crate", "drawer", "rack", "tray")
OPENING = ("door", "drawer", "box", "chest", "gate", "knob", "lever")
STACKING = ("block", "cylinder")
MOST_CLAUSES = 4
#: Known tasks that the model is shown.
SHOWN = 10
SEEDS = (
    "put ball in box; close box",
    "press bell; put block on shelf",
    "open gate; push cylinder left",
    "stack block on cylinder",
    "close drawer; hold ball",
)


class Writer(Protocol):
    """A language model that writes within bounds; the back ends of `planners` are."""

    @property
    def name(self) -> str:
        """The back end and the model."""
        ...

    def write(self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int) -> str:
        """A line of the grammar, or JSON of the schema, as the back end has it.

        Raises:
            InputError: the model cannot be reached, or does not answer.
        """
        ...


class SketchProposer:
    """A language model that proposes within the grammar, given what there is and what is rare.

    Args:
        writer: the model.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @property
    def name(self) -> str:
        """For provenance."""
        return self._writer.name

    def propose(self, seed: int, number: int, archive: Archive) -> Proposal:
        """See `sim.generative.generation.Proposer`."""
        written = self._writer.write(prompt(archive, seed, number), gbnf(), schema(), 1_000 * seed + number)
        return realise(read(written), np.random.default_rng([seed, number, 9]))


def clauses() -> tuple[str, ...]:
    """Every clause there is."""
    product = itertools.product
    return (
        *(f"put {thing} in {place}" for thing, place in product(GRASPABLE, CONTAINING)),
        *(f"put {thing} on {place}" for thing, place in product(STACKING, SUPPORTING)),
        *(f"stack {top} on {base}" for top, base in product(STACKING, STACKING)),
        *(f"push {thing} {way}" for thing, way in product(GRASPABLE, DIRECTIONS)),
        *(f"{verb} {what}" for verb, what in product(("open", "close"), OPENING)),
        *(f"press {what}" for what in LIGHTS),
        *(f"hold {thing}" for thing in GRASPABLE),
    )


def gbnf() -> str:
    """The sketches as a GBNF grammar of " SKETCH" lines."""
    choices = " | ".join(json.dumps(clause) for clause in clauses())
    return (
        f'root ::= " " clause ("; " clause){{0,{MOST_CLAUSES - 1}}} {json.dumps(chr(10))}\n'
        f"clause ::= {choices}\n"
    )


def schema() -> dict[str, Any]:
    """The sketches as a JSON schema."""
    item = {"type": "string", "enum": list(clauses())}
    listed = {"type": "array", "items": item, "minItems": 1, "maxItems": MOST_CLAUSES}
    return {
        "type": "object",
        "properties": {"clauses": listed},
        "required": ["clauses"],
        "additionalProperties": False,
    }


def prompt(archive: Archive, seed: int, number: int) -> str:
    """What the model is asked, with known tasks as examples and what is rarely used so far."""
    known = [text for goal in archive.goals if (text := sketch_of(goal)) is not None]
    rng = np.random.default_rng([seed, number, 8])
    shown = [*SEEDS, *known]
    if len(shown) > SHOWN:
        shown = [shown[int(index)] for index in rng.choice(len(shown), SHOWN, replace=False)]
    used = Counter(word for text in known for word in text.replace(";", "").split())
    words = [*CONTAINING, *SUPPORTING, *OPENING, *LIGHTS]
    rare = sorted(dict.fromkeys(words), key=lambda word: (used[word], word))[:5]
    lines = "".join(f"Task: {text}\n" for text in shown)
    return (
        "Tasks for a robot arm at a table, each with another purpose than those before. "
        f"Rarely used so far: {', '.join(rare)}.\n{lines}Task:"
    )


def read(written: str) -> tuple[str, ...]:
    """The clauses of an answer, a line or JSON.

    Raises:
        InputError: it is neither, or holds what is no clause.
    """
    text = written.strip()
    if text.startswith("{"):
        try:
            found = tuple(str(clause) for clause in json.loads(text)["clauses"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"The model's answer is no list of clauses: {text[:100]!r}.") from error
    else:
        found = tuple(part.strip() for part in text.split(";"))
    known = set(clauses())
    for clause in found:
        if clause not in known:
            raise InputError(f"The model's clause {clause!r} is none that this world admits.")
    if not 1 <= len(found) <= MOST_CLAUSES:
        raise InputError(f"A sketch has 1 to {MOST_CLAUSES} clauses, not {len(found)}.")
    return found


def realise(sketch: Sequence[str], rng: np.random.Generator) -> Proposal:
    """The goal and the scenes of a sketch. A kind of furniture is the same piece throughout.

    Raises:
        InputError: it asks for opposites, or for more than the table holds.
    """
    maker = _Maker(rng, sketch)
    try:
        # Said twice of one piece of furniture it is asked for once: small models repeat themselves.
        made = list(dict.fromkeys(maker.clause(text) for text in sketch))
        goal = Goal(_family(made), tuple(made))
        return Proposal(goal, maker.draft.recipe())
    except NoRoomError as error:
        raise InputError(f"The sketch {'; '.join(sketch)!r} asks for too much: {error}.") from error


class _Maker:
    """Puts names in the place of kinds."""

    def __init__(self, rng: np.random.Generator, sketch: Sequence[str]) -> None:
        self.draft = Draft(rng)
        self.draft.store = "drawer" if any("drawer" in text for text in sketch) else "none"
        self._named: dict[str, str] = {}
        verbs = [(text.split()[0], text.split()[-1]) for text in sketch]
        both = {kind for verb, kind in verbs if verb == "open"} & {k for v, k in verbs if v == "close"}
        if both:
            raise InputError(f"The sketch {'; '.join(sketch)!r} opens and closes the {both.pop()}.")
        self._filled = {text.split()[-1] for text in sketch if " in " in text}

    def clause(self, text: str) -> Clause:
        """The clause of a sketch's part."""
        verb, first, *rest = text.split()
        match verb:
            case "put":
                thing = self.draft.use(self.draft.thing((first,)))
                place = self._piece(rest[1])
                if rest[1] in ("box", "chest", "drawer"):
                    self.draft.standings.setdefault(place, self.draft.one(("open", "closed", "any")))
                return Clause("put", (thing,), (place,), rest[0])
            case "stack":
                names = [self.draft.use(self.draft.thing((kind,))) for kind in (first, rest[1])]
                return Clause("tower", tuple(names))
            case "push":
                thing = self.draft.use(self.draft.thing((first,)))
                self.draft.relations.append(Relation(f"clear_{rest[0]}", (thing,)))
                return Clause("push", (thing,), (rest[0],))
            case "hold":
                return Clause("hold", (self.draft.use(self.draft.thing((first,))),))
            case "press":
                return Clause("press", (self._piece(first),))
            case _:
                piece = self._piece(first)
                if first not in self._filled:
                    self.draft.standings[piece] = "closed" if verb == "open" else "open"
                return Clause(verb, (piece,))

    def _piece(self, kind: str) -> str:
        """The one piece of furniture of a kind."""
        if kind not in self._named:
            if kind in ("door", "drawer"):
                self._named[kind] = self.draft.use(kind)
            elif kind == "bowl":
                self._named[kind] = self.draft.use(self.draft.thing(("bowl",)))
            else:
                self._named[kind] = self.draft.use(self.draft.furnish(kind))
        return self._named[kind]


def _family(made: Sequence[Clause]) -> str:
    kinds = {clause.kind for clause in made}
    if len(made) == 1:
        return "stacking" if kinds == {"tower"} else "single"
    if "tower" in kinds:
        return "stacking"
    if kinds <= {"open", "close", "press"}:
        return "articulated"
    closed = {thing for clause in made if clause.kind == "close" for thing in clause.things}
    filled = {place for clause in made if clause.kind == "put" for place in clause.places}
    return "lidded" if closed & filled else "chained"


def sketch_of(goal: Goal) -> str | None:
    """A goal as a sketch; None where this language has no words for it."""
    known, parts = set(clauses()), []
    for clause in goal.clauses:
        kinds = [name.split()[-1] for name in clause.things]
        places = [name.split()[-1] for name in clause.places]
        match clause.kind:
            case "put":
                said = [f"put {kind} {clause.relation} {places[0]}" for kind in kinds]
            case "tower" if len(kinds) == 2 and not places:
                said = [f"stack {kinds[0]} on {kinds[1]}"]
            case "push":
                said = [f"push {kinds[0]} {places[0]}"]
            case "open" | "close" | "press" | "hold":
                said = [f"{clause.kind} {kind}" for kind in kinds]
            case _:
                return None
        parts += said
    fits = not goal.condition and len(parts) <= MOST_CLAUSES and set(parts) <= known
    return "; ".join(parts) if fits else None
