"""What every registered policy must do; being registered is what puts it here."""

import contextlib
import io
import json
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch
from rich.console import Console

from robot_skills.data.loader import Windows
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.policies.registry import GROUP, load_policy, policy_class
from robot_skills.training.loop import Trainer
from robot_skills.training.recipe import PolicyChoice, StageSettings, TrainRecipe
from tests.robot_skills.policies.toy import batch, inputs, part, statistics
from tests.robot_skills.training.tiny import make_episode

torch.set_num_threads(1)
NAMES = sorted(point.name for point in entry_points(group=GROUP))


def make(name: str):
    """A policy as it comes, and data of the shapes it asks for."""
    torch.manual_seed(0)
    policy = policy_class(name)()  # type: ignore[call-arg]
    size = getattr(policy.config, "image_size", 64)
    data = batch(24, cameras=policy.cameras, size=size, history=policy.history, chunk=policy.chunk)
    return policy, data


def train(policy, data, steps: int = 3) -> list[float]:
    losses = []
    for stage in policy.stages():
        policy.train()
        policy.begin_stage(stage.name, statistics(data), {**data, "images": {}})
        trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, stage.learning_rate)
        for _ in range(steps):
            given = data if stage.images else {**data, "images": {}}
            loss, metrics = policy.loss(stage.name, given)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            assert all(np.isfinite(float(value)) for value in metrics.values())
    return losses


@pytest.fixture(scope="module", params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(name: str):
    policy, data = make(name)
    losses = train(policy, data)
    assert np.isfinite(losses).all()
    return policy.eval(), data


def test_a_chunk_has_the_promised_shape_and_range(trained) -> None:
    policy, data = trained
    chunks = policy.predict(inputs(data, 3))
    assert len(chunks) == 3
    for chunk in chunks:
        assert chunk.actions.shape == (policy.chunk, 7)
        assert chunk.end.shape == (policy.chunk,)
        assert chunk.actions.dtype == chunk.end.dtype == np.float32
        assert np.abs(chunk.actions).max() <= 1
        assert ((chunk.end >= 0) & (chunk.end <= 1)).all()
    assert 1 <= policy.execute <= policy.chunk
    assert policy.predict([]) == []


def test_prediction_is_deterministic_and_leaves_the_policy_alone(trained) -> None:
    policy, data = trained
    before = {key: value.clone() for key, value in policy.state_dict().items()}
    first, second = (policy.predict(inputs(data, 2)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.actions, b.actions)
    assert all(torch.equal(value, before[key]) for key, value in policy.state_dict().items())


def test_a_batch_gives_what_its_parts_give(trained) -> None:
    policy, data = trained
    together = policy.predict(inputs(data, 3))
    alone = [policy.predict([item])[0] for item in inputs(data, 3)]
    for a, b in zip(together, alone, strict=True):
        assert np.allclose(a.actions, b.actions, atol=1e-4)


def test_a_folder_gives_the_same_policy_back(trained, tmp_path, name: str) -> None:
    policy, data = trained
    policy.save_pretrained(tmp_path / "made" / "for it")
    folder = tmp_path / "made" / "for it"
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "stats.safetensors",
    }
    again = load_policy(folder)
    assert type(again) is type(policy)
    assert again.config == policy.config
    assert again.report() == policy.report()
    for a, b in zip(policy.predict(inputs(data, 3)), again.predict(inputs(data, 3)), strict=True):
        assert np.allclose(a.actions, b.actions, atol=1e-3)
        assert np.allclose(a.end, b.end, atol=1e-3)
    json.dumps(again.report())


def test_a_damaged_or_foreign_folder_is_refused(trained, tmp_path, name: str) -> None:
    policy, _ = trained
    with pytest.raises(InputError, match=r"no config\.json"):
        policy_class(name).from_pretrained(tmp_path)
    policy.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not a file of weights")
    with pytest.raises(InputError, match="damaged"):
        policy_class(name).from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "surprise": 1}))
    with pytest.raises(InputError, match="surprise"):
        policy_class(name).from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "format_version": 99}))
    with pytest.raises(InputError, match="format version"):
        policy_class(name).from_pretrained(tmp_path)


def test_the_same_seed_trains_the_same_weights(name: str) -> None:
    runs = []
    for _ in range(2):
        policy, data = make(name)
        torch.manual_seed(1)
        runs.append(train(policy, data, steps=2))
    assert runs[0] == runs[1]


def test_training_goes_on_from_a_state_dict(name: str) -> None:
    policy, data = make(name)
    train(policy, data, steps=1)
    other, _ = make(name)
    for stage in other.stages():
        other.begin_stage(stage.name, statistics(data), {**data, "images": {}})
    other.load_state_dict(policy.state_dict())
    policy.eval()
    other.eval()
    for a, b in zip(policy.predict(inputs(data, 2)), other.predict(inputs(data, 2)), strict=True):
        assert np.array_equal(a.actions, b.actions)


def test_unknown_targets_and_a_batch_of_one_train(name: str) -> None:
    policy, data = make(name)
    train(policy, data, steps=1)
    one = part(data, torch.tensor([0]))
    one["target"] = torch.full((1, 3), float("nan"))
    loss, _ = policy.loss(policy.stages()[-1].name, one)
    loss.backward()
    assert torch.isfinite(loss)
    grads = [p.grad for p in policy.parameters() if p.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in grads)


def test_a_loss_never_waits_for_the_device(name: str, monkeypatch) -> None:
    """On the device "meta", whose numbers nobody can look at and whose tensors meet no other device's."""
    policy, data = make(name)
    train(policy, data, steps=1)
    given = policy.prepare(data)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # unknown there
    policy.to("meta")
    moved = {key: value.to("meta") for key, value in given.items() if key != "images"}
    images = {camera: pictures.to("meta") for camera, pictures in given["images"].items()}
    for stage in policy.stages():
        for training in (True, False):
            with torch.set_grad_enabled(training):
                loss, metrics = policy.train(training).loss(stage.name, {**moved, "images": images})
            assert loss.device.type == "meta"
            logged = [value for value in metrics.values() if isinstance(value, torch.Tensor)]
            assert all(value.ndim == 0 and not value.requires_grad for value in logged)


def test_a_missing_camera_is_named(trained) -> None:
    policy, data = trained
    item = inputs(data)[0]
    item.observation.images.pop(policy.cameras[0])  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=policy.cameras[0]):
        policy.predict([item])


class Killed(BaseException):
    """What stands for a kill: nothing of the trainer's catches it."""


def run(recipe: TrainRecipe, folder, resume: bool = False, kill_at: int | None = None):
    """Losses of a training that dies in the update after `kill_at` updates, and the policy it leaves."""
    torch.manual_seed(recipe.seed)
    policy, losses = recipe.policy.build(), []
    inner = policy.loss

    def loss(stage, given):
        if policy.training and len(losses) == kill_at:
            raise Killed
        value, metrics = inner(stage, given)
        losses.extend([value.item()] if policy.training else [])
        return value, metrics

    policy.loss = loss  # type: ignore[method-assign]
    windows = Windows([EpisodeStore.open(recipe.data[0])], policy.cameras, policy.history, policy.chunk)
    training, held_out = windows.split(recipe.validation_fraction, recipe.seed)
    folder.mkdir(exist_ok=True)
    trainer = Trainer(policy, recipe, training, held_out, folder, Console(file=io.StringIO()))
    try:
        trainer.run(resume)
    except Killed:
        assert kill_at is not None
    return losses, policy


def test_a_killed_training_goes_on_exactly(name: str, tmp_path) -> None:
    policy, _ = make(name)
    size, names = getattr(policy.config, "image_size", 64), [stage.name for stage in policy.stages()]
    random = np.random.default_rng(0)
    with EpisodeStore.create(tmp_path / "data", dict.fromkeys(policy.cameras, (size, size)), 20.0) as store:
        for seed in range(5):
            images = {
                camera: random.integers(0, 256, (12, size, size, 3), np.uint8) for camera in policy.cameras
            }
            store.append(make_episode(seed, images=images))
    recipe = TrainRecipe(
        "resumed", (str(tmp_path / "data"),), PolicyChoice(name), validation_fraction=0.2,
        stages=dict.fromkeys(names, StageSettings(steps=3, batch_size=8)), validate_every=2,
        checkpoint_every=1,
    )  # fmt: skip
    whole, trained = run(recipe, tmp_path / "whole")
    assert len(whole) == 3 * len(names)
    first, _ = run(recipe, tmp_path / "parts", kill_at=2)
    torch.randn(7)  # whatever happened to the generators in between
    second, _ = run(recipe, tmp_path / "parts", resume=True, kill_at=len(whole) - 3)
    third, resumed = run(recipe, tmp_path / "parts", resume=True)
    assert (len(first), len(second)) == (2, len(whole) - 3)
    assert first + second + third == whole
    for key, value in trained.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
