"""Where the planner's scene comes from on an arm."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path

import pytest

from robot_skills.bridge.messages import String
from robot_skills.bridge.scenes import PerceivedScenes, ToldScenes
from robot_skills.bridge.transport import STREAM
from robot_skills.bridge.transports.memory import MemoryTransport
from robot_skills.errors import InputError, JobError
from robot_skills.library import SkillLibrary
from robot_skills.logic import parse_atom
from robot_skills.skill import Outcome, SkillCall, Status
from tests.robot_skills.bridge.rehearsal import new_domain
from tests.robot_skills.kitchen import make_scene

PICK = SkillCall("pick", {"object": "red block"})
HELD = parse_atom("holding(red block)")


def test_what_is_seen_is_what_is_said_after_the_question(caplog: pytest.LogCaptureFixture) -> None:
    transport = MemoryTransport(new_domain())
    scenes = PerceivedScenes(transport, "/scene", patience=2.0)
    say = transport.publisher("/scene", String, STREAM)
    say(String(json.dumps(make_scene("on(red block, table)").to_json())))

    def perceive() -> None:
        for text in ("nonsense", "[" * 5000, '{"source": 1}'):
            say(String(text))
        for _ in range(3):
            time.sleep(0.05)
            say(String(json.dumps(make_scene("holding(red block)").to_json())))

    with caplog.at_level(logging.WARNING):
        thread = threading.Thread(target=perceive)
        thread.start()
        assert HELD in scenes.look().facts
        thread.join()
    assert sum("Refused a scene on /scene" in record.message for record in caplog.records) == 3
    transport.close()


def test_nobody_perceives() -> None:
    transport = MemoryTransport(new_domain())
    with pytest.raises(JobError, match="No scene came on /scene"):
        PerceivedScenes(transport, "/scene", patience=0.05).look()
    transport.close()


def test_what_a_person_told_changes_by_what_skills_did(tmp_path: Path) -> None:
    file = tmp_path / "scene.json"
    file.write_text(json.dumps(make_scene("on(red block, table)").to_json()))
    scenes, skill = ToldScenes(file), SkillLibrary.open().skill("pick")
    assert scenes.look().source == "told"
    scenes.learn(skill, Outcome(PICK, Status.TIMED_OUT, "", 1, 0.1))
    assert HELD not in scenes.look().facts
    scenes.learn(skill, Outcome(PICK, Status.SUCCEEDED, "", 1, 0.1))
    assert HELD in scenes.look().facts
    assert parse_atom("on(red block, table)") not in scenes.look().facts


@pytest.mark.parametrize("text", ["", "- a list", "{", "entities: [{name: red block}]", "entities: 3"])
def test_a_file_that_is_no_scene(text: str, tmp_path: Path) -> None:
    file = tmp_path / "scene.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        ToldScenes(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
