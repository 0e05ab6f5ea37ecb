"""`robot-skills bridge`: the command line, and the simulated arm behind the in-memory transport."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robot_skills.bridge.doctor import examine
from robot_skills.bridge.messages import BoolMessage, String
from robot_skills.bridge.recording import CODES, PLAN, read
from robot_skills.bridge.settings import ArmSettings
from robot_skills.bridge.transport import STREAM
from robot_skills.bridge.transports.memory import MemoryTransport
from robot_skills.cli.main import main
from tests.robot_skills.bridge.rehearsal import new_domain, patient, patient_file, wait_for

pytest.importorskip("pybullet")

from sim.tabletop.ros_arm import SimulatedArm
from sim.tabletop.scene import Scene
from sim.tabletop.world import TabletopWorld


class Rehearsal:
    """A simulated arm in a thread, and how to reach it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.transport = new_domain()
        self.settings = dataclasses.replace(ArmSettings.read("tabletop"), transport=self.transport)
        self.world = TabletopWorld({"front": (64, 64), "wrist": (64, 64)})
        self.world.reset(Scene.sample(0))
        self._ours = MemoryTransport(self.transport)
        self.arm = SimulatedArm(self.world, self.settings, self._ours)
        self.other = MemoryTransport(self.transport)
        self.reports: list[dict[str, object]] = []
        self.other.subscribe(
            "/sim_arm/report", String, lambda m: self.reports.append(json.loads(m.data)), STREAM
        )
        self._say = {
            name: self.other.publisher(f"/sim_arm/{name}", String, STREAM) for name in ("task", "fault")
        }
        self._over = threading.Event()
        self._thread = threading.Thread(target=self.arm.run, args=(self._over,))
        self._thread.start()

    def say(self, name: str, **data: object) -> None:
        self._say[name](String(json.dumps(data)))

    def once_moving(self, act: Callable[[], None]) -> threading.Thread:
        """Does something 0.3 s after the arm began to move: a thread to be joined."""

        def wait() -> None:
            wait_for(lambda: np.abs(self.world.arm.sensors()[1]).max() >= 0.05, 30.0)
            time.sleep(0.3)
            act()

        thread = threading.Thread(target=wait)
        thread.start()
        return thread

    def options(self, **safety: float) -> list[str]:
        """How to reach it, with a watchdog that is patient but for the `safety` settings."""
        where = ["--transport", "memory", "--domain", str(self.transport.domain)]
        return ["--config", str(patient_file(self._folder / "arm.yaml", **safety)), *where]

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._ours.close()
        self.other.close()
        self.world.close()


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[Rehearsal]:
    made = Rehearsal(tmp_path)
    yield made
    made.close()


def bridge(*arguments: str) -> int:
    return main(["bridge", *arguments])


def test_a_skill_drives_the_simulated_arm(rehearsal: Rehearsal, tmp_path: Path) -> None:
    rehearsal.say("task", skill="pick", seed=1_000_000)
    assert wait_for(lambda: rehearsal.reports and rehearsal.reports[-1]["task"])
    call = str(rehearsal.reports[-1]["call"])
    assert rehearsal.reports[-1]["reached"] is False
    before = rehearsal.world.arm.tool()[0]
    options = ["--live", "--seconds", "3", "--json", str(tmp_path / "out.json")]
    bridge("arm", *rehearsal.options(), "--run", call, *options)
    result = json.loads((tmp_path / "out.json").read_text())
    # Whether it succeeds is for benchmarks/bridge_skills.py: one process for both is too slow to tell.
    assert result["outcome"]["status"] in ("succeeded", "timed_out"), result
    assert result["commands"] > 100
    assert result["events"][0]["kind"] == "resume"
    assert np.abs(rehearsal.world.arm.tool()[0] - before).max() > 0.05


def test_a_command_in_words_is_planned_for_what_is_seen(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """The scene comes on its topic, from the simulated arm; the recording holds the plan and the codes."""
    rehearsal.say("task", skill="press", seed=1_000_000)
    time.sleep(1.0)
    options = [
        "--live",
        "--seconds",
        "3",
        "--json",
        str(tmp_path / "out.json"),
        "--record",
        str(tmp_path / "bag"),
    ]
    bridge("arm", *rehearsal.options(), "--run", "press the button", *options)
    result = json.loads((tmp_path / "out.json").read_text())
    # Whether it succeeds is for benchmarks/bridge_skills.py: one process for both is too slow to tell.
    assert (result["goal"], result["verified"]) == ("pressed(button)", True)
    assert result["outcomes"][0]["skill"] == "press"
    assert result["commands"] > 30
    told = {
        topic: [json.loads(i.message.data) for i in read(tmp_path / "bag", {topic})]
        for topic in (PLAN, CODES)
    }
    assert told[PLAN][0]["plan"] == [{"skill": "press", "args": {"target": "button"}}]
    assert all(isinstance(code, int) for code in told[CODES][0]["codes"])


def test_a_command_that_is_refused_moves_nothing(rehearsal: Rehearsal, tmp_path: Path) -> None:
    before = rehearsal.world.arm.sensors()[0]
    options = ["--live", "--json", str(tmp_path / "out.json")]
    assert bridge("arm", *rehearsal.options(), "--run", "pick up the piano", *options) == 2
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["verified"] is False
    assert result["commands"] == 0
    np.testing.assert_allclose(rehearsal.world.arm.sensors()[0], before, atol=2e-3)


def test_a_dry_run_moves_nothing(
    rehearsal: Rehearsal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rehearsal.world.arm.sensors()[0]
    call = 'pick(object="red block")'
    bridge("arm", *rehearsal.options(), "--run", call, "--seconds", "1", "--json", str(tmp_path / "out.json"))
    result = json.loads((tmp_path / "out.json").read_text())
    assert "Dry run: nothing is sent." in capsys.readouterr().out
    assert result["commands"] > 20
    np.testing.assert_allclose(rehearsal.world.arm.sensors()[0], before, atol=2e-3)


def test_home_is_the_posture_of_the_configuration(
    rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    posture = np.array(rehearsal.settings.kinematics.posture)
    before = rehearsal.world.arm.sensors()[0]
    assert np.abs(np.array(before[:7]) - posture).max() > 0.05
    assert bridge("home", *rehearsal.options()) == 0
    assert "The way is free of objections." in capsys.readouterr().out
    np.testing.assert_allclose(rehearsal.world.arm.sensors()[0], before, atol=2e-3)
    assert bridge("home", *rehearsal.options(), "--live") == 0
    assert "There, 0.0" in capsys.readouterr().out
    np.testing.assert_allclose(rehearsal.world.arm.sensors()[0][:7], posture, atol=0.03)


def test_doctor_finds_what_is_there_and_what_is_not(rehearsal: Rehearsal, tmp_path: Path) -> None:
    found = {finding.name: finding for finding in examine(patient(rehearsal.settings), 1.0)}
    assert all(finding.ok for finding in found.values()), found
    wrong = dataclasses.replace(
        rehearsal.settings,
        joint_states="/other",
        cameras={"front": dataclasses.replace(rehearsal.settings.cameras["front"], topic="/nothing")},
        controller=dataclasses.replace(rehearsal.settings.controller, name="/elsewhere"),
    )
    found = {finding.name: finding for finding in examine(wrong, 0.3)}
    assert {name for name, finding in found.items() if finding.ok is False} == {
        "joint states",
        "camera front",
        "controller",
    }
    assert "panda_joint1" in found["joint states"].advice
    code = bridge("doctor", *rehearsal.options(), "--seconds", "0.5", "--json", str(tmp_path / "out.json"))
    assert code == 0
    assert json.loads((tmp_path / "out.json").read_text())["ok"]


@pytest.mark.parametrize(
    ("fault", "watch", "said"),
    [
        ({"kind": "silent"}, {"state_age": 0.5}, "joint states"),
        ({"kind": "dead_camera", "camera": "wrist"}, {"camera_age": 1.0}, "wrist"),
        ({"kind": "stuck", "joint": "panda_joint1"}, {"following": 0.03}, "from where it was sent"),
    ],
)
def test_faults_stop_the_arm(
    rehearsal: Rehearsal, fault: dict[str, str], watch: dict[str, float], said: str, tmp_path: Path
) -> None:
    """What the bridge does when the arm fails in mid-motion."""
    rehearsal.say("task", skill="pick", seed=1_000_000)
    assert wait_for(lambda: rehearsal.reports and rehearsal.reports[-1]["task"])
    call = str(rehearsal.reports[-1]["call"])
    options = rehearsal.options(**watch)
    failing = rehearsal.once_moving(lambda: rehearsal.say("fault", **fault))
    code = bridge("arm", *options, "--run", call, "--live", "--json", str(tmp_path / "out.json"))
    failing.join()
    result = json.loads((tmp_path / "out.json").read_text())
    assert (code, result["outcome"]["status"]) == (1, "aborted")
    assert said in result["outcome"]["reason"]
    assert wait_for(lambda: np.abs(rehearsal.world.arm.sensors()[1]).max() < 0.02)


def test_the_emergency_stop_ends_a_skill(rehearsal: Rehearsal, tmp_path: Path) -> None:
    press = rehearsal.other.publisher(rehearsal.settings.safety.emergency_stop, BoolMessage, STREAM)
    stopping = rehearsal.once_moving(lambda: press(BoolMessage(True)))
    code = bridge(
        "arm",
        *rehearsal.options(),
        "--run",
        'pick(object="red block")',
        "--live",
        "--json",
        str(tmp_path / "o.json"),
    )
    stopping.join()
    assert code == 1
    assert "emergency stop" in json.loads((tmp_path / "o.json").read_text())["outcome"]["reason"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["arm", "--config", "nothing.yaml"], "There is no arm configuration nothing.yaml"),
        (["arm", "--config", "frank"], "Did you mean 'franka'"),
        (["arm", "--config", "tabletop", "--run", "pick()"], "pick needs the argument 'object'"),
        (["arm", "--config", "tabletop", "--run", "x" * 3000], "at most 2000 are read"),
        (
            ["arm", "--config", "tabletop", "--run", "take it", "--scene", "none.yaml"],
            "none.yaml cannot be read",
        ),
        (["arm", "--config", "tabletop", "--transport", "carrier"], "Unknown transport 'carrier'"),
        (["arm", "--config", "tabletop", "--seconds", "-1"], "--seconds is a time above 0"),
        (["sim-arm", "--task", "pick"], "--task is SKILL:SEED"),
        (["sim-arm", "--fault", "{"], "--fault is not JSON"),
        (["sim-arm", "--fault", '{"kind": "fire"}'], "Unknown value"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bridge(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert bridge("arm", "--config", "tabletop", "--url", "ws://127.0.0.1:9") == 1
    assert "No rosbridge server at ws://127.0.0.1:9" in capsys.readouterr().err
