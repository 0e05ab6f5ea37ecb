"""The flow-matching policy: modes stay apart, straight lines are followed, times are drawn as in pi0."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.flow import LEVELS, FlowConfig, FlowPolicy
from robot_skills.training.configuration import from_mapping
from tests.robot_skills.policies.two_ways import SMALL, check_two_ways, statistics, train, two_ways

torch.set_num_threads(1)
CONFIG = FlowConfig(**SMALL, sampler_steps=5, noise_draws=8)


def taught(config: FlowConfig, steps: int) -> FlowPolicy:
    torch.manual_seed(0)
    policy = FlowPolicy(config)
    train(policy, lambda count: two_ways(count, config.chunk), statistics(0.0, 512.0, 2), steps)
    return policy


@pytest.mark.parametrize(("denoiser", "draws", "steps"), [("unet", 4, 400), ("transformer", 8, 200)])
def test_each_chunk_goes_one_way_and_both_ways_are_gone(denoiser: str, draws: int, steps: int) -> None:
    check_two_ways(taught(dataclasses.replace(CONFIG, denoiser=denoiser, noise_draws=draws), steps))


def test_either_solver_follows_what_was_learned() -> None:
    policy = taught(dataclasses.replace(CONFIG, noise_draws=16), 500)
    check_two_ways(policy)
    midpoint = FlowPolicy(dataclasses.replace(policy.config, solver="midpoint")).eval()
    midpoint.load_state_dict(policy.state_dict())
    check_two_ways(midpoint)


@pytest.mark.parametrize("solver", ["euler", "midpoint"])
@pytest.mark.parametrize("steps", [1, 7])
def test_a_true_velocity_leads_to_the_chunk(solver: str, steps: int) -> None:
    policy = FlowPolicy(dataclasses.replace(CONFIG, solver=solver, sampler_steps=steps))
    clean, noise = torch.rand(3, 4, 3), torch.randn(3, 4, 3)
    asked = []

    def answer(chunk: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        time = level / LEVELS
        asked.append(float(time))
        assert torch.allclose(chunk, (1 - time) * noise + time * clean, atol=1e-5)
        return clean - noise

    assert torch.allclose(policy.generate(answer, noise, []), clean, atol=1e-5)
    assert len(asked) == steps * (2 if solver == "midpoint" else 1)


def test_the_midpoint_is_closer_on_a_curve() -> None:
    """A chunk that turns: d x / d t = x from 1 ends at e."""
    ends = {}
    for solver in ("euler", "midpoint"):
        policy = FlowPolicy(dataclasses.replace(CONFIG, solver=solver, sampler_steps=10))
        ends[solver] = float(policy.generate(lambda chunk, level: chunk, torch.ones(1, 1, 1), []))
    exact = torch.e
    assert abs(ends["midpoint"] - exact) < 0.01
    assert abs(ends["euler"] - exact) > 0.1


def test_times_and_targets() -> None:
    clean = torch.rand(40_000, 1, 1)
    for times, mean in (("uniform", 0.5), ("beta", 0.999 * 0.4)):  # the mean of Beta(1.5, 1) is 0.6
        torch.manual_seed(0)
        noised, levels, velocity = FlowPolicy(dataclasses.replace(CONFIG, times=times)).corrupt(clean)
        time = levels / LEVELS
        assert abs(time.mean() - mean) < 0.01
        assert time.min() >= 0
        assert time.max() <= 1
        noise = clean - velocity
        assert torch.allclose(noised, noise + time[:, None, None] * velocity, atol=1e-5)
        assert abs(noise.std() - 1) < 0.02


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"times": "betta"}, "Did you mean 'beta'"),
        ({"solver": "heun"}, "solver"),
        ({"sampler_steps": 0}, "sampler_steps is at least 1"),
        ({"noise_steps": 10}, "noise_steps"),
    ],
)
def test_a_wrong_setting_is_named(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(FlowConfig, data, "config")
