"""robosuite's tasks for one Panda (Zhu et al. 2020): Lift, Stack, PickPlaceCan, NutAssemblySquare, Door.

Observation, action and state are those of `robot_skills.robot`: robosuite's OSC_POSE controller at 20 Hz,
positions and rotations in the frame of the robot's base. Images are upright. Physics is robosuite's own;
drawing is faster, with the visual meshes of `sim.low_poly` and no multisampling, shadows or reflections.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_skills.errors import InputError, require, unknown
from robot_skills.robot import ACTION_SIZE, STATE_NAMES, Float, Image, Observation, RobotSpec, check_action
from sim.low_poly import low_poly_visuals
from sim.low_poly_textured import low_poly_textured
from sim.mujoco_rendering import CameraSizes, Renderer, load_mujoco
from sim.robosuite_files import repair_model, with_moved_bodies
from sim.world import WorldEnv

Array = NDArray[np.float64]

TASKS = ("Lift", "Stack", "PickPlaceCan", "NutAssemblySquare", "Door")
CONTROL_RATE = 20
DEFAULT_CAMERAS: CameraSizes = {"agentview": (84, 84), "robot0_eye_in_hand": (84, 84)}
FILM_CAMERA, FILM_SIZE = "agentview", (480, 640)
GRIP_SITE, HAND = "gripper0_right_grip_site", "robot0_right_hand"
FINGERS = ("gripper0_right_finger_joint1", "gripper0_right_finger_joint2")

_ROBOMIMIC = (("robot0_eef_pos", 3), ("robot0_eef_quat", 4), ("robot0_gripper_qpos", 2))
_LIBERO = (("ee_pos", 3), ("ee_ori", 3), ("gripper_states", 2))
#: What `Observation.state` may hold: the contract's features; or what recordings hold, in the frame of the
#: world, under the names that converters give it.
STATES = {
    "contract": STATE_NAMES,
    "robomimic": tuple(f"{key}.{i}" for key, size in _ROBOMIMIC for i in range(size)),
    "libero": tuple(f"{key}.{i}" for key, size in _LIBERO for i in range(size)),
}
#: Task -> what its "oracle" state tells of: name -> body of the scene.
OBJECTS = {
    "Lift": {"cube": "cube_main"},
    "Stack": {"cube_a": "cubeA_main", "cube_b": "cubeB_main"},
    "PickPlaceCan": {"can": "Can_main"},
    "NutAssemblySquare": {"nut": "SquareNut_main", "peg": "peg1"},
    "Door": {"door": "Door_door", "latch": "Door_latch"},
}
#: Of an object: place (m) and first two columns of the rotation matrix.
_POSE = ("x", "y", "z", "r11", "r21", "r31", "r12", "r22", "r32")


def states_of(task: str) -> dict[str, tuple[str, ...]]:
    """What the state of a task may be: `STATES`, and "oracle" where the task is one of `OBJECTS`.

    "oracle" is simulator state: the contract's features, then each object's pose in the frame of the base
    ("nut.x") and in the frame of the hand ("nut.hand.x"), whose origin lies between the fingers.
    """
    if task not in OBJECTS:
        return STATES
    frames = [f"{name}{frame}" for name in OBJECTS[task] for frame in ("", ".hand")]
    poses = (f"{frame}.{number}" for frame in frames for number in _POSE)
    return {**STATES, "oracle": (*STATE_NAMES, *poses)}


def task_text(task: str) -> str:
    """A task's name in words: "NutAssemblySquare" is "nut assembly square"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", task).lower()


def load_robosuite() -> Any:
    """Import robosuite without the advice it prints.

    Raises:
        InputError: robosuite is not installed.
    """
    load_mujoco("robosuite")
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        package = require("robosuite", "robosuite")
    finally:
        logging.disable(level)
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    return package


class RobosuiteWorld:
    """A robosuite task; a `robot_skills.robot.Robot`.

    Args:
        task: one of `TASKS`.
        cameras: name -> (height, width) of what `observe` returns: "agentview", "robot0_eye_in_hand",
            "frontview", "birdview" or "sideview".
        fast: draw low-poly visual meshes without multisampling, shadows and reflections; else as robosuite.
        lite_physics: one half of each physics step is not computed twice. Recordings of robosuite 1.4 and
            earlier were made without: False reproduces them.
        state: one of `states_of(task)`: "robomimic" and "libero" for policies trained on such recordings;
            "oracle" to see the task's objects without a camera.

    Raises:
        InputError: robosuite is not installed, or there is no such task, camera or state.
    """

    SUITE = "robosuite"

    def __init__(
        self,
        task: str = "Lift",
        cameras: CameraSizes = DEFAULT_CAMERAS,
        fast: bool = True,
        lite_physics: bool = True,
        state: str = "contract",
    ) -> None:
        states = states_of(task)
        if state == "oracle" and state not in states:
            raise InputError(f'{task} has no state "oracle": it is there for {", ".join(OBJECTS)}.')
        if state not in states:
            raise unknown("state", state, states)
        self.task, self._fast, self._state = task, fast, state
        self._steps, self._gripper = 0, -1.0
        self._renderer: Renderer | None = None
        self._renderer_model: Any = None
        base, options = self._task()
        self._spec = RobotSpec(f"{self.SUITE}-{task}", dict(cameras), float(CONTROL_RATE), states[state])
        with _without_robot_model():
            self._env: Any = _task_class(base, fast)(
                has_renderer=False,
                has_offscreen_renderer=False,
                renderer="mujoco",  # the other one opens a window
                use_camera_obs=False,
                use_object_obs=False,
                control_freq=CONTROL_RATE,
                lite_physics=lite_physics,
                ignore_done=True,
                **options,
            )
        names = [self._model.camera(i).name for i in range(self._model.ncam)]
        for name in cameras:
            if name not in names:
                raise unknown("camera", name, names)

    def _task(self) -> tuple[Any, dict[str, Any]]:
        """Give the robosuite class of the task and what it is made with."""
        if self.task not in TASKS:
            raise unknown("robosuite task", self.task, TASKS)
        classes = load_robosuite().environments.base.REGISTERED_ENVS
        return classes[self.task], {"robots": "Panda", "seed": 0}  # whose default controller is OSC_POSE

    @property
    def spec(self) -> RobotSpec:
        """Cameras, features and control rate."""
        return self._spec

    @property
    def model_xml(self) -> str:
        """The scene as MJCF; `reset_to` builds the same from it, to the last bit but for moved bodies."""
        return with_moved_bodies(self._source, self._model, *self._env.composed_places)

    def reset(self, seed: int) -> None:
        """Build the scene of a seed from nothing: objects, their sizes and places, the arm's first pose."""
        env = self._env
        # The sampler of object places is made anew, or it would go on with the generator of its making.
        env.rng, env.placement_initializer = np.random.default_rng(seed), None
        with _without_robot_model():
            env.reset()
        self._source = env.source
        self._begin(self.state())

    def reset_to(self, state: ArrayLike, model_xml: str | None = None) -> None:
        """Go to a recorded state, as robomimic's files hold it.

        From the first state of an episode its actions give its states again. The commands that the
        controllers keep are not part of a recorded state: from a later one the gripper starts from rest.

        Args:
            state: flattened MuJoCo state: time, positions, velocities.
            model_xml: the scene it belongs to (robomimic's `model_file`); None: the one that is loaded.

        Raises:
            InputError: the model cannot be built, or the state does not fit it.
        """
        if model_xml is not None:
            self._load(model_xml)
        state = np.asarray(state, np.float64)
        size = 1 + self._model.nq + self._model.nv
        if state.shape != (size,) or not np.isfinite(state).all():
            raise InputError(
                f"A state of this scene is {size} finite numbers (time, {self._model.nq} positions, "
                f"{self._model.nv} velocities), not an array of shape {state.shape}."
            )
        self._begin(state)

    def act(self, action: Float) -> None:
        """Carry out one action, (7,) in [-1, 1], for one control step of 0.05 s."""
        action = check_action(action)
        self._env.step(action.astype(np.float64))
        self._gripper, self._steps = float(action[-1]), self._steps + 1

    def stop(self) -> None:
        """Brake and hold the pose: one control step with the pose as its goal."""
        self.act(np.append(np.zeros(ACTION_SIZE - 1), self._gripper).astype(np.float32))

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """Render the cameras asked for (None: all, (): none) and read the proprioception."""
        names = self._spec.cameras if cameras is None else cameras
        images = {name: self._render(name) for name in names}
        return Observation(images, self._features().astype(np.float32), self._steps / CONTROL_RATE)

    def tool(self) -> tuple[Array, Array]:
        """Place (3,) in m and rotation (3, 3) of the point between the fingers, in the frame of the base."""
        site, (origin, turn) = self._data.site(GRIP_SITE), self._base()
        return turn @ (site.xpos - origin), turn @ site.xmat.reshape(3, 3)

    def body(self, name: str) -> tuple[Array, Array]:
        """Place (3,) in m and rotation (3, 3) of a body of the scene, in the frame of the base.

        It is simulator state: for experts, not for policies.
        """
        body, (origin, turn) = self._data.body(name), self._base()
        return turn @ (body.xpos - origin), turn @ body.xmat.reshape(3, 3)

    def state(self) -> Array:
        """The flattened MuJoCo state: time, positions, velocities."""
        return np.asarray(self._env.sim.get_state().flatten(), np.float64)

    def success(self) -> bool:
        """Judge the task as robosuite does."""
        return bool(self._env._check_success())

    def reward(self) -> float:
        """1 when the task is done, else 0."""
        return float(self.success())

    def film(self) -> Image:
        """The view of "agentview", (480, 640, 3) uint8."""
        return self._pictures().render(self._data, FILM_CAMERA, *FILM_SIZE)

    def close(self) -> None:
        """Free the simulator."""
        self._forget_pictures()
        self._env.close()

    @property
    def _model(self) -> Any:
        return self._env.sim.model._model

    @property
    def _data(self) -> Any:
        return self._env.sim.data._data

    def _base(self) -> tuple[Array, Array]:
        """Place of the base in the world, and the rotation (3, 3) of the world in the frame of the base."""
        base = self._data.body("robot0_base")
        return np.array(base.xpos), np.array(base.xmat, np.float64).reshape(3, 3).T

    def _begin(self, state: Array) -> None:
        """Start an episode at a state: whatever was before, what follows depends on the state alone."""
        env = self._env
        env.sim.reset()
        env.sim.set_state_from_flattened(state)
        env.sim.forward()
        for robot in env.robots:
            # The posture that the arm falls back to is the one it has when its controller is made.
            robot._load_controller()
            robot.composite_controller.update_state()
            robot.composite_controller.reset()
            for arm in robot.arms:
                robot.gripper[arm].current_action = np.zeros(robot.gripper[arm].dof)
        env.timestep, env.done = 0, False
        self._steps, self._gripper = 0, -1.0

    def _load(self, model_xml: str) -> None:
        try:
            xml = repair_model(model_xml)
            with _without_robot_model():
                self._env.reset_from_xml_string(xml)
        except (ValueError, OSError, SyntaxError, AttributeError) as error:
            reason = str(error).strip().splitlines()
            why = reason[0].partition(" Available")[0].rstrip(".") if reason else repr(error)
            self._env.deterministic_reset = False  # or the next reset would keep the half-built scene
            raise InputError(f"The recording's model cannot be built in this robosuite: {why}.") from error
        self._source = self._env.source

    def _features(self) -> Array:
        fingers = np.array([float(self._data.joint(joint).qpos[0]) for joint in FINGERS])
        if self._state in ("contract", "oracle"):
            position, rotation = self.tool()
            seen = [_pose(position, rotation), fingers[:1] - fingers[1:]]
            for name in OBJECTS[self.task].values() if self._state == "oracle" else ():
                place, axes = self.body(name)
                seen += [_pose(place, axes), _pose(rotation.T @ (place - position), rotation.T @ axes)]
            return np.concatenate(seen)
        turn = np.roll(self._data.body(HAND).xquat, -1)  # x y z w, as robosuite has it
        if self._state == "libero":
            turn = require("robosuite.utils.transform_utils", "robosuite").quat2axisangle(turn)
        return np.concatenate([self._data.site(GRIP_SITE).xpos, turn, fingers])

    def _render(self, name: str) -> Image:
        if name not in self._spec.cameras:
            raise unknown("camera", name, self._spec.cameras)
        return self._pictures().render(self._data, name, *self._spec.cameras[name])

    def _pictures(self) -> Renderer:
        """The renderer of the model that is loaded."""
        if self._renderer is None or self._renderer_model is not self._model:
            self._forget_pictures()
            sizes = [*self._spec.cameras.values(), FILM_SIZE]
            largest = max(height for height, _ in sizes), max(width for _, width in sizes)
            self._renderer_model = self._model
            self._renderer = Renderer(self._model, largest, full=not self._fast)
        return self._renderer

    def _forget_pictures(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
        self._renderer = self._renderer_model = None


def _pose(place: Array, rotation: Array) -> Array:
    """A place (3,) and the first two columns of a rotation (3, 3), one after the other, (9,)."""
    return np.concatenate([place, rotation[:, 0], rotation[:, 1]])


def _task_class(base: Any, fast: bool) -> Any:
    """A robosuite task that reads no sensors of its own, and keeps the scene as it was composed."""

    def edit_model_xml(self: Any, xml: str) -> str:
        self.source = base.edit_model_xml(self, xml)
        return low_poly_textured(low_poly_visuals(self.source)) if fast else str(self.source)

    def _initialize_sim(self: Any, xml_string: str | None = None) -> None:
        base._initialize_sim(self, xml_string)
        model = self.sim.model._model
        self.composed_places = model.body_pos.copy(), model.body_quat.copy()

    # robosuite would poll 30 sensors in each of the 25 physics steps of a control step.
    methods = {
        "edit_model_xml": edit_model_xml,
        "_initialize_sim": _initialize_sim,
        "_setup_observables": lambda self: {},
        "_update_observables": lambda self, force=False: None,
    }
    # The same name, which LIBERO checks; and robosuite, which registers every class, keeps its own.
    task = type(base)(base.__name__, (base,), methods)
    require("robosuite", "robosuite").environments.base.REGISTERED_ENVS[base.__name__] = base
    return task


@contextlib.contextmanager
def _without_robot_model() -> Iterator[None]:
    """Keep robosuite from compiling the arm a second time by itself, 167,000 faces, at every reset.

    Only its whole-body inverse kinematics reads that model.
    """
    robots = require("robosuite.models.robots.robot_model", "robosuite").RobotModel
    compile_model = robots.set_mujoco_model
    robots.set_mujoco_model = lambda self, mujoco_model=None: None
    try:
        yield
    finally:
        robots.set_mujoco_model = compile_model


def make_env(
    task: str = "Lift",
    cameras: CameraSizes = DEFAULT_CAMERAS,
    fast: bool = True,
    state: str = "contract",
    seed: int = 0,
    render_mode: str | None = None,
) -> WorldEnv:
    """Make a robosuite task as a Gymnasium environment: `robot_skills/Robosuite-v0`."""
    return WorldEnv(RobosuiteWorld(task, cameras, fast, state=state), seed, render_mode)
