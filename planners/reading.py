"""Reading a command against a scene: which things it names, and what is left when they are named A, B, C.

What a phrase refers to is looked up, not guessed: colours, sizes and kinds with their synonyms, plurals,
"all but", "the other one", "what you hold". A phrase that fits nothing is a refusal, one that fits too
much is a question. What is left, "put A in the drawer and close it", is what the language model sees, so
that it need never have heard of this scene's objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from planners import vocabulary as words
from robot_skills.logic import Atom
from robot_skills.scene_graph import Entity, SceneGraph

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+|[,.;:!?]")
_HELD = re.compile(
    r"\b(?:what(?:ever)?|(?:the|that) (?:object|thing|item|one)(?: that| which)?)"
    r"(?: (?:you(?: are|'re)?|is|it is|it's))?(?: (?:now|currently))?"
    r" (?:hold(?:ing)?|held|carry(?:ing)?|grasp(?:ing)?|have|got|in)"
    r"(?: got)?(?:(?: in)? (?:your|the) (?:hands?|gripper|fingers))?(?= |$)"
    r"|\b(?:the|that) (?:\w+ ){1,3}(?:that |which )?you(?: are|'re)? (?:hold(?:ing)?|carrying|grasping)\b"
    r"|\bwhat(?:ever)?(?:'s| is) in (?:your|the) (?:hand|gripper)\b"
    r"|\bthe held \w+\b"
)
_CLAUSE = frozenset({",", ";", ".", ":", "and", "then", "but"})
LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Thing:
    """What a phrase of the command refers to.

    Attributes:
        label: how the reduced command names it: "A", or "drawer" for a fixture.
        names: the entities; several for "both blocks", or for "a block" where any would do.
        any: whether one of them is enough.
        tags: what may be done with every one of them.
        kinds: their kinds.
    """

    label: str
    names: tuple[str, ...]
    any: bool
    tags: frozenset[str]
    kinds: frozenset[str]


@dataclass(frozen=True)
class Reading:
    """A command with its things looked up.

    Attributes:
        text: the command with every phrase replaced by its label.
        things: what the labels stand for, in order of mention.
        refused: why the command cannot be done, when it cannot.
        question: what has to be asked first, when something has.
    """

    text: str
    things: tuple[Thing, ...] = ()
    refused: str | None = None
    question: str | None = None

    @property
    def tokens(self) -> list[str]:
        """The reduced command word by word."""
        return self.text.split()


class _RefusalError(Exception):
    pass


class _QuestionError(Exception):
    pass


@dataclass
class _Phrase:
    """A noun phrase between two token positions, and the entities it fits."""

    start: int
    end: int
    adjectives: tuple[str, ...] = ()
    kind: str | None = None
    generic: str | None = None
    plural: bool = False
    every: str | None = None
    indefinite: bool = False
    other: bool = False
    number: int | None = None
    shown: str = ""
    found: tuple[Entity, ...] = ()
    any: bool = False
    swallow: int = field(default=0)


def read_command(command: str, scene: SceneGraph) -> Reading:
    """Look up what a command names in a scene."""
    tokens = _tokens(command, scene)
    text = " ".join(tokens)
    reason = _not_a_command(tokens)
    if reason is not None:
        return Reading(text, refused=reason)
    try:
        phrases = _Reader(tokens, scene).phrases()
    except _RefusalError as refusal:
        return Reading(text, refused=str(refusal))
    except _QuestionError as question:
        return Reading(text, question=str(question))
    return _reduced(tokens, phrases)


def listing(names: Iterable[str], joint: str = "and") -> str:
    """Names as a person lists them: "a, b and c"."""
    *most, last = names
    return f"{', '.join(most)} {joint} {last}" if most else last


def _tokens(command: str, scene: SceneGraph) -> list[str]:
    lowered = command.lower().replace("’", "'").replace("-", " ")
    own = frozenset(word for entity in scene.entities for word in entity.name.lower().split())
    joined = " ".join(words.corrected(token, own) for token in _TOKEN.findall(lowered))
    joined = re.sub(r"\bdo(?:n't| not) forget to\b", "", joined)
    return _HELD.sub("the held-thing", joined).split()


def _not_a_command(tokens: Sequence[str]) -> str | None:
    spoken = [token for token in tokens if token.isalpha() or "'" in token]
    spoken = [token for token in spoken if token not in words.COURTESY] or spoken
    if not spoken:
        return "I found no words in that; say for example: put the red block in the drawer."
    if spoken[0] in words.QUESTION_WORDS and "held-thing" not in tokens[:2]:
        return "That is a question, not a command; I move things, open and close, push and press."
    for place, token in enumerate(tokens):
        where = " ".join(tokens[place : place + 2])
        if token in words.ELSEWHERE or where in words.ELSEWHERE:
            known = where if where in words.ELSEWHERE else token
            return f"I know no place {known!r}; I put things in containers and on supports."
        if token in words.PROHIBITIONS and "everything" not in tokens[:place][-1:]:
            return f"I cannot keep to {token!r}; say what should be so at the end instead."
        first = all(before in words.COURTESY for before in tokens[:place])
        given = token == "give" and words.forms(["push", "nudge", "shove", "press"]) & set(tokens)
        if (first or tokens[place - 1] in _CLAUSE) and token in words.forms(words.BEYOND) and not given:
            return f"No skill of mine can {token!r}; I pick, place, push, open, close and press."
    return None


class _Reader:
    def __init__(self, tokens: list[str], scene: SceneGraph) -> None:
        self._tokens, self._scene = tokens, scene
        self._done: list[_Phrase] = []

    def phrases(self) -> list[_Phrase]:
        """The phrases of the command in order, each with what it refers to."""
        raw = self._parse()
        self._lend_nouns(raw)
        self._leave_out(raw)
        for phrase in raw:
            if any(
                phrase.start < other.end + other.swallow and other.start < phrase.start
                for other in self._done
            ):
                continue
            if not phrase.found:
                self._resolve(phrase, raw)
            self._done.append(phrase)
        self._add_held()
        return self._done

    def _parse(self) -> list[_Phrase]:
        found, place = [], 0
        while place < len(self._tokens):
            phrase = self._phrase(place)
            if phrase is None:
                self._check_unknown(place)
                place += 1
            else:
                found.append(phrase)
                place = phrase.end
        return found

    def _at(self, place: int) -> str:
        return self._tokens[place] if 0 <= place < len(self._tokens) else ""

    def _phrase(self, start: int) -> _Phrase | None:
        """The noun phrase that begins here, if one does."""
        phrase, place = _Phrase(start, start), start
        if self._at(place) == "held-thing" or (
            self._at(place) in words.DETERMINERS and self._at(place + 1) == "held-thing"
        ):
            phrase.end = place + 1 + (self._at(place) != "held-thing")
            phrase.found, phrase.shown = self._held(), "what I hold"
            return phrase
        if self._at(place) in words.EVERYTHING:
            phrase.every, phrase.generic, phrase.end = "everything", "thing", place + 1
            phrase.other = self._at(place + 1) == "else"
            phrase.end += phrase.other
            return self._shown(phrase)
        if self._at(place) == "all" and self._at(place + 1) in words.EXCEPT:
            phrase.every, phrase.generic, phrase.end = "everything", "thing", place + 1
            return self._shown(phrase)
        place = self._leading(phrase, place)
        opened = place > start
        while self._at(place) in words.ADJECTIVE_OF or self._is_scene_adjective(place):
            phrase.adjectives += (words.ADJECTIVE_OF.get(self._at(place), self._at(place)),)
            place += 1
        place = self._noun(phrase, place, shy=not opened and not phrase.adjectives)
        if phrase.kind is None and phrase.generic is None:
            if not phrase.adjectives and not (phrase.other and place > start):
                return None
            vague = phrase.indefinite or not opened
            if vague and phrase.adjectives and set(phrase.adjectives) <= set(words.SIZES):
                return None  # "a little to the left"
            self._check_noun(phrase, place)
            phrase.generic = "others" if phrase.other else None
            phrase.plural = phrase.plural or self._at(place - 1) in ("others", "rest", "remaining")
        phrase.end = place
        return self._shown(phrase)

    def _shown(self, phrase: _Phrase) -> _Phrase:
        shown = self._tokens[phrase.start : phrase.end]
        skip = words.DETERMINERS | words.INDEFINITE | words.ALL | {"of"}
        phrase.shown = " ".join(token for token in shown if token not in skip)
        return phrase

    def _leading(self, phrase: _Phrase, place: int) -> int:
        """Read "all of the other two"; where it ends."""
        while True:
            token = self._at(place)
            if token in words.ALL:
                phrase.every = token
            elif token in words.INDEFINITE or (token == "one" and self._at(place + 1) == "of"):
                phrase.indefinite = True
            elif token in words.NUMBERS:
                phrase.number = words.NUMBERS[token]
            elif token in words.OTHER:
                phrase.other = True
                if token in ("others", "rest"):
                    return place + 1 + 2 * (self._at(place + 1) == "of" and self._at(place + 2) == "them")
            elif token == "of" and (phrase.every or phrase.indefinite or phrase.number or phrase.other):
                pass
            elif token not in words.DETERMINERS:
                return place
            place += 1

    def _is_scene_adjective(self, place: int) -> bool:
        """Whether the token is a word of some entity's name before its last."""
        token = self._at(place)
        return any(token in entity.name.lower().split()[:-1] for entity in self._scene.entities)

    def _noun(self, phrase: _Phrase, place: int, shy: bool) -> int:
        token = self._at(place)
        own = {entity.kind for entity in self._scene.entities} | {e.name for e in self._scene.entities}
        if shy and token in words.SHY_NOUNS and self._at(place - 1) not in ("on", "off"):
            return place
        if token in words.KIND_OF or token in own:
            phrase.kind = token if token in own else words.KIND_OF[token]
        elif token in words.GENERIC_FORMS or token in ("container", "containers"):
            phrase.generic = token
        else:
            return place
        phrase.plural = token in words.PLURALS or token == "containers"
        place += 1
        while self._at(place) in ("handle", "knob", "lid", "top") and self._at(place) != self._at(place - 1):
            place += 1
        if phrase.kind and words.KIND_OF.get(self._at(place)) == phrase.kind:  # "the lamp button"
            place += 1
        return self._postmodifier(phrase, place)

    def _postmodifier(self, phrase: _Phrase, place: int) -> int:
        """Read "that is red" after a noun."""
        that_is = self._at(place) in ("that", "which") and self._at(place + 1) in ("is", "are")
        if not that_is or self._at(place + 2) not in words.ADJECTIVE_OF:
            return place
        phrase.adjectives += (words.ADJECTIVE_OF[self._at(place + 2)],)
        return place + 3

    def _check_noun(self, phrase: _Phrase, place: int) -> None:
        """Refuse "the red banana": an adjective, and then a word nobody knows."""
        token = self._at(place)
        if token.isalpha() and token not in words.KNOWN:
            raise _RefusalError(self._absent(f"{' '.join(phrase.adjectives)} {token}"))

    def _check_unknown(self, place: int) -> None:
        """Refuse "the banana"."""
        opener = words.DETERMINERS | words.INDEFINITE | words.ALL
        if self._at(place) in opener and self._at(place + 1).isalpha():
            noun = self._at(place + 1)
            if noun not in words.KNOWN:
                raise _RefusalError(self._absent(noun))

    def _absent(self, shown: str) -> str:
        there = [entity.name for entity in self._scene.entities]
        return f"There is no {shown} here; there are: {listing(there)}."

    def _held(self) -> tuple[Entity, ...]:
        held = [fact.args[0] for fact in self._scene.facts if fact.predicate == "holding"]
        if not held:
            raise _RefusalError("The hand is empty: I hold nothing.")
        return (self._scene.entity(held[0]),)

    def _lend_nouns(self, phrases: Sequence[_Phrase]) -> None:
        """Give "the red" of "the red and the blue block" a noun: its neighbour's, or one used before."""
        for number, phrase in enumerate(phrases):
            if (
                phrase.kind
                or phrase.found
                or (phrase.generic and not phrase.generic.startswith(("one", "others")))
            ):
                continue
            later = phrases[number + 1] if number + 1 < len(phrases) else None
            if later and later.kind and phrase.generic is None and self._joined(phrase, later):
                phrase.kind = later.kind
                continue
            for before in reversed(phrases[:number]):
                if before.kind in words.LOOSE and self._fitting(phrase, before.kind):
                    phrase.kind = before.kind
                    break

    def _joined(self, left: _Phrase, right: _Phrase) -> bool:
        between = self._tokens[left.end : right.start]
        return bool(between) and all(token in ("and", ",", "or") for token in between)

    def _leave_out(self, phrases: list[_Phrase]) -> None:
        """Handle "everything except the red block": resolve what is left out, and take it away."""
        for number, phrase in enumerate(phrases[:-1]):
            token = self._at(phrase.end)
            gap = (
                2
                if token == "apart" and self._at(phrase.end + 1) in ("from",)
                else int(token in words.EXCEPT)
            )
            between = self._tokens[phrase.end + gap : phrases[number + 1].start]
            if not gap or between not in ([], ["for"]):
                continue
            left_out = [phrases[number + 1]]
            for later in phrases[number + 2 :]:
                if not self._joined(left_out[-1], later):
                    break
                left_out.append(later)
            gone: set[str] = set()
            for item in left_out:
                self._resolve(item, phrases)
                gone |= {entity.name for entity in item.found}
            phrase.every = phrase.every or "all"
            phrase.found = tuple(entity for entity in self._fitting(phrase) if entity.name not in gone)
            if not phrase.found:
                raise _RefusalError(f"Nothing is left of {phrase.shown!r} without {listing(sorted(gone))}.")
            phrase.swallow = left_out[-1].end - phrase.end

    def _fitting(self, phrase: _Phrase, kind: str | None = None) -> tuple[Entity, ...]:
        """The entities that fit a phrase's adjectives and noun."""
        kind = kind or phrase.kind
        container = (phrase.generic or "").startswith("container")
        return tuple(
            entity
            for entity in self._scene.entities
            if (
                kind in (entity.kind, entity.name)
                if kind
                else ("container" if container else "graspable") in entity.tags
            )
            and all(adjective in _described(entity) for adjective in phrase.adjectives)
        )

    def _resolve(self, phrase: _Phrase, phrases: Sequence[_Phrase]) -> None:
        fitting = self._fitting(phrase)
        if phrase.other:
            named = {entity.name for other in self._done for entity in other.found}
            fitting = tuple(entity for entity in fitting if entity.name not in named)
        if not fitting:
            raise _RefusalError(
                self._absent(phrase.shown if not phrase.other else f"{phrase.shown} than those named")
            )
        fitting = self._where(phrase, fitting, phrases)
        if phrase.every or (phrase.plural and not phrase.indefinite) or phrase.number:
            phrase.found = self._several(phrase, fitting)
        elif len(fitting) == 1:
            phrase.found = fitting
        elif phrase.indefinite:
            phrase.found, phrase.any = fitting, True
        else:
            phrase.found = self._mentioned(phrase, fitting)

    def _several(self, phrase: _Phrase, fitting: tuple[Entity, ...]) -> tuple[Entity, ...]:
        number = 2 if phrase.every == "both" else phrase.number
        names = [entity.name for entity in fitting]
        if phrase.every == "both" and len(fitting) == 1 and self._at(phrase.end) == "and":
            return fitting  # "both the drawer and the door"
        if number and len(fitting) < number:
            raise _RefusalError(
                f"There {'is' if len(names) == 1 else 'are'} only {listing(names)} here, not {number}."
            )
        if number and len(fitting) > number:
            raise _QuestionError(f"Which {number} of them: {listing(names, 'or')}?")
        return fitting

    def _mentioned(self, phrase: _Phrase, fitting: tuple[Entity, ...]) -> tuple[Entity, ...]:
        """Of several that fit, the one that was named before; else it has to be asked."""
        before = [entity for other in self._done for entity in other.found if entity in fitting]
        unique = dict.fromkeys(entity.name for entity in before)
        if len(unique) == 1 and not phrase.adjectives:
            return (before[0],)
        what = phrase.shown or phrase.kind or "object"
        raise _QuestionError(f"Which {what} do you mean: {listing([e.name for e in fitting], 'or')}?")

    def _where(
        self, phrase: _Phrase, fitting: tuple[Entity, ...], phrases: Sequence[_Phrase]
    ) -> tuple[Entity, ...]:
        """Use "on the table" in "the block on the table", where it cannot be a destination, to pick."""
        later = [other for other in phrases if other.start >= phrase.end]
        if not later:
            return fitting
        between = self._tokens[phrase.end : later[0].start]
        telling = bool(between) and between[0] in ("that", "which") and between[1:2] in (["is"], ["are"])
        relation = {"in": "in", "inside": "in", "on": "on"}.get(between[-1] if between else "")
        if relation is None or len(between) != 1 + 2 * telling:
            return fitting
        if not telling and self._is_destination(phrase, later):
            return fitting
        places = self._fitting(later[0])
        inside = tuple(
            entity
            for entity in fitting
            if any(Atom(relation, (entity.name, place.name)) in self._scene.facts for place in places)
        )
        if not inside:
            if len(fitting) == 1 and not telling:
                return fitting
            raise _RefusalError(f"There is no {phrase.shown} {between[-1]} the {later[0].shown}.")
        phrase.swallow = later[0].end - phrase.end
        return inside

    def _is_destination(self, phrase: _Phrase, later: Sequence[_Phrase]) -> bool:
        """Whether the place named next is where the phrase's things are to go."""
        verbs = [token for token in self._tokens[: phrase.start] if token in _VERBS]
        if verbs and verbs[-1] not in _PUTTING:
            return False
        clause = self._tokens[later[0].end : later[1].start] if len(later) > 1 else []
        return not (
            clause
            and clause[-1] in ("in", "on", "into", "onto", "to", "inside")
            and not _CLAUSE & set(clause)
        )

    def _add_held(self) -> None:
        """Let "it" of "put it down" be what the hand holds, when nothing else was named before it."""
        pronouns = [place for place, token in enumerate(self._tokens) if token in ("it", "them")]
        first = self._done[0].start if self._done else len(self._tokens)
        if pronouns and pronouns[0] < first:
            if not any(fact.predicate == "holding" for fact in self._scene.facts):
                raise _QuestionError(f"What does {self._tokens[pronouns[0]]!r} stand for?")
            place = pronouns[0]
            self._done.insert(0, _Phrase(place, place + 1, shown="what I hold", found=self._held()))
            return
        release = self._release()
        if release is not None:
            self._done.append(_Phrase(release, release, shown="what I hold", found=self._held()))
            self._done.sort(key=lambda phrase: phrase.start)

    def _release(self) -> int | None:
        """Where "let go" or "put down" leaves unsaid what."""
        if not self._done and set(self._tokens) & _LETTING_GO:
            return len(self._tokens)
        for place in range(2, len(self._tokens) + 1):
            if self._tokens[place - 2 : place] == ["let", "go"] and self._at(place) in ("", *_CLAUSE):
                return place
        return None


_LETTING_GO = words.forms(["drop", "release"]) | {"down", "let"}
_PUTTING = words.forms(words.PUT_VERBS) | words.forms(["move"])
_VERBS = _PUTTING | frozenset().union(
    *(words.CUE_FORMS[family] for family in ("open", "close", "press", "hold", "move"))
) - {"light"}  # fmt: skip


def _described(entity: Entity) -> frozenset[str]:
    """The words that describe an entity, each under its usual name."""
    raw = {*entity.name.lower().split(), *(str(value).lower() for value in entity.attributes.values())}
    return frozenset(raw | {words.ADJECTIVE_OF.get(word, word) for word in raw})


def _reduced(tokens: Sequence[str], phrases: Sequence[_Phrase]) -> Reading:
    things: list[Thing] = []
    text: list[str] = []
    place = 0
    for names, any_one, start, end in _coordinated(tokens, phrases):
        text += tokens[place:start]
        thing = _thing(names, any_one, things)
        if thing not in things:
            things.append(thing)
        text.append(thing.label)
        place = end
    text += tokens[place:]
    return Reading(" ".join(_plain(text)), tuple(things))


def _coordinated(
    tokens: Sequence[str], phrases: Sequence[_Phrase]
) -> Iterator[tuple[tuple[Entity, ...], bool, int, int]]:
    """The phrases, with "A, B and C" joined into one, unless the first is a place, as in "on A and B"."""
    number = 0
    while number < len(phrases):
        first = phrases[number]
        found, end = first.found, first.end + first.swallow
        placed = _is_place(tokens, first.start)
        while number + 1 < len(phrases) and not placed and not first.any:
            after = phrases[number + 1]
            between = tokens[end : after.start]
            joined = bool(between) and all(token in ("and", ",") for token in between)
            shared = frozenset.intersection(*(e.tags for e in (*found, *after.found)))
            if not joined or after.any or not shared & {"graspable", "openable", "pressable"}:
                break
            found = tuple(dict.fromkeys((*found, *after.found)))
            end = after.end + after.swallow
            number += 1
        yield found, first.any, first.start, end
        number += 1


def _is_place(tokens: Sequence[str], start: int) -> bool:
    """Whether what begins here is where something goes: after "in", "to" or "on top of"."""
    before = tokens[max(0, start - 2) : start]
    return before == ["top", "of"] or "".join(before[-1:]) in ("in", "on", "into", "onto", "inside", "to")


def _thing(found: tuple[Entity, ...], any_one: bool, things: Sequence[Thing]) -> Thing:
    names = tuple(entity.name for entity in found)
    for known in things:
        if known.names == names and known.any == any_one:
            return known
    lone = len(found) == 1 and found[0].name == found[0].kind
    letters = [thing.label for thing in things if len(thing.label) == 1]
    label = found[0].name if lone else LETTERS[min(len(letters), len(LETTERS) - 1)]
    tags = frozenset.intersection(*(entity.tags for entity in found))
    return Thing(label, names, any_one, tags, frozenset(entity.kind for entity in found))


def _plain(tokens: Iterable[str]) -> Iterator[str]:
    """Words under their usual names, courtesies and full stops left out."""
    politely = {
        "please",
        "kindly",
        "hey",
        "hi",
        "hello",
        "robot",
        "thanks",
        "thank",
        "could",
        "would",
        "can",
        "will",
    }
    rename: Mapping[str, str] = words.DIRECTION_OF
    for token in tokens:
        if token in politely or token in ("you", "the", "!", "?", ".", ";", ":"):
            continue
        yield rename.get(token, token)
