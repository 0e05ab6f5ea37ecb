"""`--perception camera` with the detector that comes with the package: no simulator state is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robot_skills.cli import plan, run
from robot_skills.cli.main import main
from robot_skills.perception.perceiver import SHIPPED
from sim.tabletop.world import TabletopWorld
from tests.robot_skills.cli import told

SCENE = """\
objects:
- {kind: block, colour: red, size: large, position: [0.50, -0.10, 0.025]}
- {kind: bowl, colour: white, size: small, position: [0.57, 0.02, 0.0225]}
button: [0.40, -0.20]
"""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    def no_state(world: TabletopWorld) -> None:
        raise AssertionError("the simulator's state was read")

    for verb in (run, plan):
        monkeypatch.setattr(
            verb, "make_planner", lambda args, skills, *solver: told.make_planner(args, skills)
        )
    monkeypatch.setattr(TabletopWorld, "state", no_state)
    monkeypatch.setattr(TabletopWorld, "begin_command", lambda world: None)
    (tmp_path / "scene.yaml").write_text(SCENE)
    return str(tmp_path / "scene.yaml")


def test_a_command_is_planned_done_and_judged_without_simulator_state(tmp_path: Path, scene: str) -> None:
    path = tmp_path / "result.json"
    goal = "holding(red block) and pressed(button)"
    told_so = ["run", goal, "--scene", scene, "--perception", "camera", "--local", "--json", str(path)]
    assert main(told_so) == 0
    result = json.loads(path.read_text())
    assert (result["perception"], result["success"]) == ("camera", True)
    assert [step["skill"] for step in result["plan"]] == ["press", "pick"]


def test_plan_says_who_saw_the_scene(scene: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "in(red block, white bowl)", "--scene", scene, "--perception", "camera"]) == 0
    text = capsys.readouterr().out
    assert "camera" in text
    assert "simulator state" not in text


def test_the_detector_is_small() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 2_000_000
