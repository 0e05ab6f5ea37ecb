"""Every generative policy with every denoiser: what the contract says, and that its loss waits for nobody."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from robot_skills.policies.conditions import ConditionsConfig
from robot_skills.policies.denoisers.transformer import TransformerConfig
from robot_skills.policies.denoisers.unet import UNetConfig
from robot_skills.policies.diffusion import DiffusionConfig, DiffusionPolicy
from robot_skills.policies.flow import FlowConfig, FlowPolicy
from robot_skills.policies.generative import GenerativePolicy, noise_generator
from robot_skills.policies.registry import load_policy
from robot_skills.policies.vision import VisionConfig
from tests.robot_skills.policies.toy import batch, inputs, statistics

torch.set_num_threads(1)
SMALL: dict[str, Any] = {
    "image_size": 32, "width": 32, "vision": VisionConfig(channels=(8, 8), strides=(2, 2), kernels=(3, 3)),
    "history": 1, "chunk": 7, "execute": 4, "hidden": 32, "blocks": 1, "noise_draws": 2, "sampler_steps": 4,
    "unet": UNetConfig((16, 32), level=16, context=16), "transformer": TransformerConfig(32, 1),
    "skills": ("pick", "place"),
    "conditions": ConditionsConfig(
        ("skill", "return", "constraint:gripper_stays"), {"return": 1.0}, guidance=1.5, compose="apart"
    ),
}  # fmt: skip
KINDS = {"diffusion": (DiffusionPolicy, DiffusionConfig), "flow": (FlowPolicy, FlowConfig)}


@pytest.fixture(
    scope="module",
    params=[(kind, denoiser) for kind in KINDS for denoiser in ("mlp", "unet", "transformer")],
    ids="-".join,
)
def trained(request) -> tuple[GenerativePolicy, Any]:
    kind, denoiser = request.param
    policy_class, config_class = KINDS[kind]
    torch.manual_seed(0)
    policy = policy_class(config_class(**SMALL, denoiser=denoiser))
    data = batch(16, size=32, chunk=7)
    policy.train().begin_stage("policy", statistics(data), data)
    optimizer = torch.optim.AdamW(policy.parameters(), 1e-3)
    for _ in range(3):
        loss, _ = policy.loss("policy", data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    missing = [name for name, value in policy.named_parameters() if value.grad is None]
    assert not missing
    return policy.eval(), data


def test_the_same_input_gives_the_same_chunk_alone_or_not(trained) -> None:
    policy, data = trained
    together = policy.predict(inputs(data, 3))
    for chunk, item in zip(together, inputs(data, 3), strict=True):
        for again in (policy.predict([item])[0], policy.predict([item])[0]):
            assert np.allclose(chunk.actions, again.actions, atol=1e-4)
            assert np.allclose(chunk.end, again.end, atol=1e-4)
    assert not np.allclose(together[0].actions, together[1].actions, atol=1e-2)


def test_a_folder_gives_the_same_policy_back(trained, tmp_path) -> None:
    policy, data = trained
    policy.save_pretrained(tmp_path)
    again = load_policy(tmp_path)
    assert again.config == policy.config
    assert again.report() == policy.report()
    for a, b in zip(policy.predict(inputs(data, 3)), again.predict(inputs(data, 3)), strict=True):
        assert np.array_equal(a.actions, b.actions)


def test_a_loss_waits_for_no_device_and_stays_on_it(trained) -> None:
    """On a device that has shapes and no numbers: to ask for a number, or to mix devices, is an error."""
    policy, data = copy.deepcopy(trained[0]).train(), trained[0].prepare(trained[1])
    policy.to("meta")
    images = {name: pixels.to("meta") for name, pixels in data["images"].items()}
    moved = {name: value.to("meta") for name, value in data.items() if name != "images"}
    loss, metrics = policy.loss("policy", {**moved, "images": images})
    loss.backward()
    assert {value.device.type for value in metrics.values()} == {"meta"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())


def test_the_held_out_loss_draws_noise_alone(trained) -> None:
    """In evaluation mode nothing is augmented and no condition left out: the same draws, the same loss."""
    policy, data = trained
    losses = []
    for _ in range(2):
        torch.manual_seed(5)
        with torch.no_grad():
            losses.append(float(policy.loss("policy", data)[0]))
    assert losses[0] == losses[1]


def test_a_prediction_s_noise_is_its_input_s_own() -> None:
    one, other = torch.zeros(1, 3), torch.ones(1, 3)

    def noise(history: torch.Tensor, seed: int) -> torch.Tensor:
        return torch.randn(8, generator=noise_generator(history, seed))

    assert torch.equal(noise(one, 0), noise(one.clone(), 0))
    assert not torch.equal(noise(one, 0), noise(other, 0))
    assert not torch.equal(noise(one, 0), noise(one, 1))
