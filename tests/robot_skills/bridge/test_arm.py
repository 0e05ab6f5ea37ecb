"""The arm as a `Robot`, threads and all, against an arm on the in-memory transport."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import math
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.foreseen import ForeseenChunks
from robot_skills.bridge.messages import BoolMessage, Trigger, TriggerRequest
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transport import COMMANDS, LATCHED
from robot_skills.bridge.transports.memory import MemoryTransport
from robot_skills.errors import JobError
from robot_skills.execution import ExecutionConfig, LocalChunks, execute
from robot_skills.policies.policy import Chunk
from robot_skills.robot import Robot
from robot_skills.skill import SkillCall, Status
from tests.robot_skills.bridge.rehearsal import PerfectArm, joint_state, panda, patient, rehearse, wait_for

PANDA = patient(panda(first_seconds=0.0))
#: What is tested is that it notices.
watchful = pytest.mark.parametrize("settings", [patient(panda(first_seconds=0.0), state_age=0.5)])


@pytest.fixture
def settings() -> ArmSettings:
    return PANDA


@pytest.fixture
def peer(settings: ArmSettings) -> Iterator[PerfectArm]:
    arm, transport = rehearse(settings)
    arm.free = transport  # type: ignore[attr-defined]
    yield arm
    arm.close()


@pytest.fixture
def arm(settings: ArmSettings, peer: PerfectArm) -> Iterator[RosArm]:
    with RosArm(settings, peer.free, live=True) as made:  # type: ignore[attr-defined]
        yield made


def action(*move: float, grip: float = -1.0) -> np.ndarray:
    return np.array([*move, *(0.0,) * (6 - len(move)), grip], np.float32)


def repeat(arm: RosArm, move: np.ndarray, times: int) -> None:
    for _ in range(times):
        arm.act(move)


def test_it_is_a_robot_that_goes_where_it_is_told(arm: RosArm, peer: PerfectArm) -> None:
    assert isinstance(arm, Robot)
    assert arm.spec.cameras == {"front": (64, 64), "wrist": (64, 64)}
    arm.resume()
    before = arm.observe()
    assert before.state.shape == (10,)
    assert before.images["front"].shape == (64, 64, 3)
    began = time.monotonic()
    arm.foresee(np.stack([action(0.5, -0.5)] * 6))
    for _ in range(6):
        arm.act(action(0.5, -0.5, grip=1.0))
    assert time.monotonic() - began > 6 / PANDA.control_rate - 0.2
    assert peer.rests()
    moved = arm.observe(()).state[:3] - before.state[:3]
    np.testing.assert_allclose(moved, [0.15, -0.15, 0.0], atol=5e-3)
    assert peer.grips == [PANDA.gripper.closed]
    assert all(not any(command.points[-1].velocities) for command in peer.commands)


def test_nothing_moves_before_it_is_told_to_start(arm: RosArm, peer: PerfectArm) -> None:
    with pytest.raises(JobError, match="was not told to start"):
        arm.act(action(1.0))
    time.sleep(0.1)
    assert not peer.commands


def test_a_dry_run_does_everything_and_sends_nothing(peer: PerfectArm) -> None:
    class Seen:
        commands = 0

        def message(self, topic: str, message: object) -> None: ...

        def event(self, kind: str, text: str) -> None: ...

        def command(self, command: object) -> None:
            self.commands += 1

    seen = Seen()
    with RosArm(PANDA, peer.free, watcher=seen) as arm:  # type: ignore[attr-defined]
        arm.resume()
        for _ in range(5):
            arm.act(action(1.0, grip=1.0))
        assert arm.controller.expected(time.monotonic()) is not None
    assert seen.commands > 20
    assert not peer.commands
    assert not peer.grips


@watchful
def test_silence_of_the_arm_stops_it_and_only_a_command_starts_it(arm: RosArm, peer: PerfectArm) -> None:
    arm.resume()
    arm.act(action(1.0))
    peer.silent = True
    with pytest.raises(JobError, match="joint states"):
        repeat(arm, action(1.0), 10)
    assert peer.rests()
    heard = len(peer.history)
    peer.silent = False
    assert wait_for(lambda: len(peer.history) > heard + 5)
    with pytest.raises(JobError, match="The arm is stopped"):
        arm.act(action(1.0))
    arm.resume()
    arm.act(action(-1.0))


def test_the_emergency_stop_by_topic_and_by_service(arm: RosArm, peer: PerfectArm) -> None:
    told: list[bool] = []
    peer.transport.subscribe("/robot_skills/stopped", BoolMessage, lambda m: told.append(m.data), LATCHED)
    arm.resume()
    arm.act(action(1.0))
    peer.emergency_stop(BoolMessage(True))
    with pytest.raises(JobError, match="emergency stop"):
        repeat(arm, action(1.0), 5)
    assert peer.rests()
    stop, resume = PANDA.safety.stop_service, PANDA.safety.resume_service
    answer = peer.transport.call(resume, Trigger, TriggerRequest(), 1.0)
    assert not answer.success
    assert "says stop" in answer.message
    peer.emergency_stop(BoolMessage(False))
    time.sleep(0.05)
    assert arm.stopped  # letting the button go starts nothing
    assert peer.transport.call(resume, Trigger, TriggerRequest(), 1.0).success
    arm.act(action(1.0))
    assert peer.transport.call(stop, Trigger, TriggerRequest(), 1.0).success
    with pytest.raises(JobError, match="was called"):
        arm.act(action(1.0))
    assert wait_for(lambda: told[-3:] == [True, False, True])


@watchful
def test_hostile_joint_states_move_nothing_and_stop_the_arm(
    arm: RosArm, peer: PerfectArm, caplog: pytest.LogCaptureFixture
) -> None:
    arm.resume()
    caplog.set_level(logging.WARNING)
    peer.silent = True
    here = peer.position
    wrong = [
        joint_state(PANDA, here * math.nan, time.time()),
        joint_state(PANDA, here + 100, time.time()),
        joint_state(PANDA, here, 1.0),
        joint_state(PANDA, here, time.time(), name=("a",) * 9),
    ]
    for _ in range(200):
        for message in wrong:
            peer._say(message)
    assert wait_for(lambda: "watchdog" in (arm.stopped or ""))
    assert peer.rests()
    np.testing.assert_array_equal(peer.position, here)
    assert sum("Refused" in record.message for record in caplog.records) < 20


def test_a_flood_of_wrong_states_moves_nothing_that_should_not(
    arm: RosArm, peer: PerfectArm, caplog: pytest.LogCaptureFixture
) -> None:
    """The right states drown in it or get through: the arm goes on within its limits, or stops."""
    caplog.set_level(logging.WARNING)
    arm.resume()
    arm.act(action(0.4))
    over = threading.Event()
    here = peer.position
    wrong = [joint_state(PANDA, here, 1.0), joint_state(PANDA, here + 1, time.time() - 5)]
    wrong += [joint_state(PANDA, here * math.nan, time.time()), joint_state(PANDA, here, time.time() + 60)]
    said = itertools.count()

    def flood() -> None:
        while not over.is_set():
            peer._say(wrong[next(said) % len(wrong)])

    flooding = threading.Thread(target=flood)
    flooding.start()
    with contextlib.suppress(JobError):
        repeat(arm, action(0.4, 0.2), 6)
    over.set()
    flooding.join()
    assert next(said) > 1000
    limits = np.array([joint.velocity for joint in PANDA.joints])
    for command in peer.commands:
        assert not any(command.points[-1].velocities)
        assert all((np.abs(point.velocities) <= limits).all() for point in command.points)
    assert sum("Refused" in record.message for record in caplog.records) < 20
    assert peer.rests()
    arm.resume()
    arm.act(action(-0.4))  # what is right is heard again


@pytest.mark.parametrize("settings", [patient(panda(first_seconds=0.0), following=0.3)])
def test_an_arm_that_is_stuck_is_noticed(arm: RosArm, peer: PerfectArm) -> None:
    arm.resume()
    peer.frozen = True
    with pytest.raises(JobError, match="from where it was sent"):
        repeat(arm, action(0.0, 0.0, 0.0, 0.0, 0.0, 0.5), 60)


def test_it_goes_home_slowly_and_straight(arm: RosArm, peer: PerfectArm) -> None:
    arm.resume()
    repeat(arm, action(0.5, 0.5), 3)
    assert np.abs(peer.position - arm.posture).max() > 0.05
    before = len(peer.commands)
    assert arm.go(arm.posture) < 2e-3
    np.testing.assert_allclose(peer.position, arm.posture, atol=2e-3)
    # What was sent: on a busy machine states are seen late, and the speed between two of them is chance.
    sent = [point.velocities for command in peer.commands[before:] for point in command.points]
    slow = PANDA.safety.first_speed * min(joint.velocity for joint in PANDA.joints)
    assert slow < np.abs(sent).max() < 2.0 * slow
    arm.act(action(0.4))  # and on from there
    assert np.abs(peer.position - arm.posture).max() > 0.01


def test_home_is_not_reached_through_a_stop(arm: RosArm, peer: PerfectArm) -> None:
    with pytest.raises(JobError, match="stopped"):
        arm.go(arm.posture)
    arm.resume()
    repeat(arm, action(0.5, 0.5), 3)
    threading.Timer(0.2, arm.emergency, ("the test says so",)).start()
    with pytest.raises(JobError, match="the test says so"):
        arm.go(arm.posture)


def test_what_gravity_adds_does_not_add_up_from_stop_to_stop(arm: RosArm, peer: PerfectArm) -> None:
    peer.sag = 0.02
    time.sleep(0.1)
    arm.resume()
    arm.act(action(0.0))
    first = peer.commands[-1].points[-1].positions
    for _ in range(5):
        arm.stop()
        arm.act(action(0.0))
    np.testing.assert_allclose(peer.commands[-1].points[-1].positions, first, atol=2e-3)


def test_actions_that_nothing_reaches_are_refused(arm: RosArm, peer: PerfectArm) -> None:
    arm.resume()
    before = arm.observe(()).state[:3]
    for _ in range(15):
        arm.act(action(-1.0, -1.0, -1.0))
    low = np.array(PANDA.safety.workspace_low)
    assert (arm.observe(()).state[:3] >= low - 1e-3).all()
    assert (np.abs(arm.observe(()).state[:3] - before) > 0.05).any()
    assert arm.stopped is None


def test_no_joint_states_no_arm() -> None:
    arm, transport = rehearse(PANDA)
    arm.silent = True
    time.sleep(0.05)
    with pytest.raises(JobError, match="No joint state of tabletop came on /joint_states"):
        RosArm(dataclasses.replace(PANDA), transport, patience=0.1)
    arm.close()
    transport.close()


class Slow:
    """A policy that takes long, and goes on in one direction."""

    cameras: tuple[str, ...] = ("front",)
    history, chunk, execute = 1, 8, 4

    def __init__(self, delay: float, steps: int) -> None:
        self._delay, self._left = delay, steps

    def predict(self, inputs: object) -> list[Chunk]:
        time.sleep(self._delay)
        self._left -= 1
        moves = np.stack([action(0.4, 0.2 * (-1) ** self._left)] * self.chunk)
        return [Chunk(moves, np.full(self.chunk, float(self._left < 0), np.float32))]


@pytest.mark.parametrize("delay", [0.05, 0.3, 0.8])
def test_a_skill_runs_whatever_the_delay(arm: RosArm, peer: PerfectArm, delay: float) -> None:
    from robot_skills.library import SkillLibrary

    arm.resume()
    began = time.monotonic()
    chunks = ForeseenChunks(LocalChunks(Slow(delay, 3), threaded=True), arm)  # type: ignore[arg-type]
    skill = SkillLibrary.open().skill("pick")
    outcome = execute(arm, skill, SkillCall("pick", {"object": "it"}), chunks, config=ExecutionConfig(lead=1))
    assert outcome.status is Status.SUCCEEDED, outcome.reason
    assert peer.speeds(began).max() > 0.3
    limits = np.array([joint.velocity for joint in PANDA.joints])
    for command in peer.commands:
        assert not any(command.points[-1].velocities)
        assert all((np.abs(point.velocities) <= limits).all() for point in command.points)


def test_leaving_stops_the_arm(peer: PerfectArm) -> None:
    with RosArm(PANDA, peer.free, live=True) as arm:  # type: ignore[attr-defined]
        arm.resume()
        arm.act(action(1.0, 0.0, 0.5))
    assert peer.rests()


def test_the_memory_transport_closes() -> None:
    arm, transport = rehearse(PANDA)
    arm.close()
    transport.close()
    with pytest.raises(JobError):
        transport.publisher("/x", BoolMessage, COMMANDS)(BoolMessage(True))
    assert isinstance(transport, MemoryTransport)
