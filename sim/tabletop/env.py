"""The tabletop behind the Gymnasium API, as `robot_skills/Tabletop-v0`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.robot import ACTION_SIZE, STATE_NAMES, Float, Image, Observation
from robot_skills.skill import Skill, SkillCall
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import Scene
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import CONTROL_RATE, TabletopWorld

Values = dict[str, Any]


class TabletopEnv(gymnasium.Env[Values, Float]):
    """A Panda at a table.

    Observation: `observation.images.CAMERA` (size, size, 3) uint8 and `observation.state` (10,) float32, as
    LeRobot names them. Action: (7,) in [-1, 1], see `robot_skills.robot`. Reward: 1 at the step that reaches
    the goal of the task, which also ends the episode; without a task always 0.

    Args:
        scene: a `Scene`, or the path of a scene file; None draws one at each reset.
        seed: of the scenes; `reset(seed=...)` overrides it. `(seed, episode)` fixes a scene.
        cameras: which cameras are rendered.
        image_size: pixels of a side.
        task: name of a skill ("pick", ...): each episode then begins as that skill's do, and `info` holds the
            instruction; a task and a scene exclude each other.
        render_mode: "rgb_array" renders the film camera.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": int(CONTROL_RATE)}  # noqa: RUF012

    def __init__(
        self,
        scene: Scene | Path | str | None = None,
        seed: int = 0,
        cameras: Sequence[str] = ("front", "wrist"),
        image_size: int = 64,
        task: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        if scene is not None and task is not None:
            raise InputError("Give a scene or a task, not both: a task draws its own scenes.")
        self._scene = Scene.load(scene) if isinstance(scene, Path | str) else scene
        self._seed, self._episode = seed, -1
        self._skill: Skill | None = SkillLibrary.open().skill(task) if task is not None else None
        self._call: SkillCall | None = None
        self.world = TabletopWorld({name: (image_size, image_size) for name in cameras})
        self.render_mode = render_mode
        pictures = {
            f"observation.images.{name}": spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
            for name in cameras
        }
        state = spaces.Box(-2.0, 2.0, (len(STATE_NAMES),), np.float32)
        self.observation_space = spaces.Dict({**pictures, "observation.state": state})
        self.action_space = spaces.Box(-1.0, 1.0, (ACTION_SIZE,), np.float32)

    def reset(self, *, seed: int | None = None, options: Values | None = None) -> tuple[Values, Values]:
        """Begin the next episode; with a seed, episode 0 of that seed."""
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._episode = seed, -1
        self._episode += 1
        self._call = None
        if self._skill is not None:
            task = sample_task(self._skill.name, self._seed + self._episode)
            task.start(self.world)
            self._call = task.call
        else:
            self.world.reset(self._scene or Scene.sample(self._seed, self._episode))
        return self._values(self.world.observe()), self._info()

    def step(self, action: Float) -> tuple[Values, float, bool, bool, Values]:
        """Carry out one action for one control step of 0.1 s."""
        self.world.act(action)
        reached = self._reached()
        return self._values(self.world.observe()), float(reached), reached, False, self._info()

    def render(self) -> Image | None:
        """The film camera's picture, (480, 640, 3) uint8."""
        return self.world.render("film", 480, 640, film=True) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the physics clients."""
        self.world.close()

    def _reached(self) -> bool:
        if self._skill is None or self._call is None:
            return False
        return scene_graph(self.world.state()).holds(self._skill.goal(self._call))

    def _info(self) -> Values:
        if self._skill is None or self._call is None:
            return {}
        return {"call": str(self._call), "text": self._skill.language(self._call)}

    def _values(self, seen: Observation) -> Values:
        pictures = {f"observation.images.{name}": image for name, image in seen.images.items()}
        return {**pictures, "observation.state": seen.state}
