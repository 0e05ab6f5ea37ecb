"""References: words for things of a scene, each checked to mean these things and no others.

A description is drawn at random and its meaning computed in the scene; it is used only where that is
exactly what was to be said. What the words mean is never left to the wording. Beside the words stands what
they say in the reader's language (`planners.forms`), where "the crimson cube" is `red block`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from planners.compact import Group
from planners.descriptions import THING
from planners.forms import HELD
from planners.phrasing.scenes import COLOURS, LOOSE, SIZES
from planners.phrasing.templates import choose, fill, phrases, slots
from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS, Entity, SceneGraph

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_TRIES = 12
_PLAIN = 0.66
_BARE_COLOUR, _COMPARED, _ODD, _BY_HEIGHT = 0.05, 0.3, 0.06, 0.3
_SAID_USUALLY, _ELABORATE = 0.5, 0.1
_LIKENED = 0.04
_EXTREME = {"small": "smallest", "large": "largest"}
_FIXTURES = ("drawer", "door", "button", "table")
_USUAL = frozenset([*COLOURS, *SIZES, *LOOSE, *(f"{kind}s" for kind in LOOSE), *_FIXTURES, *DIRECTIONS])


@dataclass
class Namer:
    """Says what single things are called, and remembers what was said.

    Attributes:
        scene: what there is.
        rng: for every draw.
        held_out: whether to use the held-out constructions.
        said: the loose things that were mentioned, in order.
        plain: whether to use the usual words only.
        several: whether what was said last was more than one thing.
        meant: what was last said of a group, in the reader's language; it outlives what was said.
    """

    scene: SceneGraph
    rng: random.Random
    held_out: bool = False
    said: list[str] = field(default_factory=list)
    plain: bool = False
    several: bool = False
    meant: dict[Group, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """What was last said of one thing, in the reader's language; its name where nothing was."""
        return self.meant.get(Group((name,)), name)

    def mean(self, name: str, text: str) -> None:
        """Note what was said of one thing, in the reader's language."""
        self.meant[Group((name,))] = text

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
        if self.rng.random() < _BARE_COLOUR and len(self.fitting(colour=colour_of(entity))) == 1:
            self.mean(entity.name, standard(None, colour_of(entity)))
            return self.word(colour_of(entity))
        section = "definite_odd" if self.rng.random() < _ODD else "definite"
        return fill(self.phrase("nouns", section), {"S": self.told_apart(entity)})

    def told_apart(self, entity: Entity) -> str:
        """Adjectives and a noun that fit this thing alone."""
        for _ in range(_TRIES):
            kind = entity.kind if self.plain or self.rng.random() < 0.85 else None
            colour = colour_of(entity) if self.rng.random() < 0.65 else None
            size = entity.attributes.get("size") if self.rng.random() < 0.45 else None
            if self.fitting(kind, colour, size) == (entity.name,):
                break
        else:
            size = entity.attributes.get("size")
            size = size if entity.name.split()[0] == size else None
            kind, colour = entity.kind, colour_of(entity)
        self.mean(entity.name, standard(kind, colour, size))
        return self.described(kind, colour, size)

    def fitting(
        self, kind: str | None = None, colour: str | None = None, size: str | None = None
    ) -> tuple[str, ...]:
        """The loose things of a kind, colour and size; without a kind, all of them, bowls too."""
        return tuple(
            entity.name
            for entity in self.scene.entities
            if entity.kind in LOOSE
            and kind in (None, entity.kind)
            and colour in (None, colour_of(entity))
            and size in (None, entity.attributes.get("size"))
        )

    def described(self, kind: str | None, colour: str | None, size: str | None, several: bool = False) -> str:
        """Adjectives and a noun, in one of their words."""
        noun = self.word((kind or "thing") + "s" * several)
        if size and kind == "cylinder" and self.rng.random() < _BY_HEIGHT:
            size = "tall" if size == "large" else "short"
        if colour and not self.plain and self.rng.random() < _LIKENED:
            return " ".join([*([self.word(size)] if size else []), noun, self._tinted(colour, several)])
        words = [self.word(each) for each in (size, colour) if each]
        if kind == "ball" and noun.startswith("round") and not words:
            noun = "balls" if several else "ball"
        return " ".join([*words, noun])

    def _tinted(self, colour: str, several: bool) -> str:
        """A colour behind its noun: "the colour of lemons", "painted yellow"."""
        words = {"C": self.word(colour), "L": self.word(f"like {colour}")}
        return fill(self.phrase("words", "tinted_many" if several else "tinted"), words)

    def _by_place(self, entity: Entity, section: str, relation: str, place: str) -> str:
        """By what it stands on or under or lies in, and what it is, which need not be said."""
        template = self.phrase("nouns", section)
        kind = entity.kind if self.rng.random() < 0.7 else None
        words = fill(template, {"S": self.described(kind, None, None), "X": self.plainly(place)})
        noun = standard(kind if "S" in slots(template) else None)
        self.mean(entity.name, f"{noun} {relation} {self.text(place)}")
        return words

    def _clause(self, entity: Entity) -> str | None:
        if self.fitting(entity.kind, colour_of(entity)) != (entity.name,):
            return None
        words = {"S": self.word(entity.kind), "K": self.word(entity.kind + "s")}
        self.mean(entity.name, standard(entity.kind, colour_of(entity)))
        return fill(self.phrase("nouns", "colour_clause"), {**words, "C": self.word(colour_of(entity))})

    def _held(self, entity: Entity) -> str | None:
        if Atom("holding", (entity.name,)) not in self.scene.facts:
            return None
        self.mean(entity.name, HELD)
        kind = entity.kind if self.rng.random() < 0.7 else None
        return fill(self.phrase("nouns", "held"), {"S": self.described(kind, None, None)})

    def _standing(self, entity: Entity) -> str | None:
        place = self._place(entity, "on")
        if place is None:
            return None
        if place == "table":
            fitting = [e for e in self.fitting(entity.kind) if Atom("on", (e, "table")) in self.scene.facts]
            if fitting != [entity.name] or len(self.fitting(entity.kind)) == 1:
                return None
            words = {"S": self.word(entity.kind), "T": self.word("table")}
            self.mean(entity.name, f"{entity.kind} on table")
            return fill(self.phrase("nouns", "on_table"), words)
        return self._by_place(entity, "on_thing", "on", place)

    def _under(self, entity: Entity) -> str | None:
        above = [e.name for e in self.scene.entities if Atom("on", (e.name, entity.name)) in self.scene.facts]
        if not above:
            return None
        return self._by_place(entity, "under_thing", "under", above[0])

    def _lying(self, entity: Entity) -> str | None:
        place = self._place(entity, "in")
        if place is None or self._contents(place) != [entity.name]:
            return None
        return self._by_place(entity, "in_thing", "in", place)

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
            ((entity.kind, None), (entity.kind, None), (entity.kind, colour_of(entity)))
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
        self.mean(entity.name, f"{_EXTREME[size]} {standard(kind, colour)}")
        return fill(self.phrase("nouns", section), words)

    def _other(self, entity: Entity) -> str | None:
        """The one of a kind that was not spoken of, where just one is left and the others were named."""
        alike = self.fitting(entity.kind)
        left = [name for name in alike if name not in self.said]
        last = self.scene.entity(self.said[-1]).kind if self.said else None
        if left != [entity.name] or len(alike) < 2 or last != entity.kind:
            return None
        self.mean(entity.name, f"other {entity.kind}")
        return fill(self.phrase("nouns", "other"), {"S": self.word(entity.kind)})

    def _twin(self, entity: Entity) -> str | None:
        """By what was said last: the same in another size, or of the same kind in another colour."""
        last = self.scene.entity(self.said[-1]) if self.said and not self.several else None
        if last is None or last is entity or last.kind != entity.kind:
            return None
        alike, size = self.fitting(entity.kind, colour_of(entity)), entity.attributes.get("size")
        if alike == (entity.name,):
            self.mean(entity.name, standard(entity.kind, colour_of(entity)))
            return fill(self.phrase("nouns", "sibling"), {"C": self.word(colour_of(entity))})
        if {*alike} != {entity.name, last.name} or size not in SIZES or size == last.attributes.get("size"):
            return None
        self.mean(entity.name, f"{_EXTREME[size]} {standard(entity.kind, colour_of(entity))}")
        return fill(self.phrase("nouns", "twin"), {"Z": self.word(f"more {size}")})

    def _bowl(self, entity: Entity) -> str | None:
        bowls = [e for e in self.scene.entities if e.kind == "bowl"]
        if entity.kind != "bowl" or len(bowls) < 2:
            return None
        inside = {e.name: self._contents(e.name) for e in bowls}
        empty = [name for name, things in inside.items() if not things]
        self.meant.pop(Group((entity.name,)), None)  # the language has no word for it
        if empty == [entity.name]:
            return fill(self.phrase("nouns", "empty_bowl"), {"S": self.word("bowl")})
        if len(empty) == len(bowls) - 1 and entity.name not in empty and len(inside[entity.name]) == 1:
            words = {"S": self.word("bowl"), "X": self.plainly(inside[entity.name][0])}
            return fill(self.phrase("nouns", "filled_bowl"), words)
        return None

    def _contents(self, place: str) -> list[str]:
        return [e.name for e in self.scene.entities if Atom("in", (e.name, place)) in self.scene.facts]


def colour_of(entity: Entity) -> str:
    """The colour of a thing; empty where it has none."""
    return str(entity.attributes.get("colour", ""))


def standard(kind: str | None, colour: str | None = None, size: str | None = None) -> str:
    """A description in the words of the reader's language: `small red block`, `blue thing`."""
    return " ".join(filter(None, (size, colour, kind or THING)))
