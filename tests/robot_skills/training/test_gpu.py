"""On a GPU: a captured step does what the step does, and what cannot be captured goes on without."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

from robot_skills.policies.policy import Batch, Metrics
from robot_skills.training import recipe as recipe_module
from robot_skills.training.metrics import read_metrics
from robot_skills.training.recipe import PolicyChoice, StageSettings, TrainRecipe
from robot_skills.training.run import train
from tests.robot_skills.training.tiny import TinyPolicy, make_store

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def _tiny_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_module, "policy_class", lambda name: TinyPolicy)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("data") / "blocks")


def run(data: Path, folder: Path, resume: bool = False, noise: float = 0.0, **changes: object) -> list[float]:
    settings = StageSettings(steps=40)
    fields: dict[str, object] = {"stages": {"codes": settings, "policy": settings}, "checkpoint_every": 20}
    recipe = TrainRecipe(
        "tiny",
        (str(data),),
        PolicyChoice("tiny", {"noise": noise}),
        **{**fields, **changes},  # type: ignore[arg-type]
    )
    train(recipe, folder, resume, "train", Console(quiet=True))
    return [row["loss"] for row in read_metrics(folder) if "loss" in row]


@pytest.mark.parametrize(
    "changes", [{"step": "graph"}, {"data_on_gpu": False}, {"step": "graph", "accumulate": 2}]
)
def test_however_a_step_is_done_it_learns_the_same(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, object]
) -> None:
    losses = run(data, tmp_path / "plain")
    with caplog.at_level(logging.WARNING):
        others = run(data, tmp_path / "other", **changes)
    assert "captured" not in caplog.text
    assert others == pytest.approx(losses, rel=1e-3)
    plain = load_file(tmp_path / "plain" / "model.safetensors")
    for name, value in load_file(tmp_path / "other" / "model.safetensors").items():
        torch.testing.assert_close(value, plain[name], rtol=1e-2, atol=1e-4)


def test_chance_is_drawn_anew_in_every_replay(data: Path, tmp_path: Path) -> None:
    seen: list[float] = run(data, tmp_path, noise=1.0, step="graph")
    assert len(set(seen)) == len(seen)


def test_what_cannot_be_captured_goes_on_as_it_is(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = run(data, tmp_path / "plain", noise=0.5)
    inner = TinyPolicy.loss

    def waits(self: TinyPolicy, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        loss, metrics = inner(self, name, batch)
        loss.item()
        return loss, metrics

    monkeypatch.setattr(TinyPolicy, "loss", waits)
    with caplog.at_level(logging.WARNING):
        others = run(data, tmp_path / "other", noise=0.5, step="graph")
    assert "could not be captured" in caplog.text
    assert others == pytest.approx(losses, rel=1e-3)


def test_bfloat16_stays_close(data: Path, tmp_path: Path) -> None:
    assert run(data, tmp_path / "b", precision="auto") == pytest.approx(run(data, tmp_path / "f"), rel=0.05)
