from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_skills.data.segmentation import METHODS, Segment, SegmentationConfig, Trace, segment, traces
from robot_skills.data.segmentation.buds import BudsConfig, absorb_short, middle_level, tree
from robot_skills.data.segmentation.clusters import LARGEST, spectral
from robot_skills.data.segmentation.features import FeatureConfig, features, thumbnails
from robot_skills.data.segmentation.gripper import gripper_changes, slow_steps
from robot_skills.data.segmentation.sbd import SbdConfig, cut, surprise
from robot_skills.data.segmentation.scores import chance, score
from robot_skills.data.segmentation.segments import merge_alike, merge_short
from robot_skills.data.segmentation.truth import read_truth
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from tests.robot_skills.data.segmentation.moves import make_store

SMALL = FeatureConfig(size=8, steps=150)
SBD = SbdConfig(steps=200, width=64, gap=1.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    return make_store(tmp_path_factory.mktemp("moves") / "store")


@pytest.fixture(scope="module")
def recordings(store: EpisodeStore) -> list[Trace]:
    return traces(store)


def test_a_trace_holds_no_label(recordings: list[Trace]) -> None:
    assert set(vars(recordings[0])) == {"images", "state", "action", "rate", "position", "gripper"}
    assert recordings[0].position == (0, 1, 2)
    assert recordings[0].gripper == 6


@pytest.mark.parametrize("method", METHODS)
def test_every_method_covers_the_recordings_the_same_each_time(method: str, recordings: list[Trace]) -> None:
    config = SegmentationConfig(method=method, skills=3, features=SMALL, sbd=SBD, buds=BudsConfig(length=1.4))
    shares: list[float] = []
    found = segment(recordings, config, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    for number, trace in enumerate(recordings):
        parts = [part for part in found if part.recording == number]
        edges = [parts[0].start, *(part.stop for part in parts)]
        assert (edges[0], edges[-1]) == (0, len(trace))
        assert edges[:-1] == [part.start for part in parts]
        assert min(map(len, parts)) > 0
    assert {part.cluster for part in found} <= {0, 1, 2}
    assert segment(recordings, config) == found


def test_sbd_finds_the_legs_far_better_than_chance(store: EpisodeStore, recordings: list[Trace]) -> None:
    truths, names = read_truth(store)
    assert names == ["east", "north", "west"]
    config = SegmentationConfig(skills=3, features=SMALL, sbd=SBD)
    found = score(segment(recordings, config), truths, 2)
    guess = np.mean([score(chance(truths, draw), truths, 2, 10).f1.value for draw in range(10)])
    assert found.f1.value > 0.8 > guess + 0.2


def test_surprise_is_largest_where_the_goal_changes(store: EpisodeStore, recordings: list[Trace]) -> None:
    truths, _ = read_truth(store)
    rows = [np.zeros((len(trace), 0), np.float32) for trace in recordings]
    errors = surprise(recordings, rows, SBD)
    at = np.concatenate([error[list(t.boundaries)] for error, t in zip(errors, truths, strict=True)])
    assert at.mean() > 1.0
    assert np.concatenate(errors).mean() == pytest.approx(0, abs=1e-4)


def test_sbd_cuts_at_jumps_over_the_mean_since_the_last(recordings: list[Trace]) -> None:
    trace = recordings[0]
    errors = np.zeros(len(trace), np.float32)
    errors[[12, 14, 28]] = 3
    assert cut(errors, trace, SbdConfig(gap=1, shortest=1.0)) == [12, 28]
    assert cut(errors, trace, SbdConfig(gap=5)) == []


def test_the_gripper_heuristic_sees_changes_and_rests(recordings: list[Trace]) -> None:
    trace = recordings[0]
    assert gripper_changes(trace) == list(range(7, len(trace), 7))
    slow = slow_steps(trace, 0.3)
    assert any(abs(row - 13) <= 2 for row in slow)
    assert merge_short([3, 6, 8, 20, len(trace) - 1], trace, 0.5) == [6, 20]


def test_a_tree_is_cut_where_features_change() -> None:
    rows = np.repeat([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]], [20, 10, 30], axis=0).astype(np.float32)
    root = tree(rows, window=5, penalty=0.0)
    assert (root.start, root.stop) == (0, 60)
    assert {node.start for node in middle_level(root, 3)} >= {0, 20, 30}
    assert len(middle_level(root, 1000)) == 12  # no more than there are leaves


def test_short_clusters_go_to_the_neighbour_that_is_more_alike() -> None:
    rows = np.repeat([[0.0], [9.0], [10.0]], [10, 2, 10], axis=0).astype(np.float32)
    parts = [Segment(0, 0, 10, 0), Segment(0, 10, 12, 1), Segment(0, 12, 22, 2)]
    assert absorb_short(parts, [rows], 5) == [Segment(0, 0, 10, 0), Segment(0, 10, 22, 1)]
    assert absorb_short(parts, [rows], 50) == parts  # all are short: nothing to give them to


def test_neighbours_of_a_cluster_are_joined_within_a_recording() -> None:
    parts = [Segment(0, 0, 4, 1), Segment(0, 4, 9, 1), Segment(1, 0, 5, 1)]
    assert merge_alike(parts) == [Segment(0, 0, 9, 1), Segment(1, 0, 5, 1)]


@pytest.mark.parametrize("count", [40, LARGEST + 50])
def test_spectral_clustering_finds_blobs(count: int) -> None:
    rng = np.random.default_rng(0)
    which = rng.integers(0, 3, count)
    points = (np.eye(3)[which] * 20 + rng.normal(0, 1, (count, 3))).astype(np.float32)
    labels = spectral(points, 3)
    pairs = set(zip(which.tolist(), labels.tolist(), strict=True))
    assert len(pairs) == 3


def test_more_skills_than_segments_is_an_error() -> None:
    with pytest.raises(InputError, match="2 segments cannot be sorted into 5 skills"):
        spectral(np.zeros((2, 3), np.float32), 5)


@pytest.mark.parametrize("kind", ["vae", "pca"])
def test_features_tell_places_apart(kind: str, recordings: list[Trace]) -> None:
    rows = features(recordings, FeatureConfig(kind=kind, size=8, steps=150))
    assert [len(part) for part in rows] == [len(trace) for trace in recordings]
    every = np.concatenate(rows)
    assert np.isfinite(every).all()
    place = np.concatenate([trace.state[:, :2] for trace in recordings])
    fit, *_ = np.linalg.lstsq(np.c_[every, np.ones(len(every))], place, rcond=None)
    left = place - np.c_[every, np.ones(len(every))] @ fit
    assert left.var() < 0.4 * place.var()


def test_thumbnails_average_and_take_any_size() -> None:
    def of(height: int, width: int) -> np.ndarray:
        images = np.zeros((4, height, width, 3), np.uint8)
        images[:, : height // 2] = 200
        trace = Trace(
            {"a": images}, np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32), 10, (0,), None
        )
        return thumbnails(trace)

    for size in ((64, 64), (16, 16), (50, 70), (8, 8)):
        small = of(*size)
        assert small.shape == (4, 1, 16 * 16 * 3)
        assert small.max() == 200
        assert small.min() == 0


def test_an_empty_store_and_a_short_episode_are_named(tmp_path: Path) -> None:
    empty = make_store(tmp_path / "empty", 0)
    with pytest.raises(InputError, match="no episodes"):
        traces(empty)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(InputError, match=r"'bud'.*Did you mean 'buds'"):
        SegmentationConfig(method="bud")
    with pytest.raises(InputError, match="skills is at least 1"):
        SegmentationConfig(skills=0)
