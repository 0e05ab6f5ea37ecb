"""What can be asked of a generative policy: it is observed in training, obeyed at test time, and composes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.conditions import CONSTRAINTS, Conditions, ConditionsConfig, Pace
from robot_skills.policies.diffusion import DiffusionConfig, DiffusionPolicy
from robot_skills.policies.flow import FlowConfig, FlowPolicy
from robot_skills.policies.generative import GenerativePolicy
from robot_skills.policies.policy import Batch
from robot_skills.training.configuration import from_mapping, to_mapping
from tests.robot_skills.policies.two_ways import SMALL, inputs, samples, statistics, train

torch.set_num_threads(1)
NAMES = ("return", "constraint:slow", "constraint:no_rotation")
TOY = {**SMALL, "action_size": 7, "hidden": 128, "noise_draws": 16}


def demonstrations(count: int) -> Batch:
    """One in five is slow, turns, and takes long; one in five is fast and does not turn; the rest is fast
    and turns. Nobody is slow without turning."""
    kind = torch.randint(5, (count,))
    slow, still = kind == 0, kind == 1
    speed = torch.where(slow, 0.05 + 0.25 * torch.rand(count), 0.6 + 0.4 * torch.rand(count))
    actions = torch.zeros(count, SMALL["chunk"], 7)
    actions[..., 0] = (speed * torch.where(torch.rand(count) < 0.5, -1.0, 1.0))[:, None]
    actions[..., 3] = torch.where(still, torch.zeros(count), 0.4 + 0.4 * torch.rand(count))[:, None]
    actions[..., 6] = -1
    to_go = torch.where(slow, 40.0, 10.0) + 5 * torch.rand(count)
    return samples(actions, to_go=to_go)


@pytest.fixture(scope="module")
def trained() -> DiffusionPolicy:
    torch.manual_seed(0)
    config = DiffusionConfig(**TOY, noise_steps=50, sampler_steps=10, conditions=ConditionsConfig(NAMES))
    policy = DiffusionPolicy(config)
    train(policy, demonstrations, statistics(-1.0, 1.0, 7), 1000)
    return policy


def made(policy: GenerativePolicy, **settings) -> tuple[np.ndarray, np.ndarray]:
    """Largest speed and rotation of chunks, made under other settings of the conditions."""
    conditions = dataclasses.replace(policy.config.conditions, **settings)
    other = type(policy)(dataclasses.replace(policy.config, conditions=conditions)).eval()
    other.load_state_dict(policy.state_dict())
    actions = np.stack([chunk.actions for chunk in other.predict(inputs(100))])
    speed, rotation = (np.linalg.norm(actions[..., part], axis=-1) for part in (slice(3), slice(3, 6)))
    return speed.max(axis=1), rotation.max(axis=1)


def test_without_a_wish_chunks_are_as_the_data(trained: DiffusionPolicy) -> None:
    speed, rotation = made(trained)
    assert 0.05 < (speed < 0.5).mean() < 0.5
    assert (rotation < 0.2).mean() < 0.4
    again = made(trained, ask={"slow": True}, guidance=0.0)  # asked, and not listened to
    assert np.array_equal(again[0], speed)


def test_a_constraint_that_is_asked_for_is_kept(trained: DiffusionPolicy) -> None:
    assert (made(trained, ask={"slow": True})[0] < 0.5).mean() > 0.9
    assert made(trained, ask={"slow": False}, guidance=2.0)[0].mean() > made(trained)[0].mean()
    assert (made(trained, ask={"no_rotation": True})[1] < 0.15).mean() > 0.85
    usual, driven = (made(trained, ask={"slow": True}, guidance=w)[0].mean() for w in (1.0, 2.0))
    assert driven < usual


def test_two_constraints_never_seen_together_compose(trained: DiffusionPolicy) -> None:
    ask = {"slow": True, "no_rotation": True}
    speed, rotation = made(trained, ask=ask, guidance=1.5, compose="apart")
    assert ((speed < 0.5) & (rotation < 0.15)).mean() > 0.8
    together = made(trained, ask=ask, guidance=1.5, compose="together")
    assert rotation.mean() < together[1].mean()


def test_an_early_return_is_the_quick_way(trained: DiffusionPolicy) -> None:
    early, late = (made(trained, ask={"return": wish}, guidance=2.0)[0] for wish in (1.0, 0.0))
    assert (early > 0.5).mean() > 0.7
    assert (late > 0.5).mean() < 0.3


def test_a_skill_is_a_condition_and_told_nowhere_else() -> None:
    names = ("left", "right")
    config = FlowConfig(
        **TOY, sampler_steps=5, skills=names, conditions=ConditionsConfig(("skill",), dropout=0.3)
    )

    def data(count: int) -> Batch:
        which = torch.randint(2, (count,))
        actions = torch.zeros(count, config.chunk, 7)
        actions[..., 0] = (which * 1.2 - 0.6)[:, None]
        return samples(actions, skill=[names[place] for place in which.tolist()])

    torch.manual_seed(0)
    policy = FlowPolicy(config)
    train(policy, data, statistics(-1.0, 1.0, 7), 300)
    for name, way in zip(names, (-1, 1), strict=True):
        chunks = np.stack([chunk.actions for chunk in policy.predict(inputs(50, name))])
        assert (chunks[..., 0].mean(axis=1) * way > 0.3).mean() > 0.9
    deaf = FlowPolicy(
        dataclasses.replace(config, conditions=dataclasses.replace(config.conditions, guidance=0.0))
    ).eval()
    deaf.load_state_dict(policy.state_dict())
    one, other = (deaf.predict(inputs(3, name)) for name in names)
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(one, other, strict=True))


def test_what_constraints_mean() -> None:
    chunk = torch.zeros(1, 3, 7)
    chunk[0, 1] = torch.tensor([0.3, 0.4, 0.0, 0.0, 0.0, 0.2, 0.0])
    assert CONSTRAINTS["slow"](chunk, 0.51).all()
    assert not CONSTRAINTS["slow"](chunk, 0.49).any()
    assert not CONSTRAINTS["no_rotation"](chunk, 0.5).any()
    assert CONSTRAINTS["no_rotation"](chunk * 0.25, 0.5).all()
    assert CONSTRAINTS["gripper_stays"](chunk, 0.5).all()
    chunk[0, 2, 6] = 1
    assert not CONSTRAINTS["gripper_stays"](chunk, 0.5).any()


def test_a_return_compares_with_what_is_usual_from_the_same_place() -> None:
    torch.manual_seed(0)
    pace = Pace(2, 32)
    optimizer = torch.optim.Adam(pace.parameters(), 0.01)
    for step in range(300):
        context = torch.randint(2, (256, 2)).float()  # far from the end, or near it
        usual = torch.where(context[:, 0] > 0, 80.0, 5.0)
        to_go = usual * torch.where(torch.rand(256) < 0.5, 0.8, 1.25)
        if step == 0:
            pace.start(to_go)
        _, loss = pace(context, to_go)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for place, usual in ((1.0, 80.0), (0.0, 5.0)):
        context = torch.tensor([[place, 0.0]] * 3)
        early, middle, late = pace(context, usual * torch.tensor([0.8, 1.0, 1.25]))[0].tolist()
        assert 0.6 < early < 0.9
        assert 0.4 < middle < 0.6
        assert 0.1 < late < 0.4


def test_conditions_are_left_out_each_apart_and_only_in_training() -> None:
    conditions = Conditions(ConditionsConfig(NAMES, dropout=0.25), 0, 4, 8)
    given = conditions.train().drop(torch.zeros(20_000, 3)).float()
    assert torch.allclose(given.mean(0), torch.full((3,), 0.75), atol=0.02)
    assert abs(torch.corrcoef(given.T)[0, 1]) < 0.03
    assert conditions.eval().drop(torch.zeros(5, 3)).all()
    values = torch.rand(2, 3)
    tokens = conditions(values, torch.tensor([[True, False, True], [False, False, False]]))
    assert torch.equal(tokens[1], conditions.nothing)
    assert torch.equal(tokens[0, 1], conditions.nothing[1])
    assert not torch.isclose(tokens[0, 0], conditions.nothing[0]).any()


def test_passes_add_up_to_one_answer() -> None:
    for compose in ("together", "apart"):
        for weight in (0.0, 0.5, 1.0, 1.7):
            ask = {"return": 1.0, "slow": True}
            config = ConditionsConfig(NAMES, ask, guidance=weight, compose=compose)
            passes = Conditions(config, 0, 4, 8).passes()
            assert sum(share for share, _ in passes) == pytest.approx(1)
    assert passes[1:] == [(1.7, [True, False, False]), (1.7, [False, True, False])]


def test_the_settings_survive_a_file() -> None:
    data = {"names": list(NAMES), "ask": {"return": 1, "slow": True}, "guidance": 1.5}
    config = from_mapping(ConditionsConfig, data, "config")
    assert config.ask == {"return": 1.0, "slow": True}
    assert from_mapping(ConditionsConfig, to_mapping(config), "config") == config


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"names": ["constraint:slwo"]}, "Did you mean 'constraint:slow'"),
        ({"names": ["return", "return"]}, "each condition once"),
        ({"names": ["return"], "ask": {"slow": True}}, "condition to ask for"),
        ({"names": ["return"], "ask": {"return": 2.0}}, "between 0 and 1"),
        ({"names": ["constraint:slow"], "ask": {"slow": 0.5}}, "true or false"),
        ({"names": ["skill"]}, "`skills`"),
        ({"compose": "product"}, "compose"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_a_wrong_setting_is_named(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(DiffusionConfig, {"conditions": data}, "config")


def test_constraints_need_the_contract_s_actions() -> None:
    with pytest.raises(InputError, match="actions of 7 numbers"):
        DiffusionConfig(action_size=2, conditions=ConditionsConfig(("constraint:slow",)))
