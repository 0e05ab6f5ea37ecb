"""Windows and their order: what a policy learns from, checked against the episodes it came from."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_skills.data.loader import Loader, Windows, target_size
from robot_skills.data.meta import Feature
from robot_skills.data.order import BLOCK, Mixture, batch_indices, mixture
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.robot import ActionSpace
from tests.robot_skills.training.tiny import SIZE, make_episode, make_store

H, T = 3, 5


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[EpisodeStore]:
    folder = tmp_path_factory.mktemp("data")
    first = make_store(folder / "one", episodes=3)
    second = make_store(folder / "two", episodes=2, first_seed=3)
    return [EpisodeStore.open(first), EpisodeStore.open(second)]


def test_every_window_is_what_its_episode_says(stores: list[EpisodeStore]) -> None:
    windows = Windows(stores, ("front", "wrist"), H, T)
    batch = windows.batch(np.arange(len(windows)))
    assert len(windows) == 10 + 11 + 12 + 10 + 11
    row = 0
    for seed, length in ((0, 10), (1, 11), (2, 12), (3, 10), (4, 11)):
        episode = make_episode(seed, length)
        for t in range(length):
            for camera in ("front", "wrist"):
                expected = np.moveaxis(episode.images[camera][t], -1, 0)
                assert np.array_equal(batch["images"][camera][row], expected)
            past = [episode.state[max(t - H + 1 + i, 0)] for i in range(H)]
            assert np.array_equal(batch["history"][row], np.stack(past))
            for i in range(T):
                action, end = batch["actions"][row, i].numpy(), batch["end"][row, i].item()
                if t + i < length:
                    assert np.array_equal(action, episode.action[t + i])
                    assert end == episode.end[t + i]
                else:  # over: no motion, the gripper as it was left
                    assert np.array_equal(action[:6], np.zeros(6))
                    assert action[6] == episode.action[-1, 6]
                    assert end == 1.0
            assert np.array_equal(batch["target"][row], episode.target[t])
            assert batch["text"][row] == f"block {seed}"
            row += 1


def test_tensors_have_the_contract_s_types(stores: list[EpisodeStore]) -> None:
    batch = Windows(stores, ("front",), H, T).batch(np.array([0, 5]))
    assert batch["images"]["front"].shape == (2, 3, *SIZE)
    assert batch["images"]["front"].dtype == torch.uint8
    assert batch["history"].shape == (2, H, 10)
    assert batch["actions"].shape == (2, T, 7)
    assert batch["end"].shape == (2, T)
    assert batch["target"].shape == (2, 3)
    assert {batch[key].dtype for key in ("history", "actions", "end", "target")} == {torch.float32}  # type: ignore[literal-required]
    assert Windows(stores, ("front",), H, T).batch(np.array([0]), images=False)["images"] == {}


def test_an_epoch_shows_every_window_once() -> None:
    order = np.concatenate([batch_indices(53, 8, seed=4, stream=0, step=step) for step in range(20)])
    for epoch in range(3):
        assert sorted(order[epoch * 53 : (epoch + 1) * 53]) == list(range(53))
    assert not np.array_equal(order[:53], order[53:106])


def test_the_order_depends_on_seed_stream_and_step_alone() -> None:
    def order(seed: int, stream: int) -> list[int]:
        return np.concatenate([batch_indices(100, 16, seed, stream, step) for step in range(6)]).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, stream)) for seed in (0, 1) for stream in (0, 1)}) == 4
    assert batch_indices(100, 16, 0, 0, 50).tolist() == batch_indices(100, 16, 0, 0, 50).tolist()
    # A fixed number, so that a later release cannot change the order unseen.
    assert batch_indices(10, 10, 0, 0, 0).tolist() == [0, 7, 8, 6, 9, 5, 1, 3, 2, 4]
    assert len(batch_indices(3, 8, 0, 0, 0)) == 8  # more than there are


def test_prefetched_batches_come_in_order_and_from_any_step(stores: list[EpisodeStore]) -> None:
    windows = Windows(stores, ("front",), H, T)

    def fingerprint(start: int) -> list[tuple[float, float, str]]:
        with Loader(windows, 7, seed=3, start=start, stop=30) as loader:
            return [
                (b["images"]["front"].double().mean().item(), b["actions"].sum().item(), b["text"][0])
                for b in loader
            ]

    whole = fingerprint(0)
    assert len(whole) == 30
    assert fingerprint(11) == whole[11:]
    direct = [windows.batch(batch_indices(len(windows), 7, 3, 0, step)) for step in range(30)]
    assert [b["text"][0] for b in direct] == [text for _, _, text in whole]
    assert [b["images"]["front"].double().mean().item() for b in direct] == [mean for mean, _, _ in whole]


def test_leaving_early_ends_the_thread(stores: list[EpisodeStore]) -> None:
    with Loader(Windows(stores, ("front",), H, T), 4, seed=0) as loader:
        next(iter(loader))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_an_error_while_loading_reaches_the_loop(
    stores: list[EpisodeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows(stores, ("front",), H, T)

    def broken(*_: object) -> None:
        raise OSError("Input/output error")

    monkeypatch.setattr(windows, "batch", broken)
    with Loader(windows, 4, seed=0) as loader, pytest.raises(OSError, match="Input/output"):
        next(iter(loader))


def test_held_out_episodes_are_not_learned_from(stores: list[EpisodeStore]) -> None:
    windows = Windows(stores, (), 1, 1)
    training, held_out = windows.split(0.4, seed=0)
    assert held_out is not None
    assert (training.episodes, held_out.episodes) == (3, 2)
    texts = [set(part.batch(np.arange(len(part)))["text"]) for part in (training, held_out)]
    assert texts[0] | texts[1] == {f"block {seed}" for seed in range(5)}
    assert not texts[0] & texts[1]
    assert len(training) + len(held_out) == len(windows)
    assert windows.split(0.0, seed=0)[1] is None
    smallest = windows.split(0.01, seed=0)[1]
    assert smallest is not None
    assert smallest.episodes == 1
    assert windows.only([2]).split(0.5, seed=0)[1] is None  # one episode: it is learned from


def test_stores_that_do_not_fit_are_refused(stores: list[EpisodeStore], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown camera .* 'side'; valid: front, wrist"):
        Windows(stores, ("side",), H, T)
    with EpisodeStore.create(tmp_path / "small", {"front": (4, 4)}, 20.0) as small:
        with pytest.raises(InputError, match="No episodes to learn from"):
            Windows([small], ("front",), H, T)
        with pytest.raises(InputError, match=r"'front' is \(8, 8\) in .* and \(4, 4\)"):
            Windows([*stores, small], ("front",), H, T)


def test_a_mixture_has_its_shares_and_every_part_its_epochs() -> None:
    parts = [np.arange(0, 30), np.arange(30, 37)]
    mixture = Mixture(37, parts, [3.0, 1.0])
    order = np.concatenate([mixture.batch(50, 5, 0, step) for step in range(200)])
    from_first = order < 30
    for block in from_first[: len(order) // BLOCK * BLOCK].reshape(-1, BLOCK):
        assert abs(block.sum() - 0.75 * BLOCK) <= 1
    assert not np.array_equal(from_first[:BLOCK], from_first[BLOCK : 2 * BLOCK])
    for part in parts:
        seen = order[np.isin(order, part)]
        for epoch in range(len(seen) // len(part)):
            assert sorted(seen[epoch * len(part) : (epoch + 1) * len(part)]) == part.tolist()
    assert mixture.batch(50, 5, 0, 150).tolist() == order[150 * 50 : 151 * 50].tolist()
    assert mixture.batch(50, 5, 1, 0).tolist() != mixture.batch(50, 5, 0, 0).tolist()


@pytest.mark.parametrize("weights", [[0.0, 1.0], [-1.0, 1.0], [float("nan"), 1.0], [1e-4, 1.0]])
def test_weights_that_cannot_be_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError, match="weight"):
        Mixture(4, [np.arange(2), np.arange(2, 4)], weights)


def test_weighted_stores_keep_their_shares_when_episodes_are_held_out(stores: list[EpisodeStore]) -> None:
    windows = Windows(stores, (), 1, 1, weights=[1.0, 4.0]).only([0, 2, 4])
    texts = [
        text for step in range(64) for text in windows.batch(windows.mixture.batch(16, 0, 0, step))["text"]
    ]
    assert abs(texts.count("block 4") - 0.8 * 1024) <= 1
    assert set(texts) == {"block 0", "block 2", "block 4"}


@pytest.mark.parametrize("weights", [None, [1.0, 2.0]])
def test_any_number_of_workers_gives_the_same_batches(
    stores: list[EpisodeStore], weights: list[float] | None
) -> None:
    windows = Windows(stores, ("front",), H, T, weights=weights)

    def fingerprint(workers: int, start: int) -> list[tuple[float, float]]:
        with Loader(windows, 7, seed=3, start=start, stop=40, workers=workers) as loader:
            return [(b["images"]["front"].double().mean().item(), b["actions"].sum().item()) for b in loader]

    whole = fingerprint(1, 0)
    assert len(whole) == 40
    assert fingerprint(4, 0) == whole
    assert fingerprint(3, 17) == whole[17:]


def test_the_state_may_be_chosen_from_features_and_extras(tmp_path: Path) -> None:
    rows = np.arange(12 * 4, dtype=np.float64).reshape(12, 2, 2)
    flag = np.arange(12) % 2 == 0
    with EpisodeStore.create(
        tmp_path / "data",
        {"front": SIZE, "wrist": SIZE},
        20.0,
        extras={"keypoint": Feature.of(rows), "contact": Feature.of(flag)},
    ) as store:
        store.append(make_episode(0, extras={"keypoint": rows, "contact": flag}))
    windows = Windows([store], (), 1, 1, state=("ee.[xy]", "keypoint", "contact"), target="keypoint")
    assert windows.state_names == ("ee.x", "ee.y", *(f"keypoint.{i}" for i in range(4)), "contact")
    batch = windows.batch(np.array([3]))
    expected = np.r_[make_episode(0).state[3, :2], rows[3].ravel(), 0.0].astype(np.float32)
    assert np.array_equal(batch["history"][0, 0], expected)
    assert batch["target"][0].tolist() == rows[3].ravel().tolist()
    assert windows.statistics()["target_mean"].shape == (4,)
    assert target_size(store.meta, "keypoint") == 4
    with pytest.raises(
        InputError, match=r"Unknown state feature 'keypoints'; valid: .*Did you mean 'keypoint'"
    ):
        Windows([store], (), 1, 1, state=("keypoints",))


def test_set_points_are_held_and_displacements_end(tmp_path: Path) -> None:
    space = ActionSpace(("x", "turn"), (False, True), (0.0, -math.inf), (512.0, math.inf))
    episode = make_episode(0, images={}, action=np.full((12, 2), 7.0, np.float32))
    with EpisodeStore.create(tmp_path / "data", {}, 10.0, action=space) as store:
        store.append(episode)
    windows = Windows([store], (), 1, 3)
    assert windows.batch(np.array([11]))["actions"][0].tolist() == [[7, 7], [7, 0], [7, 0]]
    known = windows.statistics()
    assert known["action_low"].tolist() == [0, 7]  # a limit, and where there is none the data's
    assert known["action_high"].tolist() == [512, 7]


def test_better_episodes_come_more_often(stores: list[EpisodeStore]) -> None:
    weights = [np.array([1.0, 0.0, 3.0]), None]
    windows = Windows(stores, (), 1, 1, episode_weights=weights)
    texts = [
        text for step in range(64) for text in windows.batch(windows.mixture.batch(16, 0, 0, step))["text"]
    ]
    mass = {"block 0": 10 * 1.0, "block 2": 12 * 3.0, "block 3": 10.0, "block 4": 11.0}
    assert set(texts) == set(mass)
    for text, amount in mass.items():  # within a sample or two a part; epochs are shuffled within parts
        assert abs(texts.count(text) / 1024 - amount / sum(mass.values())) < 0.03
    both = Windows(stores, (), 1, 1, weights=[1.0, 1.0], episode_weights=weights)
    first = [int(both._episode[i]) < 3 for step in range(64) for i in both.mixture.batch(16, 0, 0, step)]
    assert abs(sum(first) - 512) <= 2


def test_many_weights_become_a_few_parts_of_like_weight() -> None:
    weights = np.random.default_rng(0).uniform(0.2, 1.0, 1000)
    mixed = mixture(np.zeros(1000, np.int64), None, weights)
    drawn = np.bincount(np.concatenate([mixed.batch(100, 0, 0, s) for s in range(2000)]), minlength=1000)
    expected = weights / weights.mean() * 200
    assert np.abs(drawn / expected - 1).max() < 0.3  # rounded to its part's mean
    assert np.corrcoef(drawn, weights)[0, 1] > 0.98
    with pytest.raises(InputError, match="0 or more"):
        mixture(np.zeros(3, np.int64), None, np.array([1.0, -1.0, 1.0]))
    with pytest.raises(InputError, match="weight 0"):
        mixture(np.array([0, 0, 1]), None, np.array([1.0, 1.0, 0.0]))


def test_episodes_that_name_a_word_are_left_out(stores: list[EpisodeStore]) -> None:
    windows = Windows(stores, ("front",), H, T)
    left = windows.without(("1", "3", "cyan"))
    texts = left.batch(np.arange(len(left)), images=False)["text"]
    assert set(texts) == {"block 0", "block 2", "block 4"}
    assert windows.without(()) is windows
    with pytest.raises(InputError, match="No episode is left without block"):
        windows.without(("block",))
