"""Joint states that are not what they should be change nothing."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from robot_skills.bridge.inputs import Refusals, StateReader
from robot_skills.bridge.messages import Header, JointState, Time
from tests.robot_skills.bridge.rehearsal import joint_state, panda

PANDA = panda()
POSTURE = np.array(PANDA.kinematics.posture)
NOW = 1_000_000.0


def reader() -> StateReader:
    return StateReader(PANDA, Refusals())


def test_joints_are_found_by_name_whatever_their_order() -> None:
    said = joint_state(PANDA, POSTURE, NOW)
    turned = JointState(said.header, said.name[::-1], said.position[::-1])
    state = reader().read(turned, 1.0, NOW)
    assert state is not None
    np.testing.assert_array_equal(state.position, POSTURE)
    assert state.opening == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"position": (math.nan,) * 9}, "finite"),
        ({"position": (math.inf,) * 9}, "finite"),
        ({"position": (0.0,) * 8}, "9 names and 8 positions"),
        ({"position": (9.0,) * 9}, "outside the joint's limits"),
        ({"effort": (0.0,)}, "1 efforts"),
        ({"name": ("panda_joint1",) * 9}, "named twice"),
        ({"name": ("panda_joint1", *"abcdefgh")}, "joints are missing"),
        ({"header": Header(Time.from_seconds(NOW - 60))}, "60.0 s from this machine's clock"),
        ({"header": Header(Time.from_seconds(NOW + 60))}, "s from this machine's clock"),
    ],
)
def test_a_wrong_state_is_refused_with_one_line(
    changes: dict[str, object], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    read = reader()
    caplog.set_level(logging.WARNING)
    for _ in range(50):
        assert read.read(joint_state(PANDA, POSTURE, NOW, **changes), 1.0, NOW) is None
    assert len(caplog.records) == 1
    assert said in caplog.text


def test_a_state_from_before_is_refused() -> None:
    read = reader()
    assert read.read(joint_state(PANDA, POSTURE, NOW), 1.0, NOW) is not None
    assert read.read(joint_state(PANDA, POSTURE, NOW - 0.1), 1.1, NOW) is None
    assert read.read(joint_state(PANDA, POSTURE, NOW + 0.1), 1.2, NOW) is not None


def test_other_joints_are_passed_over_and_a_grippers_own_states_are_used() -> None:
    read, refusals = reader(), Refusals()
    state = read.read(joint_state(PANDA, POSTURE, NOW), 1.0, NOW)
    fingers = JointState(name=("panda_finger_joint2", "panda_finger_joint1"), position=(0.01, 0.02))
    assert read.read(fingers, 1.1, NOW) is None
    changed = read.opening(fingers, state)
    assert changed is not None
    assert changed.opening == pytest.approx(0.03)
    assert not refusals.counts
