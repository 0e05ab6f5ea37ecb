from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_skills.policies.policy import PolicyInput
from robot_skills.policies.star.config import CodesConfig
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.policies.vision import normalise
from robot_skills.robot import Observation
from tests.robot_skills.small_policy import CONFIG


def given(seed: int) -> PolicyInput:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (16, 16, 3), np.uint8)
    state = rng.normal(size=10).astype(np.float32)
    return PolicyInput(Observation({"front": image}, state, 0.0), state[None], "red block")


@pytest.mark.parametrize("autoregressive", [True, False])
def test_it_is_the_chance_of_the_codes_that_are_picked(autoregressive: bool) -> None:
    """Beside the chances of all sequences of codes, which sum to one."""
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, codes=CodesConfig(codes=4), autoregressive=autoregressive)
    policy = StarPolicy(config).eval()
    inputs = [given(seed) for seed in range(3)]
    said = policy.certainty(inputs)
    assert said == pytest.approx([policy.certainty([each])[0] for each in inputs], rel=1e-4)
    for one, certainty in zip(inputs, said, strict=True):
        chances = {codes: chance(policy, one, codes) for codes in itertools.product(range(4), repeat=2)}
        assert sum(chances.values()) == pytest.approx(1.0, rel=1e-4)
        (chunk,) = policy.predict([one])
        assert chunk.codes is not None
        assert certainty == pytest.approx(chances[tuple(chunk.codes.tolist())], rel=1e-4)


def chance(policy: StarPolicy, one: PolicyInput, codes: tuple[int, ...]) -> float:
    """Of a sequence of codes, each given those before: from the logits that training sees."""
    image = torch.from_numpy(one.observation.images["front"]).permute(2, 0, 1)[None]
    state = policy.normalise_state(torch.from_numpy(one.history)[None])
    true: Tensor = torch.tensor([codes])
    with torch.inference_mode():
        logits = policy._read({"front": normalise(image)}, state, [one.text], [""], true).logits
    return float(
        np.prod([each.softmax(-1)[0, code].item() for each, code in zip(logits, codes, strict=True)])
    )
