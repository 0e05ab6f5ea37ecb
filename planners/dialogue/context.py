"""What earlier turns lend to a line: what "it" is, which one is "the other one", where a thing was before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from planners import vocabulary as words
from planners.answers import RefusalError, listing
from planners.dialogue.queries import InWords, Query, conjoined, readable
from planners.phrases import Phrase, find_phrases, token_at, tokenise
from planners.references import described
from robot_skills.logic import Atom, Formula, Not, atoms
from robot_skills.scene_graph import Entity, SceneGraph

_PRONOUNS = frozenset({"it", "them", "that", "there"})
_INTO, _ONTO = words.CUE_FORMS["into"] | {"to"}, words.CUE_FORMS["onto"]
_SWITCHING = words.forms(["press", "switch", "turn", "activate", "deactivate"])
_OPPOSITES = {"left": "right", "right": "left", "forward": "back", "back": "forward"}


@dataclass(frozen=True)
class Turn:
    """A command that was carried out, or begun.

    Attributes:
        command: what was said, answers put in.
        goal: what it asked for.
        before: the scene when it was given.
        after: the scene when it ended; None while it runs.
        done: whether the goal held then.
    """

    command: str
    goal: Formula
    before: SceneGraph
    after: SceneGraph | None = None
    done: bool = False

    def named(self) -> tuple[str, ...]:
        """The things the goal is about: what is handled before where it goes; the table is none."""
        handled = dict.fromkeys(atom.args[0] for atom in atoms(self.goal))
        places = dict.fromkeys(atom.args[1] for atom in atoms(self.goal) if atom.predicate in ("in", "on"))
        table = {entity.name for entity in self.before.entities if entity.kind == "table"}
        return tuple(name for name in {**handled, **places} if name not in table)


def salient(history: Sequence[Turn], scene: SceneGraph) -> tuple[str, ...]:
    """The things a pronoun may stand for, likeliest first: what the hand holds, then the latest mentioned."""
    held = [fact.args[0] for fact in scene.facts if fact.predicate == "holding"]
    here = {entity.name for entity in scene.entities}
    named = (name for turn in reversed(history) for name in turn.named())
    return tuple(name for name in dict.fromkeys([*held, *named]) if name in here)


def resolved(command: str, scene: SceneGraph, history: Sequence[Turn]) -> str | Query:
    """A command with its pronouns for things of earlier turns replaced by their names, where they have any.

    Returns:
        The command, as it was where nothing is to be replaced; or a question, where "the other one" leaves
        more than one.
    """
    tokens = tokenise(command, scene)
    try:
        phrases = find_phrases(tokens, scene)
    except RefusalError:  # the planner says what is wrong
        return command
    known = salient(history, scene)
    place = _loose_pronoun(tokens, phrases, scene)
    if place is not None and known:
        name = _meant(tokens, place, phrases, history, known, scene)
        if name is not None:
            tokens[place : place + 1] = name
            return " ".join(tokens)
    if known and phrases and phrases[0].other:
        return _other(tokens, phrases[0], known, scene, command)
    return command


def _loose_pronoun(tokens: Sequence[str], phrases: Sequence[Phrase], scene: SceneGraph) -> int | None:
    """Where the first pronoun stands that no thing of its own command can be meant by."""
    for place, token in enumerate(tokens):
        if token not in _PRONOUNS or any(phrase.start <= place < phrase.end for phrase in phrases):
            continue
        breaks = [at for at in range(place) if tokens[at] in words.CLAUSE_BREAKS]
        began = breaks[-1] if breaks else 0
        tag = _asked(tokens, place)
        apt = [entity.name for entity in scene.entities if _carries(entity, tag)]
        earlier = [phrase for phrase in phrases if phrase.end <= began]
        if not any(_names(phrase, scene, name) for phrase in earlier for name in apt):
            return place
    return None


def _meant(
    tokens: Sequence[str],
    place: int,
    phrases: Sequence[Phrase],
    history: Sequence[Turn],
    known: Sequence[str],
    scene: SceneGraph,
) -> list[str] | None:
    """The words for what a pronoun means, by what is done to it or put into it."""
    before = token_at(tokens, place - 1)
    there = tokens[place] == "there"
    tag = _asked(tokens, place)
    loose = {name for name in known if _carries(scene.entity(name), "graspable")}
    fitting = [name for name in known if _carries(scene.entity(name), tag)]
    if "container" in tag or tag == "support":  # a thing named here does not go into itself
        fitting = [name for name in fitting if not any(_names(phrase, scene, name) for phrase in phrases)]
    if there:
        fitting = [name for name in fitting if name not in loose] or fitting
    if tokens[place] == "them":
        several = next((turn.named() for turn in reversed(history)), ())
        fitting = [name for name in several if name in fitting]
    else:
        fitting = fitting[:1]
    if not fitting or not all(readable(name, scene) for name in fitting):
        return None
    relation = []
    if there and before not in _INTO | _ONTO:
        relation = ["in" if _carries(scene.entity(fitting[0]), "container") else "on"]
    return [*relation, *listing([f"the {name}" for name in fitting]).split()]


def _asked(tokens: Sequence[str], place: int) -> str:
    """The tag of what a pronoun stands for."""
    before = token_at(tokens, place - 1)
    if before in words.CUE_FORMS["into"]:
        return "container"
    if before in words.CUE_FORMS["onto"] and not _SWITCHING & set(tokens[:place]):
        return "support"
    if tokens[place] == "there":
        return "container|support"
    for token in reversed(tokens[:place]):
        if (
            token in words.CUE_FORMS["open"] | words.CUE_FORMS["close"]
            and token not in words.CUE_FORMS["move"]
        ):
            return "openable"
        if token in _SWITCHING:
            return "pressable"
        if token in words.CUE_FORMS["hold"] | words.forms(words.PUT_VERBS) | words.CUE_FORMS["move"]:
            return "graspable"
    return "graspable|openable|pressable"


def _carries(entity: Entity, tag: str) -> bool:
    return bool({*tag.split("|")} & entity.tags)


def _names(phrase: Phrase, scene: SceneGraph, name: str) -> bool:
    entity = scene.entity(name)
    return phrase.kind in (entity.kind, entity.name) and set(phrase.adjectives) <= described(entity)


def _other(
    tokens: list[str], phrase: Phrase, known: Sequence[str], scene: SceneGraph, command: str
) -> str | Query:
    """Read "the other one" as what is of the same kind as the thing of the last turn, and not that thing."""
    kind = phrase.kind or scene.entity(known[0]).kind
    alike = [name for name in known if scene.entity(name).kind == kind][:1]
    fitting = [
        entity
        for entity in scene.entities
        if entity.name not in alike and set(phrase.adjectives) <= described(entity)
    ]
    others = tuple(entity.name for entity in fitting if entity.kind == kind)
    if not others and not phrase.kind:
        others = tuple(e.name for e in fitting if "graspable" in e.tags and e.name != known[0])
    if not others or not all(readable(name, scene) for name in others) or phrase.plural or phrase.every:
        return command
    before, after = " ".join(tokens[: phrase.start]), " ".join(tokens[phrase.end :])
    if len(others) > 1:
        return Query(f"Which of the others: {listing(others, 'or')}?", others, InWords(before, after))
    return " ".join(filter(None, (before, f"the {others[0]}", after)))


def put_back(thing: str, scene: SceneGraph, history: Sequence[Turn]) -> Formula | None:
    """Where a thing was before it came to where it is; None when it was never seen elsewhere."""
    now = _place(thing, scene)
    for seen in _earlier(history):
        was = _place(thing, seen)
        if was is not None and was != now and was.predicate != "holding":
            return was
    return None


def _earlier(history: Sequence[Turn]) -> Iterator[SceneGraph]:
    for turn in reversed(history):
        if turn.after is not None:
            yield turn.after
        yield turn.before


def _place(thing: str, scene: SceneGraph) -> Atom | None:
    places = (fact for fact in scene.facts if fact.predicate in ("in", "on", "holding"))
    return next((fact for fact in sorted(places) if fact.args[0] == thing), None)


def undone(turn: Turn, scene: SceneGraph) -> Formula | None:
    """What has to be so for a turn to be undone, as far as it can be told; None when nothing changed."""
    parts: list[Formula] = []
    for entity in scene.entities:
        was, now = _place(entity.name, turn.before), _place(entity.name, scene)
        if was != now and was is not None:
            parts.append(was)
        if "openable" in entity.tags:
            parts += _swung(entity.name, turn.before, scene)
        pressed = Atom("pressed", (entity.name,))
        if (pressed in turn.before.facts) != (pressed in scene.facts):
            parts.append(pressed if pressed in turn.before.facts else Not(pressed))
    for atom in atoms(turn.goal):
        if atom.predicate == "moved" and turn.after is not None and atom in turn.after.facts:
            parts.append(Atom("moved", (atom.args[0], _OPPOSITES[atom.args[1]])))
    return conjoined(parts) if parts else None


def _swung(name: str, before: SceneGraph, scene: SceneGraph) -> list[Formula]:
    """The atom that a door or a drawer gets back to, where it was neither ajar nor as it is now."""
    for predicate in ("open", "closed"):
        atom = Atom(predicate, (name,))
        if before.true(atom) and not scene.true(atom):
            return [atom]
    return []
