"""The diffusion policy: modes stay apart, samplers agree, the same input gives the same chunk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.diffusion import SAMPLERS, DiffusionConfig, DiffusionPolicy, first_noise
from robot_skills.policies.policy import Batch, PolicyInput
from robot_skills.robot import Observation
from robot_skills.training.configuration import from_mapping

torch.set_num_threads(1)
CONFIG = DiffusionConfig(
    cameras=(), shift=(), history=1, state_size=3, action_size=2, chunk=4, execute=2, state_noise=0.0,
    width=16, hidden=64, blocks=2, noise_steps=50, sampler_steps=10,
)  # fmt: skip


def two_ways(count: int) -> Batch:
    """From the same place half go left and half go right, in pixels; nobody goes straight on."""
    side = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    actions = torch.zeros(count, CONFIG.chunk, 2)
    actions[..., 0] = 256 + 200 * side[:, None]
    actions[..., 1] = 40.0
    state = torch.zeros(count, 1, 3)
    state[:, 0, 0] = torch.rand(count)  # tells nothing
    return Batch(
        images={},
        history=state,
        actions=actions,
        end=torch.zeros(count, CONFIG.chunk),
        text=["go"] * count,
        skill=["go"] * count,
        to_go=torch.zeros(count),
        target=torch.full((count, 3), float("nan")),
    )


@pytest.fixture(scope="module")
def trained() -> DiffusionPolicy:
    torch.manual_seed(0)
    policy, data = DiffusionPolicy(CONFIG).train(), two_ways(512)
    flat = data["actions"].flatten(0, 1)
    statistics = {
        "state_mean": torch.zeros(3), "state_std": torch.ones(3), "action_mean": flat.mean(0),
        "action_std": flat.std(0), "target_mean": torch.zeros(3), "target_std": torch.ones(3),
        "action_low": torch.zeros(2), "action_high": torch.full((2,), 512.0),
    }  # fmt: skip
    policy.begin_stage("policy", statistics, data)
    optimizer = torch.optim.AdamW(policy.parameters(), 2e-3)
    for _ in range(800):
        loss, _ = policy.loss("policy", two_ways(64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return policy.eval()


def inputs(count: int) -> list[PolicyInput]:
    random = np.random.default_rng(1)
    states = [np.array([[value, 0, 0]], np.float32) for value in random.random(count)]
    return [PolicyInput(Observation({}, state[-1], 0.0), state, "go") for state in states]


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_each_chunk_goes_one_way_and_both_ways_are_gone(trained: DiffusionPolicy, sampler: str) -> None:
    policy = DiffusionPolicy(dataclasses.replace(CONFIG, sampler=sampler)).eval()
    policy.load_state_dict(trained.state_dict())
    actions = np.stack([chunk.actions for chunk in policy.predict(inputs(60))])
    first = actions[:, 0, 0]
    assert (np.abs(np.abs(first - 256) - 200) < 60).mean() > 0.9  # left or right, not the mean of both
    assert np.abs(actions[..., 0] - first[:, None]).max() < 120  # all of a chunk the same way
    assert 0.2 < (first > 256).mean() < 0.8
    assert np.abs(actions[..., 1] - 40).mean() < 25
    assert actions.min() >= 0
    assert actions.max() <= 512


def test_a_prediction_s_noise_is_its_input_s_own() -> None:
    one, other = torch.zeros(1, 3), torch.ones(1, 3)
    assert torch.equal(first_noise(one, 0, 8), first_noise(one.clone(), 0, 8))
    assert not torch.equal(first_noise(one, 0, 8), first_noise(other, 0, 8))
    assert not torch.equal(first_noise(one, 0, 8), first_noise(one, 1, 8))


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_what_is_predicted_is_what_the_samplers_take(prediction: str) -> None:
    """A network that answers truly for one clean chunk is led to that chunk."""
    from robot_skills.policies.diffusion import scheduler

    config = dataclasses.replace(CONFIG, prediction=prediction)
    clean, flat = torch.tensor([[0.5, -0.3]]), torch.randn(1, 2, generator=torch.Generator().manual_seed(0))
    sampler = scheduler("ddim", config)
    sampler.set_timesteps(10)
    for level in sampler.timesteps:
        kept = sampler.alphas_cumprod[level]
        noise = (flat - kept.sqrt() * clean) / (1 - kept).sqrt()
        answer = {
            "epsilon": noise,
            "sample": clean,
            "v_prediction": kept.sqrt() * noise - (1 - kept).sqrt() * clean,
        }[prediction]
        flat = sampler.step(answer, level, flat).prev_sample
    assert torch.allclose(flat, clean, atol=0.02)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sampler": "dddim"}, "Did you mean 'ddim'"),
        ({"prediction": "noise"}, "prediction"),
        ({"sampler_steps": 200}, "sampler_steps is between 1 and 100"),
        ({"execute": 17}, "execute is between 1 and 16"),
    ],
)
def test_a_wrong_setting_is_named(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(DiffusionConfig, data, "config")
