"""LIBERO's tasks as scene graphs, instructions and goals, read from its BDDL files: no simulator runs.

The files name types and numbers; what people call them is told by a file of names (`datasets/libero_skills`).
Where things stand is told by the middles of the regions that they start in; LIBERO's cameras look along -x,
so that x grows towards the front and y towards the right.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robot_skills.errors import InputError, unknown
from robot_skills.logic import And, Atom, Formula, Not
from robot_skills.scene_graph import Entity, SceneGraph
from robot_skills.symbolic.pddl.expressions import Expression, read, sections, show, typed
from robot_skills.training.configuration import read_yaml

SUITES = ("libero_spatial", "libero_object", "libero_goal", "libero_90", "libero_10")
TABLE = "table"
#: People say in and on of one place: what it is called says neither, the fact `fits` says which.
PLACE = ("container", "support")


@dataclass(frozen=True)
class LiberoTask:
    """A task as its file tells it.

    Attributes:
        suite, name: which one.
        instruction: as LIBERO's evaluation gives it, from the file's name.
        language: as the file itself puts it.
        scene: what there is at the start.
        goal: what must hold at the end, over the scene's names.
    """

    suite: str
    name: str
    instruction: str
    language: str
    scene: SceneGraph
    goal: Formula


def bddl_files() -> Iterator[tuple[str, Path]]:
    """Suite and file of every task.

    Raises:
        InputError: LIBERO is not installed.
    """
    found = importlib.util.find_spec("libero")
    if found is None or not found.submodule_search_locations:
        raise InputError("This needs LIBERO's task files: pip install 'robot-skills[libero]'.")
    folder = Path(next(iter(found.submodule_search_locations))) / "libero" / "bddl_files"
    for suite in SUITES:
        yield from ((suite, path) for path in sorted((folder / suite).glob("*.bddl")))


def read_task(suite: str, path: Path, names: Mapping[str, Any]) -> LiberoTask:
    """Read a task.

    Args:
        suite: that it belongs to.
        path: of its BDDL file.
        names: what things are called, as `read_names` gives it.

    Raises:
        InputError: the file is no BDDL problem, or holds a type that has no name.
    """
    text = path.read_text()
    parts = sections(read(text), "problem")
    world = _World(parts, names)
    said = re.search(r"\(:language\s+(.*?)\)", text, re.DOTALL)
    match parts[":goal"][0][0]:
        case ("and", *literals):
            goal = And(tuple(world.literal(each) for each in literals))
        case other:
            raise InputError(f"{path} has a goal that is no conjunction: {show(other)}.")
    return LiberoTask(
        suite, path.stem, instruction(path.stem), said.group(1) if said else "", world.graph(), goal
    )


def instruction(task: str) -> str:
    """The instruction as LIBERO's evaluation gives it: the name of the task without that of its scene."""
    return re.sub(r"^[A-Z0-9_]+SCENE\d+_", "", task).replace("_", " ")


def read_names(path: Path) -> Mapping[str, Any]:
    """Read the file of names.

    Raises:
        InputError: it cannot be read.
    """
    return read_yaml(path, "file of LIBERO's names")


@dataclass
class _World:
    """Names of a file's objects and regions, and where they stand."""

    parts: Mapping[str, list[tuple[Expression, ...]]]
    names: Mapping[str, Any]
    entities: dict[str, Entity] = field(default_factory=dict)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    relations: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Name everything: what `entities` holds under an object's or a region's name in the file."""
        things = typed(self.parts[":objects"][0])
        self.furniture = dict((name, kinds[0]) for name, kinds in typed(self.parts[":fixtures"][0]))
        self.kinds = {name: kinds[0] for name, kinds in things} | self.furniture
        given = [self._called(kind) for kind in self.kinds.values()]
        numbers: dict[str, Iterator[int]] = {}
        for name, kind in self.kinds.items():
            if kind in ("floor", TABLE) or kind.endswith("_table"):
                self.entities[name] = Entity(TABLE, TABLE, frozenset({"support"}))
                continue
            called = self._called(kind)
            number = next(numbers.setdefault(called, itertools.count(1)))
            unique = f"{called} {number}" if given.count(called) > 1 else called
            self._add(name, kind, unique)
        for region in self.parts[":regions"][0]:
            self._region(region)

    def _called(self, kind: str) -> str:
        called = {**self.names["things"], **self.names["furniture"]}
        if kind in ("floor", TABLE) or kind.endswith("_table"):
            return TABLE
        if kind not in called:
            raise unknown("LIBERO type", kind, called)
        return str(called[kind])

    def _add(self, name: str, kind: str, called: str) -> None:
        """A thing, and its regions."""
        tags = {"graspable"} if name not in self.furniture else set()
        tags |= set(PLACE) if kind in self.names["supports"] else set()
        self.relations[called] = "on"
        own: dict[str, str] = {}
        for region, about in self.names["regions"].get(kind, {}).items():
            title = about["name"].format(called)
            self.relations[title] = about["relation"]
            more = set(PLACE) | {tag for tag in ("openable", "pressable") if about.get(tag)}
            also = f"{kind.replace('_', ' ')} {about.get('also', '')}".strip()
            if title == called:
                tags |= more
                own[f"{name}_{region}"] = also
            else:
                self.entities[f"{name}_{region}"] = Entity(title, "place", frozenset(more), {"also": also})
        also = " ".join([kind.replace("_", " "), *own.values()])
        noun = called.rstrip(" 0123456789").split()[-1]
        entity = Entity(called, noun, frozenset(tags), {"also": also})
        self.entities |= {name: entity, **dict.fromkeys(own, entity)}

    def _region(self, region: Expression) -> None:
        """A region of the table: where something starts, or a place beside something."""
        match region:
            case (str(name), *about):
                told = {str(each[0]): each[1:] for each in about if isinstance(each, tuple) and each}
            case _:
                raise InputError(f"Not a BDDL region: {show(region)}.")
        target = str(told[":target"][0])
        full = f"{target}_{name}"
        if ":ranges" in told:
            self.places[full] = _middle(told[":ranges"][0])
        beside = re.fullmatch(r"(\w+)_(left|right|front|back)_region", name)
        kinds = [kind for kind in self.kinds.values() if beside and kind.endswith(beside.group(1))]
        if beside and kinds and full not in self._starts():
            title = f"{beside.group(2)} of the {self._called(kinds[0])}"
            also = f"{kinds[0].replace('_', ' ')} {self._called(kinds[0])}"
            self.entities[full] = Entity(title, "place", frozenset(PLACE), {"also": also})
        elif full not in self.entities and ":ranges" in told:
            self.entities[full] = self.entities[target]

    def _starts(self) -> set[str]:
        """The regions that something starts in."""
        return {show(fact[-1]) for fact in self.parts[":init"][0] if isinstance(fact, tuple)}

    def graph(self) -> SceneGraph:
        """The scene: what the file says of the start, what fits where, and where things stand."""
        facts = {fact for each in self.parts[":init"][0] if isinstance(fact := self.literal(each), Atom)}
        present = {entity.name: entity for entity in self.entities.values()}
        loose = [entity for entity in present.values() if "graspable" in entity.tags]
        facts = {fact for fact in facts if len(fact.args) == 1 or present[fact.args[0]] in loose}
        facts |= {
            Atom("fits", (thing.name, self.relations.get(place.name, "on"), place.name))
            for thing, place in itertools.product(loose, present.values())
            if thing is not place and "support" in place.tags
        }
        entities = tuple(present.values())
        return SceneGraph(entities, frozenset(facts | set(self._where(entities))), "told")

    def literal(self, expression: Expression) -> Formula:
        """A fact or a part of the goal over the scene's names."""
        match expression:
            case (("on" | "in"), str(thing), str(place)):
                target = self.entities[place]
                relation = self.relations.get(target.name, "on")
                return Atom(relation, (self.entities[thing].name, target.name))
            case ("open" | "turnon" as predicate, str(thing)):
                return Atom({"open": "open", "turnon": "pressed"}[predicate], (self.entities[thing].name,))
            case ("close", str(thing)):
                return Atom("closed", (self.entities[thing].name,))
            case ("turnoff", str(thing)):
                return Not(Atom("pressed", (self.entities[thing].name,)))
        raise InputError(f"Not a literal of LIBERO's: {show(expression)}.")

    def _where(self, present: Sequence[Entity]) -> Iterator[Atom]:
        """Where things stand among those of their noun: `at`, `beside` and `between`."""
        spots = {}
        for fact in self.parts[":init"][0]:
            match fact:
                case ("on", str(thing), str(region)) if region in self.places:
                    spots[self.entities[thing].name] = self.places[region]
        for fact in self.parts[":init"][0]:
            match fact:
                case (("on" | "in"), str(thing), str(place)) if place not in self.places:
                    below = next((name for name in self.kinds if place.startswith(name)), "")
                    under = self.entities.get(below)
                    if under is not None and under.name in spots:
                        spots[self.entities[thing].name] = spots[under.name]
        nouns: dict[str, list[str]] = {}
        for entity in present:
            if entity.name in spots and "graspable" in entity.tags:
                nouns.setdefault(entity.kind, []).append(entity.name)
        for group in nouns.values():
            if len(group) > 1:
                yield from _among(group, spots)


def _among(group: Sequence[str], spots: Mapping[str, tuple[float, float]]) -> Iterator[Atom]:
    """Which of a group is where, told from the others of it."""
    for axis, (low, high) in enumerate((("back", "front"), ("left", "right"))):
        order = sorted(group, key=lambda name: spots[name][axis])
        yield Atom("at", (order[0], low))
        yield Atom("at", (order[-1], high))
    spread = [
        max(spots[name][axis] for name in group) - min(spots[name][axis] for name in group) for axis in (0, 1)
    ]
    along = sorted(group, key=lambda name: spots[name][spread.index(max(spread))])
    yield from (Atom("at", (name, "middle")) for name in along[1:-1])
    yield Atom("at", (min(group, key=lambda name: math.hypot(*spots[name])), "center"))
    others = [name for name in spots if name not in group]
    for other in others:
        yield Atom("beside", (min(group, key=lambda name: math.dist(spots[name], spots[other])), other))
    for one, two in itertools.permutations(others, 2):
        detour = {
            name: math.dist(spots[name], spots[one]) + math.dist(spots[name], spots[two]) for name in group
        }
        yield Atom("between", (min(group, key=lambda name: detour[name]), one, two))


def _middle(ranges: Expression) -> tuple[float, float]:
    numbers = [float(number) for number in re.findall(r"-?\d[\d.e-]*", show(ranges))]
    return (numbers[0] + numbers[2]) / 2, (numbers[1] + numbers[3]) / 2
