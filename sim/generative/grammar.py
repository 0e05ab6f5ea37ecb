"""The typed grammar of tasks: draws a goal together with the recipe of the scenes that it needs.

A number and a seed fix a proposal. Families of goals may be weighted, so that what is rare among the accepted
tasks is proposed more often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_skills.errors import JobError
from robot_skills.scene_graph import DIRECTIONS
from sim.generative.goal import FAMILIES, Clause, Goal
from sim.generative.recipe import Bounds, Furniture, Relation, SceneRecipe, Thing
from sim.tabletop.furnishings import FORMS
from sim.tabletop.scene import COLOURS, GRASPABLE

#: Of the table that furnishings may take, m2: the rest is for the loose objects and the hand.
ROOM = 0.062
#: How a scene stores things: the wide drawer, two or three narrow ones in its place, or neither.
STORES = ("drawer", "row", "none")
SUPPORTING = ("bench", "coaster", "mat", "pedestal", "plate", "shelf", "stool")


class NoRoomError(JobError):
    """A draft asks for more than the table or the colours hold; another is drawn."""


@dataclass(frozen=True)
class Proposal:
    """A goal, and the scenes that it is meant for."""

    goal: Goal
    recipe: SceneRecipe


def propose(seed: int, number: int, weights: Mapping[str, float] | None = None) -> Proposal:
    """The proposal of a seed and a number.

    Args:
        seed: of the run.
        number: of the proposal, from 0.
        weights: family -> how often it is drawn in proportion; all alike by default.
    """
    for attempt in range(200):
        rng = np.random.default_rng([seed, number, attempt])
        shares = np.array([1.0 if weights is None else weights.get(name, 1.0) for name in FAMILIES])
        family = FAMILIES[int(rng.choice(len(FAMILIES), p=shares / shares.sum()))]
        draft = Draft(rng)
        try:
            goal = RULES[family](draft)
        except NoRoomError:
            continue
        return Proposal(goal, draft.recipe())
    raise AssertionError("200 drafts in a row found no room")


@dataclass
class Draft:
    """A recipe in the making, and what is still free in it.

    Attributes:
        rng: draws everything.
        things: loose objects so far.
        furnishings: furniture so far.
        standings: how what opens or lights stands at first.
        relations: among things at first.
        used: names that have their part in the goal.
        closed_groups: kinds and colours of which the goal says "all": there may be no more of them.
        store: one of `STORES`.
        room: of the table that is left for furniture, m2.
    """

    rng: np.random.Generator
    things: list[Thing] = field(default_factory=list)
    furnishings: list[Furniture] = field(default_factory=list)
    standings: dict[str, str] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    closed_groups: set[str] = field(default_factory=set)
    store: str = ""
    room: float = ROOM

    def __post_init__(self) -> None:
        self.store = self.store or self.one(STORES)

    def one(self, choices: Sequence[str]) -> str:
        """Draw one of these."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        """True in this share of the draws."""
        return bool(self.rng.random() < share)

    def colour(self, kinds: Sequence[str]) -> str:
        """A colour that no thing of these kinds has."""
        taken = {item.colour for item in self.things if item.kind in kinds}
        taken |= {item.colour for item in self.furnishings if item.kind in kinds}
        free = [name for name in COLOURS if name not in taken]
        if not free:
            raise NoRoomError("no colour is left")
        return self.one(free)

    def thing(self, kinds: Sequence[str] = GRASPABLE, colour: str | None = None) -> str:
        """A new loose object; things to grasp have colours of their own unless told otherwise."""
        kind = self.one([kind for kind in kinds if kind not in self.closed_groups] or list(kinds))
        chosen = colour or self.colour(("bowl",) if kind == "bowl" else GRASPABLE)
        item = Thing(kind, chosen, self.one(("small", "large")))
        if item.name in {other.name for other in self.things} or len(self.things) == 6:
            raise NoRoomError(f"a second {item.name}, or too many things")
        self.things.append(item)
        if kind == "bowl":
            self._take(0.03)
        return item.name

    def furnish(self, kind: str) -> str:
        """A new furnishing."""
        if kind == "drawer":
            self.store = "row"
        else:
            x_low, x_high, y_low, y_high = FORMS[kind].area
            self._take((x_high - x_low) * (y_high - y_low))
        if len(self.furnishings) == 4 or sum(item.kind == "drawer" for item in self.furnishings) == 3:
            raise NoRoomError("too much furniture")
        item = Furniture(kind, self.colour((kind,)))
        self.furnishings.append(item)
        return item.name

    def container(self, lid: bool | None = None) -> str:
        """Something to put things into, new to this goal; with a lid or a front that shuts, or without."""
        options = []
        if lid is not False:
            options += ["box", "chest", *(["drawer!"] if self.store == "drawer" else []), "drawer"]
        if lid is not True:
            options += ["bowl", "basket", "bin", "crate", "rack", "tray"]
        chosen = self.one([name for name in options if name != "drawer!" or "drawer" not in self.used])
        if chosen == "drawer!":
            return self.use("drawer")
        if chosen == "drawer":
            if self.store == "drawer":
                raise NoRoomError("the wide drawer is there")
            return self.use(self.furnish("drawer"))
        return self.use(self.thing(("bowl",)) if chosen == "bowl" else self.furnish(chosen))

    def support(self) -> str:
        """Something to stand things on."""
        return self.use(self.furnish(self.one(SUPPORTING)))

    def opens(self) -> str:
        """Something that opens and closes, new to this goal."""
        options = ["door", "gate", "knob", "lever", "box", "chest"]
        options.append("drawer!" if self.store == "drawer" else "drawer")
        chosen = self.one([name for name in options if name.strip("!") not in self.used])
        if chosen in ("door", "drawer!"):
            return self.use(chosen.strip("!"))
        return self.use(self.furnish(chosen))

    def button(self) -> str:
        """A button or a bell, new to this goal."""
        if "button" not in self.used and self.chance(0.3):
            return self.use("button")
        return self.use(self.furnish(self.one(("button", "bell"))))

    def use(self, name: str) -> str:
        """Note that the goal needs it."""
        if name in self.used:
            raise NoRoomError(f"{name} has its part in the goal already")
        self.used.add(name)
        return name

    def relate(self) -> None:
        """Now and then, say where some of the things are at the beginning."""
        stands = {r.things[0] for r in self.relations if r.name in ("on", "in")}
        loose = [item.name for item in self.things if item.name not in stands]
        for _ in range(int(self.rng.integers(3))):
            if len(loose) < 2:
                return
            first, second = (str(name) for name in self.rng.choice(loose, 2, replace=False))
            name = self.one(("left_of", "right_of", "behind", "in_front_of", "near", "beside", "far_from"))
            self.relations.append(Relation(name, (first, second)))

    def recipe(self) -> SceneRecipe:
        """The recipe, with things that have nothing to do with the goal, and more or less furniture."""
        for _ in range(int(self.rng.integers(3))):
            kinds = [kind for kind in GRASPABLE if kind not in self.closed_groups]
            if len(self.things) < 5 and kinds and not self.closed_groups & set(COLOURS):
                self.thing(kinds)
        self.relate()
        without = []
        if self.store != "drawer":
            without.append("drawer")
        for name, share in (("door", 0.5), ("button", 0.25 if self.room > 0.03 else 0.0)):
            if name not in self.used and not self.chance(share):
                without.append(name)
        return SceneRecipe(
            tuple(self.things),
            tuple(self.furnishings),
            tuple(without),
            dict(self.standings),
            tuple(self.relations),
            Bounds(),
        )

    def _take(self, room: float) -> None:
        self.room -= room
        if self.room < 0:
            raise NoRoomError("the table is full")


def _put(draft: Draft) -> Clause:
    """Put something somewhere; it may have to be taken from the top of something, or uncovered, first."""
    thing = draft.use(draft.thing())
    kind = thing.split()[-1]
    if draft.chance(0.15):
        base = draft.furnish(draft.one(SUPPORTING)) if kind != "ball" else ""
        if base:
            draft.relations.append(Relation("on", (thing, base)))
            return Clause("put", (thing,), ("table",), "on")
    if kind != "ball" and draft.chance(0.4):
        under = draft.support() if draft.chance(0.6) else draft.use(draft.thing(("block", "cylinder")))
        return Clause("put", (thing,), (under,), "on")
    if kind != "ball" and draft.chance(0.15):
        cover = draft.thing(("block", "cylinder"))
        draft.relations.append(Relation("on", (cover, thing)))
    return Clause("put", (thing,), (_ready_container(draft),), "in")


def _ready_container(draft: Draft, lid: bool | None = None) -> str:
    container = draft.container(lid)
    if container.split()[-1] in ("box", "chest", "drawer"):
        draft.standings[container] = draft.one(("open", "closed", "any"))
    return container


def _push(draft: Draft) -> Clause:
    thing, way = draft.use(draft.thing()), draft.one(DIRECTIONS)
    draft.relations.append(Relation(f"clear_{way}", (thing,)))
    return Clause("push", (thing,), (way,))


def _open(draft: Draft) -> Clause:
    name = draft.opens()
    draft.standings[name] = draft.one(("closed", "closed", "ajar"))
    return Clause("open", (name,))


def _close(draft: Draft) -> Clause:
    name = draft.opens()
    draft.standings[name] = draft.one(("open", "open", "ajar"))
    return Clause("close", (name,))


def _press(draft: Draft) -> Clause:
    return Clause("press", (draft.button(),))


def _hold(draft: Draft) -> Clause:
    return Clause("hold", (draft.use(draft.thing()),))


_SIMPLE: tuple[Callable[[Draft], Clause], ...] = (_put, _put, _push, _open, _close, _press)


def _any_of(draft: Draft, rules: Sequence[Callable[[Draft], Clause]]) -> Clause:
    return rules[int(draft.rng.integers(len(rules)))](draft)


def single(draft: Draft) -> Goal:
    """One thing to do."""
    return Goal("single", (_any_of(draft, (*_SIMPLE, _hold)),))


def chained(draft: Draft) -> Goal:
    """Two to four things to do, the last of which may leave something in the hand."""
    count = int(draft.rng.integers(2, 5))
    clauses = [_any_of(draft, _SIMPLE) for _ in range(count)]
    if draft.chance(0.2):
        clauses[-1] = _hold(draft)
    return Goal("chained", tuple(clauses))


def all_of(draft: Draft) -> Goal:
    """The same with several things."""
    count = int(draft.rng.integers(2, 4))
    if draft.chance(0.25):
        return Goal("all_of", (Clause("press", tuple(draft.button() for _ in range(count))),))
    place = _ready_container(draft)
    if draft.chance(0.4):
        kind = draft.one(GRASPABLE)
        names = tuple(draft.use(draft.thing((kind,))) for _ in range(count))
        draft.closed_groups.add(kind)
        return Goal("all_of", (Clause("put", names, (place,), "in", group=kind),))
    names = tuple(draft.use(draft.thing()) for _ in range(count))
    return Goal("all_of", (Clause("put", names, (place,), "in"),))


def sorting(draft: Draft) -> Goal:
    """Every kind, or every colour, to a place of its own."""
    clauses = []
    if draft.chance(0.6):
        for kind in draft.rng.permutation(GRASPABLE)[:2]:
            count = int(draft.rng.integers(1, 3))
            names = tuple(draft.use(draft.thing((str(kind),))) for _ in range(count))
            draft.closed_groups.add(str(kind))
            clauses.append(Clause("put", names, (_ready_container(draft),), "in", group=str(kind)))
        return Goal("sorting", tuple(clauses))
    for colour in draft.rng.permutation(list(COLOURS))[:2]:
        count = int(draft.rng.integers(1, 3))
        kinds = [str(kind) for kind in draft.rng.permutation(GRASPABLE)[:count]]
        names = tuple(draft.use(draft.thing((kind,), str(colour))) for kind in kinds)
        draft.closed_groups.add(str(colour))
        place = _ready_container(draft)
        if place.startswith(f"{colour} ") and place.endswith("bowl"):
            raise NoRoomError("a bowl of that colour would be one of the things")
        clauses.append(Clause("put", names, (place,), "in", group=str(colour)))
    return Goal("sorting", tuple(clauses))


def counting(draft: Draft) -> Goal:
    """A number of several things."""
    names = tuple(draft.use(draft.thing()) for _ in range(int(draft.rng.integers(2, 4))))
    place = _ready_container(draft)
    number = int(draft.rng.integers(1, len(names)))
    return Goal("counting", (Clause(draft.one(("at_least", "exactly")), names, (place,), "in", number),))


def lidded(draft: Draft) -> Goal:
    """Something put away, and what it lies in shut; there may be something in it from the beginning."""
    place = draft.container(lid=True)
    draft.standings[place] = draft.one(("open", "closed", "any"))
    names = tuple(draft.use(draft.thing()) for _ in range(int(draft.rng.integers(1, 3))))
    clauses = [Clause("put", names, (place,), "in"), Clause("close", (place,))]
    if draft.chance(0.3):
        clauses.append(_any_of(draft, (_press, _open)))
    return Goal("lidded", tuple(clauses))


def stacking(draft: Draft) -> Goal:
    """A tower in an order, on the table or on a support."""
    names = tuple(
        draft.use(draft.thing(("block", "cylinder")))
        for _ in range(int(draft.rng.choice((2, 3), p=(0.6, 0.4))))
    )
    places = (draft.support(),) if draft.chance(0.35) else ()
    clauses = [Clause("tower", names, places)]
    if draft.chance(0.3):
        clauses.append(_any_of(draft, (_press, _open, _close)))
    return Goal("stacking", tuple(clauses))


def articulated(draft: Draft) -> Goal:
    """Two to four things opened, closed and pressed."""
    rules = (_open, _open, _close, _close, _press)
    return Goal("articulated", tuple(_any_of(draft, rules) for _ in range(int(draft.rng.integers(2, 4)))))


def either(draft: Draft) -> Goal:
    """One of two places."""
    thing = draft.use(draft.thing())
    places = (_ready_container(draft), _ready_container(draft))
    clauses = [Clause("either", (thing,), places, "in")]
    if draft.chance(0.5):
        clauses.append(_any_of(draft, (_press, _open, _close, _push)))
    return Goal("either", tuple(clauses))


def conditional(draft: Draft) -> Goal:
    """One thing or another, depending on how something stands at the beginning."""
    if draft.chance(0.5):
        sign = draft.button()
        draft.standings[sign] = "any"
        condition = f"pressed({sign})"
    else:
        sign = draft.opens()
        draft.standings[sign] = "any"
        condition = draft.one((f"open({sign})", f"closed({sign})"))
    if draft.chance(0.5):
        thing = draft.use(draft.thing())
        first, second = (
            Clause("put", (thing,), (_ready_container(draft),), "in"),
            Clause("put", (thing,), (_ready_container(draft),), "in"),
        )
    else:
        first, second = _any_of(draft, _SIMPLE), _any_of(draft, _SIMPLE)
    return Goal("conditional", (first,), condition, (second,))


RULES: Mapping[str, Callable[[Draft], Goal]] = {
    "single": single,
    "chained": chained,
    "all_of": all_of,
    "sorting": sorting,
    "counting": counting,
    "lidded": lidded,
    "stacking": stacking,
    "articulated": articulated,
    "either": either,
    "conditional": conditional,
}
