"""`robot-skills eval SUITE FOLDER`: a trained folder on MetaWorld and Push-T, and what goes wrong."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_skills.cli.main import main
from robot_skills.policies import registry
from robot_skills.policies.policy import Chunk, PolicyInput
from robot_skills.robot import Float

pytest.importorskip("gymnasium")
from sim.suites import STEPS, SuiteTask

TASK, SEED = "reach-v3", 1_000_000


class Replay:
    """Plays the actions that lie in its folder, in one chunk, and notes what it was given."""

    history, cameras = 1, ("corner2",)
    seen: list[PolicyInput]

    def __init__(self, actions: Float) -> None:
        self.actions, self.chunk, self.execute = actions, len(actions), len(actions)
        Replay.seen = []

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        Replay.seen += inputs
        return [Chunk(self.actions, np.zeros(len(self.actions), np.float32)) for _ in inputs]

    @classmethod
    def from_pretrained(cls, folder: Path) -> Replay:
        return cls(np.load(folder / "actions.npy"))


def trained_folder(folder: Path, actions: Float, **config: object) -> Path:
    folder.mkdir()
    np.save(folder / "actions.npy", actions)
    settings = {"policy": "replay", "format_version": 1, "image_size": 32, **config}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(autouse=True)
def _replay(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.setattr(registry, "policy_class", lambda name: Replay)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def shown() -> Float:
    """What MetaWorld's expert does in one scene until the task is done."""
    pytest.importorskip("metaworld")
    from sim.metaworld import MetaWorld

    world, actions = MetaWorld(TASK, {}), []
    world.reset(SEED)
    while not world.success():
        actions.append(world.expert())
        world.act(actions[-1])
    world.close()
    return np.array(actions, np.float32)


def test_metaworld_from_a_folder(
    shown: Float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = len(shown) + 10  # less than the 500 of the benchmark, for a shorter film
    monkeypatch.setitem(STEPS, "metaworld", limit)
    folder = trained_folder(tmp_path / "replay", shown, state_size=4, action_size=4)
    result, films = tmp_path / "result.json", tmp_path / "films"
    command = ["eval", f"metaworld:{TASK}", str(folder), "--episodes", "2", "--local", "--json", str(result)]
    assert main([*command, "--videos", str(films)]) == 0
    data = json.loads(result.read_text())
    first, second = data["per_episode"]
    # The scene in which the actions were shown is done at the step at which it was done then; in the other
    # one the goal lies elsewhere, and the steps run out.
    assert (first["seed"], first["success"], first["steps"]) == (SEED, True, len(shown))
    assert (second["seed"], second["success"], second["steps"]) == (SEED + 1, False, limit)
    assert data["max_steps"] == limit
    assert data["score"] is None
    assert data["tasks"] == [
        {"task": TASK, "episodes": 2, "successes": 1, "interval": [0.0945, 0.9055]},
    ]
    output = capsys.readouterr().out
    assert f"done after {len(shown)} steps" in output
    assert f"1 of 2 (50 %, 95 % interval 9 to 91 %) within {limit} steps" in output
    given = Replay.seen[0]
    assert given.observation.images["corner2"].shape == (32, 32, 3)
    assert (given.text, given.skill) == ("reach", TASK)
    assert (films / f"metaworld_{TASK}_{SEED + 1}.mp4").stat().st_size > 1000
    assert len(list(films.glob("*.mp4"))) == 1


def test_robosuite_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("robosuite")
    pytest.importorskip("fast_simplification")
    from sim.suites import Trained, make_bench

    monkeypatch.setattr(Replay, "cameras", ())
    bench, actions = make_bench(SuiteTask("robosuite", "Lift"), Trained({}, 28, 7)), []
    bench.begin(SEED)
    while not bench.done():
        assert bench.expert is not None
        actions.append(bench.expert())
        bench.world.act(actions[-1])
    bench.world.close()
    limit = len(actions) + 5
    monkeypatch.setitem(STEPS, "robosuite", limit)
    folder = trained_folder(tmp_path / "replay", np.array(actions), state_size=28, action_size=7)
    result = tmp_path / "result.json"
    command = ["eval", "robosuite:Lift", str(folder), "--episodes", "2", "--local", "--json", str(result)]
    assert main(command) == 0
    first, second = json.loads(result.read_text())["per_episode"]
    assert (first["seed"], first["success"], first["steps"]) == (SEED, True, len(actions))
    assert (second["seed"], second["success"], second["steps"]) == (SEED + 1, False, limit)
    assert (Replay.seen[0].text, Replay.seen[0].skill) == ("lift", "Lift")


def test_push_t_tells_its_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gym_pusht")
    from sim.pusht import PushT

    target = np.full((50, 2), 256.0, np.float32)
    folder = trained_folder(tmp_path / "still", target, state_size=2, action_size=2)
    result = tmp_path / "result.json"
    assert main(["eval", "pusht", str(folder), "--episodes", "2", "--local", "--json", str(result)]) == 0
    data = json.loads(result.read_text())
    scores = []
    for seed in (100_000, 100_001):
        world = PushT("agent", {})
        world.reset(seed)
        while not world.done:
            world.act(target[0])
        scores.append(world.score)
    assert [row["score"] for row in data["per_episode"]] == pytest.approx(scores)
    assert data["score"] == pytest.approx(np.mean(scores), abs=1e-4)
    assert [row["steps"] for row in data["per_episode"]] == [300, 300]
    assert f"mean score {np.mean(scores):.3f}" in capsys.readouterr().out
    assert Replay.seen[0].history.shape == (1, 2)  # the agent's place alone, as it was trained


def test_a_part_of_the_state_that_was_learned_from(tmp_path: Path) -> None:
    pytest.importorskip("metaworld")
    still = np.zeros((500, 4), np.float32)
    folder = trained_folder(tmp_path / "blind", still, state_size=3, action_size=4)
    (folder / "training.json").write_text(json.dumps({"recipe": {"state": ["ee.*"]}}))
    assert main(["eval", f"metaworld:{TASK}", str(folder), "--episodes", "1", "--local"]) == 0
    assert Replay.seen[0].history.shape == (1, 3)


def test_push_t_from_keypoints_as_its_recordings_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gym_pusht")
    monkeypatch.setattr(Replay, "cameras", ())
    target = np.full((300, 2), 256.0, np.float32)
    folder = trained_folder(tmp_path / "keypoints", target, state_size=20, action_size=2)
    (folder / "training.json").write_text(json.dumps({"recipe": {"state": ["keypoint", "agent.*"]}}))
    Replay.cameras = ()
    assert main(["eval", "pusht", str(folder), "--episodes", "1", "--local"]) == 0
    assert Replay.seen[0].history.shape == (1, 20)


def test_runners_travel_to_other_processes() -> None:
    from robot_skills.cli.suites import SuiteRunner

    runner = SuiteRunner("folder", (SuiteTask("pusht", "pusht"), SuiteTask("metaworld", TASK)), 3, 7)
    again = pickle.loads(pickle.dumps(runner))
    assert again == runner
    assert again.episode(4) == (SuiteTask("metaworld", TASK), 8)


def test_bad_input_is_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("metaworld")
    pytest.importorskip("gym_pusht")
    four, seven = np.zeros((5, 4), np.float32), np.zeros((5, 7), np.float32)
    wide = str(trained_folder(tmp_path / "wide", seven, state_size=4, action_size=7))
    many = str(trained_folder(tmp_path / "many", four, state_size=38, action_size=4))
    for arguments, words in (
        (["pusht"], "robot-skills eval pusht FOLDER"),
        (["pick", wide], "suite"),
        (["metaworld:reach-v2", wide], "Did you mean 'reach-v3'"),
        (["metaworld:50", wide], "0 to 49"),
        (["pusht", str(tmp_path / "none")], "is not a trained policy"),
        (["metaworld:0", wide], "actions of 7 numbers; metaworld takes 4"),
        (["metaworld:0", many], "sees 38 numbers as its state; metaworld offers 4"),
        (["metaworld:0", wide, "--library", str(tmp_path)], "takes neither"),
        (["metaworld:0", wide, "--execute", "2"], "no setting for the number of actions"),
    ):
        assert main(["eval", *arguments, "--local", "--episodes", "1"]) == 2, arguments
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_a_camera_that_the_simulator_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("metaworld")
    monkeypatch.setattr(Replay, "cameras", ("front",))
    folder = trained_folder(tmp_path / "front", np.zeros((5, 4), np.float32), state_size=4, action_size=4)
    assert main(["eval", f"metaworld:{TASK}", str(folder), "--local", "--episodes", "1"]) == 2
    error = capsys.readouterr().err
    assert "corner2" in error
    assert error.count("\n") == 1
