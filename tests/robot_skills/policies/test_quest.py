"""QueST: it learns, keeps ways apart, codes see the past alone, and the cached prior is the whole one."""

import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.quest import QuestCodesConfig, QuestConfig, QuestPolicy, SkillAutoencoder
from robot_skills.training.configuration import from_mapping, to_mapping
from tests.robot_skills.policies.learning import (
    BLIND,
    DATA,
    SMALL,
    check_it_sees_and_is_told,
    check_signals,
    check_ways_apart,
    error,
    fit,
    two_ways,
)
from tests.robot_skills.policies.toy import statistics

torch.set_num_threads(1)
CODES = QuestCodesConfig(grid=(5, 5), downsample=2, width=32, encoder_layers=1, decoder_layers=2, dropout=0)
CONFIG = QuestConfig(**SMALL, codes=CODES, layers=2, temperature=0.0)


@pytest.fixture(scope="module")
def policy() -> QuestPolicy:
    torch.manual_seed(0)
    return fit(QuestPolicy(CONFIG), {"codes": 200, "policy": 200})


def test_it_learns_what_it_sees_and_is_told(policy: QuestPolicy) -> None:
    check_it_sees_and_is_told(policy)
    check_signals(policy)


def test_held_out_numbers_tell_the_error_of_what_it_would_do(policy: QuestPolicy) -> None:
    with torch.no_grad():
        metrics = policy.loss("policy", DATA)[1]
    deviation = DATA["actions"].flatten(0, 1).std(0).clamp_min(0.05)
    actions, _ = policy.act(DATA["images"], DATA["history"], DATA["text"], DATA["skill"])
    acted = ((actions - DATA["actions"]) / deviation).abs().mean()
    assert metrics["action"] == pytest.approx(acted.item(), rel=0.1)  # acting is within the limits
    assert metrics["code_accuracy"] > 0.7
    assert error(policy, DATA) > 0


def test_two_ways_stay_apart() -> None:
    torch.manual_seed(0)
    config = QuestConfig(**BLIND, codes=CODES, layers=1)
    check_ways_apart(fit(QuestPolicy(config), {"codes": 100, "policy": 120}, two_ways(2000)))


@pytest.mark.parametrize("downsample", [1, 2, 4, 8])
@torch.no_grad()
def test_a_code_sees_the_steps_it_stands_for_and_none_after(downsample: int) -> None:
    torch.manual_seed(0)
    config = QuestCodesConfig(grid=(31, 31, 31), downsample=downsample, width=32)
    autoencoder, chunk = SkillAutoencoder(config, 16, 7).eval(), torch.randn(8, 16, 7)
    before = autoencoder._latents(chunk)
    assert before.shape == (8, 16 // downsample, 32)
    for step in range(16):
        changed = chunk.clone()
        changed[:, step] += 2
        moved = (autoencoder._latents(changed) - before).abs().amax((0, 2)) > 1e-5
        assert moved.tolist() == [place >= step // downsample for place in range(16 // downsample)]


@torch.no_grad()
def test_codes_and_vectors_say_the_same(policy: QuestPolicy) -> None:
    autoencoder = policy.autoencoder
    chunks = policy.normalise_actions(DATA["actions"])
    codes = autoencoder.encode(chunks)
    assert codes.shape == (200, 4)
    assert codes.min() >= 0
    assert codes.max() < autoencoder.codes == 25
    reconstruction = (autoencoder.decode(codes) - chunks).abs().mean()
    assert autoencoder.loss(chunks)[0] == pytest.approx(reconstruction.item(), rel=1e-4)
    assert policy.report()["reconstruction"] == pytest.approx(reconstruction.item(), rel=1e-3)
    shares = torch.bincount(codes.flatten(), minlength=25) / codes.numel()
    assert torch.allclose(autoencoder.use(codes), shares)


@torch.no_grad()
def test_drawn_one_by_one_is_what_the_whole_prior_says(policy: QuestPolicy) -> None:
    context, _ = policy.see_batch(DATA)
    picked, summary = policy.prior.draw(context, torch.zeros(200, 4), 0.0, None)
    logits, whole = policy.prior(context, picked)
    assert torch.equal(logits.argmax(-1), picked)
    assert torch.allclose(summary, whole, atol=1e-4)


@torch.no_grad()
def test_only_the_likeliest_codes_are_drawn_and_chance_is_keyed(policy: QuestPolicy) -> None:
    context, _ = policy.see_batch(DATA)
    for seed in range(3):
        chance = torch.rand(200, 4, generator=torch.Generator().manual_seed(seed))
        picked, _ = policy.prior.draw(context, chance, 5.0, 2)
        logits, _ = policy.prior(context, picked)
        ranks = (logits > logits.gather(-1, picked[..., None])).sum(-1)
        assert ranks.max() == 1  # the second likeliest is drawn too


def test_every_part_is_trained_in_exactly_one_stage() -> None:
    policy = QuestPolicy(CONFIG).train()
    trained = {}
    for stage in policy.stages():
        policy.begin_stage(stage.name, statistics(DATA), {**DATA, "images": {}})
        policy.train()
        policy.zero_grad(set_to_none=True)
        policy.loss(stage.name, DATA)[0].backward()
        trained[stage.name] = {key for key, value in policy.named_parameters() if value.grad is not None}
    assert not trained["codes"] & trained["policy"]
    assert trained["codes"] | trained["policy"] == {key for key, _ in policy.named_parameters()}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"chunk": 10, "execute": 5}, r"codes.downsample \(4\) divides the chunk \(10\)"),
        ({"codes": {"downsample": 3}}, "power of 2, not 3"),
        ({"codes": {"grid": [8, 2]}}, "at least 3 values"),
        ({"codes": {"width": 30}}, "codes.width is divisible"),
        ({"top_codes": 0}, "top_codes is at least 1"),
    ],
)
def test_a_wrong_setting_is_named(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(QuestConfig, data, "config")


def test_settings_survive_the_folder() -> None:
    assert from_mapping(QuestConfig, to_mapping(CONFIG), "config") == CONFIG
