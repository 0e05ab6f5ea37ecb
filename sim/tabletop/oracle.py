"""The scene graph read from simulator state: exact, and named an oracle wherever it is used."""

from __future__ import annotations

from collections.abc import Sequence

from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS, RELATIONS, Entity, SceneGraph
from sim.tabletop import predicates
from sim.tabletop.predicates import Tolerances
from sim.tabletop.state import Body, State

#: What may be done with each kind of thing.
TAGS = {
    "block": ("graspable", "pushable", "support"),
    "cylinder": ("graspable", "pushable", "support"),
    "ball": ("graspable", "pushable"),
    "bowl": ("container",),
    "drawer": ("openable", "container"),
    "door": ("openable",),
    "button": ("pressable",),
    "table": ("support",),
    **dict.fromkeys(("box", "chest"), ("openable", "container")),
    **dict.fromkeys(("gate", "knob", "lever"), ("openable",)),
    **dict.fromkeys(("basket", "bin", "crate", "rack", "tray"), ("container",)),
    **dict.fromkeys(("bench", "coaster", "mat", "pedestal", "plate", "shelf", "stool"), ("support",)),
    "bell": ("pressable",),
}


def scene_graph(state: State, limits: Tolerances = predicates.STANDARD) -> SceneGraph:
    """Every entity and every fact of a state.

    Args:
        state: the simulator's.
        limits: the predicates' parameters.
    """
    bodies = state.bodies.values()
    present = [name for name in ("drawer", "door", "button") if name in state.handles]
    fixtures = [Entity(name, name, frozenset(TAGS[name])) for name in (*present, "table")]
    furnishings = [
        Entity(item.name, item.kind, frozenset(TAGS[item.kind]), {"colour": item.colour})
        for item in state.furnishings.values()
    ]
    entities = (*(_entity(body) for body in bodies), *fixtures, *furnishings)
    return SceneGraph(entities, frozenset([*_fluents(state, limits), *fitting(entities)]), source="oracle")


def fitting(entities: Sequence[Entity]) -> list[Atom]:
    """The static facts: what may be put in or on what."""
    return [
        Atom("fits", (item.name, relation, target.name))
        for item in entities
        for relation in RELATIONS
        for target in entities
        if target is not item and predicates.fits(item.kind, relation, target.kind)
    ]


def _entity(body: Body) -> Entity:
    return Entity(
        body.name, body.kind, frozenset(TAGS[body.kind]), {"colour": body.colour, "size": body.size}
    )


def _fluents(state: State, limits: Tolerances) -> list[Atom]:
    facts = []
    for name, body in state.bodies.items():
        if predicates.holding(state, name, limits):
            facts.append(Atom("holding", (name,)))
        if body.kind == "bowl":
            facts.append(Atom("on", (name, "table")))
            continue
        where = _place(state, name, limits)
        if where is not None:
            facts.append(where)
        ways = (way for way in DIRECTIONS if predicates.moved(state, name, way, limits))
        facts.extend(Atom("moved", (name, way)) for way in ways)
    furnishings = state.furnishings.values()
    own = [name for name in ("drawer", "door") if name in state.handles]
    for fixture in (*own, *(item.name for item in furnishings if item.travel > 0)):
        if predicates.is_open(state, fixture, limits):
            facts.append(Atom("open", (fixture,)))
        elif not predicates.is_closed(state, fixture, limits):
            facts.append(Atom("ajar", (fixture,)))
    lit = [name for name in ("button", *state.furnishings) if predicates.pressed(state, name)]
    return [*facts, *(Atom("pressed", (name,)) for name in lit)]


def _place(state: State, name: str, limits: Tolerances) -> Atom | None:
    """What the object is in or on: containers first, then supports, the table last."""
    bowls = [body.name for body in state.bodies.values() if body.kind == "bowl"]
    furnishings = state.furnishings.values()
    for container in (*bowls, "drawer", *(item.name for item in furnishings if item.rim > 0)):
        if predicates.inside(state, name, container):
            return Atom("in", (name, container))
    tops = (item.name for item in furnishings if item.rim == 0 and item.half[0] > 0)
    for support in (*(other for other in state.bodies if other != name), *tops, "table"):
        if predicates.on(state, name, support, limits):
            return Atom("on", (name, support))
    return None
