"""Behaviour cloning: both trunks learn what they see and are told, and regress to the mean of two ways."""

import dataclasses

import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.bc import BCConfig, BCPolicy
from robot_skills.policies.vision import VisionConfig
from robot_skills.training.configuration import from_mapping, to_mapping
from tests.robot_skills.policies.learning import (
    BLIND,
    DATA,
    SMALL,
    check_it_sees_and_is_told,
    check_signals,
    fit,
    sides,
    two_ways,
)

torch.set_num_threads(1)
SMALL_MLP = BCConfig(**SMALL, hidden=128, hidden_layers=2)
SMALL_TRANSFORMER = BCConfig(**SMALL, trunk="transformer", layers=2)


@pytest.mark.parametrize(("config", "steps"), [(SMALL_MLP, 100), (SMALL_TRANSFORMER, 250)])
def test_it_learns_what_it_sees_and_is_told(config: BCConfig, steps: int) -> None:
    torch.manual_seed(0)
    policy = fit(BCPolicy(config), {"policy": steps})
    check_it_sees_and_is_told(policy)
    check_signals(policy)


def test_where_two_ways_are_as_good_it_goes_between() -> None:
    """What the policies with modes are for."""
    torch.manual_seed(0)
    policy = fit(BCPolicy(BCConfig(**BLIND, hidden=64)), {"policy": 150}, two_ways(2000))
    assert sides(policy).abs().mean() < 0.6


@pytest.mark.parametrize("config", [SMALL_MLP, SMALL_TRANSFORMER])
def test_a_camera_may_give_many_tokens(config: BCConfig) -> None:
    vision = VisionConfig(channels=(8, 16), strides=(2, 2), kernels=(5, 3), output="map", grid=4)
    policy = BCPolicy(dataclasses.replace(config, vision=vision))
    assert policy.tokens == 2 + 2 * 16
    loss, _ = policy.loss("policy", DATA)
    loss.backward()
    assert all(parameter.grad is not None for parameter in policy.parameters())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"trunk": "mlpp"}, "Did you mean 'mlp'"),
        ({"hidden_layers": 0}, "hidden_layers is at least 1"),
        ({"heads": 3}, r"width is divisible by the number of heads \(3\)"),
        ({"dropout": 1.0}, "dropout is between 0 and 0.9"),
        ({"end_weight": -1}, "end_weight is at least 0"),
    ],
)
def test_a_wrong_setting_is_named(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(BCConfig, data, "config")


def test_settings_survive_the_folder() -> None:
    assert from_mapping(BCConfig, to_mapping(SMALL_TRANSFORMER), "config") == SMALL_TRANSFORMER


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="policy, not in 'codes'"):
        BCPolicy(SMALL_MLP).loss("codes", DATA)
