"""Recordings, read back by ourselves, by rosbags and by mcap-ros2-support, equal by value."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_skills.bridge.episodes import episodes, store_meta
from robot_skills.bridge.messages import BoolMessage, Header, Image, String, Time
from robot_skills.bridge.recording import ACTION, CODES, COMMAND, EVENT, PLAN, STATE, Recorder, read
from robot_skills.cli.main import main
from robot_skills.errors import InputError
from robot_skills.execution import Step
from robot_skills.logic import parse
from robot_skills.policies.policy import Chunk
from robot_skills.robot import Observation
from robot_skills.skill import Outcome, SkillCall, Status
from tests.robot_skills.bridge.generated import same
from tests.robot_skills.bridge.rehearsal import joint_state, panda, patient, rehearse

PANDA = patient(panda(first_seconds=0.0))
CALL = SkillCall("pick", {"object": "red block"})
HELD = parse("holding(red block)")


def record(folder: Path, status: Status = Status.SUCCEEDED, steps: int = 6) -> list[tuple[str, Any]]:
    """A recording of one skill; returns what was recorded, without commands."""
    said: list[tuple[str, Any]] = []
    with Recorder(folder, PANDA) as recorder:

        def message(topic: str, item: Any) -> None:
            said.append((topic, item))
            recorder.message(topic, item)

        for name, camera in PANDA.cameras.items():
            value = 10 if name == "front" else 20
            message(camera.topic, Image(Header(Time(1, 0)), 64, 64, "rgb8", 0, 192, bytes([value]) * 12288))
        recorder.plan("take the red block", HELD, [CALL])
        recorder.begin(CALL, "red block")
        recorder.chunk(Chunk(np.zeros((8, 7), np.float32), np.zeros(8, np.float32), codes=np.array([3, 14])))
        recorder.chunk(Chunk(np.zeros((8, 7), np.float32), np.zeros(8, np.float32)))
        for number in range(steps):
            message("/joint_states", joint_state(PANDA, np.array(PANDA.kinematics.posture) + number))
            state = np.full(10, number, np.float32)
            action = np.array([0.1 * number, 0, 0, 0, 0, 0, -1], np.float32)
            recorder.step(Step(number, 0.1, Observation({}, state, 0.0), action, 0.0))
            time.sleep(0.01)  # messages of several topics are written in the order of their topics' queues
        recorder.event("stop", "a reason")
        message("/emergency_stop", BoolMessage(True))
        recorder.end(Outcome(CALL, status, "so", steps, 1.0))
    return said


def test_what_is_recorded_is_read(tmp_path: Path) -> None:
    said = record(tmp_path / "bag")
    found = list(read(tmp_path / "bag"))
    assert [item.time for item in found] == sorted(item.time for item in found)
    for topic in {topic for topic, _ in said}:
        assert [i.message for i in found if i.topic == topic] == [m for t, m in said if t == topic]
    (event,) = (item for item in found if item.topic == EVENT)
    assert json.loads(event.message.data) == {"kind": "stop", "text": "a reason"}
    told = {topic: [json.loads(i.message.data) for i in found if i.topic == topic] for topic in (PLAN, CODES)}
    assert told[CODES] == [{"codes": [3, 14]}]
    (plan,) = told[PLAN]
    assert plan == {"command": "take the red block", "goal": str(HELD), "plan": [CALL.to_json()]}
    assert sum(item.topic == ACTION for item in found) == sum(item.topic == STATE for item in found) == 6


def test_rosbags_and_mcap_ros2_read_the_same(tmp_path: Path) -> None:
    highlevel, typesys = pytest.importorskip("rosbags.highlevel"), pytest.importorskip("rosbags.typesys")
    mcap_ros2 = pytest.importorskip("mcap_ros2.reader")
    record(tmp_path / "bag")
    ours = list(read(tmp_path / "bag"))
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    with highlevel.AnyReader([tmp_path / "bag"], default_typestore=store) as reader:
        theirs = [(c.topic, t, reader.deserialize(data, c.msgtype)) for c, t, data in reader.messages()]
    assert len(theirs) == len(ours)
    for item, (topic, when, message) in zip(ours, theirs, strict=True):
        assert (item.topic, item.time) == (topic, pytest.approx(1e-9 * when))
        assert same(item.message, message)
    others = list(mcap_ros2.read_ros2_messages(str(next((tmp_path / "bag").glob("*.mcap")))))
    assert len(others) == len(ours)
    for item, other in zip(ours, others, strict=True):
        assert item.topic == other.channel.topic
        assert same(item.message, other.ros_msg)


def test_a_recording_becomes_episodes(tmp_path: Path) -> None:
    record(tmp_path / "bag")
    (episode,) = episodes(tmp_path / "bag", PANDA)
    episode.check(store_meta(PANDA))
    assert (len(episode), episode.text, episode.call, episode.outcome) == (6, "red block", CALL, "succeeded")
    assert episode.end.tolist() == [0, 0, 1, 1, 1, 1]
    np.testing.assert_allclose(episode.action[:, 0], 0.1 * np.arange(6), atol=1e-6)
    np.testing.assert_array_equal(episode.state[:, 0], np.arange(6))
    assert (episode.images["front"] == 10).all()
    assert (episode.images["wrist"] == 20).all()


def test_recordings_become_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "one")
    record(tmp_path / "two", Status.TIMED_OUT)
    options = ["--config", "tabletop", "-o", str(tmp_path / "data"), "--json", str(tmp_path / "out.json")]
    assert main(["bridge", "dataset", str(tmp_path / "one"), str(tmp_path / "two"), *options]) == 0
    assert json.loads((tmp_path / "out.json").read_text()) == {"episodes": 1, "frames": 6, "left_out": 1}
    assert main(["data", "inspect", str(tmp_path / "data")]) == 0
    bad = ["bridge", "dataset", str(tmp_path / "two"), "--config", "tabletop", "-o", str(tmp_path / "other")]
    assert main(bad) == 2
    assert not (tmp_path / "other").exists()


def test_the_arm_is_recorded_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop: an arm is driven and recorded, and its recording is played on another."""
    from robot_skills.bridge.arm import RosArm
    from robot_skills.cli.bridge import replay

    peer, transport = rehearse(PANDA)
    with Recorder(tmp_path / "bag", PANDA) as recorder, RosArm(
        PANDA, transport, live=True, watcher=recorder
    ) as arm:  # fmt: skip
        arm.resume()
        for number in range(5):
            seen = arm.observe(())
            action = np.array([0.4, 0.2, 0, 0, 0, 0, -1], np.float32)
            arm.act(action)
            recorder.step(Step(number, 0.2 * number, seen, action, 0.0))
    peer.close()
    topics = {item.topic for item in read(tmp_path / "bag")}
    assert {"/joint_states", "/front/image_raw", COMMAND, ACTION, STATE, EVENT} <= topics
    again, transport = rehearse(PANDA)
    monkeypatch.setattr(replay, "read_arm", lambda args: PANDA)
    monkeypatch.setattr("robot_skills.bridge.transport.open_transport", lambda settings: transport)
    options = ["--config", "tabletop", "--live", "--json", str(tmp_path / "out.json")]
    assert main(["bridge", "replay", str(tmp_path / "bag"), *options]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert (result["steps"], result["of"]) == (5, 5)
    assert max(result["off_m"]) < 0.03
    again.close()


@pytest.mark.parametrize("damage", ["missing", "cut", "noise"])
def test_a_damaged_recording_is_one_line(damage: str, tmp_path: Path) -> None:
    record(tmp_path / "bag")
    (file,) = (tmp_path / "bag").glob("*.mcap")
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(data[: len(data) // 2] if damage == "cut" else b"noise" * 100)
    with pytest.raises(InputError, match="There is no recording" if damage == "missing" else "is damaged"):
        list(read(tmp_path / "bag"))


def test_a_recording_with_flipped_bits_gives_no_message_that_was_not_recorded(tmp_path: Path) -> None:
    record(tmp_path / "bag")
    (file,) = (tmp_path / "bag").glob("*.mcap")
    data, whole = file.read_bytes(), [item.message for item in read(tmp_path / "bag")]
    rng, said = np.random.default_rng(0), []
    for _ in range(300):
        spoilt = bytearray(data)
        at = int(rng.integers(len(data)))
        if rng.random() < 0.5:
            spoilt[at] ^= 1 << int(rng.integers(8))
        else:
            spoilt[at : at + 8] = b"\xff" * 8  # a length without end
        file.write_bytes(spoilt)
        try:
            assert all(item.message in whole for item in read(tmp_path / "bag"))
        except InputError as error:
            said.append(str(error))
    assert len(said) > 50
    assert all("is damaged" in line and "\n" not in line for line in said)


def test_a_recording_overwrites_nothing(tmp_path: Path) -> None:
    record(tmp_path / "bag")
    with pytest.raises(InputError, match="exists"):
        Recorder(tmp_path / "bag", PANDA)


def test_threads_may_record_at_once(tmp_path: Path) -> None:
    with Recorder(tmp_path / "bag", PANDA) as recorder:
        threads = [
            threading.Thread(target=lambda n=n: [recorder.write(f"/{n}", String(str(i))) for i in range(200)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = list(read(tmp_path / "bag"))
    for n in range(4):
        assert [i.message.data for i in found if i.topic == f"/{n}"] == [str(i) for i in range(200)]
