"""The scene graph read from simulator state: exact, and named an oracle wherever it is used."""

from __future__ import annotations

from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS, Entity, SceneGraph
from sim.tabletop import predicates
from sim.tabletop.scene import GRASPABLE
from sim.tabletop.state import Body, State

TAGS = {
    "drawer": ("openable", "container"),
    "door": ("openable",),
    "button": ("pressable",),
    "table": ("support",),
}


def scene_graph(state: State) -> SceneGraph:
    """Every entity and every fact of a state."""
    bodies = state.bodies.values()
    fixtures = [Entity(name, name, frozenset(tags)) for name, tags in TAGS.items()]
    entities = (*(_entity(body) for body in bodies), *fixtures)
    return SceneGraph(entities, frozenset([*_fluents(state), *_static(state)]), source="oracle")


def _entity(body: Body) -> Entity:
    tags = {"graspable", "pushable"} if body.kind in GRASPABLE else {"container"}
    if body.kind in ("block", "cylinder"):
        tags.add("support")
    return Entity(body.name, body.kind, frozenset(tags), {"colour": body.colour, "size": body.size})


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


def _static(state: State) -> list[Atom]:
    facts = []
    bodies = list(state.bodies.values())
    for item in bodies:
        for relation in ("in", "on"):
            targets: list[Body | str] = [*bodies, "drawer", "table"]
            for target in targets:
                if predicates.fits(item, relation, target):
                    name = target if isinstance(target, str) else target.name
                    facts.append(Atom("fits", (item.name, relation, name)))
    return facts
