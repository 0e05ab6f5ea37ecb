"""What the noun phrases of a command refer to in a scene.

Looked up, not guessed: adjectives and kinds, plurals, "all but", "the other one", "the block on the table",
"it" and "let go" for what the hand holds. What fits nothing is a refusal, what fits too much a question.
"""

from __future__ import annotations

from collections.abc import Sequence

from planners import vocabulary as words
from planners.answers import QuestionError, RefusalError, absent, listing
from planners.phrases import Phrase, find_phrases, held, token_at
from robot_skills.logic import Atom
from robot_skills.scene_graph import Entity, SceneGraph

_LETTING_GO = words.forms(["drop", "release"]) | {"down", "let"}
_PUTTING = words.forms(words.PUT_VERBS) | words.forms(["move"])
_VERBS = _PUTTING | frozenset().union(
    *(words.CUE_FORMS[family] for family in ("open", "close", "press", "hold", "move"))
) - {"light"}  # fmt: skip


def find_references(tokens: list[str], scene: SceneGraph) -> list[Phrase]:
    """The phrases of a command in order, each with what it refers to.

    Raises:
        RefusalError: a phrase fits nothing in the scene.
        QuestionError: a phrase fits more than it may.
    """
    return _Finder(tokens, scene).references()


class _Finder:
    def __init__(self, tokens: list[str], scene: SceneGraph) -> None:
        self._tokens, self._scene = tokens, scene
        self._done: list[Phrase] = []

    def references(self) -> list[Phrase]:
        """The phrases of the command in order, each with what it refers to."""
        raw = find_phrases(self._tokens, self._scene)
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

    def _lend_nouns(self, phrases: Sequence[Phrase]) -> None:
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

    def _joined(self, left: Phrase, right: Phrase) -> bool:
        between = self._tokens[left.end : right.start]
        return bool(between) and all(token in ("and", ",", "or") for token in between)

    def _leave_out(self, phrases: list[Phrase]) -> None:
        """Handle "everything except the red block": resolve what is left out, and take it away."""
        for number, phrase in enumerate(phrases[:-1]):
            apart = self._tokens[phrase.end : phrase.end + 2] == ["apart", "from"]
            gap = 2 if apart else int(token_at(self._tokens, phrase.end) in words.EXCEPT)
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
                raise RefusalError(f"Nothing is left of {phrase.shown!r} without {listing(sorted(gone))}.")
            phrase.swallow = left_out[-1].end - phrase.end

    def _fitting(self, phrase: Phrase, kind: str | None = None) -> tuple[Entity, ...]:
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
            and all(adjective in described(entity) for adjective in phrase.adjectives)
        )

    def _resolve(self, phrase: Phrase, phrases: Sequence[Phrase]) -> None:
        """Fill in what a phrase refers to."""
        fitting = self._fitting(phrase)
        if phrase.other:
            named = {entity.name for other in self._done for entity in other.found}
            fitting = tuple(entity for entity in fitting if entity.name not in named)
        if not fitting:
            shown = f"{phrase.shown} than those named" if phrase.other else phrase.shown
            raise RefusalError(absent(self._scene, shown))
        fitting = self._where(phrase, fitting, phrases)
        if phrase.every or (phrase.plural and not phrase.indefinite) or phrase.number:
            phrase.found = self._several(phrase, fitting)
        elif len(fitting) == 1:
            phrase.found = fitting
        elif phrase.indefinite:
            phrase.found, phrase.any = fitting, True
        else:
            phrase.found = self._mentioned(phrase, fitting)

    def _several(self, phrase: Phrase, fitting: tuple[Entity, ...]) -> tuple[Entity, ...]:
        """All that fit, where they are as many as the phrase says."""
        number = 2 if phrase.every == "both" else phrase.number
        names = [entity.name for entity in fitting]
        if phrase.every == "both" and len(fitting) == 1 and token_at(self._tokens, phrase.end) == "and":
            return fitting  # "both the drawer and the door"
        if number and len(fitting) < number:
            raise RefusalError(
                f"There {'is' if len(names) == 1 else 'are'} only {listing(names)} here, not {number}."
            )
        if number and len(fitting) > number:
            raise _which(f"{number} of them", phrase, fitting)
        return fitting

    def _mentioned(self, phrase: Phrase, fitting: tuple[Entity, ...]) -> tuple[Entity, ...]:
        """Of several that fit, the one that was named before; else it has to be asked."""
        before = [entity for other in self._done for entity in other.found if entity in fitting]
        unique = dict.fromkeys(entity.name for entity in before)
        if len(unique) == 1 and not phrase.adjectives:
            return (before[0],)
        raise _which(f"{phrase.shown or phrase.kind or 'object'} do you mean", phrase, fitting)

    def _where(
        self, phrase: Phrase, fitting: tuple[Entity, ...], phrases: Sequence[Phrase]
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
            raise RefusalError(f"There is no {phrase.shown} {between[-1]} the {later[0].shown}.")
        phrase.swallow = later[0].end - phrase.end
        return inside

    def _is_destination(self, phrase: Phrase, later: Sequence[Phrase]) -> bool:
        """Whether the place named next is where the phrase's things are to go."""
        verbs = [token for token in self._tokens[: phrase.start] if token in _VERBS]
        if verbs and verbs[-1] not in _PUTTING:
            return False
        clause = self._tokens[later[0].end : later[1].start] if len(later) > 1 else []
        return not (
            clause
            and clause[-1] in ("in", "on", "into", "onto", "to", "inside")
            and not words.CLAUSE_BREAKS & set(clause)
        )

    def _add_held(self) -> None:
        """Let "it" of "put it down" be what the hand holds, when nothing else was named before it."""
        pronouns = [place for place, token in enumerate(self._tokens) if token in ("it", "them")]
        first = self._done[0].start if self._done else len(self._tokens)
        if pronouns and pronouns[0] < first:
            if not any(fact.predicate == "holding" for fact in self._scene.facts):
                raise QuestionError(f"What does {self._tokens[pronouns[0]]!r} stand for?")
            place = pronouns[0]
            self._done.insert(0, Phrase(place, place + 1, shown="what I hold", found=held(self._scene)))
            return
        release = self._release()
        if release is not None:
            self._done.append(Phrase(release, release, shown="what I hold", found=held(self._scene)))
            self._done.sort(key=lambda phrase: phrase.start)

    def _release(self) -> int | None:
        """Where "let go" or "put down" leaves unsaid what."""
        if not self._done and set(self._tokens) & _LETTING_GO:
            return len(self._tokens)
        for place in range(2, len(self._tokens) + 1):
            after = token_at(self._tokens, place)
            if self._tokens[place - 2 : place] == ["let", "go"] and after in ("", *words.CLAUSE_BREAKS):
                return place
        return None


def _which(what: str, phrase: Phrase, fitting: Sequence[Entity]) -> QuestionError:
    names = tuple(entity.name for entity in fitting)
    return QuestionError(f"Which {what}: {listing(names, 'or')}?", names, (phrase.start, phrase.end))


def described(entity: Entity) -> frozenset[str]:
    """The words that describe an entity, each under its usual name."""
    raw = {*entity.name.lower().split(), *(str(value).lower() for value in entity.attributes.values())}
    return frozenset(raw | {words.ADJECTIVE_OF.get(word, word) for word in raw})
