"""Demonstrations of a LIBERO suite by the planned expert, as `robot-skills collect` asks for them.

A seed fixes the task (`task_of`), the scene, and the noise. The label of each step is the expert's clean
action; what is executed drifts away from it, and the labels say how to come back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from robot_skills.data.collection import Attempt
from robot_skills.data.episode import Episode
from robot_skills.errors import InputError
from robot_skills.training.recipe import CollectRecipe
from sim.experts.demonstration import nearness
from sim.experts.libero import PickPlaceExpert, PickPlaceState, act
from sim.libero import LiberoWorld, tasks
from sim.robosuite_world import Array

#: The suites whose every task puts one thing into a container.
SUITES = ("libero_object",)
#: Control steps an episode may take, and those recorded after its end.
LIMIT, HOLD = 150, 4
#: Seeds in a row that go to one task: making another task's scene takes seconds.
BLOCK = 4
#: Share of the noise that goes on into the next step. At 20 Hz independent draws would cancel out before the
#: soft arm follows; a policy's own errors last as well.
PERSISTENCE = 0.7
#: How far off the expert believes its object to be in an episode that misleads it, m, and for how many steps.
OFFSET, MISLED_STEPS = (0.015, 0.05), (10, 40)
#: Streams of random numbers of a seed.
NOISE_STREAM, ERROR_STREAM = 77, 78


def task_of(suite: str, seed: int) -> str:
    """The task that a seed demonstrates: all in turn, `BLOCK` seeds each."""
    names = tasks(suite)
    return names[(seed // BLOCK) % len(names)]


@dataclasses.dataclass(frozen=True)
class LiberoDemonstrator:
    """Makes, in its process, the function that tries a seed; the recipe's skill is the suite.

    Raises:
        InputError: the expert does not know the suite, or LIBERO is not installed.
    """

    recipe: CollectRecipe

    def __post_init__(self) -> None:
        if self.recipe.skill not in SUITES:
            raise InputError(f"The planned expert knows {', '.join(SUITES)}, not {self.recipe.skill}.")
        tasks(self.recipe.skill)

    def __call__(self) -> Callable[[int], Attempt]:
        """Worlds are made when their task's turn comes."""
        recipe = self.recipe
        cameras = {camera: recipe.image_size for camera in recipe.cameras}
        worlds: list[LiberoWorld] = []

        def attempt(seed: int) -> Attempt:
            task = task_of(recipe.skill, seed)
            if not worlds or worlds[0].task != task:
                for world in worlds:
                    world.close()
                worlds[:] = [LiberoWorld(recipe.skill, task, cameras)]
            return demonstrate(worlds[0], seed, recipe.noise, recipe.misled)

        return attempt


def demonstrate(world: LiberoWorld, seed: int, noise: float, misled: float = 0.0) -> Attempt:
    """Run the expert once; the seed fixes the scene and the noise.

    Args:
        world: any of a suite in `SUITES`; it is reset.
        seed: of the scene.
        noise: standard deviation of what is added to the executed translation, in units of an action.
        misled: share of the episodes that begin with the expert being wrong about where its object is.
    """
    world.reset(seed)
    expert, rng = PickPlaceExpert(world), np.random.default_rng([seed, NOISE_STREAM])
    offset, steps = draw_error(np.random.default_rng([seed, ERROR_STREAM]), misled)
    frames: list[dict[str, Any]] = []
    scale, drift, over = noise * rng.uniform(0.3, 1.0), np.zeros(3), 0
    while over < HOLD and len(frames) < LIMIT:
        state = expert.state()
        action, ended = act(state)
        over = over + 1 if ended or over else 0
        seen = world.observe()
        frames.append(
            {**seen.images, "state": seen.state, "action": action, "end": over > 0, "target": state.place}
        )
        wrong = len(frames) <= steps and not state.held
        executed = act(mistake(state, offset))[0] if wrong else action.copy()
        drift = PERSISTENCE * drift + rng.normal(0.0, scale, 3)
        if over == 0:
            aim = state.basket if state.held else state.place
            executed[:3] += drift * nearness(state.tool - aim)
        world.act(np.clip(executed, -1.0, 1.0))
    if over == 0 or not world.success():
        return Attempt(seed, None, f"{world.task}: not over after {LIMIT} steps" if over == 0 else "undone")
    return Attempt(seed, _episode(world, frames, seed))


def draw_error(rng: np.random.Generator, share: float) -> tuple[Array, int]:
    """Where the expert believes its object to be, as an offset (3,), and for how many steps; 0: it knows."""
    angle, size, steps = rng.uniform(0, 2 * np.pi), rng.uniform(*OFFSET), int(rng.integers(*MISLED_STEPS))
    offset = size * np.array([np.cos(angle), np.sin(angle), 0.0])
    return offset, steps if rng.random() < share else 0


def mistake(state: PickPlaceState, offset: Array) -> PickPlaceState:
    """The state as somebody sees it who is wrong about where the object is."""
    return dataclasses.replace(state, place=state.place + offset, corners=state.corners + offset)


def _episode(world: LiberoWorld, frames: list[dict[str, Any]], seed: int) -> Episode:
    stack: dict[str, Any] = {key: np.stack([frame[key] for frame in frames]) for key in frames[0]}
    return Episode(
        images={name: stack[name] for name in world.spec.cameras},
        state=stack["state"],
        action=stack["action"],
        end=stack["end"].astype(np.float32),
        target=stack["target"].astype(np.float32),
        text=world.language,
        scene={"suite": world.suite, "task": world.task},
        seed=seed,
        expert=f"scripted/{world.suite}",  # collections say of such a name that it read simulator state
    )
