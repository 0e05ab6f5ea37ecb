"""One attempt at a task in full physics, and the replay of its actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_skills.robot import Float
from robot_skills.skill import Outcome, Skill, SkillCall, Status
from robot_skills.symbolic.closed_loop import run_command
from robot_skills.symbolic.diagnosis import Budgets
from sim.generative.decomposition import decompose
from sim.generative.solvers import Controller, Scripted, Solver, UnableError
from sim.generative.task import Task
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import Scene
from sim.tabletop.world import CONTROL_RATE, TabletopWorld

#: Control steps of one skill at the most.
STEPS = 90
#: An attempt may make two new plans; a solver that failed is then another one's turn.
BUDGETS = Budgets(retries=0, detours=0, replans=2, questions=0)
#: Control steps for which a goal must go on holding once everything is over: 0.5 s.
HOLD = round(0.5 * CONTROL_RATE)


@dataclass(frozen=True)
class Trial:
    """What came of an attempt.

    Attributes:
        episode: of the task; it fixes the scene.
        scene: where it began.
        actions: (T, 7) float32, everything that was done, the final stillness included.
        calls: the skill calls that were carried out.
        success: whether the goal held at the end of the last skill.
        held: whether it held at every step of the final stillness too.
        reason: why it ended.
        digest: hash of the physical state at the very end.
        solved_by: what carried out each call that did what it should, in order.
        segments: (call, first step, step after the last) of every call that was carried out.
    """

    episode: int
    scene: Scene
    actions: Float
    calls: tuple[SkillCall, ...]
    success: bool
    held: bool
    reason: str
    digest: str
    solved_by: tuple[str, ...] = ()
    segments: tuple[tuple[SkillCall, int, int], ...] = ()


def attempt(
    world: TabletopWorld,
    task: Task,
    episode: int,
    skills: Mapping[str, Skill],
    solver: Solver | None = None,
    on_step: Callable[[Float], None] = lambda action: None,
) -> Trial:
    """Plan the task's goal in the scene of an episode and carry the plan out.

    The plan is checked before each step and made anew when the world is not as planned
    (`robot_skills.symbolic.closed_loop`).

    Args:
        world: any; it is reset.
        task: what is asked for.
        episode: fixes the scene.
        skills: the cards.
        solver: carries out skill calls; by default the scripted experts, which read simulator state.
        on_step: told of every action before it is carried out.

    Raises:
        PlacementError: the recipe leaves no room for this scene.
    """
    scene = task.scene(episode)
    world.reset(scene)
    player = Player(world, task, skills, solver or Scripted(), on_step)
    graph = scene_graph(world.state(), task.tolerances)
    goal = task.goal.given(graph)
    plan = decompose(goal, graph, skills)
    if plan is None:
        return Trial(episode, scene, player.actions(), (), False, False, "no plan", world.digest())
    result = run_command(
        goal,
        plan,
        skills,
        lambda: scene_graph(world.state(), task.tolerances),
        player.play,
        budgets=BUDGETS,
    )
    held = result.success
    for _ in range(HOLD if result.success else 0):
        player.still()
        held = held and scene_graph(world.state(), task.tolerances).holds(goal)
    calls = tuple(outcome.call for outcome in result.outcomes)
    return Trial(
        episode, scene, player.actions(), calls, result.success, held, result.reason, world.digest(),
        tuple(player.solved_by), tuple(player.segments),
    )  # fmt: skip


def replay(world: TabletopWorld, task: Task, trial: Trial) -> tuple[bool, bool]:
    """Play a trial's actions again: whether the goal holds, and whether the end is the same to the bit."""
    world.reset(trial.scene)
    goal = task.goal.given(scene_graph(world.state(), task.tolerances))
    for action in trial.actions:
        world.act(action)
    return scene_graph(world.state(), task.tolerances).holds(goal), world.digest() == trial.digest


class Player:
    """Carries out skill calls with a solver, and keeps every action."""

    def __init__(
        self,
        world: TabletopWorld,
        task: Task,
        skills: Mapping[str, Skill],
        solver: Solver,
        on_step: Callable[[Float], None],
    ) -> None:
        self._world, self._task, self._skills = world, task, skills
        self._solver, self._on_step = solver, on_step
        self._actions: list[NDArray[np.float32]] = []
        self._failures: Counter[SkillCall] = Counter()
        self.solved_by: list[str] = []
        self.segments: list[tuple[SkillCall, int, int]] = []

    def play(self, call: SkillCall) -> Outcome:
        """Until the solver says that it is over."""
        try:
            name, controller = self._solver.controller(call, self._failures[call])
        except UnableError as error:
            return Outcome(call, Status.ABORTED, str(error), 0, 0.0)
        first, outcome = len(self._actions), self._follow(call, controller)
        self.segments.append((call, first, len(self._actions)))
        graph = scene_graph(self._world.state(), self._task.tolerances)
        if graph.holds(self._skills[call.skill].goal(call)):
            self.solved_by.append(name)
        else:
            self._failures[call] += 1
        return outcome

    def _follow(self, call: SkillCall, controller: Controller) -> Outcome:
        for step in range(1, STEPS + 1):
            action, over = controller.act(self._world)
            self._act(action)
            if over:
                reason = "The solver says it is over."
                return Outcome(call, Status.SUCCEEDED, reason, step, step / CONTROL_RATE)
        return Outcome(call, Status.TIMED_OUT, f"Not over after {STEPS} steps.", STEPS, STEPS / CONTROL_RATE)

    def still(self) -> None:
        """One control step without motion, the fingers as they are."""
        self._act(self._world.arm.still())

    def actions(self) -> Float:
        """All that were played, (T, 7)."""
        return np.stack(self._actions) if self._actions else np.zeros((0, 7), np.float32)

    def _act(self, action: NDArray[np.float32]) -> None:
        self._on_step(action)
        self._actions.append(action)
        self._world.act(action)
