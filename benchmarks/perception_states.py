"""Looks along runs of the scripted experts, each compared with the oracle (`perception.py states`)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robot_skills.logic import Atom
from robot_skills.perception.detector import Detector
from robot_skills.perception.graph import scene_graph as believed
from robot_skills.perception.perceiver import Perceiver
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import SkillCall
from sim.experts.expert import expert_for
from sim.experts.recording import draw_call
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import Scene
from sim.tabletop.state import State
from sim.tabletop.views import sensed
from sim.tabletop.world import TabletopWorld

#: Skills that the experts do in a run, at most, and steps that one may take.
SKILLS, LIMIT = 4, 90
#: Stream of random numbers of a seed.
STREAM = 127


@dataclass(frozen=True)
class Look:
    """One look, compared with the oracle.

    Attributes:
        first: whether nothing had been seen before.
        alone: whether it was judged without memory.
        whole: whether all entities and facts are as the oracle's.
        named: whether the entities are.
        found, there: entities with their right name, and entities.
        true, told, right: predicate -> facts of the oracle, of the camera, and of both.
        errors: distances between believed and true positions of the things of the right name, mm.
        seconds: processor time of the look without rendering.
    """

    first: bool
    alone: bool
    whole: bool
    named: bool
    found: int
    there: int
    true: dict[str, int]
    told: dict[str, int]
    right: dict[str, int]
    errors: list[float]
    seconds: float


def compared(detector: Detector, seeds: range, tell: bool = False) -> list[Look]:
    """Every look of the runs of these seeds, with and without memory.

    Args:
        detector: finds things in pictures.
        seeds: a run each.
        tell: whether what is wrong is printed.
    """
    world = TabletopWorld({})
    found: list[Look] = []
    for seed in seeds:
        world.reset(Scene.sample([seed, STREAM]))
        perceiver = Perceiver(lambda: sensed(world), detector)
        for number, _ in enumerate(work(world, perceiver, np.random.default_rng([seed, STREAM]))):
            found.append(compare(world, perceiver, first=number == 0, alone=False))
            found.append(compare(world, Perceiver(lambda: sensed(world), detector), number == 0, alone=True))
            if tell and not found[-2].whole:
                wrong = difference(believed(perceiver.memory), scene_graph(world.state()))
                print(seed, number, wrong, flush=True)
    world.close()
    return found


def work(world: TabletopWorld, perceiver: Perceiver, rng: np.random.Generator) -> Iterator[None]:
    """Let experts do some skills in a row; yields where `run` would look: before and after each."""
    before: list[SkillCall] = []
    yield
    for _ in range(SKILLS):
        call = draw_call(world.state(), rng, before)
        if call is None:
            return
        before.append(call)
        world.begin_command()
        perceiver.begin_command()
        expert = expert_for(call)
        for _ in range(LIMIT):
            action, over = expert.act(world.state())
            world.act(action)
            if over:
                break
        yield


def compare(world: TabletopWorld, perceiver: Perceiver, first: bool, alone: bool) -> Look:
    """Look, and compare with the oracle; `moved` is no matter of a single look."""
    state = world.state()
    views = sensed(world)
    began = time.process_time()
    graph = perceiver.perceive(views)
    seconds = time.process_time() - began
    oracle = scene_graph(state)
    names, true_names = ({each.name for each in seen.entities} for seen in (graph, oracle))
    skipped = {"fits", "moved"} if alone else {"fits"}
    told, true = ({fact for fact in seen.facts if fact.predicate not in skipped} for seen in (graph, oracle))
    return Look(
        first, alone, names == true_names and told == true, names == true_names,
        len(names & true_names), len(true_names), count(true), count(told), count(told & true),
        position_errors(perceiver, state), seconds,
    )  # fmt: skip


def count(facts: set[Atom]) -> dict[str, int]:
    return dict(Counter(fact.predicate for fact in facts))


def position_errors(perceiver: Perceiver, state: State) -> list[float]:
    return [
        1000 * float(np.linalg.norm(thing.position - state.bodies[thing.name].position))
        for thing in perceiver.memory.things
        if thing.name in state.bodies
    ]


def difference(graph: SceneGraph, oracle: SceneGraph) -> str:
    """What the camera lacks (-) and has too much (+)."""
    marks = []
    for mark, one, other in (("-", oracle, graph), ("+", graph, oracle)):
        names = {each.name for each in one.entities} - {each.name for each in other.entities}
        facts = {str(fact) for fact in one.facts - other.facts if fact.predicate != "fits"}
        marks += [f"{mark}{each}" for each in (*sorted(names), *sorted(facts))]
    return " ".join(marks)
