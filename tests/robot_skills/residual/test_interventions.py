"""Takeovers: when, how, how they are tagged and what is learned from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_skills.residual.arena import Player
from robot_skills.residual.interventions import ByChance, Doubt, Intervene, Rules, Stuck, parts, ratio
from robot_skills.residual.learner import Learner
from robot_skills.residual.practice import Practice
from robot_skills.residual.replay import BASE, BEFORE_TAKEOVER, CORRECTION, EXPERT, RECOVERY
from tests.robot_skills.residual.toy import LEARNER, REFINE, SPACE, SPEED, Arena, Deadly


def play(base: Path, trigger, rules: Rules, seed: int):
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    arena = Arena()
    # The toy's third number of the state is no height: the way back is in the plane.
    watched = Intervene(
        lambda seen: seen.base, trigger, arena.expert, policy.reach(), SPEED, policy.gripper, rules,
        np.random.default_rng(0),
    )  # fmt: skip
    return Player(policy, arena).keep(watched, seed), watched


def away(base: Path) -> int:
    """A seed that the base alone fails."""
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    player = Player(policy, Arena())
    return next(seed for seed in range(50) if not player.keep(lambda seen: seen.base, seed).success)


def test_who_takes_over_goes_back_and_then_to_the_end(base: Path) -> None:
    seed = away(base)
    one, _ = play(base, ByChance(8), Rules(back=3, before=4, noise=0.0, opens=True), seed)
    wanted = [BASE] * 4 + [BEFORE_TAKEOVER] * 4 + [RECOVERY] * 3
    assert one.tags[:11].tolist() == wanted
    assert set(one.tags[11:].tolist()) == {CORRECTION}
    assert one.success
    # Three steps back lead to where it was three steps before.
    places = one.inputs[:, :2]
    assert np.allclose(places[11], places[5], atol=2e-3)
    assert (one.action[8:11, 2] == -1).all()
    # What the base would have done is kept beside it.
    assert not np.allclose(one.base[8:11], one.action[8:11])


def test_without_a_way_back_it_is_corrected_at_once(base: Path) -> None:
    one, _ = play(base, ByChance(8), Rules(back=0, noise=0.0), away(base))
    assert RECOVERY not in one.tags
    assert CORRECTION in one.tags
    assert one.success


def test_nobody_takes_over_where_nothing_is_wrong(base: Path) -> None:
    one, _ = play(base, ByChance(1000), Rules(), 0)
    assert set(one.tags.tolist()) == {BASE}
    assert parts(one) == [one]


def test_the_policys_part_ends_in_failure_and_the_rest_counts_as_shown(base: Path) -> None:
    one, _ = play(base, ByChance(6), Rules(back=2, before=3, noise=0.0), away(base))
    left, shown = parts(one)
    assert (left.success, left.over, shown.success, shown.over) == (False, True, True, True)
    assert len(left) == 6
    assert len(left) + len(shown) == len(one)
    assert np.isin(shown.tags, EXPERT).all()
    assert ratio([one]) == pytest.approx(2 / (shown.tags == CORRECTION).sum())
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    learner = Learner(policy, LEARNER, 0)
    replay = learner.replay()
    for part in (left, shown):
        replay.append(part, policy.brain().normalise(part.inputs))
    assert replay.count(True) == len(shown)
    assert replay.count(False) == len(left)
    batch = replay.sample(64, 0.5, learner._generator)
    assert (batch.reward[~batch.expert] == 0).all()
    assert batch.reward[batch.expert].max() > 0


def test_a_hand_that_stands_still_is_noticed(base: Path) -> None:
    seed = away(base)
    one, _ = play(base, Stuck(still=0.01, patience=6, latest=1000), Rules(back=2, noise=0.0), seed)
    taken = int(np.argmax(np.isin(one.tags, (RECOVERY, CORRECTION))))
    assert taken > 6
    assert np.linalg.norm(one.inputs[taken, :2] - one.inputs[taken - 6, :2]) < 0.01
    late, _ = play(base, Stuck(still=0.0, patience=2, latest=5), Rules(back=1, noise=0.0), seed)
    assert int(np.argmax(np.isin(late.tags, (RECOVERY, CORRECTION)))) == 5


def test_doubt_takes_over_where_the_critics_see_no_success(base: Path) -> None:
    policy = Practice(str(base), REFINE.policy, Deadly()).policy(SPACE)
    seed = away(base)
    for floor, wanted in ((-10.0, False), (10.0, True)):
        doubt = Doubt(policy.brain(critics=True), policy.reach(), floor, patience=3, first=5)
        one, _ = play(base, doubt, Rules(back=1, noise=0.0), seed)
        assert (CORRECTION in one.tags) == wanted
        if wanted:
            assert int(np.argmax(one.tags == RECOVERY)) == 5
