"""`robot-skills collect --teleop` on the tabletop: the shipped key script picks two things for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from robot_skills.cli.main import main
from robot_skills.data.files import EPISODES
from robot_skills.data.store import EpisodeStore
from robot_skills.teleop.keys import Status

pytest.importorskip("pybullet")
RECIPE = "datasets/tabletop_pick.yaml"
SCRIPT = "datasets/keys/pick.txt"


def collect(folder: Path, keys: Path | str, *more: str) -> int:
    options = ["-o", str(folder), "--teleop", "keyboard", "--keys", str(keys), *more]
    return main(["collect", RECIPE, *options])


@pytest.fixture(scope="module")
def picked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teleop") / "data"
    assert collect(folder, SCRIPT, "--json", str(folder.parent / "result.json")) == 0
    return folder


def test_the_shipped_script_picks(picked: Path) -> None:
    store = EpisodeStore.open(picked)
    assert [episode.seed for episode in store.episodes] == [0, 1]
    for number in range(2):
        episode = store.read(number)
        assert episode.attributes == {"marked": "succeeded", "success_formula": True}
        assert episode.expert == "keyboard script"
        assert episode.end.sum() == 4
        assert episode.end[-4:].all()
        assert episode.images["front"].shape == (len(episode), 64, 64, 3)
        assert np.abs(episode.target[0] - episode.state[0, :3]).max() < 0.3
        # What it picks lies between the fingers at the end, and was lifted by at least 10 cm.
        assert np.linalg.norm(episode.target[-1] - episode.state[-1, :3]) < 0.02
        assert episode.target[-1, 2] - episode.target[0, 2] > 0.10
    result = json.loads((picked.parent / "result.json").read_text())
    assert (result["episodes"], result["tried"]) == (2, 2)


def test_the_actions_lead_through_the_same_states_again(picked: Path) -> None:
    from sim.tabletop.tasks import sample_task
    from sim.tabletop.world import TabletopWorld

    world = TabletopWorld()
    for number in range(2):
        episode = EpisodeStore.open(picked).read(number)
        assert episode.seed is not None
        sample_task("pick", episode.seed).start(world)
        for row in range(len(episode)):
            seen = world.observe()
            np.testing.assert_array_equal(seen.state, episode.state[row])
            np.testing.assert_array_equal(seen.images["wrist"], episode.images["wrist"][row])
            world.act(episode.action[row])
    world.close()


def test_a_held_thing_stays_in_the_hand(tmp_path: Path) -> None:
    recipe, keys = tmp_path / "place.yaml", tmp_path / "keys.txt"
    recipe.write_text("{skill: place, episodes: 1, first_seed: 5, image_size: [16, 16]}")
    keys.write_text("q x2\nenter\n")
    options = ["-o", str(tmp_path / "data"), "--teleop", "keyboard", "--keys", str(keys)]
    assert main(["collect", str(recipe), *options]) == 0
    episode = EpisodeStore.open(tmp_path / "data").read(0)
    assert (episode.action[:, 6] == 1).all()
    assert episode.state[:, 9].min() > 0.02
    assert episode.attributes["success_formula"] is False


def test_a_person_in_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    from sim.tabletop.window import TabletopWindow

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    show, frames = TabletopWindow.show, iter(range(1000))
    down, up = pygame.KEYDOWN, pygame.KEYUP
    fingers = {
        1: (down, pygame.K_q),
        4: (up, pygame.K_q),
        6: (down, pygame.K_RETURN),
        8: (down, pygame.K_ESCAPE),
    }

    def show_and_press(window: TabletopWindow, status: Status) -> None:
        show(window, status)
        frame = next(frames)
        if frame in fingers:
            kind, key = fingers[frame]
            pygame.event.post(pygame.event.Event(kind, key=key))

    monkeypatch.setattr(TabletopWindow, "show", show_and_press)
    assert main(["collect", RECIPE, "-o", str(tmp_path / "data"), "--teleop", "keyboard"]) == 0
    episode = EpisodeStore.open(tmp_path / "data").read(0)
    assert episode.expert == "keyboard"
    np.testing.assert_allclose(episode.action[:3, 2], 0.4)
    assert np.abs(episode.action[3:, :6]).max() == 0
    assert episode.state[-1, 2] - episode.state[0, 2] > 0.05


def test_a_killed_session_goes_on_with_the_next_seed(tmp_path: Path) -> None:
    keys, folder = tmp_path / "keys.txt", tmp_path / "data"
    keys.write_text("q x3\nenter\n" + "q x8\ne x8\n" * 5000)
    command = [sys.executable, "-m", "robot_skills.cli.main", "collect", RECIPE, "-o", str(folder)]
    process = subprocess.Popen([*command, "--teleop", "keyboard", "--keys", str(keys)])
    try:
        lines = folder / EPISODES
        deadline = time.monotonic() + 120
        while not (lines.exists() and lines.read_text().endswith("\n")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert [episode.seed for episode in EpisodeStore.open(folder).episodes] == [0]
    keys.write_text("e x3\nenter\nq x3\nescape\n")
    assert collect(folder, keys) == 0
    assert [episode.seed for episode in EpisodeStore.open(folder).episodes] == [0, 1]


def test_a_session_that_saves_nothing_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys.txt").write_text("q x3\n")
    assert collect(tmp_path / "data", tmp_path / "keys.txt") == 1
    assert "Ended in mid-episode: 3 steps of seed 0 are not saved." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keys", SCRIPT], "give --teleop keyboard too"),
        (["--teleop", "keyboard", "--workers", "2"], "--workers does not go with --teleop"),
        (["--teleop", "joystick"], "invalid choice: 'joystick'"),
        (["--teleop", "keyboard", "--keys", "missing.txt"], "missing.txt cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", RECIPE, "-o", str(tmp_path / "data"), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_without_a_display_it_says_so_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("pygame")
    bare = {"PATH": os.environ["PATH"]}  # no DISPLAY, no WAYLAND_DISPLAY
    command = [sys.executable, "-m", "robot_skills.cli.main", "collect", RECIPE, "-o", str(tmp_path / "data")]
    done = subprocess.run(
        [*command, "--teleop", "keyboard"], env=bare, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "robot-skills: There is no display for the window: on a machine without one, play a key script with "
        "--keys FILE.\n"
    )


def test_a_scripted_collection_is_not_mixed_with_one_by_hand(
    picked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", RECIPE, "-o", str(picked), "--local"]) == 2
    assert "another recipe (misled, noise, teleop differ)" in capsys.readouterr().err
