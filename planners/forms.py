"""What the tuned reader writes: things as the command describes them, conditions as it sets them.

The model translates and no more. Which things "all blocks but the red one" are, which block is the smallest,
whether the drawer is open now: that is looked up in the scene here, so that a small model need not count,
compare or enumerate.

    in(all block but red block, drawer) and closed(drawer)
    on(smallest block, blue cylinder)
    in(any 2 of ball, white bowl)
    if closed(drawer): open(drawer) else: in(red block, drawer)
    if there(purple ball): in(purple ball, white bowl); pressed(button)

A reference is a name of the scene, `held`, or a description: an extreme or a size, a colour, a kind or
`thing`, and what it lies in, stands on or stands under. In the singular it is definite: where several things
fit it is a question, where none does a refusal. `other` leaves out what was named before it. Of several
things there are `all`, `all but 1`, and `any` of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from planners.compact import (
    Answer,
    Ask,
    Goal,
    Group,
    Literal,
    Refuse,
    parse_reply,
)
from planners.vocabulary import ADJECTIVE_OF, KIND_OF
from robot_skills.errors import InputError
from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS, Entity, SceneGraph

SIZES = ("small", "medium", "large")
EXTREMES = ("smallest", "middle", "largest")
RELATIONS = ("on", "under", "in")
#: A tower may be built in any order, and orders are written out.
MOST_STACKED = 5
THING, HELD, NOTHING = "thing", "held", "nothing"
_PREDICATES = {
    "in": 2, "on": 2, "moved": 2, "holding": 1, "open": 1, "closed": 1, "pressed": 1, "stacked": 1,
    "there": 1,
}  # fmt: skip


class UnresolvedError(Exception):
    """A reference that is no one thing of the scene.

    Attributes:
        answer: what is to be said of it: a question, or a refusal.
    """

    def __init__(self, answer: Ask | Refuse) -> None:
        super().__init__(str(answer))
        self.answer = answer


def _missing(description: str) -> UnresolvedError:
    """That nothing fits a description, in words."""
    words = "thing in my hand" if description == HELD else description
    return UnresolvedError(Refuse("missing", re.sub(" (on|under|in|but) (?!my )", r" \1 the ", words)))


def resolve(text: str, scene: SceneGraph) -> Answer:
    """What a text of this language asks for in a scene.

    Raises:
        InputError: the text is none of this language.
    """
    text = text.strip()
    if text.startswith(("ask: ", "refuse: ")):
        return parse_reply(text)
    resolver = Resolver(scene)
    try:
        clauses = re.split(r"(?<=\)); |(?<=nothing); ", text)
        return Goal(tuple(dict.fromkeys(item for clause in clauses for item in resolver.clause(clause))))
    except UnresolvedError as unresolved:
        return unresolved.answer


def same(one: Answer, other: Answer) -> bool:
    """Whether two answers ask for the same, in any order, or refuse for the same reason."""
    match one, other:
        case Goal(first), Goal(second):
            return {*map(_unordered, first)} == {*map(_unordered, second)}
        case Ask(options), Ask(others):
            return {*options} == {*others}
        case Refuse("missing"), Refuse(reason):
            return reason == "missing"
    return one == other


def same_group(one: Group, other: Group) -> bool:
    """Whether two groups are of the same things, in any order."""
    return one.pick == other.pick and {*one.names} == {*other.names}


def _unordered(item: Literal) -> tuple[object, ...]:
    groups = tuple((frozenset(group.names), group.pick) for group in item.groups)
    return item.predicate, item.positive, groups


@dataclass
class Resolver:
    """Reads references from left to right, and remembers what they were.

    Attributes:
        scene: that they are looked up in.
        named: the things that were named so far, which `other` leaves out.
    """

    scene: SceneGraph
    named: list[str] = field(default_factory=list)

    def clause(self, text: str) -> Sequence[Literal]:
        """The literals of a clause, or of the branch of it that applies."""
        while text.startswith("if "):
            condition, colon, rest = _cut(text.removeprefix("if "), r"(?<=\)): ")
            part, following, others = _cut(rest, r" (?:elif|else:) ")
            if not colon:
                raise InputError(f"{text!r} has no ': ' after its condition.")
            if self.condition(condition):
                return self.part(part)
            if not following:
                return ()
            text = others if following == " else: " else f"if {others}"
        return self.part(text)

    def part(self, text: str) -> Sequence[Literal]:
        """The literals of `a and b`; of `nothing`, none."""
        if text == NOTHING:
            return ()
        return [self.literal(each) for each in re.split(r"(?<=\)) and ", text)]

    def literal(self, text: str) -> Literal:
        """A literal with its things looked up."""
        positive, predicate, arguments = _literal(text)
        if predicate == "there":
            raise InputError(f"{text!r} is a condition, and nothing that could be brought about.")
        if predicate == "moved":
            if arguments[1] not in DIRECTIONS:
                raise InputError(f"{arguments[1]!r} is no direction: {', '.join(DIRECTIONS)}.")
            return Literal(predicate, (self.group(arguments[0]), Group((arguments[1],))), positive)
        groups = tuple(map(self.group, arguments))
        if predicate == "stacked" and len(groups[0].names) > MOST_STACKED:
            raise InputError(f"{text!r} is a tower of more than {MOST_STACKED}.")
        return Literal(predicate, groups, positive)

    def condition(self, text: str) -> bool:
        """Whether a condition is so in the scene."""
        parts = re.split(r"(?<=\)) or ", text)
        if len(parts) > 1:
            return any([self.condition(part) for part in parts])
        parts = re.split(r"(?<=\)) and ", text)
        return all([self.test(part) for part in parts])

    def test(self, text: str) -> bool:
        """Whether one thing is so."""
        positive, predicate, arguments = _literal(text)
        if predicate == "there":
            return self._there(arguments[0]) == positive
        try:
            groups = tuple(map(self.group, arguments))
        except UnresolvedError as unresolved:
            if isinstance(unresolved.answer, Refuse):  # what is not there is not so
                return not positive
            raise
        return self.scene.holds(Literal(predicate, groups).formula()) == positive

    def _there(self, text: str) -> bool:
        number, _, rest = text.partition(" ")
        least, description = (int(number), rest) if number.isdecimal() else (1, text)
        found = self.held() if description == HELD else self.fitting(description)
        self.named += found if len(found) == 1 else ()
        return len(found) >= least

    # References ----------------------------------------------------------------------------------------

    def group(self, text: str) -> Group:
        """The things of an argument: joined by ` & ` all of them; what follows ` but ` belongs to it."""
        parts, pieces = [], text.split(" & ")
        for number, piece in enumerate(pieces):
            if " but " in piece and not piece.startswith("all but "):
                parts.append(" & ".join(pieces[number:]))
                break
            parts.append(piece)
        groups = [self.part_of_group(part) for part in parts]
        if len(groups) == 1:
            return groups[0]
        if any(group.pick for group in groups):
            raise InputError(f"{text!r} joins a choice to other things.")
        return Group(tuple(dict.fromkeys(name for group in groups for name in group.names)))

    def part_of_group(self, text: str) -> Group:
        """One of the things that are joined: one thing, all of some, a choice."""
        if text in self._names():
            return self._noted((text,))
        if match := re.fullmatch(r"any (?:(\d) )?of (.+)", text):
            return self._choice(self._without(match[2], " | "), int(match[1] or 1))
        if match := re.fullmatch(r"all but (\d) (.+)", text):
            names = self._several(match[2])
            return self._choice(names, len(names) - int(match[1]))
        if text.startswith("all "):
            return self._noted(self._without(text, " | "))
        return self._noted((self.one(text),))

    def _choice(self, names: Sequence[str], pick: int) -> Group:
        if not 0 < pick <= len(names):
            raise _missing(f"set of {max(pick, 1)} such things")
        return Group(tuple(names), pick if pick < len(names) else 0)

    def _without(self, text: str, joint: str) -> tuple[str, ...]:
        """Members joined by a mark, without those that follow ` but `."""
        chosen, _, left = text.partition(" but ")
        names = [name for member in chosen.split(joint) for name in self._members(member)]
        out = {name for member in left.split(" & ") for name in self._left_out(member)} if left else set()
        kept = tuple(name for name in dict.fromkeys(names) if name not in out)
        if not kept:
            raise _missing(text.removeprefix("all "))
        self.named += sorted(out)
        return kept

    def _left_out(self, text: str) -> Sequence[str]:
        """What follows ` but `: nothing, where nothing lies in "all ball but ball in bowl"."""
        loose = text.removeprefix("all ")
        return self._loose(loose) if re.search(r" (?:in|on) ", loose) else self._members(text)

    def _members(self, text: str) -> Sequence[str]:
        if text in self._names():
            return (text,)
        if text.startswith("all "):
            return self._several(text.removeprefix("all "))
        if text == HELD or text.startswith("other "):
            return (self.one(text),)
        return self._loose(text) or (self.one(text),)

    def _several(self, description: str) -> Sequence[str]:
        """All that a description fits, of what can be moved where it is of things at large."""
        fresh = description.startswith("other ")
        found = self._loose(description.removeprefix("other "))
        found = [name for name in found if not fresh or name not in self.named]
        if not found:
            raise _missing(description)
        return found

    def _loose(self, description: str) -> list[str]:
        """What a description fits; of things at large only those that can be moved."""
        found = self.fitting(description)
        if THING not in re.split(" (?:on|under|in) ", description)[0].split():
            return found
        return [name for name in found if "graspable" in self.scene.entity(name).tags]

    def one(self, text: str) -> str:
        """The one thing that is meant.

        Raises:
            UnresolvedError: several things fit, or none.
        """
        if text in self._names():
            return text
        found = self.held() if text == HELD else self.fitting(text.removeprefix("other "))
        if text.startswith("other "):
            found = [name for name in found if name not in self.named]
        if not found:
            raise _missing(text)
        if len(found) > 1:
            raise UnresolvedError(Ask(tuple(found)))
        return found[0]

    def held(self) -> list[str]:
        """What is in the hand."""
        return [fact.args[0] for fact in self.scene.facts if fact.predicate == "holding"]

    def fitting(self, description: str) -> list[str]:
        """Everything that a description fits.

        Raises:
            InputError: it is none.
        """
        match = re.fullmatch(r"(.+?) (on|under|in) (.+)", description)
        if match is not None and not _is_description(description, self.scene):
            place = self.one(match[3])
            near = {name for name in self._names() if self._related(name, match[2], place)}
            return [name for name in self.fitting(match[1]) if name in near]
        words = description.split()
        if not _known(words, self.scene):
            raise InputError(f"{description!r} is no description such as 'smallest red block'.")
        extreme = words.pop(0) if words and words[0] in EXTREMES else None
        found = [each for each in self.scene.entities if _fits(each, words, self.scene)]
        return [each.name for each in (_extreme(found, extreme) if extreme else found)]

    def _related(self, name: str, relation: str, place: str) -> bool:
        pair = (place, name) if relation == "under" else (name, place)
        return Atom("in" if relation == "in" else "on", pair) in self.scene.facts

    def _names(self) -> set[str]:
        return {each.name for each in self.scene.entities}

    def _noted(self, names: Sequence[str]) -> Group:
        self.named += names
        return Group(tuple(names))


def _extreme(found: Sequence[Entity], extreme: str) -> Sequence[Entity]:
    """The smallest, the largest, or the one in the middle of three sizes; all where sizes do not tell."""
    sizes = [each.attributes.get("size", "") for each in found]
    if len(found) < 2 or not set(sizes) <= {*SIZES}:
        return found
    order = sorted(set(sizes), key=SIZES.index)
    if len(order) < (3 if extreme == "middle" else 2):
        return found
    meant = {"smallest": order[0], "largest": order[-1], "middle": order[len(order) // 2]}[extreme]
    return [each for each, size in zip(found, sizes, strict=True) if size == meant]


def _fits(entity: Entity, words: Sequence[str], scene: SceneGraph) -> bool:
    *marks, kind = words or [""]
    if kind == THING:
        if {"openable", "pressable"} & entity.tags or entity.kind == "table":
            return False
    elif kind != entity.kind:
        return False
    return all(mark in entity.attributes.values() for mark in marks)


def _known(words: Sequence[str], scene: SceneGraph) -> bool:
    """Whether words describe something: with those of the scene, and those that the reader was taught."""
    *marks, kind = words or [""]
    kinds = {THING, *KIND_OF.values(), *(each.kind for each in scene.entities)}
    own = {word for each in scene.entities for word in each.attributes.values()}
    return kind in kinds and {*marks} <= own | {*SIZES, *EXTREMES, *ADJECTIVE_OF.values()}


def _is_description(text: str, scene: SceneGraph) -> bool:
    """Whether a text is size, colour and kind alone."""
    kinds = {THING, *(each.kind for each in scene.entities)}
    return text.split()[-1] in kinds and not {*RELATIONS} & {*text.split()}


def _cut(text: str, pattern: str) -> tuple[str, str, str]:
    """A text before, at and after the first match; all of it before where there is none."""
    match = re.search(pattern, text)
    return (text, "", "") if match is None else (text[: match.start()], match[0], text[match.end() :])


def _literal(text: str) -> tuple[bool, str, list[str]]:
    match = re.fullmatch(r"(not )?(\w+)\((.+)\)", text)
    if match is None or match[2] not in _PREDICATES:
        raise InputError(f"{text!r} is no literal such as 'in(all block, drawer)'.")
    arguments = match[3].split(", ")
    if len(arguments) != _PREDICATES[match[2]]:
        raise InputError(f"{match[2]} is of {_PREDICATES[match[2]]}, not of {len(arguments)}: {text!r}.")
    return match[1] is None, match[2], arguments
