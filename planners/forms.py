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
`thing`, and what it lies in, stands on, stands under or is smaller or larger than. In the singular it is
definite: where several things fit it is a question, where none does a refusal. `other` leaves out what was
named before it. Of several things there are `all`, `all but 1`, and `any` of them.

    in(all block smaller than cyan block, bowl)         those of the table that are known to be smaller
    in(second smallest block, drawer)
    in(smallest thing in tower, bowl)                   of all that stands on something or carries something
    on(red block, bottom block)                         the lowest of a tower; `between block`, `top block`
    in(all smallest cylinder of each colour, bowl)      an extreme each of the colours, or of the kinds
    in(any 2 alike of cylinder, bowl)                   two of one colour; `unlike`: of two colours
    elsewhere(red block, table)                         in or on anything that it fits, but for the table
    on(cylinder, place of red block)                    what that stands on now, or lies in
    in(largest of red ball | blue block, bowl)          of things named one by one, whatever they are
    pyramid(all block)                                  a tower by size, the largest at the bottom
    upturned(all block)                                 the smallest at the bottom
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from planners.choices import elsewhere, matching, piled, unordered, unordered_group
from planners.compact import (
    Answer,
    Ask,
    Goal,
    Group,
    Literal,
    Refuse,
    parse_reply,
)
from planners.descriptions import (
    AMONG,
    RELATED,
    THING,
    TIERS,
    TOWER,
    extreme_among,
    extreme_of,
    fits,
    is_description,
    known,
    related,
    side_of,
    tier,
)
from planners.written import cut, split_literal
from robot_skills.errors import InputError
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

#: A tower may be built in any order, and orders are written out.
MOST_STACKED = 5
HELD, NOTHING = "held", "nothing"
PLACE_OF, EACH = "place of ", (" of each colour", " of each kind")


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
    said = re.sub(" (on|under|in|but|than) (?!my )", r" \1 the ", words)
    return UnresolvedError(Refuse("missing", said))


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
            return {*map(unordered, first)} == {*map(unordered, second)}
        case Ask(options), Ask(others):
            return {*options} == {*others}
        case Refuse("missing"), Refuse(reason):
            return reason == "missing"
    return one == other


def same_group(one: Group, other: Group) -> bool:
    """Whether two groups are of the same things, in any order."""
    return unordered_group(one) == unordered_group(other)


@dataclass
class Resolver:
    """Reads references from left to right, and remembers what they were.

    Attributes:
        scene: that they are looked up in.
        named: the things that were named so far, which `other` leaves out.
        putting: while it reads what is to be put somewhere: of several that fit, what is held is meant.
        role: while it reads where that is to go, the tag of what can be: "support" or "container".
        placed: what is put somewhere so far, which what is put elsewhere is not.
    """

    scene: SceneGraph
    named: list[str] = field(default_factory=list)
    putting: bool = False
    role: str = ""
    placed: set[str] = field(default_factory=set)

    def clause(self, text: str) -> Sequence[Literal]:
        """The literals of a clause, or of the branch of it that applies."""
        while text.startswith("if "):
            condition, colon, rest = cut(text.removeprefix("if "), r"(?<=\)): ")
            part, following, others = cut(rest, r" (?:elif|else:) ")
            if not colon:
                raise InputError(f"{text!r} has no ': ' after its condition.")
            if self.condition(condition):
                return self.part(part)
            self._mentioned(part)
            if not following:
                return ()
            text = others if following == " else: " else f"if {others}"
        return self.part(text)

    def _mentioned(self, part: str) -> None:
        """Remember what a branch names that does not apply: "the block" after it is that block."""
        placed = set(self.placed)
        with contextlib.suppress(UnresolvedError, InputError):
            self.part(part)
        self.placed, self.putting, self.role = placed, False, ""

    def part(self, text: str) -> Sequence[Literal]:
        """The literals of `a and b`; of `nothing`, none."""
        if text == NOTHING:
            return ()
        return [item for each in re.split(r"(?<=\)) and ", text) for item in self.literals(each)]

    def literals(self, text: str) -> Sequence[Literal]:
        """What a literal comes to: of a tower by size, what stands on what; any order where none is known."""
        _, predicate, arguments = split_literal(text)
        if predicate not in ("pyramid", "upturned"):
            return [self.literal(text)]
        group = self.group(arguments[0])
        if group.pick or not 1 < len(group.names) <= MOST_STACKED:
            raise InputError(f"{text!r} is no tower of two to {MOST_STACKED}.")
        return piled(self.scene, group, largest_first=predicate == "pyramid")

    def literal(self, text: str) -> Literal:
        """A literal with its things looked up."""
        positive, predicate, arguments = split_literal(text)
        if predicate == "there":
            raise InputError(f"{text!r} is a condition, and nothing that could be brought about.")
        if predicate == "moved":
            if arguments[1] not in DIRECTIONS:
                raise InputError(f"{arguments[1]!r} is no direction: {', '.join(DIRECTIONS)}.")
            return Literal(predicate, (self.group(arguments[0]), Group((arguments[1],))), positive)
        chosen, _, sort = arguments[0].rpartition("any of ")
        if predicate == "on" and not chosen and arguments[1] == f"other {sort}":
            arguments[1] = arguments[0]  # of one on another each can be either
        self.putting = predicate in ("in", "on")
        first = self.group(arguments[0])
        self.putting, self.role = False, {"in": "container", "on": "support"}.get(predicate, "")
        groups = (first, *map(self.group, arguments[1:]))
        self.placed |= {*first.names} if self.role else set()
        self.role = ""
        if predicate == "stacked" and len(groups[0].names) > MOST_STACKED:
            raise InputError(f"{text!r} is a tower of more than {MOST_STACKED}.")
        spelt = elsewhere(self.scene, *groups) if predicate == "elsewhere" else ()
        return Literal(predicate, groups, positive, spelt)

    def condition(self, text: str) -> bool:
        """Whether a condition is so in the scene."""
        parts = re.split(r"(?<=\)) or ", text)
        if len(parts) > 1:
            return any([self.condition(part) for part in parts])
        parts = re.split(r"(?<=\)) and ", text)
        return all([self.test(part) for part in parts])

    def test(self, text: str) -> bool:
        """Whether one thing is so."""
        positive, predicate, arguments = split_literal(text)
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
        if match := re.fullmatch(r"any (\d) (alike|unlike) of (.+)", text):
            found = matching(self.scene, self._without(match[3], " | "), int(match[1]), match[2])
            if found is None:
                raise _missing(f"set of {match[1]} such things")
            return found if found.pick else self._noted(found.names)
        if text.startswith("all ") and text.endswith(EACH):
            return self._noted(self._of_each(text))
        if match := re.fullmatch(r"all but (\d) (.+)", text):
            names = self._several(match[2])
            return self._choice(names, len(names) - int(match[1]))
        if text.startswith("all "):
            return self._noted(self._without(text, " | "))
        return self._noted((self.one(text),))

    def _of_each(self, text: str) -> Sequence[str]:
        """The extreme of each colour or kind: `all smallest cylinder of each colour`."""
        description, _, side = text.removeprefix("all ").partition(" of each ")
        extreme, rest = extreme_of(description.split())
        if extreme in ("", *TIERS):
            raise InputError(f"{text!r} is not of the smallest, or such, of each colour.")
        found = [self.scene.entity(name) for name in self._loose(" ".join(rest))]
        sorts = dict.fromkeys(side_of(each, side) for each in found)
        kept = [extreme_among([e for e in found if side_of(e, side) == sort], extreme) for sort in sorts]
        if not found:
            raise _missing(description)
        return tuple(each.name for sort in kept for each in sort)

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
        match = RELATED.fullmatch(description)
        if THING not in (match[1] if match else description).split():
            return found
        return [name for name in found if "graspable" in self.scene.entity(name).tags]

    def one(self, text: str) -> str:
        """The one thing that is meant.

        Raises:
            UnresolvedError: several things fit, or none.
        """
        if text in self._names():
            return text
        if text.startswith(PLACE_OF):
            return self._place_of(text.removeprefix(PLACE_OF))
        if match := AMONG.fullmatch(text):
            among = [self.scene.entity(name) for name in self._without(match[2], " | ")]
            best = extreme_among(among, match[1])
            if len(best) > 1:
                raise UnresolvedError(Ask(tuple(each.name for each in best)))
            return best[0].name
        found = self.held() if text == HELD else self.fitting(text.removeprefix("other "))
        if text.startswith("other "):
            found = [name for name in found if name not in self.named]
        if self.putting and len(found) > 1:
            found = [name for name in found if name in self.held() and name not in self.named] or found
        if not found:
            raise _missing(text)
        if len(found) > 1:
            found = self._meant(found, text)
        if len(found) > 1:
            raise UnresolvedError(Ask(tuple(found)))
        return found[0]

    def _meant(self, found: list[str], text: str) -> list[str]:
        """Of several that a description fits, the one that was named before, or that can be meant there.

        "The red cylinder ... the cylinder" is one cylinder; "the red block on the blue" is on the blue block.
        """
        able = [name for name in found if self.role in self.scene.entity(name).tags]
        found = able if self.role and able else found
        before = [name for name in dict.fromkeys(self.named) if name in found]
        again = self.putting and self.placed & {*before}
        if len(before) == 1 and not again and not text.startswith("other "):
            return before
        if self.named and THING in text.split():
            kind = self.scene.entity(self.named[-1]).kind
            alike = [name for name in found if self.scene.entity(name).kind == kind]
            return alike if len(alike) == 1 else found
        return found

    def _place_of(self, text: str) -> str:
        """What a thing lies in or stands on."""
        thing = self.one(text)
        places = [f.args[1] for f in self.scene.facts if f.predicate in ("in", "on") and f.args[0] == thing]
        if not places:
            raise _missing(f"place under {thing}")
        return places[0]

    def held(self) -> list[str]:
        """What is in the hand."""
        return [fact.args[0] for fact in self.scene.facts if fact.predicate == "holding"]

    def fitting(self, description: str) -> list[str]:
        """Everything that a description fits.

        Raises:
            InputError: it is none.
        """
        match = RELATED.fullmatch(description)
        if match is None or is_description(description, self.scene):
            words = description.split()
            if not known(words, self.scene):
                raise InputError(f"{description!r} is no description such as 'smallest red block'.")
            extreme, words = extreme_of(words)
            found = [each for each in self.scene.entities if fits(each, words)]
        else:
            words, relation, place = match[1].split(), match[2], match[3]
            extreme, words = extreme_of(words)
            near = self._near(relation, place)
            found = [self.scene.entity(name) for name in self.fitting(" ".join(words)) if name in near]
        if extreme in TIERS:
            return [each.name for each in found if tier(each.name, self.scene) == extreme]
        return [each.name for each in (extreme_among(found, extreme) if extreme else found)]

    def _near(self, relation: str, text: str) -> set[str]:
        """What stands in a relation to a thing, or in a tower."""
        if (relation, text) == ("in", TOWER):
            return {name for name in self._names() if tier(name, self.scene)}
        return related(relation, self.one(text), self.scene)

    def _names(self) -> set[str]:
        return {each.name for each in self.scene.entities}

    def _noted(self, names: Sequence[str]) -> Group:
        self.named += names
        return Group(tuple(names))
