"""Where the tool is, and which joints bring it elsewhere: mink on MuJoCo, from the arm's URDF.

Why mink, of the three kept libraries: it solves the differential inverse kinematics as a quadratic program
with the joints' limits in it (1 ms a step here), and MuJoCo gives forward kinematics in microseconds, for the
rules that look at every tick. pytorch-kinematics has no limits in its solver; Pinocchio would serve as well,
and its wheels unpack to 330 MB (Boost).

Meshes are not read: the shape of the arm, for self-collision, is the configuration's capsules.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from robot_skills.bridge.motion import Array
from robot_skills.bridge.settings import ArmSettings
from robot_skills.errors import InputError, require, unknown
from robot_skills.robot import ROTATION_SCALE, TRANSLATION_SCALE, Float, rotation_from_vector

#: Steps of the inverse kinematics, and where it is close enough: m and rad.
ITERATIONS, CLOSE = 8, 2e-4
#: Weight of the posture against the pose: enough to keep a redundant elbow, too little to move the tool.
POSTURE = 1e-3
#: How far a solution may be off before it counts as none: m and rad.
UNREACHED = 0.01


class Unreachable(ValueError):  # noqa: N818
    """No joints within their limits bring the tool there."""


class Kinematics:
    """The kinematics of one arm.

    Args:
        settings: names the joints, in the order of every array here, and the tool.
        urdf: the text of the arm's description.

    Raises:
        InputError: mink is not installed, the text is no URDF, or a joint or link is not in it.
    """

    def __init__(self, settings: ArmSettings, urdf: str) -> None:
        self._mujoco, self._mink = require("mujoco", "bridge"), require("mink", "bridge")
        self._settings = settings
        model = self._model = self._load(urdf)
        self._data, self._tool = self._mujoco.MjData(model), settings.kinematics.tool
        names = [model.joint(index).name for index in range(model.njnt)]
        for joint in settings.joints:
            if joint.name not in names:
                raise unknown(f"joint in the URDF of {settings.name}", joint.name, names)
        self._columns = np.array([model.joint(joint.name).qposadr[0] for joint in settings.joints])
        self._body = self._link(self._tool)
        self._lower = np.array([joint.lower for joint in settings.joints]) + settings.safety.joint_margin
        self._upper = np.array([joint.upper for joint in settings.joints]) - settings.safety.joint_margin
        self._prepare()
        self._capsules = [
            (self._link(link), np.reshape(numbers[:6], (2, 3)), numbers[6])
            for link, numbers in settings.kinematics.capsules.items()
        ]
        self._pairs = self._apart()

    @property
    def posture(self) -> Array:
        """Where the arm likes to be, (J,)."""
        return np.array(self._settings.kinematics.posture or (self._lower + self._upper) / 2)

    def tool(self, joints: Array) -> tuple[Array, Array]:
        """Position (3,) m and rotation (3, 3) of the tool, base frame."""
        self._place(joints)
        return self._data.xpos[self._body].copy(), self._data.xmat[self._body].reshape(3, 3).copy()

    def pose(self, joints: Array) -> tuple[Array, Array]:
        """Position (3,) m and quaternion (4,), x y z w as ROS has it, of the tool, base frame."""
        self._place(joints)
        return self._data.xpos[self._body].copy(), np.roll(self._data.xquat[self._body], -1)

    def tool_speed(self, joints: Array, velocity: Array) -> float:
        """Of the tool at joints (J,) that move at a velocity (J,), m/s."""
        step = 1e-4  # s; a difference, exact to 1e-4 of the speed
        here = self.tool(joints)[0]
        return float(np.linalg.norm(self.tool(joints + step * velocity)[0] - here)) / step

    def twist(self, joints: Array, velocity: Array) -> tuple[Array, Array]:
        """Linear (3,) m/s and angular (3,) rad/s velocity of the tool, base frame."""
        step = 1e-4  # s
        (here, turn), (there, turned) = self.tool(joints), self.tool(joints + step * velocity)
        spin = (turned @ turn.T - turn @ turned.T) / (2 * step)
        return (there - here) / step, np.array([spin[2, 1], spin[0, 2], spin[1, 0]])

    def clearance(self, joints: Array) -> float:
        """The least distance between two capsules that are not neighbours, m; infinite with none."""
        if not self._pairs:
            return np.inf
        self._place(joints)
        lines = []
        for body, ends, radius in self._capsules:
            turn = self._data.xmat[body].reshape(3, 3)
            lines.append((self._data.xpos[body] + ends @ turn.T, radius))
        return min(
            segment_distance(lines[one][0], lines[other][0]) - lines[one][1] - lines[other][1]
            for one, other in self._pairs
        )

    def solve(self, position: Array, rotation: Array, near: Array) -> Array:
        """Joints (J,) within their limits that bring the tool to a pose, found from joints near it.

        Raises:
            Unreachable: there are none, or not from there.
        """
        mink, configuration = self._mink, self._configuration
        full = self._model.qpos0.copy()
        full[self._columns] = np.clip(near, self._lower, self._upper)
        configuration.update(full)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, position
        self._pose_task.set_target(mink.SE3.from_matrix(pose))
        for _ in range(ITERATIONS):
            if np.abs(self._pose_task.compute_error(configuration)).max() < CLOSE:
                break
            step = mink.solve_ik(
                configuration, self._tasks, 1.0, self._solver, damping=1e-6, limits=self._limits
            )
            configuration.integrate_inplace(step, 1.0)
        joints: Array = np.clip(configuration.q[self._columns], self._lower, self._upper)
        off = float(np.abs(self._pose_task.compute_error(configuration)).max())
        if off > UNREACHED or not np.isfinite(joints).all():
            raise Unreachable(
                f"The tool does not come nearer than {off:.3f} (m or rad) to {position.round(3)}."
            )
        return joints

    def _prepare(self) -> None:
        """What the quadratic program is made of."""
        mink, model = self._mink, self._model
        self._configuration = mink.Configuration(model)
        self._pose_task = mink.FrameTask(self._tool, "body", 1.0, 1.0, lm_damping=1e-3)
        posture = mink.PostureTask(model, cost=POSTURE)
        rest = model.qpos0.copy()
        rest[self._columns] = self.posture
        posture.set_target(rest)
        self._tasks: Sequence[Any] = [self._pose_task, posture]
        self._limits = [mink.ConfigurationLimit(model)]
        solvers = require("qpsolvers", "bridge").available_solvers
        if not solvers:
            raise InputError("mink has no solver: pip install 'robot-skills[bridge]'.")
        self._solver = next((name for name in ("daqp", "quadprog") if name in solvers), solvers[0])

    def _place(self, joints: Array) -> None:
        self._data.qpos[self._columns] = joints
        self._mujoco.mj_kinematics(self._model, self._data)

    def _link(self, name: str) -> int:
        names = [self._model.body(index).name for index in range(self._model.nbody)]
        if name not in names:
            raise unknown(f"link in the URDF of {self._settings.name}", name, names)
        return int(self._model.body(name).id)

    def _apart(self) -> list[tuple[int, int]]:
        """Pairs of capsules whose links are not neighbours: those always touch."""
        near = 0.5 * self._settings.safety.clearance
        bodies = [body for body, _, _ in self._capsules]
        parents = self._model.body_parentid
        pairs = [
            (one, other)
            for one, other in combinations(range(len(bodies)), 2)
            if bodies[one] != bodies[other] and bodies[other] not in self._family(bodies[one], parents)
        ]
        if not pairs:
            return []
        self._pairs = pairs
        if self.clearance(self.posture) < near:
            raise InputError(
                f"The capsules of {self._settings.name} touch in its own posture: make them thinner."
            )
        return pairs

    @staticmethod
    def _family(body: int, parents: Any) -> set[int]:
        """A link, and those within two joints of it."""
        up = [body, int(parents[body]), int(parents[parents[body]])]
        down = {i for i in range(1, len(parents)) if parents[i] == body or parents[parents[i]] == body}
        return {*up, *down}

    def _load(self, urdf: str) -> Any:
        """The model of a URDF without its meshes, its joints limited as the configuration says."""
        try:
            root = ElementTree.fromstring(urdf)
        except ElementTree.ParseError as error:
            raise InputError(f"The URDF of {self._settings.name} is not XML: {error}.") from error
        limits = {joint.name: joint for joint in self._settings.joints}
        margin = self._settings.safety.joint_margin
        for link in root.iter("link"):
            for shape in (*link.findall("visual"), *link.findall("collision")):
                link.remove(shape)
        for element in root.iter("joint"):
            joint, limit = limits.get(element.get("name", "")), element.find("limit")
            if joint is not None and limit is not None:
                limit.set("lower", repr(joint.lower + margin))
                limit.set("upper", repr(joint.upper - margin))
        # Masses do not matter here, and a URDF may leave them out, which MuJoCo refuses.
        options = {"fusestatic": "false", "balanceinertia": "true"}
        options |= {"boundmass": "1e-3", "boundinertia": "1e-6"}
        ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler", options)
        try:
            return self._mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))
        except ValueError as error:
            raise InputError(f"MuJoCo does not read the URDF of {self._settings.name}: {error}.") from error


class ToolGoal:
    """Where the tool is told to be: actions of the data contract, added up.

    Args:
        leash: kept to the measured position, m an axis, so that a blocked arm does not wind up.
        step: the furthest that one action goes, m; longer ones are shortened.
        low: corner of the box that the tool is sent to, (3,) m.
        high: the other corner.
    """

    def __init__(self, leash: float, step: float, low: Array, high: Array) -> None:
        self._leash, self._step, self._low, self._high = leash, step, low, high
        self._pose: tuple[Array, Array] | None = None

    @property
    def forgotten(self) -> bool:
        """Whether it has to be told where to begin."""
        return self._pose is None

    def forget(self) -> None:
        """Begin anew."""
        self._pose = None

    def keep(self, pose: tuple[Array, Array]) -> None:
        """This is where the tool is told to be now."""
        self._pose = pose

    def after(
        self, action: Float, measured: tuple[Array, Array], pose: tuple[Array, Array] | None = None
    ) -> tuple[Array, Array]:
        """The pose after an action; the gripper's number is not looked at.

        Args:
            action: (7,) in [-1, 1]: 1.0 is 0.05 m and 0.5 rad, in the base frame.
            measured: position (3,) m and rotation (3, 3) of the tool.
            pose: from where; the pose that was kept by default, or the measured one where none was.
        """
        position, rotation = pose or self._pose or measured
        move = TRANSLATION_SCALE * action[:3].astype(float)
        move *= min(1.0, self._step / max(float(np.linalg.norm(move)), 1e-9))
        wanted = np.clip(position + move, measured[0] - self._leash, measured[0] + self._leash)
        wanted = np.clip(wanted, self._low, self._high)
        if np.any(action[3:6]):
            rotation = rotation_from_vector(ROTATION_SCALE * action[3:6].astype(float)) @ rotation
        return wanted, rotation


def segment_distance(one: Array, other: Array) -> float:
    """The distance of two line segments, each (2, 3) (Ericson, Real-Time Collision Detection, 5.1.9)."""
    d1, d2, r = one[1] - one[0], other[1] - other[0], one[0] - other[0]
    a, e, b, c, f = d1 @ d1, d2 @ d2, d1 @ d2, d1 @ r, d2 @ r
    spread = a * e - b * b
    s = min(max((b * f - c * e) / spread, 0.0), 1.0) if spread > 1e-12 else 0.0
    t = (b * s + f) / e if e > 1e-12 else 0.0
    t = min(max(t, 0.0), 1.0)
    s = min(max((b * t - c) / a, 0.0), 1.0) if a > 1e-12 else 0.0
    return float(np.linalg.norm(r + s * d1 - t * d2))
