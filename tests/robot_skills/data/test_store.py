"""The episode store as a user meets it: append, be killed, come back, share, and be told what is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from robot_skills.data import store as store_module
from robot_skills.data.episode import Episode
from robot_skills.data.meta import Feature
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.robot import OSC_POSE, ActionSpace
from tests.robot_skills.training.tiny import SIZE, make_episode, make_store

CAMERAS = {"front": SIZE, "wrist": SIZE}


def assert_holds(store: EpisodeStore, seeds: list[int]) -> None:
    """Every array of every episode is what `make_episode` made."""
    assert [record.seed for record in store.episodes] == seeds
    for number, seed in enumerate(seeds):
        found = store.read(number)
        made = make_episode(seed, len(found))
        for name in ("state", "action", "end", "target"):
            assert np.array_equal(getattr(found, name), getattr(made, name)), name
        for camera in CAMERAS:
            assert np.array_equal(found.images[camera], made.images[camera])
        assert (found.text, found.call, found.scene, found.expert, found.outcome) == (
            *(made.text, made.call, made.scene, made.expert),
            "succeeded",
        )


def test_episodes_come_back_as_they_were_appended(tmp_path: Path) -> None:
    store = EpisodeStore.open(make_store(tmp_path / "data", episodes=4))
    assert_holds(store, [0, 1, 2, 3])
    assert store.frames == 10 + 11 + 12 + 13
    assert store.meta.cameras == CAMERAS
    assert store.meta.control_rate == 20.0
    assert [record.rows for record in store.episodes][1] == slice(10, 21)
    assert isinstance(store.images("front"), np.memmap)


def test_a_store_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "data", episodes=2)
    before = EpisodeStore.open(folder)
    with EpisodeStore.open(folder, append=True) as store:
        store.append(make_episode(7))
        assert_holds(store, [0, 1, 7])
        assert_holds(EpisodeStore.open(folder), [0, 1, 7])  # read while it is being written
    assert_holds(before, [0, 1])  # a snapshot


def test_what_a_killed_writer_left_is_never_read_and_cut_off(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "data", episodes=2)
    for name, junk in (("images.front", b"\7" * 5000), ("state", b"\7" * 40), ("end", b"\7")):
        with (folder / f"{name}.bin").open("ab") as file:
            file.write(junk)
    with (folder / "episodes.jsonl").open("ab") as file:
        file.write(b'{"episode": 2, "start": 21, "len')
    assert_holds(EpisodeStore.open(folder), [0, 1])
    with EpisodeStore.open(folder, append=True) as store:
        store.append(make_episode(9))
    assert_holds(EpisodeStore.open(folder), [0, 1, 9])
    assert (folder / "end.bin").stat().st_size == 4 * (10 + 11 + 12)


def test_a_writer_killed_outright_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    script = (
        "import itertools, sys; from robot_skills.data.store import EpisodeStore\n"
        "from tests.robot_skills.training.tiny import SIZE, make_episode\n"
        "store = EpisodeStore.create(sys.argv[1], {'front': SIZE, 'wrist': SIZE}, 20.0)\n"
        "for seed in itertools.count(): store.append(make_episode(seed))\n"
    )
    folder = tmp_path / "data"
    writer = subprocess.Popen([sys.executable, "-c", script, str(folder)], cwd=Path(__file__).parents[3])
    lines = folder / "episodes.jsonl"
    deadline = time.monotonic() + 60
    while not (lines.exists() and lines.read_bytes().count(b"\n") >= 3):
        assert time.monotonic() < deadline
        assert writer.poll() is None
        time.sleep(0.02)
    with pytest.raises(InputError, match="Another process is appending"):
        EpisodeStore.open(folder, append=True)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    with EpisodeStore.open(folder, append=True) as store:  # the lock went with the process
        count = len(store.episodes)
        store.append(make_episode(count))
    assert count >= 3
    assert_holds(EpisodeStore.open(folder), list(range(count + 1)))


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_store(tmp_path / "data", episodes=1)
    inner = store_module.write_all

    def write(file, data):  # type: ignore[no-untyped-def]
        if file.name.endswith("action.bin"):
            raise OSError(28, "No space left on device")
        inner(file, data)

    with EpisodeStore.open(folder, append=True) as store:
        monkeypatch.setattr(store_module, "write_all", write)
        with pytest.raises(OSError, match="No space"):
            store.append(make_episode(1))
        monkeypatch.undo()
        store.append(make_episode(2))
    assert_holds(EpisodeStore.open(folder), [0, 2])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"state": np.zeros((12, 9), np.float32)},
            r"state should be float32 \(12, 10\), not float32 \(12, 9\)",
        ),
        ({"action": np.full((12, 7), 1.5, np.float32)}, r"'dx' lies in \[-1, 1\]; at step 0 it is 1.5"),
        ({"end": np.zeros(12)}, "end should be float32"),
        (
            {"images": {"front": np.zeros((12, *SIZE, 3), np.uint8)}},
            "has the cameras front; the store has front, w",
        ),
        ({"action": np.full((12, 7), np.nan, np.float32)}, "not finite, first at step 0"),
    ],
)
def test_an_episode_that_does_not_fit_is_refused(tmp_path: Path, changes: dict, words: str) -> None:  # type: ignore[type-arg]
    with EpisodeStore.create(tmp_path / "data", CAMERAS, 20.0) as store:
        with pytest.raises(InputError, match=words):
            store.append(make_episode(0, **changes))
        store.append(make_episode(0, target=np.full((12, 3), np.nan, np.float32)))  # unknown is allowed
    assert EpisodeStore.open(tmp_path / "data").frames == 12


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a data set: there is no such folder"):
        EpisodeStore.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no meta\.json"):
        EpisodeStore.open(tmp_path)
    folder = make_store(tmp_path / "data")
    with pytest.raises(InputError, match="holds a data set already"):
        EpisodeStore.create(folder, CAMERAS, 20.0)
    store = EpisodeStore.open(folder)
    with pytest.raises(InputError, match="open for reading"):
        store.append(make_episode(1))
    with pytest.raises(InputError, match="Did you mean 'front'"):
        store.images("frunt")
    with pytest.raises(InputError, match="has the episodes 0 to 5, not 6"):
        store.read(6)

    size = (folder / "action.bin").stat().st_size
    os.truncate(folder / "action.bin", size - 4)
    for append in (False, True):
        with pytest.raises(InputError, match=r"action.bin is truncated: 6 episodes with 75 steps need 2,100"):
            EpisodeStore.open(folder, append)
    (folder / "episodes.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"episodes.jsonl, line 1 is damaged"):
        EpisodeStore.open(folder)
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "format_version": 9}))
    with pytest.raises(InputError, match="has format version 9; this release reads versions 1 and 2"):
        EpisodeStore.open(folder)


def test_statistics_are_those_of_the_rows(tmp_path: Path) -> None:
    episode = make_episode(0, 50)
    still = episode.action.copy()
    still[:, 6] = -1.0
    unknown = episode.target.copy()
    unknown[:25] = np.nan
    with EpisodeStore.create(tmp_path / "data", CAMERAS, 20.0) as store:
        store.append(dataclasses.replace(episode, action=still, target=unknown))
        found = store.statistics()
    assert np.allclose(found["state_mean"], episode.state.mean(0), atol=1e-6)
    assert np.allclose(found["state_std"], episode.state.std(0), atol=1e-6)
    assert np.allclose(found["target_mean"], episode.target[25:].mean(0), atol=1e-6)
    assert found["action_mean"][6] == -1.0
    assert found["action_std"][6] == 1.0  # constant: nothing to divide by


JOINTS = ActionSpace.unlimited(("shoulder", "elbow"), relative=False)


def make_joint_episode(seed: int, model: str) -> Episode:
    random = np.random.default_rng(seed)
    return Episode(
        images={},
        state=random.normal(size=(5, 3)).astype(np.float32),
        action=random.normal(0, 90, (5, 2)).astype(np.float32),
        end=np.zeros(5, np.float32),
        target=np.full((5, 3), np.nan, np.float32),
        text="wave",
        extras={"sim.state": random.normal(size=(5, 4)), "next.done": random.random(5) > 0.5},
        attributes={"model_file": model, "operator": "a person"},
    )


def test_other_actions_extra_features_and_attributes_travel(tmp_path: Path) -> None:
    model = "<mujoco>" + "x" * 10_000 + "\r\n</mujoco>"
    episodes = [make_joint_episode(seed, model) for seed in range(2)]
    with EpisodeStore.create(
        tmp_path / "data",
        {},
        30.0,
        ("a", "b", "c"),
        action=JOINTS,
        extras={name: Feature.of(rows) for name, rows in episodes[0].extras.items()},
    ) as store:
        for episode in episodes:
            store.append(episode)
    store = EpisodeStore.open(tmp_path / "data")
    assert store.meta.action == JOINTS
    assert store.meta.extras["sim.state"] == Feature("<f8", (4,))
    for number, episode in enumerate(episodes):
        for read in (store.read(number), store.view(number)):
            assert np.array_equal(read.action, episode.action)
            assert all(np.array_equal(read.extras[name], rows) for name, rows in episode.extras.items())
            assert read.attributes == episode.attributes
    assert len(list((tmp_path / "data" / "texts").iterdir())) == 1  # one text for both
    assert (tmp_path / "data" / "episodes.jsonl").stat().st_size < 2000
    next((tmp_path / "data" / "texts").iterdir()).write_text("other")
    with pytest.raises(InputError, match="damaged: its content does not match its name"):
        store.read(0)


def test_the_last_episode_can_be_taken_back(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "data", episodes=3)
    with EpisodeStore.open(folder, append=True) as store:
        assert store.drop_last().seed == 2
        assert_holds(store, [0, 1])
        assert_holds(EpisodeStore.open(folder), [0, 1])
        store.append(make_episode(7))
        assert_holds(store, [0, 1, 7])
        for _ in range(3):
            store.drop_last()
        with pytest.raises(InputError, match="no episode to drop"):
            store.drop_last()
    with pytest.raises(InputError, match="open for reading"):
        EpisodeStore.open(folder).drop_last()


def test_a_store_of_the_first_version_is_read_and_goes_on(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "data", episodes=2)
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(
        json.dumps({**{k: v for k, v in meta.items() if k not in ("action", "extras")}, "format_version": 1})
    )
    lines = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    old = [json.dumps({k: v for k, v in line.items() if k != "attributes"}) for line in lines]
    (folder / "episodes.jsonl").write_text("".join(f"{line}\n" for line in old))
    with EpisodeStore.open(folder, append=True) as store:
        store.append(make_episode(2))
    assert_holds(EpisodeStore.open(folder), [0, 1, 2])
    assert EpisodeStore.open(folder).meta.action == OSC_POSE


@pytest.mark.parametrize("name", ["state", "images.front", "a/b", "", ".hidden"])
def test_a_feature_s_name_is_a_file_s_and_its_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        EpisodeStore.create(tmp_path / "data", CAMERAS, 20.0, extras={name: Feature("<f4")})
    assert not (tmp_path / "data").exists()
