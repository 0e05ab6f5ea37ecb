"""What the scene tells of groups: things of one colour, places where one fits, towers by size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from planners.compact import Group, Literal
from planners.descriptions import by_size
from robot_skills.errors import InputError
from robot_skills.logic import Atom
from robot_skills.scene_graph import SceneGraph


def matching(scene: SceneGraph, names: Sequence[str], pick: int, how: str) -> Group | None:
    """So many of some things, `alike` in their colour or all `unlike`; None where there are none."""
    colours = {name: scene.entity(name).attributes.get("colour") for name in names}
    wanted = 1 if how == "alike" else pick
    sets = [each for each in combinations(names, pick) if len({colours[name] for name in each}) == wanted]
    if len(sets) < 2:
        return Group(sets[0]) if sets else None
    kept = tuple(name for name in names if any(name in each for each in sets))
    return Group(kept, pick, tuple(sets), how)


def elsewhere(scene: SceneGraph, things: Group, barred: Group) -> tuple[tuple[Atom, ...], ...]:
    """Each place where one thing fits, but for some.

    Raises:
        InputError: there is none, or there are several things.
    """
    fits = [fact.args for fact in scene.facts if fact.predicate == "fits" and fact.args[0] in things.names]
    places = [each.name for each in scene.entities if each.name not in barred.names]
    found = [(Atom(how, (item, at)),) for at in places for item, how, to in fits if to == at]
    if len(things.names) > 1 or not found:
        raise InputError(f"{things} cannot be anywhere but {barred}.")
    return tuple(found)


def piled(scene: SceneGraph, group: Group, largest_first: bool) -> Sequence[Literal]:
    """A tower by size, each on the next; in any order where a size is not known."""
    up = by_size(group.names, scene, largest_first)
    if not up:
        return [Literal("stacked", (group,))]
    return [Literal("on", (Group((above,)), Group((below,)))) for below, above in pairwise(up)]


def unordered(item: Literal) -> tuple[object, ...]:
    """What two literals share that say the same."""
    return item.predicate, item.positive, tuple(map(unordered_group, item.groups))


def unordered_group(group: Group) -> tuple[object, ...]:
    """What two groups share that are of the same things."""
    return frozenset(group.names), group.pick, frozenset(map(frozenset, group.sets))
