"""Success while training: measured on validation seeds, the best weights kept, told in the report."""

from __future__ import annotations

import io
import json
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from robot_skills.cli.train import TabletopEvaluator
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import Status
from robot_skills.training import metrics as metrics_module
from robot_skills.training import recipe as recipe_module
from robot_skills.training.evaluation import EpisodeResult, EvalReport
from robot_skills.training.metrics import read_metrics
from robot_skills.training.recipe import Evaluation, PolicyChoice, StageSettings, TrainRecipe
from robot_skills.training.run import train
from tests.robot_skills.training.tiny import TinyPolicy, make_store

STEPS, EPISODES = 12, 40


@pytest.fixture(autouse=True)
def _tiny_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_module, "policy_class", lambda name: TinyPolicy)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("data") / "blocks")


def make_recipe(data: Path, keep: str = "best", **changes: object) -> TrainRecipe:
    fields: dict[str, object] = {
        "name": "tiny",
        "data": (str(data),),
        "policy": PolicyChoice("tiny"),
        "stages": {"policy": StageSettings(steps=STEPS)},
        "validate_every": 4,
        "checkpoint_every": 5,
        "evaluate": Evaluation(every=2, episodes=EPISODES, keep=keep),  # type: ignore[arg-type]
        **changes,
    }
    return TrainRecipe(**fields)  # type: ignore[arg-type]


class Killed(BaseException):
    """What stands for a kill."""


class Judge:
    """An evaluator for which success is a function of the weights and the seed; it dies if told to."""

    def __init__(self, die_at: int | None = None) -> None:
        self.calls: list[Sequence[int]] = []
        self.rates: list[int] = []
        self._die_at = die_at

    def __call__(self, folder: Path, seeds: Sequence[int], workers: int) -> EvalReport:
        if self._die_at == len(self.calls):
            raise Killed
        weights = load_file(folder / "model.safetensors")["body.0.weight"]
        share = zlib.crc32(weights.numpy().tobytes()) % 100
        results = tuple(self._episode(seed, zlib.crc32(b"%d" % seed) % 100 < share) for seed in seeds)
        torch.randn(3)  # episodes may draw numbers: training does not notice
        self.calls.append(seeds)
        self.rates.append(sum(result.success for result in results))
        return EvalReport("tiny", results, 0.0)

    @staticmethod
    def _episode(seed: int, success: bool) -> EpisodeResult:
        status = Status.SUCCEEDED if success else Status.TIMED_OUT
        return EpisodeResult(seed, success, status.value, "", 9, 0.9, f"pick(object='block {seed}')")


def run(recipe: TrainRecipe, folder: Path, judge: Judge, resume: bool = False) -> str:
    output = io.StringIO()
    train(recipe, folder, resume, "train", Console(file=output, width=100), judge)
    return output.getvalue()


def test_the_best_weights_are_kept_and_exported(data: Path, tmp_path: Path) -> None:
    judge = Judge()
    told = run(make_recipe(data), tmp_path / "best", judge)
    assert [list(seeds) for seeds in judge.calls] == [list(range(900_000, 900_000 + EPISODES))] * 6
    best = max(range(6), key=lambda number: (judge.rates[number], number))
    assert best != 5, "the numbers of this test: the last is not the best"
    chosen = json.loads((tmp_path / "best" / "training.json").read_text())["chosen"]
    assert (chosen["step"], chosen["successes"]) == (2 * (best + 1), judge.rates[best])
    again = Judge()
    again(tmp_path / "best", judge.calls[0], 1)
    assert again.rates == [judge.rates[best]], "the folder holds the weights that were measured"
    assert (
        f"step {chosen['step']} of the last phase, the best" in (tmp_path / "best" / "README.md").read_text()
    )
    assert f"{judge.rates[best]} of {EPISODES}" in told
    last = Judge()
    run(make_recipe(data, keep="last"), tmp_path / "last", last)
    assert last.rates == judge.rates
    assert json.loads((tmp_path / "last" / "training.json").read_text())["chosen"]["step"] == STEPS


@pytest.mark.parametrize("die_at", [1, 3, 5])
def test_what_is_best_survives_a_kill(data: Path, tmp_path: Path, die_at: int) -> None:
    recipe, whole = make_recipe(data), Judge()
    run(recipe, tmp_path / "whole", whole)
    with pytest.raises(Killed):
        run(recipe, tmp_path / "parts", Judge(die_at))
    second = Judge()
    run(recipe, tmp_path / "parts", second, resume=True)
    assert second.rates == whole.rates[-len(second.rates) :]
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert read_metrics(tmp_path / "parts") == read_metrics(tmp_path / "whole")


def test_seeds_that_are_learned_from_or_reported_on_are_refused() -> None:
    for first in (999_999, 1_000_000, 0):
        with pytest.raises(InputError, match=r"takes seeds 900000 to 999999, not"):
            Evaluation(every=10, episodes=50, first_seed=first)


def test_a_recipe_that_evaluates_needs_someone_to_run_episodes(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing here runs its episodes"):
        train(make_recipe(data), tmp_path, False, "train", Console(quiet=True))
    with pytest.raises(InputError, match="which skill"):
        TabletopEvaluator.of(make_recipe(data))


def test_the_tabletop_runs_a_folder_on_one_worker_and_gives_the_threads_back() -> None:
    torch.set_num_threads(2)
    skills = SkillLibrary.open()
    evaluator = TabletopEvaluator("press", (skills.skill("press"),))
    report = evaluator(skills.weights("press"), range(900_000, 900_001), 1)
    assert report.successes == 1
    assert torch.get_num_threads() == 2


def test_the_report_tells_losses_codes_success_and_failures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run(make_recipe(data), tmp_path / "run", Judge())
    page = (tmp_path / "run" / "report.md").read_text()
    for words in (
        "| policy | 14 to 16 |",
        "| code use | 1 | 0.75 |",
        ", kept |",
        "## Failures of step",
        "timed_out",
        "(report.png)",
    ):
        assert words in page
    failed = [row for row in read_metrics(tmp_path / "run") if row["group"] == "evaluation"]
    assert all(len(row["failures"]) == EPISODES - round(row["success_rate"] * EPISODES) for row in failed)
    assert (tmp_path / "run" / "report.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with caplog.at_level(logging.WARNING):
        run(make_recipe(data), tmp_path / "plain", Judge())
    assert "matplotlib is not installed" in caplog.text
    assert "report.png" not in (tmp_path / "plain" / "report.md").read_text()


def test_weights_and_biases_is_asked_for_by_name(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(data, evaluate=None, logger=("tensorboard", "wandb"))

    def missing(module: str, extra: str) -> None:
        raise InputError(f"This needs {module}: pip install 'robot-skills[{extra}]'.")

    monkeypatch.setattr(metrics_module, "require", missing)
    with pytest.raises(InputError, match=r"needs wandb: pip install 'robot-skills\[train-wandb\]'"):
        train(recipe, tmp_path, False, "train", Console(quiet=True))


def test_weights_and_biases_offline(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    recipe = make_recipe(data, evaluate=None, logger=("wandb",))
    train(recipe, tmp_path, False, "train", Console(quiet=True))
    assert list((tmp_path / "logs").rglob("*.wandb"))
