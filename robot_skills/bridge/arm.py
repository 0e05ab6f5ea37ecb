"""An arm behind ROS as a `Robot`: what any skill, planner or teleoperation of this package drives.

    act(action) -> tool pose -> joints (inverse kinematics) -> player
    a thread, 50 to 500 Hz: joint states in -> controller and safety chain -> command out

`act` returns when its control step is over, on the wall clock. Nothing moves before `resume`, after a stop,
or in a dry run, which differs in one line: its output sends nothing.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from robot_skills.bridge.controller import Controller
from robot_skills.bridge.description import read_urdf
from robot_skills.bridge.inputs import ArmState
from robot_skills.bridge.kinematics import Kinematics, ToolGoal, Unreachable
from robot_skills.bridge.messages import BoolMessage, Trigger, TriggerRequest, TriggerResponse
from robot_skills.bridge.motion import Array, Limits, Planner
from robot_skills.bridge.outputs import Output, SilentOutput, make_gripper, make_output
from robot_skills.bridge.player import Player, Target
from robot_skills.bridge.safety.chain import SafetyChain, rules
from robot_skills.bridge.senses import Nobody, Senses, Watcher
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transport import LATCHED, Transport, TransportError
from robot_skills.errors import JobError
from robot_skills.robot import Float, Observation, RobotSpec, check_action

log = logging.getLogger(__name__)

#: A tick comes with a joint state that arrives after this share of a period, and without one after LATE.
EARLY, LATE = 0.7, 1.2
#: The arm has arrived where no joint is further off, rad.
ARRIVED = 1e-3
#: So long a thread of Python may compute before another one has its turn, s: a tick waits no longer for it.
TURN = 5e-4
#: Share of the tool's speed limit that actions may ask for: the rest is for catching up.
ASKED = 0.8
#: The tool is sent this far inside its box, m: the rule that watches the box is for mistakes.
INSIDE = 0.002


class RosArm:
    """See the module. A context manager: leaving it stops the arm and closes the transport.

    Args:
        settings: of the arm.
        transport: open.
        live: send commands; if not, everything happens but that.
        watcher: sees what comes in and goes out.
        patience: how long to wait for the first joint state, and for a URDF, s.

    Raises:
        JobError: no joint state comes, or no URDF.
        InputError: the URDF does not fit the settings.
    """

    def __init__(
        self,
        settings: ArmSettings,
        transport: Transport,
        *,
        live: bool = False,
        watcher: Watcher | None = None,
        patience: float = 5.0,
    ) -> None:
        self._settings, self._transport = settings, transport
        self._watcher: Watcher = watcher or Nobody()
        self._period = 1.0 / settings.controller.rate
        self._step = 1.0 / settings.control_rate
        self._wake = threading.Event()
        self._over = threading.Event()
        self._lock = threading.RLock()
        self.senses = Senses(settings, transport, self._wake.set, self._watcher)
        urdf = read_urdf(settings, transport, patience)
        # One for the thread of the ticks and one for that of `act`: MuJoCo's data is a work space.
        self._kinematics, watching = Kinematics(settings, urdf), Kinematics(settings, urdf)
        safety = settings.safety
        self._goal = ToolGoal(
            settings.kinematics.leash,
            ASKED * safety.tool_speed * self._step,
            np.array(safety.workspace_low) + INSIDE,
            np.array(safety.workspace_high) - INSIDE,
        )
        planner = Planner(Limits.of(settings.joints))
        chain = SafetyChain(rules(settings, watching), self._watcher.event)
        self.controller = Controller(
            Player(planner), planner, chain, self._period, horizon=settings.controller.horizon, dry=not live
        )
        self._output: Output = make_output(settings, transport, watching) if live else SilentOutput()
        self._grip: Callable[[bool], None] | None = None
        if settings.gripper is not None and live:
            self._grip = make_gripper(settings.gripper, transport)
        self._closed: bool | None = None
        self._joints: Array | None = None
        self._upcoming: list[Float] = []
        self._next = 0.0
        self._began = time.monotonic()
        self.latencies: deque[float] = deque(maxlen=100_000)
        sys.setswitchinterval(min(sys.getswitchinterval(), TURN))
        self._say_stopped = transport.publisher("/robot_skills/stopped", BoolMessage, LATCHED)
        transport.serve(safety.stop_service, Trigger, self._on_stop)
        transport.serve(safety.resume_service, Trigger, self._on_resume)
        self._wait_for_state(patience)
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)
        self._thread.start()

    @property
    def spec(self) -> RobotSpec:
        """See `Robot`."""
        sizes = {name: camera.size for name, camera in self._settings.cameras.items()}
        return RobotSpec(self._settings.name, sizes, self._settings.control_rate)

    @property
    def stretch(self) -> float:
        """How many times longer than where it was learned a motion takes here."""
        return self._settings.learned_rate / self._settings.control_rate

    @property
    def stopped(self) -> str | None:
        """Why it does not move; None while it may."""
        return self.controller.chain.stopped

    def resume(self) -> None:
        """Let it move, from where it is.

        Raises:
            JobError: a rule of the safety chain objects.
        """
        with self._lock:
            self.controller.resume(time.monotonic(), self.senses.inputs)
            self._forget()

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """See `Robot`; images are the latest, the state is of their moment, and none is too old.

        Raises:
            JobError: one is.
        """
        names = tuple(self._settings.cameras if cameras is None else cameras)
        if names:
            self.controller.needed = frozenset(names)
        now = time.monotonic()
        self._fresh(now)
        state, pictures = self.senses.together(names, now)
        position, rotation = self._kinematics.tool(state.position)
        features = np.concatenate([position, rotation[:, 0], rotation[:, 1], [state.opening]])
        return Observation(pictures, features.astype(np.float32), now - self._began)

    def foresee(self, actions: Float) -> None:
        """Say which actions (T, 7) are likely to come: those that do are passed without a stop between."""
        self._upcoming = list(np.asarray(actions, np.float32))

    def act(self, action: Float) -> None:
        """See `Robot`.

        Raises:
            JobError: the arm is stopped, or stops while the step goes on.
        """
        action = check_action(action)
        state = self._fresh(time.monotonic())
        measured = self._kinematics.tool(state.position)
        if self._goal.forgotten and (rests := self.controller.expected(time.monotonic())) is not None:
            # Where it rests by what was sent: what gravity adds to that would add up from stop to stop.
            self._goal.keep(self._kinematics.tool(rests.position))
        near = state.position if self._joints is None else self._joints
        pose = self._goal.after(action, measured)
        joints = self._solve(pose, near)
        following = None
        if joints is not None:
            self._joints = joints
            self._goal.keep(pose)
            following = self._following(action, pose, measured, joints)
        now = time.monotonic()
        begins = self._next if 0.0 <= now - self._next < self._step else now
        self._next = begins + self._step
        with self._lock:
            self._check_moving()
            if joints is not None:
                reached = begins + self._settings.reach * self._step
                self.controller.player.aim(Target(reached, self._step, joints, following))
        self._set_grip(bool(action[6] > 0))
        self._sleep_until(self._next)

    @property
    def posture(self) -> Array:
        """Where the joints are at home, (J,) rad."""
        return self._kinematics.posture

    def go(self, joints: Array) -> float:
        """Move the joints straight to where they are told, and wait until they are there by what was sent.

        Args:
            joints: (J,) rad.

        Returns:
            How far the joint that is furthest off is by what the arm reports, rad.

        Raises:
            JobError: the arm is stopped, stops on the way, or a rule holds it there.
        """
        slowest = min(joint.velocity for joint in self._settings.joints) * self._settings.safety.first_speed
        with self._lock:
            self._check_moving()
            now = time.monotonic()
            seconds = max(self._step, self._away(joints, now) / slowest)
            self.controller.player.aim(Target(now + seconds, seconds, joints))
            self._forget()
        while self._away(joints, time.monotonic()) > ARRIVED:
            if time.monotonic() > now + 3.0 * seconds + 1.0:
                raise JobError("The arm does not get there: a rule of the safety chain holds it.")
            self._sleep_until(time.monotonic() + self._step)
        self._sleep_until(time.monotonic() + self._step)
        return float(np.abs(self._fresh(time.monotonic()).position - joints).max())

    def stop(self) -> None:
        """Come to rest and hold; the next action moves again. `emergency` is what latches."""
        with self._lock:
            expected = self.controller.expected(time.monotonic())
            if self.controller.moving and expected is not None:
                rest = self.controller.player.to_rest(expected)
                self.controller.player.hold(rest.at(rest.duration).position)
            self.controller.needed = frozenset()
            self._forget()

    def emergency(self, reason: str) -> None:
        """Stop until resumed."""
        with self._lock:
            self.controller.stop(reason)

    def close(self) -> None:
        """Stop, and end the threads and the transport."""
        self.emergency("The bridge ends.")
        expected = self.controller.expected(time.monotonic())
        if expected is not None:  # the way to rest is sent to its end
            self._over.wait(min(1.0, self.controller.player.to_rest(expected).duration + 2 * self._period))
        self._over.set()
        self._wake.set()
        self._thread.join(2.0)
        self._transport.close()

    def __enter__(self) -> RosArm:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _away(self, joints: Array, now: float) -> float:
        """How far the furthest joint is from where it is told, by what was sent, rad."""
        motion = self.controller.expected(now)
        assert motion is not None, "an arm that may move was resumed"
        return float(np.abs(motion.position - joints).max())

    def _following(
        self, action: Float, pose: tuple[Array, Array], measured: tuple[Array, Array], joints: Array
    ) -> Array | None:
        """The joints of the action after this one, where it was foreseen."""
        while self._upcoming:
            if np.array_equal(self._upcoming.pop(0), action):
                break
        if not self._upcoming:
            return None
        return self._solve(self._goal.after(check_action(self._upcoming[0]), measured, pose), joints)

    def _solve(self, pose: tuple[Array, Array], near: Array) -> Array | None:
        try:
            return self._kinematics.solve(*pose, near)
        except Unreachable as error:
            self.senses.refusals.add("action", str(error))
            return None

    def _fresh(self, now: float) -> ArmState:
        state = self.senses.inputs.state
        if state is None or now - state.received > self._settings.safety.state_age:
            raise JobError(f"No joint states come on {self._settings.joint_states}.")
        return state

    def _check_moving(self) -> None:
        if self.stopped is not None:
            raise JobError(f"The arm is stopped. {self.stopped}")

    def _sleep_until(self, when: float) -> None:
        while (left := when - time.monotonic()) > 0:
            self._check_moving()
            time.sleep(min(left, 0.02))
        self._check_moving()

    def _set_grip(self, closed: bool) -> None:
        if closed != self._closed:
            self._closed = closed
            if self._grip is not None:
                self._grip(closed)

    def _forget(self) -> None:
        self._goal.forget()
        self._joints, self._upcoming = None, []

    def _wait_for_state(self, patience: float) -> None:
        until = time.monotonic() + patience
        while self.senses.inputs.state is None:
            if time.monotonic() > until:
                refused = "; ".join(f"{n} {kind} refused" for kind, n in self.senses.refusals.counts.items())
                raise JobError(
                    f"No joint state of {self._settings.name} came on {self._settings.joint_states} in "
                    f"{patience:g} s{f' ({refused})' if refused else ''}. See robot-skills bridge doctor."
                )
            time.sleep(0.01)

    def _run(self) -> None:
        """Tick with the joint states, or without them when they are late."""
        last, heard, between, told = -np.inf, time.monotonic(), self._period, None
        while not self._over.is_set():
            came = self._wake.wait(max(0.0, last + LATE * self._period - time.monotonic()))
            self._wake.clear()
            now = time.monotonic()
            if came:
                between, heard = between + 0.1 * (now - heard - between), now
            early = last + EARLY * self._period - now
            if early > 0.0:
                if now + between < last + 1.1 * self._period:
                    continue  # the next joint state comes in time, and will be newer
                time.sleep(early)
                now = time.monotonic()
            last = now
            try:
                self._tick(now)
            except TransportError as error:
                self.emergency(str(error))
            except Exception as error:
                log.exception("A tick failed.")
                self.emergency(f"A tick failed: {error}")
            if told != (self.stopped is not None):
                told = self._tell()

    def _tick(self, now: float) -> None:
        with self._lock:
            inputs = self.senses.inputs
            command = self.controller.tick(now, inputs)
        if command is None:
            return
        self._output.send(command, time.time())
        if inputs.state is not None:
            self.latencies.append(time.monotonic() - inputs.state.received)
        self._watcher.command(command)

    def _tell(self) -> bool:
        """Tell everyone whether the arm is stopped; returns that."""
        stopped = self.stopped is not None
        try:
            self._say_stopped(BoolMessage(stopped))
        except TransportError as error:
            log.warning("Nobody was told whether the arm is stopped: %s", error)
        return stopped

    def _on_stop(self, request: TriggerRequest) -> TriggerResponse:
        self.emergency(f"{self._settings.safety.stop_service} was called.")
        return TriggerResponse(True, "stopped")

    def _on_resume(self, request: TriggerRequest) -> TriggerResponse:
        try:
            self.resume()
        except JobError as error:
            return TriggerResponse(False, str(error))
        return TriggerResponse(True, "the arm may move")
