import dataclasses
import logging

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.star.config import CodesConfig, StarConfig
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.policies.vision import VisionConfig
from robot_skills.training.configuration import from_mapping, to_mapping
from tests.robot_skills.policies.toy import batch, inputs, part, statistics

torch.set_num_threads(1)
SMALL = StarConfig(
    image_size=32,
    shift=(1, 1),
    vision=VisionConfig(channels=(8, 16), strides=(2, 2), kernels=(5, 3)),
    codes=CodesConfig(width=64, latent=16),
    width=32,
    feature=64,
    offset_width=64,
)
DATA = batch(200)


def train(config: StarConfig, steps: int = 200, codes_steps: int = 150) -> StarPolicy:
    torch.manual_seed(0)
    policy = StarPolicy(config).train()
    for name, count in (("codes", codes_steps), ("policy", steps)):
        policy.begin_stage(name, statistics(DATA), {**DATA, "images": {}})
        trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, 3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, count)
        for _ in range(count):
            loss, _ = policy.loss(name, part(DATA, torch.randint(200, (64,))))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return policy.eval()


@pytest.fixture(scope="module")
def policy() -> StarPolicy:
    return train(SMALL)


def error(policy: StarPolicy, data) -> float:
    actions, _ = policy.act(data["images"], data["history"], data["text"], data["skill"])
    return (actions - data["actions"]).abs().mean().item()


@torch.no_grad()
def test_it_learns_what_it_sees_and_is_told(policy: StarPolicy) -> None:
    mean = (DATA["actions"] - DATA["actions"].mean((0, 1))).abs().mean().item()
    assert error(policy, DATA) < 0.5 * mean
    held_out = batch(200, seed=7)
    assert error(policy, held_out) < 0.8 * mean
    other = {"red cube": "blue cube", "blue cube": "red cube"}
    swapped = {**held_out, "text": [other[text] for text in held_out["text"]]}
    assert error(policy, swapped) > 1.3 * error(policy, held_out)


@torch.no_grad()
def test_the_offset_corrects_a_wrong_code(policy: StarPolicy) -> None:
    actions = policy.normalise_actions(DATA["actions"])
    pixels, state = policy.augment(DATA)
    reading = policy._read(pixels, state, DATA["text"], DATA["skill"], None)
    wrong = policy._pick(reading, 1.5, torch.Generator().manual_seed(0))
    decoder_alone = (policy.tokenizer.decode(wrong) - actions).abs().mean()
    corrected = (policy._compose(reading.features, wrong)[0] - actions).abs().mean()
    true_alone = (policy.tokenizer.decode(policy.tokenizer.encode(actions)) - actions).abs().mean()
    assert (wrong != policy.tokenizer.encode(actions)).any(dim=1).float().mean() > 0.1
    assert corrected < 0.6 * decoder_alone
    assert corrected < true_alone  # better than the codes could do if they were all right


@torch.no_grad()
def test_the_end_is_recognised(policy: StarPolicy) -> None:
    _, end = policy.act(DATA["images"], DATA["history"], DATA["text"], DATA["skill"])
    over = DATA["end"] > 0
    assert end[over].mean() > 0.5 > 2 * end[~over].mean()


def test_the_trunk_knows_where_the_target_is(policy: StarPolicy) -> None:
    with torch.no_grad():
        _, metrics = policy.loss("policy", DATA)
    assert metrics["target"] < 0.4  # 0.8 for a normal variable's mean
    unknown = {**DATA, "target": torch.full((200, 3), float("nan"))}
    with torch.no_grad():
        assert policy.loss("policy", unknown)[1]["target"] == 0


def test_codes_rest_while_the_policy_learns(policy: StarPolicy) -> None:
    before = {name: value.clone() for name, value in policy.tokenizer.state_dict().items()}
    policy.train()
    policy.zero_grad(set_to_none=True)
    policy.loss("policy", part(DATA, torch.arange(32)))[0].backward()
    policy.eval()
    assert all(torch.equal(before[name], value) for name, value in policy.tokenizer.state_dict().items())
    assert all(parameter.grad is None for parameter in policy.tokenizer.parameters())


def test_every_part_is_trained_in_exactly_one_stage() -> None:
    policy = StarPolicy(SMALL).train()
    trained = {}
    for name in ("codes", "policy"):
        policy.begin_stage(name, statistics(DATA), {**DATA, "images": {}})
        policy.zero_grad(set_to_none=True)
        policy.loss(name, DATA)[0].backward()
        trained[name] = {key for key, value in policy.named_parameters() if value.grad is not None}
    assert not trained["codes"] & trained["policy"]
    assert trained["codes"] | trained["policy"] == {key for key, _ in policy.named_parameters()}


def test_the_report_tells_levels_apart(policy: StarPolicy) -> None:
    report = policy.report()
    codes = policy.tokenizer.encode(policy.normalise_actions(DATA["actions"]))
    for level in range(2):
        assert report["codes_used"][level] == len(set(codes[:, level].tolist()))
        assert 1 <= report["code_perplexity"][level] <= 16
    assert report["reconstruction_by_levels"][0] > report["reconstruction_by_levels"][1]
    assert report["parameters"] == sum(p.numel() for p in policy.parameters())
    assert set(report["words"]) == {"red", "blue", "cube"}


def test_the_default_policy_is_about_a_million_parameters() -> None:
    assert StarPolicy().report()["parameters"] < 1.1e6


def test_sampling_is_asked_for_by_temperature(policy: StarPolicy, tmp_path) -> None:
    config = dataclasses.replace(SMALL, temperature=2.0)
    sampling = StarPolicy(config)
    sampling.load_state_dict(policy.state_dict())
    sampling.eval()
    drawn = [sampling.predict(inputs(DATA))[0].actions for _ in range(6)]
    assert any(not np.array_equal(drawn[0], other) for other in drawn[1:])


def test_full_precision_weights_come_back_bit_for_bit(policy: StarPolicy, tmp_path) -> None:
    policy.save_pretrained(tmp_path, precision=torch.float32)
    again = StarPolicy.from_pretrained(tmp_path)
    assert all(torch.equal(value, policy.state_dict()[key]) for key, value in again.state_dict().items())
    assert next(again.parameters()).dtype == torch.float32


def test_a_known_text_is_encoded_once_and_forgotten_when_weights_change(policy: StarPolicy) -> None:
    language = policy.language
    calls = []
    encode = language.encode
    language.encode = lambda texts: calls.append(list(texts)) or encode(texts)  # type: ignore[method-assign]
    try:
        for _ in range(3):
            policy.predict(inputs(DATA, 2))
        assert len(calls) <= 2
        before = policy.predict(inputs(DATA))[0].actions
        calls.clear()
        with torch.no_grad():
            weight = next(language.parameters())
            weight.mul_(2)
            after = policy.predict(inputs(DATA))[0].actions
            weight.div_(2)
        assert calls
        assert not np.array_equal(before, after)
        assert np.allclose(policy.predict(inputs(DATA))[0].actions, before, atol=1e-6)
    finally:
        del language.encode


def test_a_word_never_seen_is_warned_about_once(policy: StarPolicy, caplog) -> None:
    item = dataclasses.replace(inputs(DATA)[0], text="violet cube")
    with caplog.at_level(logging.WARNING):
        policy.predict([item])
        policy.predict([item])
    assert caplog.text.count("violet") == 1


def test_a_longer_history_is_read(tmp_path) -> None:
    config = dataclasses.replace(SMALL, history=4)
    policy = StarPolicy(config).eval()
    data = batch(2, history=4)
    chunk = policy.predict(inputs(data))[0]
    moved = inputs(data)[0]
    history = moved.history.copy()
    history[0, 0] += 0.5
    assert not np.array_equal(
        chunk.actions, policy.predict([dataclasses.replace(moved, history=history)])[0].actions
    )
    with pytest.raises(InputError, match="history of shape"):
        policy.predict([dataclasses.replace(moved, history=history[:1])])
    with pytest.raises(InputError, match=r"\(32, 32, 3\)"):
        policy.predict(inputs(batch(1, size=64, history=4)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"chnk": 8}, "Did you mean 'chunk'"),
        ({"codes": {"estimator": "rotations"}}, "Did you mean 'rotation'"),
        ({"vision": {"chanels": [8]}}, "channels"),
        ({"execute": 9}, "execute is between 1 and 8"),
        ({"teacher_forcing": 1.5}, "teacher_forcing"),
        ({"shift": [3]}, "one number a camera"),
        ({"width": 30, "heads": 4}, "not divisible"),
        ({"vision": {"channels": [8, 16]}}, "one length"),
        ({"language": {"kind": "open_clip"}}, "language.model"),
        ({"cameras": []}, "one number a camera"),
        ({"chunk": "8"}, "whole number"),
    ],
)
def test_a_wrong_setting_is_named(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(StarConfig, data, "config")


def test_a_config_survives_json() -> None:
    import json

    config = dataclasses.replace(SMALL, history=3)
    data = json.loads(json.dumps(to_mapping(config)))
    assert from_mapping(StarConfig, data, "config") == config
