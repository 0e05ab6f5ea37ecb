"""Scenes to speak about: symbolic only, drawn so that every reference and every relation occurs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from robot_skills.logic import Atom
from robot_skills.scene_graph import Entity, SceneGraph

COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "white")
SIZES = ("small", "large")
#: kind -> what may be done with it; as the tabletop has it, which a test compares.
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
LOOSE = ("block", "cylinder", "ball", "bowl")
_KINDS = ("block", "block", "block", "cylinder", "cylinder", "ball", "ball")
_FEWEST, _MOST = 3, 8
_WITH_ALL_FIXTURES, _WITH_SIZES, _OF_ONE_KIND = 0.85, 0.45, 0.3
#: Of the scenes that tell sizes: how many have a third size, how many name every thing by its size.
_OF_THREE_SIZES, _NAMED_BY_SIZE = 0.45, 0.4
#: In how many of those no two of a kind are of one size, so that each can be told by comparing them.
_ALL_COMPARE = 0.5
#: In how many scenes a kind comes small and large in each of some colours, and in how many there is a tower.
_PAIRED, _PILED, _TALLEST = 0.08, 0.12, 4


def sample_scene(rng: random.Random) -> SceneGraph:
    """Three to eight loose things, one to three of them bowls now and then, with fixtures and facts."""
    objects = _pairs(rng) if rng.random() < _PAIRED else _objects(rng, rng.randint(_FEWEST, _MOST))
    entities = [*objects, *(_fixture(name) for name in _fixtures(rng))]
    facts = {*_placed(rng, objects, entities), *_states(rng, entities)}
    return SceneGraph(tuple(entities), frozenset({*facts, *fitting(entities)}))


def _objects(rng: random.Random, count: int) -> list[Entity]:
    bowls = min(count - 2, rng.choices((0, 1, 2, 3), (1, 6, 4, 1))[0])
    crowd = rng.choice(_KINDS) if rng.random() < _OF_ONE_KIND else None
    kinds = [crowd if crowd and rng.random() < 0.6 else rng.choice(_KINDS) for _ in range(count - bowls)]
    palette = rng.sample(COLOURS, rng.randint(3, len(COLOURS)))
    told = rng.random() < _WITH_SIZES
    named = told and rng.random() < _NAMED_BY_SIZE
    sizes = ("small", "medium", "large") if told and rng.random() < _OF_THREE_SIZES else SIZES
    compared = told and rng.random() < _ALL_COMPARE
    if compared:
        crowded = rng.sample(LOOSE[:3], 3)[: rng.randint(2, 3)]
        pool = [kind for kind in crowded for _ in sizes]
        kinds = rng.sample(pool, min(count - bowls, len(pool)))
        count = len(kinds) + bowls
    drawn: list[tuple[str, str, str]] = []
    while len(drawn) < count:
        kind = kinds[len(drawn)] if len(drawn) < len(kinds) else "bowl"
        unused = [size for size in sizes if (kind, size) not in {(each[0], each[2]) for each in drawn}]
        telling = compared or len(sizes) > len(SIZES)
        size = rng.choice(unused) if unused and telling else rng.choice(sizes)
        thing = (kind, rng.choice(palette), size)
        twins = [other for other in drawn if other[:2] == thing[:2]]
        if thing not in drawn and (not twins or rng.random() < 0.5):
            drawn.append(thing)
        elif rng.random() < 0.2:
            palette = list(COLOURS)
    rng.shuffle(drawn)
    return [_object(thing, drawn, told, named) for thing in drawn]


def _pairs(rng: random.Random) -> list[Entity]:
    """A small and a large one of a kind in each of some colours, one or two bowls, something else."""
    kind, *others = rng.sample(LOOSE[:3], 3)
    drawn = [(kind, colour, size) for colour in rng.sample(COLOURS, rng.choice((2, 2, 3))) for size in SIZES]
    drawn += [("bowl", colour, size) for colour, size in zip(rng.sample(COLOURS, 2), SIZES, strict=True)]
    drawn = drawn[: -rng.randint(0, 1) or None]
    drawn += [(rng.choice(others), rng.choice(COLOURS), rng.choice(SIZES)) for _ in range(rng.randint(0, 1))]
    told, named = rng.random() < _WITH_SIZES, rng.random() < _NAMED_BY_SIZE
    rng.shuffle(drawn)
    return [_object(thing, drawn, told or named, named) for thing in drawn]


def _object(
    thing: tuple[str, str, str], among: Sequence[tuple[str, str, str]], told: bool, named: bool
) -> Entity:
    kind, colour, size = thing
    twins = sum(other[:2] == thing[:2] for other in among) > 1
    name = f"{size} {colour} {kind}" if twins or named else f"{colour} {kind}"
    attributes = {"colour": colour, **({"size": size} if told or twins else {})}
    return Entity(name, kind, frozenset(TAGS[kind]), attributes)


def _fixtures(rng: random.Random) -> list[str]:
    there = ["drawer", "door", "button"]
    if rng.random() > _WITH_ALL_FIXTURES:
        there = rng.sample(there, rng.randint(1, 2))
    return [*there, "table"]


def _fixture(name: str) -> Entity:
    return Entity(name, name, frozenset(TAGS[name]))


def _placed(rng: random.Random, objects: Sequence[Entity], entities: Sequence[Entity]) -> Iterable[Atom]:
    """Where the things are: one in the hand now and then, some stacked, some put away."""
    movable = [entity for entity in objects if "graspable" in entity.tags]
    held = rng.choice(movable).name if rng.random() < 0.25 else None
    tall, piled = rng.random() < 0.5, rng.random() < _PILED
    bare, pile = list[str](), list[str]()
    for entity in rng.sample(list(objects), len(objects)):
        if entity.name == held:
            yield Atom("holding", (held,))
            continue
        containers = [each.name for each in entities if "container" in each.tags and each is not entity]
        draw = rng.random()
        if piled and bare and entity.kind in ("block", "cylinder") and len(pile) < _TALLEST:
            draw = 0.7
        if "graspable" not in entity.tags or draw < 0.62 or not (bare or containers):
            yield Atom("on", (entity.name, "table"))
        elif entity.kind != "ball" and bare and (tall or piled) and draw < 0.9:
            pile.append(entity.name)
            yield Atom("on", (entity.name, bare.pop(rng.randrange(len(bare)))))
        elif containers:
            yield Atom("in", (entity.name, rng.choice(containers)))
            continue
        else:
            yield Atom("on", (entity.name, "table"))
        if "support" in entity.tags:
            bare.append(entity.name)


def _states(rng: random.Random, entities: Sequence[Entity]) -> Iterable[Atom]:
    for entity in entities:
        if "openable" in entity.tags and rng.random() < 0.45:
            yield Atom("ajar" if rng.random() < 0.06 else "open", (entity.name,))
        if "pressable" in entity.tags and rng.random() < 0.4:
            yield Atom("pressed", (entity.name,))


def fitting(entities: Sequence[Entity]) -> Iterable[Atom]:
    """What may be put in or on what: no bowl anywhere, on a ball nothing, a ball on nothing but the table."""
    for item in entities:
        if "graspable" not in item.tags:
            continue
        for place in entities:
            if place is item:
                continue
            if "container" in place.tags:
                yield Atom("fits", (item.name, "in", place.name))
            if place.kind == "table" or ("support" in place.tags and item.kind != "ball"):
                yield Atom("fits", (item.name, "on", place.name))
