"""Reading a command against a scene: which things it names, and what is left when they are named A, B, C.

What a phrase refers to is looked up, not guessed: colours, sizes and kinds with their synonyms, plurals,
"all but", "the other one", "what you hold". A phrase that fits nothing is a refusal, one that fits too
much is a question. What is left, "put A in the drawer and close it", is what the language model sees, so
that it need never have heard of this scene's objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from planners import vocabulary as words
from planners.answers import QuestionError, RefusalError
from planners.phrases import Phrase, tokenise
from planners.references import find_references
from robot_skills.scene_graph import Entity, SceneGraph

#: The labels of things, in order of mention.
LETTERS = "ABCDEFGH"
#: What the reduced command does without.
_LEFT_OUT = frozenset(
    {
        "please", "kindly", "hey", "hi", "hello", "robot", "thanks", "thank", "could", "would", "can", "will",
        "you", "the", "!", "?", ".", ";", ":",
    }
)  # fmt: skip


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


def read_command(command: str, scene: SceneGraph) -> Reading:
    """Look up what a command names in a scene."""
    tokens = tokenise(command, scene)
    text = " ".join(tokens)
    reason = _not_a_command(tokens)
    if reason is not None:
        return Reading(text, refused=reason)
    try:
        phrases = find_references(tokens, scene)
    except RefusalError as refusal:
        return Reading(text, refused=str(refusal))
    except QuestionError as question:
        return Reading(text, question=str(question))
    return reduced(tokens, phrases)


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
        begins = first or tokens[place - 1] in words.CLAUSE_BREAKS
        if begins and token in words.forms(words.BEYOND) and not given:
            return f"No skill of mine can {token!r}; I pick, place, push, open, close and press."
    return None


def reduced(tokens: Sequence[str], phrases: Sequence[Phrase]) -> Reading:
    """A command with its phrases, in order, replaced by labels."""
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
    tokens: Sequence[str], phrases: Sequence[Phrase]
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
    for token in tokens:
        if token not in _LEFT_OUT:
            yield words.DIRECTION_OF.get(token, token)
