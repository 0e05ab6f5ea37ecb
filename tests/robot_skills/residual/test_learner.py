"""The update: heads learn by themselves, a known chain is learned exactly, learning goes on from a state."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.registry import load_policy
from robot_skills.residual.config import LearnerConfig, ResidualConfig
from robot_skills.residual.learner import Learner
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import BASE, DEMONSTRATION, Batch, Trajectory
from tests.robot_skills.residual.toy import LEARNER, RESIDUAL, SPACE


def learner(base: Path, config: LearnerConfig = LEARNER, **changes: object) -> Learner:
    policy = ResidualPolicy(dataclasses.replace(RESIDUAL, **changes), load_policy(base))  # type: ignore[arg-type]
    policy.take_space(SPACE)
    return Learner(policy.eval(), config, seed=0)


def episode(
    size: int, rows: int, success: bool, over: bool = True, move: Any = 0.0, seed: int = 0
) -> Trajectory:
    """States that tell the row, and a base that stands still."""
    rng = np.random.default_rng(seed)
    inputs = np.zeros((rows, size), np.float32)
    inputs[:, 0] = np.linspace(-1, 1, rows)
    base = np.zeros((rows, 3), np.float32)
    action = (base + move + 0.01 * rng.normal(size=base.shape)).astype(np.float32)
    return Trajectory(inputs, base, action, np.full(rows, BASE, np.uint8), success, over, seed)


def filled(one: Learner, episodes: list[Trajectory]):
    replay = one.replay()
    for trajectory in episodes:
        replay.append(trajectory, one.policy.brain().normalise(trajectory.inputs))
    return replay


def test_a_chain_of_known_values_is_learned(base: Path) -> None:
    config = dataclasses.replace(
        LEARNER, n_step=1, gamma=0.8, tau=0.05, smoothing=0.0, learning_rate=3e-3, gradient_clip=100.0
    )
    one = learner(base, config)
    size = one.policy.layout.size
    episodes = [episode(size, 5, True, seed=k) for k in range(10)]
    replay = filled(one, episodes)
    one.learn(replay, 600, actor=False)
    values = one.values(episodes[0]).mean(0)
    assert values == pytest.approx(0.8 ** np.arange(4, -1, -1), abs=0.05)
    assert abs(one.bias(episodes[0])) < 0.05


def test_values_come_back_over_n_steps_at_once(base: Path) -> None:
    """With as many steps as the chain is long the targets are the returns, and need no bootstrap."""
    config = dataclasses.replace(LEARNER, n_step=8, gamma=0.8, learning_rate=3e-3)
    one = learner(base, config)
    episodes = [episode(one.policy.layout.size, 5, True, seed=k) for k in range(10)]
    metrics = one.learn(filled(one, episodes), 250, actor=False)
    assert one.values(episodes[0]).mean(0) == pytest.approx(0.8 ** np.arange(4, -1, -1), abs=0.05)
    assert metrics["target"] == pytest.approx(np.mean(0.8 ** np.arange(5)), abs=0.03)


def test_a_time_limit_is_worth_what_the_critics_say_and_an_end_is_not(base: Path) -> None:
    config = dataclasses.replace(LEARNER, n_step=1, gamma=0.9, learning_rate=3e-3, tau=0.05)
    found = {}
    for bootstrap in (True, False):
        one = learner(base, dataclasses.replace(config, bootstrap=bootstrap))
        size = one.policy.layout.size
        late = episode(size, 5, False, over=False)
        won = episode(size, 5, True)
        # The same states: what ran out of time stood where others went on to succeed.
        one.learn(filled(one, [late, won]), 500, actor=False)
        found[bootstrap] = one.values(won).mean(0)[2]
    assert found[True] > found[False] + 0.05


def test_each_head_learns_from_its_own_error(base: Path) -> None:
    """One head's weights move as they would if there were no other."""
    together, alone = learner(base), learner(base)
    trajectories = [episode(together.policy.layout.size, 6, True, seed=k) for k in range(4)]
    batch = filled(together, trajectories).sample(64, 0.0, torch.Generator().manual_seed(1))
    targets = torch.rand(64)
    weights = []
    for one, heads in ((together, slice(None)), (alone, slice(0, 1))):
        critics = one.policy.critics
        values = critics(batch.inputs, batch.action, one._distance(batch.base, batch.action))
        loss = (values[heads] - targets).square().mean(1).sum()
        loss.backward()
        weights.append(critics.first_weight.grad[0].clone())
    assert torch.allclose(*weights, atol=1e-7)
    # And so does the learner's own update: errors of opposite sign do not cancel.
    one = learner(base)
    critics = one.policy.critics
    with torch.no_grad():
        critics.last_weight.zero_()
        critics.last_bias.copy_(torch.tensor([0.5, -0.5, 0.0]).view(3, 1, 1))
    before = critics.last_bias.detach().clone()
    lost = [episode(one.policy.layout.size, 6, False, seed=k) for k in range(4)]
    one.target.load_state_dict(critics.state_dict())
    with torch.no_grad():
        one.target.last_bias.zero_()
    one.learn(filled(one, lost), 1, actor=False)
    moved = (critics.last_bias - before).detach().flatten()
    assert moved[0] < 0 < moved[1]


def test_the_actor_goes_where_success_was(base: Path) -> None:
    config = dataclasses.replace(
        LEARNER, n_step=3, actor_learning_rate=3e-3, learning_rate=3e-3, trust=0.02, demonstrations=0.0
    )
    one = learner(base, config)
    size = one.policy.layout.size
    moves = np.random.default_rng(0).uniform(-0.28, 0.28, (60, 3)).astype(np.float32)
    episodes = [episode(size, 6, move[0] > 0, move=move, seed=k) for k, move in enumerate(moves)]
    replay = filled(one, episodes)
    one.learn(replay, 200, actor=False)
    x = torch.from_numpy(episodes[0].inputs)
    assert torch.equal(one.policy.actor(x), torch.zeros(6, 3))
    metrics = one.learn(replay, 400)
    # Success hung on the sign of dx; from the first rows the critics know that it can be made good later.
    assert one.policy.actor(x)[3:, 0].min() > 0.1
    assert metrics["slope"] > 0
    assert 0 <= metrics["saturated"] <= 1


def test_heads_that_learn_apart_have_batches_and_targets_of_their_own(base: Path) -> None:
    """Each head's target is the smaller of its own and another's estimate, on the head's own rows."""
    found = {}
    for subset in (1, 2):
        config = dataclasses.replace(LEARNER, apart=True, smoothing=0.0, clip_targets=False, subset=subset)
        one = learner(base, config)
        replay = filled(
            one, [episode(one.policy.layout.size, 9, False, over=False, seed=k) for k in range(4)]
        )
        rows = replay.sample(64 * one.target.heads, 0.0, torch.Generator().manual_seed(1))
        batch = Batch(*(column.unflatten(0, (one.target.heads, -1)) for column in rows))
        targets = one._targets(batch)
        assert targets.shape == (one.target.heads, 64)
        with torch.no_grad():
            action = one._moved(rows.next_base, one.policy.actor(rows.next_inputs))
            told, distance = one._scaled(action), one._distance(rows.next_base, action)
            every = one.target(rows.next_inputs, told, distance) * rows.discount  # every head on every row
        every = every.unflatten(1, (one.target.heads, -1))
        own = torch.stack([every[head, head] for head in range(one.target.heads)])
        found[subset] = targets
        if subset == 1:
            assert torch.allclose(targets, own, atol=1e-6)
        else:
            pairs = [
                torch.stack([own[k], every[(k + shift) % 3, k]]).amin(0) for k in range(3) for shift in (1, 2)
            ]
            near = [torch.isclose(targets[k // 2], pair, atol=1e-6).all() for k, pair in enumerate(pairs)]
            assert sum(near) >= one.target.heads
    assert (found[2] <= found[1] + 1e-6).all()
    assert not torch.allclose(found[1], found[2])


def test_a_slope_counts_as_far_as_the_heads_agree(base: Path) -> None:
    """With more doubt the correction moves less, and where the heads contradict each other not at all."""
    moved = {}
    for doubt in (0.0, 1.0, 1e6):
        one = learner(base, dataclasses.replace(LEARNER, doubt=doubt, trust=0.0))
        size = one.policy.layout.size
        replay = filled(one, [episode(size, 6, k % 2 == 0, move=0.2 * (-1) ** k, seed=k) for k in range(12)])
        one.learn(replay, 60, actor=False)
        metrics = one.learn(replay, 1)
        moved[doubt] = metrics["agreed"]
        if doubt == 1e6:
            assert metrics["slope"] > 0
            assert torch.equal(one.policy.actor.last.weight, torch.zeros_like(one.policy.actor.last.weight))
    assert moved[0.0] == pytest.approx(1)
    assert 0 < moved[1.0] < 1
    assert moved[1e6] == 0


def test_trust_keeps_the_correction_small(base: Path) -> None:
    sizes = []
    for trust in (0.0, 3.0):
        one = learner(base, dataclasses.replace(LEARNER, trust=trust, actor_learning_rate=3e-3))
        size = one.policy.layout.size
        episodes = [episode(size, 6, k % 2 == 0, move=0.2 * (-1) ** k, seed=k) for k in range(12)]
        replay = filled(one, episodes)
        one.learn(replay, 100, actor=False)
        sizes.append(one.learn(replay, 200)["correction"])
    assert sizes[1] < sizes[0] / 2


def test_trust_and_doubt_fade_as_practice_comes_up_to_the_base(base: Path) -> None:
    def practised(short_of: float, **changes: Any) -> torch.Tensor:
        one = learner(base, dataclasses.replace(LEARNER, actor_learning_rate=3e-3, **changes))
        one.policy.get_buffer("shortfall").fill_(short_of)
        size = one.policy.layout.size
        episodes = [episode(size, 6, k % 2 == 0, move=0.2 * (-1) ** k, seed=k) for k in range(12)]
        one.learn(filled(one, episodes), 60)
        return one.policy.actor.last.weight.detach()

    held = {"trust": 1.0, "doubt": 0.8}
    free, whole = practised(0.5, trust=0.0, doubt=0.0), practised(0.5, **held)
    assert not torch.allclose(free, whole)
    assert torch.equal(practised(0.0, **held, fading=True), free)
    assert torch.equal(practised(1.0, **held, fading=True), whole)
    assert torch.equal(practised(0.5, trust=2.0, doubt=1.6, fading=True), whole)


@pytest.mark.parametrize("apart", [False, True])
def test_learning_goes_on_from_a_state_to_the_last_bit(base: Path, apart: bool) -> None:
    def begin() -> tuple[Learner, object]:
        one = learner(base, dataclasses.replace(LEARNER, apart=apart))
        size = one.policy.layout.size
        episodes = [episode(size, 6, k % 2 == 0, move=0.1 * k - 0.3, seed=k) for k in range(6)]
        return one, filled(one, episodes)

    whole, replay = begin()
    whole.learn(replay, 20)
    whole.learn(replay, 20)
    first, replay = begin()
    first.learn(replay, 20)
    state = first.state()
    second, replay = begin()
    second.load(state)
    second.learn(replay, 20)
    for name, value in whole.state().items():
        assert torch.equal(value, second.state()[name]), name


def test_an_odd_number_of_updates_is_done_as_asked(base: Path) -> None:
    one = learner(base, dataclasses.replace(LEARNER, actor_every=4))
    replay = filled(one, [episode(one.policy.layout.size, 6, True)])
    assert one.learn(replay, 0) == {}
    one.learn(replay, 7)
    assert one.updates == 7
    steps = {int(state["step"]) for state in one._critic_optimizer.state.values()}
    assert steps == {7}


def test_demonstrations_far_off_the_base_do_not_break_the_critics(base: Path) -> None:
    one = learner(base)
    far = episode(one.policy.layout.size, 6, True, move=0.0)
    far = dataclasses.replace(
        far, action=np.ones((6, 3), np.float32), tags=np.full(6, DEMONSTRATION, np.uint8)
    )
    metrics = one.learn(filled(one, [far]), 50)
    assert all(np.isfinite(value) for value in metrics.values())
    assert ResidualConfig().bound < 1


def test_a_moved_scene_is_what_would_have_been_seen_there(base: Path) -> None:
    """Whitened inputs of states that are moved by hand are the inputs moved."""
    config = dataclasses.replace(LEARNER, shift=0.1, moves=((0, 2), (1, 3)))
    one = learner(base, config, whitening=0.05)
    layout, rng = one.policy.layout, np.random.default_rng(0)
    seen = rng.normal(0.1, 0.2, (200, layout.size)).astype(np.float32)
    seen[:, 2] += seen[:, 0]
    seen[:, 3] = 0.4  # never changes: no position, whatever is said of it
    one.policy.take_statistics(seen)
    by = np.array([0.03, -0.07], np.float32)
    moved = seen.copy()
    moved[:, [0, 2]] += by[0]
    moved[:, 1] += by[1]
    brain = one.policy.brain()
    change = torch.from_numpy(by) @ one.directions()
    assert brain.normalise(moved) == pytest.approx(brain.normalise(seen) + change.numpy(), abs=1e-4)
    assert not change[layout.measured :].any()


def test_what_is_learned_in_one_place_holds_in_another_where_scenes_are_moved(base: Path) -> None:
    """Success hangs on where the hand is beside the goal, and practice shows goals near 0 alone."""
    told = {}
    for shift in (0.0, 0.3):
        config = dataclasses.replace(
            LEARNER, n_step=1, gamma=0.8, learning_rate=3e-3, shift=shift, moves=((0, 2),)
        )
        one = learner(base, config)
        rng = np.random.default_rng(1)
        episodes = []
        for k in range(60):
            near = bool(k % 2)
            first = episode(one.policy.layout.size, 1, success=near, seed=k)
            goal = rng.normal(0, 0.05)
            first.inputs[:, 0], first.inputs[:, 2] = goal + (0.02 if near else 0.2), goal
            episodes.append(first)
        one.policy.take_statistics(np.concatenate([each.inputs for each in episodes]))
        one.learn(filled(one, episodes), 400, actor=False)
        values = []
        for apart in (0.02, 0.2):
            there = episode(one.policy.layout.size, 1, success=True)
            there.inputs[:, 0], there.inputs[:, 2] = 0.4 + apart, 0.4
            values.append(one.values(there).mean())
        told[shift] = values[0] - values[1]
    assert told[0.3] > 0.7
    assert told[0.3] > told[0.0] + 0.2


def test_a_scene_is_moved_by_numbers_that_the_state_has(base: Path) -> None:
    with pytest.raises(InputError, match="numbers 0 to 3, not 4"):
        learner(base, dataclasses.replace(LEARNER, shift=0.1, moves=((0, 4),)))
    with pytest.raises(InputError, match="which numbers of the state are positions"):
        LearnerConfig(shift=0.1)
