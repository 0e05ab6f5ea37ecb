"""Reading commands about a scene by the names in it alone: of kitchens and desks no word is known before.

Where `planners.references` knows kinds and colours, here a phrase is matched with the words of the scene's
names and with where things stand, by the scene's static facts: at(thing, left), beside(thing, other),
between(thing, one, other). What the words ask for is then found as for any command (`planners.soundness`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from planners import vocabulary as words
from planners.answers import QuestionError, RefusalError, listing
from planners.goal_form import GoalForm, refusal_for
from planners.phrases import Phrase, token_at, tokenise
from planners.proposer import Proposal
from planners.reading import Reading, reduced
from robot_skills.logic import And, Atom, Formula, Not, Or
from robot_skills.scene_graph import Entity, SceneGraph

#: Where a thing may stand among its like, and other words for it.
SIDES = {
    "left": "left", "right": "right", "front": "front", "back": "back",
    "middle": "middle", "center": "center", "centre": "center",
}  # fmt: skip
_LINKS = ("of", "the", "and")
_BESIDE = (("next", "to"), ("close", "to"), ("near",), ("beside",))


class NamedProposer:
    """Reads a command by the names of the scene; no language model is asked."""

    def propose(self, command: str, scene: SceneGraph) -> Proposal:
        """Propose the first goal that answers the whole command, refuse, or ask."""
        reading = read_named(command, scene)
        if reading.refused or reading.question:
            return Proposal(None, reading.refused, reading.question, "names")
        form = GoalForm(reading, scene)
        goals = form.sound_goals(1)
        if not goals:
            return Proposal(None, *refusal_for(form), "names")
        return Proposal(settled(form.expand(goals[0]), scene), proposer="names", choices=len(goals))


def read_named(command: str, scene: SceneGraph) -> Reading:
    """Look up what a command names in a scene."""
    tokens = tokenise(command, scene)
    try:
        phrases = _Finder(tokens, scene).phrases()
    except RefusalError as refusal:
        return Reading(" ".join(tokens), refused=str(refusal))
    except QuestionError as question:
        return Reading(" ".join(tokens), question=str(question))
    return reduced(tokens, phrases)


def settled(goal: Formula, scene: SceneGraph) -> Formula:
    """The goal with `in` for `on`, and the other way, where that is how a thing fits."""
    match goal:
        case Atom(("in" | "on") as relation, (thing, place)):
            other = Atom("on" if relation == "in" else "in", (thing, place))
            fits = [Atom("fits", (thing, each, place)) in scene.facts for each in (relation, other.predicate)]
            return other if fits == [False, True] else goal
        case Not(part):
            return Not(settled(part, scene))
        case And(parts):
            return And(tuple(settled(part, scene) for part in parts))
        case Or(parts):
            return Or(tuple(settled(part, scene) for part in parts))
    return goal


@dataclass(frozen=True)
class _Mention:
    """Tokens that name something: where they end, what they fit, and what they say of where it stands."""

    start: int
    end: int
    fitting: tuple[Entity, ...]
    plural: bool


class _Finder:
    def __init__(self, tokens: list[str], scene: SceneGraph) -> None:
        self._tokens, self._scene = tokens, scene
        self._words = {entity.name: _words_of(entity) for entity in scene.entities}
        known = frozenset().union(*self._words.values())
        self._known = known | {_singular(word) for word in known}
        self._nouns = frozenset(word for entity in scene.entities for word in _nouns_of(entity))

    def phrases(self) -> list[Phrase]:
        """The phrases of the command, from left to right; before a place stands "on" then, not "to".

        Raises:
            RefusalError: nothing here fits a phrase.
            QuestionError: more than one thing does.
        """
        found: list[Phrase] = []
        place = 0
        while place < len(self._tokens):
            mention = self._mention(place)
            if mention is None:
                place += 1
                continue
            start = self._to_a_place(mention)
            entities, end = self._where(mention, start)
            if not mention.plural and len(entities) > 1:
                names = [entity.name for entity in entities]
                raise QuestionError(f"Which do you mean: {listing(names, 'or')}?")
            found.append(Phrase(start, end, found=entities, plural=mention.plural))
            place = end
        return found

    def _mention(self, start: int) -> _Mention | None:
        """The longest run of words from here that names something."""
        opened = start
        every = token_at(self._tokens, opened) in words.ALL
        while token_at(self._tokens, opened) in words.DETERMINERS | words.INDEFINITE | words.ALL:
            opened += 1
        end = opened
        while (token := token_at(self._tokens, end)) in (*_LINKS, *SIDES) or _singular(token) in self._known:
            end += 1
        for stop in range(end, opened, -1):
            run = [token for token in self._tokens[opened:stop] if token not in _LINKS]
            if self._tokens[stop - 1] in _LINKS or self._tokens[opened] in _LINKS or not run:
                continue
            if not any(_singular(word) in self._nouns for word in run):
                continue
            fitting = self._fitting(run)
            if fitting:
                plural = every or (_singular(run[-1]) != run[-1] and run[-1] not in self._known)
                return _Mention(start, stop, fitting, plural)
        return None

    def _fitting(self, run: Sequence[str]) -> tuple[Entity, ...]:
        """Things that all these words are true of; of those the ones whose names say least else."""
        close = []
        for entity in self._scene.entities:
            own = self._words[entity.name]
            said = {word if word in own else _singular(word) for word in run}
            sides = {SIDES[word] for word in said - own if word in SIDES}
            if said - own - set(SIDES) or not all(self._at(entity, side) for side in sides):
                continue
            extra = len(set(entity.name.split()) - said - set(_LINKS) - set("123456789"))
            close.append((not entity.tags, extra, entity))
        least = min(((idle, extra) for idle, extra, _ in close), default=None)
        return tuple(entity for idle, extra, entity in close if (idle, extra) == least)

    def _at(self, entity: Entity, side: str) -> bool:
        return Atom("at", (entity.name, side)) in self._scene.facts

    def _to_a_place(self, mention: _Mention) -> int:
        """Where a mention of a place begins: "to the right of the plate" is "on" that place."""
        start = mention.start
        places = all(entity.kind == "place" for entity in mention.fitting)
        if places and token_at(self._tokens, start - 1) in ("to", "at"):
            self._tokens[start - 1] = "on"
        elif places and self._tokens[start] in words.ELSEWHERE:  # "under the shelf" is a place of that name
            self._tokens[start] = "on"
            return start + 1
        return start

    def _where(self, mention: _Mention, start: int) -> tuple[tuple[Entity, ...], int]:
        """What of the things that fit stands where the words after it say, and where these end."""
        fitting, end = mention.fitting, mention.end
        for side, stop in self._sides(end):
            told = tuple(entity for entity in fitting if self._at(entity, side))
            if told:
                return told, stop
        for facts, stop in self._relations(end, self._taken(start)):
            told = tuple(entity for entity in fitting if any(fact(entity) for fact in facts))
            if told:
                return told, stop
        return fitting, end

    def _sides(self, place: int) -> Iterator[tuple[str, int]]:
        """Read "at the front", "in the middle", "from table center"."""
        if token_at(self._tokens, place) not in ("at", "in", "on", "from"):
            return
        place += 1
        while token_at(self._tokens, place) in ("the", "table"):
            place += 1
        side, after = token_at(self._tokens, place), token_at(self._tokens, place + 1)
        if side in SIDES and after not in ("of", *self._known):
            yield SIDES[side], place + 1
        elif side in SIDES and self._tokens[place + 1 : place + 4] == ["of", "the", "table"]:
            yield SIDES[side], place + 4

    def _taken(self, start: int) -> bool:
        """Whether what is named here is taken, so that "on the stove" says where it is, not where it goes."""
        verbs = words.CUE_FORMS["hold"] | words.PUT_VERBS
        before = [token for token in self._tokens[:start] if token in verbs]
        return not before or before[-1] in words.CUE_FORMS["hold"]

    def _relations(self, place: int, taken: bool) -> Iterator[tuple[list[_Fact], int]]:
        """Read "next to the plate", "between the plate and the ramekin", "on the stove" of what is taken."""
        for opener in _BESIDE:
            if tuple(self._tokens[place : place + len(opener)]) == opener:
                other = self._mention(place + len(opener))
                if other is not None:
                    yield [self._fact("beside", each) for each in other.fitting], other.end
        if token_at(self._tokens, place) == "between":
            yield from self._between(place + 1)
        relation = token_at(self._tokens, place)
        if taken and relation in ("in", "on"):
            other = self._mention(place + 1)
            if other is not None:
                pairs = [(each, way) for each in other.fitting for way in ("in", "on")]
                yield [self._fact(way, each) for each, way in pairs], other.end

    def _between(self, place: int) -> Iterator[tuple[list[_Fact], int]]:
        one = self._mention(place)
        if one is None or token_at(self._tokens, one.end) != "and":
            return
        two = self._mention(one.end + 1)
        if two is not None:
            yield [self._fact("between", a, b) for a in one.fitting for b in two.fitting], two.end

    def _fact(self, predicate: str, *others: Entity) -> _Fact:
        return _Fact(self._scene, predicate, tuple(other.name for other in others))


@dataclass(frozen=True)
class _Fact:
    """A fact about a thing and others, to be looked up."""

    scene: SceneGraph
    predicate: str
    others: tuple[str, ...]

    def __call__(self, entity: Entity) -> bool:
        return Atom(self.predicate, (entity.name, *self.others)) in self.scene.facts


def _words_of(entity: Entity) -> frozenset[str]:
    """The words that may be said of an entity: those of its name, and its other words."""
    name = [word for word in entity.name.split() if not word.isdigit() and word not in _LINKS]
    return frozenset([*name, *entity.attributes.get("also", "").split()])


def _nouns_of(entity: Entity) -> Iterator[str]:
    """The nouns of a name: its last word, that before "of", and the last of its other words."""
    for part in (*entity.name.split(" of the "), entity.attributes.get("also", entity.name)):
        yield [word for word in part.split() if not word.isdigit()][-1]


def _singular(word: str) -> str:
    """The word, or what it is the regular plural of."""
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
