"""The diffusion policy: modes stay apart, samplers agree, the same input gives the same chunk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.diffusion import SAMPLERS, DiffusionConfig, DiffusionPolicy, scheduler
from robot_skills.training.configuration import from_mapping
from tests.robot_skills.policies.two_ways import SMALL, check_two_ways, inputs, statistics, train, two_ways

torch.set_num_threads(1)
CONFIG = DiffusionConfig(**SMALL, noise_steps=50, sampler_steps=10, noise_draws=16)


def taught(config: DiffusionConfig, steps: int) -> DiffusionPolicy:
    torch.manual_seed(0)
    policy = DiffusionPolicy(config)
    train(policy, lambda count: two_ways(count, config.chunk), statistics(0.0, 512.0, 2), steps)
    return policy


def with_sampler(policy: DiffusionPolicy, sampler: str, steps: int = 10) -> DiffusionPolicy:
    config = dataclasses.replace(policy.config, sampler=sampler, sampler_steps=steps)
    other = DiffusionPolicy(config).eval()
    other.load_state_dict(policy.state_dict())
    return other


@pytest.fixture(scope="module")
def trained() -> DiffusionPolicy:
    return taught(CONFIG, 500)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_each_chunk_goes_one_way_and_both_ways_are_gone(trained: DiffusionPolicy, sampler: str) -> None:
    check_two_ways(with_sampler(trained, sampler))


@pytest.mark.parametrize(("denoiser", "draws", "steps"), [("unet", 4, 400), ("transformer", 8, 200)])
def test_the_other_denoisers_keep_the_ways_apart_too(denoiser: str, draws: int, steps: int) -> None:
    check_two_ways(taught(dataclasses.replace(CONFIG, denoiser=denoiser, noise_draws=draws), steps))


def test_noise_on_the_way_is_each_input_s_own(trained: DiffusionPolicy) -> None:
    policy, asked = with_sampler(trained, "ddpm", 50), inputs(4)
    together = policy.predict(asked)
    for chunk, item in zip(together, asked, strict=True):
        assert np.allclose(chunk.actions, policy.predict([item])[0].actions, atol=0.05)  # of 512
    other = DiffusionPolicy(dataclasses.replace(policy.config, seed=1)).eval()
    other.load_state_dict(policy.state_dict())
    assert not np.allclose(other.predict(asked[:1])[0].actions, together[0].actions, atol=0.05)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_chunks_are_noised_as_the_schedulers_do(prediction: str) -> None:
    config = dataclasses.replace(CONFIG, prediction=prediction)
    policy, schedule = DiffusionPolicy(config), scheduler("ddpm", config)
    clean = torch.rand(64, 4, 3) * 2 - 1
    torch.manual_seed(3)
    noised, levels, wanted = policy.corrupt(clean)
    torch.manual_seed(3)
    noise = torch.randn_like(clean)
    assert torch.allclose(noised, schedule.add_noise(clean, noise, levels), atol=1e-6)
    velocity = schedule.get_velocity(clean, noise, levels)
    assert torch.allclose(wanted, {"epsilon": noise, "sample": clean}.get(prediction, velocity), atol=1e-6)
    assert levels.min() >= 0
    assert levels.max() < config.noise_steps
    assert len(levels.unique()) > 20


@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_what_is_predicted_is_what_the_samplers_take(prediction: str, sampler: str) -> None:
    """A network that answers truly for one clean chunk is led to that chunk."""
    policy = DiffusionPolicy(dataclasses.replace(CONFIG, prediction=prediction, sampler=sampler))
    clean = torch.tensor([[[0.5, -0.3, 1.0]]])

    def answer(chunk: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        signal, spread = policy.signal[level], policy.spread[level]
        noise = (chunk - signal * clean) / spread
        velocity = signal * noise - spread * clean
        return {"epsilon": noise, "sample": clean}.get(prediction, velocity)

    noise = torch.randn(1, 1, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(policy.generate(answer, noise, []), clean, atol=0.02)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sampler": "dddim"}, "Did you mean 'ddim'"),
        ({"prediction": "noise"}, "prediction"),
        ({"sampler_steps": 200}, "sampler_steps is between 1 and 100"),
        ({"execute": 17}, "execute is between 1 and 16"),
        ({"denoiser": "u-net"}, "Did you mean 'unet'"),
    ],
)
def test_a_wrong_setting_is_named(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(DiffusionConfig, data, "config")
