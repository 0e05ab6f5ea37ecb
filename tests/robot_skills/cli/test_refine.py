"""The verb `refine` as it is typed: what it leaves, what eval makes of that, how it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from robot_skills.cli.main import main
from robot_skills.policies.bc import BCConfig, BCPolicy
from robot_skills.policies.registry import load_policy
from robot_skills.residual.policy import ResidualPolicy

pytest.importorskip("metaworld")
from sim.experts.metaworld import MetaWorldRecipe, collect_metaworld

SETTINGS = """\
fill: 2
evaluate_every: 100
evaluate_episodes: 2
checkpoint_every: 50
policy: {width: 16, heads: 2}
learner: {batch_size: 32, updates: 0.5, warm_up: 20}
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base") / "reach"
    config = BCConfig(
        cameras=(), shift=(), state_size=39, action_size=4, chunk=4, execute=2, width=16, hidden=16
    )
    BCPolicy(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "reach"
    recipe = MetaWorldRecipe(("reach-v3",), episodes=2, cameras=(), state="oracle", executed=True)
    collect_metaworld(recipe, folder, Console(file=io.StringIO())).close()
    return folder


def test_a_skill_is_refined_evaluated_and_used(
    base: Path, demonstrations: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    folder = tmp_path / "refined"
    given = ["refine", str(base), "--env", "metaworld:reach-v3", "-o", str(folder), "--local"]
    given += ["--config", str(tmp_path / "settings.yaml"), "--demonstrations", str(demonstrations)]
    given += ["--time-limit", "25", "--episodes", "2", "--json", str(tmp_path / "result.json")]
    assert main([*given, "--steps", "130"]) == 0
    told = json.loads((tmp_path / "result.json").read_text())
    assert set(told) == {"base", "refined", "steps", "folder"}
    assert told["folder"] == str(folder)
    assert told["steps"] >= 130
    for name in ("base", "refined"):
        assert told[name]["episodes"] == 2
        assert told[name]["first_seed"] == 1_000_000
    text = capsys.readouterr().out
    assert "practice" in text
    assert "refined:" in text
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "stats.safetensors", "README.md", "training.json"} <= names
    assert {"report.md", "report.png", "metrics.jsonl"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pt", ".pickle"))]
    assert "refine" in (folder / "README.md").read_text()
    assert "gained" in (folder / "report.md").read_text()
    assert isinstance(ResidualPolicy.from_pretrained(folder), ResidualPolicy)
    # Any verb that takes a folder takes this one.
    assert main(["eval", "metaworld:reach-v3", str(folder), "--local", "--episodes", "1"]) == 0
    # It is not begun twice, and goes on.
    assert main([*given, "--steps", "130"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*given, "--steps", "160", "--resume"]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["steps"] >= 160


def test_bad_input_is_one_line_and_exit_2(base: Path, tmp_path: Path, capsys) -> None:
    out = ["-o", str(tmp_path / "refined")]
    (tmp_path / "wrong.yaml").write_text("learner: {trsut: 1}\n")
    for arguments, words in (
        (["nothing", *out], "nothing"),
        ([str(tmp_path), "--env", "metaworld:reach-v3", *out], "no config.json"),
        ([str(base), "--env", "metaworld", *out], "practises one"),
        ([str(base), "--env", "metaworld:raech-v3", *out], "reach-v3"),
        ([str(base), "--env", "metaworld:reach-v3", "--config", str(tmp_path / "wrong.yaml"), *out], "trust"),
        ([str(base), "--env", "metaworld:reach-v3", "--episodes", "0", *out], "1 or more"),
        ([str(base), "--env", "metaworld:reach-v3", "--demonstrations", str(tmp_path), *out], "data set"),
    ):
        assert main(["refine", *arguments]) == 2, arguments
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "refined").exists()


def test_a_base_that_never_succeeds_ends_with_1(base: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    given = [
        "refine",
        str(base),
        "--env",
        "metaworld:assembly-v3",
        "-o",
        str(tmp_path / "refined"),
        "--local",
    ]
    given += ["--config", str(tmp_path / "settings.yaml"), "--time-limit", "10", "--steps", "50"]
    assert main(given) == 1
    assert "--demonstrations" in capsys.readouterr().err


def test_distilling_takes_a_refined_skill_that_succeeds(base: Path, tmp_path: Path, capsys) -> None:
    given = ["--env", "metaworld:reach-v3", "-o", str(tmp_path / "store"), "--local", "--time-limit", "5"]
    assert main(["distill", str(base), *given]) == 2
    assert "no refined policy" in capsys.readouterr().err
    ResidualPolicy(base=load_policy(base)).save_pretrained(tmp_path / "refined")
    assert main(["distill", str(tmp_path / "refined"), *given]) == 2
    assert "write a training recipe" in capsys.readouterr().err
    (tmp_path / "refined" / "training.json").write_text(json.dumps({"base": str(base)}))
    known = {"name": "reach", "data": ["reach"], "policy": {"name": "bc"}}
    (base / "training.json").write_text(json.dumps({"recipe": known}))
    try:
        assert main(["distill", str(tmp_path / "refined"), *given, "--episodes", "1"]) == 2
    finally:
        (base / "training.json").unlink()
    assert "one in four" in capsys.readouterr().err
