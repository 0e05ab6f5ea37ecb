"""MetaWorld's 50 tasks for a Sawyer arm (Yu et al. 2020; version 3 of the environments), with their experts.

    action   (4,) in [-1, 1]: dx dy dz, 1.0 = 0.01 m a control step, and gripper, -1 open, +1 closed
    state "hand"    (4,): place of the hand in m (frame of the world, whose origin is the base) and the
                    distance of the fingers in m
    state "oracle"  (39,): MetaWorld's own observation, now and a step ago: hand, objects and goal as the
                    simulator knows them

A control step is 0.0125 s. The experts read the simulator's state.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_skills.errors import InputError, require, unknown
from robot_skills.robot import ActionSpace, Float, Image, Observation, RobotSpec
from sim.mujoco_rendering import CameraSizes, Renderer, load_mujoco
from sim.world import WorldEnv

CONTROL_RATE = 80.0
DEFAULT_CAMERAS: CameraSizes = {"corner2": (84, 84), "gripperPOV": (84, 84)}
FILM_CAMERA, FILM_SIZE = "corner2", (480, 480)
#: MuJoCo's groups that hold what MetaWorld shows.
GROUPS = (0, 1, 2)
STATE_NAMES = ("ee.x", "ee.y", "ee.z", "gripper.opening")
STATES = {"hand": STATE_NAMES, "oracle": tuple(f"oracle.{i}" for i in range(39))}
ACTION = ActionSpace(("dx", "dy", "dz", "gripper"), (True, True, True, False), (-1.0,) * 4, (1.0,) * 4)
#: The largest distance of the fingers in m, which MetaWorld counts as 1.
WIDEST = 0.1


def tasks() -> tuple[str, ...]:
    """Names of the 50 tasks, such as "pick-place-v3".

    Raises:
        InputError: MetaWorld is not installed.
    """
    load_mujoco("metaworld")
    return tuple(sorted(require("metaworld", "metaworld").ALL_V3_ENVIRONMENTS))


class MetaWorld:
    """A MetaWorld task; a `robot_skills.robot.Robot` with MetaWorld's own action and state.

    Args:
        task: one of `tasks()`.
        cameras: name -> (height, width): "topview", "corner", "corner2" to "corner4", "behindGripper",
            "gripperPOV".
        state: one of `STATES`.

    Raises:
        InputError: MetaWorld is not installed, or there is no such task, camera or state.
    """

    def __init__(
        self, task: str = "reach-v3", cameras: CameraSizes = DEFAULT_CAMERAS, state: str = "hand"
    ) -> None:
        if task not in tasks():
            raise unknown("MetaWorld task", task, tasks())
        if state not in STATES:
            raise unknown("state", state, STATES)
        package = require("metaworld", "metaworld")
        self.task, self._state = task, state
        self._spec = RobotSpec(f"metaworld-{task}", dict(cameras), CONTROL_RATE, STATES[state], ACTION)
        observable = package.ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{task}-goal-observable"]
        self._env: Any = observable(seed=0)
        self._env.max_path_length = 10**9  # episodes end where the caller ends them
        self._env.seeded_rand_vec = True
        names = [self._env.model.camera(i).name for i in range(self._env.model.ncam)]
        for name in cameras:
            if name not in names:
                raise unknown("camera", name, names)
        self._renderer: Renderer | None = None
        self.reset(0)

    @property
    def spec(self) -> RobotSpec:
        """Cameras, features and control rate."""
        return self._spec

    def reset(self, seed: int) -> None:
        """Draw objects and goal from a seed."""
        env = self._env
        if seed < 0:
            raise InputError(f"A seed is 0 or more, not {seed}.")
        env._freeze_rand_vec = False  # else the last scene comes again
        env.seed(seed)
        self._seen, _ = env.reset()
        self._steps, self._reward, self._success = 0, 0.0, False

    def act(self, action: Float) -> None:
        """Carry out one action, (4,) in [-1, 1], for one control step.

        Raises:
            ValueError: the shape is not (4,), or a value is not finite.
        """
        action = np.asarray(action, np.float32)
        if action.shape != (ACTION.size,):
            raise ValueError(f"A MetaWorld action has shape ({ACTION.size},), not {action.shape}.")
        if not np.isfinite(action).all():
            raise ValueError(f"An action holds finite numbers, not {action.tolist()}.")
        self._seen, reward, _, _, info = self._env.step(np.clip(action, -1.0, 1.0))
        self._reward, self._success = float(reward) / 10.0, bool(info["success"])
        self._steps += 1

    def stop(self) -> None:
        """Hold the hand where it is: its goal moves there."""
        self._env.data.mocap_pos[0] = self._env.data.body("hand").xpos

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """Render the cameras asked for (None: all, (): none) and read the state."""
        names = self._spec.cameras if cameras is None else cameras
        for name in names:
            if name not in self._spec.cameras:
                raise unknown("camera", name, self._spec.cameras)
        images = {name: self._draw(name, *self._spec.cameras[name]) for name in names}
        hand = np.append(self._seen[:3], self._seen[3] * WIDEST).astype(np.float32)
        state = self.oracle() if self._state == "oracle" else hand
        return Observation(images, state, self._steps / CONTROL_RATE)

    def oracle(self) -> Float:
        """MetaWorld's own observation, (39,): objects and goal as the simulator knows them."""
        return np.asarray(self._seen, np.float32)

    def expert(self) -> Float:
        """What MetaWorld's scripted expert would do now, (4,); it reads the simulator's state."""
        policy = getattr(importlib.import_module("metaworld.policies"), expert_name(self.task))()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it asks for more than 1
            action = policy.get_action(self._seen)
        return np.asarray(np.clip(action, -1.0, 1.0), np.float32)

    def reward(self) -> float:
        """MetaWorld's shaped reward of the last step, over its largest, 10."""
        return self._reward

    def success(self) -> bool:
        """Judge the task as MetaWorld did after the last step."""
        return self._success

    def film(self) -> Image:
        """The view of "corner2", (480, 480, 3) uint8."""
        return self._draw(FILM_CAMERA, *FILM_SIZE)

    def close(self) -> None:
        """Free the simulator."""
        if self._renderer is not None:
            self._renderer.close()
        self._env.close()

    def _draw(self, camera: str, height: int, width: int) -> Image:
        if self._renderer is None:
            sizes = [*self._spec.cameras.values(), FILM_SIZE]
            largest = max(tall for tall, _ in sizes), max(wide for _, wide in sizes)
            self._renderer = Renderer(self._env.model, largest, GROUPS, sites=True)  # the goal is one
        image = self._renderer.render(self._env.data, camera, height, width)
        # MetaWorld's corner cameras hang upside down.
        return np.ascontiguousarray(image[::-1, ::-1]) if camera.startswith("corner") else image


def expert_name(task: str) -> str:
    """The class of a task's expert in `metaworld.policies`; but for one they are named after their tasks."""
    words = task.replace("peg-insert", "peg-insertion").removesuffix("-v3").split("-")
    return "Sawyer" + "".join(word.capitalize() for word in words) + "V3Policy"


def make_env(
    task: str = "reach-v3",
    cameras: CameraSizes = DEFAULT_CAMERAS,
    seed: int = 0,
    render_mode: str | None = None,
) -> WorldEnv:
    """Make a MetaWorld task as a Gymnasium environment: `robot_skills/MetaWorld-v0`."""
    return WorldEnv(MetaWorld(task, cameras), seed, render_mode)
