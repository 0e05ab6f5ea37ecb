"""What a correction is measured against: each plays, learns and is what it says it is."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from robot_skills.policies.registry import load_policy
from robot_skills.residual.arena import Player
from robot_skills.residual.demonstrations import read_demonstrations
from robot_skills.residual.practice import Practice
from robot_skills.residual.refine import Refiner
from robot_skills.residual.rivals import ppo
from robot_skills.residual.rivals.filtered_bc import FilteredBC
from robot_skills.residual.rivals.fine_tuning import FineTuning
from robot_skills.residual.rivals.ibrl import Ibrl
from robot_skills.residual.rivals.ppo import Ppo
from robot_skills.residual.rivals.rlpd import Rlpd
from tests.robot_skills.residual.runs import end_of, short
from tests.robot_skills.residual.toy import LEARNER, RESIDUAL, SPACE, Arena, Deadly

WHOLE = dataclasses.replace(RESIDUAL, bound=1.0, gripper_bound=1.0)
KINDS = {Rlpd: WHOLE, Ibrl: WHOLE, FilteredBC: RESIDUAL, FineTuning: RESIDUAL, Ppo: RESIDUAL}


def make(kind, base: Path, demonstrations: Path, folder: Path, **changes):
    config = short(policy=KINDS[kind], learner=dataclasses.replace(LEARNER, updates=0.5), **changes)
    practice = Practice(str(base), config.policy, Deadly())
    policy = practice.policy(SPACE)
    shown = read_demonstrations(policy, demonstrations, 0)
    learner = kind(policy, config.learner, 0)
    console = Console(file=io.StringIO())
    return learner, Refiner(learner, config, practice, shown, folder, console)


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_runs_and_goes_on(kind, base, demonstrations, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ppo, "HORIZON", 60)
    learner, refiner = make(kind, base, demonstrations, tmp_path / "run", steps=200, evaluate_every=100)
    refiner.run()
    position, _, rows = end_of(tmp_path / "run")
    assert position["steps"] >= 200
    assert [row for row in rows if row["group"] == "learning"]
    again, longer = make(kind, base, demonstrations, tmp_path / "run", steps=260, evaluate_every=100)
    longer.run(resume=True)
    assert end_of(tmp_path / "run")[0]["steps"] >= 260
    assert again.updates >= learner.updates


def test_without_a_base_it_does_not_matter_what_the_base_does(base, demonstrations, tmp_path) -> None:
    learner, _ = make(Rlpd, base, demonstrations, tmp_path / "run")
    torch.nn.init.normal_(learner.policy.actor.last.weight)
    controller, arena = learner.controller(None), Arena()
    one = Player(learner.policy, arena).keep(controller, 3)
    policy = learner.policy
    for parameter in policy.base.parameters():  # another base
        parameter.data.mul_(0.5)
    other = Player(policy, arena).keep(controller, 3)
    assert not np.allclose(one.base, other.base)
    assert np.array_equal(one.action, other.action)


def test_the_base_is_among_ibrls_proposals(base, demonstrations, tmp_path) -> None:
    learner, _ = make(Ibrl, base, demonstrations, tmp_path / "run")
    policy = learner.policy
    torch.nn.init.normal_(policy.actor.last.weight)

    def share() -> float:
        one = Player(policy, Arena()).keep(learner.controller(None), 3)
        return float(np.isclose(one.action, np.clip(one.base, -1, 1)).all(1).mean())

    assert share() < 1
    # Critics to whom all is one leave it to the base.
    torch.nn.init.zeros_(policy.critics.last_weight)
    assert share() == 1


def test_filtered_cloning_changes_the_base_and_says_so_to_others(base, demonstrations, tmp_path) -> None:
    learner, refiner = make(
        FilteredBC, base, demonstrations, tmp_path / "run", steps=300, evaluate_episodes=0
    )
    refiner.run()
    frozen = load_policy(base)
    assert not learner.policy.actor.last.weight.any()
    moved = [
        not torch.equal(value, frozen.state_dict()[name])  # type: ignore[attr-defined]
        for name, value in learner.policy.base.state_dict().items()
    ]
    assert any(moved)
    other = Practice(str(base), RESIDUAL, Deadly()).policy(SPACE)
    learner.snapshot().prepare(other)
    arena = Arena()
    ours = Player(learner.policy, arena).keep(lambda seen: seen.base, 7)
    theirs = Player(other, arena).keep(lambda seen: seen.base, 7)
    assert np.array_equal(ours.action, theirs.action)
