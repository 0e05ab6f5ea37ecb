"""Transitions over n steps against a plain reference, and what a batch is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_skills.errors import InputError
from robot_skills.residual.replay import BASE, DEMONSTRATION, Replay, Trajectory, n_steps


def reference(rewards, over: bool, n: int, gamma: float, bootstrap: bool):
    """Step by step: (reward, row to go on from, its discount) for each transition."""
    count = len(rewards) if over else len(rewards) - 1
    found = []
    for start in range(count):
        total, discount, row = 0.0, 1.0, start
        ended = False
        for _ in range(n):
            total += discount * rewards[row]
            discount *= gamma
            row += 1
            if row == count:
                ended = over or not bootstrap
                break
        found.append((total, row, 0.0 if ended else discount))
    return found


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=14),
    st.booleans(),
    st.integers(1, 6),
    st.floats(0.5, 1),
    st.booleans(),
)
def test_n_steps_are_those_of_the_reference(rewards, over, n, gamma, bootstrap) -> None:
    steps = n_steps(np.array(rewards, np.float32), over, n, gamma, bootstrap)
    wanted = reference(rewards, over, n, gamma, bootstrap)
    assert len(steps.reward) == len(wanted)
    for i, (reward, row, discount) in enumerate(wanted):
        assert steps.reward[i] == pytest.approx(reward, abs=1e-4)
        assert steps.discount[i] == pytest.approx(discount, abs=1e-5)
        if discount:
            assert steps.following[i] == row
    assert (steps.following < len(rewards)).all()


def make(rows: int, success: bool, over: bool, tag: int, mark: float) -> Trajectory:
    inputs = np.full((rows, 3), mark, np.float32)
    inputs[:, 0] = np.arange(rows)
    action = np.full((rows, 2), mark, np.float32)
    return Trajectory(inputs, action - 1, action, np.full(rows, tag, np.uint8), success, over, 0)


def test_a_batch_is_drawn_from_both_sources_in_the_share_asked_for() -> None:
    replay = Replay(3, 2, n=2, gamma=0.9)
    for mark, tag in ((1.0, DEMONSTRATION), (2.0, BASE), (3.0, BASE)):
        one = make(5, True, True, tag, mark)
        replay.append(one, one.inputs)
    batch = replay.sample(40, 0.25, torch.Generator().manual_seed(0))
    assert int(batch.expert.sum()) == 10
    assert set(batch.inputs[batch.expert][:, 1].tolist()) == {1.0}
    assert set(batch.inputs[~batch.expert][:, 1].tolist()) == {2.0, 3.0}
    assert torch.equal(batch.base, batch.action - 1)
    # What follows lies in the same episode, two steps on.
    assert torch.equal(batch.next_inputs[:, 1], batch.inputs[:, 1])
    assert torch.equal(batch.next_inputs[:, 0], (batch.inputs[:, 0] + 2).clamp(max=4))
    assert len(replay) == 15


def test_with_one_source_all_of_a_batch_comes_from_it() -> None:
    for tag in (DEMONSTRATION, BASE):
        replay = Replay(3, 2, n=1, gamma=0.9)
        one = make(4, True, True, tag, 1.0)
        replay.append(one, one.inputs)
        assert len(replay.sample(16, 0.5, torch.Generator()).reward) == 16


def test_a_time_out_is_no_end_and_its_last_row_starts_nothing() -> None:
    replay = Replay(3, 2, n=3, gamma=0.5)
    late, lost = make(4, False, False, BASE, 1.0), make(4, False, True, BASE, 2.0)
    for one in (late, lost):
        replay.append(one, one.inputs)
    batch = replay.sample(400, 0.0, torch.Generator().manual_seed(0))
    timed_out = batch.inputs[:, 1] == 1
    assert batch.inputs[timed_out][:, 0].max() == 2
    assert (batch.discount[timed_out] > 0).all()
    last = (~timed_out) & (batch.inputs[:, 0] >= 1)
    assert (batch.discount[last] == 0).all()
    assert batch.reward.abs().max() == 0


def test_it_grows_without_losing_anything() -> None:
    replay = Replay(3, 2, n=1, gamma=0.9)
    for mark in range(40):
        one = make(300, True, True, BASE, float(mark))
        replay.append(one, one.inputs)
    batch = replay.sample(4000, 0.0, torch.Generator().manual_seed(0))
    assert set(batch.inputs[:, 1].tolist()) == {float(mark) for mark in range(40)}
    assert torch.equal(batch.action[:, 0], batch.inputs[:, 1])


def test_a_trajectory_is_checked() -> None:
    with pytest.raises(InputError, match="as many rows"):
        Trajectory(*(np.zeros((n, 2), np.float32) for n in (3, 3, 2)), np.zeros(3, np.uint8), True, True, 0)
    with pytest.raises(InputError, match="over"):
        make(3, True, False, BASE, 0.0)
