"""A run of practice: it gets better, goes on where it was, and takes back what made it worse."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError, JobError
from robot_skills.policies.registry import load_policy
from robot_skills.residual import checkpoint as module
from robot_skills.residual.arena import Player
from robot_skills.residual.checkpoint import CHECKPOINT
from robot_skills.residual.config import RefineConfig
from robot_skills.residual.control import Seen
from robot_skills.residual.demonstrations import label, reach_of, read_demonstrations
from robot_skills.residual.learner import Learner
from robot_skills.residual.log import FOLDER, to_episode, to_trajectory
from robot_skills.residual.practice import Practice
from robot_skills.residual.refine import RECENT, Refiner
from robot_skills.residual.replay import DEMONSTRATION
from robot_skills.training.configuration import from_mapping, read_yaml
from robot_skills.training.metrics import read_metrics
from tests.robot_skills.residual.runs import assert_same, end_of, refine, short
from tests.robot_skills.residual.toy import LEARNER, REFINE, SPACE, STEPS, Arena, Deadly, demonstrate

DATASETS = Path(__file__).parents[3] / "datasets"


def rate(policy, first: int = 1_000_000, episodes: int = 100) -> float:
    arena = Arena()
    return float(np.mean([arena.play(policy, seed).success for seed in range(first, first + episodes)]))


def test_practice_makes_better(base: Path, demonstrations: Path, tmp_path: Path) -> None:
    before = rate(load_policy(base))
    config = short(steps=1500, evaluate_every=500, evaluate_episodes=40, fill=10)
    policy = refine(tmp_path / "run", base, demonstrations, config)
    assert before < 0.75
    assert rate(policy) > before + 0.15
    position, _, rows = end_of(tmp_path / "run")
    first, *later = [row for row in rows if row["group"] == "evaluation"]
    assert first["step"] == 0
    assert first["successes"] == first["base_successes"] == sum(position["base"].values())
    assert len(later) == 3
    assert position["best"] == max(row["successes"] for row in (first, *later))
    learned = [row for row in rows if row["group"] == "learning"]
    assert {"slope", "saturated", "correction", "bias", "q", "practice", "critic_loss"} <= set(learned[-1])


def test_what_critics_say_is_doubted_as_far_as_practice_falls_short(
    base: Path, demonstrations: Path, tmp_path: Path
) -> None:
    noisy = {
        "policy": dataclasses.replace(REFINE.policy, bound=0.8),
        "learner": dataclasses.replace(LEARNER, noise=1.0),
    }
    config = short(steps=400, evaluate_every=200, evaluate_episodes=20, fill=4, **noisy)
    told, played = list[tuple[float, float]](), list[bool]()

    def listen(refiner: Refiner) -> None:
        inner = refiner._take

        def take(*given) -> None:
            inner(*given)
            position = refiner._position
            played.append(position.recent[-1])
            short_of = 1 - sum(played[4:][-RECENT:]) / RECENT / (sum(position.base.values()) / 20)
            found = float(refiner.learner.policy.get_buffer("shortfall"))
            told.append((found, max(0.0, short_of)))

        refiner._take = take  # type: ignore[method-assign]

    policy = refine(tmp_path / "run", base, demonstrations, config, prepare=listen)
    assert [found for found, _ in told] == pytest.approx([asked for _, asked in told], abs=1e-6)
    assert len({found for found, _ in told}) > 2
    # What is left is the best correction, as far as it was trusted when it was found best.
    best = end_of(tmp_path / "run")[1]["best.shortfall"]
    assert policy.get_buffer("shortfall") == best


class KilledError(BaseException):
    """What stands for a kill."""


@pytest.mark.parametrize("at", [2, 12])
def test_a_killed_run_goes_on_to_the_last_bit(
    base: Path, demonstrations: Path, tmp_path: Path, at: int
) -> None:
    config = short(again=0.5)
    refine(tmp_path / "whole", base, demonstrations, config)

    def kill(refiner: Refiner) -> None:
        inner, seen = refiner._take, []

        def take(*given) -> None:
            seen.append(given)
            if len(seen) > at:
                raise KilledError
            inner(*given)

        refiner._take = take  # type: ignore[method-assign]

    with pytest.raises(KilledError):
        refine(tmp_path / "parts", base, demonstrations, config, prepare=kill)
    kept = len((tmp_path / "parts" / FOLDER / "episodes.jsonl").read_text().splitlines())
    assert kept == at + 1  # what had just been played is kept as well
    refine(tmp_path / "parts", base, demonstrations, config, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_episodes_begin_again_where_the_base_failed(base: Path, demonstrations: Path, tmp_path: Path) -> None:
    config = short(fill=8, steps=500, again=1.0, evaluate_episodes=0)
    refine(tmp_path / "run", base, demonstrations, config)
    told = (tmp_path / "run" / FOLDER / "episodes.jsonl").read_text()
    rows = [json.loads(row) for row in told.splitlines()]
    assert [row["seed"] for row in rows[:8]] == [config.first_seed + number for number in range(8)]
    # Every second episode of the filling has noise: what fails there is no start to come back to.
    failed = {row["seed"] for row in rows[:8:2] if row["outcome"] != "succeeded"}
    assert failed
    assert {row["seed"] for row in rows[8:]} <= failed


def test_a_run_can_be_made_longer(base: Path, demonstrations: Path, tmp_path: Path) -> None:
    config = short(evaluate_episodes=0)
    refine(tmp_path / "run", base, demonstrations, config)
    steps = end_of(tmp_path / "run")[0]["steps"]
    refine(tmp_path / "run", base, demonstrations, dataclasses.replace(config, steps=500), resume=True)
    assert end_of(tmp_path / "run")[0]["steps"] >= 500 > steps


def test_a_folder_is_not_begun_twice_nor_gone_on_with_otherwise(base: Path, tmp_path: Path) -> None:
    config = short(evaluate_episodes=0, steps=150)
    refine(tmp_path / "run", base, None, config)
    with pytest.raises(InputError, match="--resume"):
        refine(tmp_path / "run", base, None, config)
    other = dataclasses.replace(config, learner=dataclasses.replace(LEARNER, trust=0.5))
    with pytest.raises(InputError, match="learner"):
        refine(tmp_path / "run", base, None, other, resume=True)
    (tmp_path / "run" / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="damaged"):
        refine(tmp_path / "run", base, None, config, resume=True)


def test_a_correction_that_makes_it_worse_is_taken_back(
    base: Path, demonstrations: Path, tmp_path: Path
) -> None:
    """The actor is driven to one side in the middle of the run; the base's success comes back."""

    def spoil(refiner: Refiner) -> None:
        inner = refiner.learner.learn

        def learn(replay, updates: int, actor: bool = True):
            metrics = inner(replay, updates, actor)
            if actor:
                torch.nn.init.constant_(refiner.learner.policy.actor.last.bias, -9.0)
            return metrics

        refiner.learner.learn = learn  # type: ignore[method-assign]

    config = short(steps=800, evaluate_every=200, evaluate_episodes=30)
    policy = refine(tmp_path / "run", base, demonstrations, config, prepare=spoil)
    position, _, rows = end_of(tmp_path / "run")
    evaluations = [row for row in rows if row["group"] == "evaluation"]
    assert position["rollbacks"] == len(evaluations) - 1 > 0
    assert all(row["rolled_back"] and row["successes"] < row["base_successes"] for row in evaluations[1:])
    assert rate(policy) == rate(load_policy(base))
    assert not policy.actor.last.bias.any()


def test_the_last_correction_is_left_where_that_is_asked_for(
    base: Path, demonstrations: Path, tmp_path: Path
) -> None:
    config = short(steps=200, evaluate_every=100, keep="last")
    policy = refine(tmp_path / "last", base, demonstrations, config)
    _, tensors, _ = end_of(tmp_path / "last")
    assert torch.equal(policy.actor.first.weight, tensors["policy.actor.first.weight"])
    other = dataclasses.replace(config, keep="best")
    policy = refine(tmp_path / "last", base, demonstrations, other, resume=True)
    assert torch.equal(policy.actor.first.weight, tensors["best.first.weight"])


def test_without_any_success_it_says_so(base: Path, tmp_path: Path) -> None:
    class Hopeless(Arena):
        def play(self, policy, seed):
            return dataclasses.replace(super().play(policy, seed), success=False, status="timed_out")

    with pytest.raises(JobError, match="failed in all of 6"):
        refine(tmp_path / "run", base, None, short(evaluate_episodes=0), arena=Hopeless)


def test_a_full_disk_loses_nothing(base: Path, demonstrations: Path, tmp_path: Path, monkeypatch) -> None:
    refine(tmp_path / "whole", base, demonstrations)
    inner, saved = module.save_file, []

    def full(*given, **named) -> None:
        saved.append(given)
        if len(saved) == 3:
            given[1].write_bytes(b"half of it")
            raise OSError(28, "No space left on device")
        inner(*given, **named)

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(JobError, match=r"No space left.*--resume"):
        refine(tmp_path / "parts", base, demonstrations)
    refine(tmp_path / "parts", base, demonstrations, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_demonstrations_are_labelled_as_the_base_acts(base: Path) -> None:
    """What the base does in an episode, shown to it as a demonstration, is what it would have done."""
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    for lead in (0, 1):
        arena = Arena()
        if lead == 0:
            one = Player(policy, arena).keep(lambda seen: seen.base, 11)
            shown = dataclasses.replace(
                demonstrate(11),
                state=one.inputs[:, :4],
                action=one.action,
                end=np.zeros(len(one), np.float32),
                target=np.zeros((len(one), 3), np.float32),
            )
            again = label(policy, shown, 0, range(4))
            assert np.array_equal(again.base, one.base)
            assert np.array_equal(again.inputs, one.inputs)
            assert (again.tags == DEMONSTRATION).all()
        else:
            assert len(label(policy, demonstrate(3), 1, range(4))) >= 1


def test_a_demonstration_ends_where_it_is_first_over(base: Path, demonstrations: Path) -> None:
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    shown = read_demonstrations(policy, demonstrations, 0)
    assert len(shown) == 5
    for seed, one in enumerate(shown):
        episode = demonstrate(seed)
        assert len(one) == int(np.flatnonzero(episode.end)[0])
        assert one.success
        assert one.over
        assert np.array_equal(one.action, episode.action[: len(one)])
    assert reach_of(shown).shape == (3,)
    with pytest.raises(InputError, match="is not a data set"):
        read_demonstrations(policy, demonstrations / "nowhere", 0)


def test_what_is_kept_on_the_disk_is_what_was_played(base: Path) -> None:
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    player = Player(policy, Arena())
    for seed in range(6):
        one = player.keep(lambda seen: seen.base, seed)
        again = to_trajectory(to_episode(one, policy))
        for name in ("inputs", "base", "action", "tags"):
            assert np.array_equal(getattr(one, name), getattr(again, name))
        assert (one.success, one.over, one.seed) == (again.success, again.over, again.seed)
        assert one.over == one.success == (len(one) < STEPS)


def test_an_aborted_episode_stops_the_run_and_is_told(base: Path, tmp_path: Path) -> None:
    class Broken(Arena):
        def play(self, policy, seed):
            result = super().play(policy, seed)
            return dataclasses.replace(result, status="aborted", reason="the arm is off")

    with pytest.raises(JobError, match="the arm is off"):
        refine(tmp_path / "run", base, None, short(evaluate_episodes=0), arena=Broken)


def test_the_curves_hold_each_evaluation_once(base: Path, demonstrations: Path, tmp_path: Path) -> None:
    refine(tmp_path / "run", base, demonstrations)
    rows = [row for row in read_metrics(tmp_path / "run") if row["group"] == "evaluation"]
    assert len({row["step"] for row in rows}) == len(rows)
    assert all(len(row["won"]) == REFINE.evaluate_episodes for row in rows)


def test_a_snapshot_explores_and_stands_still_as_asked(base: Path) -> None:
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    snapshot = Learner(policy, LEARNER, 0).snapshot()
    at = Seen(np.zeros(policy.layout.size, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32))
    assert not snapshot.controller(None)(at).any()
    one, other = (snapshot.controller(np.random.default_rng(4))(at) for _ in range(2))
    assert one.any()
    assert np.array_equal(one, other)


@pytest.mark.parametrize("file", sorted(DATASETS.glob("refine_*.yaml")), ids=lambda file: file.stem)
def test_the_settings_that_come_along_can_be_practised_with(file: Path) -> None:
    config = from_mapping(RefineConfig, read_yaml(file, "configuration of a practice"), str(file))
    assert config != RefineConfig()
