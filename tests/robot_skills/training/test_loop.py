"""Training as a user meets it: it learns, it is killed, it goes on exactly, it leaves a readable folder."""

from __future__ import annotations

import dataclasses
import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from robot_skills.data.loader import Windows
from robot_skills.data.reuse.quality import assess, write_quality
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.training import recipe as recipe_module
from robot_skills.training.average import Average
from robot_skills.training.loop import Trainer, TrainResult, one_cycle
from robot_skills.training.recipe import DataChoice, PolicyChoice, StageSettings, TrainRecipe
from robot_skills.training.run import train
from tests.robot_skills.training.tiny import SIZE, TinyConfig, TinyPolicy, make_episode, make_store


@pytest.fixture(autouse=True)
def _tiny_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_module, "policy_class", lambda name: TinyPolicy)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("data") / "blocks")


def make_recipe(data: Path, **changes: object) -> TrainRecipe:
    fields: dict[str, object] = {
        "name": "tiny",
        "data": (str(data),),
        "policy": PolicyChoice("tiny"),
        "validation_fraction": 0.2,
        "validate_every": 2,
        "checkpoint_every": 1,
        **changes,
    }
    return TrainRecipe(**fields)  # type: ignore[arg-type]


class Killed(BaseException):
    """What stands for a kill: nothing of the loop's catches it."""


def run(
    recipe: TrainRecipe,
    folder: Path,
    resume: bool = False,
    kill_at: int | None = None,
    noise: float = 0.1,
) -> tuple[TinyPolicy, TrainResult | None, list[float]]:
    """Train as `train` does, and note each loss; die in the update after `kill_at` updates."""
    torch.manual_seed(recipe.seed)
    policy = TinyPolicy(TinyConfig(noise=noise))
    folder.mkdir(exist_ok=True)
    losses: list[float] = []
    inner = policy.loss

    def loss(name, batch):  # type: ignore[no-untyped-def]
        if not policy.training:
            return inner(name, batch)
        if kill_at is not None and len(losses) == kill_at:
            raise Killed
        value, metrics = inner(name, batch)
        losses.append(value.item())
        return value, metrics

    policy.loss = loss  # type: ignore[method-assign]
    stores = [EpisodeStore.open(path) for path in recipe.folders()]
    training, held_out = Windows(stores, ("front",), 2, 4).split(recipe.validation_fraction, recipe.seed)
    trainer = Trainer(policy, recipe, training, held_out, folder, Console(file=io.StringIO()))
    try:
        return policy, trainer.run(resume), losses
    except Killed:
        return policy, None, losses


@pytest.mark.parametrize("kill_at", [2, 4, 6])
def test_a_killed_run_goes_on_bitwise(data: Path, tmp_path: Path, kill_at: int) -> None:
    recipe = make_recipe(data)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, result, losses = run(recipe, tmp_path / "whole")
    _, none, first = run(recipe, tmp_path / "parts", kill_at=kill_at)
    torch.randn(7)  # whatever happened to the generators in between
    parts, resumed, second = run(recipe, tmp_path / "parts", resume=True)
    assert none is None
    assert (len(first), len(first) + len(second)) == (kill_at, 8)
    assert first + second == losses
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    assert result is not None
    assert resumed is not None
    assert resumed.metrics == result.metrics


def test_work_after_the_last_checkpoint_is_done_again(data: Path, tmp_path: Path) -> None:
    recipe = make_recipe(data, checkpoint_every=3)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    _, _, losses = run(recipe, tmp_path / "whole")
    run(recipe, tmp_path / "parts", kill_at=2)  # no checkpoint yet: resuming starts anew
    _, _, again = run(recipe, tmp_path / "parts", resume=True, kill_at=6)
    _, _, rest = run(recipe, tmp_path / "parts", resume=True)  # the last was after phase 1's 4 steps
    assert again == losses[:6]
    assert rest == losses[4:]


@pytest.mark.parametrize("changes", [{"data_on_gpu": True}, {"accumulate": 2}, {"workers": 2}])
def test_where_the_data_lies_and_how_a_batch_is_cut_change_no_more_than_rounding(
    data: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    quiet = PolicyChoice("tiny")
    plain, _, losses = run(make_recipe(data, policy=quiet), tmp_path / "plain", noise=0.0)
    other, _, others = run(make_recipe(data, policy=quiet, **changes), tmp_path / "other", noise=0.0)
    parts = int(str(changes.get("accumulate", 1)))
    assert np.mean(np.reshape(others, (-1, parts)), axis=1) == pytest.approx(losses, rel=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("changes", [{"data_on_gpu": True}, {"accumulate": 4}, {"precision": "bfloat16"}])
def test_a_killed_run_goes_on_bitwise_however_its_steps_are_done(
    data: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    recipe = make_recipe(data, **changes)
    whole, _, losses = run(recipe, tmp_path / "whole")
    per_step = int(str(changes.get("accumulate", 1)))
    _, _, first = run(recipe, tmp_path / "parts", kill_at=6 * per_step)
    parts, _, second = run(recipe, tmp_path / "parts", resume=True)
    assert first + second == losses
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_settings_that_came_after_a_run_was_begun_have_their_defaults(data: Path, tmp_path: Path) -> None:
    run(make_recipe(data), tmp_path, kill_at=3)
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    position = json.loads(header["position"])
    del position["recipe"]["accumulate"]
    save_file(tensors, path, metadata={**header, "position": json.dumps(position)})
    _, result, _ = run(make_recipe(data), tmp_path, resume=True)
    assert result is not None


def test_accumulation_that_does_not_divide_the_batch_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"accumulate \(3\) divides the batch .*'codes' has 8"):
        run(make_recipe(data, accumulate=3), tmp_path)


def test_a_run_is_not_overwritten_or_changed_midway(data: Path, tmp_path: Path) -> None:
    run(make_recipe(data), tmp_path, kill_at=3)
    with pytest.raises(InputError, match="--resume"):
        run(make_recipe(data), tmp_path)
    with pytest.raises(InputError, match=r"another recipe .*stages differ"):
        run(make_recipe(data, stages={"codes": StageSettings(steps=9)}), tmp_path, resume=True)


def test_it_learns_and_the_folder_tells_the_story(data: Path, tmp_path: Path) -> None:
    settings = {"codes": StageSettings(steps=30), "policy": StageSettings(steps=150, learning_rate=0.03)}
    recipe = make_recipe(data, skill="pick", stages=settings, checkpoint_every=100, validate_every=50)
    output = io.StringIO()
    console = Console(file=output, width=80)
    result = train(recipe, tmp_path / "out", False, "robot-skills train tiny.yaml -o out", console)
    metrics = result.metrics["policy"]
    assert metrics["loss"] < 0.55  # 0.33 + 0.25 is what constant answers reach
    assert {"held_out_loss", "held_out_error"} <= set(metrics)
    assert result.samples_per_second > 100
    names = {path.name for path in (tmp_path / "out").iterdir()}
    wanted = "config.json model.safetensors stats.safetensors README.md training.json skill.yaml logs"
    assert set(wanted.split()) <= names
    card = (tmp_path / "out" / "README.md").read_text()
    for words in (
        "robot-skills train tiny.yaml -o out",
        "| 6 | 75 | 0 to 5 |",
        "perplexity",
        "threads",
        "code_use",
    ):
        assert words in card
    summary = json.loads((tmp_path / "out" / "training.json").read_text())
    assert summary["steps"] == 180
    assert summary["report"]["code_use"] == [1.0, 0.75]
    parts = ("data", "update", "validation", "checkpoint")
    assert set(summary["seconds"]) == {f"{stage}.{part}" for stage in ("codes", "policy") for part in parts}
    assert "tiny: policy: 150/150" in output.getvalue()
    assert list((tmp_path / "out" / "logs").glob("events.*"))


def test_the_average_moves_alike_by_a_number_and_by_a_tensor_and_gives_the_weights_back() -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 2)
    one, other = Average(module, 0.9), Average(module, 0.9)
    with torch.no_grad():
        module.weight.add_(1.0)
    for updates in range(3):
        one.update(one.share(updates))
        other.update(torch.tensor(other.share(updates)))
    torch.testing.assert_close(one.weights, other.weights)
    shares = [1 - (1 + updates) / (10 + updates) for updates in range(3)]
    left = np.prod([1 - share for share in shares])
    torch.testing.assert_close(one.weights["weight"], module.weight.detach() - float(left))
    own = module.weight.detach().clone()
    with one.swapped():
        assert torch.equal(module.weight, one.weights["weight"])
    assert torch.equal(module.weight, own)


def test_exported_weights_are_the_averaged_ones(data: Path, tmp_path: Path) -> None:
    policy, _, _ = run(make_recipe(data, ema_decay=1.0), tmp_path)
    last = load_file(tmp_path / "checkpoint.safetensors")
    assert not torch.equal(last["model.body.0.weight"], last["average.body.0.weight"])
    assert torch.equal(policy.body[0].weight, last["average.body.0.weight"])


def test_a_loss_that_is_not_finite_stops_the_run(data: Path, tmp_path: Path) -> None:
    stages = {"policy": StageSettings(steps=40, learning_rate=1e30)}
    recipe = make_recipe(data, stages=stages, gradient_clip=1e30, checkpoint_every=30)
    with pytest.raises(FloatingPointError, match=r"at step 2 \(steps 1 to 10 .*lower its learning_rate"):
        run(recipe, tmp_path)


def test_one_cycle_rises_peaks_and_falls() -> None:
    rates = [one_cycle(step, 100, 1.0, 0.2) for step in range(100)]
    assert rates[0] == pytest.approx(0.04)
    assert int(np.argmax(rates)) == 20
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(1e-4)
    assert all(a < b for a, b in pairwise(rates[:21]))
    assert all(a > b for a, b in pairwise(rates[20:]))


def test_faulty_data_is_refused_before_training_unless_asked_for(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "frozen"
    with EpisodeStore.create(folder, {"front": SIZE, "wrist": SIZE}, 20.0) as store:
        for seed in range(4):
            store.append(make_episode(seed, state=np.zeros((12, 10), np.float32)))
    recipe = make_recipe(folder)
    with pytest.raises(
        InputError, match=r"frozen is not fit to train on: .*state stays the same.*`check: false`"
    ):
        train(recipe, tmp_path / "run", False, "train", Console(quiet=True))
    train(dataclasses.replace(recipe, check=False), tmp_path / "run", False, "train", Console(quiet=True))
    assert (tmp_path / "run" / "config.json").is_file()


def test_good_demonstrations_come_more_often_when_the_recipe_says_so(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "scored")
    recipe = dataclasses.replace(make_recipe(folder), data=(DataChoice(str(folder), quality=2.0),))
    with pytest.raises(InputError, match="robot-skills data score"):
        train(recipe, tmp_path / "run", False, "train", Console(quiet=True))
    store = EpisodeStore.open(folder)
    write_quality(store, assess(store))
    train(recipe, tmp_path / "run", False, "train", Console(quiet=True))
    plain = train(make_recipe(folder), tmp_path / "plain", False, "train", Console(quiet=True))
    weighted = load_file(tmp_path / "run" / "model.safetensors")
    assert plain.steps > 0
    assert any(
        not torch.equal(value, weighted[name])
        for name, value in load_file(tmp_path / "plain" / "model.safetensors").items()
    )
