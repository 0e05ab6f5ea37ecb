"""A scene to test with: two blocks, one on the other, a bowl, a drawer that is shut, a button."""

from __future__ import annotations

from robot_skills.logic import parse_atom
from robot_skills.scene_graph import Entity, SceneGraph

BLOCK = frozenset({"graspable", "pushable", "support"})


def make_scene(*facts: str) -> SceneGraph:
    """The scene, with these fluents; by default everything at rest."""
    fluents = facts or ("on(red block, table)", "on(blue block, red block)", "on(white bowl, table)")
    static = [
        f"fits({block} block, in, {place})" for block in ("red", "blue") for place in ("drawer", "white bowl")
    ]
    static += ["fits(red block, on, blue block)", "fits(red block, on, table)", "fits(blue block, on, table)"]
    entities = (
        Entity("red block", "block", BLOCK, {"colour": "red"}),
        Entity("blue block", "block", BLOCK, {"colour": "blue"}),
        Entity("white bowl", "bowl", frozenset({"container"}), {"colour": "white"}),
        Entity("drawer", "drawer", frozenset({"openable", "container"})),
        Entity("button", "button", frozenset({"pressable"})),
        Entity("table", "table", frozenset({"support"})),
    )
    return SceneGraph(entities, frozenset(map(parse_atom, (*fluents, *static))))
