"""What decides at a control step: the same numbers as the networks, the gate, the noise."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from robot_skills.residual.config import Gate, Limits
from robot_skills.residual.control import Brain, Correct, Explore, Reach, Seen
from robot_skills.residual.networks import Actor, Critics

D, A = 6, 3
REACH = Reach(np.full(A, -1, np.float32), np.ones(A, np.float32), np.full(A, 0.2, np.float32), Limits())


#: Inputs that are not the base's, which critics are told of where they are not told of all.
MEASURED = 4


def networks(seed: int = 0, norm: bool = True, told: int | None = None) -> tuple[Actor, Critics]:
    torch.manual_seed(seed)
    actor, critics = Actor(D, A, 16), Critics(D, A, 16, heads=4, norm=norm, told=told)
    torch.nn.init.normal_(actor.last.weight)
    return actor, critics


def brain(actor: Actor, critics: Critics) -> Brain:
    arrays = {f"actor.{name}": value.numpy() for name, value in actor.state_dict().items()}
    arrays |= {f"critics.{name}": value.numpy() for name, value in critics.state_dict().items()}
    mean, std, turn = np.zeros(D, np.float32), np.ones(D, np.float32), np.eye(MEASURED, dtype=np.float32)
    return Brain.of(arrays, mean, std, turn, critics.norm, critics.told is None)


def seen(seed: int = 0) -> Seen:
    rng = np.random.default_rng(seed)
    return Seen(
        rng.normal(size=D).astype(np.float32),
        rng.uniform(-1, 1, A).astype(np.float32),
        np.zeros(3, np.float32),
    )


@pytest.mark.parametrize("told", [None, MEASURED])
@pytest.mark.parametrize("norm", [True, False])
def test_numpy_says_what_torch_says(norm: bool, told: int | None) -> None:
    actor, critics = networks(norm=norm, told=told)
    made, rng = brain(actor, critics), np.random.default_rng(0)
    x = rng.normal(size=D).astype(np.float32)
    actions, apart = (rng.normal(size=(5, A)).astype(np.float32) * 3 for _ in range(2))
    with torch.no_grad():
        u = actor(torch.from_numpy(x))
        values = critics(torch.from_numpy(x).expand(5, D), torch.from_numpy(actions), torch.from_numpy(apart))
    assert made.correction(x) == pytest.approx(u.numpy(), abs=1e-5)
    assert made.values(x, actions, apart) == pytest.approx(values.numpy(), abs=1e-5)


@pytest.mark.parametrize("told", [None, MEASURED])
def test_critics_hear_of_the_base_only_where_they_are_told(told: int | None) -> None:
    _, critics = networks(told=told)
    x, action = torch.randn(7, D), torch.randn(7, A)
    other = x.clone()
    other[:, MEASURED:] = torch.randn(7, D - MEASURED)
    same = torch.allclose(critics(x, action, torch.zeros(7, A)), critics(other, action, torch.ones(7, A)))
    assert same == (told is not None)
    other[:, 0] += 1
    assert not torch.allclose(critics(x, action, action), critics(other, action, action))


def test_heads_that_are_picked_answer_as_they_do_among_all() -> None:
    _, critics = networks()
    x, action = torch.randn(7, D), torch.randn(7, A)
    some = torch.tensor([3, 1])
    assert torch.allclose(critics(x, action, action, some), critics(x, action, action)[some], atol=1e-6)


def advantage(at: Seen, made: Brain) -> np.ndarray:
    """Of the correction over the base, by every head."""
    x = made.normalise(at.inputs)
    actions = REACH.apply(at.base, np.stack([np.zeros(A, np.float32), made.correction(x)]))
    values = made.values(x, REACH.scaled(actions), REACH.distance(at.base, actions))
    return values[:, 1] - values[:, 0]


def test_the_gate_follows_the_base_where_the_critics_do_not_agree_on_better() -> None:
    made = brain(*networks())
    open_, shut = 0, 0
    for seed in range(60):
        at = seen(seed)
        gain = advantage(at, made)
        action = Correct(made, REACH, Gate("advantage", doubt=1.0))(at)
        ungated = Correct(made, REACH, Gate("none"))(at)
        if gain.mean() - gain.std() > 1e-6:
            assert np.array_equal(action, ungated)
            open_ += 1
        elif gain.mean() - gain.std() < -1e-6:
            assert np.array_equal(action, at.base)
            shut += 1
    assert open_
    assert shut


def test_the_best_of_several_is_never_less_trusted_than_the_base_or_the_correction() -> None:
    made = brain(*networks())
    gate, moved = Gate("best", doubt=0.5, candidates=16, spread=0.5), 0
    for seed in range(20):
        at = seen(seed)
        action = Correct(made, REACH, gate)(at)
        assert np.array_equal(action, Correct(made, REACH, gate)(at))
        x = made.normalise(at.inputs)
        tried = np.stack([at.base, Correct(made, REACH, Gate("none"))(at), action])
        values = made.values(x, REACH.scaled(tried), REACH.distance(at.base, tried))
        gain = values - values[:, :1]
        trusted = gain.mean(0) - 0.5 * gain.std(0)
        assert trusted[2] >= max(0, trusted[1]) - 1e-4
        moved += not np.array_equal(action, at.base)
    assert moved


def test_noise_stays_for_some_steps_and_has_the_size_it_should() -> None:
    still = Actor(D, A, 16)
    made = brain(still, networks()[1])
    sigma = np.array([0.3, 0.3, 0.0], np.float32)
    explore = Explore(Correct(made, REACH, Gate()), sigma, 0.9, np.random.default_rng(0))
    zero = Seen(np.zeros(D, np.float32), np.zeros(A, np.float32), np.zeros(3, np.float32))
    noise = np.stack([explore(zero) for _ in range(4000)]) / REACH.bound
    assert noise[:, 2].tolist() == [0.0] * 4000
    assert noise[:, :2].std(0) == pytest.approx([0.3, 0.3], rel=0.15)
    assert np.corrcoef(noise[1:, 0], noise[:-1, 0])[0, 1] == pytest.approx(0.9, abs=0.03)


def test_it_travels_to_other_processes() -> None:
    correct = Correct(brain(*networks()), REACH, Gate("best"))
    again = pickle.loads(pickle.dumps(correct))
    assert np.array_equal(again(seen(1)), correct(seen(1)))
