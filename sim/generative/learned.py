"""Generated tasks carried out by a trained policy: planned on the cards, judged by the goal formula.

The policy sees images, proprioception and language; the plan and the judgement read simulator state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from robot_skills.execution import ChunkSource, execute
from robot_skills.skill import Skill
from robot_skills.symbolic.closed_loop import RunResult, run_command
from sim.generative.decomposition import decompose
from sim.generative.task import Task
from sim.generative.trial import BUDGETS
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld


def attempt_learned(
    world: TabletopWorld,
    task: Task,
    episode: int,
    skills: Mapping[str, Skill],
    source: Callable[[str], ChunkSource],
) -> RunResult:
    """Plan a task's goal in the scene of an episode, and have policies carry the plan out.

    Args:
        world: with the cameras that the policies see; it is reset.
        task: what is asked for.
        episode: fixes the scene.
        skills: the cards.
        source: name of a skill -> its policy.

    Raises:
        PlacementError: the recipe leaves no room for this scene.
    """
    world.reset(task.scene(episode))
    graph = scene_graph(world.state(), task.tolerances)
    goal = task.goal.given(graph)
    plan = decompose(goal, graph, skills) or ()
    return run_command(
        goal,
        plan,
        skills,
        lambda: scene_graph(world.state(), task.tolerances),
        lambda call: execute(world, skills[call.skill], call, source(call.skill)),
        budgets=BUDGETS,
    )
