"""VQ-BeT: it learns, keeps ways apart, focal loss and offsets are what their formulas say."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from robot_skills.errors import InputError
from robot_skills.policies.star.config import CodesConfig
from robot_skills.policies.vqbet import VQBeTConfig, VQBeTPolicy, focal_loss
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
from tests.robot_skills.policies.toy import part, statistics

torch.set_num_threads(1)
CODES = CodesConfig(estimator="ste", level_dropout=0.0, width=64, latent=16)
CONFIG = VQBeTConfig(**SMALL, codes=CODES, layers=2, head_width=64)


@pytest.fixture(scope="module")
def policy() -> VQBeTPolicy:
    torch.manual_seed(0)
    return fit(VQBeTPolicy(CONFIG), {"codes": 100, "policy": 200})


def test_it_learns_what_it_sees_and_is_told(policy: VQBeTPolicy) -> None:
    check_it_sees_and_is_told(policy)
    check_signals(policy)


def test_it_knows_the_codes_and_corrects_them(policy: VQBeTPolicy) -> None:
    with torch.no_grad():
        metrics = policy.loss("policy", DATA)[1]
    assert metrics["code_1_accuracy"] > 0.7
    assert metrics["action"] < 0.5 * policy.report()["reconstruction_by_levels"][-1]


@pytest.mark.parametrize(("codes", "low", "high"), [("true", 0.15, 0.5), ("drawn", 0.0, 0.05)])
def test_the_rarer_way_stays_if_offsets_are_learned_for_the_data_s_codes(codes: str, low, high) -> None:
    """For drawn codes, most of what the rarer way's offset learns from went the commoner way.

    One level, since those of two are drawn without a look at each other. The focal loss draws shares, here
    of .3 and .7, towards each other.
    """
    torch.manual_seed(0)
    settings = {**BLIND, "layers": 1, "head_width": 32, "temperature": 1.0, "offset_codes": codes}
    policy = VQBeTPolicy(VQBeTConfig(codes=dataclasses.replace(CODES, levels=1), **settings))
    side = sides(fit(policy, {"codes": 60, "policy": 200}, two_ways(2000, left=0.3)))
    assert low <= (side < -0.55).float().mean() <= high
    assert (side > 0.55).float().mean() > 0.5


def test_the_focal_loss_is_its_formula() -> None:
    torch.manual_seed(0)
    logits, codes = torch.randn(6, 2, 5) * 3, torch.randint(5, (6, 2))
    for power in (0.0, 0.5, 2.0):
        for level in range(2):
            terms = []
            for row in range(6):
                weights = [math.exp(value) for value in logits[row, level].tolist()]
                p = weights[codes[row, level]] / sum(weights)
                terms.append(-((1 - p) ** power) * math.log(p))
            assert focal_loss(logits, codes, power)[level] == pytest.approx(sum(terms) / 6, rel=1e-4)
    entropy = F.cross_entropy(logits.flatten(0, 1), codes.flatten())
    assert torch.allclose(focal_loss(logits, codes, 0.0).mean(), entropy)


def test_what_is_certain_has_no_focal_gradient_gone_wrong() -> None:
    logits = torch.tensor([[[200.0, 0.0]], [[-200.0, 0.0]]], requires_grad=True)
    focal_loss(logits, torch.zeros(2, 1, dtype=torch.int64), 2.0).sum().backward()
    assert torch.isfinite(logits.grad).all()


@torch.no_grad()
def test_the_offset_is_that_of_the_codes_picked(policy: VQBeTPolicy) -> None:
    features, picked = torch.randn(9, CONFIG.width), torch.randint(16, (9, 2))
    chunks = policy.compose(features, picked)
    flat, decoded = policy.offset_head(features), policy.tokenizer.decode(picked)
    for row in range(9):
        for step in range(8):
            for number in range(7):
                value = decoded[row, step, number].item()
                for level in range(2):
                    place = ((level * 16 + picked[row, level].item()) * 8 + step) * 7 + number
                    value += flat[row, place].item()
                assert chunks[row, step, number].item() == pytest.approx(value, abs=1e-5)


def test_every_part_is_trained_in_exactly_one_stage() -> None:
    policy = VQBeTPolicy(CONFIG).train()
    trained = {}
    for stage in policy.stages():
        policy.begin_stage(stage.name, statistics(DATA), {**DATA, "images": {}})
        policy.zero_grad(set_to_none=True)
        policy.loss(stage.name, DATA)[0].backward()
        trained[stage.name] = {key for key, value in policy.named_parameters() if value.grad is not None}
    assert not trained["codes"] & trained["policy"]
    assert trained["codes"] | trained["policy"] == {key for key, _ in policy.named_parameters()}


def test_codes_rest_while_the_policy_learns(policy: VQBeTPolicy) -> None:
    before = {name: value.clone() for name, value in policy.tokenizer.state_dict().items()}
    policy.train()
    policy.loss("policy", part(DATA, torch.arange(32)))[0].backward()
    policy.eval()
    assert all(torch.equal(before[name], value) for name, value in policy.tokenizer.state_dict().items())


def test_the_report_tells_levels_apart(policy: VQBeTPolicy) -> None:
    report = policy.report()
    assert len(report["codes_used"]) == len(report["code_perplexity"]) == 2
    assert 1 < report["code_perplexity"][0] <= report["codes_used"][0] <= 16
    first, both = report["reconstruction_by_levels"]
    assert both < first
    assert report["code_sequences_used"] <= 256
    assert report["parameters"] == sum(report["parameters_of"].values()) + policy.query.numel() + (
        policy.places.numel()
    )


def test_settings_survive_the_folder_and_wrong_ones_are_named() -> None:
    assert from_mapping(VQBeTConfig, to_mapping(CONFIG), "config") == CONFIG
    with pytest.raises(InputError, match="focal_power is at least 0"):
        from_mapping(VQBeTConfig, {"focal_power": -1}, "config")
    with pytest.raises(InputError, match="codes"):
        from_mapping(VQBeTConfig, {"codes": {"codes": 1}}, "config")
