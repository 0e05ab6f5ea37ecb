"""What a command asks for, before any words: literals drawn in a scene, their sum, and whether it can be.

A command of several steps asks for what holds when the last is done: a later step about the same side of a
thing, such as where it is, takes back an earlier one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from planners.compact import Group, Literal, literal
from robot_skills.logic import Atom, Formula, atoms
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

_SIDE = {"in": "place", "on": "place", "holding": "place", "open": "shut", "closed": "shut"}
_WEIGHTS = {
    "in": 9, "on": 5, "table": 2, "off": 2, "holding": 4, "open": 3, "closed": 3, "pressed": 3,
    "unpressed": 1.5, "moved": 4, "tower": 1.2,
}  # fmt: skip
KINDS_OF_STEP = tuple(_WEIGHTS)
_TRIES = 60


def side(atom: Atom) -> tuple[str, ...]:
    """What an atom is about: of two about the same, only one can be asked for."""
    return (_SIDE.get(atom.predicate, atom.predicate), atom.args[0])


def ground(item: Literal) -> tuple[Atom, ...]:
    """The atoms in a literal, whatever it says of them."""
    return tuple(atoms(item.formula()))


def composed(steps: Iterable[Literal]) -> tuple[Literal, ...] | None:
    """What holds after steps in order; None where a step takes back part of an earlier one."""
    left: list[Literal] = []
    for step in steps:
        taken = {side(atom) for atom in ground(step)}
        kept: list[Literal] = []
        for old in left:
            sides = {side(atom) for atom in ground(old)}
            if sides & taken and not sides <= taken:
                return None
            if old != step and not sides & taken:
                kept.append(old)
        left = [*kept, step]
    return tuple(left)


def feasible(goal: Sequence[Literal], scene: SceneGraph) -> bool:
    """Whether the skills can bring a goal about, told from the rules of the world without a search.

    What lies in something stays there, one thing is held at most, one stands on another at most, no tower
    stands on itself, and what others stand on is neither held nor put away.
    """
    wanted = [atom for item in goal for atom in ground(item)]
    if any(_stuck(atom, scene) for atom in wanted):
        return False
    if sum(item.predicate == "holding" for item in goal) > 1 or _several_held(goal):
        return False
    certain = [atom for item in goal if not _free(item) for atom in ground(item)]
    stands = {atom.args[0]: atom.args[1] for atom in certain if atom.predicate == "on"}
    bases = [base for base in stands.values() if base != "table"]
    if len(set(bases)) < len(bases):
        return False
    away = {atom.args[0] for atom in wanted if atom.predicate in ("in", "holding")}
    if away & {atom.args[1] for atom in wanted if atom.predicate == "on"}:
        return False
    return not any(_circular(name, stands) for name in stands)


def _free(item: Literal) -> bool:
    return item.predicate in ("stacked", "elsewhere") or any(group.pick for group in item.groups)


def _several_held(goal: Sequence[Literal]) -> bool:
    held = [item.groups[0] for item in goal if item.predicate == "holding"]
    return any(len(group.names) > 1 and group.pick != 1 for group in held)


def _stuck(atom: Atom, scene: SceneGraph) -> bool:
    """Whether it is about moving what cannot be taken out of where it lies, or putting things there."""
    if atom.predicate not in ("in", "on", "holding", "moved"):
        return False
    inside = {fact.args[0]: fact.args[1] for fact in scene.facts if fact.predicate == "in"}
    if atom.args[0] in inside and atom not in scene.facts:
        return True
    if atom.predicate in ("in", "on") and not {atom, _fits(atom)} & scene.facts:
        return True
    return atom.predicate == "on" and atom.args[1] in inside


def _fits(atom: Atom) -> Atom:
    return Atom("fits", (atom.args[0], atom.predicate, atom.args[1]))


def _circular(name: str, stands: dict[str, str]) -> bool:
    seen = [name]
    while (below := stands.get(seen[-1])) is not None:
        if below in seen:
            return True
        seen.append(below)
    return False


def sample_literal(rng: random.Random, scene: SceneGraph, kind: str | None = None) -> Literal | None:
    """A literal of a kind of step, well typed and feasible; None where the scene has none."""
    for _ in range(_TRIES if kind is None else 8):
        chosen = kind or rng.choices(KINDS_OF_STEP, tuple(_WEIGHTS.values()))[0]
        drawn = _draw(rng, scene, chosen)
        if drawn is not None and feasible((drawn,), scene):
            return drawn
    return None


def step_about(
    rng: random.Random, scene: SceneGraph, thing: str, kinds: Sequence[str] = ("in", "on", "holding", "moved")
) -> Literal | None:
    """A step of one of some kinds with this one thing; None where none is feasible."""
    for kind in rng.sample(list(kinds), len(kinds)):
        fits = [f.args for f in scene.facts if f.predicate == "fits" and f.args[:2] == (thing, kind)]
        places = sorted(args[2] for args in fits)
        if kind == "moved":
            drawn = literal("moved", thing, rng.choice(DIRECTIONS))
        elif kind == "holding":
            drawn = literal("holding", thing)
        elif places:
            drawn = literal(kind, thing, rng.choice(places))
        else:
            continue
        if feasible((drawn,), scene):
            return drawn
    return None


def step_kind(item: Literal, scene: SceneGraph) -> str:
    """Which of `KINDS_OF_STEP` a literal is, as words are chosen by."""
    if item.predicate == "on" and item.groups[1].names == ("table",):
        return "table"
    if item.predicate == "pressed" and not item.positive:
        return "unpressed"
    return {"stacked": "tower"}.get(item.predicate, item.predicate)


def _draw(rng: random.Random, scene: SceneGraph, kind: str) -> Literal | None:
    movable = [entity.name for entity in scene.tagged("graspable")]
    match kind:
        case "in":
            containers = [entity.name for entity in scene.tagged("container")]
            return _placing(rng, scene, containers)
        case "on":
            pairs = [f.args for f in scene.facts if f.predicate == "fits" and f.args[1] == "on"]
            pairs = sorted(args for args in pairs if args[2] != "table")
            return literal("on", *rng.choice(pairs)[::2]) if pairs else None
        case "table":
            group = sample_group(rng, scene, movable)
            return Literal("on", (group, Group(("table",)))) if group else None
        case "off":
            above = sorted(f.args[0] for f in scene.facts if f.predicate == "on" and f.args[1] != "table")
            return literal("on", rng.choice(above), "table") if above else None
        case "holding" | "moved":
            group = sample_group(rng, scene, movable, together=kind == "moved")
            way = (Group((rng.choice(DIRECTIONS),)),) if kind == "moved" else ()
            return Literal(kind, (group, *way)) if group else None
        case "open" | "closed":
            openable = [entity.name for entity in scene.tagged("openable")]
            both = len(openable) == 2 and rng.random() < 0.12
            chosen = tuple(openable) if both else tuple(openable and [rng.choice(openable)])
            pick = 1 if both and rng.random() < 0.2 else 0
            return Literal(kind, (Group(chosen, pick),)) if chosen else None
        case "pressed" | "unpressed":
            buttons = [entity.name for entity in scene.tagged("pressable")]
            return Literal("pressed", (Group((buttons[0],)),), kind == "pressed") if buttons else None
    solid = [entity.name for entity in scene.tagged("graspable") if "support" in entity.tags]
    return _tower(rng, scene, solid)


def _tower(rng: random.Random, scene: SceneGraph, solid: Sequence[str]) -> Literal | None:
    kinds = [[name for name in solid if scene.entity(name).kind == kind] for kind in ("block", "cylinder")]
    kinds = [names for names in kinds if 2 <= len(names) <= 4]
    if kinds and rng.random() < 0.6:
        return Literal("stacked", (Group(tuple(rng.choice(kinds))),))
    count = rng.choice((2, 2, 3))
    if len(solid) < count:
        return None
    chosen = set(rng.sample(list(solid), count))
    return Literal("stacked", (Group(tuple(name for name in solid if name in chosen)),))


def _placing(rng: random.Random, scene: SceneGraph, containers: Sequence[str]) -> Literal | None:
    movable = [entity.name for entity in scene.tagged("graspable")]
    group = sample_group(rng, scene, movable)
    if group is None or not containers:
        return None
    place = Group((rng.choice(containers),))
    if len(containers) > 1 and rng.random() < 0.06:
        chosen = set(rng.sample(list(containers), 2))
        place = Group(tuple(name for name in containers if name in chosen), 1)
    return Literal("in", (group, place))


def sample_group(
    rng: random.Random, scene: SceneGraph, names: Sequence[str], together: bool = True
) -> Group | None:
    """One thing mostly; else several that share something, or any of them."""
    if not names:
        return None
    draw = rng.random()
    if draw < 0.6 or len(names) < 2:
        return Group((rng.choice(names),))
    kind = scene.entity(rng.choice(names)).kind
    alike = [name for name in names if scene.entity(name).kind == kind]
    if draw < 0.72 and len(alike) > 1:
        pick = 1 if rng.random() < 0.6 else rng.randint(1, len(alike) - 1)
        return Group(tuple(alike), pick)
    if draw < 0.75:
        return Group(_in_order(rng.sample(list(names), 2), names), 1)
    if not together:
        return Group((rng.choice(names),))
    return Group(_in_order(_together(rng, scene, names, alike), names))


def _together(
    rng: random.Random, scene: SceneGraph, names: Sequence[str], alike: Sequence[str]
) -> Sequence[str]:
    """Several things: two or three, all of a kind, all of a colour, all, or all but one."""
    draw = rng.random()
    if draw < 0.25:
        return rng.sample(list(names), min(len(names), rng.choice((2, 2, 2, 3))))
    if draw < 0.5:
        return alike
    if draw < 0.6:
        return names
    if draw < 0.7:
        colour = scene.entity(rng.choice(names)).attributes.get("colour")
        return [name for name in names if scene.entity(name).attributes.get("colour") == colour]
    without = rng.choice(names)
    if draw < 0.8 and len(alike) > 2:
        return [name for name in alike if name != without] or alike
    if draw < 0.9:
        kind = scene.entity(without).kind
        return [name for name in names if scene.entity(name).kind != kind] or names
    return [name for name in names if name != without]


def _in_order(chosen: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in set(chosen))


def goal_formula(goal: Sequence[Literal]) -> Formula:
    """The goal over single things."""
    from planners.compact import Goal

    return Goal(tuple(goal)).formula()
