from __future__ import annotations

import numpy as np
import pytest

from robot_skills.library import SkillLibrary
from robot_skills.logic import And, Atom, Formula
from robot_skills.symbolic.closed_loop import plan_to
from sim.tabletop.chains import MOST_STEPS, Chain, commands, long_command
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import Scene
from sim.tabletop.world import TabletopWorld

SKILLS = SkillLibrary.open().skills


def parts(goal: Formula) -> list[Atom]:
    return [part for part in (goal.parts if isinstance(goal, And) else (goal,)) if isinstance(part, Atom)]


@pytest.mark.parametrize("seed", range(6))
def test_each_command_of_a_chain_is_possible_after_the_one_before(world: TabletopWorld, seed: int) -> None:
    scene = Scene.sample(seed)
    world.reset(scene)
    graph = scene_graph(world.state())
    drawn = [Chain(scene, graph, SKILLS).draw(np.random.default_rng(seed), 5) for _ in range(2)]
    assert drawn[0] == drawn[1]
    for command in drawn[0]:
        graph = type(graph)(graph.entities, frozenset(f for f in graph.facts if f.predicate != "moved"))
        assert not graph.holds(command.goal)
        plan = plan_to(command.goal, graph, SKILLS)
        assert plan is not None
        assert 1 <= len(plan) <= MOST_STEPS
        for call in plan:
            graph = SKILLS[call.skill].after(call, graph)
        assert graph.holds(command.goal)


@pytest.mark.parametrize("seed", range(6))
def test_a_long_command_takes_as_many_steps_as_asked_for(world: TabletopWorld, seed: int) -> None:
    world.reset(Scene.sample(seed, count=6))
    graph = scene_graph(world.state())
    found = long_command(np.random.default_rng(seed), graph, SKILLS, (6, 8))
    assert found == long_command(np.random.default_rng(seed), graph, SKILLS, (6, 8))
    if found is None:
        return
    plan = plan_to(found.goal, graph, SKILLS)
    assert plan is not None
    assert 6 <= len(plan) <= 8
    subjects = [part.args[0] for part in parts(found.goal)]
    assert len(set(subjects)) == len(subjects)  # nothing has two places
    drawer = [part for part in parts(found.goal) if part.args[1:] == ("drawer",)]
    assert len(drawer) <= 2
    assert found.sentence.count(",") == max(len(subjects) - 2, 0)


def test_most_scenes_have_long_commands(world: TabletopWorld) -> None:
    found = 0
    for seed in range(10):
        world.reset(Scene.sample(seed, count=6))
        graph = scene_graph(world.state())
        found += long_command(np.random.default_rng(seed), graph, SKILLS, (6, 12)) is not None
    assert found >= 5


def test_commands_say_what_they_mean(world: TabletopWorld) -> None:
    world.reset(Scene.load("datasets/scenes/demo.yaml"))
    every = commands(scene_graph(world.state()))
    assert {"drawer", "lift", "push left", "open drawer", "close door", "press"} <= set(every)
    for kind, options in every.items():
        for command in options:
            (part,) = parts(command.goal)
            names = part.args if part.predicate != "moved" else part.args[:1]
            assert all(name in command.sentence for name in names)
            assert command.kind == kind
