"""The quality score: each part against what it is defined by, and bad demonstrations below good ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_skills.cli.main import main
from robot_skills.data.episode import Episode
from robot_skills.data.reuse.quality import (
    Quality,
    QualityConfig,
    assess,
    disagreements,
    episode_weights,
    group_by_text,
    read_scores,
    spectral_arc_length,
    weights_of,
    write_quality,
)
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from sim.experts import demonstration
from sim.tabletop.world import CONTROL_RATE, TabletopWorld
from tests.robot_skills.data.reuse.motions import play, write


def bump(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The speed of a minimum-jerk reach (Flash and Hogan 1985)."""
    t = np.linspace(0, 1, count)
    return 30 * t**2 - 60 * t**3 + 30 * t**4


def test_spectral_arc_length_is_about_shape_alone() -> None:
    one = spectral_arc_length(bump(100), 100.0)
    assert -1.8 < one < -1.4  # the paper's value for a minimum-jerk reach, about -1.4 to -1.6
    assert spectral_arc_length(7.0 * bump(100), 100.0) == pytest.approx(one)  # not the amplitude
    assert spectral_arc_length(bump(200), 100.0) == pytest.approx(one, abs=0.1)  # not the duration
    two = spectral_arc_length(np.r_[bump(100), bump(100)], 100.0)
    three = spectral_arc_length(np.r_[bump(100), bump(100), bump(100)], 100.0)
    assert three < two < one  # every stop adds
    noisy = bump(100) + np.abs(np.random.default_rng(0).normal(0, 0.5, 100))
    assert spectral_arc_length(noisy, 100.0) < one
    assert np.isnan(spectral_arc_length(np.zeros(10), 100.0))
    assert np.isnan(spectral_arc_length(bump(2), 100.0))


def test_texts_with_few_demonstrations_are_one_group() -> None:
    groups = group_by_text(["a", "b", "a", "c", "a", "b"], 2)
    assert len({*groups.tolist()}) == 3
    assert groups[0] == groups[2] == groups[4]
    assert groups[1] == groups[5] != groups[0]


def test_disagreement_is_that_of_the_nearest_states_of_others(tmp_path: Path) -> None:
    store = write(tmp_path / "store", [play(["circle"], seed, steps=9) for seed in range(4)])
    found = disagreements(store, np.zeros(4, np.int64), QualityConfig(neighbours=3))
    state = (store.state - store.state.mean(0)) / store.state.std(0)
    action = (store.action - store.action.mean(0)) / store.action.std(0)
    owner = np.repeat(np.arange(4), 9)
    for episode in range(4):
        differences = []
        for row in np.flatnonzero(owner == episode):
            others = np.flatnonzero(owner != episode)
            distance = np.linalg.norm(state[others] - state[row], axis=1)
            near = others[np.argsort(distance)[:3]]
            differences.append((action[row] - action[near].mean(0)) ** 2)
        assert found[episode] == pytest.approx(np.mean(differences), rel=1e-4)


def test_failed_wandering_and_unsteady_demonstrations_score_lower(tmp_path: Path) -> None:
    good = [play(["circle"], seed, text="circle") for seed in range(12)]
    failed = replace(good[0], outcome="failed")
    wandering = play(["right", "circle", "up"], 90, text="circle")
    unsteady = play(["circle"], 91, text="circle", noise=1.0)
    found = assess(write(tmp_path / "store", [*good, failed, wandering, unsteady]))
    usual = [quality.score for quality in found[:12]]
    assert found[12].score == 0
    assert found[12].smoothness == found[0].smoothness
    assert found[13].length < 0.2
    assert found[14].agreement < min(quality.agreement for quality in found[:12])
    assert max(quality.score for quality in found[12:]) < min(usual)
    assert all(0 <= value <= 1 for q in found for value in (q.smoothness, q.length, q.agreement, q.score))


def test_what_cannot_be_measured_counts_as_usual(tmp_path: Path) -> None:
    alone = assess(write(tmp_path / "alone", [play(["up"], 0)]))[0]
    assert alone.disagreement is None
    assert alone.agreement == pytest.approx(0.8808, abs=1e-4)  # a robust z-score of 0
    store = write(tmp_path / "short", [play(["up"], seed, steps=2) for seed in range(3)])
    found = assess(store)
    assert [quality.spectral_arc_length for quality in found] == [None] * 3
    assert "NaN" not in write_quality(store, found).read_text()
    with (
        EpisodeStore.create(tmp_path / "empty", {}, 10.0) as empty,
        pytest.raises(InputError, match="no epis"),
    ):
        assess(empty)


@pytest.fixture(scope="module")
def world() -> TabletopWorld:
    return TabletopWorld(cameras={})


def shown(world: TabletopWorld, seed: int, noise: float, misled: float) -> Episode:
    """A demonstration of the scripted expert, with the actions that were executed."""
    executed = []

    def act(action: Any) -> None:
        executed.append(np.array(action, np.float32))
        TabletopWorld.act(world, action)

    world.act = act  # type: ignore[method-assign]
    done = demonstration.demonstrate(world, "press", seed, noise, misled)
    action = np.stack(executed[-len(done.state) :])
    return Episode({}, done.state, action, done.end, done.target, done.text, seed=seed)


@pytest.fixture(scope="module")
def good(world: TabletopWorld) -> list[Episode]:
    return [shown(world, seed, 0.25, 0.0) for seed in range(20)]


@pytest.mark.parametrize(("noise", "misled", "least"), [(1.0, 0.0, 0.8), (0.25, 1.0, 0.65)])
def test_degraded_expert_demonstrations_score_lower(
    world: TabletopWorld, good: list[Episode], noise: float, misled: float, least: float, tmp_path: Path
) -> None:
    with EpisodeStore.create(tmp_path / "store", {}, CONTROL_RATE) as store:
        for episode in good:
            store.append(episode)
        for seed in range(20, 30):
            store.append(shown(world, seed, noise, misled))
    scores = np.array([quality.score for quality in assess(EpisodeStore.open(tmp_path / "store"))])
    difference = np.subtract.outer(scores[:20], scores[20:])
    auc = ((difference > 0) + 0.5 * (difference == 0)).mean()
    assert auc >= least


def test_weights(tmp_path: Path) -> None:
    episodes = [play(["up"], seed) for seed in range(5)]
    store = write(tmp_path / "store", [*episodes, replace(episodes[0], outcome="failed")])
    weights = episode_weights(store)
    assert weights.shape == (6,)
    assert weights.mean() == pytest.approx(1)
    assert weights[5] == 0
    assert np.array_equal(episode_weights(store, power=0), np.ones(6))
    assert episode_weights(store, floor=0.1)[5] > 0
    assert weights_of([0.5, 1.0], power=2).tolist() == pytest.approx([0.4, 1.6])
    with pytest.raises(InputError, match="score 0"):
        weights_of([0, 0])
    with pytest.raises(InputError, match="power"):
        weights_of([1], power=-1)


def test_the_file_belongs_to_its_episodes(tmp_path: Path) -> None:
    store = write(tmp_path / "store", [play(["up"], seed) for seed in range(4)])
    with pytest.raises(InputError, match="data score"):
        read_scores(store)
    found = assess(store)
    assert isinstance(found[0], Quality)
    write_quality(store, found)
    assert read_scores(store).tolist() == [quality.score for quality in found]
    with EpisodeStore.open(store.folder, append=True) as more:
        more.append(play(["up"], 9))
    with pytest.raises(InputError, match="other episodes"):
        read_scores(EpisodeStore.open(store.folder))
    (store.folder / "quality.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        read_scores(store)


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write(tmp_path / "store", [play(["up"], seed, text="[up]") for seed in range(6)])
    arrays = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in store.folder.glob("*.bin")}
    told = tmp_path / "told.json"
    assert main(["data", "score", str(store.folder), "--dry-run", "--json", str(told)]) == 0
    assert "[up]" in capsys.readouterr().out
    assert not (store.folder / "quality.json").exists()
    assert len(json.loads(told.read_text())["episodes"]) == 6
    assert main(["data", "score", str(store.folder), "--worst", "2"]) == 0
    assert len(read_scores(store)) == 6
    after = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in store.folder.glob("*.bin")}
    assert after == arrays
    assert main(["data", "score", str(tmp_path / "nothing")]) == 2
