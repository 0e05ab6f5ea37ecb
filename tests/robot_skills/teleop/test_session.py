"""A sitting at the keys, with a point for a robot: what is saved, and what each key does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from robot_skills.data.collection import CollectReport
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.robot import Float
from robot_skills.skill import SkillCall
from robot_skills.teleop.keys import Pressed, Status
from robot_skills.teleop.recorder import HOLD, Trial
from robot_skills.teleop.script import ScriptedWindow, read_script
from robot_skills.teleop.session import Station, record
from robot_skills.training.recipe import CollectRecipe
from tests.robot_skills.point import Point

RECIPE = CollectRecipe("pick", episodes=5, first_seed=20, image_size=(4, 4), workers=1)


class Bench:
    """A point that starts at the seed's place; the goal is to be above 5 cm."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.point = folder, Point()
        self.said: list[str] = []
        self.shown: list[Status] = []
        self.begun: list[int] = []

    def begin(self, seed: int) -> Trial:
        self.begun.append(seed)
        self.point.position, self.point.actions = np.array([seed / 100, 0.0, 0.0]), []
        return Trial(
            seed=seed,
            call=SkillCall("pick", {"object": f"block {seed}"}),
            text=f"block {seed}",
            scene={"place": seed},
            closed=False,
            target=lambda: np.array([0.0, 0.0, self.point.position[2]]),
            reached=lambda: bool(self.point.position[2] > 0.05),
        )

    def play(self, keys: str, recipe: CollectRecipe = RECIPE) -> CollectReport:
        """Play a script, its lines split by semicolons, into the store."""
        script = self.folder.with_suffix(".txt")
        script.write_text(keys.replace(";", "\n"))
        window = Watched(ScriptedWindow(read_script(script, 10.0)), self.shown.append)
        station = Station(self.point, self.begin, window, "keyboard script", self.said.append)
        return record(recipe, self.folder, station, "robot-skills collect pick.yaml --teleop keyboard")

    @property
    def seeds(self) -> list[int | None]:
        return [episode.seed for episode in EpisodeStore.open(self.folder).episodes]


@dataclasses.dataclass
class Watched:
    """A window that remembers what it was shown."""

    window: ScriptedWindow
    show: Callable[[Status], None]

    def poll(self) -> Pressed:
        return self.window.poll()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "data")


def rows(*parts: tuple[int, tuple[float, ...]]) -> Float:
    return np.array([move for count, move in parts for _ in range(count)], np.float32)


UP, UP_SHUT = (0, 0, 0.4, 0, 0, 0, -1), (0, 0, 0.4, 0, 0, 0, 1)
REST, REST_SHUT = (0, 0, 0, 0, 0, 0, -1), (0, 0, 0, 0, 0, 0, 1)


def test_an_episode_is_what_a_policy_needs(bench: Bench) -> None:
    bench.play("wait x9; q x3; space; q x2; wait; enter")
    episode = EpisodeStore.open(bench.folder).read(0)
    # Waiting before the first key leaves no trace; the last rows hold still and say that it is over.
    wanted = rows((3, UP), (1, REST_SHUT), (2, UP_SHUT), (1 + HOLD, REST_SHUT))
    np.testing.assert_allclose(episode.action, wanted)
    np.testing.assert_array_equal(episode.end, [0] * 7 + [1] * HOLD)
    # State, picture and target are those before the action of their row.
    np.testing.assert_allclose(
        episode.state[:, 2], 0.02 * np.array([0, 1, 2, 3, 3, 4, 5, 5, 5, 5, 5]), atol=1e-6
    )
    np.testing.assert_array_equal(episode.images["front"][:, 0, 0, 0], range(11))
    np.testing.assert_allclose(episode.target[:, 2], episode.state[:, 2])
    assert (episode.text, episode.seed, episode.expert) == ("block 20", 20, "keyboard script")
    assert episode.call == SkillCall("pick", {"object": "block 20"})
    assert episode.scene == {"place": 20}
    assert (episode.outcome, episode.attributes) == (
        "succeeded",
        {"marked": "succeeded", "success_formula": True},
    )


def test_time_waits_for_a_person_who_hesitates(bench: Bench) -> None:
    bench.play("q x4; wait x50; q x2; wait x50; enter")
    episode = EpisodeStore.open(bench.folder).read(0)
    # After a motion: one step to see that the arm has stopped, and HOLD at rest.
    wanted = rows((4, UP), (1 + HOLD - 1, REST), (1, REST), (2, UP), (1 + HOLD, REST))
    np.testing.assert_allclose(episode.action, wanted)
    assert episode.end.sum() == HOLD
    assert episode.end[-HOLD:].all()
    modes = [status.mode for status in bench.shown]
    assert modes[0] == "ready"
    assert "still" in modes


def test_pause_stops_time_and_motion(bench: Bench) -> None:
    bench.play("q x2; p; q x20; space; p; q; enter")
    episode = EpisodeStore.open(bench.folder).read(0)
    # The step in which P went down the second time is no longer paused.
    np.testing.assert_allclose(episode.action, rows((2, UP), (1, REST), (1, UP), (HOLD, REST)))
    assert "paused" in [status.mode for status in bench.shown]


def test_discarding_leaves_nothing_behind(bench: Bench) -> None:
    bench.play("q x9; r; q x3; enter; q x5; n; q x3; enter")
    assert bench.begun == [20, 20, 21, 22, 23]
    assert bench.seeds == [20, 22]
    assert len(EpisodeStore.open(bench.folder).read(0)) == 3 + HOLD


def test_a_key_held_over_the_end_does_not_begin_the_next_episode(bench: Bench) -> None:
    bench.play("q x9; 0.4 enter; 2.0 q x4; enter")
    lengths = [episode.length for episode in EpisodeStore.open(bench.folder).episodes]
    assert lengths == [4 + HOLD, 4 + HOLD]


def test_failures_are_dropped_and_counted(bench: Bench) -> None:
    report = bench.play("q x1; f; q x3; enter; q x3; f")
    assert bench.seeds == [21]
    assert report.failures == {"marked as failed": 2}
    assert report.tried == 3
    # The goal was reached the second time: perhaps she meant Enter.
    assert [said for said in bench.said if "Warning" in said] == [
        "Dropped seed 22: marked as failed. Warning: the simulator's success formula holds; was it a success?"
    ]


def test_a_mark_that_the_simulator_doubts_is_kept_with_a_warning(bench: Bench) -> None:
    bench.play("q x2; enter; q x3; enter")
    assert "does not hold; U takes the episode back" in bench.said[0]
    marks = [episode.attributes for episode in EpisodeStore.open(bench.folder).episodes]
    assert [mark["success_formula"] for mark in marks] == [False, True]
    card = (bench.folder / "README.md").read_text()
    assert "success formula did not hold: episodes 0." in card
    assert "demonstrated by keyboard script\n" in card


def test_nothing_is_saved_before_the_arm_moves(bench: Bench) -> None:
    bench.play("enter; f")
    assert bench.seeds == []
    assert bench.said == ["Nothing is recorded yet: move the arm first."] * 2


def test_undo_takes_the_last_episode_back_and_does_it_again(bench: Bench) -> None:
    bench.play("q x3; enter; q x3; enter; q x3; u; q x5; enter; q x3")
    assert bench.begun == [20, 21, 22, 21, 22]
    store = EpisodeStore.open(bench.folder)
    assert [(episode.seed, episode.length) for episode in store.episodes] == [(20, 3 + HOLD), (21, 5 + HOLD)]
    assert store.frames == 8 + 2 * HOLD
    assert bench.said[-1] == "Ended in mid-episode: 3 steps of seed 22 are not saved."


def test_undo_reaches_into_an_earlier_run_only_when_asked_twice(bench: Bench) -> None:
    bench.play("q x3; enter; q x3; enter")
    bench.play("u; h; u; q x3")  # another key in between: asked anew
    assert bench.seeds == [20, 21]
    assert bench.said.count("Episode 1 was saved in an earlier run: press U again to take it back.") == 2
    bench.play("u; u; q x4; enter; u; u; u")
    assert bench.seeds == []
    assert bench.said[-1] == "Took episode 0 back; seed 20 again."
    bench.play("u")
    assert bench.said[-1] == "There is no saved episode to take back."


def test_the_same_command_goes_on_with_the_next_seed(bench: Bench) -> None:
    bench.play("q x3; enter; q x1; f; q x3; enter; q x3; escape; q x3; enter")
    assert bench.seeds == [20, 22]
    report = bench.play("q x1; f; q x3; enter")
    assert bench.seeds == [20, 22, 24]
    assert report.failures == {"marked as failed": 2}


def test_enough_is_enough_but_the_last_can_be_taken_back(bench: Bench) -> None:
    recipe = dataclasses.replace(RECIPE, episodes=2)
    bench.play("q x3; enter; q x3; enter; q x3; enter; space; n", recipe)
    assert bench.seeds == [20, 21]
    assert bench.shown[-1].mode == "done"
    assert "All 2 are saved" in bench.shown[-1].message
    bench.play("u; u; q x7; enter", recipe)
    assert [episode.length for episode in EpisodeStore.open(bench.folder).episodes] == [3 + HOLD, 7 + HOLD]


def test_an_interrupt_loses_nothing_that_was_saved(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    act, calls = bench.point.act, 0

    def interrupted(action: Float) -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt
        act(action)

    monkeypatch.setattr(bench.point, "act", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.play("q x3; enter; q x90; enter")
    assert bench.seeds == [20]
    assert "1 demonstrations" in (bench.folder / "README.md").read_text()
    bench.play("q x3; enter")
    assert bench.seeds == [20, 21]


def test_other_collections_are_left_alone(bench: Bench) -> None:
    bench.play("q x3; enter")
    with pytest.raises(InputError, match=r"another recipe \(first_seed differ\)"):
        bench.play("q x3; enter", dataclasses.replace(RECIPE, first_seed=30))
    bench.play("q x3; enter", dataclasses.replace(RECIPE, noise=0.1))  # plays no part by hand
    assert bench.seeds == [20, 21]


def test_seeds_for_validation_are_not_recorded(bench: Bench) -> None:
    recipe = dataclasses.replace(RECIPE, first_seed=899_999)
    with pytest.raises(InputError, match="no seeds for training after 899999"):
        bench.play("q x3; enter", recipe)
    assert bench.seeds == [899_999]
