"""The tick: limits hold at every one, whatever is asked for and however late it comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from robot_skills.bridge.controller import Controller
from robot_skills.bridge.inputs import ArmState, Inputs
from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.motion import Limits, Planner
from robot_skills.bridge.outputs import trajectory
from robot_skills.bridge.player import Player, Target, harmonic
from robot_skills.bridge.safety.chain import ORDER, SafetyChain, rules
from robot_skills.errors import JobError
from tests.robot_skills.bridge.rehearsal import URDF, panda

PERIOD = 0.01
PANDA = panda(first_seconds=0.0, tool_speed=5.0)
POSTURE = np.array(PANDA.kinematics.posture)
LIMITS = Limits.of(PANDA.joints)
KINEMATICS = Kinematics(PANDA, URDF.read_text())
LOWER = np.array([joint.lower for joint in PANDA.joints])
UPPER = np.array([joint.upper for joint in PANDA.joints])


class Bench:
    """A controller with a clock of its own, and an arm that follows perfectly."""

    def __init__(self, arm=PANDA, watched: Sequence[str] = ORDER, horizon: int = 1) -> None:
        planner = Planner(LIMITS)
        self.events: list[tuple[str, str]] = []
        chosen = [rule for rule in rules(arm, KINEMATICS) if rule.name in watched]
        self.chain = SafetyChain(chosen, lambda *event: self.events.append(event))
        self.controller = Controller(Player(planner), planner, self.chain, PERIOD, horizon=horizon)
        self.now, self.changes = 100.0, {}
        self.position = POSTURE
        self.motions = []
        self.controller.resume(self.now, self.inputs())

    def inputs(self) -> Inputs:
        expected = self.controller.expected(self.now)
        where = self.position if expected is None else expected.position
        state = ArmState(where, np.full(7, np.nan), 0.04, 0.0, self.now)
        return dataclasses.replace(Inputs(state), **self.changes)

    def tick(self, after: float = PERIOD):
        for share in (1 / 3, 2 / 3, 1.0):  # where the arm is between two ticks, by what was sent
            when = self.now + share * after
            self.motions.append((when, self.controller.expected(when)))
        self.now += after
        return self.controller.tick(self.now, self.inputs())

    def aim(self, now: float, when: float, target: np.ndarray, following: np.ndarray | None = None) -> None:
        self.controller.player.aim(Target(when, when - now, target, following))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD)):
            self.tick()


def assert_within_limits(motions) -> None:
    """Position, velocity and acceleration are continuous and bounded, from each tick to the next."""
    spans = np.diff([when for when, _ in motions])[:, None]
    position = np.array([motion.position for _, motion in motions])
    velocity = np.array([motion.velocity for _, motion in motions])
    acceleration = np.array([motion.acceleration for _, motion in motions])
    assert (position >= LOWER).all()
    assert (position <= UPPER).all()
    assert (np.abs(velocity) <= LIMITS.velocity * (1 + 1e-6)).all()
    assert (np.abs(acceleration) <= LIMITS.acceleration * (1 + 1e-6)).all()
    assert (np.abs(np.diff(position, axis=0)) <= LIMITS.velocity * spans * (1 + 1e-6) + 1e-9).all()
    assert (np.abs(np.diff(velocity, axis=0)) <= LIMITS.acceleration * spans * (1 + 1e-6) + 1e-9).all()
    assert (np.abs(np.diff(acceleration, axis=0)) <= LIMITS.jerk * spans * (1 + 1e-6) + 1e-6).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), late=st.booleans(), horizon=st.sampled_from([1, 4]))
@example(seed=14, late=True, horizon=1)
@example(seed=133, late=True, horizon=1)
def test_no_tick_leaves_the_limits_whatever_the_delay_of_chunks(seed: int, late: bool, horizon: int) -> None:
    """Chunks of wild targets, each after 50 to 800 ms, with and without knowledge of the next target."""
    rng = np.random.default_rng(seed)
    bench = Bench(watched=("joint", "velocity", "acceleration"), horizon=horizon)
    for _ in range(6):
        bench.run(rng.uniform(0.05, 0.8))  # the policy thinks
        for _ in range(int(rng.integers(1, 5))):
            target, following = rng.uniform(LOWER - 0.3, UPPER + 0.3), rng.uniform(LOWER, UPPER)
            known = following if rng.random() < 0.5 else None
            bench.aim(bench.now, bench.now + 0.1, target, known)
            for _ in range(10):
                bench.tick(PERIOD if not late else float(rng.uniform(0.002, 0.03)))
    bench.run(0.2)
    assert bench.controller.moving
    assert_within_limits(bench.motions)


def test_a_tick_that_is_very_late_finds_the_arm_at_rest_where_its_last_command_ended() -> None:
    bench = Bench()
    bench.aim(bench.now, bench.now + 0.3, POSTURE + 0.1)
    bench.run(0.15)
    command = trajectory(tuple("abcdefg"), bench.tick(), PERIOD)
    assert not any(command.points[-1].velocities)
    bench.now += 1.0
    expected = bench.controller.expected(bench.now)
    np.testing.assert_allclose(expected.position, command.points[-1].positions, atol=1e-9)
    assert not expected.velocity.any()


def test_a_target_is_reached_and_passed_only_if_more_is_known() -> None:
    bench = Bench()
    start, speeds = bench.now, []
    for step in range(1, 6):
        target = POSTURE + 0.03 * step
        known = POSTURE + 0.03 * (step + 1) if step < 5 else None
        bench.aim(bench.now, start + 0.1 * step, target, known)
        while bench.now < start + 0.1 * step - PERIOD / 2:
            bench.tick()
        speeds.append(bench.controller.expected(bench.now).velocity.mean())
    assert min(speeds[1:4]) > 0.2  # it passes
    bench.run(0.5)
    expected = bench.controller.expected(bench.now)
    np.testing.assert_allclose(expected.position, POSTURE + 0.15, atol=1e-3)
    np.testing.assert_allclose(expected.velocity, 0, atol=1e-3)


@example([3.4e-162, 3.4e-162])
@example([10.0, 5e-324])
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=2))
def test_slopes_of_two_signs_meet_at_rest(slopes: list[float]) -> None:
    one, other = np.array(slopes[:1]), np.array(slopes[1:])
    (mean,) = harmonic(one, other)
    if min(slopes) <= 0 <= max(slopes):
        assert mean == 0
    else:
        assert min(np.abs(slopes)) * 0.999 <= abs(mean) <= 2 * min(np.abs(slopes)) * 1.001


def test_nothing_is_sent_before_the_start_or_at_rest_after_a_stop() -> None:
    bench = Bench()
    bench.controller.stop("enough")
    bench.run(0.5)
    assert bench.tick() is None
    bench.aim(bench.now, bench.now + 0.1, POSTURE + 0.1)
    assert bench.tick() is None  # resume only on command
    bench.controller.resume(bench.now, bench.inputs())
    bench.run(0.3)
    assert (
        np.abs(bench.controller.expected(bench.now).position - POSTURE).max() < 1e-9
    )  # old targets are gone


# Each rule, in its own setting: (changes of the settings, what is asked for, what comes in, stops, words)


def ask(bench: Bench, change: np.ndarray, seconds: float = 0.3) -> None:
    bench.aim(bench.now, bench.now + seconds, POSTURE + change)


def test_the_order_of_the_rules_is_the_written_one() -> None:
    assert tuple(rule.name for rule in rules(PANDA, KINEMATICS)) == ORDER


def test_joint() -> None:
    bench = Bench(watched=("joint",))
    ask(bench, np.array([0, 0, 0, 0, 0, 0, 9.0]), 3.0)
    bench.run(6.0)
    assert bench.controller.moving
    assert next(kind for kind, _ in bench.events if kind != "resume") == "joint"
    # it stands at the border, and comes back when it is told to
    reached = bench.controller.expected(bench.now).position[6]
    assert UPPER[6] - 0.1 < reached < UPPER[6] - PANDA.safety.joint_margin + 1e-5
    assert_within_limits(bench.motions)
    ask(bench, np.zeros(7), 1.0)
    bench.run(2.0)
    assert np.abs(bench.controller.expected(bench.now).position - POSTURE).max() < 1e-3


def test_velocity_of_the_tool() -> None:
    bench = Bench(panda(first_seconds=0.0, tool_speed=0.1), ("velocity",))
    ask(bench, np.array([0.8, 0, 0, 0, 0, 0, 0]), 0.5)
    bench.run(6.0)
    speeds = [KINEMATICS.tool_speed(m.position, m.velocity) for _, m in bench.motions]
    assert max(speeds) <= 0.1 * 1.001
    assert bench.events[-1][0] == "velocity"
    assert_within_limits(bench.motions)


def test_acceleration_does_not_let_a_jump_through() -> None:
    bench = Bench(watched=("acceleration",))
    command = bench.tick()
    jumped = dataclasses.replace(
        bench.controller.expected(bench.now), acceleration=LIMITS.jerk * PERIOD * 1.1
    )
    moment = bench.controller._moment(bench.now, command.plan, bench.inputs())
    objections = bench.chain.judge(dataclasses.replace(moment, path=(jumped,)))
    assert objections
    assert not objections[0].stop


def test_workspace() -> None:
    arm = panda(first_seconds=0.0, tool_speed=5.0, workspace_high=(0.75, 0.10, 0.60))
    bench = Bench(arm, ("workspace",))
    ask(bench, np.array([0.8, 0, 0, 0, 0, 0, 0]), 1.0)
    bench.run(3.0)
    sides = [KINEMATICS.tool(m.position)[0][1] for _, m in bench.motions]
    assert 0.07 < max(sides) <= 0.1 + 1e-6
    assert_within_limits(bench.motions)
    ask(bench, np.zeros(7), 1.0)
    bench.run(2.0)
    assert abs(KINEMATICS.tool(bench.controller.expected(bench.now).position)[0][1]) < 1e-3


def test_self_collision() -> None:
    bench = Bench(watched=("self-collision", "joint"))
    folded = np.array([0.0, -1.7, 0.0, -3.0, 0.0, 0.1, 0.0])
    bench.aim(bench.now, bench.now + 2.0, folded)
    bench.run(4.0)
    nearest = min(KINEMATICS.clearance(m.position) for _, m in bench.motions)
    assert KINEMATICS.clearance(folded) < 0
    assert nearest >= PANDA.safety.clearance - 1e-3
    assert "self-collision" in [kind for kind, _ in bench.events]


@pytest.mark.parametrize(
    ("rule", "settings_", "changes"),
    [
        ("watchdog", {}, {"state": ArmState(POSTURE, np.full(7, np.nan), 0.0, 0.0, -1e9)}),
        ("emergency stop", {}, {"emergency_stop": True}),
        ("dead man's switch", {"dead_man": "/held"}, {"dead_man": 0.0}),
        ("following", {}, {"state": ArmState(POSTURE + 1.0, np.full(7, np.nan), 0.0, 0.0, 1e9)}),
        ("effort", {}, {"state": ArmState(POSTURE, np.full(7, -99.0), 0.0, 0.0, 1e9)}),
    ],
)
def test_what_stops_latches(rule: str, settings_: dict, changes: dict) -> None:
    arm = panda(first_seconds=0.0, **settings_)
    if rule == "effort":
        arm = dataclasses.replace(
            arm, joints=tuple(dataclasses.replace(joint, effort=80.0) for joint in arm.joints)
        )
    bench = Bench(arm, ())
    bench.chain.rules = tuple(r for r in rules(arm, KINEMATICS) if r.name == rule)
    good = {"dead_man": 1e9}
    bench.changes = good
    ask(bench, np.full(7, 0.5), 1.0)
    bench.run(0.3)
    assert bench.controller.moving
    bench.changes = changes
    bench.tick()
    assert not bench.controller.moving
    assert bench.chain.stopped.startswith(rule)
    bench.run(0.5)
    assert bench.tick() is None
    assert_within_limits(bench.motions)
    if rule != "following":  # which begins anew where the arm is
        with pytest.raises(JobError, match=rule):
            bench.controller.resume(bench.now, bench.inputs())
    bench.changes = good
    bench.run(0.1)
    assert not bench.controller.moving  # only on command
    bench.controller.resume(bench.now, bench.inputs())
    assert bench.controller.moving


def test_a_camera_that_is_looked_at_is_watched_and_no_other() -> None:
    bench = Bench(watched=("watchdog",))
    bench.controller.needed = frozenset({"front"})
    bench.changes = {"cameras": {"front": bench.now + 5, "wrist": 0.0}}
    bench.run(0.1)
    assert bench.controller.moving
    bench.changes = {"cameras": {"front": bench.now - 1}}
    bench.tick()
    assert "images of front" in bench.chain.stopped


def test_the_first_motion_is_slow() -> None:
    bench = Bench(panda(first_seconds=1.0, first_speed=0.2, tool_speed=5.0))
    ask(bench, np.array([1.5, 0, 0, 0, 0, 0, 0]), 0.5)
    bench.run(3.0)
    early = [m.velocity[0] for t, m in bench.motions if t < 101.0]
    late = [m.velocity[0] for t, m in bench.motions if t >= 101.0]
    assert 0.19 * LIMITS.velocity[0] < max(early) <= 0.2 * LIMITS.velocity[0] * 1.001
    assert max(late) > 0.5 * LIMITS.velocity[0]
    assert_within_limits(bench.motions)


@example(seed=1_657_804_830, horizon=4)  # 1.03 mm out of the box
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), horizon=st.sampled_from([1, 4]))
def test_the_whole_chain_keeps_every_limit(seed: int, horizon: int) -> None:
    """Wild targets under all rules at once: the tool stays in its box, the arm off itself."""
    rng = np.random.default_rng(seed)
    arm = panda(first_seconds=0.5, tool_speed=0.5)
    bench = Bench(arm, horizon=horizon)
    for _ in range(8):
        target = np.clip(POSTURE + rng.normal(0, 0.8, 7), LOWER, UPPER)
        bench.aim(bench.now, bench.now + rng.uniform(0.1, 1.0), target)
        bench.run(0.5)
    assert_within_limits(bench.motions)
    for _, motion in bench.motions[::5]:
        place = KINEMATICS.tool(motion.position)[0]
        assert (place >= np.array(arm.safety.workspace_low) - 2e-3).all()
        assert (place <= np.array(arm.safety.workspace_high) + 2e-3).all()
        assert KINEMATICS.clearance(motion.position) >= arm.safety.clearance - 2e-3
        assert KINEMATICS.tool_speed(motion.position, motion.velocity) <= 0.5 * 1.05
