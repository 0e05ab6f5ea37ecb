"""Commands to give one after another in a scene, drawn by seed: goals with their plain sentences.

`Chain.draw` follows CALVIN's long-horizon protocol (Mees et al., "CALVIN", RA-L 2022, section IV): single
commands in a row, each possible after the one before. `long_command` draws one command of many steps. What is
possible is decided on the skills' cards; only a push asks for more than they say, room on the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_skills.logic import And, Atom, Formula, Not
from robot_skills.scene_graph import DIRECTIONS, SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.closed_loop import plan_to
from sim.tabletop import predicates
from sim.tabletop.scene import GRASPABLE, ObjectSpec, Scene
from sim.tabletop.tasks import room_to_push

#: Skill calls that a single command may take, and how far a push moves a thing, m.
MOST_STEPS, PUSHED = 3, 0.09
#: How many things there is room for in each kind of container.
CAPACITY = {"drawer": 2, "bowl": 1}


@dataclass(frozen=True)
class Command:
    """What is asked for.

    Attributes:
        kind: of task, for counting.
        sentence: in plain words.
        goal: what must hold in the end; `moved` is judged from where things are when the command is given.
    """

    kind: str
    sentence: str
    goal: Formula


def commands(graph: SceneGraph) -> dict[str, list[Command]]:
    """Every single command about a scene, by kind; some may be done already, or not be possible.

    What is full is left out, and so are towers of three.
    """
    found: dict[str, list[Command]] = {}

    def add(kind: str, sentence: str, predicate: str, *args: str) -> None:
        found.setdefault(kind, []).append(Command(kind, sentence, Atom(predicate, args)))

    for fact in sorted(graph.facts):
        match fact.predicate, fact.args:
            case "fits", (thing, "in", place) if _left_in(place, graph) > 0:
                add(graph.entity(place).kind, f"put the {thing} in the {place}", "in", thing, place)
            case "fits", (thing, "on", place) if Atom("on", (place, "table")) in graph.facts:
                add("stack", f"put the {thing} on the {place}", "on", thing, place)
    for item in graph.tagged("graspable"):
        add("lift", f"pick up the {item.name}", "holding", item.name)
        for way in DIRECTIONS:
            said = f"to the {way}" if way in ("left", "right") else way if way == "forward" else "backward"
            add(f"push {way}", f"push the {item.name} {said}", "moved", item.name, way)
    for fixture in graph.tagged("openable"):
        add(f"open {fixture.name}", f"open the {fixture.name}", "open", fixture.name)
        add(f"close {fixture.name}", f"close the {fixture.name}", "closed", fixture.name)
    for button in graph.tagged("pressable"):
        add("press", f"press the {button.name}", "pressed", button.name)
    return found


def _left_in(container: str, graph: SceneGraph) -> int:
    """For how many things more there is room."""
    inside = sum(fact.predicate == "in" and fact.args[1] == container for fact in graph.facts)
    return CAPACITY.get(graph.entity(container).kind, 1) - inside


class Chain:
    """Commands that are each possible after the one before, as far as the cards say.

    Args:
        scene: where it begins.
        graph: of that scene.
        skills: the cards.
    """

    def __init__(self, scene: Scene, graph: SceneGraph, skills: Mapping[str, Skill]) -> None:
        self._scene, self._graph, self._skills = scene, _begun(graph), skills
        self._roomy = True  # whether it is known what lies where on the table

    def draw(self, rng: np.random.Generator, length: int) -> tuple[Command, ...]:
        """Draw commands, each of one to `MOST_STEPS` steps: the kind first, all being equally likely."""
        return tuple(self._next(rng) for _ in range(length))

    def _next(self, rng: np.random.Generator) -> Command:
        kinds = list(commands(self._graph).items())
        for index in rng.permutation(len(kinds)):
            options = kinds[index][1]
            for place in rng.permutation(len(options)):
                command: Command = options[place]
                plan = self._plan(command)
                if plan is not None:
                    self._follow(plan)
                    return command
        raise RuntimeError("Nothing is left to be commanded.")  # a drawer can always be opened or closed

    def _plan(self, command: Command) -> tuple[SkillCall, ...] | None:
        if self._graph.holds(command.goal) or (command.kind.startswith("push") and not self._room(command)):
            return None
        plan = plan_to(command.goal, self._graph, self._skills)
        return plan if plan is not None and len(plan) <= MOST_STEPS else None

    def _room(self, command: Command) -> bool:
        assert isinstance(command.goal, Atom)
        name, way = command.goal.args
        if not self._roomy or Atom("on", (name, "table")) not in self._graph.facts:
            return False
        return name in self._scene.names() and room_to_push(self._scene, self._item(name), way)

    def _follow(self, plan: Sequence[SkillCall]) -> None:
        """The scene as the plan leaves it."""
        for call in plan:
            self._graph = self._skills[call.skill].after(call, self._graph)
            if call.skill == "push":
                item, way = self._item(call.args["object"]), predicates.HEADINGS[call.args["direction"]]
                x, y, z = item.position
                shifted = (x + PUSHED * float(way[0]), y + PUSHED * float(way[1]), z)
                self._replace(item, dataclasses.replace(item, position=shifted))
            elif call.skill == "place" and call.args["target"] == "table":
                self._roomy = False
        self._graph = _begun(self._graph)

    def _item(self, name: str) -> ObjectSpec:
        return self._scene.objects[self._scene.names().index(name)]

    def _replace(self, old: ObjectSpec, new: ObjectSpec) -> None:
        objects = tuple(new if item is old else item for item in self._scene.objects)
        self._scene = self._scene.with_(objects=objects)


def long_command(
    rng: np.random.Generator, graph: SceneGraph, skills: Mapping[str, Skill], steps: tuple[int, int]
) -> Command | None:
    """Draw a command whose plan has so many steps: parts are added until it has; None: this scene has none.

    Args:
        rng: draws.
        graph: of the scene.
        skills: the cards.
        steps: fewest and most.
    """
    low, high = steps
    wanted = int(rng.integers(low, high + 1))
    options = [
        command
        for kind, every in commands(graph).items()
        for command in every
        if not kind.startswith(("push", "lift")) and not graph.holds(command.goal)
    ]
    chosen: list[Command] = []
    for place in rng.permutation(len(options)):
        command = options[place]
        if _clash(command, chosen, graph):
            continue
        plan = plan_to(And((*(each.goal for each in chosen), command.goal)), graph, skills)
        if plan is None or len(plan) > wanted:
            continue
        chosen.append(command)
        if len(plan) == wanted:
            said = ", ".join(each.sentence for each in chosen[:-1])
            sentence = f"{said} and {command.sentence}" if said else command.sentence
            return Command("long", sentence, And(tuple(each.goal for each in chosen)))
    return None


def _clash(command: Command, chosen: Sequence[Command], graph: SceneGraph) -> bool:
    """Whether the parts would ask too much of a thing: two places, a place that is full or that moves."""
    subject, *places = _names(command)
    others = [_names(each) for each in chosen]
    loose = graph.entity(subject).kind in GRASPABLE
    if any(subject == names[0] or (loose and subject in names) for names in others):
        return True
    if not places:
        return False
    there = sum(places[0] in names[1:] for names in others)
    if graph.entity(places[0]).kind in CAPACITY:
        return there >= _left_in(places[0], graph)
    return there > 0 or any(places[0] == names[0] for names in others)


def _names(command: Command) -> tuple[str, ...]:
    assert isinstance(command.goal, Atom)
    return command.goal.args


def _begun(graph: SceneGraph) -> SceneGraph:
    """The scene as a new command finds it: nothing has moved yet."""
    return graph.apply(
        Not(Atom("moved", (each.name, "*"))) for each in graph.entities if each.kind in GRASPABLE
    )
