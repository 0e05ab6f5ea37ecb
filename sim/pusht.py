"""Push-T (Florence et al. 2021; Chi et al. 2023): a disc pushes a T onto its outline, in `gym-pusht`.

Units are pixels of the 512 x 512 board, x to the right and y downwards; 10 control steps a second.

    state "keypoints"   (20,): nine points of the T, x and y each, then the agent's position: what policies
                        see in the low-dimensional benchmark of diffusion_policy
    state "agent"       (2,): the agent's position, which is all that a policy on images is told
    state "pose"        (5,): agent x y, T x y, T angle in radians, as the recorded array `state`
    action              (2,): where the agent is to go, 0 to 512
    score               max over the steps of clip(coverage / 0.95, 0, 1); 300 steps are allowed

Starts are drawn as diffusion_policy draws them (`env/pusht/pusht_env.py`, `legacy_test: True`): its seeds,
100000 and on for its tests, are the same starts here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_skills.errors import InputError, require, unknown
from robot_skills.robot import ActionSpace, Float, Image, Observation, RobotSpec
from sim.world import WorldEnv

Array = NDArray[np.float64]

CONTROL_RATE, MAX_STEPS, BOARD = 10.0, 300, 512.0
#: Share of the outline that counts as all of it.
SUCCESS_COVERAGE = 0.95

AGENT_NAMES = ("agent.x", "agent.y")
STATES = {
    "keypoints": (*(f"keypoint{i}.{axis}" for i in range(9) for axis in "xy"), *AGENT_NAMES),
    "agent": AGENT_NAMES,
    "pose": (*AGENT_NAMES, "block.x", "block.y", "block.angle"),
}
TARGET = ActionSpace(("x", "y"), (False, False), (0.0, 0.0), (BOARD, BOARD))

#: The nine points in the frame of the T. diffusion_policy samples them from a drawing of the T; these are
#: recovered from the arrays `keypoint` and `state` of its recordings, median over 25,650 steps.
LOCAL_KEYPOINTS = np.array(
    [
        (9.26979, 90.04097),
        (-60.98347, -1.18673),
        (60.91276, -1.39336),
        (-0.27050, 25.54363),
        (-14.06493, 122.81585),
        (39.00274, 32.85740),
        (-39.96641, 32.72966),
        (-16.82434, 62.86318),
        (23.54146, -1.70029),
    ]
)


def keypoints(pose: ArrayLike) -> Array:
    """Carry the nine points of the T to the board.

    Args:
        pose: (..., 3) x, y, angle of the T.

    Returns:
        (..., 9, 2) pixels.
    """
    pose = np.asarray(pose, np.float64)
    cos, sin = np.cos(pose[..., 2, None]), np.sin(pose[..., 2, None])
    x, y = LOCAL_KEYPOINTS.T
    turned: Array = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1) + pose[..., None, :2]
    return turned


def start(seed: int) -> Array:
    """Draw a start: (5,) agent x y, T x y, T angle, from the legacy generator that the benchmark uses.

    Raises:
        InputError: the seed is not in 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"A seed of Push-T lies in 0 to {2**32 - 1}, not {seed}.")
    random = np.random.RandomState(seed)
    places = [random.randint(50, 450) for _ in range(2)] + [random.randint(100, 400) for _ in range(2)]
    return np.array([*places, random.randn() * 2 * np.pi - np.pi])


class PushT:
    """The Push-T world; a `robot_skills.robot.Robot`.

    Nothing is drawn unless `observe` is asked for images.

    Args:
        state: what `Observation.state` holds: "keypoints", "agent" or "pose", see the module.
        cameras: name -> (height, width); each is the same view from above. The recordings are 96 px.

    Raises:
        InputError: gym-pusht is not installed, or the state is not one of the three.
    """

    def __init__(
        self, state: str = "keypoints", cameras: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        if state not in STATES:
            raise unknown("Push-T state", state, STATES)
        sizes = {"image": (96, 96)} if cameras is None else dict(cameras)
        self._spec = RobotSpec("pusht", sizes, CONTROL_RATE, STATES[state], TARGET)
        self._state, self._steps = state, 0
        self._score = self._reward = 0.0
        self._covered = False
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        self._env: Any = require("gym_pusht.envs.pusht", "pusht").PushTEnv(obs_type="state")
        self.reset(0)

    @property
    def spec(self) -> RobotSpec:
        """Cameras, features and control rate."""
        return self._spec

    @property
    def steps(self) -> int:
        """Control steps since the reset."""
        return self._steps

    @property
    def coverage(self) -> float:
        """Share of the outline that the T covers now."""
        covered: float = self._env._get_coverage()
        return covered

    @property
    def score(self) -> float:
        """Best clip(coverage / 0.95, 0, 1) after any step since the reset; 0 before the first."""
        return self._score

    @property
    def done(self) -> bool:
        """Whether the published evaluation would stop here: covered, or 300 steps gone."""
        return self.success() or self._steps >= MAX_STEPS

    def reset(self, seed: int) -> None:
        """Begin at `start(seed)`, carried through one physics step as the benchmark does."""
        self._env.reset(options={"reset_to_state": start(seed)})
        self._begin()

    def reset_to(self, pose: ArrayLike) -> None:
        """Begin at a recorded state, (5,) agent x y, T x y, T angle, exactly and at rest.

        Raises:
            InputError: the shape is not (5,), or a number is not finite.
        """
        pose = np.asarray(pose, np.float64)
        if pose.shape != (5,) or not np.isfinite(pose).all():
            raise InputError(f"A Push-T state is five finite numbers, not {pose.tolist()}.")
        env = self._env
        env._setup()
        env.agent.position = pose[:2].tolist()
        # The angle turns the T about its centre of gravity and so moves its origin: it comes first.
        env.block.angle = float(pose[4])
        env.block.position = pose[2:4].tolist()
        for body in (env.agent, env.block):
            env.space.reindex_shapes_for_body(body)  # else the old outlines are drawn until the next step
        self._begin()

    def act(self, action: Float) -> None:
        """Go towards a target, (2,) pixels, for a control step of 0.1 s.

        Raises:
            ValueError: the shape is not (2,), or a number is not finite.
        """
        target = np.asarray(action, np.float64)
        if target.shape != (2,):
            raise ValueError(f"A Push-T action has shape (2,), not {target.shape}.")
        if not np.isfinite(target).all():
            raise ValueError(f"A Push-T action holds finite numbers, not {target.tolist()}.")
        _, reward, _, _, info = self._env.step(np.clip(target, 0.0, BOARD))
        self._steps += 1
        self._reward, self._covered = float(reward), bool(info["is_success"])
        self._score = max(self._score, self._reward)

    def stop(self) -> None:
        """Stop the agent where it is."""
        self._env.agent.velocity = (0.0, 0.0)

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """Draw the cameras asked for (None: all, (): none) and read the state."""
        names = self._spec.cameras if cameras is None else cameras
        images = {name: self._draw(name) for name in names}
        return Observation(images, self._features().astype(np.float32), self._steps / CONTROL_RATE)

    def pose(self) -> Array:
        """(5,) agent x y, T x y, T angle in [0, 2 pi)."""
        agent, block = self._env.agent, self._env.block
        return np.array([*agent.position, *block.position, block.angle % (2 * np.pi)])

    def reward(self) -> float:
        """clip(coverage / 0.95, 0, 1) after the last step."""
        return self._reward

    def success(self) -> bool:
        """Whether more than 0.95 of the outline is covered."""
        return self._covered

    def film(self) -> Image:
        """The board with the target marked, (680, 680, 3) uint8."""
        return np.asarray(self._env.render(), np.uint8)

    def close(self) -> None:
        """Free the simulator."""
        self._env.close()

    def _begin(self) -> None:
        self._steps, self._score = 0, 0.0
        self._env._last_action = None
        self._covered = self.coverage > SUCCESS_COVERAGE
        self._reward = min(self.coverage / SUCCESS_COVERAGE, 1.0)

    def _features(self) -> Array:
        pose = self.pose()
        if self._state == "keypoints":
            return np.concatenate([keypoints(pose[2:]).ravel(), pose[:2]])
        return pose[:2] if self._state == "agent" else pose

    def _draw(self, name: str) -> Image:
        if name not in self._spec.cameras:
            raise unknown("camera", name, self._spec.cameras)
        env = self._env
        env.observation_height, env.observation_width = self._spec.cameras[name]
        # `render()` would mark the target in the picture; the recorded images do not.
        return np.asarray(env._render(), np.uint8)


def make_env(
    state: str = "keypoints",
    cameras: Mapping[str, tuple[int, int]] | None = None,
    seed: int = 0,
    render_mode: str | None = None,
) -> WorldEnv:
    """Make Push-T as a Gymnasium environment: `robot_skills/PushT-v0`."""
    return WorldEnv(PushT(state, cameras), seed, render_mode)
