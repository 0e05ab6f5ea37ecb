"""The scene graph read from simulator state: exact, and named an oracle wherever it is used."""

from __future__ import annotations

from collections.abc import Sequence

from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS, RELATIONS, Entity, SceneGraph
from sim.tabletop import predicates
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
}


def scene_graph(state: State) -> SceneGraph:
    """Every entity and every fact of a state."""
    bodies = state.bodies.values()
    fixtures = [Entity(name, name, frozenset(TAGS[name])) for name in ("drawer", "door", "button", "table")]
    entities = (*(_entity(body) for body in bodies), *fixtures)
    return SceneGraph(entities, frozenset([*_fluents(state), *fitting(entities)]), source="oracle")


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


def _fluents(state: State) -> list[Atom]:
    facts = []
    for name, body in state.bodies.items():
        if predicates.holding(state, name):
            facts.append(Atom("holding", (name,)))
        if body.kind == "bowl":
            facts.append(Atom("on", (name, "table")))
            continue
        where = _place(state, name)
        if where is not None:
            facts.append(where)
        ways = (way for way in DIRECTIONS if predicates.moved(state, name, way))
        facts.extend(Atom("moved", (name, way)) for way in ways)
    for fixture in ("drawer", "door"):
        if predicates.is_open(state, fixture):
            facts.append(Atom("open", (fixture,)))
        elif not predicates.is_closed(state, fixture):
            facts.append(Atom("ajar", (fixture,)))
    if predicates.pressed(state, "button"):
        facts.append(Atom("pressed", ("button",)))
    return facts


def _place(state: State, name: str) -> Atom | None:
    """What the object is in or on: containers first, then supports, the table last."""
    bowls = [body.name for body in state.bodies.values() if body.kind == "bowl"]
    for container in (*bowls, "drawer"):
        if predicates.inside(state, name, container):
            return Atom("in", (name, container))
    for support in (*(other for other in state.bodies if other != name), "table"):
        if predicates.on(state, name, support):
            return Atom("on", (name, support))
    return None
