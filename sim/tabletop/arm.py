"""The Panda: end-effector actions in, joint targets out.

Each action moves a commanded pose; inverse kinematics turns it into joint targets. The commanded pose is
kept on a leash to the measured one, so that an arm that is held up does not wind up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pybullet
from numpy.typing import NDArray
from pybullet_utils.bullet_client import BulletClient

from robot_skills.robot import ROTATION_SCALE, TRANSLATION_SCALE, Float, rotation_from_vector

Array = NDArray[np.float64]

URDF = Path(__file__).parent / "assets" / "panda.urdf"
JOINTS, FINGERS, HAND, TOOL = tuple(range(7)), (9, 10), 8, 11
REST = (0.0, -0.25, 0.0, -2.3, 0.0, 2.05, 0.785)
LOWER = (-2.9671, -1.8326, -2.9671, -3.1416, -2.9671, -0.0873, -2.9671)
UPPER = (2.9671, 1.8326, 2.9671, 0.0, 2.9671, 3.8223, 2.9671)
EFFORT = (87.0, 87.0, 87.0, 87.0, 30.0, 30.0, 30.0)
#: Found by trial: stiff enough to track 0.5 m/s, soft enough not to ring.
POSITION_GAIN, VELOCITY_GAIN = 0.15, 1.0
GRIP_FORCE, FINGER_FRICTION, FINGER_TRAVEL = 25.0, 2.0, 0.04
#: The commanded pose stays this close to the measured one, m an axis.
LEASH = 0.06
#: Corners of the space the tool may be sent to, m.
WORKSPACE = (np.array([0.28, -0.42, 0.012]), np.array([0.72, 0.42, 0.45]))
#: The hand points down, its x axis forward.
DOWN = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])


class Kinematics:
    """Inverse kinematics in a client of its own that holds only the arm, so nothing disturbs it."""

    def __init__(self) -> None:
        self._client = BulletClient(pybullet.DIRECT)
        self._arm = self._client.loadURDF(str(URDF), useFixedBase=True)

    def solve(self, position: Array, rotation: Array, seed: Array) -> Array:
        """Joint angles, (7,), that bring the tool to a pose, near the seed (7,)."""
        for joint in JOINTS:
            self._client.resetJointState(self._arm, joint, seed[joint])
        solution = self._client.calculateInverseKinematics(
            self._arm, TOOL, position.tolist(), quaternion(rotation),
            lowerLimits=[*LOWER, 0, 0], upperLimits=[*UPPER, 0.04, 0.04],
            jointRanges=[5.0] * 9, restPoses=[*REST, 0.04, 0.04],
            maxNumIterations=20, residualThreshold=1e-5,
        )  # fmt: skip
        return np.asarray(solution[:7])

    def close(self) -> None:
        """Free the client."""
        self._client.disconnect()


class Arm:
    """The Panda in a world; made anew with every scene."""

    def __init__(self, client: Any, kinematics: Kinematics) -> None:
        self._client, self._kinematics = client, kinematics
        self.body: int = client.loadURDF(
            str(URDF), useFixedBase=True, flags=client.URDF_ENABLE_CACHED_GRAPHICS_SHAPES
        )
        for finger in FINGERS:
            client.changeDynamics(
                self.body,
                finger,
                lateralFriction=FINGER_FRICTION,
                spinningFriction=0.05,
                rollingFriction=0.005,
            )
            client.changeVisualShape(self.body, finger, rgbaColor=[0.25, 0.25, 0.28, 1])
        # The real hand drives both fingers with one motor.
        gear = client.createConstraint(
            self.body, FINGERS[0], self.body, FINGERS[1], client.JOINT_GEAR, [1, 0, 0], [0, 0, 0], [0, 0, 0]
        )
        client.changeConstraint(gear, gearRatio=-1, erp=0.1, maxForce=50)
        client.changeVisualShape(self.body, HAND, rgbaColor=[0.85, 0.86, 0.88, 1])
        self.position, self.rotation = np.zeros(3), DOWN
        self.joints = np.array(REST)
        self.grip = -1.0

    def place(self, position: Array, closed: bool) -> None:
        """Put the tool at a position, hand down, without moving through space."""
        self.position, self.rotation = np.array(position, float), DOWN
        self.joints = np.array(REST)
        for _ in range(4):  # a cold start takes more iterations than following does
            self.joints = self._kinematics.solve(self.position, self.rotation, self.joints)
        for joint in JOINTS:
            self._client.resetJointState(self.body, joint, self.joints[joint])
        self.grip = 1.0 if closed else -1.0
        for finger in FINGERS:
            self._client.resetJointState(self.body, finger, 0.0 if closed else FINGER_TRAVEL)
        self.drive()

    def command(self, action: Float) -> None:
        """Take an action, (7,) in [-1, 1], and set the motors towards it."""
        measured = self.tool()[0]
        wanted = self.position + TRANSLATION_SCALE * action[:3].astype(float)
        wanted = np.clip(wanted, measured - LEASH, measured + LEASH)
        self.position = np.clip(wanted, *WORKSPACE)
        if np.any(action[3:6]):
            self.rotation = rotation_from_vector(ROTATION_SCALE * action[3:6].astype(float)) @ self.rotation
        self.joints = self._kinematics.solve(self.position, self.rotation, self.joints)
        self.grip = float(action[6])
        self.drive()

    def hold(self) -> None:
        """Command the pose as it is."""
        self.position = np.clip(self.tool()[0], *WORKSPACE)
        self.joints = np.array([self._client.getJointState(self.body, joint)[0] for joint in JOINTS])
        self.drive()

    def still(self) -> Float:
        """The action that moves nothing and leaves the fingers as they are, (7,)."""
        return np.array([0, 0, 0, 0, 0, 0, np.sign(self.grip) or -1.0], np.float32)

    def drive(self) -> None:
        """Set the motors towards the commanded joints and grip; the grip's sign decides."""
        self._client.setJointMotorControlArray(
            self.body, JOINTS, self._client.POSITION_CONTROL, targetPositions=self.joints.tolist(),
            forces=EFFORT, positionGains=[POSITION_GAIN] * 7, velocityGains=[VELOCITY_GAIN] * 7,
        )  # fmt: skip
        self._drive_fingers()

    def servo(self, joints: Array) -> None:
        """Set the motors to joints (7,) rad that change a little every physics step."""
        self.joints = joints
        self._client.setJointMotorControlArray(
            self.body, JOINTS, self._client.POSITION_CONTROL, targetPositions=joints.tolist(),
            forces=EFFORT, positionGains=[POSITION_GAIN] * 7, velocityGains=[VELOCITY_GAIN] * 7,
        )  # fmt: skip
        self._drive_fingers()

    def sensors(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """Positions, velocities and motor efforts of the seven joints and the two fingers."""
        states = self._client.getJointStates(self.body, [*JOINTS, *FINGERS])
        position, velocity, _, effort = zip(*states, strict=True)
        return position, velocity, effort

    def _drive_fingers(self) -> None:
        target = 0.0 if self.grip > 0 else FINGER_TRAVEL
        for finger in FINGERS:
            self._client.setJointMotorControl2(
                self.body, finger, self._client.POSITION_CONTROL, targetPosition=target,
                force=GRIP_FORCE, maxVelocity=0.25,
            )  # fmt: skip

    def tool(self) -> tuple[Array, Array]:
        """Measured position (3,) and rotation (3, 3) of the point between the finger tips."""
        state = self._client.getLinkState(self.body, TOOL, computeForwardKinematics=True)
        return np.asarray(state[4]), matrix(state[5])

    def hand(self) -> tuple[Array, Array]:
        """Measured position (3,) and rotation (3, 3) of the hand, where its camera sits."""
        state = self._client.getLinkState(self.body, HAND, computeForwardKinematics=True)
        return np.asarray(state[4]), matrix(state[5])

    def opening(self) -> float:
        """Between the fingers, m."""
        return float(sum(self._client.getJointState(self.body, finger)[0] for finger in FINGERS))

    def gripped(self) -> set[int]:
        """Bodies that both fingers touch."""
        touched = [
            {contact[2] for contact in self._client.getContactPoints(bodyA=self.body, linkIndexA=finger)}
            for finger in FINGERS
        ]
        return (touched[0] & touched[1]) - {self.body}


def matrix(quaternion: Any) -> Array:
    """Rotation matrix, (3, 3), of a quaternion x y z w."""
    return np.asarray(pybullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3)


def quaternion(rotation: Array) -> list[float]:
    """Quaternion x y z w of a rotation matrix (3, 3) (Shepperd 1978, by the largest component)."""
    trace = np.trace(rotation)
    values = np.array([*np.diag(rotation), trace])
    largest = int(values.argmax())
    result = np.empty(4)
    if largest == 3:
        result[:3] = _skew_part(rotation)
        result[3] = 1 + trace
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        result[i] = 1 - trace + 2 * rotation[i, i]
        result[j] = rotation[j, i] + rotation[i, j]
        result[k] = rotation[k, i] + rotation[i, k]
        result[3] = rotation[k, j] - rotation[j, k]
    return list(result / np.linalg.norm(result))


def _skew_part(rotation: Array) -> Array:
    return np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
