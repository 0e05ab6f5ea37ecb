"""What every simulated benchmark offers beside `Robot`, and its Gymnasium face.

A world is reset by a seed, and the seed alone fixes the scene: neither earlier episodes nor the number of
workers matter.
"""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces

from robot_skills.robot import Float, Image, Observation, Robot

Values = dict[str, Any]


class World(Robot, Protocol):
    """A simulated robot with a task."""

    def reset(self, seed: int) -> None:
        """Begin the episode of a seed."""

    def reward(self) -> float:
        """Reward of the state as it is, in [0, 1]."""

    def success(self) -> bool:
        """Whether the task is done, judged on the simulator's state."""

    def film(self) -> Image:
        """A picture for people, (H, W, 3) uint8."""

    def close(self) -> None:
        """Free the simulator."""


class WorldEnv(gymnasium.Env[Values, Float]):
    """A `World` behind the Gymnasium API.

    Observation: `observation.images.CAMERA` (H, W, 3) uint8 and `observation.state` (S,) float32, as LeRobot
    names them. Action: that of the world's `RobotSpec`. An episode ends at success; `reset(seed=s)` begins
    with the scene of `s`, further resets go on with `s + 1`, `s + 2`, ...

    Args:
        world: the world; the environment owns and closes it.
        seed: of the first episode, unless `reset` is given one.
        render_mode: "rgb_array" renders `World.film`.
    """

    def __init__(self, world: World, seed: int = 0, render_mode: str | None = None) -> None:
        spec = world.spec
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(spec.control_rate)}
        self.world, self.render_mode = world, render_mode
        self._next_seed = seed
        pictures = {
            f"observation.images.{name}": spaces.Box(0, 255, (*size, 3), np.uint8)
            for name, size in spec.cameras.items()
        }
        state = spaces.Box(-np.inf, np.inf, (len(spec.state_names),), np.float32)
        self.observation_space = spaces.Dict({**pictures, "observation.state": state})
        low, high = np.array([spec.action.low, spec.action.high], np.float32)
        self.action_space = spaces.Box(low, high, dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: Values | None = None) -> tuple[Values, Values]:
        """Begin the episode of `seed`, or of the seed after the last one."""
        super().reset(seed=seed)
        seed = self._next_seed if seed is None else seed
        self._next_seed = seed + 1
        self.world.reset(seed)
        return self._values(self.world.observe()), self._info()

    def step(self, action: Float) -> tuple[Values, float, bool, bool, Values]:
        """Carry out one action for one control step."""
        self.world.act(action)
        info = self._info()
        return self._values(self.world.observe()), self.world.reward(), info["is_success"], False, info

    def render(self) -> Image | None:
        """A picture for people, (H, W, 3) uint8."""
        return self.world.film() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the simulator."""
        self.world.close()

    def _info(self) -> Values:
        return {"is_success": self.world.success()}

    def _values(self, seen: Observation) -> Values:
        pictures = {f"observation.images.{name}": image for name, image in seen.images.items()}
        return {**pictures, "observation.state": seen.state}
