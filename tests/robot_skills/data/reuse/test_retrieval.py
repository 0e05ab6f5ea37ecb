"""Retrieval: exact neighbours, right merging, and the right skill out of a mixed set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from robot_skills.cli.main import main
from robot_skills.data.reuse.retrieval import (
    RetrievalConfig,
    closest,
    merge,
    nearest_neighbours,
    retrieve,
    select,
)
from robot_skills.data.reuse.skill_space import SkillSpaceConfig, learn_skill_space
from robot_skills.data.reuse.subtrajectories import SubTrajectories
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from tests.robot_skills.data.reuse.motions import SKILLS, play, write

QUIET = Console(quiet=True)
SMALL = SkillSpaceConfig(
    length=8, latent=8, width=64, image_size=8, image_feature=8, steps=150, batch_size=32
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    folder = tmp_path_factory.mktemp("target")
    return write(folder / "store", [play(["circle"], seed, text="draw a circle") for seed in range(3)])


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    """Eighteen recordings of the three skills in random order, unlabelled."""
    folder, random = tmp_path_factory.mktemp("prior"), np.random.default_rng(0)
    orders = [list(random.permutation(list(SKILLS))) for _ in range(18)]
    episodes = [play(order, 100 + i, text="", scene={"order": order}) for i, order in enumerate(orders)]
    return write(folder / "store", episodes)


def test_sub_trajectories_stay_within_their_episode(tmp_path: Path) -> None:
    store = write(tmp_path / "store", [play(["up"], 0, steps=n) for n in (12, 5, 9)])
    found = SubTrajectories.of(store, 8)
    assert found.episode.tolist() == [0] * 5 + [1] + [2] * 2
    assert found.start.tolist() == [0, 1, 2, 3, 4, 12, 17, 18]
    assert found.rows(np.array([4, 5]))[0].tolist() == list(range(4, 12))
    assert found.rows(np.array([5]))[0].tolist() == [12, 13, 14, 15, 16, 16, 16, 16]
    assert [found.stop(i) for i in range(len(found))] == [8, 9, 10, 11, 12, 17, 25, 26]
    with pytest.raises(InputError, match="at least 2 steps"):
        SubTrajectories.of(store, 1)


def test_neighbours_are_those_of_all_distances() -> None:
    random = np.random.default_rng(1)
    queries = random.normal(size=(5000, 6)).astype(np.float32)  # more than a block
    points = random.normal(size=(37, 6)).astype(np.float32)
    distances, nearest = nearest_neighbours(queries, points)
    table = np.sqrt(((queries[:, None].astype(float) - points[None].astype(float)) ** 2).sum(-1))
    assert np.array_equal(nearest, table.argmin(1))
    assert np.allclose(distances, table.min(1), atol=1e-12)
    chosen = closest(distances, 100)
    assert len(chosen) == 100
    assert distances[chosen].max() <= np.delete(distances, chosen).min()
    assert closest(distances[:3], 100).tolist() == [0, 1, 2]


def test_hits_that_overlap_or_touch_are_one_segment(tmp_path: Path) -> None:
    store = write(tmp_path / "store", [play(["up"], 0, steps=30), play(["up"], 1, steps=10)])
    parts = SubTrajectories.of(store, 4)  # 27 + 7 of them
    distances = np.linspace(1, 0, len(parts))
    # 0-3 and 4-7 touch, 9-12 does not, 26-29 ends its episode, 30-33 begins the next.
    hits = np.array([0, 4, 9, 10, 26, 27])
    segments = merge(parts, hits, distances, np.arange(len(parts)))
    assert [(s.episode, s.start, s.stop, s.hits) for s in segments] == [
        (0, 0, 8, 2),
        (0, 9, 14, 2),
        (0, 26, 30, 1),
        (1, 30, 34, 1),
    ]
    assert [s.nearest for s in segments] == [4, 10, 26, 27]  # distances fall
    assert segments[0].distance == distances[4]
    assert segments[0].mean_distance == pytest.approx(distances[[0, 4]].mean())


@pytest.mark.parametrize("space", ["latent", "raw"])
def test_the_target_s_skill_is_found_in_a_mixed_set(
    space: str, target: EpisodeStore, prior: EpisodeStore, tmp_path: Path
) -> None:
    config = RetrievalConfig(space, fraction=0.1, skill_space=SMALL)
    report = retrieve(target, prior, tmp_path / "found", config, QUIET)
    store = EpisodeStore.open(tmp_path / "found")
    assert report.hits == round(0.1 * report.candidates)
    assert store.frames == report.steps
    right = 0
    for number, record in enumerate(store.episodes):
        source = record.attributes["source"]
        before, episode = prior.view(source["episode"]), store.view(number)
        rows = slice(*source["rows"])
        assert np.array_equal(episode.action, before.action[rows])
        assert np.array_equal(episode.images["front"], before.images["front"][rows])
        assert episode.text == "draw a circle"
        assert record.attributes["continues"] == (rows.stop < len(before))
        place = before.scene["order"].index("circle") * 15
        right += sum(place <= row < place + 15 for row in range(rows.start, rows.stop))
    assert right / store.frames > {"latent": 0.75, "raw": 0.6}[space]  # a third by chance


def test_within_keeps_what_is_as_near_as_the_demonstrations_are() -> None:
    points = np.array([[0.0], [1.0], [3.0], [4.0]], np.float32)
    episodes = np.array([0, 0, 1, 2])  # nearest of another demonstration: 3, 2, 1, 1
    distances = np.array([0.5, 1.4, 1.6, 2.9, 3.5])
    for within, kept in ((0.0, [0]), (0.5, [0, 1]), (1.0, [0, 1, 2, 3])):
        assert select(distances, points, episodes, RetrievalConfig(within=within)).tolist() == kept
    with pytest.raises(InputError, match="the nearest is at"):
        select(distances, points / 10, episodes, RetrievalConfig(within=0.0))
    with pytest.raises(InputError, match="One demonstration"):
        select(distances, points, np.zeros(4, np.int64), RetrievalConfig(within=0.5))


def test_the_same_seed_finds_the_same(target: EpisodeStore, prior: EpisodeStore) -> None:
    parts = [SubTrajectories.of(store, 8) for store in (target, prior)]
    config = SkillSpaceConfig(length=8, latent=4, width=16, image_size=8, image_feature=4, steps=5)
    one, two = (learn_skill_space(parts, config).embed(parts[1]) for _ in range(2))
    assert np.array_equal(one, two)
    other = learn_skill_space(parts, SkillSpaceConfig(**{**vars(config), "seed": 1})).embed(parts[1])
    assert not np.array_equal(one, other)


def test_latents_tell_the_time_gap(target: EpisodeStore, prior: EpisodeStore) -> None:
    """With its loss the gap can be read from two latents; what it is worth against guessing the mean."""
    parts = [SubTrajectories.of(store, 8) for store in (target, prior)]
    space = learn_skill_space(parts, SMALL)
    rng = np.random.default_rng(5)
    first = rng.integers(0, len(parts[1]), 400)
    low = np.searchsorted(parts[1].episode, parts[1].episode[first], side="left")
    high = np.searchsorted(parts[1].episode, parts[1].episode[first], side="right")
    second = rng.integers(low, high)
    import torch

    latents = torch.from_numpy(space.embed(parts[1]))
    with torch.no_grad():
        told = space.gap(torch.cat([latents[first], latents[second]], dim=1))[:, 0].numpy()
    true = (parts[1].start[second] - parts[1].start[first]) / SMALL.gap
    assert np.mean((told - true) ** 2) < 0.5 * true.var()


def test_data_without_pictures_is_enough(tmp_path: Path) -> None:
    bare = {"images": {}}
    target = write(tmp_path / "t", [play(["right"], 0, **bare)], cameras=False)
    prior = write(tmp_path / "p", [play(["right", "up"], n, **bare) for n in range(1, 5)], cameras=False)
    report = retrieve(target, prior, tmp_path / "found", RetrievalConfig(count=7, skill_space=SMALL), QUIET)
    assert report.hits == 7
    assert EpisodeStore.open(tmp_path / "found").frames == report.steps


def test_what_cannot_be_retrieved_says_why(target: EpisodeStore, tmp_path: Path) -> None:
    with EpisodeStore.create(tmp_path / "arm", {}, 10.0) as other:
        pass
    raw = RetrievalConfig("raw")
    with pytest.raises(InputError, match="no episodes yet"):
        retrieve(target, other, tmp_path / "new", raw, QUIET)
    with pytest.raises(InputError, match="holds a data set already"):
        retrieve(target, target, target.folder, raw, QUIET)
    with pytest.raises(InputError, match="space to retrieve in"):
        RetrievalConfig("pixels")
    with pytest.raises(InputError, match="fraction"):
        RetrievalConfig(fraction=0)
    assert not (tmp_path / "new").exists()


def test_the_verb(
    target: EpisodeStore, prior: EpisodeStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, told = tmp_path / "found", tmp_path / "found.json"
    words = ["data", "retrieve", str(target.folder), str(prior.folder), "-o", str(out)]
    assert main([*words, "--space", "raw", "--length", "8", "--count", "40", "--json", str(told)]) == 0
    result = json.loads(told.read_text())
    assert result["hits"] == 40
    assert result["segments"] == len(EpisodeStore.open(out).episodes)
    assert str(out) in capsys.readouterr().out
    assert main([*words, "--space", "raw"]) == 2  # taken
    near = [*words[:-1], str(tmp_path / "near"), "--space", "raw", "--length", "8", "--within", "0.9"]
    assert main([*near, "--json", str(told)]) == 0
    assert json.loads(told.read_text())["hits"] > 0
    assert main([*words[:-1], str(tmp_path / "new"), "--fraction", "2"]) == 2
    assert not list(tmp_path.glob(".found.*"))
