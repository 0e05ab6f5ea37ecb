"""`robot-skills plan --pddl DIR --solver fast-downward`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from planners.planner import Planner
from planners.proposer import Proposal
from robot_skills.cli.main import main
from robot_skills.cli.plan import write_pddl
from robot_skills.library import SkillLibrary
from robot_skills.logic import parse
from robot_skills.scene_graph import SceneGraph
from robot_skills.symbolic.pddl.fast_downward import fast_downward
from robot_skills.symbolic.pddl.reader import read_domain, read_problem
from tests.planners.conftest import make_scene


class Fixed:
    """Proposes one goal."""

    def propose(self, command: str, scene: SceneGraph) -> Proposal:
        return Proposal(parse("in(red block, drawer) and closed(drawer)"))


def test_another_solver_finds_the_plan_and_the_replay_checks_it() -> None:
    skills, scene = SkillLibrary.open().skills, make_scene(("red block",))
    result = Planner(skills, Fixed(), solver=fast_downward).plan("tidy", scene)
    assert result.verified
    assert [call.skill for call in result.plan] == ["open", "pick", "place", "close"]


def test_costs_are_written_for_others(tmp_path: Path) -> None:
    scene, goal = make_scene(("red block",)), parse("open(door)")
    write_pddl(tmp_path, SkillLibrary.open().skills, scene, goal, lambda call: 0.25)
    assert "(increase (total-cost) 250)" in (tmp_path / "domain.pddl").read_text()
    assert "(:metric minimize (total-cost))" in (tmp_path / "problem.pddl").read_text()


def test_files_for_other_planners_are_written_whole(tmp_path: Path) -> None:
    scene, goal = make_scene(("red block",)), parse("open(door)")
    write_pddl(tmp_path / "new", SkillLibrary.open().skills, scene, goal)
    files = {path.name: path.read_text() for path in (tmp_path / "new").iterdir()}
    assert set(files) == {"domain.pddl", "problem.pddl"}
    assert read_problem(files["problem.pddl"], read_domain(files["domain.pddl"]))[1] == goal


def test_a_solver_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if "downward" in name else found(name, *more)
    )
    assert main(["plan", "open the door", "--solver", "fast-downward", "--reader", "rules"]) == 2
    error = capsys.readouterr().err
    assert "robot-skills[pddl]" in error
    assert error.count("\n") == 1
