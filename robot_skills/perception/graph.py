"""From beliefs to the facts of a scene graph, by geometry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_skills.logic import Atom
from robot_skills.perception.memory import CONTAINERS, Memory, Thing
from robot_skills.scene_graph import RELATIONS, Entity, SceneGraph

SOURCE = "camera"


def scene_graph(memory: Memory) -> SceneGraph:
    """Every entity that is believed in, and every fact."""
    catalogue = memory.catalogue
    loose = [
        Entity(
            thing.name,
            memory.kind(thing),
            frozenset(catalogue.tags[memory.kind(thing)]),
            {"colour": catalogue.colours[thing.colour], "size": memory.size(thing)},
        )
        for thing in memory.things
    ]
    present = [kind for kind in catalogue.fixtures if kind in memory.fixtures]
    fixed = [Entity(kind, kind, frozenset(catalogue.tags[kind])) for kind in (*present, "table")]
    entities = (*loose, *fixed)
    fitting = {
        Atom("fits", (item.name, relation, target.name))
        for item in entities
        for relation in RELATIONS
        for target in entities
        if item is not target and (item.kind, relation, target.kind) in catalogue.fits
    }
    return SceneGraph(entities, frozenset(fitting | set(_fluents(memory))), SOURCE)


def _fluents(memory: Memory) -> Iterator[Atom]:
    rules, catalogue = memory.catalogue.rules, memory.catalogue
    for thing in memory.things:
        if thing.place == "hand":
            yield Atom("holding", (thing.name,))
            continue
        yield Atom("in" if thing.place in ("bowl", "drawer") else "on", (thing.name, thing.target))
        if thing.group != CONTAINERS and thing.place == "table":
            yield from (Atom("moved", (thing.name, way)) for way in _ways(memory, thing))
    for kind, fixture in memory.fixtures.items():
        tags = catalogue.tags[kind]
        if "openable" in tags and fixture.share > rules.open:
            yield Atom("open", (kind,))
        elif "openable" in tags and fixture.share >= rules.closed:
            yield Atom("ajar", (kind,))
        if "pressable" in tags and fixture.lit > 0.5:
            yield Atom("pressed", (kind,))


def _ways(memory: Memory, thing: Thing) -> Iterator[str]:
    """The directions in which a thing was moved since the command began."""
    rules, shift = memory.catalogue.rules, (thing.position - thing.origin)[:2]
    for way, heading in memory.catalogue.headings.items():
        along = float(shift @ np.array(heading))
        aside = float(np.linalg.norm(shift - along * np.array(heading)))
        if along > rules.pushed and aside < rules.aside * along:
            yield way
