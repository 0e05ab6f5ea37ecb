"""A goal made true without a robot, and made only nearly true: what the verifier tries a predicate on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robot_skills.logic import Atom, Formula, Not
from robot_skills.scene_graph import DIRECTIONS, SceneGraph
from sim.experts.expert import free_spot
from sim.generative.goal import literals
from sim.tabletop import predicates
from sim.tabletop.fixtures import DRAWER_GAP
from sim.tabletop.oracle import scene_graph
from sim.tabletop.predicates import HEADINGS, TRAVEL
from sim.tabletop.state import Body, State
from sim.tabletop.world import TabletopWorld

Array = NDArray[np.float64]

#: How far things that are to have been pushed are put, m, and how far open what is to be open.
PUSHED, OPENED = 0.09, 0.95
#: Control steps until a goal state has come to rest: 1 s.
REST = 10


def realise(world: TabletopWorld, wanted: SceneGraph) -> None:
    """Bring a world at the beginning of a scene into the state that a graph describes, and let it settle.

    Whatever the graph says already is left as it is.
    """
    now = _facts(world)
    for entity in wanted.entities:
        if "openable" in entity.tags and Atom("ajar", (entity.name,)) not in wanted.facts:
            is_open = Atom("open", (entity.name,)) in wanted.facts
            stands = {atom.predicate for atom in now if atom.args == (entity.name,)} & {"open", "ajar"}
            if stands != ({"open"} if is_open else set()):
                world.slide(entity.name, OPENED if is_open else 0.0)
        if "pressable" in entity.tags:
            world.light(entity.name, Atom("pressed", (entity.name,)) in wanted.facts)
    for atom in _bottom_up(wanted):
        if atom in now:
            continue
        thing = atom.args[0]
        if atom.predicate == "moved":
            body = world.state().bodies[thing]
            world.put(thing, body.origin + PUSHED * _heading(atom.args[1]))
        elif atom.predicate in ("in", "on"):
            world.put(thing, spot(world.state(), atom, wanted))
    for atom in wanted.facts:
        if atom.predicate == "holding":
            world.put_in_hand(atom.args[0])
    for _ in range(REST):
        world.act(world.arm.still())


def spot(state: State, atom: Atom, wanted: SceneGraph) -> Array:
    """Where the centre of a thing goes for `in(thing, place)` or `on(thing, place)` to hold, (3,) m."""
    thing, place = atom.args
    body = state.bodies[thing]
    lift: Array = np.array([0.0, 0.0, body.height / 2 + 0.002])
    if atom.predicate == "on":
        if place == "table":
            return free_spot(state, thing) + lift
        if place in state.furnishings:
            return state.furnishings[place].aim + lift
        base = state.bodies[place]
        lift[2] += base.height / 2
        return base.position + lift
    sharing = sorted(
        fact.args[0] for fact in wanted.facts if fact.predicate == "in" and fact.args[1] == place
    )
    centre, room = _inside(state, place, body)
    return centre + lift + _share_of(room, sharing.index(thing), len(sharing))


def _share_of(room: Array, index: int, count: int) -> Array:
    """Where one of several things goes in a container, (3,) m off its middle: in a row, or round about."""
    if count == 1:
        return np.zeros(3)
    if room.max() > 1.3 * room[:2].min():
        row = np.zeros(3)
        row[int(room.argmax())] = np.linspace(-1.0, 1.0, count)[index] * room.max()
        return row
    angle = 2 * np.pi * index / count
    around: Array = np.array([np.cos(angle), np.sin(angle), 0.0]) * room
    return around


def _inside(state: State, container: str, body: Body) -> tuple[Array, Array]:
    """The middle of a container's floor, and how far from it several things are put, (3,) m each."""
    if container in state.furnishings:
        furnished = state.furnishings[container]
        room = np.clip(furnished.half - 0.6 * body.width, 0.0, 0.045)
        return furnished.place, np.array([*room, 0.0])
    if container == "drawer":
        x, y, _ = state.handles["drawer"]
        return np.array([x, y + DRAWER_GAP + 0.085, 0.011]), np.array([0.055, 0.02, 0.0])
    bowl = state.bodies[container]
    floor = bowl.position + np.array([0.0, 0.0, 0.012 - bowl.height / 2])
    return floor, np.array([0.031, 0.031, 0.0])


@dataclass(frozen=True)
class Variant:
    """A goal state changed a little.

    Attributes:
        name: what was changed, for reports.
        expected: whether the goal still holds.
        state: the changed state.
    """

    name: str
    expected: bool
    state: State


def variants(state: State, goal: Formula, graph: SceneGraph, rng: np.random.Generator) -> Iterator[Variant]:
    """States that are nearly the goal state, with whether the goal holds in them.

    What is expected is worked out on the facts, what happens is measured on the geometry: each variant moves
    one thing by hand, and the facts that this changes are known by construction.

    Args:
        state: one in which the goal holds.
        goal: what holds.
        graph: the facts of the state.
        rng: draws where there are several ways.
    """
    for atom in literals(goal):
        if graph.true(atom):
            for name, changed in _broken(state, atom, rng):
                if not _without(graph, atom).holds(goal):
                    yield Variant(f"{atom}: {name}", False, changed)
            for name, changed in _equivalent(state, atom, rng):
                yield Variant(f"{atom}: {name}", True, changed)


def _without(graph: SceneGraph, atom: Atom) -> SceneGraph:
    """The facts when this one is false and nothing else is changed."""
    return graph.apply([Atom("ajar", atom.args) if atom.predicate == "closed" else Not(atom)])


def _broken(state: State, atom: Atom, rng: np.random.Generator) -> Iterator[tuple[str, State]]:
    """States in which an atom that holds no longer does."""
    name = atom.args[0]
    if atom.predicate == "open":
        yield "half open", _slid(state, name, 0.5)
    elif atom.predicate == "closed":
        yield "a quarter open", _slid(state, name, 0.25)
        yield "half open", _slid(state, name, 0.5)
    elif atom.predicate == "pressed":
        yield "dark", _lit(state, name, False)
    elif atom.predicate == "holding":
        body = state.bodies[name]
        yield "touched, on the table", _moved(state, name, _down(body))
        yield "in the air, not held", replace(state, gripped=state.gripped - {name})
    elif atom.predicate == "moved":
        body = state.bodies[name]
        yield "half as far as it must", _moved(state, name, body.origin + 0.025 * _heading(atom.args[1]))
        others = [way for way in DIRECTIONS if way != atom.args[1]]
        way = others[int(rng.integers(len(others)))]
        yield f"pushed {way} instead", _moved(state, name, body.origin + PUSHED * _heading(way))
    else:
        yield from _displaced(state, atom)


def _displaced(state: State, atom: Atom) -> Iterator[tuple[str, State]]:
    """A thing that is in or on something, moved off it by 2 cm, or held in the air above."""
    name, place = atom.args
    body = state.bodies[name]
    up = np.array([0.0, 0.0, 0.06])
    held = replace(_moved(state, name, body.position + up), gripped=frozenset({name}))
    yield "held in the air above", held
    if atom.predicate == "on":
        yield "3 cm above it", _moved(state, name, body.position + up / 2)
    if place == "table":
        return
    centre, reach = _extent(state, place)
    aside = centre + np.array([0.0, -(reach + body.width / 2 + 0.02), 0.0])
    beside = _moved(state, name, _down(replace(body, position=aside)))
    if not any(predicates.inside(beside, name, other) for other in _containers(state) if other != place):
        yield "2 cm beside it", beside  # where that is not in the next container, which may be as good


def _containers(state: State) -> Iterator[str]:
    """Everything that things may lie in."""
    yield from (body.name for body in state.bodies.values() if body.kind == "bowl")
    yield from (item.name for item in state.furnishings.values() if item.rim > 0)
    yield "drawer"


def _equivalent(state: State, atom: Atom, rng: np.random.Generator) -> Iterator[tuple[str, State]]:
    """States that are as good: a few millimetres off, another opening beyond the limit."""
    name = atom.args[0]
    if atom.predicate == "open":
        yield "a little less open", _slid(state, name, 0.85)
    elif atom.predicate == "closed":
        yield "a hair open", _slid(state, name, 0.04)
    elif atom.predicate in ("in", "on"):
        angle = rng.uniform(0, 2 * np.pi)
        offset = 0.004 * np.array([np.cos(angle), np.sin(angle), 0.0])
        top = state.bodies[name].position[2]
        if not any(other.position[2] > top + 0.01 for other in state.bodies.values()):  # left behind
            yield "4 mm aside", _moved(state, name, state.bodies[name].position + offset)


def _extent(state: State, place: str) -> tuple[Array, float]:
    """The middle of a place and how far it reaches towards the right, m."""
    if place in state.furnishings:
        furnished = state.furnishings[place]
        return furnished.place, float(furnished.half[1])
    if place == "drawer":
        front = state.handles["drawer"]
        return front, 0.07
    return state.bodies[place].position, state.bodies[place].width / 2


def _down(body: Body) -> Array:
    return np.array([*body.position[:2], body.height / 2])


def _moved(state: State, name: str, position: Array) -> State:
    return replace(state, bodies={**state.bodies, name: replace(state.bodies[name], position=position)})


def _slid(state: State, name: str, share: float) -> State:
    if name in state.furnishings:
        item = state.furnishings[name]
        return replace(
            state, furnishings={**state.furnishings, name: replace(item, slid=share * item.travel)}
        )
    distance = share * TRAVEL[name]
    return replace(state, drawer=distance) if name == "drawer" else replace(state, door=distance)


def _lit(state: State, name: str, lit: bool) -> State:
    if name in state.furnishings:
        item = replace(state.furnishings[name], lit=lit)
        return replace(state, furnishings={**state.furnishings, name: item})
    return replace(state, pressed=lit)


def _heading(direction: str) -> Array:
    return np.array([*HEADINGS[direction], 0.0])


def _facts(world: TabletopWorld) -> frozenset[Atom]:
    return scene_graph(world.state()).facts


def _bottom_up(graph: SceneGraph) -> list[Atom]:
    """Where things are, what is under others first."""
    below: Mapping[str, str] = {
        fact.args[0]: fact.args[1] for fact in graph.facts if fact.predicate in ("in", "on")
    }

    def depth(name: str) -> int:
        return 0 if name not in below else 1 + depth(below[name])

    found = [fact for fact in graph.facts if fact.predicate in ("in", "on", "moved")]
    return sorted(found, key=lambda fact: (fact.predicate == "moved", depth(fact.args[0]), fact))
