"""What is believed of a table from look to look: things that are out of sight stay where they must be.

A thing is known again by colour, kind and size, and by where it was. Where it is follows from what it looks
like and from what there is to be in or on. What is not seen now stays as it was; what lies in the drawer
moves with it; what was in the hand stays there while the fingers have something between them, and lies under
the hand when they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from robot_skills.perception.catalogue import PLACES, Catalogue
from robot_skills.perception.detector import FIXED
from robot_skills.perception.sighting import Sighting

Array = NDArray[np.float64]

#: Groups of the catalogue, and the furniture that things lie in.
GRASPABLE, CONTAINERS, DRAWER = 0, 1, "drawer"
#: A new loose thing is believed from this heat on, and from that one where a thing of its colour is known:
#: what looks like a second one may be an odd view of the first.
BELIEVED, AGAIN = 0.4, 0.8
#: Looks that must show a thing that is never surely seen until it is believed for good; before, one that does
#: not counts against it, and at 0 it is forgotten.
SURE = 5
#: How unlike a thing a sighting of it may be. The most that each part counts: distance in units of `STEP`, m,
#: twice the log probability of its colour, those of its kind and of its size. So a thing may be anywhere and
#: look like another kind, but it keeps its colour.
UNLIKE, STEP = 6.5, 0.1
MOST = (3.0, 8.0, 2.0, 1.0)
#: What seems to have its middle nearer than this to that of another thing of its group, m, and is not sure,
#: is a mixture of two colours where one thing stands on another.
APART = 0.035
#: Share of what is seen now, with a heat of 1, in what is believed of a lamp: of one that lights up, and of
#: one that goes out. That it is hidden, by the arm or by what the hand holds, is likelier than that.
NOW, NOW_OUT = 1.0, 0.3
#: A sighting with less heat than this, and further away than that, m, is of something else: the arm is white.
FAINT, FAR = 0.65, 0.05
#: Deviation of heights and of rays that should meet, and how far aside of a place something may be seen, m.
HEIGHT_ERROR, RAY_ERROR, ASIDE_ERROR = 0.015, 0.008, 0.012
#: Things may seem to reach into each other by this deviation, m. The looks of a height, a guess where it is
#: in doubt, count so much at most, and what is impossible so much.
REACH_ERROR, DOUBTFUL, IMPOSSIBLE = 0.008, 1.5, 6.0
#: What stands where it stood, within so many m, most likely is in or on what it was: so much is that worth,
#: as a logarithm.
STILL, STAYS = 0.03, 2.0
#: What is held is seen this near to the point between the finger tips, m.
IN_HAND = 0.035
#: Thickness of a bowl's floor, m, and the part of its width that it has half-way up.
FLOOR, FOOT = 0.012, 0.85


@dataclass(frozen=True)
class Thing:
    """A loose thing as it is believed to be.

    Attributes:
        name: what it is called.
        group: see `Catalogue.groups`.
        colour: position in the catalogue's colours.
        kinds: sum of the log probabilities of each kind, over all looks.
        sizes: the same of small and large.
        position: of its middle, (3,) m.
        origin: the same when the command began.
        place: what it is in or on, or that it is held: one of `PLACES`; "" of what was never seen before.
        target: the name of that; "" of what is held.
        trust: `SURE` of what was surely seen once; else looks that showed it, less those that did not.
    """

    name: str
    group: int
    colour: int
    kinds: Array
    sizes: Array
    position: Array
    origin: Array
    place: str = ""
    target: str = ""
    trust: int = 0


@dataclass(frozen=True)
class Fixture:
    """Furniture as it is believed to be.

    Attributes:
        handle: where its handle is, (3,) m.
        share: how far it is open.
        lit: probability that its lamp is lit.
    """

    handle: Array
    share: float
    lit: float


@dataclass
class Memory:
    """Everything that is believed.

    Attributes:
        catalogue: what there may be.
        things: the loose things.
        fixtures: kind -> furniture.
    """

    catalogue: Catalogue
    things: list[Thing] = field(default_factory=list)
    fixtures: dict[str, Fixture] = field(default_factory=dict)

    def copy(self) -> Memory:
        """The same beliefs, which go their own way from here."""
        return replace(self, things=list(self.things), fixtures=dict(self.fixtures))

    def kind(self, thing: Thing) -> str:
        """The likeliest by all looks."""
        return self.catalogue.groups[thing.group][int(thing.kinds.argmax())]

    def size(self, thing: Thing) -> str:
        """The likeliest by all looks."""
        return self.catalogue.size_names[int(thing.sizes.argmax())]

    def extent(self, thing: Thing) -> tuple[float, float]:
        """Width and height, m."""
        return self.catalogue.sizes[self.kind(thing)][self.size(thing)]

    def begin_command(self) -> None:
        """What has moved is judged from here, and names are what all looks so far make of them."""
        self.things = [replace(thing, origin=thing.position) for thing in self.things]
        names = self._names()
        new = dict(zip((thing.name for thing in self.things), names, strict=True))
        self.things = [
            replace(thing, name=new[thing.name], target=new.get(thing.target, thing.target))
            for thing in self.things
        ]

    def update(self, seen: Sequence[Sighting], tool: Array, opening: float) -> None:
        """Take in a look.

        Args:
            seen: what it shows.
            tool: the point between the finger tips, (3,) m.
            opening: between the fingers, m.
        """
        self._see_fixtures([each for each in seen if each.group == FIXED])
        loose = [each for each in seen if each.group != FIXED]
        pairs, known = self._recognise(loose), tuple(self.things)
        for number, sighting in enumerate(loose):
            new = number not in pairs.values() and sighting.score > self._least(sighting, known)
            if new and not any(_mixed(sighting, loose[other]) for other in pairs.values()):
                pairs[self._add(sighting)] = number
        shown = {index: loose[number] for index, number in pairs.items()}
        for index, thing in enumerate(self.things):
            self.things[index] = _voted(thing, shown.get(index))
        held = self._held(shown, tool, opening)
        before = {index for index, thing in enumerate(self.things) if thing.place == "hand"}
        if held is not None:
            self.things[held] = replace(self.things[held], position=tool, place="hand", target="")
        self._settle(shown, held, before, tool)
        trusted = {thing.target for thing in self.things}
        self.things = [thing for thing in self.things if thing.trust > 0 or thing.name in trusted]

    def _settle(self, shown: Mapping[int, Sighting], held: int | None, before: set[int], tool: Array) -> None:
        """Say where everything is that is not held: what supports others first, the upper ones last."""
        order = sorted(
            (index for index in range(len(self.things)) if index != held),
            key=lambda index: (
                self.things[index].group != CONTAINERS,
                shown[index].height if index in shown else self.things[index].position[2],
            ),
        )
        for index in order:
            thing = self.things[index]
            if index in shown:
                self.things[index] = self._seen(thing, shown[index])
            elif index in before:
                self.things[index] = self._dropped(thing, tool)

    def _see_fixtures(self, seen: Sequence[Sighting]) -> None:
        """Take in what is seen of the furniture; what lies in the drawer moves with it."""
        before, shown = self.fixtures.get(DRAWER), set[str]()
        for sighting in seen:  # the surest first
            kind = self.catalogue.fixtures[int(sighting.kinds.argmax())]
            if kind not in shown:
                self.fixtures[kind] = self._fixture(kind, sighting)
            shown.add(kind)
        if before is not None:
            shift = np.array([0.0, self.fixtures[DRAWER].handle[1] - before.handle[1], 0.0])
            self.things = [
                replace(thing, position=thing.position + shift) if thing.place == DRAWER else thing
                for thing in self.things
            ]

    def _fixture(self, kind: str, sighting: Sighting) -> Fixture:
        lit, share, known = sighting.lit, sighting.share, self.fixtures.get(kind)
        if known is not None:
            weight = (NOW if lit > known.lit else NOW_OUT) * sighting.score**2
            lit = weight * lit + (1 - weight) * known.lit
        if kind == DRAWER:
            share = (share + self.catalogue.tray.share(float(sighting.position[1]))) / 2
        return Fixture(sighting.position, share, lit)

    def _recognise(self, seen: Sequence[Sighting]) -> dict[int, int]:
        """Place of a known thing -> place of its sighting, the likest pairs first."""
        costs = sorted(
            (self._unlike(thing, sighting), index, number)
            for index, thing in enumerate(self.things)
            for number, sighting in enumerate(seen)
            if thing.group == sighting.group
        )
        pairs: dict[int, int] = {}
        for cost, index, number in costs:
            if cost < UNLIKE and index not in pairs and number not in pairs.values():
                pairs[index] = number
        return pairs

    def _unlike(self, thing: Thing, sighting: Sighting) -> float:
        apart = float(np.linalg.norm(thing.position - sighting.position))
        if sighting.score < FAINT and apart > FAR and "hand" not in (thing.place, _looks_in(sighting)):
            return np.inf
        parts = (
            apart / STEP,
            -2 * float(sighting.colours[thing.colour]),
            -float(sighting.kinds[int(thing.kinds.argmax())]),
            -float(sighting.sizes[int(thing.sizes.argmax())]),
        )
        return sum(min(part, most) for part, most in zip(parts, MOST, strict=True))

    def _least(self, sighting: Sighting, known: Sequence[Thing]) -> float:
        """The heat from which on a sighting makes a new thing, with what was known before this look."""
        colour = int(sighting.colours.argmax())
        old = any(thing.colour == colour for thing in known)
        if sighting.group == GRASPABLE and self._inside_of_its_colour(sighting, colour):
            return AGAIN
        now = any((thing.colour, thing.group) == (colour, sighting.group) for thing in self.things)
        return AGAIN if old or now else BELIEVED

    def _inside_of_its_colour(self, sighting: Sighting, colour: int) -> bool:
        """Whether it may be but the inside of a container."""
        return any(
            thing.group == CONTAINERS
            and thing.colour == colour
            and np.linalg.norm((thing.position - sighting.position)[:2]) < self.extent(thing)[0] / 2
            for thing in self.things
        )

    def _add(self, sighting: Sighting) -> int:
        colour = int(sighting.colours.argmax())
        position = sighting.position
        thing = Thing("", sighting.group, colour, sighting.kinds, sighting.sizes, position, position)
        self.things.append(thing)
        names, taken = self._names(), {each.name for each in self.things}
        name = names[-1]
        while name in taken:  # it is called anew when the next command begins
            name = f"other {name}"
        self.things[-1] = replace(thing, name=name)
        return len(self.things) - 1

    def _names(self) -> list[str]:
        """Colour and kind, and the size where two share these; "other" where even that is not enough."""
        catalogue = self.catalogue
        plain = [f"{catalogue.colours[thing.colour]} {self.kind(thing)}" for thing in self.things]
        names: list[str] = []
        for name, thing in zip(plain, self.things, strict=True):
            full = name if plain.count(name) == 1 else f"{self.size(thing)} {name}"
            while full in names:
                full = f"other {full}"
            names.append(full)
        return names

    def _held(self, shown: Mapping[int, Sighting], tool: Array, opening: float) -> int | None:
        """Which thing is in the hand: the fingers say whether one is, the pictures which."""
        low, high = self.catalogue.rules.grip
        if not low < opening < high or not self.things:
            return None
        chances = {}
        for index, thing in enumerate(self.things):
            if thing.group != GRASPABLE:
                continue
            chance = 0.5 * (thing.place == "hand")
            if index in shown:
                sighting = shown[index]
                aside = float(np.linalg.norm(sighting.at(float(tool[2])) - tool)) / IN_HAND
                chance += float(np.exp(-(aside**2))) + float(np.exp(sighting.places[PLACES.index("hand")]))
            chances[index] = chance
        best = max(chances, key=lambda index: chances[index], default=None)
        if best is None or chances[best] < 0.4:
            return None
        lifted = float(tool[2]) - self.extent(self.things[best])[1] / 2 > self.catalogue.rules.lift
        return best if lifted else None

    def _seen(self, thing: Thing, sighting: Sighting) -> Thing:
        """Where a thing is that is seen and not held: the place that explains best what is seen."""
        if thing.group == CONTAINERS:
            position = sighting.at(self.extent(thing)[1] / 2)
            return replace(thing, position=position, place="table", target="table")
        best, most = thing, -np.inf
        for option, aside in self._options(thing, sighting.at):
            height = float(option.position[2])
            chance = float(sighting.places[PLACES.index(option.place)])
            chance -= min(((sighting.height - height) / HEIGHT_ERROR) ** 2 / 2, DOUBTFUL)
            chance -= min((sighting.parting(height) / RAY_ERROR) ** 2 / 2, DOUBTFUL)
            chance -= min((self._overlap(option) / REACH_ERROR) ** 2 / 2, IMPOSSIBLE)
            chance -= (max(aside, 0.0) / ASIDE_ERROR) ** 2 / 2
            same = (option.place, option.target) == (thing.place, thing.target)
            if same and np.linalg.norm(option.position - thing.position) < STILL:
                chance += STAYS
            if chance > most:
                best, most = option, chance
        return best

    def _overlap(self, thing: Thing) -> float:
        """How far a thing would reach into others that it is not in or on, m."""
        width, tall = self.extent(thing)
        deepest = 0.0
        for other in self.things:
            if other.name in (thing.name, thing.target) or other.place == "hand":
                continue
            wide, high = self.extent(other)
            if other.group == CONTAINERS:
                wide *= FOOT
            apart = thing.position - other.position
            if abs(apart[2]) < 0.4 * (tall + high):
                deepest = max(deepest, (wide + width) / 2 - float(np.linalg.norm(apart[:2])))
        return deepest

    def _dropped(self, thing: Thing, tool: Array) -> Thing:
        """Where a thing is that was held, is no longer, and is not seen: under the hand."""

        def below(height: float) -> Array:
            return np.array([tool[0], tool[1], height])

        options = [option for option, aside in self._options(thing, below) if aside < 0]
        return options[-1]  # the table is the first, and always possible

    def _options(self, thing: Thing, at: Callable[[float], Array]) -> list[tuple[Thing, float]]:
        """Where a thing may be, and how far aside of there it is, m (below 0: well in or on it).

        Args:
            thing: with what there is to know of it.
            at: height of its middle -> its position.
        """
        width, tall = self.extent(thing)
        options = [(replace(thing, position=at(tall / 2), place="table", target="table"), -width)]
        if DRAWER in self.fixtures:
            tray, handle = self.catalogue.tray, self.fixtures[DRAWER].handle
            position = at(tray.floor + tall / 2)
            across, inward = abs(position[0] - handle[0]), position[1] - handle[1]
            aside = max(across - tray.half, tray.near - inward, inward - tray.far)
            options.append((replace(thing, position=position, place=DRAWER, target=DRAWER), float(aside)))
        for other in self.things:
            if other.name == thing.name or other.place == "hand" or other.target == thing.name:
                continue
            if other.group == CONTAINERS:
                place, height, reach = "bowl", FLOOR + tall / 2, 0.42 * self.extent(other)[0]
            elif (self.kind(thing), "on", self.kind(other)) in self.catalogue.fits:
                wide, high = self.extent(other)
                place, height, reach = "thing", float(other.position[2]) + (high + tall) / 2, wide / 2
            else:
                continue
            position = at(height)
            aside = float(np.linalg.norm((position - other.position)[:2])) - reach
            options.append((replace(thing, position=position, place=place, target=other.name), aside))
        return options


def _voted(thing: Thing, sighting: Sighting | None) -> Thing:
    """A thing with what a look tells of it: what it is, and whether it is there at all."""
    if sighting is None:
        hidden = thing.trust >= SURE or thing.place in ("hand", DRAWER)
        return thing if hidden else replace(thing, trust=thing.trust - 1)
    trust = SURE if sighting.score > AGAIN else min(thing.trust + 1, SURE)
    return replace(thing, kinds=thing.kinds + sighting.kinds, sizes=thing.sizes + sighting.sizes, trust=trust)


def _looks_in(sighting: Sighting) -> str:
    """What a thing most looks to be in or on."""
    return PLACES[int(sighting.places.argmax())]


def _mixed(one: Sighting, other: Sighting) -> bool:
    """Whether a sighting is but an odd view of another's thing and of one beside it."""
    near = float(np.linalg.norm(one.position - other.position)) < APART
    return near and one.group == other.group and one.score < AGAIN
