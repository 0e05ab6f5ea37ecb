"""Episodes of a skill in the middle of a long command: after other skills, where their hand and things are.

A skill that learned from scenes as they are drawn has not seen a drawer with something in it, a stack, or a
hand that other policies have turned by a degree. Here experts carry out the first steps of a long command,
or a policy the last of them, and the next step is the episode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from robot_skills.data.collection import Attempt
from robot_skills.errors import InputError, JobError
from robot_skills.execution import LocalChunks, execute
from robot_skills.library import SkillLibrary
from robot_skills.robot import ROTATION_SCALE
from robot_skills.skill import SkillCall
from robot_skills.symbolic.closed_loop import plan_to
from robot_skills.training.configuration import from_mapping, read_yaml
from robot_skills.training.recipe import CollectRecipe
from sim.experts.demonstration import LIMIT, Demonstrator
from sim.experts.expert import expert_for
from sim.tabletop.chains import long_command
from sim.tabletop.oracle import scene_graph
from sim.tabletop.retreat import retreat
from sim.tabletop.scene import Scene
from sim.tabletop.tasks import Task
from sim.tabletop.world import TabletopWorld

#: Steps of a long command, fewest and most.
STEPS = (3, 12)
#: Shares of the episodes in which a policy does the step before, in which the arm is drawn back after it, and
#: in which the hand is turned a little, about each axis by at most so much, rad.
BY_POLICY, DRAWN_BACK, TURNED, LARGEST_TURN = 0.5, 0.2, 0.3, 0.07


@dataclass(frozen=True)
class Midway(Task):
    """An episode that begins after other steps.

    Attributes:
        before: those steps.
        policies: the library whose policies may do the last of them.
    """

    before: tuple[SkillCall, ...] = ()
    policies: SkillLibrary | None = None

    def start(self, world: TabletopWorld) -> None:
        """Bring a world to where the steps before have led.

        Raises:
            JobError: one of them failed.
        """
        world.reset(self.scene)
        rng = np.random.default_rng([self.seed, 80])
        library = self.policies or SkillLibrary.open()
        by_policy = rng.random() < BY_POLICY and self.policies is not None
        for number, call in enumerate(self.before):
            skill = library.skill(call.skill)
            if by_policy and number == len(self.before) - 1:
                execute(world, skill, call, LocalChunks(library.policy(call.skill)))
            if not scene_graph(world.state()).holds(skill.goal(call)):
                _by_expert(world, call)
            if not scene_graph(world.state()).holds(skill.goal(call)):
                raise JobError(f"{call.skill} failed on the way")
        if rng.random() < DRAWN_BACK:
            retreat(world, bool(world.state().gripped))
        if rng.random() < TURNED:
            _turn(world, rng.uniform(-1, 1, 3) * LARGEST_TURN)
        world.begin_command()


def sample_midway(
    skill: str, seed: int, world: TabletopWorld, policies: SkillLibrary | None = None
) -> Midway | None:
    """Draw the episode of a skill that belongs to a seed; None: its long command has no such step.

    Args:
        skill: its name.
        seed: fixes everything.
        world: any; it is reset, to see what can be commanded.
        policies: as of `Midway`.
    """
    skills = SkillLibrary.open().skills
    rng = np.random.default_rng([seed, 81])
    scene = Scene.sample([seed, 81])
    world.reset(scene)
    graph = scene_graph(world.state())
    command = long_command(rng, graph, skills, STEPS)
    plan = plan_to(command.goal, graph, skills) if command is not None else None
    places = [number for number, call in enumerate(plan or ()) if call.skill == skill]
    if plan is None or not places:
        return None
    chosen = int(rng.choice(places))
    return Midway(skill, seed, scene, plan[chosen], None, tuple(plan[:chosen]), policies)


@dataclass(frozen=True)
class MidwayRecipe(CollectRecipe):
    """Demonstrations to collect in the middle of long commands.

    Attributes:
        midway: says that it is such a recipe.
        library: folder of the skills whose policies may do the step before; None: the one that comes along.
    """

    midway: bool = True
    library: str | None = None

    @classmethod
    def read(cls, path: Path | str) -> MidwayRecipe:
        """Read a YAML file.

        Raises:
            InputError: naming the file and the key that is wrong.
        """
        recipe = from_mapping(cls, read_yaml(path, "collection recipe"), str(path))
        if not recipe.midway:
            raise InputError(f"{path}: midway is true, or left out.")
        return recipe


@dataclass(frozen=True)
class MidwayDemonstrator:
    """Makes, in its process, a tabletop and the function that tries a seed on it, midway."""

    recipe: MidwayRecipe

    def __call__(self) -> Callable[[int], Attempt]:
        """Build the world."""
        from robot_skills.cli.console import silence

        recipe = self.recipe
        with silence():
            demonstrator = Demonstrator(recipe)
        torch.set_num_threads(1)  # as of `Demonstrator`
        policies = SkillLibrary.open(recipe.library)

        def attempt(seed: int) -> Attempt:
            task = sample_midway(recipe.skill, seed, demonstrator.world, policies)
            if task is None:
                return Attempt(seed, None, f"a command without {recipe.skill}")
            try:
                return demonstrator.attempt(task)
            except JobError as error:
                return Attempt(seed, None, str(error))

        return attempt


def _by_expert(world: TabletopWorld, call: SkillCall) -> None:
    expert = expert_for(call)
    for _ in range(LIMIT):
        action, over = expert.act(world.state())
        if over:
            return
        world.act(np.clip(action, -1.0, 1.0))


def _turn(world: TabletopWorld, turn: NDArray[np.float64]) -> None:
    """Turn the hand by a rotation vector (3,), rad, as it is."""
    action = world.arm.still()
    action[3:6] = turn / ROTATION_SCALE
    world.act(action)
