"""The tabletop as a `Robot`: physics, cameras, and exact save and restore.

A control step is 0.1 s: 12 physics steps of 1/120 s. `observe` renders only the cameras asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pybullet
from numpy.typing import ArrayLike, NDArray
from pybullet_utils.bullet_client import BulletClient

from robot_skills.errors import unknown
from robot_skills.robot import Float, Image, Observation, RobotSpec, check_action
from sim.tabletop import fixtures, shapes
from sim.tabletop.arm import Arm, Kinematics
from sim.tabletop.background import paint
from sim.tabletop.furnishings import Furnishing
from sim.tabletop.scene import CAMERAS, DOOR_TRAVEL, DRAWER_TRAVEL, Camera, Scene, Variation
from sim.tabletop.state import Body, State

Array = NDArray[np.float64]

CONTROL_RATE = 10.0
SUBSTEPS, TIME_STEP, SOLVER_ITERATIONS = 12, 1.0 / 120.0, 20
#: Pictures are rendered this many times larger and averaged down: TinyRenderer does not smooth edges,
#: and at 64 px the position within a pixel is worth having.
SUPERSAMPLE = 2
SETTLE_STEPS = 30
NEAR, FAR = 0.02, 3.0
LIGHT = (0.6, -0.5, 1.6)
#: The table as the renderer shades it, and what people see beyond it.
TABLE_SEEN, SKY = np.array([158, 153, 144], np.uint8), 244
CameraSizes = Mapping[str, tuple[int, int]]
DEFAULT_CAMERAS: CameraSizes = {"front": (64, 64), "wrist": (64, 64)}


@dataclass(frozen=True)
class Snapshot:
    """A saved state; it belongs to the world and the scene it was taken in."""

    episode: int
    physics: int
    position: Array
    rotation: Array
    joints: Array
    grip: float
    pressed: bool
    steps: int
    origins: Mapping[str, Array]
    lit: frozenset[str] = frozenset()


class TabletopWorld:
    """A Panda at a table, in PyBullet; a `robot_skills.robot.Robot`.

    Args:
        cameras: name -> (height, width) of what `observe` returns; the names are the scene's.
    """

    def __init__(self, cameras: CameraSizes = DEFAULT_CAMERAS) -> None:
        for name in cameras:
            if name not in CAMERAS:
                raise unknown("camera", name, CAMERAS)
        self._spec = RobotSpec("panda-tabletop", dict(cameras), CONTROL_RATE)
        self._client: Any = BulletClient(pybullet.DIRECT)
        self._kinematics = Kinematics()
        self._episode = 0
        self.scene: Scene | None = None

    @property
    def spec(self) -> RobotSpec:
        """Cameras, features and control rate."""
        return self._spec

    def reset(self, scene: Scene) -> None:
        """Build a scene from nothing, so that no earlier episode can matter, and let it settle."""
        client = self._client
        client.resetSimulation()
        client.setGravity(0, 0, -9.81)
        client.setPhysicsEngineParameter(
            fixedTimeStep=TIME_STEP,
            numSolverIterations=SOLVER_ITERATIONS,
            deterministicOverlappingPairs=1,
        )
        self.scene, self._episode = scene, self._episode + 1
        self._furniture = fixtures.build(client, scene)
        self._objects = {
            name: shapes.build_object(client, spec)
            for name, spec in zip(scene.names(), scene.objects, strict=True)
        }
        self._specs = dict(zip(scene.names(), scene.objects, strict=True))
        self._furnishings = {spec.name: Furnishing(client, spec) for spec in scene.furnishings}
        if scene.variation is not None:
            self._vary(scene.variation)
        self.arm = Arm(client, self._kinematics)
        self.arm.place(np.array(scene.gripper), scene.closed)
        self._pressed, self._steps = scene.pressed, 0
        for _ in range(SETTLE_STEPS):
            client.stepSimulation()
        self._origins: dict[str, Array] = {}
        self.begin_command()

    def begin_command(self) -> None:
        """Remember where everything is: `moved` is judged from here."""
        self._origins = {name: self._pose(name)[0] for name in self._objects}

    def put_in_hand(self, name: str, offset: ArrayLike = (0.0, 0.0, 0.0)) -> None:
        """Put an object between the fingers, (3,) m off their middle, and close them on it."""
        client, body = self._client, self._objects[name]
        position = self.arm.tool()[0] + np.asarray(offset)
        _, turn = self._pose(name)
        hold = client.createConstraint(
            body,
            -1,
            -1,
            -1,
            client.JOINT_FIXED,
            [0, 0, 0],
            [0, 0, 0],
            position.tolist(),
            [0, 0, 0, 1],
            turn.tolist(),
        )
        client.resetBasePositionAndOrientation(body, position.tolist(), turn.tolist())
        self.arm.grip = 1.0
        self.arm.drive()
        for _ in range(SETTLE_STEPS):
            client.stepSimulation()
        client.removeConstraint(hold)
        for _ in range(SETTLE_STEPS // 3):
            client.stepSimulation()

    def act(self, action: Float) -> None:
        """Carry out one action, (7,) in [-1, 1], for one control step."""
        self.arm.command(check_action(action))
        self._advance()

    def stop(self) -> None:
        """Hold the pose as it is."""
        self.arm.hold()

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """Render the cameras asked for (None: all, (): none) and read the proprioception."""
        names = self._spec.cameras if cameras is None else cameras
        images = {name: self.render(name, *self._spec.cameras[name]) for name in names}
        position, rotation = self.arm.tool()
        state = np.concatenate([position, rotation[:, 0], rotation[:, 1], [self.arm.opening()]])
        return Observation(images, state.astype(np.float32), self._steps / CONTROL_RATE)

    def render(self, camera: str, height: int, width: int, film: bool = False) -> Image:
        """Render a camera of the scene, (height, width, 3) uint8.

        Half the time would go into the table's pixels, so it is left out and painted in wherever nothing
        else is seen: to a policy the table has no end. `film` draws it, and shadows, for people.
        """
        client, table = self._client, self._furniture.table
        client.changeVisualShape(table, -1, rgbaColor=[*fixtures.TABLE, 1.0 if film else 0.0])
        view = self._camera(camera)
        tall, wide = height * SUPERSAMPLE, width * SUPERSAMPLE
        projection = pybullet.computeProjectionMatrixFOV(view.fov, width / height, NEAR, FAR)
        matrix, vary = self._view_matrix(view), self._variation
        _, _, picture, depth, _ = client.getCameraImage(
            wide, tall, matrix, projection, shadow=int(film), lightDirection=vary.light or LIGHT,
            lightAmbientCoeff=0.55 * vary.brightness, lightDiffuseCoeff=0.45 * vary.brightness,
            lightSpecularCoeff=0.0,
            renderer=client.ER_TINY_RENDERER, flags=client.ER_NO_SEGMENTATION_MASK,
        )  # fmt: skip
        rgb = np.asarray(picture, np.uint8).reshape(tall, wide, 4)[..., :3]
        nothing = np.asarray(depth, np.float32).reshape(tall, wide) > 0.9999
        seen: Any = np.uint8(SKY) if film else TABLE_SEEN
        if not film and (vary.table is not None or vary.texture != "plain"):
            seen = paint(vary, TABLE_SEEN, matrix, view.fov, (tall, wide))
        rgb = np.where(nothing[..., None], seen, rgb).astype(np.uint16)
        summed = rgb[0::2] + rgb[1::2]
        halved: Image = ((summed[:, 0::2] + summed[:, 1::2] + 2) >> 2).astype(np.uint8)
        return halved

    def visible(self, camera: str, height: int, width: int) -> tuple[list[str], NDArray[np.int64]]:
        """What is seen in every pixel: names, and the place of a name among them, -1 the table or nothing.

        Simulator state, for labels of training data only. Names are those of the loose objects, "drawer",
        "door", "button" and "robot", and "" for what has none; (height, width) int64.
        """
        client, furniture = self._client, self._furniture
        client.changeVisualShape(furniture.table, -1, rgbaColor=[*fixtures.TABLE, 0.0])
        projection = pybullet.computeProjectionMatrixFOV(self._camera(camera).fov, width / height, NEAR, FAR)
        bodies = client.getCameraImage(
            width, height, self._view_matrix(self._camera(camera)), projection, shadow=0,
            renderer=client.ER_TINY_RENDERER,
        )[4]  # fmt: skip
        seen = np.asarray(bodies, np.int64).reshape(height, width)
        seen = np.where(seen < 0, -1, seen & 0xFFFFFF)  # the upper bits are the link
        parts = {furniture.cabinet: "drawer", furniture.drawer: "drawer", furniture.door: "door"}
        parts |= {furniture.button: "button", self.arm.body: "robot"}
        known = {body: name for body, name in parts.items() if body is not None}
        known |= {body: name for name, item in self._furnishings.items() for body in item.bodies}
        known |= {body: name for name, body in self._objects.items()}
        names = sorted({*known.values(), ""})
        table = np.full(max(seen.max(), *known) + 2, names.index(""))
        for body, name in known.items():
            table[body] = names.index(name)
        table[-1] = -1  # where -1 points
        return names, table[seen]

    def state(self) -> State:
        """Everything that predicates and experts may look at."""
        assert self.scene is not None, "reset() the world before reading its state"
        furniture = self._furniture
        position, rotation = self.arm.tool()
        gripped = self.arm.gripped()
        drawer, door = self._slid(furniture.drawer), self._slid(furniture.door)
        return State(
            bodies={name: self._body(name) for name in self._objects},
            tool=position,
            rotation=rotation,
            opening=self.arm.opening(),
            gripped=frozenset(name for name, body in self._objects.items() if body in gripped),
            drawer=drawer,
            door=door,
            pressed=self._pressed,
            handles=self._handles(drawer, door),
            tray=fixtures.tray(self.scene, drawer),
            furnishings={name: item.state() for name, item in self._furnishings.items()},
        )

    def save(self) -> Snapshot:
        """Save the state; `restore` brings it back to the last bit. Free it with `forget`."""
        arm = self.arm
        return Snapshot(
            self._episode, self._client.saveState(), arm.position.copy(), arm.rotation.copy(),
            arm.joints.copy(), arm.grip, self._pressed, self._steps, dict(self._origins),
            frozenset(name for name, item in self._furnishings.items() if item.lit),
        )  # fmt: skip

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a saved state of this scene.

        Raises:
            ValueError: the world was reset since, and the saved state is gone with its bodies.
        """
        if snapshot.episode != self._episode:
            raise ValueError("A snapshot can only be restored before the next reset of its world.")
        self._client.restoreState(snapshot.physics)
        arm = self.arm
        arm.position, arm.rotation = snapshot.position.copy(), snapshot.rotation.copy()
        arm.joints, arm.grip = snapshot.joints.copy(), snapshot.grip
        self._pressed, self._steps, self._origins = snapshot.pressed, snapshot.steps, dict(snapshot.origins)
        fixtures.light(self._client, self._furniture, self._pressed)
        for name, item in self._furnishings.items():
            item.light(name in snapshot.lit)
        arm.drive()  # motor targets are not part of what PyBullet saves

    def forget(self, snapshot: Snapshot) -> None:
        """Free the memory of a snapshot."""
        self._client.removeState(snapshot.physics)

    def put(self, name: str, position: ArrayLike, yaw: float = 0.0) -> None:
        """Put a loose object at a position, (3,) m, at rest, without moving it through space."""
        turn = [0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)]
        body = self._objects[name]
        self._client.resetBasePositionAndOrientation(body, np.asarray(position, float).tolist(), turn)
        self._client.resetBaseVelocity(body, [0, 0, 0], [0, 0, 0])

    def slide(self, fixture: str, share: float) -> None:
        """Open a drawer, a door or a furnishing so far, 0 to 1, without moving it through space."""
        furniture = self._furniture
        own = {"drawer": (furniture.drawer, DRAWER_TRAVEL), "door": (furniture.door, DOOR_TRAVEL)}
        body, travel = own.get(fixture, (None, 0.0))
        if body is not None:
            self._client.resetJointState(body, 0, share * travel)
        elif fixture in self._furnishings:
            self._furnishings[fixture].slide(share)
        else:
            raise unknown("thing that opens", fixture, (*own, *self._furnishings))

    def light(self, button: str, on: bool) -> None:
        """Switch a button's lamp."""
        if button in self._furnishings:
            self._furnishings[button].light(on)
        else:
            self._pressed = on
            fixtures.light(self._client, self._furniture, on)

    def speed(self) -> float:
        """Of the fastest loose object, m/s."""
        linear = (self._client.getBaseVelocity(body)[0] for body in self._objects.values())
        return max((float(np.linalg.norm(velocity)) for velocity in linear), default=0.0)

    def penetration(self) -> float:
        """How deep the most deeply sunk loose object is in something else, m."""
        self._client.performCollisionDetection()
        found = (self._client.getContactPoints(bodyA=body) for body in self._objects.values())
        return max((-float(contact[8]) for contacts in found for contact in contacts), default=0.0)

    def digest(self) -> str:
        """A hash of the physical state to the last bit."""
        state = self.state()
        rows = [state.tool, state.rotation, np.array([state.drawer, state.door, state.opening])]
        for body in state.bodies.values():
            rows += [body.position, body.up]
        rows += [np.array([item.slid, item.lit]) for item in state.furnishings.values()]
        return hashlib.sha256(b"".join(np.ascontiguousarray(row).tobytes() for row in rows)).hexdigest()

    def arm_hits(self, position: ArrayLike, deeper: float = 0.004) -> set[str]:
        """What the arm would be in with its open hand down at a position, (3,) m; the scene is as before.

        Names of things that it sinks into by more than `deeper` m; "unreachable" when inverse kinematics
        leaves the tool more than 5 mm away.
        """
        saved = self.save()
        try:
            self.arm.place(np.asarray(position, float), closed=False)
            if np.linalg.norm(self.arm.tool()[0] - np.asarray(position)) > 0.005:
                return {"unreachable"}
            self._client.performCollisionDetection()
            contacts = self._client.getContactPoints(bodyA=self.arm.body)
            sunk = {contact[2] for contact in contacts if contact[8] < -deeper}
            names = {body: name for name, body in self._objects.items()}
            names |= {body: name for name, item in self._furnishings.items() for body in item.bodies}
            return {names.get(body, "furniture") for body in sunk - {self.arm.body}}
        finally:
            self.restore(saved)
            self.forget(saved)

    def close(self) -> None:
        """Free the physics clients."""
        if self._client.isConnected():
            self._client.disconnect()
            self._kinematics.close()

    def substep(self) -> None:
        """One physics step, whatever the motors are set to: for drivers with a clock of their own."""
        client, button = self._client, self._furniture.button
        client.stepSimulation()
        if not self._pressed and self._slid(button) > 0.5 * fixtures.CAP_TRAVEL:
            self._pressed = True
            fixtures.light(client, self._furniture, True)
        for item in self._furnishings.values():
            item.press()

    def _advance(self) -> None:
        for _ in range(SUBSTEPS):
            self.substep()
        self._steps += 1

    def _slid(self, body: int | None) -> float:
        return 0.0 if body is None else float(self._client.getJointState(body, 0)[0])

    @property
    def _variation(self) -> Variation:
        assert self.scene is not None, "reset() the world before rendering it"
        return self.scene.variation or Variation()

    def _vary(self, variation: Variation) -> None:
        """Change the loose objects' mass and friction; the table's friction was set when it was built."""
        for body in self._objects.values():
            mass = self._client.getDynamicsInfo(body, -1)[0]
            self._client.changeDynamics(
                body, -1, mass=mass * variation.mass, lateralFriction=variation.friction
            )

    def _pose(self, name: str) -> tuple[Array, Array]:
        position, turn = self._client.getBasePositionAndOrientation(self._objects[name])
        return np.asarray(position), np.asarray(turn)

    def _body(self, name: str) -> Body:
        spec = self._specs[name]
        position, (x, y, z, w) = self._pose(name)
        up = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
        return Body(
            name, spec.kind, spec.colour, spec.size, position, up, self._origins.get(name, position),
            spec.width, spec.height,
        )  # fmt: skip

    def _handles(self, drawer: float, door: float) -> dict[str, Array]:
        assert self.scene is not None
        handles = fixtures.handles(self.scene, drawer, door)
        for name, item in self._furnishings.items():
            if (handle := item.handle()) is not None:
                handles[name] = handle
        return handles

    def _camera(self, name: str) -> Camera:
        assert self.scene is not None, "reset() the world before rendering it"
        if name not in self.scene.cameras:
            raise unknown("camera", name, self.scene.cameras)
        return self.scene.cameras[name]

    def _view_matrix(self, camera: Camera) -> list[float]:
        if camera.mount == "base":
            eye, target, up = np.array(camera.eye), np.array(camera.target), np.array([0.0, 0.0, 1.0])
        else:
            position, rotation = self.arm.hand()
            eye = position + rotation @ np.array(camera.eye)
            target = position + rotation @ np.array(camera.target)
            up = rotation[:, 0]
        return list(pybullet.computeViewMatrix(eye.tolist(), target.tolist(), up.tolist()))
