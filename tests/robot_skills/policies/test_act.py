"""ACT: it learns, its divergence is the Gaussians', z tells the style, and predictions take z = 0."""

import dataclasses

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from robot_skills.errors import InputError
from robot_skills.policies.act import ActConfig, ActPolicy, divergence_from_normal
from robot_skills.policies.vision import VisionConfig
from robot_skills.training.configuration import from_mapping
from tests.robot_skills.policies.learning import (
    BLIND,
    DATA,
    SMALL,
    check_it_sees_and_is_told,
    check_signals,
    fit,
    two_ways,
)
from tests.robot_skills.policies.toy import part

torch.set_num_threads(1)
CONFIG = ActConfig(**SMALL, posterior_layers=1)


@pytest.fixture(scope="module")
def policy() -> ActPolicy:
    torch.manual_seed(0)
    return fit(ActPolicy(CONFIG), {"policy": 250})


def test_it_learns_what_it_sees_and_is_told(policy: ActPolicy) -> None:
    check_it_sees_and_is_told(policy)
    check_signals(policy)


def test_the_divergence_is_that_of_gaussians() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert torch.allclose(divergence_from_normal(mean, log_variance), expected)
    assert divergence_from_normal(torch.zeros(2, 3), torch.zeros(2, 3)) == 0


def test_a_prediction_takes_z_at_zero(policy: ActPolicy) -> None:
    """What the demonstration's encoder would say has no part in acting, nor in a held-out loss."""
    other = ActPolicy(CONFIG).eval()
    other.load_state_dict(policy.state_dict())
    for parameter in other.posterior.parameters():
        torch.nn.init.normal_(parameter)
    given = (DATA["images"], DATA["history"], DATA["text"], DATA["skill"])
    with torch.no_grad():
        assert torch.equal(policy.act(*given)[0], other.act(*given)[0])
        first, second = (p.loss("policy", DATA)[1] for p in (policy, other))
    assert first["action"] == second["action"]
    assert first["divergence"] < second["divergence"]


def test_z_tells_which_way_a_demonstration_went() -> None:
    """With a low weight z carries the way, and the decoder follows it; with the paper's it does not pay."""
    data = two_ways(2000)
    errors = {}
    for weight in (0.01, 10.0):
        torch.manual_seed(0)
        config = ActConfig(**BLIND, posterior_layers=1, encoder_layers=1, latent=4, kl_weight=weight)
        policy = fit(ActPolicy(config), {"policy": 120}, data)
        some = part(data, torch.arange(200))
        actions = policy.normalise_actions(some["actions"])
        with torch.no_grad():
            context, state = policy.see_batch(some)
            mean, _ = policy.posterior(state, actions)
            chunk, _ = policy.decode(context, mean)
        errors[weight] = (chunk[..., 0] - actions[..., 0]).abs().mean().item()
    assert errors[0.01] < 0.2  # standard deviations; 1 is the distance to the middle
    assert errors[10.0] > 0.7


def test_z_is_sampled_in_training_alone() -> None:
    torch.manual_seed(0)
    policy = ActPolicy(dataclasses.replace(CONFIG, shift=(0, 0), state_noise=0.0)).train()
    losses = {policy.loss("policy", DATA)[0].item() for _ in range(3)}
    assert len(losses) == 3
    policy.eval()
    assert len({policy.loss("policy", DATA)[0].item() for _ in range(3)}) == 1


def test_a_camera_may_be_a_map_of_tokens_as_in_the_paper() -> None:
    vision = VisionConfig(channels=(8, 16), strides=(2, 2), kernels=(5, 3), output="map", grid=4)
    policy = ActPolicy(dataclasses.replace(CONFIG, vision=vision))
    assert policy.places.shape[0] == 1 + 2 + 2 * 16
    policy.loss("policy", DATA)[0].backward()
    assert all(parameter.grad is not None for parameter in policy.parameters())


def test_it_can_be_as_large_as_the_paper_s() -> None:
    layers = {"posterior_layers": 4, "encoder_layers": 4, "decoder_layers": 7}
    config = ActConfig(width=512, heads=8, chunk=100, execute=100, cameras=(), shift=(), **layers)
    policy = ActPolicy(config).eval()
    assert policy.report()["parameters"] > 50e6
    with torch.no_grad():
        actions, end = policy.act({}, torch.zeros(1, 1, 10), ["x"], [""])
    assert actions.shape == (1, 100, 7)
    assert end.shape == (1, 100)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(InputError, match="latent is at least 1"):
        from_mapping(ActConfig, {"latent": 0}, "config")
    with pytest.raises(InputError, match="kl_weight"):
        from_mapping(ActConfig, {"kl_weight": -1}, "config")
