import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.star.config import CodesConfig, StarConfig
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.policies.vision import VisionConfig
from robot_skills.training.configuration import from_mapping, to_mapping
from tests.robot_skills.policies.no_waiting import NoWaiting
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
#: A folder that release 0.1 wrote, trained on the data above, and what it answered then.
GOLDEN = Path(__file__).parents[3] / "golden" / "star_folder"


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
    wrong = policy._pick(reading, torch.rand(200, 2), 1.5)
    decoder_alone = (policy.decode(wrong) - actions).abs().mean()
    chunk, _ = policy.offset(reading.features, wrong, policy.decode(wrong), torch.empty(200, 0))
    corrected = (chunk - actions).abs().mean()
    codes = policy.encode(actions)
    true_alone = (policy.decode(codes) - actions).abs().mean()
    assert (wrong != codes).any(dim=1).float().mean() > 0.1
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


VARIANTS = [
    {},
    {"segments": 2, "sees_chunk": True},
    {"segments": 4, "refiner": "flow"},
    {"autoregressive": False},
    {"refiner": "none"},
    {"segments": 2, "autoregressive": False, "refiner": "flow", "temperature": 1.0, "top_p": 0.9},
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_every_part_is_trained_in_exactly_one_stage(settings) -> None:
    policy = StarPolicy(dataclasses.replace(SMALL, **settings)).train()
    trained = {}
    for name in ("codes", "policy"):
        policy.begin_stage(name, statistics(DATA), {**DATA, "images": {}})
        policy.zero_grad(set_to_none=True)
        policy.loss(name, DATA)[0].backward()
        trained[name] = {key for key, value in policy.named_parameters() if value.grad is not None}
    assert not trained["codes"] & trained["policy"]
    assert trained["codes"] | trained["policy"] == {key for key, _ in policy.named_parameters()}


@pytest.mark.parametrize("settings", VARIANTS[1:], ids=str)
def test_every_variant_learns_and_comes_back(settings, tmp_path) -> None:
    policy = train(dataclasses.replace(SMALL, **settings), steps=120)
    mean = (DATA["actions"] - DATA["actions"].mean((0, 1))).abs().mean().item()
    with torch.no_grad():
        assert error(policy, DATA) < 0.7 * mean
        _, metrics = policy.loss("policy", DATA)
    assert float(metrics["chunk_error"]) < 0.7
    policy.save_pretrained(tmp_path, precision=torch.float32)
    again = StarPolicy.from_pretrained(tmp_path)
    assert again.config == policy.config
    for one, two in zip(policy.predict(inputs(DATA, 4)), again.predict(inputs(DATA, 4)), strict=True):
        assert np.array_equal(one.actions, two.actions)


def test_a_segment_has_codes_of_its_own_in_the_order_of_time() -> None:
    policy = StarPolicy(dataclasses.replace(SMALL, segments=4))
    policy.begin_stage("codes", statistics(DATA), {**DATA, "images": {}})
    chunks = policy.normalise_actions(DATA["actions"])
    codes = policy.encode(chunks)
    assert codes.shape == (200, 4 * SMALL.codes.levels)
    assert policy.decode(codes).shape == chunks.shape
    for step in range(8):
        changed = chunks.clone()
        changed[:, step] += 3
        touched = (policy.encode(changed) != codes).any(0).view(4, -1)
        assert touched.any(1).tolist() == [segment == step // 2 for segment in range(4)]
    other = codes.clone()
    other[:, 2] = (other[:, 2] + 1) % 16  # the second segment's coarse code
    moved = (policy.decode(other) != policy.decode(codes)).any(dim=(0, 2))
    assert moved.tolist() == [False, False, True, True, False, False, False, False]


def test_a_folder_of_an_earlier_release_gives_the_actions_it_gave() -> None:
    policy = StarPolicy.from_pretrained(GOLDEN)
    data = batch(200, cameras=("front",), size=16, history=2)
    told = json.loads((GOLDEN / "chunks.json").read_text())
    for chunk, was in zip(policy.predict(inputs(data, 4)), told, strict=True):
        assert np.allclose(chunk.actions, was["actions"], atol=1e-5)
        assert np.allclose(chunk.end, was["end"], atol=1e-5)


def test_what_only_the_motion_tells_is_learned_from_a_short_history() -> None:
    torch.manual_seed(0)
    data = batch(200, history=3)
    side = torch.where(torch.rand(200) < 0.5, -1.0, 1.0)
    data["history"][:, :-1, 1] += 0.02 * side[:, None]  # two centimetres, before now
    data["actions"][..., 1] = 0.5 * side[:, None]
    config = dataclasses.replace(SMALL, history=3)
    policy = StarPolicy(config).train()
    for name, count in (("codes", 100), ("policy", 200)):
        policy.begin_stage(name, statistics(data), {**data, "images": {}})
        optimizer = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], 3e-3)
        for _ in range(count):
            loss, _ = policy.loss(name, part(data, torch.randint(200, (64,))))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    actions, _ = policy.eval().act(data["images"], data["history"], data["text"], data["skill"])
    assert (actions[:, 0, 1].sign() == side).float().mean() > 0.95


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_neither_training_nor_acting_waits_for_the_device(settings) -> None:
    policy = StarPolicy(dataclasses.replace(SMALL, **settings)).train()
    data = policy.prepare(part(DATA, torch.arange(16)))
    for name in ("codes", "policy"):
        policy.begin_stage(name, statistics(DATA), {**DATA, "images": {}})
        data = policy.prepare(part(DATA, torch.arange(16)))
        with NoWaiting():
            policy.loss(name, data)[0].backward()
    policy.eval()
    with torch.inference_mode(), NoWaiting():
        policy.act(data["images"], data["history"], data["text"], data["skill"])


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


def test_sampling_is_asked_for_by_temperature(policy: StarPolicy) -> None:
    greedy = policy.predict(inputs(DATA, 12))
    for settings in ({"temperature": 2.0}, {"temperature": 2.0, "seed": 1}, {"temperature": 2.0, "top_k": 1}):
        sampling = StarPolicy(dataclasses.replace(SMALL, **settings))
        sampling.load_state_dict(policy.state_dict())
        sampling.eval()
        drawn, again = (sampling.predict(inputs(DATA, 12)) for _ in range(2))
        alone = [sampling.predict([item])[0] for item in inputs(DATA, 12)]
        for one, two, three in zip(drawn, again, alone, strict=True):
            assert np.array_equal(one.actions, two.actions)  # asked again, it says the same
            assert np.allclose(one.actions, three.actions, atol=1e-5)
        moved = 0
        for one, two in zip(drawn, greedy, strict=True):
            assert one.codes.shape == (SMALL.places,)
            same = np.array_equal(one.codes, two.codes)  # the codes are what is drawn, and nothing else
            assert np.array_equal(one.actions, two.actions) == same
            moved += not same
        assert moved == 0 if settings.get("top_k") == 1 else moved >= 3


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
        ({"segments": 3}, "8 steps is not 3 segments"),
        ({"refiner": "offsets"}, "Did you mean 'offset'"),
        ({"top_k": 4}, "temperature 0 samples nothing"),
        ({"temperature": 1, "top_p": 0}, "top_p is above 0"),
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
    config = dataclasses.replace(SMALL, history=3)
    data = json.loads(json.dumps(to_mapping(config)))
    assert from_mapping(StarConfig, data, "config") == config
