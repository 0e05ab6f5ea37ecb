"""References: words for things of a scene, each checked to mean these things and no others.

A description is drawn at random and its meaning computed in the scene; it is used only where that is
exactly what was to be said. What the words mean is never left to the wording.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from planners.compact import Group
from planners.phrasing.scenes import COLOURS, LOOSE, SIZES
from planners.phrasing.templates import choose, fill, phrases
from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS, Entity, SceneGraph

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_TRIES = 12
_PLAIN = 0.66
_BARE_COLOUR, _COMPARED, _ODD, _BY_HEIGHT = 0.05, 0.3, 0.06, 0.3
_SAID_USUALLY, _ELABORATE = 0.5, 0.1
_FIXTURES = ("drawer", "door", "button", "table")
_USUAL = frozenset([*COLOURS, *SIZES, *LOOSE, *(f"{kind}s" for kind in LOOSE), *_FIXTURES, *DIRECTIONS])


@dataclass
class Speaker:
    """Says what things are called, and remembers what was said.

    Attributes:
        scene: what there is.
        rng: for every draw.
        held_out: whether to use the held-out constructions.
        said: the loose things that were mentioned, in order.
        plain: whether to use the usual words only.
        several: whether what was said last was more than one thing.
    """

    scene: SceneGraph
    rng: random.Random
    held_out: bool = False
    said: list[str] = field(default_factory=list)
    plain: bool = False
    several: bool = False

    def phrase(self, family: str, section: str) -> str:
        """A construction of a section."""
        return phrases(family)[section].draw(self.rng, self.held_out)

    def word(self, section: str) -> str:
        """One of the words for something."""
        lines = phrases("words")[section]
        every = lines.training + lines.held_out
        usual = section in _USUAL and (self.plain or self.rng.random() < _SAID_USUALLY)
        return self._usual(section) if usual else choose(self.rng.choice(every), self.rng)

    def _usual(self, section: str) -> str:
        """The word that most people would take."""
        if section in _FIXTURES:
            return f"the {section}"
        return {"left": "to the left", "right": "to the right"}.get(section, section)

    def fixture(self, name: str) -> str:
        """A drawer, a door, a button, the table."""
        return self.word(name)

    def one(self, name: str) -> str:
        """A definite reference to one thing."""
        entity = self.scene.entity(name)
        words = self._one(entity) if entity.kind in LOOSE else self.fixture(name)
        self.said.append(name)
        self.several = False
        return words

    def _one(self, entity: Entity) -> str:
        if self.plain and self.rng.random() > _ELABORATE:
            return f"the {self.told_apart(entity)}"
        if self.rng.random() < _COMPARED and (compared := self._superlative(entity)):
            return compared
        if self.rng.random() > _PLAIN:
            ways = [self._held, self._standing, self._lying, self._superlative, self._other, self._bowl]
            ways += [self._clause, self._under, self._twin]
            for way in self.rng.sample(ways, len(ways)):
                words = way(entity)
                if words is not None:
                    return words
        if self.rng.random() < _BARE_COLOUR and len(self.fitting(colour=_colour(entity))) == 1:
            return self.word(_colour(entity))
        section = "definite_odd" if self.rng.random() < _ODD else "definite"
        return fill(self.phrase("nouns", section), {"S": self.told_apart(entity)})

    def told_apart(self, entity: Entity) -> str:
        """Adjectives and a noun that fit this thing alone."""
        for _ in range(_TRIES):
            kind = entity.kind if self.plain or self.rng.random() < 0.85 else None
            colour = _colour(entity) if self.rng.random() < 0.65 else None
            size = entity.attributes.get("size") if self.rng.random() < 0.45 else None
            if self.fitting(kind, colour, size) == (entity.name,):
                return self.described(kind, colour, size)
        size = entity.attributes.get("size")
        size = size if entity.name.split()[0] == size else None
        return self.described(entity.kind, _colour(entity), size)

    def fitting(
        self, kind: str | None = None, colour: str | None = None, size: str | None = None
    ) -> tuple[str, ...]:
        """The loose things of a kind, colour and size; without a kind, all of them, bowls too."""
        return tuple(
            entity.name
            for entity in self.scene.entities
            if entity.kind in LOOSE
            and kind in (None, entity.kind)
            and colour in (None, _colour(entity))
            and size in (None, entity.attributes.get("size"))
        )

    def described(self, kind: str | None, colour: str | None, size: str | None, several: bool = False) -> str:
        """Adjectives and a noun, in one of their words."""
        noun = self.word((kind or "thing") + "s" * several)
        if size and kind == "cylinder" and self.rng.random() < _BY_HEIGHT:
            size = "tall" if size == "large" else "short"
        words = [self.word(each) for each in (size, colour) if each]
        if kind == "ball" and noun.startswith("round") and not words:
            noun = "balls" if several else "ball"
        return " ".join([*words, noun])

    def _noun(self, entity: Entity) -> str:
        """A noun alone: what is said besides tells the thing from the others."""
        kind = entity.kind if self.rng.random() < 0.7 else None
        return self.described(kind, None, None)

    def _clause(self, entity: Entity) -> str | None:
        if self.fitting(entity.kind, _colour(entity)) != (entity.name,):
            return None
        words = {"S": self.word(entity.kind), "K": self.word(entity.kind + "s")}
        return fill(self.phrase("nouns", "colour_clause"), {**words, "C": self.word(_colour(entity))})

    def _held(self, entity: Entity) -> str | None:
        if Atom("holding", (entity.name,)) not in self.scene.facts:
            return None
        return fill(self.phrase("nouns", "held"), {"S": self._noun(entity)})

    def _standing(self, entity: Entity) -> str | None:
        place = self._place(entity, "on")
        if place is None:
            return None
        if place == "table":
            fitting = [e for e in self.fitting(entity.kind) if Atom("on", (e, "table")) in self.scene.facts]
            if fitting != [entity.name] or len(self.fitting(entity.kind)) == 1:
                return None
            words = {"S": self.word(entity.kind), "T": self.word("table")}
            return fill(self.phrase("nouns", "on_table"), words)
        words = {"S": self._noun(entity), "X": self.plainly(place)}
        return fill(self.phrase("nouns", "on_thing"), words)

    def _under(self, entity: Entity) -> str | None:
        above = [e.name for e in self.scene.entities if Atom("on", (e.name, entity.name)) in self.scene.facts]
        if not above:
            return None
        words = {"S": self._noun(entity), "X": self.plainly(above[0])}
        return fill(self.phrase("nouns", "under_thing"), words)

    def _lying(self, entity: Entity) -> str | None:
        place = self._place(entity, "in")
        if place is None or self._contents(place) != [entity.name]:
            return None
        words = {"S": self._noun(entity), "X": self.plainly(place)}
        return fill(self.phrase("nouns", "in_thing"), words)

    def _place(self, entity: Entity, relation: str) -> str | None:
        for fact in self.scene.facts:
            if fact.predicate == relation and fact.args[0] == entity.name:
                return fact.args[1]
        return None

    def plainly(self, name: str) -> str:
        """A reference inside a reference: adjectives and a noun only."""
        entity = self.scene.entity(name)
        return f"the {self.told_apart(entity)}" if entity.kind in LOOSE else self.fixture(name)

    def _superlative(self, entity: Entity) -> str | None:
        size = entity.attributes.get("size")
        kind, colour = self.rng.choice(
            ((entity.kind, None), (entity.kind, None), (entity.kind, _colour(entity)))
        )
        alike = self.fitting(kind, colour)
        sized = all(self.scene.entity(name).attributes.get("size") for name in alike)
        if size not in SIZES or not sized or len(alike) < 2 or len(self.fitting(kind, colour, size)) > 1:
            return None
        section = "comparative" if len(alike) == 2 and self.rng.random() < 0.6 else "superlative"
        if kind == "cylinder" and self.rng.random() < _BY_HEIGHT:
            section += "_tall" if size == "large" else "_short"
        elif size == "large":
            section += "_large"
        words = {
            "S": self.described(kind, colour, None),
            "K": self.described(kind, colour, None, several=True),
        }
        return fill(self.phrase("nouns", section), words)

    def _other(self, entity: Entity) -> str | None:
        """The one of a kind that was not spoken of, where just one is left and the others were named."""
        alike = self.fitting(entity.kind)
        left = [name for name in alike if name not in self.said]
        last = self.scene.entity(self.said[-1]).kind if self.said else None
        if left != [entity.name] or len(alike) < 2 or last != entity.kind:
            return None
        return fill(self.phrase("nouns", "other"), {"S": self.word(entity.kind)})

    def _twin(self, entity: Entity) -> str | None:
        """By what was said last: the same in another size, or of the same kind in another colour."""
        last = self.scene.entity(self.said[-1]) if self.said and not self.several else None
        if last is None or last is entity or last.kind != entity.kind:
            return None
        alike, size = self.fitting(entity.kind, _colour(entity)), entity.attributes.get("size")
        if alike == (entity.name,):
            return fill(self.phrase("nouns", "sibling"), {"C": self.word(_colour(entity))})
        if {*alike} != {entity.name, last.name} or size not in SIZES or size == last.attributes.get("size"):
            return None
        return fill(self.phrase("nouns", "twin"), {"Z": self.word(f"more {size}")})

    def _bowl(self, entity: Entity) -> str | None:
        bowls = [e for e in self.scene.entities if e.kind == "bowl"]
        if entity.kind != "bowl" or len(bowls) < 2:
            return None
        inside = {e.name: self._contents(e.name) for e in bowls}
        empty = [name for name, things in inside.items() if not things]
        if empty == [entity.name]:
            return fill(self.phrase("nouns", "empty_bowl"), {"S": self.word("bowl")})
        if len(empty) == len(bowls) - 1 and entity.name not in empty and len(inside[entity.name]) == 1:
            words = {"S": self.word("bowl"), "X": self.plainly(inside[entity.name][0])}
            return fill(self.phrase("nouns", "filled_bowl"), words)
        return None

    def _contents(self, place: str) -> list[str]:
        return [e.name for e in self.scene.entities if Atom("in", (e.name, place)) in self.scene.facts]

    def group(self, group: Group) -> str | None:
        """A reference to a group; None where no construction says just that."""
        if group.pick:
            return self._choice(group)
        words = self.one(group.names[0]) if len(group.names) == 1 else self._several(group.names)
        if len(group.names) > 1:
            self.said += group.names
            self.several = True
        return words

    def _several(self, names: Sequence[str]) -> str:
        """All of some things: by what they have in common, or one by one."""
        ways: list[Callable[[frozenset[str]], str | None]] = [
            self._all_kind, self._everything, self._by_colour, self._all_but, self._kind_but,
            self._not_kind, self._others, self._paired, self._not_colour,
        ]  # fmt: skip
        if self.rng.random() < 0.85:
            for way in self.rng.sample(ways, len(ways)):
                words = way(frozenset(names))
                if words is not None:
                    return words
        return self.listed(names)

    def listed(self, names: Iterable[str]) -> str:
        """Each thing by a reference of its own."""
        each = [self._alone(self.scene.entity(name)) for name in names]
        joint = self.rng.choice((" and ", " and ", " and ", ", ", " & ", " plus ", " as well as "))
        return ", ".join(each[:-1]) + joint + each[-1] if len(each) > 1 else each[0]

    def _alone(self, entity: Entity) -> str:
        if entity.kind not in LOOSE:
            return self.fixture(entity.name)
        if self.plain:
            return f"the {self.told_apart(entity)}"
        return fill(self.phrase("nouns", "definite"), {"S": self.told_apart(entity)})

    @property
    def movable(self) -> frozenset[str]:
        """What "everything" means: all that can be grasped."""
        return frozenset(entity.name for entity in self.scene.tagged("graspable"))

    def _kind_of(self, names: Iterable[str]) -> str | None:
        kinds = {self.scene.entity(name).kind for name in names}
        return kinds.pop() if len(kinds) == 1 else None

    def _all_kind(self, names: frozenset[str]) -> str | None:
        kind = self._kind_of(names)
        if kind not in LOOSE:
            return None
        colours = {_colour(self.scene.entity(name)) for name in names}
        colour = colours.pop() if len(colours) == 1 else None
        if names == frozenset(self.fitting(kind)) and self.rng.random() < 0.8:
            colour = None
        if names != frozenset(self.fitting(kind, colour)):
            return None
        words = {
            "K": self.described(kind, colour, None, several=True),
            "S": self.described(kind, colour, None),
            "N": self._number(len(names)),
        }
        section = self.rng.choice(("both_kind" if len(names) == 2 else "all_kind", "number_kind"))
        return fill(self.phrase("nouns", section), words)

    def _number(self, number: int) -> str:
        return NUMBERS[number] if self.rng.random() < 0.85 else str(number)

    def _everything(self, names: frozenset[str]) -> str | None:
        return self.phrase("nouns", "everything") if names == self.movable else None

    def _by_colour(self, names: frozenset[str]) -> str | None:
        colours = {_colour(self.scene.entity(name)) for name in names}
        if len(colours) != 1 or names != frozenset(self.fitting(colour=next(iter(colours)))):
            return None
        return fill(self.phrase("nouns", "everything_colour"), {"C": self.word(colours.pop())})

    def _all_but(self, names: frozenset[str]) -> str | None:
        left = self.movable - names
        if not 1 <= len(left) <= 2 or not names <= self.movable:
            return None
        return fill(self.phrase("nouns", "everything_but"), {"X": self.listed(sorted(left))})

    def _kind_but(self, names: frozenset[str]) -> str | None:
        kind = self._kind_of(names)
        left = frozenset(self.fitting(kind)) - names if kind in LOOSE else frozenset()
        if not 1 <= len(left) <= 2:
            return None
        colours = {_colour(self.scene.entity(name)) for name in left}
        words = {"K": self.word(f"{kind}s"), "S": self.word(str(kind)), "X": self.listed(sorted(left))}
        one = len(colours) == 1 and frozenset(self.fitting(kind, next(iter(colours)))) == left
        if one and self.rng.random() < 0.4:
            words["C"] = self.word(colours.pop())
            return fill(self.phrase("nouns", "kind_not_colour"), words)
        return fill(self.phrase("nouns", "kind_but"), words)

    def _not_colour(self, names: frozenset[str]) -> str | None:
        left = self.movable - names
        colours = {_colour(self.scene.entity(name)) for name in left}
        if len(colours) != 1 or not names <= self.movable:
            return None
        if left != frozenset(self.fitting(colour=next(iter(colours)))) & self.movable:
            return None
        return fill(self.phrase("nouns", "not_colour"), {"C": self.word(colours.pop())})

    def _not_kind(self, names: frozenset[str]) -> str | None:
        left = self.movable - names
        kind = self._kind_of(left)
        if kind is None or not names <= self.movable or left != frozenset(self.fitting(kind)):
            return None
        return fill(self.phrase("nouns", "not_kind"), {"S": self.word(kind), "K": self.word(f"{kind}s")})

    def _others(self, names: frozenset[str]) -> str | None:
        kind = self._kind_of(names)
        said = frozenset(self.said) & self.movable
        if not said or kind is None or names != frozenset(self.fitting(kind)) - said:
            return None
        if not all(self.scene.entity(name).kind == kind for name in said):
            return None
        return fill(self.phrase("nouns", "others"), {"K": self.word(f"{kind}s")})

    def _paired(self, names: frozenset[str]) -> str | None:
        """Two of a kind by their colours: "the red and the blue block"."""
        kind = self._kind_of(names)
        pair = [self.scene.entity(name) for name in sorted(names)]
        unique = all(self.fitting(kind, _colour(each)) == (each.name,) for each in pair)
        if len(pair) != 2 or kind not in LOOSE or not unique:
            return None
        self.rng.shuffle(pair)
        first, second = (self.word(_colour(each)) for each in pair)
        words = {"C": first, "D": second, "S": self.word(str(kind)), "K": self.word(f"{kind}s")}
        return fill(self.phrase("nouns", "paired"), words)

    def _choice(self, group: Group) -> str | None:
        """Any one, any two of some."""
        kind = self._kind_of(group.names)
        if kind in LOOSE and frozenset(group.names) == frozenset(self.fitting(kind)):
            words = {"S": self.word(kind), "K": self.word(kind + "s"), "N": self._number(group.pick)}
            section = "either_kind" if len(group.names) == 2 and self.rng.random() < 0.6 else "any_kind"
            text = fill(self.phrase("nouns", "any_number" if group.pick > 1 else section), words)
            return _an(text)
        if group.pick == 1 and len(group.names) == 2:
            first, second = (self.listed([name]) for name in group.names)
            return fill(self.phrase("nouns", "or"), {"X": first, "Y": second})
        return None


def _colour(entity: Entity) -> str:
    return str(entity.attributes.get("colour", ""))


def _an(text: str) -> str:
    """An "an" before a vowel."""
    if text.startswith("a ") and text[2:3] in "aeiou":
        return "an" + text[1:]
    return text
