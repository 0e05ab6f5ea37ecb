"""Which things of a scene a description fits: sizes, colours and kinds, towers, and what stands where.

What the language of `planners.forms` is made of below its references.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from planners.vocabulary import ADJECTIVE_OF, KIND_OF
from robot_skills.scene_graph import Entity, SceneGraph

SIZES = ("small", "medium", "large")
EXTREMES = ("smallest", "middle", "largest")
SECOND = ("second smallest", "second largest")
TIERS = ("top", "between", "bottom")
RELATIONS = ("on", "under", "in")
COMPARED = ("smaller than", "larger than")
THING, TOWER = "thing", "tower"
AMONG = re.compile(rf"({'|'.join((*EXTREMES, *SECOND))}) of (.+ \| .+)")
RELATED = re.compile(rf"(.+?) ({'|'.join((*RELATIONS, *COMPARED))}) (.+)")


def extreme_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """The extreme that a description begins with, empty where it has none, and the rest of it."""
    count = 2 if words[:1] == ["second"] else 1
    first = " ".join(words[:count])
    if first in (*EXTREMES, *SECOND, *TIERS):
        return first, [*words[count:]]
    return "", [*words]


def side_of(entity: Entity, side: str) -> str:
    """Its colour, its kind; empty where it has none."""
    return entity.kind if side == "kind" else str(entity.attributes.get(side, ""))


def extreme_among(found: Sequence[Entity], extreme: str) -> Sequence[Entity]:
    """The smallest, the largest, or the one in the middle of three sizes; all where sizes do not tell."""
    sizes = [each.attributes.get("size", "") for each in found]
    if len(found) < 2 or not set(sizes) <= {*SIZES}:
        return found
    order = sorted(set(sizes), key=SIZES.index)
    if len(order) < (3 if extreme == "middle" else 2):
        return found
    ranks = {
        "smallest": 0,
        "largest": -1,
        "middle": len(order) // 2,
        "second smallest": 1,
        "second largest": -2,
    }
    meant = order[ranks[extreme]]
    return [each for each, size in zip(found, sizes, strict=True) if size == meant]


def by_size(names: Sequence[str], scene: SceneGraph, largest_first: bool) -> Sequence[str]:
    """Things in the order of their sizes, what carries nothing last; empty where a size is not known."""
    found = [scene.entity(name) for name in names]
    if not all(each.attributes.get("size") in SIZES for each in found):
        return ()
    ranks = {each.name: SIZES.index(each.attributes["size"]) for each in found}
    sign = -1 if largest_first else 1
    return sorted(names, key=lambda name: ("support" not in scene.entity(name).tags, sign * ranks[name]))


def fits(entity: Entity, words: Sequence[str]) -> bool:
    """Whether marks and a kind are a thing's."""
    *marks, kind = words or [""]
    if kind == THING:
        if {"openable", "pressable"} & entity.tags or entity.kind == "table":
            return False
    elif kind != entity.kind:
        return False
    return all(mark in entity.attributes.values() for mark in marks)


def known(words: Sequence[str], scene: SceneGraph) -> bool:
    """Whether words describe something: with those of the scene, and those that the reader was taught."""
    *marks, kind = extreme_of(words)[1] or [""]
    kinds = {THING, *KIND_OF.values(), *(each.kind for each in scene.entities)}
    own = {word for each in scene.entities for word in each.attributes.values()}
    return kind in kinds and {*marks} <= own | {*SIZES, *EXTREMES, *ADJECTIVE_OF.values()}


def is_description(text: str, scene: SceneGraph) -> bool:
    """Whether a text is size, colour and kind alone."""
    kinds = {THING, *(each.kind for each in scene.entities)}
    return text.split()[-1] in kinds and not {*RELATIONS, "than"} & {*text.split()}


def related(relation: str, place: str, scene: SceneGraph) -> set[str]:
    """What is in, on or under a thing, or smaller or larger than it, as far as sizes are known."""
    if relation in COMPARED:
        rank = {
            each.name: SIZES.index(each.attributes["size"])
            for each in scene.entities
            if each.attributes.get("size") in SIZES
        }
        sign = 1 if relation == "larger than" else -1
        return {name for name in rank if place in rank and sign * (rank[name] - rank[place]) > 0}
    predicate, this, that = ("on", 1, 0) if relation == "under" else (relation, 0, 1)
    return {f.args[this] for f in scene.facts if f.predicate == predicate and f.args[that] == place}


def tier(name: str, scene: SceneGraph) -> str:
    """Where in a tower a thing is: at the top, at the bottom, between; empty where it is in none."""
    stands = [f.args for f in scene.facts if f.predicate == "on" and f.args[1] != "table"]
    below, above = name in {args[0] for args in stands}, name in {args[1] for args in stands}
    return {(True, True): "between", (True, False): "top", (False, True): "bottom"}.get((below, above), "")
