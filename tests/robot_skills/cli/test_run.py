"""`robot-skills run`, in the simulator. The goal is told as a formula, so that no language model is needed;
where a run must succeed, the scripted experts stand in for trained policies."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from robot_skills import serving
from robot_skills.cli import run
from robot_skills.cli.film import CAPTION, COLUMN, HEIGHT, WIDTH, Film, sheet_path
from robot_skills.cli.main import main
from robot_skills.execution import Pending
from robot_skills.library import SkillLibrary
from robot_skills.policies.policy import PolicyInput
from robot_skills.skill import SkillCall
from robot_skills.symbolic.composition import compose
from tests.robot_skills.cli import told
from tests.robot_skills.cli.conftest import Substitute
from tests.robot_skills.cli.experts import ExpertChunks
from tests.robot_skills.small_policy import make_library

KEYS = {
    *(
        "command",
        "goal",
        "plan",
        "verified",
        "refused",
        "question",
        "seconds",
        "expected_success",
        "diagnoses",
    ),
    *("outcomes", "replans", "success", "perception", "video"),
}
SCENE = """\
objects:
- {kind: block, colour: red, size: large, position: [0.50, -0.10, 0.025]}
- {kind: bowl, colour: white, size: small, position: [0.57, 0.02, 0.0225]}
button: [0.40, -0.20]
"""


@pytest.fixture(autouse=True)
def _no_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "make_planner", told.make_planner)


@pytest.fixture
def scene(tmp_path: Path) -> str:
    (tmp_path / "scene.yaml").write_text(SCENE)
    return str(tmp_path / "scene.yaml")


@pytest.fixture
def library(tmp_path: Path) -> str:
    return str(make_library(tmp_path / "lib", ("press", "open", "pick", "place")))


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(address: str | None = None) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr(serving, "start_ray", fail)


def result_of(arguments: list[str], folder: Path, code: int) -> dict[str, Any]:
    path = folder / "out" / "result.json"
    assert main(["run", *arguments, "--json", str(path)]) == code
    data: dict[str, Any] = json.loads(path.read_text())
    assert data.keys() >= KEYS
    return data


def test_a_goal_is_planned_carried_out_and_judged(
    tmp_path: Path, scene: str, library: str, experts: Substitute, capsys: pytest.CaptureFixture[str]
) -> None:
    experts(ExpertChunks)
    goal = "pressed(button) and holding(red block)"
    page = tmp_path / "out" / "page.html"
    arguments = [goal, "--scene", scene, "--library", library, "--local", "--html", str(page)]
    data = result_of(arguments, tmp_path, 0)
    assert data["success"]
    assert data["summary"] == "I pressed the button and picked up the red block."
    assert data["goal"] == goal
    shown = page.read_text()
    assert shown.count("<section>") == 2
    assert shown.index("pressed(button)</code></li>") < shown.index("holding(red block)</code></li>")
    assert [step["skill"] for step in data["plan"]] == ["press", "pick"]
    assert [outcome["status"] for outcome in data["outcomes"]] == ["succeeded", "succeeded"]
    assert (data["replans"], data["perception"], data["video"]) == (0, "oracle", None)
    text = capsys.readouterr().out
    assert text.index("1. press") < text.index("✓ 1/2") < text.index("✓ 2/2") < text.index("Done.")
    assert "simulator's state" in text


def test_a_composite_is_one_step_of_the_plan_and_all_of_its_steps_are_done(
    tmp_path: Path, scene: str, library: str, experts: Substitute
) -> None:
    experts(ExpertChunks)
    names = ("pick(object=object)", "place(object=object, relation=in, target=target)")
    steps, known = tuple(map(SkillCall.parse, names)), SkillLibrary.open(library)
    known.add_composite(compose("put_in", steps, known.skills), steps, "")
    goal = "in(red block, white bowl)"
    data = result_of([goal, "--scene", scene, "--library", library, "--local"], tmp_path, 0)
    assert data["success"]
    assert [step["skill"] for step in data["plan"]] == ["put_in"]
    (outcome,) = data["outcomes"]
    assert (outcome["skill"], outcome["status"]) == ("put_in", "succeeded")
    assert outcome["reason"] == "All 2 steps worked."


def test_untrained_policies_fail_and_are_reported(tmp_path: Path, scene: str, library: str) -> None:
    """The small policies look at 16 pixels, and the world shows them 64."""
    data = result_of(["open(drawer)", "--scene", scene, "--library", library, "--local"], tmp_path, 1)
    (outcome,) = data["outcomes"]
    assert (data["success"], outcome["status"], outcome["steps"]) == (False, "aborted", 0)
    assert "16, 16, 3" in outcome["reason"]
    assert "open" in data["reason"]


@pytest.mark.usefixtures("no_ray")
def test_a_refused_command_starts_no_ray_and_no_film(
    tmp_path: Path, scene: str, library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film = tmp_path / "films" / "film.mp4"
    arguments = ["on(white bowl, drawer)", "--scene", scene, "--library", library, "--video", str(film)]
    data = result_of(arguments, tmp_path, 2)
    assert data["refused"]
    assert (data["plan"], data["verified"], data["success"], data["video"]) == ([], False, False, None)
    assert "Refused." in capsys.readouterr().out
    assert not film.parent.exists()


@pytest.mark.usefixtures("no_ray")
def test_what_is_so_already_needs_no_skill_and_can_be_filmed(tmp_path: Path, scene: str) -> None:
    film = tmp_path / "films" / "film.mp4"
    library = str(make_library(tmp_path / "cards"))
    arguments = ["closed(drawer)", "--scene", scene, "--library", library, "--video", str(film)]
    data = result_of(arguments, tmp_path, 0)
    assert (data["success"], data["plan"], data["outcomes"]) == (True, [], [])
    assert data["video"] == str(film)
    assert sorted(path.name for path in film.parent.iterdir()) == ["film.mp4", "film.png"]


def test_control_c_stops_the_arm_and_keeps_the_result(
    tmp_path: Path, scene: str, library: str, experts: Substitute
) -> None:
    class Interrupted(ExpertChunks):
        asked = 0

        def request(self, given: PolicyInput) -> Pending:
            type(self).asked += 1
            if self.asked == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return super().request(given)

    before = signal.getsignal(signal.SIGINT)
    experts(Interrupted)
    data = result_of(["pressed(button)", "--scene", scene, "--library", library, "--local"], tmp_path, 130)
    (outcome,) = data["outcomes"]
    assert (outcome["status"], outcome["steps"], data["success"]) == ("preempted", 2, False)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_skill_that_is_not_trained_is_found_before_anything_starts(
    tmp_path: Path, scene: str, no_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    library = str(make_library(tmp_path / "cards"))
    result = tmp_path / "result.json"
    arguments = ["run", "open(drawer)", "--scene", scene, "--library", library, "--json", str(result)]
    assert main(arguments) == 2
    assert "'open'" in (said := capsys.readouterr().err)
    assert "not trained" in said
    assert not result.exists()


def make_film(path: Path, pictures: int) -> Film:
    colour = iter(range(pictures + 1))

    def camera() -> Any:
        return np.full((HEIGHT, WIDTH, 3), next(colour), np.uint8)

    return Film(path, camera, "an extremely long command " * 20, rate=10.0)


def test_a_film_can_be_read_and_its_sheet_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out" / "film.mp4"
    with make_film(path, 50) as film:
        film.see({"wrist": np.zeros((64, 64, 3), np.uint8), "front": np.full((64, 64, 3), 255, np.uint8)})
        for number in range(50):
            film.caption(f"step {number}")
            film.shoot()
        film.shoot(0.5)
        assert not path.exists(), "it appears when it is complete"
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 10
    assert len(frames) == 55
    assert frames[0].shape == (HEIGHT + CAPTION, WIDTH + COLUMN, 3)
    assert abs(int(frames[40][100, 100, 0]) - 40) < 8, "pictures are in order"
    column = frames[10][:HEIGHT, WIDTH:].mean(axis=(1, 2))
    assert column[100] > 150 > column[320], "the front camera is above the wrist camera"
    assert sorted(file.name for file in path.parent.iterdir()) == ["film.mp4", "film.png"]
    assert sheet_path(path).stat().st_size > 1000


def shoot_on(film: Film) -> None:
    with film:
        while True:
            film.shoot()


def test_a_film_that_is_cut_short_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out" / "film.mp4"
    with pytest.raises(StopIteration):
        shoot_on(make_film(path, 5))
    assert list(path.parent.iterdir()) == []
