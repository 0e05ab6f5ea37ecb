"""Adding a skill to a trained policy: the base stays to the bit, the new is learned, the old stay."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.argument_map import ArgumentMapConfig
from robot_skills.policies.language import LanguageConfig
from robot_skills.policies.policy import Batch
from robot_skills.policies.registry import load_policy
from robot_skills.policies.star.config import CodesConfig, StarConfig
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.policies.star.star_lora import StarLoraPolicy
from robot_skills.policies.torchvision_shim import import_open_clip
from robot_skills.policies.vision import VisionConfig
from tests.robot_skills.policies.no_waiting import NoWaiting
from tests.robot_skills.policies.toy import batch, inputs, part, statistics

torch.set_num_threads(1)
CONFIG = StarConfig(
    image_size=32,
    shift=(1, 1),
    vision=VisionConfig(channels=(8, 16), strides=(2, 2), kernels=(5, 3)),
    language=LanguageConfig(width=32, layers=1, vocabulary=32),
    codes=CodesConfig(width=64, latent=16),
    width=32,
    feature=64,
    offset_width=64,
    skills=("pick", "place"),
)


def data_of(skill: str, seed: int = 0, count: int = 200) -> Batch:
    """The toy's data; "place" goes the other way, "shun" sideways, and is told so in a word of its own."""
    data = batch(count, seed=seed)
    turn = {"pick": (0, 1, 1.0), "place": (0, 1, -1.0), "shun": (1, 0, 1.0)}[skill]
    moved = data["actions"].clone()
    moved[..., :2] = turn[2] * data["actions"][..., [turn[0], turn[1]]]
    text = [f"{words} shun" for words in data["text"]] if skill == "shun" else data["text"]
    return Batch({**data, "actions": moved, "skill": [skill] * count, "text": text})  # type: ignore[typeddict-item]


def together(*batches: Batch) -> Batch:
    joined = {key: torch.cat([b[key] for b in batches]) for key in ("history", "actions", "end", "target")}
    images = {name: torch.cat([b["images"][name] for b in batches]) for name in batches[0]["images"]}
    words = {key: [word for b in batches for word in b[key]] for key in ("text", "skill")}
    return Batch(images=images, **joined, **words, to_go=torch.cat([b["to_go"] for b in batches]))  # type: ignore[typeddict-item]


def train(policy: StarPolicy, data: Batch, steps: dict[str, int]) -> StarPolicy:
    policy.train()
    for name, count in steps.items():
        policy.begin_stage(name, statistics(data), {**data, "images": {}})
        optimizer = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], 3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, count)
        for _ in range(count):
            rows = torch.randint(len(data["actions"]), (64,))
            loss, _ = policy.loss(name, part(data, rows))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    # As a loaded policy is: torch's attention has another kernel, with other last digits, for frozen weights.
    return policy.requires_grad_(True).eval()


@torch.no_grad()
def answers(policy: StarPolicy, data: Batch) -> torch.Tensor:
    skill = policy.skill_indices(data["skill"])
    return policy.act(data["images"], data["history"], data["text"], skill)[0]


def error(policy: StarPolicy, data: Batch) -> float:
    return (answers(policy, data) - data["actions"]).abs().mean().item()


OLD = together(data_of("pick"), data_of("place", 1))
NEW = data_of("shun", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("all")
    torch.manual_seed(0)
    train(StarPolicy(CONFIG), OLD, {"codes": 100, "policy": 250}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def grown(folder: Path) -> StarLoraPolicy:
    torch.manual_seed(1)
    policy = StarLoraPolicy.grow(folder, {"adds": ["shun"], "rank": 4})
    train(policy, NEW, {"adapter": 250})
    return policy


def test_one_policy_tells_its_skills_apart_by_their_token(folder: Path) -> None:
    base = load_policy(folder)
    for skill, seed in (("pick", 0), ("place", 1)):
        data = data_of(skill, seed)
        other = Batch({**data, "skill": ["place" if skill == "pick" else "pick"] * 200})  # type: ignore[typeddict-item]
        assert error(base, data) < 0.6 * error(base, other)
    with pytest.raises(InputError, match="Unknown skill of this policy 'pik'"):
        base.predict([dataclasses.replace(inputs(OLD)[0], skill="pik")])


def test_at_first_a_grown_policy_says_what_its_base_says(folder: Path) -> None:
    base, policy = load_policy(folder), StarLoraPolicy.grow(folder, {"adds": ["shun"]}).eval()
    assert torch.equal(answers(policy, OLD), answers(base, OLD))
    # The new skill too, but for its token: the mean of the known ones'.
    with torch.no_grad():
        base.read_skill.weight[0] = base.read_skill.weight.mean(0)
    told = Batch({**NEW, "text": OLD["text"][:200]})  # type: ignore[typeddict-item]
    as_pick = Batch({**told, "skill": ["pick"] * 200})  # type: ignore[typeddict-item]
    assert torch.allclose(answers(policy, told), answers(base, as_pick), atol=1e-6)


def test_the_base_stays_to_the_bit_and_says_the_same(folder: Path, grown: StarLoraPolicy) -> None:
    base = load_policy(folder)
    state = grown.state_dict()
    for name, value in base.state_dict().items():
        if name != "language.token_ids":
            assert torch.equal(state[name], value), name
    assert torch.equal(answers(grown, OLD), answers(base, OLD))
    # And beside a sample of the new skill in one batch.
    mixed = together(part(OLD, torch.tensor([3, 250])), part(NEW, torch.tensor([5])))
    assert torch.allclose(answers(grown, mixed)[:2], answers(base, OLD)[[3, 250]], atol=1e-6)


def test_the_new_skill_is_learned(folder: Path, grown: StarLoraPolicy) -> None:
    before = error(StarLoraPolicy.grow(folder, {"adds": ["shun"]}).eval(), NEW)
    assert error(grown, NEW) < 0.5 * before
    untrained = sum(p.numel() for p in grown.learning())
    assert untrained < 0.5 * sum(p.numel() for p in load_policy(folder).parameters())
    assert "shun" in grown.report()["words"]
    assert grown.report()["adds"] == ["shun"]


def test_a_grown_folder_stands_alone_and_comes_back(grown: StarLoraPolicy, tmp_path: Path) -> None:
    grown.save_pretrained(tmp_path)
    again = load_policy(tmp_path)
    assert isinstance(again, StarLoraPolicy)
    assert again.config == grown.config
    both = together(OLD, NEW)
    assert torch.allclose(answers(again, both), answers(grown, both), atol=2e-3)
    state = again.state_dict()
    for name, value in grown.state_dict().items():
        if not any(part in name for part in ("down", "up", "added", "gates", "fresh")):
            assert torch.equal(state[name], value), name  # the base passes the folder to the bit
    copy.deepcopy(again)


def test_a_second_skill_leaves_the_first_addition_as_it_is(grown: StarLoraPolicy, tmp_path: Path) -> None:
    grown.save_pretrained(tmp_path)
    first = load_policy(tmp_path)
    torch.manual_seed(2)
    second = StarLoraPolicy.grow(tmp_path, {"adds": ["follow"]})
    assert second.config.adds == ("shun", "follow")
    assert second.config.settled == 1
    data = data_of("pick", 5)
    words = [f"{text} follow" for text in data["text"]]
    data = Batch({**data, "skill": ["follow"] * 200, "text": words})  # type: ignore[typeddict-item]
    train(second, data, {"adapter": 30})
    both = together(OLD, NEW)
    assert torch.equal(answers(second, both), answers(first, both))
    # The gate of the newest may draw on the addition before.
    gate = second.gates[1]["readers"]  # type: ignore[index]
    assert gate(torch.zeros(1, 64)).shape == (1, 2)
    moved = [p for p in second.gates[1].parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert moved


def test_mixing_is_in_the_parameters(grown: StarLoraPolicy) -> None:
    """The layer with weights a is the linear layer with W0 + sum a_i B_i A_i."""
    layer = copy.deepcopy(grown.fuse[0])
    x, weights = torch.randn(3, layer.in_features), torch.tensor([[0.0], [1.0], [-0.5]])
    layer._mixture.weights = weights
    for row in range(3):
        merged = layer.weight + weights[row, 0] * layer.up[0] @ layer.down[0]
        assert torch.allclose(layer(x)[row], merged @ x[row] + layer.bias, atol=1e-5)


def test_a_base_without_skill_tokens_can_grow(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, skills=())
    base = train(StarPolicy(config), data_of("pick"), {"codes": 20, "policy": 20})
    base.save_pretrained(tmp_path)
    base, policy = load_policy(tmp_path), StarLoraPolicy.grow(tmp_path, {"adds": ["shun"]})
    train(policy, NEW, {"adapter": 20})
    assert torch.equal(answers(policy, data_of("pick")), answers(base, data_of("pick")))
    as_pick = Batch({**NEW, "skill": ["pick"] * 200})  # type: ignore[typeddict-item]
    assert not torch.equal(answers(policy, NEW), answers(policy, as_pick))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adds": ["pick"]}, "there already"),
        ({"adds": ["shun", "shun"]}, "there already"),
        ({"adds": ["shun"], "width": 64}, "width is 32 in"),
        ({"adds": ["shun"], "rank": 0}, "rank is at least 1"),
        ({"ads": ["shun"]}, "Did you mean 'adds'"),
        ({"adds": []}, "at least one skill"),
    ],
)
def test_a_wrong_setting_is_named(folder: Path, settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        StarLoraPolicy.grow(folder, settings)


def test_only_star_can_grow(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no config\.json"):
        StarLoraPolicy.grow(tmp_path, {"adds": ["shun"]})


def test_data_without_the_new_skill_is_warned_about(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    policy = StarLoraPolicy.grow(folder, {"adds": ["shun"]})
    policy.begin_stage("adapter", statistics(OLD), {**OLD, "images": {}})
    assert "pick, place and none of the added skills (shun)" in caplog.text


def test_predictions_of_a_batch_are_those_of_its_parts(grown: StarLoraPolicy) -> None:
    given = [*inputs(OLD, 2), *inputs(NEW, 2)]
    for one, two in zip(grown.predict(given), [grown.predict([item])[0] for item in given], strict=True):
        assert np.allclose(one.actions, two.actions, atol=1e-5)


def test_neither_training_nor_acting_waits_for_the_device(folder: Path) -> None:
    policy = StarLoraPolicy.grow(folder, {"adds": ["shun"]}).train()
    policy.begin_stage("adapter", statistics(NEW), {**NEW, "images": {}})
    data = policy.prepare(part(NEW, torch.arange(16)))
    with NoWaiting():
        policy.loss("adapter", data)[0].backward()
    policy.eval()
    with torch.inference_mode(), NoWaiting():
        policy.act(data["images"], data["history"], data["text"], data["skill"])


@pytest.mark.parametrize("kind", ["small", "none"])
def test_a_base_that_is_shown_where_its_argument_is_can_grow(tmp_path: Path, kind: str) -> None:
    tower = {"layers": 1, "width": 32}
    clip = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "head_width": 16, "patch_size": 8, **tower},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "heads": 2, **tower},
    }
    (tmp_path / "grown_pointing.json").write_text(json.dumps(clip))
    open_clip = import_open_clip()
    open_clip.add_model_config(tmp_path)
    torch.save(open_clip.create_model("grown_pointing").state_dict(), tmp_path / "pointing.pt")
    pointing = ArgumentMapConfig("clip", "grown_pointing", str(tmp_path / "pointing.pt"))
    language = dataclasses.replace(CONFIG.language, kind=kind)
    config = dataclasses.replace(CONFIG, argument_map=pointing, language=language)
    train(StarPolicy(config), OLD, {"codes": 2, "policy": 2}).save_pretrained(tmp_path / "base")
    base, policy = load_policy(tmp_path / "base"), StarLoraPolicy.grow(tmp_path / "base", {"adds": ["shun"]})
    train(policy, NEW, {"adapter": 3})
    assert torch.equal(answers(policy, OLD), answers(base, OLD))
    assert ("shun" in policy.report()["words"]) == (kind == "small")
    assert policy.argument_map.read.up[0].abs().sum() > 0
