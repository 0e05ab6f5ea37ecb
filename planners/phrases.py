"""Noun phrases out of a command: its words, and where they name things of the scene.

A phrase holds what is said, "both of the small red blocks"; which entities that is, `planners.references`
finds out. A noun or an adjective of a phrase may be a word of the scene's own names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from planners import vocabulary as words
from planners.answers import RefusalError, absent
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


@dataclass
class Phrase:
    """A noun phrase between two token positions, and the entities it fits.

    Attributes:
        start, end: of its tokens; `end` is the first that is not the phrase's.
        adjectives: colours, sizes and the scene's own, under their usual names.
        kind: of its noun, or the name of an entity; None if the noun is missing or generic.
        generic: its noun where that is "thing", "one", "others" or "container".
        plural: whether the noun is in the plural.
        every: "all", "every", "each", "both" or "everything".
        indefinite: whether any such thing would do.
        other: whether things named before are not meant.
        number: of things.
        shown: how answers call it.
        found: what it refers to; empty until that is looked up.
        any: whether one of `found` is enough.
        swallow: tokens after `end` that served to find it ("on the table", "except the red one").
    """

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
    swallow: int = 0


def tokenise(command: str, scene: SceneGraph) -> list[str]:
    """The words and marks of a command in lower case, slips of the finger mended.

    What the hand holds, however it is put, is the one token "held-thing".
    """
    lowered = command.lower().replace("’", "'").replace("-", " ")
    own = frozenset(word for entity in scene.entities for word in entity.name.lower().split())
    joined = " ".join(words.corrected(token, own) for token in _TOKEN.findall(lowered))
    joined = re.sub(r"\bdo(?:n't| not) forget to\b", "", joined)
    return _HELD.sub("the held-thing", joined).split()


def token_at(tokens: Sequence[str], place: int) -> str:
    """The token at a place; "" before the first and after the last."""
    return tokens[place] if 0 <= place < len(tokens) else ""


def held(scene: SceneGraph) -> tuple[Entity, ...]:
    """What the hand holds.

    Raises:
        RefusalError: nothing.
    """
    holding = [fact.args[0] for fact in scene.facts if fact.predicate == "holding"]
    if not holding:
        raise RefusalError("The hand is empty: I hold nothing.")
    return (scene.entity(holding[0]),)


def find_phrases(tokens: list[str], scene: SceneGraph) -> list[Phrase]:
    """The noun phrases of a command, in order; only what the hand holds is looked up already.

    Raises:
        RefusalError: a phrase has a noun that nobody knows, or the hand is empty and should not be.
    """
    return _Parser(tokens, scene).phrases()


class _Parser:
    def __init__(self, tokens: list[str], scene: SceneGraph) -> None:
        self._tokens, self._scene = tokens, scene

    def phrases(self) -> list[Phrase]:
        """The phrases of the command, from left to right."""
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
        return token_at(self._tokens, place)

    def _phrase(self, start: int) -> Phrase | None:
        """The noun phrase that begins here, if one does."""
        return self._held_thing(start) or self._everything(start) or self._with_noun(start)

    def _held_thing(self, start: int) -> Phrase | None:
        noun = start + (self._at(start) in words.DETERMINERS)
        if self._at(noun) != "held-thing":
            return None
        return Phrase(start, noun + 1, shown="what I hold", found=held(self._scene))

    def _everything(self, start: int) -> Phrase | None:
        """Read "everything", "anything else", and "all" before "but"."""
        if self._at(start) in words.EVERYTHING:
            other = self._at(start + 1) == "else"
        elif self._at(start) == "all" and self._at(start + 1) in words.EXCEPT:
            other = False
        else:
            return None
        end = start + 1 + other
        return self._shown(Phrase(start, end, generic="thing", every="everything", other=other))

    def _with_noun(self, start: int) -> Phrase | None:
        """Read "both of the small red blocks", "the other two", "the red" with its noun left out."""
        phrase = Phrase(start, start)
        place = self._leading(phrase, start)
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

    def _shown(self, phrase: Phrase) -> Phrase:
        """The phrase with `shown` filled in: its words without articles."""
        shown = self._tokens[phrase.start : phrase.end]
        skip = words.DETERMINERS | words.INDEFINITE | words.ALL | {"of"}
        phrase.shown = " ".join(token for token in shown if token not in skip)
        return phrase

    def _leading(self, phrase: Phrase, place: int) -> int:
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

    def _noun(self, phrase: Phrase, place: int, shy: bool) -> int:
        """Read the noun, if there is one; where it ends."""
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

    def _postmodifier(self, phrase: Phrase, place: int) -> int:
        """Read "that is red" after a noun."""
        that_is = self._at(place) in ("that", "which") and self._at(place + 1) in ("is", "are")
        if not that_is or self._at(place + 2) not in words.ADJECTIVE_OF:
            return place
        phrase.adjectives += (words.ADJECTIVE_OF[self._at(place + 2)],)
        return place + 3

    def _check_noun(self, phrase: Phrase, place: int) -> None:
        """Refuse "the red banana": an adjective, and then a word nobody knows."""
        token = self._at(place)
        if token.isalpha() and token not in words.KNOWN:
            raise RefusalError(absent(self._scene, f"{' '.join(phrase.adjectives)} {token}"))

    def _check_unknown(self, place: int) -> None:
        """Refuse "the banana"."""
        opener = words.DETERMINERS | words.INDEFINITE | words.ALL
        if self._at(place) in opener and self._at(place + 1).isalpha():
            noun = self._at(place + 1)
            if noun not in words.KNOWN:
                raise RefusalError(absent(self._scene, noun))
