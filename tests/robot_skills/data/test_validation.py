# ruff: noqa: E501 (a case a line)
"""Every check finds data broken in exactly its way, at its place, and says nothing about healthy data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_skills.data.episode import Episode
from robot_skills.data.formats import open_source
from robot_skills.data.formats.base import Problem
from robot_skills.data.meta import Feature, StoreMeta
from robot_skills.data.store import EpisodeStore
from robot_skills.data.validation import KINDS, check_before_training, validate
from robot_skills.robot import ActionSpace
from tests.robot_skills.data.healthy import META, Memory, demonstrations

Episodes = list[Episode]
ARRAYS = ("images.front", "images.wrist", "state", "action", "end", "target")


@pytest.fixture(scope="module")
def pick() -> Episodes:
    return demonstrations("pick", 10)


def problems(episodes: Episodes, meta: StoreMeta = META) -> list[Problem]:
    return validate(Memory(episodes, meta)).problems


def changed(episode: Episode, **changes: Callable[[Any], Any]) -> Episode:
    """The episode with some of its arrays changed by functions on copies."""
    arrays = {name: change(np.array(episode.rows(name))) for name, change in changes.items()}
    images = {name: arrays.pop(f"images.{name}", rows) for name, rows in episode.images.items()}
    return dataclasses.replace(episode, images=images, **arrays)


def put(rows: slice | int, value: Any, column: Any = slice(None)) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        if array.ndim > 1:
            array[rows, column] = value
        else:
            array[rows] = value
        return array

    return change


def shifted(episode: Episode, steps: int) -> Episode:
    """Actions that are on the row `steps` too early (or, below 0, too late)."""
    return changed(episode, action=lambda a: np.concatenate([a[steps:], a[:steps]]) if steps else a)


def stretched(episode: Episode, times: int) -> Episode:
    """The recording, slowed down."""
    arrays = {
        name: np.repeat(episode.rows(name), times, axis=0) for name in ("state", "action", "end", "target")
    }
    images = {name: np.repeat(rows, times, axis=0) for name, rows in episode.images.items()}
    return dataclasses.replace(episode, images=images, **arrays)


def with_tail(episode: Episode, steps: int) -> Episode:
    """The last row repeated."""
    arrays = {
        name: np.concatenate([rows, np.repeat(rows[-1:], steps, axis=0)])
        for name in ("state", "action", "end", "target")
        for rows in [episode.rows(name)]
    }
    arrays["state"][-steps:] += np.random.default_rng(0).normal(0, 1e-6, arrays["state"][-steps:].shape)
    images = {
        name: np.concatenate([rows, np.repeat(rows[-1:], steps, axis=0)])
        for name, rows in episode.images.items()
    }
    return dataclasses.replace(episode, images=images, **arrays)


@pytest.mark.parametrize("skill", ["pick", "open", "press"])
def test_healthy_recordings_raise_no_alarm(skill: str, pick: Episodes) -> None:
    assert problems(pick if skill == "pick" else demonstrations(skill, 10)) == []


def one(number: int, change: Callable[[Episode], Episode]) -> Callable[[Episodes], Episodes]:
    """Break one episode."""
    return lambda episodes: [change(e) if i == number else e for i, e in enumerate(episodes)]


def every(change: Callable[[Episode], Episode]) -> Callable[[Episodes], Episodes]:
    return lambda episodes: [change(episode) for episode in episodes]


def frozen(rows: Any) -> Any:
    rows[3:11] = rows[3]
    return rows


def nearly_frozen(rows: Any) -> Any:
    rows[2:12] = rows[2]
    for row in range(2, 12):
        rows[row, row, row, 0] ^= 1
    return rows


BREAKS: list[tuple[str, Callable[[Episodes], Episodes], int | None, int | None, str]] = [
    ("empty", one(4, lambda e: changed(e, **{n: lambda a: a[:1] for n in ARRAYS})), 4, None, "1 steps"),
    ("length_mismatch", one(4, lambda e: changed(e, **{"images.wrist": lambda a: a[:-3]})), 4, None, "wrist"),
    ("nan", one(3, lambda e: changed(e, state=put(6, np.nan, 1))), 3, 6, "'ee.y' is nan (1 of"),
    ("nan", one(3, lambda e: changed(e, action=put(slice(5, 9), np.inf, 2))), 3, 5, "'dz' is inf (4 of"),
    ("action_limits", one(2, lambda e: changed(e, action=put(7, 1.2, 0))), 2, 7, "'dx' is 1.2"),
    ("frozen_state", one(1, lambda e: changed(e, state=lambda a: put(slice(2, 10), a[2])(a))), 1, 2, "0.5 s"),
    ("idle", one(5, lambda e: with_tail(e, 30)), 5, None, "last 3."),
    ("no_text", one(6, lambda e: dataclasses.replace(e, text=" ")), 6, None, "no text"),
    ("black_image", one(7, lambda e: changed(e, **{"images.front": put(slice(4, 6), 0)})), 7, 4, "2 of"),
    ("uniform_image", one(7, lambda e: changed(e, **{"images.wrist": put(3, 130)})), 7, 3, "wrist"),
    ("frozen_image", one(8, lambda e: changed(e, **{"images.wrist": frozen})), 8, 3, "0.7 s"),
    ("nearly_frozen_image", one(8, lambda e: changed(e, **{"images.wrist": nearly_frozen})), 8, 2, "wrist"),
    ("repeated_images", one(0, lambda e: changed(e, **{"images.front": lambda a: a[np.arange(len(a)) // 2 * 2]})),
     0, 1, "it gives about"),
    ("same_camera", one(9, lambda e: dataclasses.replace(e, images=dict.fromkeys(e.images, e.images["front"]))),
     9, 0, "front and wrist"),
    ("constant", every(lambda e: changed(e, state=put(slice(None), 0.04, 9))), None, None, "gripper.opening"),
    ("saturated", every(lambda e: changed(e, action=lambda a: np.clip(a * 50, -1, 1))), None, None, "limit at"),
    ("odd_length", one(4, lambda e: stretched(e, 9)), 4, None, "It is long"),
    ("duplicate", lambda es: [*es, es[2]], 10, None, "of episode 2"),
    ("near_duplicate", lambda es: [*es, dataclasses.replace(changed(es[2], state=lambda a: a + 1e-6), seed=77)],
     10, None, "as episode 2"),
    ("same_seed", lambda es: [*es, dataclasses.replace(shifted(es[3], 0), seed=0, text=es[0].text)],
     10, None, "seed 0"),
    ("outlier", one(5, lambda e: changed(e, state=put(6, 4000.0, 2))), 5, 6, "'ee.z' is 4000"),
    ("jump", one(5, lambda e: changed(e, state=lambda a: put(slice(8, None), a[8:, 1] + 0.6, 1)(a))), 5, 8, "'ee.y'"),
    ("unit", every(lambda e: changed(e, state=put(slice(None), 400.0, 0))), None, None, "millimetres"),
    ("unit", every(lambda e: changed(e, action=lambda a: np.c_[a[:, :6] * 0.05, a[:, 6]])), None, None, "metres or"),
    ("rotation", one(2, lambda e: changed(e, state=lambda a: put(slice(None), a[:, 3:9] * 2, slice(3, 9))(a))),
     2, None, "lengths 2"),
    ("no_end", one(3, lambda e: changed(e, end=put(slice(None), 0))), 3, None, "not marked"),
    ("lag", every(lambda e: shifted(e, 4)), None, None, "steps late"),
    ("lag", every(lambda e: shifted(e, -3)), None, None, "before its actions"),
    ("gripper_sign", every(lambda e: changed(e, action=lambda a: np.c_[a[:, :6], -a[:, 6]])), None, None, "turned"),
    ("colour_order", one(6, lambda e: changed(e, **{"images.front": lambda a: a[..., ::-1]})), 6, 0, "front"),
    ("colour_order", every(lambda e: changed(e, **{"images.front": lambda a: a[..., ::-1]})), None, None, "guess"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "harm", "episode", "frame", "words"),
    BREAKS,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(BREAKS)],
)
def test_what_is_broken_is_found_at_its_place(
    kind: str,
    harm: Callable[[Episodes], Episodes],
    episode: int | None,
    frame: int | None,
    words: str,
    pick: Episodes,
) -> None:
    found = [problem for problem in problems(harm(pick)) if problem.kind == kind]
    assert found, problems(harm(pick))
    assert {problem.episode for problem in found} == {episode}, found
    assert words in found[0].message
    if frame is not None:
        assert found[0].frame == frame


def test_every_check_has_a_test() -> None:
    elsewhere = {"no_episodes", "time_gap", "copied_action", "statistics"}
    assert {case[0] for case in BREAKS} | elsewhere == set(KINDS)
    assert len(KINDS) == len(set(KINDS))


def test_no_episodes() -> None:
    assert [problem.kind for problem in problems([])] == ["no_episodes"]


@pytest.mark.parametrize(
    ("times", "frame", "words"),
    [
        (np.r_[0:5, 7:12] / 10, 5, "1 of 9 steps do not take 0.1 s; the worst takes 0.3 s"),
        (np.r_[0:5, 3:8] / 10, 5, "does not increase"),
        (np.arange(10) * 100.0, 0, "not in seconds"),
    ],
)
def test_time_gaps(times: Any, frame: int, words: str, pick: Episodes) -> None:
    meta = dataclasses.replace(META, extras={"timestamp": Feature("<f4")})

    def timed(episode: Episode, stamps: Any) -> Episode:
        rows = changed(episode, **{n: lambda a: a[:10] for n in ARRAYS})
        return dataclasses.replace(rows, extras={"timestamp": stamps.astype(np.float32)})

    healthy = timed(pick[0], np.arange(10) / 10)
    assert not [p for p in problems([healthy], meta) if p.kind == "time_gap"]
    (found,) = (p for p in problems([healthy, timed(pick[1], times)], meta) if p.kind == "time_gap")
    assert (found.episode, found.frame) == (1, frame)
    assert words in found.message


def arm(
    lag: int, rate: float = 20.0, episodes: int = 8, scale: float = 1.0
) -> tuple[list[Episode], StoreMeta]:
    """Joints that follow set-points some steps later."""
    names = ("joint1", "joint2")
    meta = StoreMeta({}, rate, names, ActionSpace.unlimited(names, relative=False))
    made = []
    for seed in range(episodes):
        random = np.random.default_rng(seed)
        path = np.cumsum(np.cumsum(random.normal(size=(130, 2)), axis=0) * 0.01, axis=0) * 0.02
        rows = np.arange(20, 120)
        state = path[rows - lag] + random.normal(0, 1e-5, (100, 2))
        end = np.r_[np.zeros(99), 1.0].astype(np.float32)
        made.append(
            Episode({}, (scale * state).astype(np.float32), (scale * path[rows]).astype(np.float32), end,
                    np.full((100, 3), np.nan, np.float32), f"follow {seed}")
        )  # fmt: skip
    return made, meta


def test_set_points_are_followed_a_little_later() -> None:
    assert [p.kind for p in problems(*arm(lag=2))] == []
    for lag, words in ((9, "9.0 steps late"), (-3, "3.0 steps before")):
        (found,) = (p for p in problems(*arm(lag)) if p.kind == "lag")
        assert words in found.message


def test_actions_that_are_the_state_are_named() -> None:
    episodes, meta = arm(lag=0)
    copies = [dataclasses.replace(episode, action=episode.state) for episode in episodes]
    assert {p.kind for p in problems(copies, meta)} == {"copied_action"}


def test_degrees_are_named() -> None:
    (found, *_) = (p for p in problems(*arm(lag=2, scale=57.3)) if p.kind == "unit")
    assert "degrees" in found.message


def test_a_gripper_turned_round_in_some_episodes(pick: Episodes) -> None:
    harmed = [
        changed(e, action=lambda a: np.c_[a[:, :6], -a[:, 6]]) if i == 3 else e for i, e in enumerate(pick)
    ]
    (found,) = (p for p in problems(harmed) if p.kind == "gripper_sign")
    assert found.episode == 3


def test_stored_statistics_are_compared(pick: Episodes) -> None:
    class Told(Memory):
        def stored_statistics(self, index: int | None) -> dict[str, dict[str, Any]]:
            rows = [e.state for e in self.episodes] if index is None else [self.episodes[index].state]
            state = np.concatenate(rows)
            mean = state.mean(axis=0) + (0.1 if index == 4 else 0.0)
            return {
                "state": {"mean": mean, "std": state.std(axis=0), "min": state.min(0), "max": state.max(0)}
            }

    (found,) = validate(Told(pick)).problems
    assert (found.kind, found.episode) == ("statistics", 4)
    assert "The stored mean of state" in found.message


def test_kinds_are_skipped_when_told_so(pick: Episodes) -> None:
    harmed = [changed(pick[0], state=put(6, np.nan, 1)), *pick[1:]]
    assert validate(Memory(harmed), skip=["nan"]).problems == []


def test_the_language_tells_the_order_of_channels(pick: Episodes) -> None:
    def coloured(colour: tuple[int, int, int], seed: int) -> Episode:
        image = np.random.default_rng(seed).integers(90, 110, (2, 48, 48, 3), dtype=np.uint8)
        image[:, 10:20, 10:20] = colour
        text = "red block" if colour[0] > 100 else "blue block"
        rows = {n: (lambda a: a[:2]) for n in ("state", "action", "end", "target")}
        return dataclasses.replace(
            changed(pick[seed % 10], **rows), images={"front": image, "wrist": image}, text=text
        )

    right = [coloured((200, 20, 20) if i % 2 else (20, 20, 200), i) for i in range(24)]
    wrong = [changed(e, **{"images.front": lambda a: a[..., ::-1]}) for e in right]
    assert not [p for p in problems(right) if p.kind == "colour_order"]
    (found,) = (p for p in problems(wrong) if p.kind == "colour_order")
    assert "standard errors" in found.message
    assert "front" in found.message


def store(folder: Path, episodes: Episodes) -> EpisodeStore:
    with EpisodeStore.create_from(folder, META) as written:
        for episode in episodes:
            written.append(episode)
    return EpisodeStore.open(folder)


def test_before_training(tmp_path: Path, pick: Episodes) -> None:
    healthy = store(tmp_path / "a", pick[:5])
    assert check_before_training([healthy, store(tmp_path / "b", pick[5:])]) == []
    dark = changed(pick[7], **{"images.front": put(slice(None), 0)})
    found = check_before_training([healthy, store(tmp_path / "c", [pick[6], pick[1], dark])])
    assert [(p.kind, p.episode) for p in found] == [("black_image", 2), ("duplicate", 1)]
    assert str(tmp_path / "c") in found[0].message


def test_a_damaged_episode_is_named_and_the_rest_is_checked(tmp_path: Path, pick: Episodes) -> None:
    folder = store(tmp_path / "data", [pick[0], changed(pick[1], **{"images.front": put(4, 0)})]).folder
    content = bytearray((folder / "state.bin").read_bytes())
    content[7] ^= 1
    (folder / "state.bin").write_bytes(content)
    lines = (folder / "episodes.jsonl").read_text()
    (folder / "episodes.jsonl").write_text(lines + '{"episode": 2, "sta')
    report = validate(open_source(folder))
    assert [(p.kind, p.episode) for p in report.problems] == [
        ("checksum", 0),
        ("black_image", 1),
        ("uncommitted", None),
    ]
    assert json.loads(json.dumps(report.to_json()))["errors"][0]["kind"] == "checksum"
