from __future__ import annotations

from pathlib import Path

import pytest

from robot_skills.bridge.settings import ARMS, ArmSettings
from robot_skills.errors import InputError
from robot_skills.training.configuration import from_mapping, to_mapping


@pytest.mark.parametrize("name", sorted(path.stem for path in ARMS.glob("*.yaml")))
def test_the_ready_made_arms_are_read_and_written(name: str) -> None:
    arm = ArmSettings.read(name)
    assert len(arm.joints) in (6, 7)
    assert from_mapping(ArmSettings, to_mapping(arm), name) == arm


def test_a_file_changes_what_it_says_of_its_base(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: franka\nname: mine\nsafety: {tool_speed: 0.1}\nkinematics: {urdf: mine.urdf}\n")
    mine, base = ArmSettings.read(path), ArmSettings.read("franka")
    assert (mine.name, mine.safety.tool_speed) == ("mine", 0.1)
    assert mine.kinematics.urdf == str(tmp_path / "mine.urdf")
    assert mine.joints == base.joints
    assert mine.safety.workspace_low == base.safety.workspace_low


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base: frank\nname: mine\n", "Did you mean 'franka'"),
        ("base: ur\ncontroller: {rate: 20}\n", "50 to 500 Hz"),
        ("base: ur\nsafety: {workspace_low: [1, 1, 1]}\n", "workspace_low lies below"),
        ("base: ur\nsafety: {tool_sped: 1}\n", "Did you mean 'tool_speed'"),
        ("base: ur\nkinematics: {posture: [0, 0]}\n", "posture holds a number for each of 6"),
        (
            "base: ur\njoints: [{name: a, lower: 1, upper: 0, velocity: 1, acceleration: 1, jerk: 1}]\n",
            "lower",
        ),
        (
            "base: ur\njoints: [{name: a, lower: 0, upper: 1, velocity: .nan, acceleration: 1, jerk: 1}]\n",
            "nan",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        ArmSettings.read(path)
    assert str(path) in str(caught.value) or "frank" in str(caught.value)
